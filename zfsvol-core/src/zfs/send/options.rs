//! [`SendOptions`]: what to send, and how.

use crate::error::{ErrorKind, Result};
use crate::name::{BookmarkName, SnapshotName};
use crate::nvlist::NvList;
use crate::stream::SendFlags;
use crate::units::Bytes;
use crate::zfs::call::Operation;

/// What an increment starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendBase {
    /// An earlier snapshot of the same dataset, or of one of its origins.
    Snapshot(SnapshotName),
    /// A bookmark of an earlier snapshot, which itself may be gone.
    Bookmark(BookmarkName),
}

impl SendBase {
    /// The full name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Snapshot(name) => name.as_str(),
            Self::Bookmark(name) => name.as_str(),
        }
    }
}

impl From<SnapshotName> for SendBase {
    fn from(name: SnapshotName) -> Self {
        Self::Snapshot(name)
    }
}

impl From<BookmarkName> for SendBase {
    fn from(name: BookmarkName) -> Self {
        Self::Bookmark(name)
    }
}

/// Where to go on with an interrupted stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// The object to go on with.
    pub object: u64,
    /// Where in that object, in bytes.
    pub offset: u64,
    /// How much was received before; an estimate leaves it out.
    pub bytes: Bytes,
}

/// What to send, and how.
///
/// ```
/// use zfsvol_core::SnapshotName;
/// use zfsvol_core::stream::SendFlags;
/// use zfsvol_core::zfs::SendOptions;
///
/// let monday: SnapshotName = "tank/db@monday".parse()?;
/// let increment = SendOptions::since(monday).flags(SendFlags::COMPRESS | SendFlags::LARGE_BLOCK);
/// # Ok::<(), zfsvol_core::NameError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    pub(super) base: Option<SendBase>,
    pub(super) flags: SendFlags,
    pub(super) redacted_by: Option<BookmarkName>,
    pub(super) resume: Option<ResumePoint>,
}

impl SendOptions {
    /// The whole snapshot.
    #[must_use]
    pub fn full() -> Self {
        Self::default()
    }

    /// What changed since `base`.
    #[must_use]
    pub fn since(base: impl Into<SendBase>) -> Self {
        Self { base: Some(base.into()), ..Self::default() }
    }

    /// With what the stream may contain.
    #[must_use]
    pub fn flags(mut self, flags: SendFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Without what the redaction bookmark leaves out; see [`Zfs::redact`](crate::Zfs::redact). It must be of the dataset that is sent.
    #[must_use]
    pub fn redacted_by(mut self, bookmark: BookmarkName) -> Self {
        self.redacted_by = Some(bookmark);
        self
    }

    /// From the middle on. [`Zfs::send_resume`](crate::Zfs::send_resume) takes all of it from a token.
    #[must_use]
    pub fn resume_at(mut self, point: ResumePoint) -> Self {
        self.resume = Some(point);
        self
    }

    /// The snapshot or bookmark that an increment starts from.
    #[must_use]
    pub fn base(&self) -> Option<&SendBase> {
        self.base.as_ref()
    }

    /// The pairs that `SEND_NEW` and `SEND_SPACE` have in common. What it starts from has a different name in each.
    pub(super) fn to_nvlist(
        &self,
        target: &str,
        base: &str,
        operation: Operation,
    ) -> Result<NvList> {
        let mut input = NvList::new();
        if let Some(from) = &self.base {
            input.insert(base, from.as_str());
        }
        self.flags.insert_into(&mut input);
        if let Some(bookmark) = &self.redacted_by {
            if target.split('@').next() != Some(bookmark.dataset().as_str()) {
                let reason = format!("the redaction bookmark '{bookmark}' is of another dataset");
                return Err(operation.error(ErrorKind::Invalid, target, reason));
            }
            // The part behind the '#'.
            input.insert("redactbook", bookmark.bookmark());
        }
        if let Some(point) = &self.resume {
            input.insert("resume_object", point.object).insert("resume_offset", point.offset);
        }
        Ok(input)
    }
}
