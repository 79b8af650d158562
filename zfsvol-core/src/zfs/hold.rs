//! User holds: a held snapshot cannot be destroyed.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::kernel::{Errno, Handle, Ioc};
use crate::name::SnapshotName;
use crate::nvlist::NvList;

const HOLD: Operation = Operation::new(Ioc::HOLD, "hold");
const RELEASE: Operation = Operation::new(Ioc::RELEASE, "release");
const GET_HOLDS: Operation = Operation::new(Ioc::GET_HOLDS, "list the holds of");
const OPEN: Operation = Operation::new(Ioc::HOLD, "open a handle for temporary holds");

/// Longest tag of a hold, in bytes. The kernel (2.1 to 2.4, `module/zfs/dsl_userhold.c`) means to refuse longer ones and lets through one of 256 bytes,
/// which it then cannot store: it panics. So tags are measured here.
pub const TAG_BYTES_MAX: usize = 255;

/// Longest tag of a temporary hold, in bytes: the kernel stores it behind an object number (`MAX_TAG_PREFIX_LEN`).
pub const TEMPORARY_TAG_BYTES_MAX: usize = 238;

/// One hold of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its tag.
    pub tag: String,
    /// When it was put.
    #[serde(serialize_with = "crate::serial::seconds")]
    pub since: SystemTime,
}

impl Zfs {
    /// Holds snapshots, each with a tag, all in one transaction group or none. They must be in one pool. A snapshot can be held with
    /// many tags, and with each once.
    ///
    /// Snapshots that do not exist are left out, and returned.
    ///
    /// Issues `ZFS_IOC_HOLD` once; on disk when it returns. With a `cleanup` handle ([`Zfs::handle`]) the holds end when
    /// that is dropped or the process dies, however it dies; without, they last until they are [released](Zfs::release).
    ///
    /// # Errors
    /// With each name that failed in [`Error::failures`]:
    /// - [`ErrorKind::Exists`]: it is held with that tag.
    /// - [`ErrorKind::InvalidName`]: the tag is empty, or longer than [`TAG_BYTES_MAX`] ([`TEMPORARY_TAG_BYTES_MAX`] with `cleanup`).
    /// - [`ErrorKind::Invalid`]: a snapshot is named twice.
    /// - [`ErrorKind::Unrelated`]: they are not in one pool. [`ErrorKind::Denied`].
    #[doc(alias = "lzc_hold")]
    pub fn hold(
        &self,
        holds: &[(SnapshotName, &str)],
        cleanup: Option<&Handle>,
    ) -> Result<Vec<SnapshotName>> {
        let Some((first, _)) = holds.first() else { return Ok(Vec::new()) };
        check_tags(holds, if cleanup.is_some() { TEMPORARY_TAG_BYTES_MAX } else { TAG_BYTES_MAX })?;
        let mut tags = NvList::new();
        for (snapshot, tag) in holds {
            if tags.contains(snapshot.as_str()) {
                let reason = "it is named twice, and one call puts one hold on each snapshot";
                return Err(HOLD.error(ErrorKind::Invalid, snapshot.as_str(), reason));
            }
            tags.insert(snapshot.as_str(), *tag);
        }
        let mut input = NvList::new();
        input.insert("holds", tags);
        if let Some(handle) = cleanup {
            input.insert("cleanup_fd", handle.number());
        }
        let reply = self
            .call(HOLD, first.pool().as_str(), &input)
            .map_err(|error| error.into_batch_error(self, first.as_str(), holds.len()))?;
        left_out(&reply)
    }

    /// Releases holds, all in one transaction group or none. A snapshot marked for deferred destruction goes with its last hold.
    ///
    /// Holds that are not there (or whose snapshot is not) are left out, and their snapshots returned, so that a retry is harmless.
    ///
    /// Issues `ZFS_IOC_RELEASE` once; on disk when it returns.
    ///
    /// # Errors
    /// With each name that failed in [`Error::failures`]: [`ErrorKind::Unrelated`] (two pools), [`ErrorKind::Denied`].
    #[doc(alias = "lzc_release")]
    pub fn release(&self, holds: &[(SnapshotName, &str)]) -> Result<Vec<SnapshotName>> {
        let Some((first, _)) = holds.first() else { return Ok(Vec::new()) };
        let mut input = NvList::new();
        for (snapshot, tag) in holds {
            let mut tags = input.get_list(snapshot.as_str()).cloned().unwrap_or_default();
            tags.insert_flag(*tag);
            input.insert(snapshot.as_str(), tags);
        }
        let reply = self
            .call(RELEASE, first.pool().as_str(), &input)
            .map_err(|error| error.into_batch_error(self, first.as_str(), holds.len()))?;
        left_out(&reply)
    }

    /// The holds of a snapshot, by tag.
    ///
    /// Issues `ZFS_IOC_GET_HOLDS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: the snapshot does not exist.
    #[doc(alias = "lzc_get_holds")]
    pub fn holds(&self, snapshot: &SnapshotName) -> Result<Vec<Hold>> {
        let reply = self
            .call(GET_HOLDS, snapshot.as_str(), &NvList::new())
            .map_err(|error| error.into_error(self))?;
        let mut holds = Vec::with_capacity(reply.len());
        for (tag, _) in reply.iter() {
            let seconds = reply.require_u64(tag).map_err(|error| {
                GET_HOLDS.error(ErrorKind::Protocol, snapshot.as_str(), error.to_string())
            })?;
            holds.push(Hold {
                tag: tag.to_owned(),
                since: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            });
        }
        holds.sort_by(|a, b| a.tag.cmp(&b.tag));
        Ok(holds)
    }

    /// A handle of one's own to the kernel: temporary [holds](Zfs::hold) end when it is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::NoModule`] or [`ErrorKind::Denied`], as for [`Zfs::open`]; [`ErrorKind::Other`] when this process has no descriptor left.
    pub fn handle(&self) -> Result<Handle> {
        self.kernel.host().handle().map_err(|errno| {
            // Of open(2), not of an ioctl: what the door's own opening makes of it.
            let kind = match errno {
                Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => ErrorKind::NoModule,
                Errno::EACCES | Errno::EPERM => ErrorKind::Denied,
                _ => ErrorKind::Other,
            };
            Error::new(kind, OPEN.verb, errno.reason()).with_errno(errno)
        })
    }
}

/// Refuses tags the kernel cannot store.
fn check_tags(holds: &[(SnapshotName, &str)], bytes_max: usize) -> Result<()> {
    let failures: Vec<Failure> = holds
        .iter()
        .filter(|(_, tag)| tag.is_empty() || tag.len() > bytes_max)
        .map(|(snapshot, tag)| Failure {
            name: snapshot.as_str().to_owned(),
            kind: ErrorKind::InvalidName,
            errno: if tag.is_empty() { Errno::EINVAL } else { Errno::E2BIG },
            reason: format!("the tag has {} bytes, and 1 to {bytes_max} are allowed", tag.len())
                .into(),
            busy: Vec::new(),
        })
        .collect();
    if failures.is_empty() {
        return Ok(());
    }
    let error =
        Error::new(ErrorKind::InvalidName, HOLD.verb, "a tag has not a length that is allowed")
            .with_failures(failures, 0);
    Err(match holds {
        [(alone, _)] => error.with_target(alone.as_str()),
        _ => error,
    })
}

/// The snapshots in the error list of a call that succeeded. A release lists a hold that was not there as `snapshot#tag`.
fn left_out(reply: &NvList) -> Result<Vec<SnapshotName>> {
    let mut names: Vec<SnapshotName> = Vec::new();
    for (name, _) in reply.iter() {
        if name == super::call::MORE_ERRORS {
            continue;
        }
        let name: SnapshotName =
            name.split_once('#').map_or(name, |(snapshot, _)| snapshot).parse()?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
