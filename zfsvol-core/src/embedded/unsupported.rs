//! What the embedded kernel does not do: one list, with the errno each gives.

use super::keys::{self, Key};
use super::name::NameCheck;
use super::name::NameCheck::{Dataset, Pool};
use crate::kernel::{Errno, Ioc};

/// An ioctl that is refused, once its name and keys were found right.
pub(super) struct Unsupported {
    ioc: Ioc,
    /// The release that brought it; older ones do not know it.
    since: (u32, u32),
    pub(super) name: NameCheck,
    /// Absent where the module checks none.
    pub(super) keys: Option<&'static [Key]>,
    pub(super) errno: Errno,
    /// Why, in words.
    pub(super) reason: &'static str,
}

const fn refused(
    ioc: Ioc,
    name: NameCheck,
    keys: &'static [Key],
    reason: &'static str,
) -> Unsupported {
    Unsupported { ioc, since: (2, 0), name, keys: Some(keys), errno: Errno::ENOTSUP, reason }
}

/// One of the old kind, whose arguments the module does not check before.
const fn legacy(ioc: Ioc, name: NameCheck, reason: &'static str) -> Unsupported {
    Unsupported { ioc, since: (2, 0), name, keys: None, errno: Errno::ENOTSUP, reason }
}

impl Unsupported {
    const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = (major, minor);
        self
    }
}

const DEVICES: &str = "the embedded kernel has no devices to do that to";
const FILES: &str = "the embedded kernel does not look into file systems";
const STREAMS: &str = "the embedded kernel does not send or receive in this way";
const DEBUG: &str = "the embedded kernel has no such tool for developers of OpenZFS";
const OTHER_SYSTEM: &str = "Linux has no such thing";

const LIST: &[Unsupported] = &[
    legacy(Ioc::POOL_FREEZE, NameCheck::None, DEBUG),
    legacy(Ioc::POOL_UPGRADE, Pool, DEVICES),
    legacy(Ioc::RECV, Dataset, STREAMS),
    legacy(Ioc::SEND, Dataset, STREAMS),
    legacy(Ioc::INJECT_FAULT, NameCheck::None, DEBUG),
    legacy(Ioc::CLEAR_FAULT, NameCheck::None, DEBUG),
    legacy(Ioc::INJECT_LIST_NEXT, NameCheck::None, DEBUG),
    legacy(Ioc::SET_FSACL, Dataset, FILES),
    legacy(Ioc::GET_FSACL, Dataset, FILES),
    legacy(Ioc::SHARE, Dataset, OTHER_SYSTEM),
    legacy(Ioc::SMB_ACL, Dataset, OTHER_SYSTEM),
    legacy(Ioc::VDEV_SPLIT, Pool, DEVICES),
    legacy(Ioc::TMP_SNAPSHOT, Dataset, FILES),
    refused(Ioc::REMAP, Dataset, keys::NONE, DEVICES),
    legacy(Ioc::POOL_CONDENSE, NameCheck::None, DEVICES).since(2, 5),
    legacy(Ioc::USERNS_ATTACH, NameCheck::None, OTHER_SYSTEM).since(2, 2),
    legacy(Ioc::USERNS_DETACH, NameCheck::None, OTHER_SYSTEM).since(2, 2),
];

/// What is said of an ioctl that is not answered; nothing, where the release does not know it either.
pub(super) fn find(ioc: Ioc, release: (u32, u32)) -> Option<&'static Unsupported> {
    LIST.iter().find(|entry| entry.ioc == ioc && entry.since <= release)
}

/// Whether an ioctl is in the list.
#[cfg(test)]
pub(super) fn is_listed(ioc: Ioc) -> bool {
    LIST.iter().any(|entry| entry.ioc == ioc)
}
