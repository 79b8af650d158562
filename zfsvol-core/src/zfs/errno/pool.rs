//! What errnos mean when an operation on a pool or its devices gives them.
//!
//! Facts from OpenZFS 2.1 to 2.4: `module/zfs/spa.c`, `vdev*.c`, and what `lib/libzfs/libzfs_pool.c` knows of them.

use super::{Meaning, advise, say};
use crate::error::ErrorKind;
use crate::kernel::{Errno, Ioc};

/// What `errno` means when `ioc`, an operation on a pool, gives it.
pub(super) fn meaning(ioc: Ioc, errno: Errno) -> Option<Meaning> {
    match ioc {
        Ioc::POOL_CREATE => create(errno),
        Ioc::POOL_DESTROY | Ioc::POOL_EXPORT => close(errno),
        _ => None,
    }
}

fn create(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EEXIST => say(K::Exists, "there is a pool of that name"),
        Errno::EBUSY => advise(
            K::Busy,
            "a device is in use, or was named twice",
            "unmount it or destroy the pool it is in, and name each device once",
        ),
        Errno::ENXIO => say(K::PoolUnavailable, "a device cannot be opened"),
        Errno::EOVERFLOW => say(K::Invalid, "a device is too small: the least is 64 MiB"),
        Errno::ENOSPC => say(K::NoSpace, "a device is out of space"),
        Errno::EDOM => say(K::Invalid, "the ashift does not fit: a device has larger sectors"),
        Errno::ERANGE => say(K::InvalidProperty, "the record size is out of range"),
        Errno::EINVAL => {
            say(K::Invalid, "the vdevs do not make a pool, or a property or its value is not known")
        }
        Errno::ENOTSUP => {
            say(K::FeatureDisabled, "a vdev or property needs a feature that is not to be enabled")
        }
        _ => return None,
    })
}

fn close(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EBUSY => advise(
            K::Busy,
            "a file system of it is mounted, a zvol of it is open, or it is in use otherwise",
            "unmount and close what is in it",
        ),
        Errno::EXDEV => {
            say(K::Busy, "one of its spares is in use by another pool, which would lose it")
        }
        Errno::EROFS => say(K::ReadOnly, "it is imported read-only"),
        _ => return None,
    })
}
