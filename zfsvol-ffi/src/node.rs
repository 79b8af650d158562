//! [`zfsvol_node`]: a node, and the volumes it has.

use std::ffi::c_void;

use zfsvol_core::nvlist::{NvList, from_nvlist};
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{Node, NodeOptions, Retention, Size, Uuid, VolumeName, VolumeSpec};
use zfsvol_core::{Bytes, DatasetName};

use crate::answer;
use crate::boundary::{Caller, Growing, wait};
use crate::device::{access, zfsvol_device};
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::io::Context;
use crate::key::zfsvol_key;
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// A node: a UUID and a root dataset, right below which its volumes are. Can be used by any number of threads at once; one process serves a node at a time.
#[derive(Debug)]
pub struct zfsvol_node {
    _private: [u8; 0],
}

impl Object for zfsvol_node {
    type Value = Node;
    const NAME: &'static str = "zfsvol_node";
}

/// How to open a node. All zeros: nothing special.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_node_options {
    /// `sizeof(zfsvol_node_options)`.
    pub size: usize,
    /// Where volumes are mounted: each in a directory below this one that has its name. Counts when the root is created or adopted.
    pub mountpoint: zfsvol_str,
    /// Makes the root of what is a dataset of somebody else's now.
    pub adopt: bool,
    /// Called after everything that happened to a volume through this node, in the thread that did it, so by several at once when several use the node. `event`
    /// is lent: `volume` (string), `kind` (string: `created`, `cloned`, `destroyed`, `replica_destroyed`, `renamed`, `resized`, `snapshotted`, `snapshots_destroyed`, `rolled_back`, `mounted`, `unmounted`, `pushed`, `received`,
    /// `handed_over`, `taken_over`, `set_aside`) and, as the kind has it, `detail`.
    pub on_event: Option<unsafe extern "C" fn(context: *mut c_void, event: *const zfsvol_nvlist)>,
    /// Given to both callbacks.
    pub context: *mut c_void,
    /// Called once, when the context is no longer needed; NULL if nothing is to be done then.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_node_options {
    const NAME: &'static str = "zfsvol_node_options";
}

/// Opens the node whose root is that dataset and whose UUID is `id` (a text, `8-4-4-4-12` hexadecimal digits). The root is created if it is not there; its
/// parent must be. The context in the options is released in any case, failure included.
///
/// Fails with `NOT_OWNER` (another node's root), `EXISTS` (no node made it: see `adopt`), `WRONG_TYPE` (a zvol), `INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_node_open(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    id: zfsvol_str,
    options: *const zfsvol_node_options,
    node: *mut *mut zfsvol_node,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let options = options_of(caller, options)?;
        let out = caller.out(node)?;
        let root: DatasetName = caller.name(root)?;
        let id = uuid(caller, id)?;
        let zfs = caller.get(zfs)?.clone();
        out.give(Node::open_with(zfs, root, id, options)?);
    })
}

/// Frees the handle; what runs with the node goes on. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_node_free(node: *mut zfsvol_node) {
    boundary!(or(), |caller| caller.free(node)?);
}

/// What it is: `id`, `root` (string).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_node_info(
    node: *const zfsvol_node,
    info: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(info)?;
        let node = caller.get(node)?;
        let mut list = NvList::new();
        list.insert("id", node.id().to_string()).insert("root", node.root().as_str());
        out.give(list);
    })
}

/// The OpenZFS a node is on, as a handle of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_node_zfs(
    node: *const zfsvol_node,
    zfs: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(zfs)?;
        out.give(caller.get(node)?.zfs().clone());
    })
}

/// What a volume is to be. All zeros: a file system without a limit.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_volume_spec {
    /// `sizeof(zfsvol_volume_spec)`.
    pub size: usize,
    /// A block device of so many bytes; 0 for a file system.
    pub block_bytes: u64,
    /// A file system holds at most so many bytes, its snapshots not counted; 0 for no limit.
    pub quota_bytes: u64,
    /// Nothing is reserved for a block device.
    pub sparse: bool,
    /// With these properties too.
    pub properties: *const zfsvol_nvlist,
    /// Encrypted with this key.
    pub key: *const zfsvol_key,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_volume_spec {
    const NAME: &'static str = "zfsvol_volume_spec";
}

/// Creates a volume, that this node owns. It is not mounted. Its name is `name` or `namespace:name`. `info` is what `zfsvol_volume_get` gives (NULL if it does not matter).
///
/// Fails with `EXISTS`, `INVALID_NAME`, `INVALID_PROPERTY`, `NO_SPACE`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_create(
    node: *const zfsvol_node,
    name: zfsvol_str,
    spec: *const zfsvol_volume_spec,
    info: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(info)?;
        let spec = spec_of(caller, spec)?;
        let made = caller.get(node)?.create(&volume(caller, name)?, &spec)?;
        out.list(&made)?;
    })
}

/// A volume; NULL when there is none of that name: `name`, `dataset`, `id`, `owner` (string), `epoch` (uint64), `state` (string: `owned`, `replica`, `leaving NODE EPOCH`), `kind` (string:
/// `file_system` with `quota`, or `block` with `size`, `block_size`, `sparse`), `used`, `referenced`, `available`, `written` (uint64), `created` (int64), `origin` (string), `mounted`, `locked`
/// (boolean), `resume_token` (string).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_get(
    node: *const zfsvol_node,
    name: zfsvol_str,
    info: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(info)?;
        out.next(caller.get(node)?.get(&volume(caller, name)?)?.as_ref())?;
    })
}

/// All volumes: nvlist arrays `volumes`, as `zfsvol_volume_get` gives each, and `damaged` (`dataset`, `why`), whose ownership cannot be told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_list(
    node: *const zfsvol_node,
    volumes: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(volumes)?;
        out.list(&caller.get(node)?.list()?)?;
    })
}

/// The dataset of a volume, whether there is one or not; to be freed with `zfsvol_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_dataset(
    node: *const zfsvol_node,
    name: zfsvol_str,
    dataset: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(dataset)?;
        let found = caller.get(node)?.dataset(&volume(caller, name)?)?;
        out.bytes(found.as_str());
    })
}

/// Destroys a volume with its snapshots. `destroyed` says whether there was one (NULL if that does not matter). Fails with `NOT_OWNER`, `BUSY`, and the error says by what.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_destroy(
    node: *const zfsvol_node,
    name: zfsvol_str,
    destroyed: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(destroyed)?;
        let was = caller.get(node)?.destroy(&volume(caller, name)?)?;
        out.set(was);
    })
}

/// Destroys this node's copy of a volume that another node owns, with its snapshots, and what came of it by a push that was interrupted. The owner's next push makes it anew. `destroyed` says whether
/// there was one (NULL if that does not matter). Fails with `INVALID` (this node owns it, or is handing it over), `IN_PROGRESS` (it is being received), `BUSY`, and the error says by what, `EXISTS` (no volume).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_destroy_replica(
    node: *const zfsvol_node,
    name: zfsvol_str,
    destroyed: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(destroyed)?;
        let was = caller.get(node)?.destroy_replica(&volume(caller, name)?)?;
        out.set(was);
    })
}

/// Gives a volume another name. Fails with `NOT_FOUND`, `EXISTS`, `NOT_OWNER`, `BUSY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_rename(
    node: *const zfsvol_node,
    from: zfsvol_str,
    to: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(node)?.rename(&volume(caller, from)?, &volume(caller, to)?)?;
    })
}

/// Makes a volume that begins as another one, or as a `snapshot` of it (`ZFSVOL_NONE` for how it is now). `info` as in `zfsvol_volume_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_clone(
    node: *const zfsvol_node,
    from: zfsvol_str,
    snapshot: zfsvol_str,
    to: zfsvol_str,
    info: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(info)?;
        let (from, to) = (volume(caller, from)?, volume(caller, to)?);
        let snapshot = caller.optional_text(snapshot)?;
        let made = caller.get(node)?.clone_volume(&from, snapshot, &to)?;
        out.list(&made)?;
    })
}

/// Changes the size of a block device, or the limit of a file system; 0 takes the limit away. Fails with `NOT_OWNER`, `INVALID`, `NO_SPACE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_resize(
    node: *const zfsvol_node,
    name: zfsvol_str,
    bytes: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let size = if bytes == 0 { Size::Unlimited } else { Size::Bytes(Bytes::new(bytes)) };
        caller.get(node)?.resize(&volume(caller, name)?, size)?;
    })
}

/// Takes a snapshot of a volume. Fails with `EXISTS`, `NOT_FOUND`, `NOT_OWNER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_snapshot(
    node: *const zfsvol_node,
    name: zfsvol_str,
    snapshot: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(node)?.snapshot(&volume(caller, name)?, caller.text(snapshot)?)?;
    })
}

/// The snapshots of a volume, from oldest to newest: nvlist array `snapshots` with `name`, `guid`, `createtxg`, `created` (int64), `used`, `referenced`, `holds` (uint64), `clones` (string
/// array).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_snapshots(
    node: *const zfsvol_node,
    name: zfsvol_str,
    snapshots: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(snapshots)?;
        let found = caller.get(node)?.snapshots(&volume(caller, name)?)?;
        out.array("snapshots", &found)?;
    })
}

/// Destroys snapshots of a volume, all or none; those that are not there are passed over. Fails with `BUSY`, `NOT_FOUND` (the volume), `NOT_OWNER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_destroy_snapshots(
    node: *const zfsvol_node,
    name: zfsvol_str,
    snapshots: *const zfsvol_str,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let names = caller.texts(snapshots, count)?;
        caller.get(node)?.destroy_snapshots(&volume(caller, name)?, &names)?;
    })
}

/// Makes a volume what a snapshot of it is; what was written since is lost. Fails with `BUSY` (newer snapshots, or it is in use), `IN_PROGRESS` (it is being pushed or handed over), `NOT_FOUND`, `NOT_OWNER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_rollback(
    node: *const zfsvol_node,
    name: zfsvol_str,
    snapshot: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(node)?.rollback(&volume(caller, name)?, caller.text(snapshot)?)?;
    })
}

/// Destroys the snapshots of a volume that a policy does not keep, and nothing that is needed. `policy` has `last`, `hourly`, `daily`, `weekly`, `monthly`, `yearly` (uint32) and
/// `minutes_ahead_of_utc` (int16), each of which can be left out; one that asks for nothing keeps everything. `retained` (NULL if it does not matter): `kept`, by the snapshot's name why
/// (string arrays), and `destroyed` (string array).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_retain(
    node: *const zfsvol_node,
    name: zfsvol_str,
    policy: *const zfsvol_nvlist,
    retained: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(retained)?;
        let policy: Retention = from_nvlist(caller.get(policy)?)?;
        let outcome = caller.get(node)?.retain(&volume(caller, name)?, &policy)?;
        out.list(&outcome)?;
    })
}

/// Mounts a file system, and says where (to be freed with `zfsvol_buffer_free`; NULL if that does not matter). Mounted already is no failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_mount(
    node: *const zfsvol_node,
    name: zfsvol_str,
    path: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(path)?;
        let at = caller.get(node)?.mount(&volume(caller, name)?)?;
        out.bytes(at.as_os_str().as_encoded_bytes());
    })
}

/// Unmounts a file system. `unmounted` says whether it was mounted (NULL if that does not matter). Fails with `BUSY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_unmount(
    node: *const zfsvol_node,
    name: zfsvol_str,
    unmounted: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(unmounted)?;
        let was = caller.get(node)?.unmount(&volume(caller, name)?)?;
        out.set(was);
    })
}

/// Where a file system is mounted, or would be; to be freed with `zfsvol_buffer_free`. Fails with `INVALID` when it has no mountpoint, `WRONG_TYPE` for a block device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_path(
    node: *const zfsvol_node,
    name: zfsvol_str,
    path: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(path)?;
        let at = caller.get(node)?.path(&volume(caller, name)?)?;
        out.bytes(at.as_os_str().as_encoded_bytes());
    })
}

/// Opens the block device of a volume; a replica can only be read. The rest is as in `zfsvol_device_open`. Fails with `NOT_OWNER` as well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_open_device(
    node: *const zfsvol_node,
    name: zfsvol_str,
    writable: bool,
    milliseconds: i64,
    device: *mut *mut zfsvol_device,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(device)?;
        let name = volume(caller, name)?;
        let opened = caller.get(node)?.open_device(&name, access(writable), wait(milliseconds))?;
        out.give(opened);
    })
}

/// The node in `/dev` of a block volume that this node owns, waited for `milliseconds` at most; to be freed with `zfsvol_buffer_free`. Fails with `NOT_OWNER`, `WRONG_TYPE` (a file system), `NOT_FOUND` (no
/// volume; or no such node, as for all that is embedded), and as `zfsvol_device_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_device_path(
    node: *const zfsvol_node,
    name: zfsvol_str,
    milliseconds: i64,
    path: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(path)?;
        let name = volume(caller, name)?;
        let at = caller.get(node)?.device_path(&name, wait(milliseconds))?;
        out.bytes(at.as_os_str().as_encoded_bytes());
    })
}

/// The name of a volume.
pub(crate) fn volume(caller: &Caller, name: zfsvol_str) -> Result<VolumeName, Fault> {
    let text = caller.text(name)?;
    text.parse::<VolumeName>().map_err(|error| {
        let status = crate::status::ZFSVOL_STATUS_INVALID_NAME;
        Fault::new(status, "use the name", error.to_string()).with_target(text)
    })
}

/// A UUID.
pub(crate) fn uuid(caller: &Caller, id: zfsvol_str) -> Result<Uuid, Fault> {
    let text = caller.text(id)?;
    Uuid::parse_str(text)
        .map_err(|error| Fault::invalid("use the UUID", error.to_string()).with_target(text))
}

fn options_of(caller: &Caller, options: *const zfsvol_node_options) -> Result<NodeOptions, Fault> {
    let given = caller.options(options)?;
    // Released from here on, whatever happens.
    let context = Context::new(given.context, given.release);
    let mut options = NodeOptions::new();
    if let Some(directory) = caller.optional_path(given.mountpoint)? {
        options = options.mountpoint(directory);
    }
    if given.adopt {
        options = options.adopt();
    }
    if let Some(callback) = given.on_event {
        options = options.on_event(move |event| {
            // Told, and never in the way: an event that is no list is not told.
            let Ok(list) = answer::list(event) else { return };
            let event = zfsvol_nvlist::give(list);
            // SAFETY: C gave the function for this context, and the event lives until it returns.
            unsafe { callback(context.pointer(), event) };
            crate::handle::take_back(event);
        });
    }
    Ok(options)
}

/// What a volume is to be.
pub(crate) fn spec_of(
    caller: &Caller,
    spec: *const zfsvol_volume_spec,
) -> Result<VolumeSpec, Fault> {
    let given = caller.options(spec)?;
    let mut spec = match given.block_bytes {
        0 => VolumeSpec::file_system(),
        bytes => VolumeSpec::block(Bytes::new(bytes)),
    };
    if given.quota_bytes != 0 {
        if given.block_bytes != 0 {
            return Err(Fault::invalid("create the volume", "a block device has no quota"));
        }
        spec = spec.quota(Bytes::new(given.quota_bytes));
    }
    if given.sparse {
        spec = spec.sparse();
    }
    spec = spec.properties(&properties(caller, given.properties, PropertySet::new())?);
    if let Some(key) = caller.get_optional(given.key)? {
        spec = spec.key(key.clone());
    }
    Ok(spec)
}
