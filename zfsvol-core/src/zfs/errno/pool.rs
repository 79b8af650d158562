//! What errnos mean when an operation on a pool or its devices gives them.
//!
//! Facts from OpenZFS 2.1 to 2.4: `module/zfs/spa.c`, `spa_checkpoint.c`, `dsl_scan.c`, `vdev*.c`, and what `lib/libzfs/libzfs_pool.c` and
//! `libzfs_util.c` know of them.

use super::{Meaning, advise, say};
use crate::error::ErrorKind as K;
use crate::kernel::{Errno, Ioc};

/// What `errno` means when `ioc`, an operation on a pool, gives it.
pub(super) fn meaning(ioc: Ioc, errno: Errno) -> Option<Meaning> {
    let own = match ioc {
        Ioc::POOL_CREATE => create(errno),
        Ioc::POOL_DESTROY | Ioc::POOL_EXPORT => close(errno),
        Ioc::POOL_IMPORT => import(errno),
        Ioc::POOL_SET_PROPS | Ioc::VDEV_SET_PROPS | Ioc::VDEV_GET_PROPS => properties(errno),
        Ioc::POOL_SCAN | Ioc::POOL_SCRUB => scan(errno),
        Ioc::POOL_CHECKPOINT | Ioc::POOL_DISCARD_CHECKPOINT => checkpoint(errno),
        Ioc::WAIT => wait(errno),
        Ioc::WAIT_FS => return wait(errno),
        Ioc::DDT_PRUNE => prune(errno),
        Ioc::VDEV_ADD => add(errno),
        Ioc::VDEV_ATTACH => attach(errno),
        Ioc::VDEV_DETACH => detach(errno),
        Ioc::VDEV_REMOVE => remove(errno),
        Ioc::VDEV_SET_STATE => state(errno),
        Ioc::VDEV_SPLIT => split(errno),
        Ioc::CLEAR => clear(errno),
        Ioc::POOL_REGUID => reguid(errno),
        Ioc::SET_BOOTENV => bootenv(errno),
        Ioc::EVENTS_SEEK => event(errno),
        Ioc::POOL_UPGRADE => upgrade(errno),
        Ioc::POOL_GET_PROPS => get_properties(errno),
        Ioc::POOL_STATS
        | Ioc::POOL_GET_HISTORY
        | Ioc::POOL_SYNC
        | Ioc::POOL_REOPEN
        | Ioc::POOL_INITIALIZE
        | Ioc::POOL_TRIM
        | Ioc::POOL_PREFETCH
        | Ioc::POOL_CONDENSE
        | Ioc::VDEV_SETPATH
        | Ioc::ERROR_LOG
        | Ioc::GET_BOOTENV => None,
        _ => return None,
    };
    own.or_else(|| of_pools(errno))
}

/// What all operations on pools have in common (`zpool_standard_error`).
fn of_pools(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ENOENT => say(K::NotFound, "there is no such pool"),
        Errno::ENXIO => say(K::PoolUnavailable, "a device it needs is missing or cannot be opened"),
        Errno::ENODEV => say(K::NotFound, "the pool has no such device"),
        Errno::EROFS => say(K::ReadOnly, "the pool is imported read-only"),
        Errno::ENOTSUP => say(K::FeatureDisabled, "the pool's version or features do not allow it"),
        Errno::EREMOTEIO => {
            advise(K::PoolUnavailable, "another host has it in use", "export it there")
        }
        Errno::EIO => say(K::Io, "reading from or writing to its devices failed"),
        Errno::EPERM => advise(K::Denied, "permission denied", "run as root"),
        _ => return None,
    })
}

fn create(errno: Errno) -> Option<Meaning> {
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
    Some(match errno {
        Errno::EBUSY => advise(
            K::Busy,
            "a file system of it is mounted, a zvol of it is open, or it is in use otherwise",
            "unmount and close what is in it",
        ),
        Errno::EXDEV => {
            say(K::Busy, "one of its spares is in use by another pool, which would lose it")
        }
        _ => return None,
    })
}

fn import(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::EEXIST => {
            advise(K::Exists, "a pool of that name is imported", "import it under another name")
        }
        Errno::EBUSY => say(K::Busy, "a device of it is in use"),
        Errno::EINVAL => say(K::Corrupt, "its configuration is not valid"),
        Errno::ENXIO => say(K::PoolUnavailable, "devices of it are missing"),
        Errno::EROFS => {
            advise(K::ReadOnly, "a device of it cannot be written", "import it read-only")
        }
        Errno::ENOTSUP => {
            say(K::Unsupported, "the loaded module does not know its version or a feature of it")
        }
        Errno::EBADE => say(K::Corrupt, "what is on its devices is damaged"),
        Errno::EIO => advise(
            K::Io,
            "what is on its devices cannot be read",
            "a rewind may help, at the price of what was written last",
        ),
        Errno::ZFS_ERR_NO_CHECKPOINT => say(K::NotFound, "it has no checkpoint"),
        Errno::ENAMETOOLONG => {
            say(K::InvalidName, "with the new name, that of a dataset would be too long")
        }
        Errno::ENOENT => say(K::PoolUnavailable, "its devices hold no usable pool"),
        _ => return None,
    })
}

fn properties(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ENOENT => say(K::NotFound, "there is no such pool or vdev"),
        Errno::EINVAL => say(K::InvalidProperty, "there is no such property, or not that value"),
        Errno::ENOTSUP => {
            say(K::InvalidProperty, "the pool's version, features or state do not allow that value")
        }
        Errno::ERANGE | Errno::EDOM => say(K::InvalidProperty, "the value is out of range"),
        Errno::EBUSY => say(K::Busy, "a device is being removed, or is the last of its kind"),
        Errno::ENOTACTIVE => say(K::NotFound, "the device is not being removed"),
        _ => return None,
    })
}

/// 2.1 loses the errno, whatever it was (OpenZFS 2.1 `module/zfs/zfs_ioctl.c`, `zfs_ioc_pool_get_props`).
fn get_properties(errno: Errno) -> Option<Meaning> {
    (errno == Errno::EFAULT).then_some(say(K::NotFound, "there is no such pool"))
}

fn scan(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::EBUSY => say(K::InProgress, "a scrub or resilver is running, or paused already"),
        Errno::ENOTSUP => {
            say(K::FeatureDisabled, "the pool lacks the feature for it, or one is running")
        }
        _ => return None,
    })
}

fn checkpoint(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ZFS_ERR_CHECKPOINT_EXISTS => {
            advise(K::InProgress, errno.reason(), "discard that checkpoint first")
        }
        Errno::ZFS_ERR_VDEV_TOO_BIG => {
            say(K::Invalid, "one of the devices is larger than what a checkpoint can handle")
        }
        Errno::ENOTSUP => say(K::FeatureDisabled, "the pool lacks the feature 'zpool_checkpoint'"),
        _ => return None,
    })
}

fn wait(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ECANCELED => say(K::Cancelled, "it is being exported, unmounted or destroyed"),
        Errno::EINVAL => say(K::Invalid, "that activity cannot be waited for so"),
        _ => return None,
    })
}

fn prune(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ENOTSUP => say(K::FeatureDisabled, "the pool lacks the feature 'fast_dedup'"),
        Errno::EALREADY => say(K::InProgress, "its table is being pruned already"),
        _ => return None,
    })
}

fn add(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::EBUSY => say(K::Busy, "a device is in use, or was named twice"),
        Errno::EINVAL => say(
            K::Invalid,
            "the vdevs do not go with those of the pool: a removal or its data forbid that kind",
        ),
        Errno::EOVERFLOW => say(K::Invalid, "a device is too small: the least is 64 MiB"),
        Errno::ENOTSUP => {
            say(K::FeatureDisabled, "the pool's version or features do not allow such a vdev")
        }
        Errno::EDOM => say(K::Invalid, "the ashift does not fit: a device has larger sectors"),
        _ => return None,
    })
}

fn attach(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ENOTSUP => say(
            K::Invalid,
            "that vdev takes no more devices: it is no device, mirror or expandable raidz, or a resilver runs",
        ),
        Errno::EINVAL => say(K::Invalid, "the new device must be a single file or disk"),
        Errno::EBUSY => {
            say(K::Busy, "the new device is in use, or a resilver or removal is running")
        }
        Errno::EOVERFLOW => say(K::Invalid, "the new device is too small"),
        Errno::EDOM => say(K::Invalid, "the new device has larger sectors than the vdev allows"),
        Errno::ENAMETOOLONG => say(K::TooLarge, "the path of the device is too long"),
        _ => return None,
    })
}

fn detach(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ENOTSUP => say(K::Invalid, "it is not in a mirror, and is replacing nothing"),
        Errno::EBUSY => advise(
            K::Busy,
            "the others do not have all of its data yet",
            "wait for the resilver to end",
        ),
        _ => return None,
    })
}

fn remove(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::EALREADY => say(K::InProgress, "it is being removed already"),
        Errno::ENOTACTIVE => say(K::NotFound, "no device is being removed"),
        Errno::EINVAL => say(
            K::Invalid,
            "such a vdev cannot be removed: all must be single devices or mirrors of one sector size",
        ),
        Errno::EBUSY => {
            say(K::Busy, "it is the last one, or in use, or another operation is running")
        }
        Errno::EACCES => advise(
            K::KeyNotLoaded,
            "its log has blocks of a dataset whose key is not loaded",
            "load the key and mount it",
        ),
        Errno::ENOSPC => say(K::NoSpace, "the others have no room for what is on it"),
        _ => return None,
    })
}

fn state(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::EBUSY => say(K::Busy, "too few others have its data"),
        Errno::EEXIST => say(K::Busy, "it has log blocks that are not replayed"),
        Errno::ENOTSUP => say(K::Invalid, "it is a spare or a cache device, or no device"),
        _ => return None,
    })
}

fn split(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::EEXIST => say(K::Exists, "there is a pool of the new name"),
        Errno::EINVAL | Errno::ENOTSUP => {
            say(K::Invalid, "a pool can be split when all its vdevs are healthy mirrors")
        }
        _ => return None,
    })
}

fn clear(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        // The ioctl looks the pool up itself.
        Errno::EIO => advise(
            K::Io,
            "there is no such pool, or its devices still fail",
            "bring its devices back first",
        ),
        Errno::EREMOTEIO => {
            say(K::PoolUnavailable, "another host may have imported it meanwhile (multihost)")
        }
        _ => return None,
    })
}

fn reguid(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ENXIO => say(K::PoolUnavailable, "not all of its devices are online"),
        Errno::EEXIST => say(K::Exists, "a pool of that GUID is imported"),
        _ => return None,
    })
}

fn bootenv(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::E2BIG => say(K::TooLarge, "it does not fit into the 8 KiB a label has for it"),
        _ => return None,
    })
}

fn event(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::ENOENT => say(K::NotFound, "the event is not kept any more"),
        Errno::EBADF => say(K::Invalid, "the handle is not one of this kernel"),
        _ => return None,
    })
}

fn upgrade(errno: Errno) -> Option<Meaning> {
    Some(match errno {
        Errno::EINVAL => say(K::Invalid, "the pool has that version, or a newer one"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pools_have_in_common_is_known_for_each_operation() {
        assert_eq!(meaning(Ioc::VDEV_ADD, Errno::ENOENT).unwrap().kind, K::NotFound);
        assert_eq!(meaning(Ioc::POOL_SCRUB, Errno::EBUSY).unwrap().kind, K::InProgress);
        assert_eq!(meaning(Ioc::VDEV_DETACH, Errno::EBUSY).unwrap().kind, K::Busy);
        assert_eq!(meaning(Ioc::POOL_IMPORT, Errno::EIO).unwrap().kind, K::Io);
        assert_eq!(meaning(Ioc::SNAPSHOT, Errno::ENXIO), None);
        assert_eq!(meaning(Ioc::POOL_CREATE, Errno::EAGAIN), None);
    }
}
