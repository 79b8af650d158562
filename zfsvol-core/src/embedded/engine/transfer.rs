//! What streams leave on datasets, and how what was received takes the place of what was there.

use std::sync::Arc;

use super::dir::Used;
use super::pool::Pool;
use super::space::{Space, signed};
use super::{Id, Result};
use crate::embedded::name;
use crate::kernel::Errno;
use crate::stream::{ResumeToken, SendFlags};
use crate::units::{Bytes, Guid};

/// What one transaction can write at most, as often as it can be reckoned: `DMU_MAX_ACCESS` and `spa_asize_inflation`. A received dataset may be
/// larger than its `refquota` by that.
const REFQUOTA_SLACK: i64 = (64 << 20) * 24;

/// What streams leave on a dataset.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Transfer {
    /// A receive into it is running.
    pub(in crate::embedded) receiving: bool,
    /// A receive into it was interrupted, or is running, and can be resumed.
    pub(in crate::embedded) resume: Option<Box<Resume>>,
    /// The snapshots it is redacted by, if it came redacted.
    pub(in crate::embedded) redact_snapshots: Option<Arc<[u64]>>,
}

/// How far a receive has got: `ds_resume_*`.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Resume {
    pub(in crate::embedded) to_guid: u64,
    pub(in crate::embedded) to_name: String,
    /// 0 for a full stream.
    pub(in crate::embedded) from_guid: u64,
    pub(in crate::embedded) object: u64,
    pub(in crate::embedded) offset: u64,
    /// Bytes of the stream that were received.
    pub(in crate::embedded) bytes: u64,
    pub(in crate::embedded) flags: SendFlags,
    pub(in crate::embedded) from_redact_snapshots: Option<Vec<u64>>,
}

impl Transfer {
    /// What a snapshot or clone of a dataset has of it.
    pub(in crate::embedded) fn inherited(&self) -> Self {
        Self { receiving: false, resume: None, redact_snapshots: self.redact_snapshots.clone() }
    }

    /// The token to resume with: `get_receive_resume_token_impl`.
    fn token(&self) -> Option<String> {
        let resume = self.resume.as_ref()?;
        let guids = |guids: &[u64]| guids.iter().copied().map(Guid::new).collect();
        let token = ResumeToken {
            to_name: resume.to_name.parse().ok()?,
            to_guid: Guid::new(resume.to_guid),
            from_guid: Some(Guid::new(resume.from_guid)).filter(|guid| guid.get() != 0),
            object: resume.object,
            offset: resume.offset,
            bytes: Bytes::new(resume.bytes),
            flags: resume.flags,
            redact_snapshots: self.redact_snapshots.as_deref().map(guids),
            from_redact_snapshots: resume.from_redact_snapshots.as_deref().map(guids),
        };
        token.encode().ok()
    }
}

impl Pool {
    /// The token to resume a receive into a dataset, or into what is hidden below it: `get_receive_resume_token`.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(in crate::embedded) fn resume_token(&self, id: Id) -> Result<Option<String>> {
        let dataset = self.dataset(id)?;
        if let Some(token) = dataset.transfer.token() {
            return Ok(Some(token));
        }
        let Some(hidden) = self.dir(dataset.dir)?.child(name::RECEIVE_CLONE) else {
            return Ok(None);
        };
        Ok(self.dataset(self.dir(hidden)?.head)?.transfer.token())
    }

    /// Whether a dataset was changed since a snapshot: `dsl_dataset_modified_since_snap`.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(in crate::embedded) fn is_modified_since(&self, id: Id, snapshot: Id) -> Result<bool> {
        let since = self.dataset(snapshot)?.creation_txg;
        Ok(self.dataset(id)?.content.objset.birth() > since)
    }

    /// Whether what was received can take the place of what is there: `dsl_dataset_clone_swap_check_impl`. `users` of that do not stand in the
    /// way.
    ///
    /// # Errors
    /// `EINVAL` when the two do not belong together, `ETXTBSY` when it was changed meanwhile, `EBUSY`, `ENOSPC`, `EDQUOT`.
    pub(in crate::embedded) fn check_swap(
        &self,
        clone: Id,
        head: Id,
        force: bool,
        users: u32,
    ) -> Result<()> {
        let (new, old) = (self.dataset(clone)?, self.dataset(head)?);
        if new.is_snapshot() || old.is_snapshot() || !force && new.prev != old.prev {
            return Err(Errno::EINVAL);
        }
        if let Some(prev) = new.prev {
            if self.dataset(prev)?.dir != old.dir {
                return Err(Errno::EINVAL);
            }
        }
        if self.dir(new.dir)?.parent != Some(old.dir) {
            return Err(Errno::EINVAL);
        }
        if let (false, Some(prev)) = (force, old.prev) {
            if self.is_modified_since(head, prev)? {
                return Err(Errno::ETXTBSY);
            }
        }
        if old.long_holds > users {
            return Err(Errno::EBUSY);
        }
        let reserved = self.unused_reservation(clone, head)?;
        if reserved > 0 && reserved > self.available(old.dir, None, 0)? {
            return Err(Errno::ENOSPC);
        }
        let refquota = signed(self.head(head)?.refquota);
        if refquota != 0 && new.referenced.used > refquota.saturating_add(REFQUOTA_SLACK) {
            return Err(Errno::EDQUOT);
        }
        Ok(())
    }

    /// What of a `refreservation` is used less when the two have changed places.
    fn unused_reservation(&self, clone: Id, head: Id) -> Result<i64> {
        let (new, old) = (self.dataset(clone)?, self.dataset(head)?);
        let reserved = old.refreservation();
        Ok(reserved.min(old.unique) - reserved.min(new.unique))
    }

    /// Has what was received and what was there change places: `dsl_dataset_clone_swap_sync_impl`. All checks are done.
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn swap(&mut self, clone: Id, head: Id) -> Result<()> {
        let reserved = self.unused_reservation(clone, head)?;
        let (clone_dir, head_dir) = (self.dataset(clone)?.dir, self.dataset(head)?.dir);
        if let Some(prev) = self.dataset(clone)?.prev {
            let since = self.dataset(prev)?.prev_txg;
            let unique = self.dataset(clone)?.deadlist.range(since, u64::MAX).used;
            self.dataset_mut(prev)?.unique = unique;
        }
        let (new, old) = (self.dataset(clone)?, self.dataset(head)?);
        let change =
            new.referenced + new.deadlist.space() - (old.referenced + old.deadlist.space());
        let origin_txg = self.dir(head_dir)?.origin_txg;
        let snapshots = new.deadlist.range(origin_txg, u64::MAX).used
            - old.deadlist.range(origin_txg, u64::MAX).used;
        self.dir_used(head_dir, Used::Head, change)?;
        self.dir_used(clone_dir, Used::Head, -change)?;
        self.dir_transfer(head_dir, snapshots, Used::Head, Used::Snapshots)?;
        let mut new = self.datasets.remove(clone).ok_or(super::LOST)?;
        let outcome = self.dataset_mut(head).map(|old| {
            std::mem::swap(&mut old.content, &mut new.content);
            std::mem::swap(&mut old.referenced, &mut new.referenced);
            std::mem::swap(&mut old.unique, &mut new.unique);
            std::mem::swap(&mut old.deadlist, &mut new.deadlist);
            old.transfer.redact_snapshots.clone_from(&new.transfer.redact_snapshots);
        });
        self.datasets.insert(clone, new);
        outcome?;
        self.dir_used(head_dir, Used::Reserved, Space::reserved(reserved))
    }
}
