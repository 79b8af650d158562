//! [`Errno`]: the numbers a kernel answers with, the system's own and OpenZFS's.

use std::fmt;

/// An error number as a kernel gives it. Nothing is interpreted here: what it means depends on the operation.
///
/// `Display` prints its name (`ENOSPC`, `ZFS_ERR_IOC_CMD_UNAVAIL`), [`Errno::reason`] what it says by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

/// One line a number: constant, value, what it says by itself.
macro_rules! errnos {
    ($($name:ident = $value:expr, $reason:literal;)*) => {
        #[allow(missing_docs, reason = "each constant is the errno of that name")]
        #[allow(clippy::allow_attributes, reason = "inside a macro, where expect cannot be fulfilled once for all")]
        impl Errno {
            $(pub const $name: Self = Self($value);)*
        }

        const KNOWN: &[(Errno, &str, &str)] = &[$((Errno::$name, stringify!($name), $reason),)*];
    };
}

errnos! {
    EPERM = libc::EPERM, "permission denied";
    ENOENT = libc::ENOENT, "it does not exist";
    EINTR = libc::EINTR, "a signal interrupted it";
    EIO = libc::EIO, "reading or writing failed";
    ENXIO = libc::ENXIO, "no such device or address";
    E2BIG = libc::E2BIG, "the argument is too big";
    EBADF = libc::EBADF, "the file descriptor cannot be used for it";
    EAGAIN = libc::EAGAIN, "the pool is suspended, or a resource is not available now";
    ENOMEM = libc::ENOMEM, "not enough memory";
    EACCES = libc::EACCES, "access denied";
    EFAULT = libc::EFAULT, "bad address";
    EBUSY = libc::EBUSY, "it is busy";
    EEXIST = libc::EEXIST, "it exists already";
    EXDEV = libc::EXDEV, "the two are in different pools or not related";
    ENODEV = libc::ENODEV, "no such device";
    ENOTDIR = libc::ENOTDIR, "not a directory";
    EISDIR = libc::EISDIR, "it is a directory";
    EINVAL = libc::EINVAL, "the kernel refused an argument";
    ENOTTY = libc::ENOTTY, "the device does not know this operation; is it /dev/zfs?";
    EFBIG = libc::EFBIG, "too big";
    ENOSPC = libc::ENOSPC, "out of space";
    ESPIPE = libc::ESPIPE, "illegal seek";
    EROFS = libc::EROFS, "it is read-only";
    EPIPE = libc::EPIPE, "the other end is closed";
    EDOM = libc::EDOM, "a value is out of range";
    ERANGE = libc::ERANGE, "a value is out of range";
    ENAMETOOLONG = libc::ENAMETOOLONG, "the name is too long";
    ENOTEMPTY = libc::ENOTEMPTY, "it is not empty";
    ELOOP = libc::ELOOP, "the names form a loop";
    ENODATA = libc::ENODATA, "no data";
    ETIME = libc::ETIME, "it took too long";
    EPROTO = libc::EPROTO, "the answer is not what was expected";
    EBADE = libc::EBADE, "a checksum does not match";
    ENOTSUP = libc::EOPNOTSUPP, "not supported";
    EDQUOT = libc::EDQUOT, "a quota or limit is reached";
    ESHUTDOWN = libc::ESHUTDOWN, "it is shutting down";
    ETIMEDOUT = libc::ETIMEDOUT, "it timed out";
    EALREADY = libc::EALREADY, "it is in progress already";
    EINPROGRESS = libc::EINPROGRESS, "it is in progress";
    ESTALE = libc::ESTALE, "it is stale";
    EREMOTEIO = libc::EREMOTEIO, "the pool was last in use by another system";
    ECANCELED = libc::ECANCELED, "it was cancelled";
    ENOTACTIVE = libc::ENOANO, "it is not active";
    ETXTBSY = libc::ETXTBSY, "it was modified";
    ECHRNG = libc::ECHRNG, "a channel program used up its instructions";
    ENOTUNIQ = libc::ENOTUNIQ, "a name appears twice";
    EOVERFLOW = libc::EOVERFLOW, "a value is too large";
    ESRCH = libc::ESRCH, "no such tag or entry";
    ZFS_ERR_CHECKPOINT_EXISTS = 1024, "the pool has a checkpoint";
    ZFS_ERR_DISCARDING_CHECKPOINT = 1025, "the pool's checkpoint is being discarded";
    ZFS_ERR_NO_CHECKPOINT = 1026, "the pool has no checkpoint";
    ZFS_ERR_DEVRM_IN_PROGRESS = 1027, "a device is being removed";
    ZFS_ERR_VDEV_TOO_BIG = 1028, "a device is too big for the pool";
    ZFS_ERR_IOC_CMD_UNAVAIL = 1029, "the loaded module does not know this operation";
    ZFS_ERR_IOC_ARG_UNAVAIL = 1030, "the loaded module does not know an argument of this operation";
    ZFS_ERR_IOC_ARG_REQUIRED = 1031, "an argument that the loaded module needs is missing";
    ZFS_ERR_IOC_ARG_BADTYPE = 1032, "an argument has not the type that the loaded module expects";
    ZFS_ERR_WRONG_PARENT = 1033, "the parent is not a file system";
    ZFS_ERR_FROM_IVSET_GUID_MISSING = 1034, "the snapshot it starts from lacks the encryption data (IV set GUID) to match it by";
    ZFS_ERR_FROM_IVSET_GUID_MISMATCH = 1035, "the snapshot it starts from is not the one the stream was made from (IV set GUID)";
    ZFS_ERR_SPILL_BLOCK_FLAG_MISSING = 1036, "a raw stream of an old release lacks the spill block flag";
    ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE = 1037, "the stream has a feature the loaded module does not know";
    ZFS_ERR_EXPORT_IN_PROGRESS = 1038, "the pool is being exported";
    ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR = 1039, "the source is not an ancestor of the bookmark's dataset";
    ZFS_ERR_STREAM_TRUNCATED = 1040, "the stream ended too early";
    ZFS_ERR_STREAM_LARGE_BLOCK_MISMATCH = 1041, "the increment and what it starts from differ in the large-block flag";
    ZFS_ERR_RESILVER_IN_PROGRESS = 1042, "the pool is being resilvered";
    ZFS_ERR_REBUILD_IN_PROGRESS = 1043, "the pool is being rebuilt";
    ZFS_ERR_BADPROP = 1044, "a property does not fit";
    ZFS_ERR_VDEV_NOTSUP = 1045, "this kind of vdev does not support it";
    ZFS_ERR_NOT_USER_NAMESPACE = 1046, "the file is not a user namespace";
    ZFS_ERR_RESUME_EXISTS = 1047, "an interrupted receive into it can be resumed";
    ZFS_ERR_CRYPTO_NOTSUP = 1048, "the encryption of source and destination do not go together";
    ZFS_ERR_RAIDZ_EXPAND_IN_PROGRESS = 1049, "a raidz vdev is being expanded";
    ZFS_ERR_ASHIFT_MISMATCH = 1050, "the device's sector size does not fit the vdev's";
    ZFS_ERR_STREAM_LARGE_MICROZAP = 1051, "the stream has large micro-ZAPs, and the large_microzap feature is not enabled";
    ZFS_ERR_TOO_MANY_SITOUTS = 1052, "too many devices of the vdev are sitting out";
    ZFS_ERR_NO_USER_NS_SUPPORT = 1053, "this kernel has no user namespaces";
}

impl Errno {
    /// The last error of a system call of this thread.
    pub(crate) fn last() -> Self {
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    /// The symbol, `ENOSPC`; `None` for a number no release of OpenZFS up to 2.4 gives.
    pub fn name(self) -> Option<&'static str> {
        KNOWN.iter().find(|(errno, ..)| *errno == self).map(|(_, name, _)| *name)
    }

    /// What the number says by itself, for operations that give it no meaning of their own.
    pub fn reason(self) -> &'static str {
        KNOWN
            .iter()
            .find(|(errno, ..)| *errno == self)
            .map_or("an error this library does not know", |(.., reason)| reason)
    }

    /// Whether the loaded module refused the call before running it, for not knowing the operation or an argument of it.
    pub fn is_module_too_old(self) -> bool {
        matches!(self, Self::ZFS_ERR_IOC_CMD_UNAVAIL | Self::ZFS_ERR_IOC_ARG_UNAVAIL)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_name() {
        let mut numbers: Vec<_> = KNOWN.iter().map(|(errno, ..)| *errno).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(Errno(libc::ENOSPC).to_string(), "ENOSPC");
        assert_eq!(Errno(4000).to_string(), "errno 4000");
    }
}
