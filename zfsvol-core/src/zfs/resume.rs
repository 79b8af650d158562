//! Resuming: what an interrupted receive left behind, the send that finishes it, and throwing it away.

use std::collections::BTreeSet;

use super::call::{Operation, REPLY_BYTES_FIRST};
use super::send::{ResumePoint, SendBase, SendOptions, SendStream};
use super::{Bookmark, Zfs};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{BookmarkName, DatasetName, SnapshotName};
use crate::nvlist::NvList;
use crate::stream::ResumeToken;
use crate::units::Guid;

const LOOK_UP: Operation = Operation::new(Ioc::OBJSET_STATS, "look up");
const ABORT: Operation = Operation::new(Ioc::DESTROY, "abort the receive into");
const RESUME: Operation = Operation::new(Ioc::SEND_NEW, "resume the send of");

/// The hidden clone that the increment of an existing dataset is received into: `recv_clone_name`.
const RECEIVE_CLONE: &str = "%recv";

impl Zfs {
    /// The token of an interrupted receive into `dataset`, to be handed to the sending side as it is; `None` if there is nothing to resume.
    /// [`ResumeToken`] reads it.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such dataset.
    pub fn receive_token(&self, dataset: &DatasetName) -> Result<Option<String>> {
        let stats = self.statistics(dataset)?;
        let token = stats.get_list("receive_resume_token").and_then(|list| list.get_str("value"));
        Ok(token.map(ToOwned::to_owned))
    }

    /// `property: {value, source}` of a dataset.
    fn statistics(&self, dataset: &DatasetName) -> Result<NvList> {
        let mut cmd = Cmd::new(dataset.as_str());
        cmd.reply_max = REPLY_BYTES_FIRST;
        self.call_cmd(LOOK_UP, &mut cmd).map_err(|error| error.into_error(self))
    }

    /// Whether a dataset is encrypted; `None` if it cannot be asked.
    pub(super) fn is_encrypted(&self, dataset: &DatasetName) -> Option<bool> {
        /// `ZIO_CRYPT_OFF`.
        const OFF: u64 = 2;
        let stats = self.statistics(dataset).ok()?;
        let suite = stats.get_list("encryption").and_then(|list| list.get_u64("value"));
        Some(suite.is_some_and(|suite| suite != OFF))
    }

    /// Throws away what an interrupted receive into `dataset` has saved (`zfs receive -A`). If that receive was to make the dataset, the dataset goes
    /// with it. Returns whether there was something to throw away.
    ///
    /// Issues `ZFS_IOC_DESTROY`; gone on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::Busy`]: the receive is running.
    /// - [`ErrorKind::Denied`]: the caller is neither root nor delegated `destroy` and `mount`.
    pub fn abort_receive(&self, dataset: &DatasetName) -> Result<bool> {
        if self.destroy_partial(&format!("{dataset}/{RECEIVE_CLONE}"), dataset)? {
            return Ok(true);
        }
        // The dataset itself goes only if it is the unfinished one, and saved.
        match self.receive_token(dataset) {
            Ok(Some(_)) => self.destroy_partial(dataset.as_str(), dataset),
            Ok(None) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.with_operation(ABORT.verb)),
        }
    }

    /// Sends the rest of a stream whose receive was interrupted. The snapshot, what the increment starts from and the redaction bookmark
    /// are found by their GUIDs: they may have been renamed since. They are looked for first where the token says, then in `within` and
    /// all below it, or in the whole pool.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`, `ZFS_IOC_SNAPSHOT_LIST_NEXT`, `ZFS_IOC_DATASET_LIST_NEXT` and `ZFS_IOC_GET_BOOKMARKS` to find them, then
    /// `ZFS_IOC_SEND_NEW` as [`Zfs::send`].
    ///
    /// ```
    /// # use std::io::{Read, Write};
    /// # use zfsvol_core::property::PropertySet;
    /// # use zfsvol_core::zfs::SendOptions;
    /// # let zfs = zfsvol_core::Zfs::embedded();
    /// # zfs.create_filesystem(&"tank/db".parse()?, &PropertySet::new())?;
    /// # let monday: zfsvol_core::SnapshotName = "tank/db@monday".parse()?;
    /// # zfs.snapshot([&monday], &PropertySet::new())?;
    /// # let mut stream = Vec::new();
    /// # zfs.send(&monday, &SendOptions::full())?.read_to_end(&mut stream)?;
    /// use zfsvol_core::zfs::ReceiveOptions;
    ///
    /// // Within one machine; else the token and the stream go over the network.
    /// let copy = "tank/copy@monday".parse()?;
    /// let resumable = ReceiveOptions::new().resumable();
    /// # let mut first = zfs.receive(&copy, &resumable)?;
    /// # first.write_all(&stream[..stream.len() / 2])?;
    /// # first.finish().unwrap_err();
    /// let token = zfs.receive_token(&copy.dataset())?.expect("it was interrupted");
    /// let rest = zfs.send_resume(&token.parse()?, None)?;
    /// rest.receive_into(zfs.receive(&copy, &resumable)?)?.wait()?;
    /// assert!(zfs.exists(&copy)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: the snapshot is gone, or the redaction bookmark.
    /// - [`ErrorKind::BaseMissing`]: what the increment starts from is gone.
    /// - otherwise as [`Zfs::send`].
    #[doc(alias("lzc_send_resume", "zfs_send_resume"))]
    pub fn send_resume(
        &self,
        token: &ResumeToken,
        within: Option<&DatasetName>,
    ) -> Result<SendStream> {
        let (snapshot, options) = self.resume_options(token, within)?;
        self.send(&snapshot, &options)
    }

    /// What [`Zfs::send_resume`] would send: the snapshot and the options, for an estimate or a look.
    ///
    /// # Errors
    /// As [`Zfs::send_resume`].
    pub fn resume_options(
        &self,
        token: &ResumeToken,
        within: Option<&DatasetName>,
    ) -> Result<(SnapshotName, SendOptions)> {
        let target = token.to_name.as_str();
        let gone = |kind, what: &str| {
            RESUME.error(kind, target, format!("{what} no longer exists")).with_errno(Errno::ENOENT)
        };
        let home = token.to_name.dataset();
        let pool = home.pool().root();
        let search = Search { home: &home, root: within.unwrap_or(&pool) };
        let snapshot = self
            .find_snapshot(&search, token.to_guid)?
            .ok_or_else(|| gone(ErrorKind::NotFound, "the snapshot"))?;
        let mut options = match token.from_guid {
            None => SendOptions::full(),
            Some(guid) => {
                let search = Search { home: &snapshot.dataset(), ..search };
                let wanted = token.from_redact_snapshots.as_deref();
                let base = self.find_base(&search, guid, wanted)?.ok_or_else(|| {
                    let what = format!("what the increment starts from (GUID {guid})");
                    gone(ErrorKind::BaseMissing, &what)
                })?;
                SendOptions::since(base)
            }
        };
        if let Some(snapshots) = &token.redact_snapshots {
            let bookmark = self
                .find_redaction(&snapshot.dataset(), snapshots)?
                .ok_or_else(|| gone(ErrorKind::NotFound, "the redaction bookmark"))?;
            options = options.redacted_by(bookmark);
        }
        let point = ResumePoint { object: token.object, offset: token.offset, bytes: token.bytes };
        Ok((snapshot, options.flags(token.flags).resume_at(point)))
    }

    /// Destroys the dataset that holds a partial receive; `false` if it is not there.
    fn destroy_partial(&self, name: &str, dataset: &DatasetName) -> Result<bool> {
        match self.call_cmd(ABORT, &mut Cmd::new(name)) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(false),
            Err(error) => {
                let error = error.into_error(self).with_target(dataset.as_str());
                Err(self.explain_busy(error, dataset.as_str()))
            }
        }
    }

    fn find_snapshot(&self, search: &Search<'_>, guid: Guid) -> Result<Option<SnapshotName>> {
        self.find(search, |dataset| {
            let snapshots = self.snapshots_of(dataset.as_str())?;
            let found = snapshots.into_iter().find(|entry| entry.stats.guid == guid.get());
            Ok(found.map(|entry| entry.name.parse()).transpose()?)
        })
    }

    /// The snapshot or bookmark of that GUID; `redacted_by` tells redaction bookmarks of one snapshot apart.
    fn find_base(
        &self,
        search: &Search<'_>,
        guid: Guid,
        redacted_by: Option<&[Guid]>,
    ) -> Result<Option<SendBase>> {
        if redacted_by.is_none() {
            if let Some(snapshot) = self.find_snapshot(search, guid)? {
                return Ok(Some(snapshot.into()));
            }
        }
        let is_wanted = |bookmark: &Bookmark| {
            bookmark.guid == guid
                && match (redacted_by, &bookmark.redact_snaps) {
                    (Some(wanted), Some(found)) => same_set(wanted, found),
                    (wanted, found) => wanted.is_none() && found.is_none(),
                }
        };
        self.find(search, |dataset| {
            let found = self.bookmarks_of(dataset)?.into_iter().find(is_wanted);
            Ok(found.map(|bookmark| bookmark.name.into()))
        })
    }

    fn find_redaction(
        &self,
        dataset: &DatasetName,
        snapshots: &[Guid],
    ) -> Result<Option<BookmarkName>> {
        let found = self.bookmarks_of(dataset)?.into_iter().find(|bookmark| {
            bookmark.redact_complete == Some(true)
                && bookmark.redact_snaps.as_ref().is_some_and(|found| same_set(found, snapshots))
        });
        Ok(found.map(|bookmark| bookmark.name))
    }

    /// The bookmarks of a dataset; none if it is gone by now.
    fn bookmarks_of(&self, dataset: &DatasetName) -> Result<Vec<Bookmark>> {
        match self.bookmarks(dataset) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// The first thing that `look` finds, nearest first: the tree is listed only if it must be.
    fn find<T>(
        &self,
        search: &Search<'_>,
        look: impl Fn(&DatasetName) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        if let Some(found) = look(search.home)? {
            return Ok(Some(found));
        }
        let tree = match self.tree(search.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        for name in tree.iter().filter(|name| *name != search.home.as_str()) {
            if let Some(found) = look(&name.parse()?)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Where to look for a snapshot.
#[derive(Clone, Copy)]
struct Search<'a> {
    /// Where it was.
    home: &'a DatasetName,
    /// Where else it can be: there and below.
    root: &'a DatasetName,
}

fn same_set(a: &[Guid], b: &[Guid]) -> bool {
    let set = |guids: &[Guid]| guids.iter().copied().collect::<BTreeSet<_>>();
    set(a) == set(b)
}
