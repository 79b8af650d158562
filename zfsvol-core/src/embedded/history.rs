//! The history of a pool: what was done to it, and by whom. OpenZFS 2.3 `module/zfs/spa_history.c`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread::{self, ThreadId};

use super::engine::{Id, Pool, Result, State};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// A thousandth of the pool is for its history, and at least this much (`spa_history_create_obj`)...
const BYTES_MIN: u64 = 128 << 10;
/// ... and at most this. The module has a thousand times as much on a disk; in memory that would be more than all else of a pool.
const BYTES_MAX: u64 = 1 << 20;
/// A longer answer of an ioctl is not kept (`zfs_history_output_max`).
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// So many threads are remembered for what they may add to a history. A request that may be added to is followed by that addition at once, if at all.
const THREADS_MAX: usize = 1024;

/// The records of one pool, each behind its length.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// How far the records go that are kept for ever: those up to the first command, which made the pool.
    kept_end: u64,
    kept: Vec<Arc<[u8]>>,
    /// Those that follow, by where each begins. When there is no room, the oldest goes.
    rest: VecDeque<(u64, Arc<[u8]>)>,
    end: u64,
}

impl History {
    /// Adds a record. `most` bytes are kept.
    fn add(&mut self, record: &NvList, most: u64) {
        // What cannot be packed is nothing that a request can have had in it.
        let Ok(packed) = record.to_bytes() else { return };
        let length = u64::try_from(packed.len()).unwrap_or(u64::MAX);
        let bytes: Arc<[u8]> = [length.to_le_bytes().as_slice(), &packed].concat().into();
        let begin = self.end;
        self.end = begin.saturating_add(size(&bytes));
        self.rest.push_back((begin, bytes));
        if self.kept_end == 0 && record.contains("history command") {
            self.kept = self.rest.drain(..).map(|(_, bytes)| bytes).collect();
            self.kept_end = self.end;
        }
        let room = most.saturating_sub(self.kept_end);
        while self.rest.front().is_some_and(|(begin, _)| self.end - begin > room) {
            self.rest.pop_front();
        }
    }

    /// How far it goes, and how far what is kept for ever.
    pub(super) fn ends(&self) -> (u64, u64) {
        (self.end, self.kept_end)
    }

    /// All records from an offset on, each with where it begins. Those that are kept for ever are looked through one by one.
    pub(super) fn records_from(&self, offset: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let mut begin = 0_u64;
        let kept = self.kept.iter().filter(move |_| offset < self.kept_end).map(move |bytes| {
            let at = begin;
            begin = begin.saturating_add(size(bytes));
            (at, &**bytes)
        });
        let first = self.rest.partition_point(|(begin, _)| *begin < offset);
        let rest = self.rest.range(first..).map(|(begin, bytes)| (*begin, &**bytes));
        kept.filter(move |(begin, _)| *begin >= offset).chain(rest)
    }

    /// Where the oldest of those begins that are not kept for ever.
    pub(super) fn oldest(&self) -> u64 {
        self.rest.front().map_or(self.end, |(begin, _)| *begin)
    }

    /// A history that goes so far; its records are added next, the oldest first.
    pub(super) fn restored((end, kept_end): (u64, u64)) -> Self {
        Self { kept_end, end, ..Self::default() }
    }

    /// Adds a record that was read.
    pub(super) fn restore(&mut self, begin: u64, record: &[u8]) {
        match begin < self.kept_end {
            true => self.kept.push(record.into()),
            false => self.rest.push_back((begin, record.into())),
        }
    }

    /// The bytes from an offset on, at most so many, and the offset they begin at: `spa_history_get`.
    fn read(&self, offset: u64, most: usize) -> (u64, Vec<u8>) {
        if offset < self.kept_end {
            let skip = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = self.kept.iter().flat_map(|record| record.iter().copied());
            return (offset, bytes.skip(skip).take(most).collect());
        }
        let oldest = self.rest.front().map_or(self.end, |(begin, _)| *begin);
        let offset = offset.max(oldest);
        // The record that the offset is in, or behind the end.
        let first = self.rest.partition_point(|(begin, bytes)| begin + size(bytes) <= offset);
        let mut found = Vec::new();
        for (begin, bytes) in self.rest.range(first..) {
            let skip = usize::try_from(offset.saturating_sub(*begin)).unwrap_or(usize::MAX);
            let room = most - found.len();
            found.extend(bytes.iter().skip(skip).take(room));
            if found.len() == most {
                break;
            }
        }
        (offset, found)
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Which pool the last request of each thread went to, if that can be added to its history (`zfs_allow_log_key`).
#[derive(Debug, Default)]
pub(super) struct LastPools(BTreeMap<u64, (ThreadId, Arc<str>)>);

impl LastPools {
    fn set(&mut self, pool: &str) {
        self.take();
        if self.0.len() >= THREADS_MAX {
            self.0.pop_first();
        }
        let next = self.0.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        self.0.insert(next, (thread::current().id(), pool.into()));
    }

    fn take(&mut self) -> Option<Arc<str>> {
        let me = thread::current().id();
        let (key, _) = self.0.iter().rev().find(|(_, (thread, _))| *thread == me)?;
        let key = *key;
        self.0.remove(&key).map(|(_, pool)| pool)
    }
}

impl Pool {
    /// Notes something that the kernel did, to a dataset perhaps: `spa_history_log_internal`.
    pub(super) fn log_internal(&mut self, name: &str, dataset: Option<Id>, detail: String) {
        let mut record = NvList::new();
        if let Some(id) = dataset {
            record.insert("dsname", self.name(id).unwrap_or_default()).insert("dsid", id);
        }
        record
            .insert("history internal str", detail)
            .insert("internal_name", name)
            .insert("history txg", self.txg);
        self.log(record);
    }

    /// Notes with what the pool is used: `spa_history_log_version`.
    pub(super) fn log_version(&mut self, operation: &str) {
        let detail = format!(
            "pool version 5000; software version zfsvol {}; uts {}",
            env!("CARGO_PKG_VERSION"),
            self.env.hostname
        );
        self.log_internal(operation, None, detail);
    }

    fn log(&mut self, mut record: NvList) {
        if self.is_read_only() {
            return;
        }
        record.insert("history time", self.env.now().as_secs());
        record.insert("history hostname", self.env.hostname.as_str());
        let most = (self.layout.size() / 1000).clamp(BYTES_MIN, BYTES_MAX);
        self.history.add(&record, most);
    }
}

impl State {
    /// Notes an ioctl that was carried out: `zfsdev_ioctl_common`. Those of the old kind are not noted, but can be added to.
    pub(super) fn log_ioctl(
        &mut self,
        target: &str,
        ioctl: Option<&str>,
        mut input: NvList,
        output: &NvList,
    ) {
        self.last_pools.set(super::name::pool_of(target));
        let (Some(ioctl), Ok(pool)) = (ioctl, self.pool_mut(target)) else { return };
        // Keys are nobody's business.
        input.remove("hidden_args");
        let mut record = NvList::new();
        record.insert("ioctl", ioctl).insert("in_nvl", input).insert("history who", 0_u64);
        if !output.is_empty() {
            match output.to_bytes().map_or(usize::MAX, |packed| packed.len()) {
                size if size > OUTPUT_BYTES_MAX => {
                    record.insert("out_size", i64::try_from(size).unwrap_or(i64::MAX));
                }
                _ => {
                    record.insert("out_nvl", output.clone());
                }
            }
        }
        pool.log(record);
    }
}

/// `zfs_ioc_pool_get_history`.
pub(super) fn get(state: &State, cmd: &mut Cmd) -> Result<()> {
    if cmd.history_max == 0 {
        return Err(Errno::EINVAL);
    }
    let pool = state.pool(&cmd.name)?;
    let (offset, bytes) = pool.history.read(cmd.history_offset, cmd.history_max);
    cmd.history_offset = offset.saturating_add(size(&bytes));
    cmd.put_history(&bytes)
}

/// `zfs_ioc_log_history`: a command line is added to the history of the pool that the thread's last request went to, once.
pub(super) fn add(
    state: &mut State,
    _name: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let message = input.get_str("message").ok_or(Errno::EINVAL)?;
    let pool = state.last_pools.take().ok_or(Errno::EPERM)?;
    let pool = state.pool_mut(&pool)?;
    let mut record = NvList::new();
    record.insert("history command", message).insert("history who", 0_u64);
    pool.log(record);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, text: &str) -> NvList {
        [(name, text)].into_iter().collect()
    }

    fn all(history: &History, chunk: usize) -> Vec<u8> {
        let (mut offset, mut found) = (0, Vec::new());
        loop {
            let (begin, bytes) = history.read(offset, chunk);
            if bytes.is_empty() {
                return found;
            }
            offset = begin + size(&bytes);
            found.extend(bytes);
        }
    }

    #[test]
    fn the_creation_is_kept_and_the_oldest_of_the_rest_goes() {
        let mut history = History::default();
        history.add(&record("internal_name", "create"), 4096);
        history.add(&record("history command", "zpool create tank"), 4096);
        let kept = history.end;
        for n in 0..1000 {
            history.add(&record("internal_name", &format!("snapshot {n}")), 4096);
        }
        for chunk in [1, 7, 100, 1 << 20] {
            let bytes = all(&history, chunk);
            assert!(size(&bytes) <= 4096 && bytes.len() > 3900, "{chunk}: {}", bytes.len());
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.contains("zpool create tank"), "{chunk}");
            assert!(text.contains("snapshot 999") && !text.contains("snapshot 1\0"), "{chunk}");
        }
        // What has gone meanwhile is passed over.
        assert!(history.read(kept, 100).0 > kept);
        assert_eq!(history.read(history.end, 100), (history.end, Vec::new()));
        assert_eq!(history.read(u64::MAX, 100), (u64::MAX, Vec::new()));
    }

    #[test]
    fn a_thread_adds_to_its_own_request_once() {
        let mut last = LastPools::default();
        last.set("tank");
        last.set("other");
        assert_eq!(last.take().as_deref(), Some("other"));
        assert_eq!(last.take(), None);
        last.set("tank");
        let elsewhere = thread::scope(|scope| scope.spawn(|| last.take()).join());
        assert_eq!(elsewhere.ok(), Some(None));
    }
}
