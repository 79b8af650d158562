//! [`Log`]: keys and values in one file, to which transactions are added.
//!
//! A transaction is durable when its frames are, and then the slot that says so: two waits for the disk. So after any crash the log ends where a
//! transaction did, and what is missing or damaged before that end is damage, and not taken for a crash.
//!
//! When more than half of the file is values that were replaced or removed, those that count are written into a new file, which takes the place
//! of the old one. So the file is at most about twice what counts, and each byte is written about twice in all.

use std::collections::BTreeMap;
use std::io;

use super::codec::{Malformed, Reader, Writer};
use super::files::{Files, Medium};
use super::frame::{self, FRAME_HEAD, FRAMES, FileId, Frame, Slot};
use super::{Batch, Change, Key, Kind, Trouble, Value};

/// The file that counts, and the one that is to take its place.
const STATE: &str = "zfsvol.state";
const STATE_NEW: &str = "zfsvol.state.new";
/// Frames end when they have that many bytes.
const FRAME_BYTES: usize = 1 << 20;
/// A file is not written anew for less than that.
const GARBAGE_MIN: u64 = 4 << 20;

/// Where a value is, and what it takes there with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Located {
    offset: u64,
    bytes: u64,
}

/// Keys and values, kept.
#[derive(Debug)]
pub(super) struct Log {
    files: Box<dyn Files>,
    medium: Box<dyn Medium>,
    id: FileId,
    /// The last frame, and where it ends.
    last: Slot,
    /// Which slot is written next.
    turn: usize,
    index: BTreeMap<Key, Located>,
    /// What all values that count take.
    live: u64,
    /// The file is written anew when it is longer than this.
    limit: u64,
}

impl Log {
    /// Opens the log of a directory, or begins one. `each` gets all that was ever written, in that order: a key and its value, or nothing for a
    /// key that is no more.
    pub(super) fn open(
        files: Box<dyn Files>,
        each: &mut dyn FnMut(Key, Option<&[u8]>),
    ) -> Result<Self, Trouble> {
        // What was not finished.
        files.remove(STATE_NEW)?;
        let Some(medium) = files.open(STATE)? else {
            if files.is_used()? {
                return Err(Trouble::Damaged(format!("'{STATE}' is not there any more")));
            }
            let log = Self::begin(files)?;
            log.files.publish(STATE_NEW, STATE)?;
            log.files.set_used()?;
            return Ok(log);
        };
        if !files.is_used()? {
            files.set_used()?;
        }
        let id = frame::read_head(&*medium)?;
        let (slot, turn) = frame::read_slots(&*medium, &id)?;
        let last = Slot { sequence: 0, end: FRAMES };
        let (index, live, limit) = (BTreeMap::new(), 0, 0);
        let mut log = Self { files, medium, id, last, turn, index, live, limit };
        log.read_to(slot, each)?;
        log.read_beyond(each)?;
        log.set_limit();
        Ok(log)
    }

    /// A new file, not in its place yet.
    fn begin(files: Box<dyn Files>) -> Result<Self, Trouble> {
        let medium = files.create(STATE_NEW)?;
        let id = new_id()?;
        frame::write_head(&*medium, &id)?;
        let last = Slot { sequence: 0, end: FRAMES };
        medium.cut(FRAMES)?;
        frame::write_slot(&*medium, &id, 0, last)?;
        medium.sync()?;
        let (index, live) = (BTreeMap::new(), 0);
        Ok(Self { files, medium, id, last, turn: 1, index, live, limit: GARBAGE_MIN })
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Reads what is durable. All of it must be sound.
    fn read_to(
        &mut self,
        slot: Slot,
        each: &mut dyn FnMut(Key, Option<&[u8]>),
    ) -> Result<(), Trouble> {
        let bytes = self.medium.bytes()?;
        if bytes < slot.end {
            return Err(Trouble::Damaged(format!(
                "it has {bytes} bytes, and had {} when it was last written",
                slot.end
            )));
        }
        while self.last.end < slot.end {
            let frame = self.next_frame(self.last, slot.end)?.ok_or_else(|| {
                Trouble::Damaged(format!("what begins at byte {} is not sound", self.last.end))
            })?;
            self.apply(&frame, self.last.end, each)?;
            self.last = Slot { sequence: self.last.sequence + 1, end: frame.end };
        }
        match self.last == slot {
            true => Ok(()),
            false => Err(Trouble::Damaged("it does not end where its slot says".to_owned())),
        }
    }

    /// Reads the transactions that are there although no slot says so: nobody was told that they were done, but they were. What is behind the
    /// last whole one is cut off.
    fn read_beyond(&mut self, each: &mut dyn FnMut(Key, Option<&[u8]>)) -> Result<(), Trouble> {
        let bytes = self.medium.bytes()?;
        let before = self.last;
        let mut at = self.last;
        let mut frames: Vec<(Frame, u64)> = Vec::new();
        while let Some(frame) = self.next_frame(at, bytes)? {
            let (is_last, start) = (frame.is_last, at.end);
            at = Slot { sequence: at.sequence + 1, end: frame.end };
            frames.push((frame, start));
            if is_last {
                for (frame, start) in std::mem::take(&mut frames) {
                    self.apply(&frame, start, each)?;
                }
                self.last = at;
            }
        }
        if bytes > self.last.end {
            self.medium.cut(self.last.end)?;
        }
        if self.last != before {
            self.medium.sync()?;
            self.write_slot()?;
        }
        Ok(())
    }

    fn next_frame(&self, after: Slot, limit: u64) -> io::Result<Option<Frame>> {
        frame::read_frame(&*self.medium, &self.id, after.end, after.sequence + 1, limit)
    }

    /// Takes the entries of a frame that is sound.
    fn apply(
        &mut self,
        frame: &Frame,
        start: u64,
        each: &mut dyn FnMut(Key, Option<&[u8]>),
    ) -> Result<(), Trouble> {
        let malformed = |_| Trouble::Damaged(format!("what begins at byte {start} makes no sense"));
        for entry in Entry::all_in(&frame.payload, start).map_err(malformed)? {
            self.place(entry.key, entry.value.map(|_| entry.located));
            each(entry.key, entry.value);
        }
        Ok(())
    }

    /// A value is there now, or nowhere.
    fn place(&mut self, key: Key, located: Option<Located>) {
        let before = match located {
            Some(located) => {
                self.live = self.live.saturating_add(located.bytes);
                self.index.insert(key, located)
            }
            None => self.index.remove(&key),
        };
        self.live = self.live.saturating_sub(before.map_or(0, |before| before.bytes));
    }

    /// Adds transactions. They are durable when this comes back, and after an error nothing can be said of them.
    pub(super) fn commit(&mut self, batches: &[Batch]) -> io::Result<()> {
        let mut appender = Appender::new(&*self.medium, &self.id, self.last);
        for batch in batches {
            for change in batch {
                match change {
                    Change::Put(key, value) => appender.put(*key, value)?,
                    Change::Remove(key) => appender.remove(*key)?,
                    Change::RemovePool(pool) => {
                        let new = appender.placed.iter().map(|(key, _)| *key);
                        let mut keys: Vec<Key> = new.filter(|key| key.is_of(*pool)).collect();
                        keys.extend(self.of_pool(*pool));
                        for key in keys {
                            appender.remove(key)?;
                        }
                    }
                }
            }
            appender.end_transaction()?;
        }
        let (last, placed) = (appender.last, appender.placed);
        self.medium.sync()?;
        self.last = last;
        self.write_slot()?;
        for (key, located) in placed {
            self.place(key, located);
        }
        if self.last.end > self.limit { self.write_anew() } else { Ok(()) }
    }

    /// All that is kept of a pool, before this commit.
    fn of_pool(&self, pool: u64) -> Vec<Key> {
        let of = |kind| {
            let (first, last) = (Key::new(kind, pool, 0), Key::new(kind, pool, u64::MAX));
            self.index.range(first..=last).map(|(key, _)| *key)
        };
        Kind::OF_POOL.into_iter().flat_map(of).collect()
    }

    fn write_slot(&mut self) -> io::Result<()> {
        frame::write_slot(&*self.medium, &self.id, self.turn, self.last)?;
        self.turn = self.turn.wrapping_add(1);
        self.medium.sync()
    }

    fn set_limit(&mut self) {
        self.limit = self.live.saturating_mul(2).saturating_add(GARBAGE_MIN);
    }

    /// Writes what counts into a new file that takes the place of this one. Where there is no room for it, this one stays, and it is tried again
    /// when it is twice as long.
    fn write_anew(&mut self) -> io::Result<()> {
        let new = match self.copy() {
            Ok(new) => new,
            // It was sound when it was written.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(error),
            Err(_) => {
                let _ = self.files.remove(STATE_NEW);
                self.limit = self.last.end.saturating_mul(2);
                return Ok(());
            }
        };
        // From here it is one or the other, and nobody knows which until it is done.
        self.files.publish(STATE_NEW, STATE)?;
        (self.medium, self.id, self.last) = (new.medium, new.id, new.last);
        (self.index, self.live, self.turn) = (new.index, new.live, new.turn);
        self.set_limit();
        Ok(())
    }

    /// A new file with what counts of this one, which is looked at once more on the way.
    fn copy(&self) -> io::Result<Copied> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let medium = self.files.create(STATE_NEW)?;
        let id = new_id()?;
        frame::write_head(&*medium, &id)?;
        let mut appender = Appender::new(&*medium, &id, Slot { sequence: 0, end: FRAMES });
        let mut at = Slot { sequence: 0, end: FRAMES };
        while at.end < self.last.end {
            let frame = self.next_frame(at, self.last.end)?.ok_or_else(damaged)?;
            for entry in Entry::all_in(&frame.payload, at.end).map_err(|_| damaged())? {
                let counts = self.index.get(&entry.key) == Some(&entry.located);
                if let (true, Some(value)) = (counts, entry.value) {
                    appender.put_bytes(entry.key, &[value])?;
                }
            }
            at = Slot { sequence: at.sequence + 1, end: frame.end };
        }
        appender.end_transaction()?;
        let (last, placed) = (appender.last, appender.placed);
        medium.sync()?;
        frame::write_slot(&*medium, &id, 0, last)?;
        medium.sync()?;
        let index: BTreeMap<Key, Located> =
            placed.into_iter().filter_map(|(key, located)| Some((key, located?))).collect();
        let live = index.values().map(|located| located.bytes).sum();
        Ok(Copied { medium, id, last, index, live, turn: 1 })
    }
}

/// A file that is to take the place of another.
struct Copied {
    medium: Box<dyn Medium>,
    id: FileId,
    last: Slot,
    index: BTreeMap<Key, Located>,
    live: u64,
    turn: usize,
}

fn new_id() -> io::Result<FileId> {
    let mut id = FileId::default();
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(id)
}

/// A key with its value, or with nothing when it was removed.
struct Entry<'a> {
    key: Key,
    value: Option<&'a [u8]>,
    located: Located,
}

impl<'a> Entry<'a> {
    /// All in the payload of the frame that begins at `start`.
    fn all_in(payload: &'a [u8], start: u64) -> Result<Vec<Self>, Malformed> {
        let mut input = Reader::new(payload);
        let at = |input: &Reader<'_>| {
            let into = FRAME_HEAD + payload.len().saturating_sub(input.left());
            start.saturating_add(u64::try_from(into).unwrap_or(u64::MAX))
        };
        let mut entries = Vec::new();
        while input.left() > 0 {
            let offset = at(&input);
            let is_put = input.flag()?;
            let kind = Kind::from_number(input.number()?).ok_or(Malformed)?;
            let key = Key::new(kind, input.number()?, input.number()?);
            let value = if is_put { Some(input.bytes()?) } else { None };
            let located = Located { offset, bytes: at(&input).saturating_sub(offset) };
            entries.push(Self { key, value, located });
        }
        Ok(entries)
    }
}

/// Adds frames to a file, behind what counts of it.
struct Appender<'a> {
    medium: &'a dyn Medium,
    id: &'a FileId,
    last: Slot,
    payload: Vec<u8>,
    placed: Vec<(Key, Option<Located>)>,
}

impl<'a> Appender<'a> {
    fn new(medium: &'a dyn Medium, id: &'a FileId, last: Slot) -> Self {
        Self { medium, id, last, payload: Vec::new(), placed: Vec::new() }
    }

    fn put(&mut self, key: Key, value: &Value) -> io::Result<()> {
        match value {
            Value::Packed(bytes) => self.put_bytes(key, &[bytes]),
            Value::Data(kind, data) => self.put_bytes(key, &[&[*kind], data]),
        }
    }

    fn put_bytes(&mut self, key: Key, parts: &[&[u8]]) -> io::Result<()> {
        self.add(key, Some(parts))
    }

    fn remove(&mut self, key: Key) -> io::Result<()> {
        self.add(key, None)
    }

    fn add(&mut self, key: Key, parts: Option<&[&[u8]]>) -> io::Result<()> {
        let into = FRAME_HEAD + self.payload.len();
        let offset = self.last.end.saturating_add(u64::try_from(into).unwrap_or(u64::MAX));
        let mut head = Writer::new();
        head.flag(parts.is_some());
        head.number(key.kind.number());
        head.number(key.pool);
        head.number(key.id);
        if let Some(parts) = parts {
            head.length(parts.iter().map(|part| part.len()).sum());
        }
        // Nothing of this kind fails.
        self.payload.append(&mut head.finish().unwrap_or_default());
        parts.unwrap_or_default().iter().for_each(|part| self.payload.extend_from_slice(part));
        let bytes = u64::try_from(FRAME_HEAD + self.payload.len() - into).unwrap_or(u64::MAX);
        self.placed.push((key, parts.map(|_| Located { offset, bytes })));
        if self.payload.len() >= FRAME_BYTES { self.write(false) } else { Ok(()) }
    }

    fn end_transaction(&mut self) -> io::Result<()> {
        self.write(true)
    }

    fn write(&mut self, is_last: bool) -> io::Result<()> {
        let sequence = self.last.sequence + 1;
        let at = self.last.end;
        let end = frame::write_frame(self.medium, self.id, at, sequence, &self.payload, is_last)?;
        self.payload.clear();
        self.last = Slot { sequence, end };
        Ok(())
    }
}
