//! The operations: [`Zfs`], everything libzfs_core has and what it lacks.
//!
//! Each method packs a typed request, issues one ioctl through the [door](crate::kernel) (where it takes more, it says so), and turns the answer
//! into values or an [`Error`]. Methods are named after their ioctl; searching the documentation for an `lzc_` name finds them too.

mod activity;
mod bookmark;
mod bootenv;
mod busy;
mod call;
pub(crate) mod canned;
mod dataset;
mod device;
mod diff;
mod errno;
mod error_log;
mod event;
mod feature;
mod history;
mod hold;
mod import;
mod inside;
mod key;
mod list;
#[cfg(test)]
mod messages;
mod mount;
mod pool;
mod pool_property;
mod pool_status;
mod program;
mod property;
mod quota;
mod receive;
mod recursive;
mod redact;
mod resume;
mod send;
mod snapshot;
mod space;
mod topology;
mod transfer;
mod vdev;
mod vdev_status;
mod wait;
mod walk;
mod zvol;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::embedded::Embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{DevZfs, Kernel, Module};

pub use activity::{DdtPrune, Initialize, PoolActivity, Prefetch, Scrub, Trim, TrimSpeed, Waited};
pub use bookmark::Bookmark;
pub use dataset::Create;
pub(crate) use device::{hostid, read_label};
pub use diff::{Change, ChangeKind, Diff, FileKind};
pub use error_log::DamagedObject;
pub use event::{Event, EventPlace, EventStopper, Events};
pub use feature::{Compatibility, Features};
pub use history::{History, HistoryEntry, HistoryRecord};
pub use hold::{Hold, MissingHold, TAG_BYTES_MAX, TEMPORARY_TAG_BYTES_MAX};
pub use import::{HostUse, ImportOptions, ImportSearch, ImportablePool, Rewind};
pub use key::{Key, KeyChange};
pub use list::{Dataset, List, Listing, Names};
pub use mount::{MountOptions, MountOutcome, MountPath, NotMountable, TreeMounted, UnmountOutcome};
pub use pool::{Export, PoolSpec};
pub use pool_status::{
    CheckpointStatus, FeatureState, PoolHealth, PoolStatus, ScanKind, ScanState, ScanStatus,
    SuspendReason,
};
pub use program::Program;
pub use quota::{Account, AccountEntry, Accounts, Owner, OwnerKind, OwnerSpace, Quota, QuotaLimit};
pub use receive::{ReceiveOptions, ReceiveStream, Received};
pub use recursive::TreeDestroyed;
pub use send::{ResumePoint, SendBase, SendOptions, SendProgress, SendStream, Sent};
pub use snapshot::Destroy;
pub use space::Space;
pub use topology::{ASHIFT_RANGE, AllocationClass, Draid, Redundancy, Topology, VdevSpec};
pub(crate) use transfer::Worker;
pub use transfer::{CancelHandle, Progress, Transfer};
pub use vdev::{NewDevice, Offline};
pub use vdev_status::{
    VdevActivity, VdevActivityState, VdevKind, VdevReason, VdevState, VdevStats, VdevStatus,
};
pub use wait::{PoolWait, PoolWaitCanceller};

/// OpenZFS behind a door: the handle every operation is a method of.
///
/// Cheap to clone (`Clone` shares the door), and usable from any number of threads at once.
///
/// ```
/// use zfsvol_core::Zfs;
///
/// // `Zfs::open()` for the module of this machine.
/// let zfs = Zfs::embedded();
/// println!("OpenZFS {}", zfs.module().version);
/// ```
#[derive(Clone)]
pub struct Zfs {
    kernel: Arc<dyn Kernel>,
}

impl Zfs {
    /// The OpenZFS module of this machine.
    ///
    /// # Errors
    /// As [`DevZfs::open`].
    #[doc(alias = "libzfs_core_init")]
    pub fn open() -> Result<Self> {
        Ok(Self::new(DevZfs::open()?))
    }

    /// The kernel that a URI names: `zfs:` is the OpenZFS module of this machine, `zfs:/some/device` the same by another device node
    /// ([`DevZfs::open_at`]), `embedded:` a new [`Embedded`] kernel in this process, and `embedded:/some/directory` one whose state is kept there
    /// ([`Embedded::open`]).
    ///
    /// For programs that let their user choose, by an argument or the environment.
    ///
    /// ```
    /// use zfsvol_core::Zfs;
    ///
    /// let zfs = Zfs::open_uri("embedded:")?;
    /// assert!(zfs.exists(&"tank".parse::<zfsvol_core::DatasetName>()?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for any other; as [`Zfs::open`] and [`Embedded::open`].
    pub fn open_uri(uri: &str) -> Result<Self> {
        match uri.split_once(':') {
            Some(("zfs", "")) => Self::open(),
            Some(("zfs", device)) if device.starts_with('/') => {
                Ok(Self::new(DevZfs::open_at(Path::new(device))?))
            }
            Some(("embedded", "")) => Ok(Self::embedded()),
            Some(("embedded", directory)) => Ok(Self::new(Embedded::open(directory)?)),
            _ => {
                let reason = "it is none of 'zfs:', 'zfs:/some/device', 'embedded:' and 'embedded:/some/directory'";
                Err(Error::new(ErrorKind::Invalid, "open", reason).with_target(uri))
            }
        }
    }

    /// A kernel in this process, with one empty pool `tank`: [`Embedded::new`].
    #[must_use]
    pub fn embedded() -> Self {
        Self::new(Embedded::new())
    }

    /// The kernel behind that door: [`DevZfs`], one in this process, or a wrapper.
    pub fn new(kernel: impl Kernel + 'static) -> Self {
        Self::from_shared(Arc::new(kernel))
    }

    /// The same, for a door that is shared with others.
    pub fn from_shared(kernel: Arc<dyn Kernel>) -> Self {
        Self { kernel }
    }

    /// The door itself, to wrap it or to issue an ioctl of one's own.
    pub fn kernel(&self) -> &Arc<dyn Kernel> {
        &self.kernel
    }

    /// Which OpenZFS answers, and what it can do.
    pub fn module(&self) -> &Module {
        self.kernel.host().module()
    }
}

impl fmt::Debug for Zfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zfs").field("kernel", &self.kernel).finish()
    }
}
