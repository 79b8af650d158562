//! What is kept inside a file system and not beside it: whoever sets it has the module open the file system.
//!
//! OpenZFS 2.4.4 opens one that is not mounted without its key (`module/os/linux/zfs/zfs_vfsops.c`, `zfsvfs_create_hold`). What is encrypted it then reads only as
//! long as it is in memory, and what it changes it cannot encipher: its sync thread does not survive that. So it is refused here.

use super::Zfs;
use super::call::Operation;
use crate::error::{ErrorKind, Result};
use crate::kernel::{Module, ObjsetStats};
use crate::name::DatasetName;
use crate::property::PropertySet;

/// The first module that does so.
const OPENS_WITHOUT_KEY: (u32, u32, u32) = (2, 4, 4);
/// `ZIO_CRYPT_OFF`.
const NOT_ENCRYPTED: u64 = 2;

/// The first of these properties that is kept inside a file system.
pub(super) fn kept_inside(properties: &PropertySet) -> Option<&str> {
    properties.iter().map(|(name, _)| name).find(|name| is_kept_inside(name))
}

/// Whether that property is kept inside a file system: its version, and the quotas of owners who have none.
pub(super) fn is_kept_inside(property: &str) -> bool {
    property == "version" || (property.starts_with("default") && property.ends_with("quota"))
}

impl Zfs {
    /// Refuses to change what is inside a file system, `what`, where that is encrypted and not mounted and the module would fall over it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]. What cannot be looked at is left to the kernel.
    pub(super) fn check_inside(&self, operation: Operation, name: &str, what: &str) -> Result<()> {
        if !opens_without_key(self.module()) {
            return Ok(());
        }
        let Ok((stats, list)) = self.objset_stats(name) else { return Ok(()) };
        let suite = list.get_list("encryption").and_then(|list| list.get_u64("value"));
        let is_encrypted = suite.is_some_and(|suite| suite != NOT_ENCRYPTED);
        if stats.objset_type == ObjsetStats::ZVOL || !is_encrypted || self.mount_of(name)?.is_some()
        {
            return Ok(());
        }
        let reason = format!(
            "it is encrypted and not mounted, and OpenZFS {} does not survive a change of '{what}' there",
            self.module().version
        );
        Err(operation.error(ErrorKind::Unsupported, name, reason).with_help("mount it before"))
    }

    /// The same for a file system that is to be made. Without a key of its own it is encrypted if `like` is.
    pub(super) fn check_inside_new(
        &self,
        operation: Operation,
        name: &str,
        what: &str,
        has_key: bool,
        like: Option<DatasetName>,
    ) -> Result<()> {
        if !opens_without_key(self.module()) {
            return Ok(());
        }
        let is_encrypted =
            has_key || like.is_some_and(|like| self.is_encrypted(&like) == Some(true));
        if !is_encrypted {
            return Ok(());
        }
        let reason = format!(
            "it is to be encrypted, and OpenZFS {} does not survive '{what}' there",
            self.module().version
        );
        Err(operation
            .error(ErrorKind::Unsupported, name, reason)
            .with_help(format!("leave '{what}' out, and set it when it is mounted")))
    }
}

fn opens_without_key(module: &Module) -> bool {
    module.version.numbers() >= OPENS_WITHOUT_KEY
}
