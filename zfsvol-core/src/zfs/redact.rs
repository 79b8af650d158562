//! Redaction: sending a snapshot without what clones of it have removed.

use super::Zfs;
use super::call::Operation;
use super::snapshot::flags;
use crate::error::{ErrorKind, Result};
use crate::kernel::Ioc;
use crate::name::{BookmarkName, SnapshotName};
use crate::nvlist::NvList;

const REDACT: Operation = Operation::new(Ioc::REDACT, "make a redaction bookmark of");

impl Zfs {
    /// Makes a redaction bookmark of `snapshot`: the list of its blocks that differ in any of the snapshots `by`, which are of clones of it. A send
    /// [redacted by it](super::SendOptions::redacted_by) leaves those blocks out.
    ///
    /// The bookmark is of the snapshot's dataset. The kernel reads all the metadata of `by`; if it is interrupted, the same call goes on
    /// where it stopped.
    ///
    /// Issues `ZFS_IOC_REDACT`; on disk when it returns. The pool needs the features `redaction_bookmarks` and `bookmark_v2`.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: a snapshot does not exist.
    /// - [`ErrorKind::Exists`]: there is such a bookmark already.
    /// - [`ErrorKind::Unrelated`]: one of `by` is not of a clone of the snapshot.
    /// - [`ErrorKind::Invalid`]: `by` is empty, `bookmark` is of another dataset, or one of the snapshots came from a redacted stream.
    /// - [`ErrorKind::KeyNotLoaded`], [`ErrorKind::FeatureDisabled`], [`ErrorKind::Denied`].
    #[doc(alias = "lzc_redact")]
    pub fn redact(
        &self,
        snapshot: &SnapshotName,
        bookmark: &BookmarkName,
        by: &[SnapshotName],
    ) -> Result<()> {
        if bookmark.dataset() != snapshot.dataset() {
            let reason = format!("the bookmark '{bookmark}' would be of another dataset");
            return Err(REDACT.error(ErrorKind::Invalid, snapshot.as_str(), reason));
        }
        let mut input = NvList::new();
        input.insert("bookname", bookmark.bookmark()).insert("snapnv", flags(by));
        self.call(REDACT, snapshot.as_str(), &input).map_err(|error| error.into_error(self))?;
        Ok(())
    }
}
