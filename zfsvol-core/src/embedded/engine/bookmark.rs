//! [`Bookmark`], and how those of a dataset come and go: OpenZFS 2.3 `module/zfs/dsl_bookmark.c`, dsl_bookmark_node_add and
//! dsl_bookmark_destroy_sync_impl.

use std::sync::Arc;

use super::pool::Pool;
use super::space::Space;
use super::{Id, Result};
use crate::embedded::send::RedactionList;

/// The feature that one is counted for which says more than where it is.
const LONG: &str = "bookmark_v2";

/// What remains of a snapshot: enough to send an increment from it (`zfs_bookmark_phys_t`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Bookmark {
    pub(in crate::embedded) guid: u64,
    pub(in crate::embedded) creation_txg: u64,
    pub(in crate::embedded) creation_time: u64,
    pub(in crate::embedded) ivset_guid: u64,
    /// Present where the pool has the feature `bookmark_written`.
    pub(in crate::embedded) space: Option<BookmarkSpace>,
    /// What a redacted stream leaves out, of a redaction bookmark.
    pub(in crate::embedded) redaction: Option<Arc<RedactionList>>,
}

/// What is known of the space of a bookmarked snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct BookmarkSpace {
    pub(in crate::embedded) referenced: Space,
    /// What of it was freed before the next snapshot was taken.
    pub(in crate::embedded) freed: Space,
}

impl Pool {
    /// Gives a dataset a bookmark.
    ///
    /// # Errors
    /// `EIO` when that is no dataset, which cannot be.
    pub(in crate::embedded) fn add_bookmark(
        &mut self,
        head: Id,
        name: Arc<str>,
        bookmark: Bookmark,
    ) -> Result<()> {
        if bookmark.is_long() {
            self.features.activate(LONG);
        }
        let head = self.head_mut(head)?;
        head.bookmarks.insert(name, bookmark);
        head.had_bookmarks = true;
        Ok(())
    }

    /// Takes a bookmark away. Those that go with their dataset are not counted: nor does the module, which takes their feature for used from then on.
    ///
    /// # Errors
    /// As [`Pool::add_bookmark`].
    pub(in crate::embedded) fn remove_bookmark(&mut self, head: Id, name: &str) -> Result<()> {
        let head = self.head_mut(head)?;
        let Some(bookmark) = head.bookmarks.remove(name) else { return Ok(()) };
        head.had_bookmarks = !head.bookmarks.is_empty();
        if bookmark.is_long() {
            self.features.release(LONG);
        }
        Ok(())
    }
}

impl Bookmark {
    /// Whether it says more than where it is (`BOOKMARK_PHYS_SIZE_V2`).
    fn is_long(&self) -> bool {
        self.redaction.is_some() || self.space.is_some() || self.ivset_guid != 0
    }
}
