//! [`Side`]: one of the two kernels, with a pool of its own: how a step is carried out there, and what it answers.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use zfsvol_core::kernel::{Access, Cmd, Errno, Handle, Ioc, ObjsetStats};
use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::stream::{ResumeToken, SendFlags};
use zfsvol_core::zfs::{Destroy, Key, List, ReceiveOptions, SendBase, SendOptions};
use zfsvol_core::{BookmarkName, DatasetName, Error, SnapshotName, Zfs};

use super::step::{Receive, Request, Send, Step, list};
use super::stream::{self, Made};
use crate::volume;

/// Room for every answer.
pub(super) const REPLY_BYTES: usize = 1 << 20;
/// How long a device may take to appear where there must be one. Some never do: the module makes them in the background, and a rename can get in between.
const DEVICE_WAIT: Duration = Duration::from_secs(3);
/// Answered where it did not appear.
pub(super) const NO_DEVICE: &str = "open ETIMEDOUT";
/// Answered where a step's names are none that the library takes.
const NO_NAME: &str = "no such name";
/// `ZIO_CRYPT_OFF`.
const NOT_ENCRYPTED: u64 = 2;
/// `ZFS_KEYSTATUS_UNAVAILABLE`.
const KEY_UNAVAILABLE: u64 = 1;

/// One of the two kernels, with a pool of its own.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) zfs: Zfs,
    pub(super) pool: String,
    /// That both are of.
    release: (u32, u32),
    handles: BTreeMap<usize, Handle>,
    streams: BTreeMap<usize, Vec<u8>>,
    /// Every stream that was made, also those that are not kept any more.
    made: Vec<Made>,
}

impl Side {
    pub(super) fn new(zfs: Zfs, pool: &str, release: (u32, u32)) -> Self {
        let pool = pool.to_owned();
        let (handles, streams, made) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { zfs, pool, release, handles, streams, made }
    }

    /// Closes all handles, so that nothing is held for them.
    pub(super) fn close(&mut self) {
        self.handles.clear();
    }

    /// Carries out a step. The answer is everything that must be the same on both sides.
    pub(super) fn run(&mut self, step: &Step) -> String {
        let answer = match step {
            Step::Ask(request) => self.ask(request),
            Step::Keep { snapshot, tag, handle } => self.keep(snapshot, tag, *handle),
            Step::Close(handle) => {
                self.handles.remove(handle).map_or("not open", |_| "closed").into()
            }
            Step::Write { zvol, offset, bytes, seed } => self.write(zvol, *offset, *bytes, *seed),
            Step::Read(zvol) => self.read(zvol),
            Step::Send(send) => self.send(send),
            Step::Resume { of, slot } => self.resume(of, *slot),
            Step::Receive(receive) => self.receive(receive),
            Step::Abort(name) => self.on_dataset(name, Zfs::abort_receive),
            Step::SnapshotTree(root, snapshot) => self.on_dataset(root, |zfs, root| {
                zfs.snapshot_recursive(root, snapshot, &PropertySet::new()).map(sorted)
            }),
            Step::DestroySnapshots(root, snapshot) => self.on_dataset(root, |zfs, root| {
                zfs.destroy_snapshots_recursive(root, snapshot, Destroy::Now)
            }),
            Step::DestroyTree(root) => self.on_dataset(root, Zfs::destroy_recursive),
            Step::List(root) => self.on_dataset(root, |zfs, root| {
                zfs.list_all(&List::from(root.clone()).types(DatasetTypes::all())).map(|found| {
                    sorted(found.into_iter().map(|one| format!("{} {:?}", one.name, one.kind)))
                })
            }),
        };
        answer.replace(&self.pool, "R")
    }

    /// The name with the pool for `R`.
    fn name(&self, name: &str) -> String {
        match name.strip_prefix('R') {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '@', '#']) => {
                format!("{}{rest}", self.pool)
            }
            _ => name.to_owned(),
        }
    }

    fn list(&self, list: &NvList) -> NvList {
        list.iter().map(|(name, value)| (self.name(name), self.value(value))).collect()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::NvList(list) => Value::NvList(self.list(list)),
            Value::String(text) => Value::from(self.name(&text.to_string_lossy())),
            other => other.clone(),
        }
    }

    fn ask(&self, request: &Request) -> String {
        let mut cmd = Cmd::new(self.name(&request.name));
        if is_deadly_to_nothing(request) && !self.is_there(&cmd.name) {
            return "not there".into();
        }
        if request.ioc == Ioc::PROMOTE && self.is_deadly_promotion(&cmd.name) {
            return "a bookmark of that name is there".into();
        }
        if self.release >= (2, 4) && looks_into_filesystem(request) && self.of_encrypted(request) {
            return "opened without its key".into();
        }
        if request.ioc == Ioc::OBJSET_ZPLPROPS && self.is_locked(&cmd.name) {
            return "what is locked is told as long as it is in memory".into();
        }
        cmd.value = self.name(&request.value).into_bytes();
        cmd.cookie = request.cookie;
        cmd.objset_type = request.objset_type;
        cmd.obj = request.object;
        cmd.defer_destroy = request.defer;
        if let Some(input) = &request.input {
            cmd.input = Some(self.list(input).to_bytes().expect("packed"));
            cmd.reply_max = REPLY_BYTES;
        }
        let wants_list = reads(request.ioc);
        if wants_list {
            cmd.reply_max = REPLY_BYTES;
        }
        let outcome = self.zfs.kernel().ioctl(request.ioc, &mut cmd);
        // What is read is compared where everything is; the numbers are each kernel's own.
        if wants_list && request.ioc != Ioc::OBJSET_ZPLPROPS {
            return format!("{outcome:?}");
        }
        let reply = match cmd.has_reply_nvlist() {
            true => NvList::from_bytes(cmd.reply()).expect("a list"),
            false => NvList::new(),
        };
        let string = match request.ioc {
            Ioc::OBJ_TO_PATH if outcome.is_ok() => &cmd.value,
            _ => &cmd.string,
        };
        let string = String::from_utf8_lossy(string);
        // Of several errnos the module tells any: its order is that of a hash of Lua.
        let any = request.ioc == Ioc::DESTROY_SNAPS && outcome.is_err() && reply.len() > 1;
        let outcome = if any { "one of these".to_owned() } else { format!("{outcome:?}") };
        format!("{outcome} {} {string}", super::compare::text_of(&reply))
    }

    fn is_there(&self, name: &str) -> bool {
        self.zfs.kernel().ioctl(Ioc::OBJSET_STATS, &mut Cmd::new(name)).is_ok()
    }

    /// Whether a clone would be given a bookmark of a name that it has already: the module does not look for that, and its sync thread does not survive
    /// it (2.1 to 2.4, `dsl_dataset_promote_check`). The library looks beforehand.
    fn is_deadly_promotion(&self, clone: &str) -> bool {
        let Ok((stats, _)) = self.stats(clone) else { return false };
        let Some(until) = self.number(&stats.origin, "createtxg") else { return false };
        let of = stats.origin.split('@').next().unwrap_or_default();
        let (theirs, ours) = (self.bookmarks(of), self.bookmarks(clone));
        theirs.iter().any(|(name, age)| *age <= until && ours.contains_key(name))
    }

    /// The bookmarks of a dataset, and when what they are of was made.
    fn bookmarks(&self, of: &str) -> BTreeMap<String, u64> {
        let mut cmd = Cmd::new(of);
        let wanted = list([("createtxg", Value::Boolean)]);
        cmd.input = Some(wanted.to_bytes().expect("packed"));
        cmd.reply_max = REPLY_BYTES;
        if self.zfs.kernel().ioctl(Ioc::GET_BOOKMARKS, &mut cmd).is_err() {
            return BTreeMap::new();
        }
        let found = NvList::from_bytes(cmd.reply()).expect("a list");
        let age = |name| found.get_list(name)?.get_list("createtxg")?.get_u64("value");
        found.iter().filter_map(|(name, _)| Some((name.to_owned(), age(name)?))).collect()
    }

    fn keep(&mut self, snapshot: &str, tag: &str, handle: usize) -> String {
        let Ok(snapshot) = self.name(snapshot).parse::<SnapshotName>() else {
            return NO_NAME.into();
        };
        let handle = match self.handles.entry(handle) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(closed) => {
                closed.insert(self.zfs.handle().expect("a handle"))
            }
        };
        told(self.zfs.hold(&[(snapshot, tag)], Some(handle)))
    }

    fn on_dataset<T: std::fmt::Debug>(
        &self,
        name: &str,
        ask: impl FnOnce(&Zfs, &DatasetName) -> Result<T, Error>,
    ) -> String {
        match self.name(name).parse::<DatasetName>() {
            Ok(name) => told(ask(&self.zfs, &name)),
            Err(_) => NO_NAME.into(),
        }
    }

    /// Whether a zvol has a device: where it cannot have one, nobody is to wait for it.
    fn has_device(&self, zvol: &DatasetName) -> Result<(), String> {
        let (stats, _) = self.stats(zvol.as_str()).map_err(|errno| format!("{errno:?}"))?;
        if stats.objset_type != ObjsetStats::ZVOL || stats.inconsistent || stats.redacted {
            return Err("no device".into());
        }
        if self.is_locked(zvol.as_str()) { Err("locked".into()) } else { Ok(()) }
    }

    fn write(&self, zvol: &str, offset: u64, bytes: usize, seed: u64) -> String {
        let data = match seed {
            0 => vec![0; bytes],
            1 => b"some text that is the same in every line\n".repeat(bytes / 41 + 1)[..bytes]
                .to_vec(),
            seed => volume::noise(seed, bytes),
        };
        self.with_device(zvol, Access::ReadWrite, |device| {
            device.write_all_at(&data, offset)?;
            device.flush()?;
            Ok("written".to_owned())
        })
    }

    fn read(&self, zvol: &str) -> String {
        self.with_device(zvol, Access::Read, |device| {
            let mut bytes = vec![0; usize::try_from(device.size()?).expect("it fits")];
            device.read_exact_at(&mut bytes, 0)?;
            Ok(format!("{} bytes {:x}", bytes.len(), stream::sum(&bytes)))
        })
    }

    fn with_device(
        &self,
        zvol: &str,
        access: Access,
        look: impl FnOnce(&dyn zfsvol_core::kernel::BlockDevice) -> std::io::Result<String>,
    ) -> String {
        let Ok(zvol) = self.name(zvol).parse::<DatasetName>() else { return NO_NAME.into() };
        if let Err(why) = self.has_device(&zvol) {
            return why;
        }
        let device = match self.zfs.kernel().host().open_block(&zvol, access, DEVICE_WAIT) {
            Ok(device) => device,
            // This one is not locked: it was not found, and one that is was among those looked at.
            Err(Errno::EACCES) => return NO_DEVICE.into(),
            Err(errno) => return format!("open {errno:?}"),
        };
        look(&*device).unwrap_or_else(|error| match error.raw_os_error() {
            Some(number) => format!("{:?}", Errno(number)),
            None => format!("{:?}", error.kind()),
        })
    }

    /// Whether a request is about something encrypted, or would make it so.
    fn of_encrypted(&self, request: &Request) -> bool {
        let input = request.input.as_ref();
        let has_key = input.is_some_and(|input| input.contains("hidden_args"));
        let origin = input.and_then(|input| input.get_str("origin")).unwrap_or_default();
        let above = request.name.rsplit_once('/').map_or("", |(above, _)| above);
        let mut names = [&request.name, origin, above].into_iter();
        has_key || names.any(|name| self.is_encrypted(&self.name(name)))
    }

    fn is_encrypted(&self, name: &str) -> bool {
        self.number(name, "encryption").is_some_and(|suite| suite != NOT_ENCRYPTED)
    }

    fn is_locked(&self, name: &str) -> bool {
        self.number(name, "keystatus") == Some(KEY_UNAVAILABLE)
    }

    /// A property that is a number, of what is there.
    fn number(&self, name: &str, property: &str) -> Option<u64> {
        let (_, list) = self.stats(name).ok()?;
        list.get_list(property)?.get_u64("value")
    }

    fn stats(&self, name: &str) -> Result<(ObjsetStats, NvList), Errno> {
        let mut cmd = Cmd::new(name);
        cmd.reply_max = REPLY_BYTES;
        self.zfs.kernel().ioctl(Ioc::OBJSET_STATS, &mut cmd)?;
        let list = NvList::from_bytes(cmd.reply()).expect("a list");
        Ok((cmd.objset_stats, list))
    }

    fn send(&mut self, send: &Send) -> String {
        let what = self.name(&send.what);
        let flags = SendFlags::from_bits_truncate(send.flags);
        if flags.contains(SendFlags::RAW) && self.is_encrypted(&what) {
            return "enciphered streams differ".into();
        }
        let mut options = SendOptions::full();
        if !send.since.is_empty() {
            let since = self.name(&send.since);
            let base = match since.contains('#') {
                true => since.parse::<BookmarkName>().map(SendBase::from),
                false => since.parse::<SnapshotName>().map(SendBase::from),
            };
            let Ok(base) = base else { return NO_NAME.into() };
            options = SendOptions::since(base);
        }
        options = options.flags(flags);
        if !send.redacted_by.is_empty() {
            let Ok(bookmark) = self.name(&send.redacted_by).parse() else { return NO_NAME.into() };
            options = options.redacted_by(bookmark);
        }
        let started = match what.contains('@') {
            true => match what.parse::<SnapshotName>() {
                Ok(snapshot) => self.zfs.send(&snapshot, &options),
                Err(_) => return NO_NAME.into(),
            },
            false => match what.parse::<DatasetName>() {
                Ok(dataset) => self.zfs.send(&dataset, &options),
                Err(_) => return NO_NAME.into(),
            },
        };
        self.keep_stream(started, send.slot, 0)
    }

    fn resume(&mut self, of: &str, slot: usize) -> String {
        let Ok(of) = self.name(of).parse::<DatasetName>() else { return NO_NAME.into() };
        let token = match self.zfs.receive_token(&of) {
            Ok(Some(token)) => token,
            Ok(None) => return "nothing to resume".into(),
            Err(error) => return error_text(&error),
        };
        let token: ResumeToken = token.parse().expect("a token");
        if token.flags.contains(SendFlags::RAW) && self.is_encrypted(of.as_str()) {
            return "enciphered streams differ".into();
        }
        let started = self.zfs.send_resume(&token, None);
        self.keep_stream(started, slot, token.bytes.get())
    }

    fn keep_stream(
        &mut self,
        started: Result<zfsvol_core::zfs::SendStream, Error>,
        slot: usize,
        before: u64,
    ) -> String {
        let mut stream = match started {
            Ok(stream) => stream,
            Err(error) => return error_text(&error),
        };
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            let source = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
            return source.map_or_else(|| error.to_string(), error_text);
        }
        let told = stream::told(&bytes);
        self.made.extend(Made::new(&bytes, before));
        self.streams.insert(slot, bytes);
        told
    }

    /// Of which streams, in the order they were made, and after which of their records a token goes on: what differs in length is not compared
    /// otherwise.
    pub(super) fn places_of(&self, token: &ResumeToken) -> Vec<(usize, usize)> {
        let made = self.made.iter().enumerate();
        made.filter_map(|(stream, made)| Some((stream, made.record_of(token)?))).collect()
    }

    fn receive(&self, receive: &Receive) -> String {
        let Some(bytes) = self.streams.get(&receive.slot) else { return "no stream".into() };
        let Ok(to) = self.name(&receive.to).parse::<SnapshotName>() else { return NO_NAME.into() };
        let mut options = ReceiveOptions::new();
        if receive.force {
            options = options.force();
        }
        if receive.resumable {
            options = options.resumable();
        }
        if !receive.origin.is_empty() {
            let Ok(origin) = self.name(&receive.origin).parse() else { return NO_NAME.into() };
            options = options.origin(origin);
        }
        options = options.received(&set(&receive.received)).set(&set(&receive.set));
        if let Some(byte) = receive.key {
            options = options.key(Key::raw([byte; 32]));
        }
        let mut taking = match self.zfs.receive(&to, &options) {
            Ok(taking) => taking,
            Err(error) => return error_text(&error),
        };
        let part = stream::cut(bytes, receive.cut);
        // A kernel that refused is not written to; `finish` has its reason.
        let _ = taking.write_all(&bytes[..part]);
        match taking.finish() {
            Err(error) => error_text(&error),
            Ok(received) => format!(
                "received, failed {:?}, not cleared {}",
                sorted(received.property_failures.iter().map(|one| (one.name.clone(), one.errno))),
                received.properties_not_cleared
            ),
        }
    }
}

/// Whether the module's sync thread does not survive that request where the dataset is not there, as `zstd` is set on it (2.1 to 2.4).
fn is_deadly_to_nothing(request: &Request) -> bool {
    let number = request.input.as_ref().and_then(|input| input.get_u64("compression"));
    request.ioc == Ioc::SET_PROP && number.is_some_and(|number| number & 0x7f == 16)
}

/// Whether a request has a file system opened that is not mounted. 2.4 opens it without its key, so that what is encrypted is read as long as it is in memory,
/// and the module does not survive what changes it then (OpenZFS 2.4.4 `module/os/linux/zfs/zfs_vfsops.c`, zfsvfs_create_hold).
fn looks_into_filesystem(request: &Request) -> bool {
    let opens = |name: &str| name.contains('@') || name == "version" || name.starts_with("default");
    match request.ioc {
        Ioc::USERSPACE_ONE | Ioc::USERSPACE_MANY => true,
        Ioc::INHERIT_PROP => opens(&request.value),
        Ioc::SET_PROP => {
            request.input.iter().flat_map(|input| input.iter()).any(|(name, _)| opens(name))
        }
        Ioc::CREATE | Ioc::CLONE => {
            let props = request.input.as_ref().and_then(|input| input.get_list("props"));
            props.into_iter().flat_map(|props| props.iter()).any(|(name, _)| opens(name))
        }
        _ => false,
    }
}

/// Whether an ioctl only looks: it answers with a list that is asked for, though it takes none.
fn reads(ioc: Ioc) -> bool {
    matches!(
        ioc,
        Ioc::OBJSET_STATS
            | Ioc::OBJSET_RECVD_PROPS
            | Ioc::OBJSET_ZPLPROPS
            | Ioc::GET_HOLDS
            | Ioc::GET_BOOKMARKS
            | Ioc::GET_BOOKMARK_PROPS
            | Ioc::SPACE_SNAPS
            | Ioc::SPACE_WRITTEN
            | Ioc::SEND_SPACE
            | Ioc::USERSPACE_ONE
            | Ioc::USERSPACE_MANY
            | Ioc::POOL_GET_PROPS
    )
}

fn set(pairs: &[(String, String)]) -> PropertySet {
    pairs.iter().fold(PropertySet::new(), |mut set, (name, value)| {
        set.set(name, value.as_str()).expect("a property");
        set
    })
}

fn sorted<T: Ord>(these: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut these: Vec<T> = these.into_iter().collect();
    these.sort();
    these
}

fn told<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(error) => error_text(&error),
    }
}

/// Kind, errno, and which names failed with which.
fn error_text(error: &Error) -> String {
    let failures = error.failures().iter();
    let failures =
        sorted(failures.map(|one| format!("{} {:?} {:?}", one.name, one.kind, one.errno)));
    format!("{:?} {:?} {failures:?}", error.kind(), error.errno())
}
