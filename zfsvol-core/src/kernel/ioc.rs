//! [`Ioc`]: the numbers of the ioctls of `/dev/zfs`.
//!
//! From OpenZFS 2.4 `include/sys/fs/zfs.h`, `zfs_ioc_t`. They are plain numbers, not `_IOWR` codes, and no release from 2.0 on
//! has changed one. A test compares each with the tables printed from the headers of every supported release.

use std::fmt;

/// One ioctl of `/dev/zfs`. Linux numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ioc(u32);

/// One line an ioctl: constant, number.
macro_rules! iocs {
    ($($name:ident = $number:literal;)*) => {
        #[allow(missing_docs, reason = "each constant is the ZFS_IOC_ of that name")]
        #[allow(clippy::allow_attributes, reason = "inside a macro, where expect cannot be fulfilled once for all")]
        impl Ioc {
            $(pub const $name: Self = Self($number);)*
        }

        const KNOWN: &[(Ioc, &str)] = &[$((Ioc::$name, concat!("ZFS_IOC_", stringify!($name))),)*];
    };
}

iocs! {
    POOL_CREATE = 0x5a00;
    POOL_DESTROY = 0x5a01;
    POOL_IMPORT = 0x5a02;
    POOL_EXPORT = 0x5a03;
    POOL_CONFIGS = 0x5a04;
    POOL_STATS = 0x5a05;
    POOL_TRYIMPORT = 0x5a06;
    POOL_SCAN = 0x5a07;
    POOL_FREEZE = 0x5a08;
    POOL_UPGRADE = 0x5a09;
    POOL_GET_HISTORY = 0x5a0a;
    VDEV_ADD = 0x5a0b;
    VDEV_REMOVE = 0x5a0c;
    VDEV_SET_STATE = 0x5a0d;
    VDEV_ATTACH = 0x5a0e;
    VDEV_DETACH = 0x5a0f;
    VDEV_SETPATH = 0x5a10;
    VDEV_SETFRU = 0x5a11;
    OBJSET_STATS = 0x5a12;
    OBJSET_ZPLPROPS = 0x5a13;
    DATASET_LIST_NEXT = 0x5a14;
    SNAPSHOT_LIST_NEXT = 0x5a15;
    SET_PROP = 0x5a16;
    CREATE = 0x5a17;
    DESTROY = 0x5a18;
    ROLLBACK = 0x5a19;
    RENAME = 0x5a1a;
    RECV = 0x5a1b;
    SEND = 0x5a1c;
    INJECT_FAULT = 0x5a1d;
    CLEAR_FAULT = 0x5a1e;
    INJECT_LIST_NEXT = 0x5a1f;
    ERROR_LOG = 0x5a20;
    CLEAR = 0x5a21;
    PROMOTE = 0x5a22;
    SNAPSHOT = 0x5a23;
    DSOBJ_TO_DSNAME = 0x5a24;
    OBJ_TO_PATH = 0x5a25;
    POOL_SET_PROPS = 0x5a26;
    POOL_GET_PROPS = 0x5a27;
    SET_FSACL = 0x5a28;
    GET_FSACL = 0x5a29;
    SHARE = 0x5a2a;
    INHERIT_PROP = 0x5a2b;
    SMB_ACL = 0x5a2c;
    USERSPACE_ONE = 0x5a2d;
    USERSPACE_MANY = 0x5a2e;
    USERSPACE_UPGRADE = 0x5a2f;
    HOLD = 0x5a30;
    RELEASE = 0x5a31;
    GET_HOLDS = 0x5a32;
    OBJSET_RECVD_PROPS = 0x5a33;
    VDEV_SPLIT = 0x5a34;
    NEXT_OBJ = 0x5a35;
    DIFF = 0x5a36;
    TMP_SNAPSHOT = 0x5a37;
    OBJ_TO_STATS = 0x5a38;
    SPACE_WRITTEN = 0x5a39;
    SPACE_SNAPS = 0x5a3a;
    DESTROY_SNAPS = 0x5a3b;
    POOL_REGUID = 0x5a3c;
    POOL_REOPEN = 0x5a3d;
    SEND_PROGRESS = 0x5a3e;
    LOG_HISTORY = 0x5a3f;
    SEND_NEW = 0x5a40;
    SEND_SPACE = 0x5a41;
    CLONE = 0x5a42;
    BOOKMARK = 0x5a43;
    GET_BOOKMARKS = 0x5a44;
    DESTROY_BOOKMARKS = 0x5a45;
    RECV_NEW = 0x5a46;
    POOL_SYNC = 0x5a47;
    CHANNEL_PROGRAM = 0x5a48;
    LOAD_KEY = 0x5a49;
    UNLOAD_KEY = 0x5a4a;
    CHANGE_KEY = 0x5a4b;
    REMAP = 0x5a4c;
    POOL_CHECKPOINT = 0x5a4d;
    POOL_DISCARD_CHECKPOINT = 0x5a4e;
    POOL_INITIALIZE = 0x5a4f;
    POOL_TRIM = 0x5a50;
    REDACT = 0x5a51;
    GET_BOOKMARK_PROPS = 0x5a52;
    WAIT = 0x5a53;
    WAIT_FS = 0x5a54;
    VDEV_GET_PROPS = 0x5a55;
    VDEV_SET_PROPS = 0x5a56;
    POOL_SCRUB = 0x5a57;
    POOL_PREFETCH = 0x5a58;
    DDT_PRUNE = 0x5a59;
    POOL_CONDENSE = 0x5a5a;
    EVENTS_NEXT = 0x5a81;
    EVENTS_CLEAR = 0x5a82;
    EVENTS_SEEK = 0x5a83;
    USERNS_ATTACH = 0x5a85;
    USERNS_DETACH = 0x5a86;
    SET_BOOTENV = 0x5a87;
    GET_BOOTENV = 0x5a88;
}

impl Ioc {
    /// Every ioctl this library knows, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        KNOWN.iter().map(|(ioc, _)| *ioc)
    }

    /// The number handed to `ioctl(2)`.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The ioctl of that number, if this library knows it.
    pub fn from_number(number: u32) -> Option<Self> {
        KNOWN.iter().find(|(ioc, _)| ioc.0 == number).map(|(ioc, _)| *ioc)
    }

    /// Its name in OpenZFS, `ZFS_IOC_SNAPSHOT`.
    pub fn name(self) -> &'static str {
        KNOWN.iter().find(|(ioc, _)| *ioc == self).map_or("ZFS_IOC_?", |(_, name)| name)
    }
}

impl fmt::Display for Ioc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Ioc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::layout::TABLES;

    #[test]
    fn every_number_is_that_of_the_headers() {
        for (release, table) in TABLES {
            let mut compared = 0;
            for ioc in Ioc::all() {
                let line = format!("number {} ", ioc.name());
                if let Some(number) = table.lines().find_map(|l| l.strip_prefix(&line)) {
                    assert_eq!(number, ioc.number().to_string(), "{ioc} of {release}");
                    compared += 1;
                }
            }
            assert!(compared >= 90, "{release}: {compared}");
        }
    }

    #[test]
    fn numbers_and_names_go_both_ways() {
        for ioc in Ioc::all() {
            assert_eq!(Ioc::from_number(ioc.number()), Some(ioc));
            assert!(ioc.name().starts_with("ZFS_IOC_"));
        }
        assert_eq!(Ioc::from_number(0x5aff), None);
        assert_eq!(Ioc::SNAPSHOT.number(), 0x5a23);
    }
}
