//! [`Replay`]: a door with no kernel behind it, that answers from a recording.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::recording::{self, Call, Event};
use super::{
    Access, BlockDevice, Cmd, Errno, Handle, Host, Ioc, Kernel, Module, MountEntry, MountFlags,
    MountPoint, MountRequest, UnmountFlags,
};
use crate::error::Result;
use crate::name::DatasetName;
use crate::nvlist::{NvList, Value};

/// Answers as a [`Record`](super::Record) heard it, with neither OpenZFS nor privileges.
///
/// A call that the recording does not have gets `EPROTO`, and the message says what was expected there and where the two differ first;
/// [`Self::mismatch`] keeps it for a test to look at. Each recorded answer is given once.
///
/// Nothing is written to descriptors: who reads the stream of a replayed send meets its end at once. Devices of zvols cannot be opened.
///
/// ```
/// use std::sync::Arc;
/// use zfsvol_core::embedded::Embedded;
/// use zfsvol_core::kernel::{Order, Record, Replay};
/// use zfsvol_core::{DatasetName, Zfs};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("calls.zfsvol");
/// let disk: DatasetName = "tank/disk".parse()?;
/// let record = Arc::new(Record::new(Arc::new(Embedded::new()), std::fs::File::create(&path)?)?);
/// assert!(!Zfs::from_shared(record.clone()).exists(&disk)?);
/// record.finish()?;
///
/// let replay = Arc::new(Replay::read(std::fs::File::open(&path)?, Order::Strict)?);
/// assert!(!Zfs::from_shared(replay.clone()).exists(&disk)?);
/// assert_eq!((replay.left(), replay.mismatch()), (0, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Replay {
    module: Module,
    order: Order,
    state: Mutex<State>,
}

/// Which recorded call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The next one, and it must be the same: for a program that calls from one thread.
    Strict,
    /// The first that is the same and was not given yet: for a program with threads.
    ByRequest,
}

#[derive(Debug)]
struct State {
    /// `None` where the answer was given.
    events: Vec<Option<Event>>,
    next: usize,
    mismatch: Option<String>,
}

impl Replay {
    /// Reads a whole recording.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when it is none, is damaged or cut off,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) when its format is newer,
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) above 1 GiB; those of reading.
    pub fn read(recording: impl Read, order: Order) -> Result<Self> {
        let (module, events) = recording::read(recording)?;
        let events = events.into_iter().map(Some).collect();
        let state = Mutex::new(State { events, next: 0, mismatch: None });
        Ok(Self { module, order, state })
    }

    /// How many recorded calls were not made.
    pub fn left(&self) -> usize {
        self.lock().events.iter().flatten().count()
    }

    /// What was wrong with the first call that the recording does not have.
    pub fn mismatch(&self) -> Option<String> {
        self.lock().mismatch.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recorded event for that call, or what is wrong.
    fn take(&self, call: Call, request: &NvList) -> Result<Event, String> {
        let mut state = self.lock();
        let is_it = |event: &Event| event.call == call && event.request == *request;
        let place = match self.order {
            Order::Strict => Some(state.next),
            Order::ByRequest => {
                state.events.iter().position(|event| event.as_ref().is_some_and(is_it))
            }
        };
        let event = place.and_then(|place| state.events.get_mut(place));
        if let Some(event) = event.and_then(|slot| slot.take_if(|event| is_it(event))) {
            state.next += 1;
            return Ok(event);
        }
        let mismatch = match self.order {
            Order::Strict => state.next_differs(call, request),
            Order::ByRequest => state.none_is(call, request),
        };
        state.mismatch.get_or_insert_with(|| mismatch.clone());
        Err(mismatch)
    }
}

impl State {
    fn next_differs(&self, call: Call, request: &NvList) -> String {
        let place = self.next + 1;
        let asked = describe(call, request);
        match self.events.get(self.next).and_then(Option::as_ref) {
            None => format!("the recording ends after call {}, and this is {asked}", self.next),
            Some(event) if event.call != call => format!(
                "call {place} of the recording is {}, and this is {asked}",
                describe(event.call, &event.request)
            ),
            Some(event) => format!(
                "call {place} of the recording is {}, and this differs in {}",
                describe(event.call, &event.request),
                difference(&event.request, request),
            ),
        }
    }

    /// The nearest that is left has the same name.
    fn none_is(&self, call: Call, request: &NvList) -> String {
        let asked = describe(call, request);
        let name = |list: &NvList| recording::text(list, "name");
        let left =
            self.events.iter().enumerate().filter_map(|(i, event)| Some((i, event.as_ref()?)));
        let mut alike = left.filter(|(_, event)| event.call == call);
        match alike.find(|(_, event)| name(&event.request) == name(request)) {
            None => format!("the recording has no {asked} that is not answered yet"),
            Some((place, event)) => format!(
                "the recording has no such {asked}: call {} differs in {}",
                place + 1,
                difference(&event.request, request)
            ),
        }
    }
}

/// `ZFS_IOC_SNAPSHOT 'tank'`.
fn describe(call: Call, request: &NvList) -> String {
    let name = recording::text(request, "name");
    let name = if name.is_empty() { recording::text(request, "path") } else { name };
    if name.is_empty() { call.name().to_owned() } else { format!("{} '{name}'", call.name()) }
}

/// Where two requests differ first, as `input.snaps.tank/a@s: recorded is ..., asked is ...`.
fn difference(recorded: &NvList, asked: &NvList) -> String {
    let names = recorded.iter().chain(asked.iter()).map(|(name, _)| name);
    for name in names {
        let (one, other) = (recorded.get(name), asked.get(name));
        if one == other {
            continue;
        }
        let inside = unpack(one).zip(unpack(other));
        return match inside {
            Some((one, other)) if one != other => format!("{name}.{}", difference(&one, &other)),
            _ => format!("{name}: recorded is {}, asked is {}", show(one), show(other)),
        };
    }
    "the order of their fields".to_owned()
}

/// The list in a value, packed or not.
fn unpack(value: Option<&Value>) -> Option<NvList> {
    match value? {
        Value::NvList(list) => Some(list.clone()),
        Value::ByteArray(packed) => NvList::from_bytes(packed).ok(),
        _ => None,
    }
}

fn show(value: Option<&Value>) -> String {
    /// Enough to see the difference of two names.
    const SHOWN_CHARS_MAX: usize = 100;
    let text = match value {
        None => "nothing".to_owned(),
        Some(Value::ByteArray(bytes)) => format!("'{}'", bytes.escape_ascii()),
        Some(Value::NvList(list)) => format!("{list:?}"),
        Some(value) => format!("{value:?}"),
    };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("module", &self.module.version)
            .field("order", &self.order)
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}

impl Kernel for Replay {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        match self.take(Call::Ioctl(ioc), &recording::request_of(ioc, cmd)) {
            Ok(event) => {
                recording::restore(ioc, &event.answer, cmd);
                event.result
            }
            Err(mismatch) => Err(cmd.refuse(Errno::EPROTO, mismatch)),
        }
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl Host for Replay {
    /// The module that the recording was made with.
    fn module(&self) -> &Module {
        &self.module
    }

    /// A handle that is none: recorded requests say nothing of theirs.
    fn handle(&self) -> Result<Handle, Errno> {
        Ok(Handle::new(-1, Box::new(())))
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        let event = self.take(Call::Mounts, &NvList::new()).map_err(|_| Errno::EPROTO)?;
        event.result.map(|()| event.mount_entries())
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        let asked = Event::mount(request, Ok(()));
        self.take(asked.call, &asked.request).map_err(|_| Errno::EPROTO)?.result
    }

    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        let asked = Event::unmount(path, flags, Ok(()));
        self.take(asked.call, &asked.request).map_err(|_| Errno::EPROTO)?.result
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        let asked = Event::prepare(request, Ok(MountPoint::Empty));
        let event = self.take(asked.call, &asked.request).map_err(|_| Errno::EPROTO)?;
        event.result.map(|()| event.mount_point())
    }

    fn remove_mount_point(&self, path: &Path, flags: MountFlags) -> Result<(), Errno> {
        let asked = Event::remove(path, flags, Ok(()));
        self.take(asked.call, &asked.request).map_err(|_| Errno::EPROTO)?.result
    }

    fn open_block(
        &self,
        _zvol: &DatasetName,
        _access: Access,
        _wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        Err(Errno::ENOTSUP)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::error::ErrorKind;
    use crate::kernel::Record;
    use crate::kernel::stub::{Stub, answer};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Three ioctls and two looks at the mounts, recorded.
    fn recording() -> Vec<u8> {
        let stub = Stub::new(|ioc, cmd| match ioc {
            Ioc::OBJSET_STATS => answer(cmd, [("used", 17_u64)]),
            Ioc::DESTROY => Err(Errno::EBUSY),
            _ => Ok(()),
        });
        let stub = stub.with_mounts([MountEntry::new("tank/a", "/a", "rw")]);
        let memory = Memory::default();
        let door = Record::new(Arc::new(stub), memory.clone()).unwrap();
        run(&door);
        door.finish().unwrap();
        memory.0.lock().unwrap().clone()
    }

    fn run(door: &dyn Kernel) {
        assert_eq!(stats(door).unwrap(), [("used", 17_u64)].into_iter().collect::<NvList>());
        assert_eq!(door.ioctl(Ioc::SNAPSHOT, &mut snapshot("tank/a@s")), Ok(()));
        assert_eq!(door.ioctl(Ioc::DESTROY, &mut Cmd::new("tank/a")), Err(Errno::EBUSY));
        assert_eq!(door.host().mounts().unwrap(), [MountEntry::new("tank/a", "/a", "rw")]);
        door.host().mount(&MountRequest::new("tank/b", "/b")).unwrap();
        door.host().unmount(Path::new("/b"), UnmountFlags::FORCE).unwrap();
    }

    fn stats(door: &dyn Kernel) -> Result<NvList, Errno> {
        let mut cmd = Cmd::new("tank/a");
        cmd.reply_max = 4096;
        door.ioctl(Ioc::OBJSET_STATS, &mut cmd)?;
        Ok(NvList::from_bytes(cmd.reply()).unwrap())
    }

    fn snapshot(name: &str) -> Cmd {
        let snaps: NvList = [(name, Value::Boolean)].into_iter().collect();
        let input: NvList = [("snaps", snaps)].into_iter().collect();
        let mut cmd = Cmd::new("tank");
        cmd.input = Some(input.to_bytes().unwrap());
        cmd
    }

    #[test]
    fn a_recording_answers_like_the_kernel() {
        for order in [Order::Strict, Order::ByRequest] {
            let door = Replay::read(&*recording(), order).unwrap();
            assert_eq!(door.left(), 6);
            assert_eq!(door.module().version.to_string(), "2.3.2");
            run(&door);
            assert_eq!((door.left(), door.mismatch()), (0, None));
        }
    }

    #[test]
    fn by_request_the_order_does_not_matter() {
        let door = Replay::read(&*recording(), Order::ByRequest).unwrap();
        assert_eq!(door.ioctl(Ioc::DESTROY, &mut Cmd::new("tank/a")), Err(Errno::EBUSY));
        assert!(stats(&door).is_ok());
        // Each answer is given once.
        let mut again = Cmd::new("tank/a");
        assert_eq!(door.ioctl(Ioc::DESTROY, &mut again), Err(Errno::EPROTO));
        assert_eq!(
            again.refusal(),
            Some("the recording has no ZFS_IOC_DESTROY 'tank/a' that is not answered yet")
        );
        let mut other = snapshot("tank/a@t");
        assert_eq!(door.ioctl(Ioc::SNAPSHOT, &mut other), Err(Errno::EPROTO));
        assert_eq!(
            other.refusal(),
            Some(
                "the recording has no such ZFS_IOC_SNAPSHOT 'tank': call 2 differs in \
                 input.snaps.tank/a@s: recorded is Boolean, asked is nothing"
            )
        );
    }

    #[test]
    fn in_strict_order_the_first_difference_is_named() {
        let door = Replay::read(&*recording(), Order::Strict).unwrap();
        let mut cmd = snapshot("tank/a@s");
        assert_eq!(door.ioctl(Ioc::SNAPSHOT, &mut cmd), Err(Errno::EPROTO));
        let expected = "call 1 of the recording is ZFS_IOC_OBJSET_STATS 'tank/a', and this is ZFS_IOC_SNAPSHOT 'tank'";
        assert_eq!(cmd.refusal(), Some(expected));
        let mut cmd = Cmd::new("tank/b");
        door.ioctl(Ioc::OBJSET_STATS, &mut cmd).unwrap_err();
        assert_eq!(
            cmd.refusal(),
            Some(
                "call 1 of the recording is ZFS_IOC_OBJSET_STATS 'tank/a', and this differs in \
                 name: recorded is 'tank/a', asked is 'tank/b'"
            )
        );
        assert_eq!(door.mismatch().as_deref(), Some(expected));
        run(&door);
        let mut cmd = Cmd::new("tank");
        door.ioctl(Ioc::PROMOTE, &mut cmd).unwrap_err();
        assert_eq!(
            cmd.refusal(),
            Some("the recording ends after call 6, and this is ZFS_IOC_PROMOTE 'tank'")
        );
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let good = recording();
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            let error = Replay::read(&*bad, Order::Strict).unwrap_err();
            let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{place}: {error}");
        }
    }

    /// Cut between two calls it is a shorter recording; anywhere else it is damaged.
    #[test]
    fn what_is_cut_off_is_found() {
        let good = recording();
        let whole =
            (0..good.len()).filter(|&end| Replay::read(&good[..end], Order::Strict).is_ok());
        assert_eq!(whole.count(), 6);
        let error = Replay::read(&b"zfsvol"[..], Order::Strict).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the recording: it is too short to be one");
    }

    #[test]
    fn a_writer_that_fails_fails_no_call() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0 < bytes.len() {
                    return Err(io::Error::from_raw_os_error(libc::ENOSPC));
                }
                self.0 -= bytes.len();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let stub = Arc::new(Stub::new(|_, _| Ok(())));
        let door = Record::new(stub, Full(300)).unwrap();
        for _ in 0..10 {
            assert_eq!(door.ioctl(Ioc::CREATE, &mut Cmd::new("tank/a")), Ok(()));
        }
        assert_eq!(door.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
