//! The keys each ioctl takes, and their types: the `zfs_keys_` tables of OpenZFS 2.1 to 2.4 `module/zfs/zfs_ioctl.c`.

use crate::kernel::Errno;
use crate::nvlist::{DataType, NvList};

/// One key of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its name; empty for one that stands for any (`ZK_WILDCARDLIST`).
    name: &'static str,
    /// Its type; `None` for any (`DATA_TYPE_ANY`).
    kind: Option<DataType>,
    required: bool,
    /// The release that brought it.
    since: (u32, u32),
}

const fn required(name: &'static str, kind: DataType) -> Key {
    Key { name, kind: Some(kind), required: true, since: (2, 0) }
}

const fn optional(name: &'static str, kind: DataType) -> Key {
    Key { name, kind: Some(kind), required: false, since: (2, 0) }
}

/// Any names, one at least.
const fn names(kind: DataType) -> Key {
    Key { name: "", kind: Some(kind), required: true, since: (2, 0) }
}

impl Key {
    const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = (major, minor);
        self
    }

    const fn of_any_type(mut self) -> Self {
        self.kind = None;
        self
    }

    const fn not_required(mut self) -> Self {
        self.required = false;
        self
    }

    const fn is_wildcard(&self) -> bool {
        self.name.is_empty()
    }
}

use DataType as T;

pub(super) const NONE: &[Key] = &[];
pub(super) const SCRUB: &[Key] = &[
    required("scan_type", T::Uint64),
    required("scan_command", T::Uint64),
    optional("scan_date_start", T::Uint64).since(2, 4),
    optional("scan_date_end", T::Uint64).since(2, 4),
];
pub(super) const POOL_GET_PROPS: &[Key] = &[optional("get_props_names", T::StringArray)];
pub(super) const VDEV_SET_PROPS: &[Key] =
    &[required("vdevprops_set_vdev", T::Uint64), required("vdevprops_set_props", T::NvList)];
pub(super) const VDEV_GET_PROPS: &[Key] =
    &[required("vdevprops_get_vdev", T::Uint64), optional("vdevprops_get_props", T::NvList)];
pub(super) const CREATE: &[Key] =
    &[required("type", T::Int32), optional("props", T::NvList), optional("hidden_args", T::NvList)];
pub(super) const CLONE: &[Key] = &[
    required("origin", T::String),
    optional("props", T::NvList),
    optional("hidden_args", T::NvList),
];
pub(super) const SNAPSHOT: &[Key] = &[required("snaps", T::NvList), optional("props", T::NvList)];
pub(super) const LOG_HISTORY: &[Key] = &[required("message", T::String)];
pub(super) const SET_BOOTENV: &[Key] =
    &[required("version", T::Uint64), names(T::Uint64).of_any_type().not_required()];
pub(super) const DESTROY_SNAPS: &[Key] =
    &[required("snaps", T::NvList), optional("defer", T::Boolean)];
pub(super) const BOOKMARK: &[Key] = &[names(T::String)];
pub(super) const GET_BOOKMARKS: &[Key] = &[names(T::Boolean).not_required()];
pub(super) const DESTROY_BOOKMARKS: &[Key] = &[names(T::Boolean)];
pub(super) const CHANNEL_PROGRAM: &[Key] = &[
    required("program", T::String),
    required("arg", T::NvList).of_any_type(),
    optional("sync", T::BooleanValue),
    optional("instrlimit", T::Uint64),
    optional("memlimit", T::Uint64),
];
pub(super) const PREFETCH: &[Key] = &[required("prefetch_type", T::Int32)];
pub(super) const INITIALIZE: &[Key] =
    &[required("initialize_command", T::Uint64), required("initialize_vdevs", T::NvList)];
pub(super) const TRIM: &[Key] = &[
    required("trim_command", T::Uint64),
    required("trim_vdevs", T::NvList),
    optional("trim_rate", T::Uint64),
    optional("trim_secure", T::BooleanValue),
];
pub(super) const DDT_PRUNE: &[Key] =
    &[required("ddt_prune_unit", T::Int32), required("ddt_prune_amount", T::Uint64)];
pub(super) const WAIT: &[Key] =
    &[required("wait_activity", T::Int32), optional("wait_tag", T::Uint64)];
pub(super) const WAIT_FS: &[Key] = &[required("wait_activity", T::Int32)];
pub(super) const ROLLBACK: &[Key] = &[optional("target", T::String)];
pub(super) const REDACT: &[Key] = &[required("bookname", T::String), required("snapnv", T::NvList)];
pub(super) const RECEIVE: &[Key] = &[
    required("snapname", T::String),
    optional("props", T::NvList),
    optional("localprops", T::NvList),
    optional("origin", T::String),
    required("begin_record", T::ByteArray),
    required("input_fd", T::Int32),
    optional("force", T::Boolean),
    optional("heal", T::Boolean).since(2, 2),
    optional("resumable", T::Boolean),
    optional("cleanup_fd", T::Int32),
    optional("action_handle", T::Uint64),
    optional("hidden_args", T::NvList),
];
pub(super) const REOPEN: &[Key] = &[optional("scrub_restart", T::BooleanValue)];
pub(super) const HOLD: &[Key] = &[required("holds", T::NvList), optional("cleanup_fd", T::Int32)];
pub(super) const RELEASE: &[Key] = &[names(T::NvList)];
pub(super) const SPACE_SNAPS: &[Key] = &[required("firstsnap", T::String)];
pub(super) const SEND: &[Key] = &[
    required("fd", T::Int32),
    optional("fromsnap", T::String),
    optional("largeblockok", T::Boolean),
    optional("embedok", T::Boolean),
    optional("compressok", T::Boolean),
    optional("rawok", T::Boolean),
    optional("savedok", T::Boolean),
    optional("resume_object", T::Uint64),
    optional("resume_offset", T::Uint64),
    optional("redactbook", T::String),
];
pub(super) const SEND_SPACE: &[Key] = &[
    optional("from", T::String),
    optional("fromsnap", T::String),
    optional("largeblockok", T::Boolean),
    optional("embedok", T::Boolean),
    optional("compressok", T::Boolean),
    optional("rawok", T::Boolean),
    optional("fd", T::Int32),
    optional("redactbook", T::String),
    optional("resume_object", T::Uint64),
    optional("resume_offset", T::Uint64),
    optional("bytes", T::Uint64),
];
pub(super) const SYNC: &[Key] = &[required("force", T::BooleanValue)];
pub(super) const LOAD_KEY: &[Key] =
    &[required("hidden_args", T::NvList), optional("noop", T::Boolean)];
pub(super) const CHANGE_KEY: &[Key] = &[
    optional("crypt_cmd", T::Uint64),
    optional("hidden_args", T::NvList),
    optional("props", T::NvList),
];

/// `zfs_check_input_nvpairs`: every pair of the request against the keys of its ioctl.
///
/// # Errors
/// `ZFS_ERR_IOC_ARG_UNAVAIL` for a key there is not, `ZFS_ERR_IOC_ARG_BADTYPE` for one of another type, `ZFS_ERR_IOC_ARG_REQUIRED` for
/// one that is missing.
pub(super) fn check(keys: &[Key], input: &NvList, release: (u32, u32)) -> Result<(), Errno> {
    let known = || keys.iter().filter(|key| key.since <= release);
    let mut required_found = false;
    for (name, value) in input.iter() {
        let mut identified = false;
        for key in known().filter(|key| key.is_wildcard() || key.name == name) {
            identified = true;
            if key.kind.is_some_and(|kind| kind != value.data_type()) {
                return Err(Errno::ZFS_ERR_IOC_ARG_BADTYPE);
            }
            if key.required {
                required_found = true;
                break;
            }
        }
        // Anyone may send along what a module need not know.
        if !identified && (name != "optional" || value.data_type() != DataType::NvList) {
            return Err(Errno::ZFS_ERR_IOC_ARG_UNAVAIL);
        }
    }
    let missing = known().filter(|key| key.required).any(|key| match key.is_wildcard() {
        true => !required_found,
        false => !input.contains(key.name),
    });
    if missing { Err(Errno::ZFS_ERR_IOC_ARG_REQUIRED) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvlist::Value;

    fn verdict(keys: &[Key], pairs: &[(&str, Value)]) -> Result<(), Errno> {
        let input: NvList = pairs.iter().map(|(name, value)| (*name, value.clone())).collect();
        check(keys, &input, (2, 3))
    }

    #[test]
    fn each_fault_of_a_request_has_its_own_number() {
        let kind = || ("type", Value::Int32(2));
        assert_eq!(verdict(CREATE, &[kind()]), Ok(()));
        let unknown = ("colour", Value::Boolean);
        assert_eq!(verdict(CREATE, &[kind(), unknown]), Err(Errno::ZFS_ERR_IOC_ARG_UNAVAIL));
        let wrong = ("type", Value::Uint64(2));
        assert_eq!(verdict(CREATE, &[wrong]), Err(Errno::ZFS_ERR_IOC_ARG_BADTYPE));
        assert_eq!(verdict(CREATE, &[]), Err(Errno::ZFS_ERR_IOC_ARG_REQUIRED));
        assert_eq!(verdict(BOOKMARK, &[]), Err(Errno::ZFS_ERR_IOC_ARG_REQUIRED));
        assert_eq!(verdict(GET_BOOKMARKS, &[]), Ok(()));
        let extra = ("optional", Value::NvList(NvList::new()));
        assert_eq!(verdict(NONE, &[extra]), Ok(()));
    }

    #[test]
    fn a_key_of_a_newer_release_is_unknown() {
        let pairs = [
            ("scan_type", Value::Uint64(1)),
            ("scan_command", Value::Uint64(0)),
            ("scan_date_start", Value::Uint64(0)),
        ];
        let input: NvList = pairs.into_iter().collect();
        assert_eq!(check(SCRUB, &input, (2, 3)), Err(Errno::ZFS_ERR_IOC_ARG_UNAVAIL));
        assert_eq!(check(SCRUB, &input, (2, 4)), Ok(()));
    }
}
