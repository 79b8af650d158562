//! [`zfsvol_status`]: what every function returns.
//!
//! A status is a plain number and no C enum: its size is then the same for every compiler and flag, a number of a newer library is no undefined
//! behaviour in an older caller, and Go and Python take it as it is.

use crate::view::zfsvol_str;

/// What became of a call: 0 when it was done, else a `ZFSVOL_STATUS_...`.
///
/// The numbers are frozen and never used for anything else. A newer library may return numbers that are not here: take those for
/// `ZFSVOL_STATUS_OTHER`.
pub type zfsvol_status = u32;

/// It was done.
pub const ZFSVOL_STATUS_OK: zfsvol_status = 0;
/// A name breaks the rules of names, or is too long once the kernel has made its own of it. Correct the name.
pub const ZFSVOL_STATUS_INVALID_NAME: zfsvol_status = 1;
/// An argument, or the combination of them, is not one the kernel takes. Correct it.
pub const ZFSVOL_STATUS_INVALID: zfsvol_status = 2;
/// A property does not exist, cannot be set there, or not to that value. Correct it.
pub const ZFSVOL_STATUS_INVALID_PROPERTY: zfsvol_status = 3;
/// It is the wrong kind of thing: a file system where a zvol is needed, a dataset where a snapshot is. Name another.
pub const ZFSVOL_STATUS_WRONG_TYPE: zfsvol_status = 4;
/// The dataset, snapshot, bookmark, hold, pool or property is not there.
pub const ZFSVOL_STATUS_NOT_FOUND: zfsvol_status = 10;
/// Something of that name is there already.
pub const ZFSVOL_STATUS_EXISTS: zfsvol_status = 11;
/// The two are not related as the operation needs: another pool, not an ancestor, a parent that is a zvol.
pub const ZFSVOL_STATUS_UNRELATED: zfsvol_status = 12;
/// In use: held, cloned, mounted, open, with children, or being received into. `zfsvol_error_details` says by what, where it can be known.
pub const ZFSVOL_STATUS_BUSY: zfsvol_status = 20;
/// The same kind of activity is running already (scrub, resilver, checkpoint, export). Wait for it, or stop it.
pub const ZFSVOL_STATUS_IN_PROGRESS: zfsvol_status = 21;
/// A receive was interrupted and can be resumed; something else was asked. Resume it or abort it.
pub const ZFSVOL_STATUS_RESUME_PENDING: zfsvol_status = 22;
/// The caller lacks the privilege or the delegated permission.
pub const ZFSVOL_STATUS_DENIED: zfsvol_status = 30;
/// It can only be read: a snapshot, a read-only pool or dataset, a door that refuses changes.
pub const ZFSVOL_STATUS_READ_ONLY: zfsvol_status = 31;
/// The dataset is encrypted and its key is not loaded. Load it.
pub const ZFSVOL_STATUS_KEY_NOT_LOADED: zfsvol_status = 32;
/// The key given does not open the dataset.
pub const ZFSVOL_STATUS_WRONG_KEY: zfsvol_status = 33;
/// The volume, or the root of a node, belongs to another node, or the volume is being handed over. Ask its owner.
pub const ZFSVOL_STATUS_NOT_OWNER: zfsvol_status = 34;
/// The peer's policy does not let this node do it. Ask who runs the peer.
pub const ZFSVOL_STATUS_NOT_PERMITTED: zfsvol_status = 35;
/// The pool has no space left. Free some.
pub const ZFSVOL_STATUS_NO_SPACE: zfsvol_status = 40;
/// A quota, or a limit on the number of file systems or snapshots, is reached. Raise it or free some.
pub const ZFSVOL_STATUS_QUOTA_EXCEEDED: zfsvol_status = 41;
/// More than this library or the kernel handles in one call: a reply, a list, a name too many. Ask for less.
pub const ZFSVOL_STATUS_TOO_LARGE: zfsvol_status = 42;
/// The loaded module is too old for the operation. The message names the operation and both versions.
pub const ZFSVOL_STATUS_UNSUPPORTED: zfsvol_status = 50;
/// The pool lacks the feature, or it is not enabled. Enable it.
pub const ZFSVOL_STATUS_FEATURE_DISABLED: zfsvol_status = 51;
/// There is no `/dev/zfs`: the module is not loaded, or the container does not have the device.
pub const ZFSVOL_STATUS_NO_MODULE: zfsvol_status = 52;
/// The stream has a feature this module or pool cannot receive.
pub const ZFSVOL_STATUS_STREAM_UNSUPPORTED: zfsvol_status = 60;
/// The stream is damaged, or is not a send stream. Send it again.
pub const ZFSVOL_STATUS_STREAM_DAMAGED: zfsvol_status = 61;
/// The stream ended too early. Resume the receive if it was resumable, else send it again.
pub const ZFSVOL_STATUS_STREAM_TRUNCATED: zfsvol_status = 62;
/// The destination was changed since the snapshot the increment starts from. Roll it back, or receive with force.
pub const ZFSVOL_STATUS_DESTINATION_MODIFIED: zfsvol_status = 63;
/// The snapshot the increment starts from is not at the destination (or not an earlier one, at the source).
pub const ZFSVOL_STATUS_BASE_MISSING: zfsvol_status = 64;
/// The encryption of stream and destination do not go together.
pub const ZFSVOL_STATUS_ENCRYPTION_MISMATCH: zfsvol_status = 65;
/// The other end of the pipe or socket is closed.
pub const ZFSVOL_STATUS_DISCONNECTED: zfsvol_status = 66;
/// The pool is suspended: its devices stopped answering. Bring them back and clear the pool.
pub const ZFSVOL_STATUS_POOL_SUSPENDED: zfsvol_status = 70;
/// The pool cannot be opened or imported: devices are missing, or it is in use by another host.
pub const ZFSVOL_STATUS_POOL_UNAVAILABLE: zfsvol_status = 71;
/// Reading or writing failed.
pub const ZFSVOL_STATUS_IO: zfsvol_status = 72;
/// What is on disk, or what came back, is damaged.
pub const ZFSVOL_STATUS_CORRUPT: zfsvol_status = 73;
/// The caller cancelled it.
pub const ZFSVOL_STATUS_CANCELLED: zfsvol_status = 80;
/// A signal interrupted it. Try again.
pub const ZFSVOL_STATUS_INTERRUPTED: zfsvol_status = 81;
/// It took longer than the caller allowed.
pub const ZFSVOL_STATUS_TIMED_OUT: zfsvol_status = 82;
/// A channel program failed: its own error, its instruction limit or its memory limit.
pub const ZFSVOL_STATUS_PROGRAM_FAILED: zfsvol_status = 90;
/// Some names of a batch failed, and not all for the same reason; `zfsvol_error_failure` has each.
pub const ZFSVOL_STATUS_SEVERAL: zfsvol_status = 91;
/// The kernel's reply was not what this library knows; a bug here or there, worth a report.
pub const ZFSVOL_STATUS_PROTOCOL: zfsvol_status = 92;
/// The kernel gave an errno this operation is not known to give; `zfsvol_error_errno` has it.
pub const ZFSVOL_STATUS_OTHER: zfsvol_status = 93;

// From 200 on: what the boundary itself refuses. No `ErrorKind` has such a number.
/// A pointer that must not be is NULL, or cannot point to what it should. A mistake of the program.
pub const ZFSVOL_STATUS_NULL: zfsvol_status = 200;
/// A text is not UTF-8.
pub const ZFSVOL_STATUS_NOT_UTF8: zfsvol_status = 201;
/// The library panicked: a bug in it, worth a report. What the call was about may be half done.
pub const ZFSVOL_STATUS_PANIC: zfsvol_status = 202;
/// What the handle stood for was used up by an earlier call (a stream that was given to a transfer, a transfer that was waited for). It can only
/// be freed.
pub const ZFSVOL_STATUS_CONSUMED: zfsvol_status = 203;
/// It is a handle of another kind of object. A mistake of the program.
pub const ZFSVOL_STATUS_WRONG_HANDLE: zfsvol_status = 204;
/// A number is none of those that are known there: an activity, a type of pair.
pub const ZFSVOL_STATUS_UNKNOWN_NUMBER: zfsvol_status = 205;

/// The word for a status: `not found`. For a number that is not known, `unknown`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_status_name(status: zfsvol_status) -> zfsvol_str {
    boundary!(or zfsvol_str::NONE, |_caller| {
        let name = NAMES.iter().find(|(number, _)| *number == status).map(|(_, name)| *name);
        zfsvol_str::of(name.unwrap_or("unknown"))
    })
}

const NAMES: &[(zfsvol_status, &str)] = &[
    (ZFSVOL_STATUS_OK, "ok"),
    (ZFSVOL_STATUS_INVALID_NAME, "invalid name"),
    (ZFSVOL_STATUS_INVALID, "invalid"),
    (ZFSVOL_STATUS_INVALID_PROPERTY, "invalid property"),
    (ZFSVOL_STATUS_WRONG_TYPE, "wrong type"),
    (ZFSVOL_STATUS_NOT_FOUND, "not found"),
    (ZFSVOL_STATUS_EXISTS, "exists"),
    (ZFSVOL_STATUS_UNRELATED, "unrelated"),
    (ZFSVOL_STATUS_BUSY, "busy"),
    (ZFSVOL_STATUS_IN_PROGRESS, "in progress"),
    (ZFSVOL_STATUS_RESUME_PENDING, "resume pending"),
    (ZFSVOL_STATUS_DENIED, "denied"),
    (ZFSVOL_STATUS_READ_ONLY, "read only"),
    (ZFSVOL_STATUS_KEY_NOT_LOADED, "key not loaded"),
    (ZFSVOL_STATUS_WRONG_KEY, "wrong key"),
    (ZFSVOL_STATUS_NOT_OWNER, "not owner"),
    (ZFSVOL_STATUS_NOT_PERMITTED, "not permitted"),
    (ZFSVOL_STATUS_NO_SPACE, "no space"),
    (ZFSVOL_STATUS_QUOTA_EXCEEDED, "quota exceeded"),
    (ZFSVOL_STATUS_TOO_LARGE, "too large"),
    (ZFSVOL_STATUS_UNSUPPORTED, "unsupported"),
    (ZFSVOL_STATUS_FEATURE_DISABLED, "feature disabled"),
    (ZFSVOL_STATUS_NO_MODULE, "no module"),
    (ZFSVOL_STATUS_STREAM_UNSUPPORTED, "stream unsupported"),
    (ZFSVOL_STATUS_STREAM_DAMAGED, "stream damaged"),
    (ZFSVOL_STATUS_STREAM_TRUNCATED, "stream truncated"),
    (ZFSVOL_STATUS_DESTINATION_MODIFIED, "destination modified"),
    (ZFSVOL_STATUS_BASE_MISSING, "base missing"),
    (ZFSVOL_STATUS_ENCRYPTION_MISMATCH, "encryption mismatch"),
    (ZFSVOL_STATUS_DISCONNECTED, "disconnected"),
    (ZFSVOL_STATUS_POOL_SUSPENDED, "pool suspended"),
    (ZFSVOL_STATUS_POOL_UNAVAILABLE, "pool unavailable"),
    (ZFSVOL_STATUS_IO, "io"),
    (ZFSVOL_STATUS_CORRUPT, "corrupt"),
    (ZFSVOL_STATUS_CANCELLED, "cancelled"),
    (ZFSVOL_STATUS_INTERRUPTED, "interrupted"),
    (ZFSVOL_STATUS_TIMED_OUT, "timed out"),
    (ZFSVOL_STATUS_PROGRAM_FAILED, "program failed"),
    (ZFSVOL_STATUS_SEVERAL, "several"),
    (ZFSVOL_STATUS_PROTOCOL, "protocol"),
    (ZFSVOL_STATUS_OTHER, "other"),
    (ZFSVOL_STATUS_NULL, "null"),
    (ZFSVOL_STATUS_NOT_UTF8, "not utf-8"),
    (ZFSVOL_STATUS_PANIC, "panic"),
    (ZFSVOL_STATUS_CONSUMED, "consumed"),
    (ZFSVOL_STATUS_WRONG_HANDLE, "wrong handle"),
    (ZFSVOL_STATUS_UNKNOWN_NUMBER, "unknown number"),
];

#[cfg(test)]
mod tests {
    use zfsvol_core::ErrorKind;

    use super::*;

    #[test]
    fn every_kind_of_error_has_its_status() {
        let kinds = [
            (ErrorKind::InvalidName, ZFSVOL_STATUS_INVALID_NAME),
            (ErrorKind::Invalid, ZFSVOL_STATUS_INVALID),
            (ErrorKind::InvalidProperty, ZFSVOL_STATUS_INVALID_PROPERTY),
            (ErrorKind::WrongType, ZFSVOL_STATUS_WRONG_TYPE),
            (ErrorKind::NotFound, ZFSVOL_STATUS_NOT_FOUND),
            (ErrorKind::Exists, ZFSVOL_STATUS_EXISTS),
            (ErrorKind::Unrelated, ZFSVOL_STATUS_UNRELATED),
            (ErrorKind::Busy, ZFSVOL_STATUS_BUSY),
            (ErrorKind::InProgress, ZFSVOL_STATUS_IN_PROGRESS),
            (ErrorKind::ResumePending, ZFSVOL_STATUS_RESUME_PENDING),
            (ErrorKind::Denied, ZFSVOL_STATUS_DENIED),
            (ErrorKind::ReadOnly, ZFSVOL_STATUS_READ_ONLY),
            (ErrorKind::KeyNotLoaded, ZFSVOL_STATUS_KEY_NOT_LOADED),
            (ErrorKind::WrongKey, ZFSVOL_STATUS_WRONG_KEY),
            (ErrorKind::NotOwner, ZFSVOL_STATUS_NOT_OWNER),
            (ErrorKind::NotPermitted, ZFSVOL_STATUS_NOT_PERMITTED),
            (ErrorKind::NoSpace, ZFSVOL_STATUS_NO_SPACE),
            (ErrorKind::QuotaExceeded, ZFSVOL_STATUS_QUOTA_EXCEEDED),
            (ErrorKind::TooLarge, ZFSVOL_STATUS_TOO_LARGE),
            (ErrorKind::Unsupported, ZFSVOL_STATUS_UNSUPPORTED),
            (ErrorKind::FeatureDisabled, ZFSVOL_STATUS_FEATURE_DISABLED),
            (ErrorKind::NoModule, ZFSVOL_STATUS_NO_MODULE),
            (ErrorKind::StreamUnsupported, ZFSVOL_STATUS_STREAM_UNSUPPORTED),
            (ErrorKind::StreamDamaged, ZFSVOL_STATUS_STREAM_DAMAGED),
            (ErrorKind::StreamTruncated, ZFSVOL_STATUS_STREAM_TRUNCATED),
            (ErrorKind::DestinationModified, ZFSVOL_STATUS_DESTINATION_MODIFIED),
            (ErrorKind::BaseMissing, ZFSVOL_STATUS_BASE_MISSING),
            (ErrorKind::EncryptionMismatch, ZFSVOL_STATUS_ENCRYPTION_MISMATCH),
            (ErrorKind::Disconnected, ZFSVOL_STATUS_DISCONNECTED),
            (ErrorKind::PoolSuspended, ZFSVOL_STATUS_POOL_SUSPENDED),
            (ErrorKind::PoolUnavailable, ZFSVOL_STATUS_POOL_UNAVAILABLE),
            (ErrorKind::Io, ZFSVOL_STATUS_IO),
            (ErrorKind::Corrupt, ZFSVOL_STATUS_CORRUPT),
            (ErrorKind::Cancelled, ZFSVOL_STATUS_CANCELLED),
            (ErrorKind::Interrupted, ZFSVOL_STATUS_INTERRUPTED),
            (ErrorKind::TimedOut, ZFSVOL_STATUS_TIMED_OUT),
            (ErrorKind::ProgramFailed, ZFSVOL_STATUS_PROGRAM_FAILED),
            (ErrorKind::Several, ZFSVOL_STATUS_SEVERAL),
            (ErrorKind::Protocol, ZFSVOL_STATUS_PROTOCOL),
            (ErrorKind::Other, ZFSVOL_STATUS_OTHER),
        ];
        assert_eq!(kinds.map(|(kind, _)| kind).as_slice(), ErrorKind::ALL);
        for (kind, status) in kinds {
            assert_eq!(kind.number(), status, "{kind:?}");
            assert!(status < 200, "{kind:?}: from 200 on they are the boundary's");
            assert!(NAMES.iter().any(|(number, _)| *number == status), "{kind:?} has no name");
        }
    }
}
