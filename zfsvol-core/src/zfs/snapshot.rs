//! Snapshots: many in one atomic call, made and destroyed.

use super::Zfs;
use super::call::Operation;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::kernel::Ioc;
use crate::name::SnapshotName;
use crate::nvlist::NvList;
use crate::property::PropertySet;

const SNAPSHOT: Operation = Operation::new(Ioc::SNAPSHOT, "snapshot");
const DESTROY_SNAPS: Operation = Operation::new(Ioc::DESTROY_SNAPS, "destroy");

/// How to destroy a snapshot that is held or has clones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destroy {
    /// Refuse.
    #[default]
    Now,
    /// Mark it: it goes with its last hold and clone.
    Deferred,
}

impl Zfs {
    /// Takes all these snapshots in one transaction group: either all are made, of one moment, or none. They must be in one pool,
    /// each of another dataset. `properties` may be user properties only, and are set on each.
    ///
    /// Issues `ZFS_IOC_SNAPSHOT` once; on disk when it returns. An empty list does nothing.
    ///
    /// ```
    /// use zfsvol_core::property::PropertySet;
    /// use zfsvol_core::{Bytes, Zfs};
    ///
    /// let zfs = Zfs::embedded();
    /// zfs.create_filesystem(&"tank/files".parse()?, &PropertySet::new())?;
    /// zfs.create_zvol(&"tank/disk".parse()?, Bytes::from_gib(1), &PropertySet::new())?;
    /// let both = ["tank/files@monday".parse()?, "tank/disk@monday".parse()?];
    /// zfs.snapshot(&both, &PropertySet::new())?;
    /// assert!(zfs.exists(&both[1])?);
    /// # Ok::<(), zfsvol_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// With each name that failed in [`Error::failures`](crate::Error::failures):
    /// - [`ErrorKind::Exists`]: there is a snapshot of that name.
    /// - [`ErrorKind::NotFound`]: there is no such dataset.
    /// - [`ErrorKind::Unrelated`]: two pools, or two snapshots of one dataset.
    /// - [`ErrorKind::Busy`]: the dataset is being received into.
    /// - [`ErrorKind::InvalidName`]: a name is too long. [`ErrorKind::Invalid`]: a property is no user property.
    /// - [`ErrorKind::QuotaExceeded`]: a `snapshot_limit`. [`ErrorKind::NoSpace`], [`ErrorKind::Denied`].
    #[doc(alias = "lzc_snapshot")]
    pub fn snapshot<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
        properties: &PropertySet,
    ) -> Result<()> {
        let snapshots: Vec<&SnapshotName> = snapshots.into_iter().collect();
        let Some(first) = snapshots.first() else { return Ok(()) };
        let mut input = NvList::new();
        input.insert("snaps", flags(&snapshots));
        if !properties.is_empty() {
            input.insert("props", properties.to_nvlist());
        }
        self.call(SNAPSHOT, first.pool().as_str(), &input)
            .map_err(|error| error.into_batch_error(self, first.as_str(), snapshots.len()))?;
        Ok(())
    }

    /// Destroys all these snapshots in one transaction group, or none. They must be in one pool. Those that do not exist are passed over, so
    /// that a retry is harmless. What is mounted of them is unmounted.
    ///
    /// Issues `ZFS_IOC_DESTROY_SNAPS` once; on disk when it returns. An empty list does nothing.
    ///
    /// # Errors
    /// With each name that failed, and what keeps it busy, in [`Error::failures`](crate::Error::failures):
    /// - [`ErrorKind::Busy`]: it is held, has clones or is being sent, and `how` is [`Destroy::Now`].
    /// - [`ErrorKind::Unrelated`]: they are not in one pool. [`ErrorKind::Denied`].
    #[doc(alias = "lzc_destroy_snaps")]
    pub fn destroy_snapshots<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
        how: Destroy,
    ) -> Result<()> {
        let snapshots: Vec<&SnapshotName> = snapshots.into_iter().collect();
        let Some(first) = snapshots.first() else { return Ok(()) };
        let mut input = NvList::new();
        input.insert("snaps", flags(&snapshots));
        if how == Destroy::Deferred {
            input.insert_flag("defer");
        }
        self.call(DESTROY_SNAPS, first.pool().as_str(), &input).map_err(|error| {
            let error = error.into_batch_error(self, first.as_str(), snapshots.len());
            self.explain_busy_batch(error)
        })?;
        Ok(())
    }
}

/// A list of names without values, as batch operations take them.
pub(super) fn flags<T: AsRef<str>>(names: &[T]) -> NvList {
    let mut list = NvList::new();
    for name in names {
        list.insert_flag(name.as_ref());
    }
    list
}
