//! The boot environment: a small list that boot loaders read from the labels of a pool.

use super::Zfs;
use super::call::Operation;
use crate::error::{ErrorKind, Result};
use crate::kernel::Ioc;
use crate::name::PoolName;
use crate::nvlist::NvList;

const GET: Operation = Operation::new(Ioc::GET_BOOTENV, "get the boot environment of the pool");
const SET: Operation = Operation::new(Ioc::SET_BOOTENV, "set the boot environment of the pool");

impl Zfs {
    /// The pool's boot environment. Empty but for `version` when none was ever set.
    ///
    /// Issues `ZFS_IOC_GET_BOOTENV`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::Io`] when no label can be read.
    #[doc(alias = "lzc_get_bootenv")]
    pub fn bootenv(&self, pool: &PoolName) -> Result<NvList> {
        self.pool_call(GET, pool, &NvList::new())
    }

    /// Replaces the pool's boot environment on the labels of all its devices. `environment` has a number `version` (1 for pairs as
    /// `freebsd:bootonce`), and takes 8 KiB at most.
    ///
    /// Issues `ZFS_IOC_SET_BOOTENV`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::TooLarge`] when it does not fit a label;
    /// [`ErrorKind::Invalid`] when it has no `version`.
    #[doc(alias = "lzc_set_bootenv")]
    pub fn set_bootenv(&self, pool: &PoolName, environment: &NvList) -> Result<()> {
        if environment.get_u64("version").is_none() {
            let reason = "it has no number 'version'";
            return Err(SET.error(ErrorKind::Invalid, pool.as_str(), reason));
        }
        self.pool_call(SET, pool, environment)?;
        Ok(())
    }
}
