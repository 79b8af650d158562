//! What errnos mean when setting or inheriting one property gives them.
//!
//! Facts from OpenZFS 2.1 to 2.4: `module/zfs/zfs_ioctl.c` (zfs_check_settable, zfs_prop_set_special), `dsl_dir.c`, `dsl_dataset.c`, `zvol.c`, and
//! what `lib/libzfs/libzfs_util.c`, zfs_setprop_error, knows of them.

use super::{Meaning, advise, say};
use crate::error::ErrorKind;
use crate::kernel::Errno;

/// What `errno` means when the kernel gives it for that property of a dataset.
pub(super) fn meaning(property: &str, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    if property.contains("quota@") {
        return quota(errno);
    }
    Some(match (property, errno) {
        ("quota" | "refquota", Errno::ENOSPC) => {
            say(K::QuotaExceeded, "it is less than is used or reserved already")
        }
        ("reservation" | "refreservation", Errno::ENOSPC) => {
            say(K::NoSpace, "it is more than is available, or than the quota allows")
        }
        ("volsize", Errno::EINVAL) => {
            say(K::InvalidProperty, "it must be a multiple of volblocksize, and not zero")
        }
        ("volsize", Errno::EROFS) => {
            advise(K::ReadOnly, "the zvol is read-only", "set readonly to off first")
        }
        ("volsize" | "volthreading", Errno::ENOENT | Errno::ENOTSUP) => {
            say(K::WrongType, "it is not a zvol")
        }
        ("keylocation", Errno::EACCES) => {
            say(K::InvalidProperty, "only an encryption root has a place of its key")
        }
        ("keylocation", Errno::EINVAL) => {
            say(K::InvalidProperty, "an encrypted dataset must say where its key is")
        }
        ("version", Errno::EINVAL) => {
            say(K::InvalidProperty, "a file system cannot go back to an older version")
        }
        ("recordsize" | "volblocksize", Errno::ERANGE | Errno::EDOM) => {
            say(K::InvalidProperty, "it is larger than the module allows (zfs_max_recordsize)")
        }
        ("filesystem_limit" | "snapshot_limit", Errno::ENOTSUP) => {
            say(K::FeatureDisabled, "the pool has not the feature filesystem_limits")
        }
        (_, Errno::ENOTSUP) => advise(
            K::FeatureDisabled,
            "the pool or the file system lacks what this value needs",
            "enable the pool's features",
        ),
        (_, Errno::ERANGE | Errno::EDOM) => {
            say(K::InvalidProperty, "the value is outside what the module allows")
        }
        (_, Errno::EINVAL | Errno::ZFS_ERR_BADPROP) => {
            say(K::InvalidProperty, "the module does not take this value here")
        }
        (_, Errno::E2BIG) => say(K::TooLarge, "the value is too long for this pool"),
        (_, Errno::ENAMETOOLONG) => say(K::TooLarge, "the name is too long"),
        (_, Errno::EOVERFLOW) => {
            say(K::InvalidProperty, "it is larger than the module can address")
        }
        _ => return None,
    })
}

/// What `errno` means when a quota of a user, group or project gives it.
fn quota(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EINVAL => say(K::WrongType, "it is not a file system, or there is no such id"),
        _ => return space(errno),
    })
}

/// What `errno` means when the space and quotas of owners give it.
pub(super) fn space(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOTSUP => advise(
            K::FeatureDisabled,
            "it does not count what they take",
            "enable the pool's feature project_quota, or upgrade_userspace an old file system",
        ),
        Errno::EINVAL => say(K::WrongType, "it is not a file system"),
        _ => return None,
    })
}
