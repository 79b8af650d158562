//! The door: [`Kernel`], the one way down to OpenZFS, and what can be slipped around it.
//!
//! [`DevZfs`] is the real one, `/dev/zfs`. Everything above the door is the same code whichever kernel answers, and a wrapper is a
//! `Kernel` itself, so that they chain.

mod cmd;
mod dev;
mod fault;
mod host;
mod ioc;
mod layout;
mod module;
mod mounts;
mod observe;
mod policy;
mod read_only;
mod record;
mod recording;
mod replay;
#[cfg(test)]
pub(crate) mod stub;
mod subtree;
mod zvol;

use std::fmt;

pub use crate::errno::Errno;
pub use cmd::{Cmd, ObjectStat, ObjsetStats};
pub use dev::DevZfs;
pub use fault::{Fault, FaultRule};
pub use host::{
    Access, BlockDevice, Handle, Host, MountEntry, MountFlags, MountPoint, MountRequest,
    UnmountFlags,
};
pub use ioc::Ioc;
pub use module::{Module, ModuleVersion};
pub use observe::{Call, Observe, Outcome, Refused};
pub use read_only::ReadOnly;
pub use record::Record;
pub use replay::{Order, Replay};
pub use subtree::Subtree;

/// A kernel that answers the ioctls of `/dev/zfs`: a loaded module, one in this process, or a wrapper around another kernel.
///
/// Everything zfsvol asks of OpenZFS goes through [`Kernel::ioctl`]. A wrapper overrides it, looks at the request, and passes it on or
/// answers itself:
///
/// ```
/// use std::sync::Arc;
/// use zfsvol_core::kernel::{Cmd, Errno, Host, Ioc, Kernel};
///
/// /// Lets nothing be destroyed.
/// #[derive(Debug)]
/// struct KeepAll(Arc<dyn Kernel>);
///
/// impl Kernel for KeepAll {
///     fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
///         match ioc {
///             Ioc::DESTROY | Ioc::DESTROY_SNAPS | Ioc::POOL_DESTROY => Err(Errno::EPERM),
///             _ => self.0.ioctl(ioc, cmd),
///         }
///     }
///     fn host(&self) -> &dyn Host {
///         self.0.host()
///     }
/// }
/// ```
pub trait Kernel: fmt::Debug + Send + Sync {
    /// Carries out one request, and leaves the answer in `cmd`. Blocks until the kernel is done; safe from any thread.
    ///
    /// # Errors
    /// The kernel's errno, uninterpreted. The reply in `cmd` can be filled all the same: batch calls list there which names failed.
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno>;

    /// What surrounds the ioctls on that kernel's machine: its version, mounts, block devices.
    fn host(&self) -> &dyn Host;
}
