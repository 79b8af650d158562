//! What errnos mean when a send, a receive, a redaction or a diff gives them.
//!
//! Facts from OpenZFS 2.1 to 2.4: `module/zfs/dmu_send.c`, `dmu_recv.c`, `dmu_redact.c`, `dmu_diff.c`, `dsl_bookmark.c`, and what
//! `lib/libzfs/libzfs_sendrecv.c` (`zfs_send_one`, `zfs_receive_one`) and pyzfs know of them.

use super::{Meaning, advise, say};
use crate::error::ErrorKind;
use crate::kernel::{Errno, Ioc};

/// What `errno` means when `ioc`, a transfer, gives it.
pub(super) fn meaning(ioc: Ioc, errno: Errno) -> Option<Meaning> {
    match ioc {
        Ioc::SEND_NEW | Ioc::SEND_SPACE => send(errno),
        Ioc::SEND_PROGRESS => progress(errno),
        Ioc::RECV_NEW => receive(errno),
        Ioc::REDACT => redact(errno),
        Ioc::DIFF => diff(errno),
        Ioc::OBJ_TO_STATS | Ioc::OBJ_TO_PATH => object(errno),
        Ioc::SPACE_WRITTEN | Ioc::SPACE_SNAPS => space(errno),
        _ => None,
    }
}

fn send(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        // A bookmark that is not there is ESRCH.
        Errno::ENOENT | Errno::ESRCH => say(K::NotFound, "it does not exist"),
        Errno::EXDEV => say(
            K::BaseMissing,
            "what it is to start from is not an earlier snapshot of it, nor of its origins",
        ),
        Errno::EACCES => advise(
            K::KeyNotLoaded,
            "it is encrypted, and its key is not loaded",
            "load the key, or send it raw",
        ),
        Errno::EBUSY => advise(
            K::Busy,
            "it is in use",
            "a dataset itself can be sent only while it is neither mounted nor open: send a snapshot of it",
        ),
        Errno::EINVAL => {
            say(K::Invalid, "the options do not go together, or not with this snapshot")
        }
        Errno::ZFS_ERR_STREAM_LARGE_MICROZAP => {
            advise(K::Invalid, "it has large micro-ZAPs", "send it with large blocks, or raw")
        }
        Errno::EALREADY => {
            say(K::Invalid, "it came from a redacted stream, and is to be redacted otherwise")
        }
        _ => return None,
    })
}

fn progress(errno: Errno) -> Option<Meaning> {
    (errno == Errno::ENOENT)
        .then(|| say(ErrorKind::NotFound, "no send of it to that descriptor is running"))
}

fn receive(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ETXTBSY => advise(
            K::DestinationModified,
            "the destination was changed since the snapshot the increment starts from",
            "roll it back to that snapshot, or receive with force",
        ),
        Errno::ENODEV => advise(
            K::BaseMissing,
            "the snapshot the increment starts from is not at the destination",
            "send an increment from one that both sides have, or a full stream",
        ),
        Errno::ENOENT => say(
            K::NotFound,
            "the dataset the increment is for, or the parent of the one to be made, does not exist",
        ),
        Errno::EEXIST => advise(
            K::Exists,
            "the snapshot, or the dataset the stream would make, exists already",
            "receive it under another name, or destroy what is there",
        ),
        Errno::EBUSY => say(K::Busy, "it is being received into, or in use"),
        Errno::ENOTSUP => advise(
            K::StreamUnsupported,
            "the stream needs a feature that the pool has not enabled, or does not fit the snapshot to heal",
            "enable the pool's features, or send without it",
        ),
        Errno::EINVAL => say(
            K::StreamDamaged,
            "the stream is damaged, or does not go with the destination or the options",
        ),
        Errno::EBADE => advise(
            K::StreamDamaged,
            "the stream is damaged: a checksum does not match",
            "send it again",
        ),
        Errno::EACCES => advise(
            K::KeyNotLoaded,
            "the destination is encrypted, and its key is not loaded",
            "load the key",
        ),
        Errno::E2BIG => say(K::TooLarge, "the stream asks for more memory than the kernel gives"),
        Errno::ZFS_ERR_STREAM_LARGE_BLOCK_MISMATCH => advise(
            K::StreamUnsupported,
            "earlier streams had large blocks, and this increment has not",
            "send it with large blocks",
        ),
        Errno::ZFS_ERR_WRONG_PARENT => say(K::WrongType, "a zvol can have no datasets below it"),
        _ => return None,
    })
}

fn redact(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENXIO => say(K::Invalid, "there is no snapshot to redact it by"),
        Errno::EALREADY => say(K::Invalid, "one of the snapshots came from a redacted stream"),
        Errno::EINVAL => {
            say(K::Unrelated, "one of the snapshots to redact it by is not of a clone of it")
        }
        Errno::EEXIST => say(K::Exists, "there is such a bookmark already"),
        Errno::ESRCH => say(
            K::Exists,
            "there is an unfinished redaction bookmark of that name, by other snapshots",
        ),
        Errno::EACCES => super::KEY_NOT_LOADED,
        _ => return None,
    })
}

fn diff(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EXDEV => say(
            K::Unrelated,
            "the first is not an earlier snapshot of the same file system, nor of its origins",
        ),
        Errno::EINVAL => say(K::WrongType, "they are not snapshots of a file system"),
        _ => return None,
    })
}

fn object(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT => say(K::NotFound, "there is no such object"),
        Errno::EINVAL => say(K::WrongType, "it is not of a file system"),
        Errno::ESTALE => say(K::NotFound, "the object is deleted, and was still open"),
        _ => return None,
    })
}

fn space(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EINVAL | Errno::EXDEV => {
            say(K::Unrelated, "the first is not an earlier snapshot of the same dataset")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::meaning;
    use super::*;

    #[test]
    fn what_a_receive_is_refused_for_has_a_kind_of_its_own() {
        for (errno, kind) in [
            (Errno::ETXTBSY, ErrorKind::DestinationModified),
            (Errno::ENODEV, ErrorKind::BaseMissing),
            (Errno::EEXIST, ErrorKind::Exists),
            (Errno::ENOENT, ErrorKind::NotFound),
            (Errno::EBUSY, ErrorKind::Busy),
            (Errno::ENOTSUP, ErrorKind::StreamUnsupported),
            (Errno::ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE, ErrorKind::StreamUnsupported),
            (Errno::EBADE, ErrorKind::StreamDamaged),
            (Errno::ZFS_ERR_STREAM_TRUNCATED, ErrorKind::StreamTruncated),
            (Errno::EDQUOT, ErrorKind::QuotaExceeded),
            (Errno::ENOSPC, ErrorKind::NoSpace),
            (Errno::EACCES, ErrorKind::KeyNotLoaded),
            (Errno::ZFS_ERR_FROM_IVSET_GUID_MISMATCH, ErrorKind::EncryptionMismatch),
            (Errno::ZFS_ERR_RESUME_EXISTS, ErrorKind::ResumePending),
            (Errno::ZFS_ERR_WRONG_PARENT, ErrorKind::WrongType),
        ] {
            assert_eq!(meaning(Ioc::RECV_NEW, errno).kind, kind, "{errno}");
        }
    }

    #[test]
    fn what_a_send_is_refused_for_has_a_kind_of_its_own() {
        for (errno, kind) in [
            (Errno::EXDEV, ErrorKind::BaseMissing),
            (Errno::ESRCH, ErrorKind::NotFound),
            (Errno::EACCES, ErrorKind::KeyNotLoaded),
            (Errno::EBADE, ErrorKind::Corrupt),
            (Errno::EPIPE, ErrorKind::Disconnected),
        ] {
            assert_eq!(meaning(Ioc::SEND_NEW, errno).kind, kind, "{errno}");
        }
    }
}
