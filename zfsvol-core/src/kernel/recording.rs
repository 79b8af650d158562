//! What [`Record`](super::Record) writes and [`Replay`](super::Replay) reads: calls as lists, lists in frames.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    Cmd, Errno, Ioc, Module, ModuleVersion, MountEntry, MountFlags, MountPoint, MountRequest,
    ObjectStat, ObjsetStats, UnmountFlags,
};
use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::{self, Encoding, NvList, Value};

const MAGIC: &[u8; 8] = b"zfsvol\0r";
const VERSION: u32 = 1;

/// Longest frame: what the decoder of lists takes.
const FRAME_BYTES_MAX: usize = nvlist::BYTES_MAX;

/// Most bytes of a recording that are read into memory: hours of an orchestrator's calls.
const RECORDING_BYTES_MAX: u64 = 1 << 30;

/// One call and its answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) call: Call,
    pub(super) request: NvList,
    pub(super) result: Result<(), Errno>,
    pub(super) answer: NvList,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Ioctl(Ioc),
    Mounts,
    Mount,
    Unmount,
    Prepare,
    Remove,
}

impl Call {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ioctl(ioc) => ioc.name(),
            Self::Mounts => "mounts",
            Self::Mount => "mount",
            Self::Unmount => "unmount",
            Self::Prepare => "prepare",
            Self::Remove => "remove",
        }
    }

    fn from_list(list: &NvList) -> Option<Self> {
        match (list.get_u32("call")?, list.get_str("what")) {
            (0, Some("mounts")) => Some(Self::Mounts),
            (0, Some("mount")) => Some(Self::Mount),
            (0, Some("unmount")) => Some(Self::Unmount),
            (0, Some("prepare")) => Some(Self::Prepare),
            (0, Some("remove")) => Some(Self::Remove),
            (number, None) => Ioc::from_number(number).map(Self::Ioctl),
            _ => None,
        }
    }
}

impl Event {
    pub(super) fn mounts(mounts: Result<&[MountEntry], Errno>) -> Self {
        let mut answer = NvList::new();
        let entries = mounts.unwrap_or_default().iter().map(|mount| {
            let mut list = NvList::new();
            put_bytes(&mut list, "dataset", mount.dataset.as_bytes());
            put_bytes(&mut list, "path", mount.path.as_os_str().as_bytes());
            put_bytes(&mut list, "options", mount.options.as_bytes());
            list
        });
        answer.insert("mounts", entries.collect::<Vec<_>>());
        Self { call: Call::Mounts, request: NvList::new(), result: mounts.map(|_| ()), answer }
    }

    pub(super) fn mount(request: &MountRequest, result: Result<(), Errno>) -> Self {
        Self { call: Call::Mount, request: mount_list(request), result, answer: NvList::new() }
    }

    pub(super) fn unmount(path: &Path, flags: UnmountFlags, result: Result<(), Errno>) -> Self {
        let request = path_list(path, flags.bits());
        Self { call: Call::Unmount, request, result, answer: NvList::new() }
    }

    pub(super) fn prepare(request: &MountRequest, result: Result<MountPoint, Errno>) -> Self {
        let mut answer = NvList::new();
        put_u64(&mut answer, "filled", u64::from(result == Ok(MountPoint::Filled)));
        let request = mount_list(request);
        Self { call: Call::Prepare, request, result: result.map(|_| ()), answer }
    }

    pub(super) fn remove(path: &Path, flags: MountFlags, result: Result<(), Errno>) -> Self {
        let request = path_list(path, flags.bits());
        Self { call: Call::Remove, request, result, answer: NvList::new() }
    }

    /// What was in the directory, as the answer has it.
    pub(super) fn mount_point(&self) -> MountPoint {
        match self.answer.get_u64("filled") {
            Some(1) => MountPoint::Filled,
            _ => MountPoint::Empty,
        }
    }

    /// The mounts in the answer.
    pub(super) fn mount_entries(&self) -> Vec<MountEntry> {
        let lists = self.answer.get_lists("mounts").unwrap_or_default();
        let entries = lists.iter().map(|list| {
            let path = PathBuf::from(OsString::from_vec(bytes(list, "path")));
            MountEntry::new(text(list, "dataset"), path, text(list, "options"))
        });
        entries.collect()
    }
}

fn mount_list(request: &MountRequest) -> NvList {
    let mut list = path_list(&request.path, request.flags.bits());
    put_bytes(&mut list, "name", request.dataset.as_bytes());
    put_bytes(&mut list, "data", request.data.as_bytes());
    list
}

fn path_list(path: &Path, flags: u32) -> NvList {
    let mut list = NvList::new();
    put_bytes(&mut list, "path", path.as_os_str().as_bytes());
    put_u64(&mut list, "flags", flags.into());
    list
}

/// The request in `cmd`, without what only this run can use: descriptors, and keys.
pub(super) fn request_of(ioc: Ioc, cmd: &Cmd) -> NvList {
    let mut list = NvList::new();
    put_bytes(&mut list, "name", cmd.name.as_bytes());
    if let Some(input) = &cmd.input {
        list.insert("input", Value::ByteArray(portable(input)));
    }
    if let Some(conf) = &cmd.conf {
        list.insert("conf", Value::ByteArray(conf.clone()));
    }
    if let Some(record) = &cmd.begin_record {
        list.insert("begin_record", Value::ByteArray(record.to_vec()));
    }
    put_u64(&mut list, "reply_max", cmd.reply_max as u64);
    put_u64(&mut list, "history_max", cmd.history_max as u64);
    put_u64(&mut list, "createtxg", cmd.createtxg);
    put_u64(&mut list, "defer_destroy", cmd.defer_destroy.into());
    put_u64(&mut list, "simple", cmd.simple.into());
    put_both_ways(&mut list, ioc, cmd);
    list
}

/// The answer in `cmd`.
pub(super) fn answer_of(ioc: Ioc, cmd: &Cmd) -> NvList {
    let mut list = NvList::new();
    put_bytes(&mut list, "name", cmd.name.as_bytes());
    put_both_ways(&mut list, ioc, cmd);
    put_bytes(&mut list, "reply", &cmd.reply);
    put_u64(&mut list, "reply_size", cmd.reply_size);
    put_u64(&mut list, "reply_filled", cmd.reply_filled.into());
    put_bytes(&mut list, "history", &cmd.history);
    put_u64(&mut list, "history_len", cmd.history_len);
    if let Some(refusal) = &cmd.refusal {
        put_bytes(&mut list, "refusal", refusal.as_bytes());
    }
    let stats = &cmd.objset_stats;
    put_u64(&mut list, "num_clones", stats.num_clones);
    put_u64(&mut list, "creation_txg", stats.creation_txg);
    put_u64(&mut list, "stats_guid", stats.guid);
    put_u64(&mut list, "stats_type", stats.objset_type.into());
    put_u64(&mut list, "is_snapshot", stats.is_snapshot.into());
    put_u64(&mut list, "inconsistent", stats.inconsistent.into());
    put_u64(&mut list, "redacted", stats.redacted.into());
    put_bytes(&mut list, "origin", stats.origin.as_bytes());
    let ObjectStat { generation, mode, links, ctime: [seconds, nanoseconds] } = cmd.stat;
    if cmd.stat != ObjectStat::default() {
        list.insert("stat", vec![generation, mode, links, seconds, nanoseconds]);
    }
    list
}

/// Fields that a request has and an answer too.
fn put_both_ways(list: &mut NvList, ioc: Ioc, cmd: &Cmd) {
    put_bytes(list, "value", &cmd.value);
    put_bytes(list, "string", &cmd.string);
    put_u64(list, "history_offset", cmd.history_offset);
    put_u64(list, "guid", cmd.guid);
    put_u64(list, "cookie", if is_cookie_a_descriptor(ioc) { 0 } else { cmd.cookie });
    put_u64(list, "objset_type", cmd.objset_type);
    put_u64(list, "perm_action", cmd.perm_action);
    put_u64(list, "obj", cmd.obj);
    put_u64(list, "flags", cmd.flags.into());
    put_u64(list, "sendobj", cmd.sendobj);
    put_u64(list, "fromobj", cmd.fromobj);
    put_u64(list, "zoneid", cmd.zoneid);
}

/// Puts a recorded answer into the command that asked.
pub(super) fn restore(ioc: Ioc, answer: &NvList, cmd: &mut Cmd) {
    let number = |name: &str| answer.get_u64(name).unwrap_or(0);
    let half = |name: &str| u32::try_from(number(name)).unwrap_or(0);
    cmd.name = text(answer, "name");
    cmd.value = bytes(answer, "value");
    cmd.string = bytes(answer, "string");
    cmd.history_offset = number("history_offset");
    cmd.guid = number("guid");
    if !is_cookie_a_descriptor(ioc) {
        cmd.cookie = number("cookie");
    }
    cmd.objset_type = number("objset_type");
    cmd.perm_action = number("perm_action");
    cmd.obj = number("obj");
    cmd.flags = half("flags");
    cmd.sendobj = number("sendobj");
    cmd.fromobj = number("fromobj");
    cmd.zoneid = number("zoneid");
    cmd.reply = bytes(answer, "reply");
    cmd.reply_size = number("reply_size");
    cmd.reply_filled = number("reply_filled") != 0;
    cmd.history = bytes(answer, "history");
    cmd.history_len = number("history_len");
    cmd.refusal = answer.contains("refusal").then(|| text(answer, "refusal").into());
    cmd.objset_stats = ObjsetStats {
        num_clones: number("num_clones"),
        creation_txg: number("creation_txg"),
        guid: number("stats_guid"),
        objset_type: half("stats_type"),
        is_snapshot: number("is_snapshot") != 0,
        inconsistent: number("inconsistent") != 0,
        redacted: number("redacted") != 0,
        origin: text(answer, "origin"),
    };
    cmd.stat = match answer.get_u64s("stat") {
        Some(&[generation, mode, links, seconds, nanoseconds]) => {
            ObjectStat { generation, mode, links, ctime: [seconds, nanoseconds] }
        }
        _ => ObjectStat::default(),
    };
}

/// `zc_cookie` is where the output goes, or whose output is asked about (OpenZFS 2.4 `module/zfs/zfs_ioctl.c`).
fn is_cookie_a_descriptor(ioc: Ioc) -> bool {
    matches!(ioc, Ioc::SEND | Ioc::RECV | Ioc::DIFF | Ioc::SEND_PROGRESS)
}

/// The packed input with its descriptors as -1 and its keys as zeros. What is no list stays as it is: the kernel refuses it.
fn portable(input: &[u8]) -> Vec<u8> {
    const DESCRIPTORS: [&str; 3] = ["fd", "input_fd", "cleanup_fd"];
    let Ok(mut list) = NvList::from_bytes(input) else { return input.to_vec() };
    for name in DESCRIPTORS {
        if let Some(Value::Int32(number)) = list.get_mut(name) {
            *number = -1;
        }
    }
    if let Some(Value::NvList(hidden)) = list.get("hidden_args") {
        let blank: NvList = hidden.iter().map(|(name, value)| (name, blanked(value))).collect();
        list.insert("hidden_args", blank);
    }
    list.to_bytes().unwrap_or_else(|_| input.to_vec())
}

/// A value of the same type and size that says nothing.
fn blanked(value: &Value) -> Value {
    match value {
        Value::ByteArray(key) => Value::ByteArray(vec![0; key.len()]),
        Value::Uint8Array(key) => Value::Uint8Array(vec![0; key.len()]),
        other => Value::from(format!("({})", other.data_type())),
    }
}

fn put_bytes(list: &mut NvList, name: &str, bytes: &[u8]) {
    if !bytes.is_empty() {
        list.insert(name, Value::ByteArray(bytes.to_vec()));
    }
}

fn put_u64(list: &mut NvList, name: &str, number: u64) {
    if number != 0 {
        list.insert(name, number);
    }
}

fn bytes(list: &NvList, name: &str) -> Vec<u8> {
    list.get_bytes(name).unwrap_or_default().to_vec()
}

pub(super) fn text(list: &NvList, name: &str) -> String {
    String::from_utf8_lossy(list.get_bytes(name).unwrap_or_default()).into_owned()
}

pub(super) fn write_start(out: &mut dyn Write, module: &Module) -> io::Result<()> {
    let names = |set: &BTreeSet<String>| Value::from(set.iter().cloned().collect::<Vec<_>>());
    let mut list = NvList::new();
    list.insert("version", module.version.to_string());
    list.insert("kernel_features", names(&module.kernel_features));
    list.insert("pool_features", names(&module.pool_features));
    list.insert("dataset_properties", names(&module.dataset_properties));
    list.insert("pool_properties", names(&module.pool_properties));
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    write_frame(out, &list)
}

pub(super) fn write_event(out: &mut dyn Write, event: &Event) -> io::Result<()> {
    let mut list = NvList::new();
    match event.call {
        Call::Ioctl(ioc) => list.insert("call", ioc.number()),
        host => list.insert("call", 0_u32).insert("what", host.name()),
    };
    list.insert("errno", event.result.map_or_else(|errno| errno.0, |()| 0));
    list.insert("request", event.request.clone());
    list.insert("answer", event.answer.clone());
    write_frame(out, &list)
}

fn write_frame(out: &mut dyn Write, list: &NvList) -> io::Result<()> {
    let packed = list.encode(Encoding::Xdr).map_err(io::Error::other)?;
    let length = u32::try_from(packed.len()).ok().filter(|_| packed.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("a call is too long to be recorded"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&crc32(&packed).to_le_bytes())?;
    out.write_all(&packed)
}

/// A whole recording.
pub(super) fn read(input: impl Read) -> Result<(Module, Vec<Event>)> {
    let mut input = input.take(RECORDING_BYTES_MAX);
    let mut start = [0u8; 12];
    input.read_exact(&mut start).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is too short to be one"),
        _ => Error::io(READ, error),
    })?;
    let (magic, version) = start.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(damaged("it does not begin like one"));
    }
    if version != VERSION.to_le_bytes() {
        let reason =
            format!("it is of another format than version {VERSION}, which this library reads");
        return Err(Error::new(ErrorKind::Unsupported, READ, reason));
    }
    let first = read_frame(&mut input)?.ok_or_else(|| damaged("it ends before the module"))?;
    let module = module(&first).ok_or_else(|| damaged("it does not say which module it is of"))?;
    let mut events = Vec::new();
    while let Some(list) = read_frame(&mut input)? {
        let place = events.len() + 1;
        let event = event(list).ok_or_else(|| damaged(format!("call {place} is incomplete")))?;
        events.push(event);
    }
    if input.limit() == 0 {
        let reason = format!("it is longer than {RECORDING_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::TooLarge, READ, reason));
    }
    Ok((module, events))
}

const READ: &str = "read the recording";

fn damaged(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Corrupt, READ, reason)
}

/// The next frame's list; `None` at the end.
fn read_frame(input: &mut impl Read) -> Result<Option<NvList>> {
    let mut head = Vec::new();
    input.by_ref().take(8).read_to_end(&mut head).map_err(|error| Error::io(READ, error))?;
    let Some((&length, checksum)) = head.split_first_chunk::<4>() else {
        return if head.is_empty() { Ok(None) } else { Err(damaged("it is cut off")) };
    };
    let length = u32::from_le_bytes(length);
    if length as usize > FRAME_BYTES_MAX {
        return Err(damaged("a call is longer than any can be"));
    }
    // Grows with what is there, not with what the length says.
    let mut packed = Vec::new();
    let read = input.by_ref().take(length.into()).read_to_end(&mut packed);
    let read = read.map_err(|error| Error::io(READ, error))?;
    if read as u64 != u64::from(length) {
        return Err(damaged("it is cut off"));
    }
    if checksum != crc32(&packed).to_le_bytes() {
        return Err(damaged("a checksum does not match"));
    }
    NvList::from_bytes(&packed).map(Some).map_err(|error| damaged(error.to_string()))
}

fn module(list: &NvList) -> Option<Module> {
    let names = |name: &str| {
        let names = list.get_strs(name).unwrap_or_default().iter();
        Arc::new(names.map(ToString::to_string).collect::<BTreeSet<String>>())
    };
    Some(Module {
        version: ModuleVersion::parse(list.get_str("version")?)?,
        kernel_features: names("kernel_features"),
        pool_features: names("pool_features"),
        dataset_properties: names("dataset_properties"),
        pool_properties: names("pool_properties"),
    })
}

fn event(list: NvList) -> Option<Event> {
    let call = Call::from_list(&list)?;
    let errno = list.get_i32("errno")?;
    let mut list = list;
    let Some(Value::NvList(request)) = list.remove("request") else { return None };
    let Some(Value::NvList(answer)) = list.remove("answer") else { return None };
    let result = if errno == 0 { Ok(()) } else { Err(Errno(errno)) };
    Some(Event { call, request, result, answer })
}

/// CRC-32 as in IEEE 802.3 and zip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn descriptors_and_keys_are_not_recorded() {
        let hidden: NvList = [("wkeydata", Value::Uint8Array(vec![7; 32]))].into_iter().collect();
        let input: NvList = [
            ("fd", Value::Int32(9)),
            ("hidden_args", Value::from(hidden)),
            ("fromsnap", Value::from("tank/a@1")),
        ]
        .into_iter()
        .collect();
        let portable = NvList::from_bytes(&portable(&input.to_bytes().unwrap())).unwrap();
        assert_eq!(portable.get_i32("fd"), Some(-1));
        assert_eq!(portable.get_str("fromsnap"), Some("tank/a@1"));
        let key = portable.get_list("hidden_args").unwrap().get_bytes("wkeydata").unwrap();
        assert_eq!(key, [0; 32]);
        let mut send = Cmd::new("tank/a@1");
        send.cookie = 9;
        assert_eq!(request_of(Ioc::SEND, &send).get_u64("cookie"), None);
        assert_eq!(request_of(Ioc::DATASET_LIST_NEXT, &send).get_u64("cookie"), Some(9));
    }

    #[test]
    fn every_field_of_an_answer_comes_back() {
        let mut cmd = Cmd::new("tank/a");
        cmd.value = b"value\xff".to_vec();
        cmd.string = b"string".to_vec();
        (cmd.history_offset, cmd.guid, cmd.cookie) = (1, 2, 3);
        (cmd.objset_type, cmd.perm_action, cmd.obj) = (4, 5, 6);
        (cmd.flags, cmd.sendobj, cmd.fromobj, cmd.zoneid) = (7, 8, 9, 10);
        cmd.reply = vec![11];
        (cmd.reply_size, cmd.reply_filled) = (12, true);
        cmd.history = vec![13];
        cmd.history_len = 14;
        cmd.refusal = Some("no".into());
        cmd.objset_stats = ObjsetStats {
            num_clones: 15,
            creation_txg: 16,
            guid: 17,
            objset_type: 18,
            is_snapshot: true,
            inconsistent: true,
            redacted: true,
            origin: "tank/o@s".into(),
        };
        cmd.stat = ObjectStat { generation: 19, mode: 20, links: 21, ctime: [22, 23] };
        let mut restored = Cmd::default();
        restore(Ioc::DATASET_LIST_NEXT, &answer_of(Ioc::DATASET_LIST_NEXT, &cmd), &mut restored);
        assert_eq!(restored, cmd);
    }
}
