//! The one table from (ioctl, errno) to what it means.
//!
//! An errno means what the operation makes of it: `EBUSY` of a receive is not that of a destroy. [`meaning`] looks for the operation's own
//! meaning first, then for the number's. Facts from OpenZFS 2.1 to 2.4: `module/zfs/zfs_ioctl.c`, `dsl_*.c`, `dmu_send.c`, `dmu_recv.c`, and what
//! `lib/libzfs` and `contrib/pyzfs/libzfs_core/_error_translation.py` know of them.

mod pool;
mod property;
mod transfer;

use crate::error::ErrorKind;
use crate::kernel::{Errno, Ioc, Module};

/// What an errno means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    pub(super) reason: &'static str,
    pub(super) help: Option<&'static str>,
}

const fn say(kind: ErrorKind, reason: &'static str) -> Meaning {
    Meaning { kind, reason, help: None }
}

const fn advise(kind: ErrorKind, reason: &'static str, help: &'static str) -> Meaning {
    Meaning { kind, reason, help: Some(help) }
}

/// What `errno` means when `ioc` gives it.
pub(super) fn meaning(ioc: Ioc, errno: Errno) -> Meaning {
    let own = match ioc {
        Ioc::SNAPSHOT => snapshot(errno),
        Ioc::CREATE | Ioc::CLONE => create(errno),
        Ioc::RENAME => rename(errno),
        Ioc::PROMOTE => promote(errno),
        Ioc::DESTROY => destroy(errno),
        Ioc::DESTROY_SNAPS => destroy_snaps(errno),
        Ioc::ROLLBACK => rollback(errno),
        Ioc::HOLD => hold(errno),
        Ioc::RELEASE => release(errno),
        Ioc::BOOKMARK => bookmark(errno),
        Ioc::GET_BOOKMARK_PROPS => {
            (errno == Errno::ESRCH).then(|| say(ErrorKind::NotFound, "it does not exist"))
        }
        Ioc::LOAD_KEY | Ioc::UNLOAD_KEY | Ioc::CHANGE_KEY => key(ioc, errno),
        Ioc::CHANNEL_PROGRAM => program(errno),
        Ioc::USERSPACE_ONE | Ioc::USERSPACE_MANY | Ioc::USERSPACE_UPGRADE => property::space(errno),
        _ => pool::meaning(ioc, errno).or_else(|| transfer::meaning(ioc, errno)),
    };
    own.unwrap_or_else(|| general(errno))
}

/// What `errno` means when setting or inheriting that property gives it.
pub(super) fn meaning_for_property(ioc: Ioc, property: &str, errno: Errno) -> Meaning {
    property::meaning(property, errno).unwrap_or_else(|| meaning(ioc, errno))
}

fn snapshot(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EEXIST => say(K::Exists, "it exists already"),
        Errno::EXDEV => {
            say(K::Unrelated, "the snapshots are not in one pool, or two are of one dataset")
        }
        Errno::ENOENT => say(K::NotFound, "its dataset does not exist"),
        Errno::ETXTBSY => say(K::Busy, "the dataset is being received into"),
        Errno::EAGAIN => SUSPENDED,
        _ => return None,
    })
}

fn create(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EXDEV => say(K::Unrelated, "the snapshot is in another pool"),
        Errno::EINVAL => {
            say(K::Invalid, "a property or its value does not fit this kind of dataset")
        }
        Errno::EDOM => say(
            K::InvalidProperty,
            "volblocksize must be a power of two from 512 B to 128 KiB, or more where large blocks are enabled",
        ),
        Errno::EOVERFLOW => {
            say(K::InvalidProperty, "volsize is larger than this kernel can address")
        }
        Errno::EACCES => KEY_NOT_LOADED,
        Errno::ZFS_ERR_WRONG_PARENT => {
            say(K::WrongType, "its parent is a zvol, which can have nothing below it")
        }
        _ => return None,
    })
}

fn rename(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EXDEV => say(K::Unrelated, "it cannot move to another pool"),
        Errno::EACCES => say(
            K::EncryptionMismatch,
            "it cannot leave or enter the encryption root it inherits its key from",
        ),
        Errno::ENAMETOOLONG => {
            say(K::InvalidName, "the new name, or that of something below it, would be too long")
        }
        Errno::EBUSY => say(K::Busy, "it is in use"),
        _ => return None,
    })
}

fn promote(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EINVAL => say(K::WrongType, "it is not a clone"),
        Errno::EEXIST => say(K::Exists, "it and its origin have a snapshot of the same name"),
        _ => return None,
    })
}

fn destroy(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EEXIST => advise(
            K::Busy,
            "it has children or snapshots, or clones hang on it",
            "destroy those first",
        ),
        Errno::EBUSY => say(K::Busy, "it is in use"),
        _ => return None,
    })
}

fn destroy_snaps(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EEXIST => advise(
            K::Busy,
            "it has clones",
            "destroy or promote the clones, or ask for a deferred destroy",
        ),
        Errno::EBUSY => advise(
            K::Busy,
            "it is held or in use",
            "release the hold, or ask for a deferred destroy",
        ),
        Errno::EXDEV => say(K::Unrelated, "the snapshots are not in one pool"),
        _ => return None,
    })
}

fn rollback(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EEXIST => advise(
            K::Busy,
            "there are snapshots or bookmarks newer than that",
            "destroy them first, or name the newest",
        ),
        Errno::ESRCH => say(K::NotFound, "it has no snapshot"),
        Errno::ETXTBSY => say(K::Busy, "it is being received into"),
        _ => return None,
    })
}

fn hold(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EEXIST => say(K::Exists, "it is held with this tag already"),
        Errno::E2BIG | Errno::ENAMETOOLONG => say(K::InvalidName, "the tag is too long"),
        Errno::EXDEV => say(K::Unrelated, "the snapshots are not in one pool"),
        Errno::EBADF => say(K::Invalid, "the cleanup handle is not one of this kernel"),
        _ => return None,
    })
}

fn release(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ESRCH => say(K::NotFound, "it is not held with this tag"),
        Errno::ENOENT => say(K::NotFound, "it does not exist, or is not held with this tag"),
        _ => return None,
    })
}

fn bookmark(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EXDEV => say(K::Unrelated, "its source is of another dataset"),
        Errno::ENOENT | Errno::ESRCH => say(K::NotFound, "its source does not exist"),
        Errno::ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR => {
            say(K::Unrelated, "the source bookmark is not an ancestor of the dataset")
        }
        Errno::EEXIST => say(K::Exists, "it exists already"),
        _ => return None,
    })
}

fn key(ioc: Ioc, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EACCES if ioc == Ioc::LOAD_KEY => say(K::WrongKey, "the key does not open it"),
        Errno::EACCES if ioc == Ioc::UNLOAD_KEY => say(K::KeyNotLoaded, "its key is not loaded"),
        Errno::EACCES => KEY_NOT_LOADED,
        Errno::EEXIST => say(K::Exists, "its key is loaded already"),
        Errno::EBUSY => say(K::Busy, "it, or a dataset that inherits its key, is mounted or open"),
        Errno::EINVAL => say(
            K::Invalid,
            "it is not the encryption root, it is not encrypted, or the key has the wrong form",
        ),
        _ => return None,
    })
}

fn program(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EINVAL => {
            say(K::ProgramFailed, "it cannot be parsed, or an argument or limit does not fit")
        }
        Errno::ETIME => advise(
            K::ProgramFailed,
            "it used up its instructions",
            "allow it more, or have it do less",
        ),
        Errno::ENOSPC => {
            advise(K::ProgramFailed, "it used up its memory", "allow it more, or have it do less")
        }
        Errno::ENOMEM => advise(
            K::ProgramFailed,
            "what it returns does not fit into its memory",
            "allow it more, or have it return less",
        ),
        Errno::ECHRNG => say(K::ProgramFailed, "it raised an error"),
        _ => return None,
    })
}

const SUSPENDED: Meaning = advise(
    ErrorKind::PoolSuspended,
    "the pool is suspended",
    "bring its devices back and clear it",
);
const KEY_NOT_LOADED: Meaning = advise(
    ErrorKind::KeyNotLoaded,
    "its key, or that of the dataset it hangs on, is not loaded",
    "load the key",
);

/// What the number means by itself.
pub(super) fn general(errno: Errno) -> Meaning {
    use ErrorKind as K;
    let kind = match errno {
        Errno::ENOENT | Errno::ESRCH => K::NotFound,
        Errno::EEXIST | Errno::ENOTUNIQ => K::Exists,
        Errno::EBUSY | Errno::ENOTEMPTY => K::Busy,
        Errno::EXDEV | Errno::ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR => K::Unrelated,
        Errno::ZFS_ERR_WRONG_PARENT => K::WrongType,
        Errno::EPERM => {
            return advise(
                K::Denied,
                "permission denied",
                "run as root, or have it delegated (zfs allow)",
            );
        }
        Errno::EACCES => {
            return advise(K::KeyNotLoaded, "access denied: its key is not loaded", "load the key");
        }
        Errno::EROFS => return say(K::ReadOnly, "it, or its pool, is read-only"),
        Errno::ENOSPC => {
            return advise(
                K::NoSpace,
                "out of space",
                "destroy something, or add a device to the pool",
            );
        }
        Errno::EDQUOT => {
            return advise(
                K::QuotaExceeded,
                "a quota or limit is reached",
                "raise it, or destroy something",
            );
        }
        Errno::ENAMETOOLONG => K::InvalidName,
        Errno::EINVAL
        | Errno::E2BIG
        | Errno::EBADF
        | Errno::EDOM
        | Errno::ERANGE
        | Errno::EOVERFLOW
        | Errno::ENOTDIR
        | Errno::EISDIR
        | Errno::ZFS_ERR_IOC_ARG_REQUIRED
        | Errno::ZFS_ERR_IOC_ARG_BADTYPE
        | Errno::ZFS_ERR_NOT_USER_NAMESPACE
        | Errno::ZFS_ERR_ASHIFT_MISMATCH => K::Invalid,
        Errno::ZFS_ERR_BADPROP => K::InvalidProperty,
        Errno::ENOMEM => K::TooLarge,
        Errno::ENOTSUP => {
            return advise(
                K::FeatureDisabled,
                "the pool lacks a feature that it needs",
                "enable the pool's features",
            );
        }
        Errno::ZFS_ERR_VDEV_NOTSUP | Errno::ZFS_ERR_STREAM_LARGE_MICROZAP => K::FeatureDisabled,
        Errno::ENOTTY | Errno::ENXIO | Errno::ENODEV => K::NoModule,
        Errno::ZFS_ERR_IOC_CMD_UNAVAIL
        | Errno::ZFS_ERR_IOC_ARG_UNAVAIL
        | Errno::ZFS_ERR_NO_USER_NS_SUPPORT => K::Unsupported,
        Errno::EAGAIN => return SUSPENDED,
        Errno::EIO => {
            return advise(
                K::Io,
                "reading or writing failed",
                "see which devices the pool's status names",
            );
        }
        Errno::EBADE => {
            return say(K::Corrupt, "what is on disk is damaged (a checksum does not match)");
        }
        Errno::EINTR => K::Interrupted,
        Errno::ECANCELED => K::Cancelled,
        Errno::ETIMEDOUT | Errno::ETIME => K::TimedOut,
        Errno::EPIPE => K::Disconnected,
        Errno::EALREADY
        | Errno::EINPROGRESS
        | Errno::ZFS_ERR_CHECKPOINT_EXISTS
        | Errno::ZFS_ERR_DISCARDING_CHECKPOINT
        | Errno::ZFS_ERR_DEVRM_IN_PROGRESS
        | Errno::ZFS_ERR_EXPORT_IN_PROGRESS
        | Errno::ZFS_ERR_RESILVER_IN_PROGRESS
        | Errno::ZFS_ERR_REBUILD_IN_PROGRESS
        | Errno::ZFS_ERR_RAIDZ_EXPAND_IN_PROGRESS => K::InProgress,
        Errno::EPROTO => K::Protocol,
        Errno::ZFS_ERR_NO_CHECKPOINT => K::NotFound,
        Errno::ZFS_ERR_RESUME_EXISTS => {
            return advise(K::ResumePending, errno.reason(), "resume it, or abort it");
        }
        Errno::ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE => {
            return advise(
                K::StreamUnsupported,
                errno.reason(),
                "load a newer module, or send it without that feature",
            );
        }
        Errno::ZFS_ERR_SPILL_BLOCK_FLAG_MISSING => K::StreamUnsupported,
        Errno::ZFS_ERR_STREAM_TRUNCATED => {
            return advise(K::StreamTruncated, errno.reason(), "send it again");
        }
        Errno::ZFS_ERR_STREAM_LARGE_BLOCK_MISMATCH => K::StreamUnsupported,
        Errno::ZFS_ERR_FROM_IVSET_GUID_MISSING | Errno::ZFS_ERR_FROM_IVSET_GUID_MISMATCH => {
            return advise(
                K::EncryptionMismatch,
                errno.reason(),
                "raw increments follow a raw full stream: send that first",
            );
        }
        Errno::ZFS_ERR_CRYPTO_NOTSUP => K::EncryptionMismatch,
        Errno::ETXTBSY => K::DestinationModified,
        Errno::EREMOTEIO => K::PoolUnavailable,
        _ => K::Other,
    };
    say(kind, errno.reason())
}

/// The reason and the advice when the module does not know an operation or an argument of it: both versions are named.
pub(super) fn too_old(ioc: Ioc, errno: Errno, module: &Module) -> (String, &'static str) {
    let version = &module.version;
    let reason = match (errno, introduced(ioc)) {
        (Errno::ZFS_ERR_IOC_CMD_UNAVAIL, Some(release)) => {
            return came_with(&ioc.to_string(), release, module);
        }
        (Errno::ZFS_ERR_IOC_CMD_UNAVAIL, None) => {
            format!("the loaded module is OpenZFS {version}, which does not know {ioc}")
        }
        _ => format!(
            "the loaded module is OpenZFS {version}, which does not know an argument of {ioc}"
        ),
    };
    (reason, TOO_OLD_HELP)
}

/// The reason and the advice when what was asked came with a later release.
pub(super) fn came_with(
    what: &str,
    release: (u32, u32),
    module: &Module,
) -> (String, &'static str) {
    let (major, minor) = release;
    let reason = format!(
        "the loaded module is OpenZFS {}, and {what} came with {major}.{minor}",
        module.version
    );
    (reason, TOO_OLD_HELP)
}

const TOO_OLD_HELP: &str = "load a newer module, or do without";

/// The release that brought the ioctl, for those newer than 2.0. From `include/sys/fs/zfs.h` of each release.
pub(super) fn introduced(ioc: Ioc) -> Option<(u32, u32)> {
    match ioc {
        Ioc::VDEV_GET_PROPS
        | Ioc::VDEV_SET_PROPS
        | Ioc::POOL_SCRUB
        | Ioc::USERNS_ATTACH
        | Ioc::USERNS_DETACH => Some((2, 2)),
        Ioc::POOL_PREFETCH | Ioc::DDT_PRUNE => Some((2, 3)),
        Ioc::POOL_CONDENSE => Some((2, 5)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_gives_an_errno_its_own_meaning() {
        assert_eq!(meaning(Ioc::DESTROY_SNAPS, Errno::EEXIST).kind, ErrorKind::Busy);
        assert_eq!(meaning(Ioc::SNAPSHOT, Errno::EEXIST).kind, ErrorKind::Exists);
        assert_eq!(meaning(Ioc::LOAD_KEY, Errno::EACCES).kind, ErrorKind::WrongKey);
        assert_eq!(meaning(Ioc::CREATE, Errno::ENOSPC).kind, ErrorKind::NoSpace);
    }

    #[test]
    fn an_older_module_is_named_with_both_versions() {
        let (reason, _) =
            too_old(Ioc::DDT_PRUNE, Errno::ZFS_ERR_IOC_CMD_UNAVAIL, &Module::for_tests("2.1.11-1"));
        assert_eq!(
            reason,
            "the loaded module is OpenZFS 2.1.11-1, and ZFS_IOC_DDT_PRUNE came with 2.3"
        );
    }
}
