//! The history of a pool: every command and change since it was created, as an iterator.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use super::vdev_status::time;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Ioc};
use crate::name::PoolName;
use crate::nvlist::NvList;
use crate::units::Txg;

const HISTORY: Operation = Operation::new(Ioc::POOL_GET_HISTORY, "read the history of the pool");

/// How much of the history is read at once, at first.
const CHUNK_BYTES: usize = 128 << 10;

/// A record is an nvlist: the arguments of one ioctl, at most. One that does not fit this is damaged.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// Bytes of the length before each record.
const LENGTH_BYTES: usize = 8;

/// One record of a pool's history.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryRecord {
    /// When it was written.
    #[serde(serialize_with = "crate::serial::maybe_seconds")]
    pub time: Option<SystemTime>,
    /// What it is.
    #[serde(flatten)]
    pub entry: HistoryEntry,
    /// The host's name then.
    pub host: Option<String>,
    /// The transaction group, of internal events.
    pub txg: Option<Txg>,
    /// All of it.
    pub payload: NvList,
}

/// What a record of the history tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "text", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HistoryEntry {
    /// A command line, as the program that issued it wrote it.
    Command(String),
    /// An ioctl of the newer kind; its arguments are in the payload's `in_nvl`.
    Ioctl(String),
    /// Something the kernel did: `create`, `destroy`, `snapshot`.
    Internal {
        /// What it did.
        name: String,
        /// More about it.
        detail: String,
    },
    /// A form this library does not know.
    Other,
}

/// The records of a pool's history, oldest first. Made by [`Zfs::pool_history`].
#[derive(Debug)]
pub struct History {
    zfs: Zfs,
    pool: PoolName,
    offset: u64,
    chunk: usize,
    read: VecDeque<HistoryRecord>,
    ended: bool,
}

impl Zfs {
    /// The history of a pool: what was done to it, and what the kernel noted. It is a ring: in an old pool the oldest records, the creation
    /// excepted, are gone.
    ///
    /// Issues `ZFS_IOC_POOL_GET_HISTORY` as the iterator goes on.
    ///
    /// # Errors
    /// From the iterator: [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::Denied`] without privilege;
    /// [`ErrorKind::Corrupt`] when a record cannot be read, after which there are no more.
    #[doc(alias = "zpool_get_history")]
    pub fn pool_history(&self, pool: &PoolName) -> History {
        History {
            zfs: self.clone(),
            pool: pool.clone(),
            offset: 0,
            chunk: CHUNK_BYTES,
            read: VecDeque::new(),
            ended: false,
        }
    }
}

impl History {
    /// Reads on, until there is a record or the end.
    fn fill(&mut self) -> Result<()> {
        while self.read.is_empty() && !self.ended {
            let mut cmd = Cmd::new(self.pool.as_str());
            cmd.history_max = self.chunk;
            cmd.history_offset = self.offset;
            self.zfs.call_cmd(HISTORY, &mut cmd).map_err(|error| error.into_error(&self.zfs))?;
            let bytes = cmd.history();
            if bytes.is_empty() {
                self.ended = true;
                return Ok(());
            }
            let (records, used) = parse(bytes).map_err(|error| self.corrupt(error))?;
            // The kernel counts what it gave; a record that was cut off is read again.
            let left = (bytes.len() - used) as u64;
            self.offset = cmd.history_offset.saturating_sub(left);
            if used == 0 {
                self.chunk = self.chunk.saturating_mul(2);
                if self.chunk > RECORD_BYTES_MAX {
                    return Err(self.corrupt("a record is too long".to_owned()));
                }
            }
            self.read.extend(records);
        }
        Ok(())
    }

    fn corrupt(&self, reason: String) -> Error {
        HISTORY.error(ErrorKind::Corrupt, self.pool.as_str(), reason)
    }
}

/// Ends after an error.
impl Iterator for History {
    type Item = Result<HistoryRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill() {
            self.ended = true;
            return Some(Err(error));
        }
        self.read.pop_front().map(Ok)
    }
}

/// The whole records at the start of `bytes`, and how many bytes they take: each is its length, little-endian, and an nvlist
/// (OpenZFS 2.4 `module/zfs/spa_history.c`).
fn parse(bytes: &[u8]) -> Result<(Vec<HistoryRecord>, usize), String> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<LENGTH_BYTES>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > RECORD_BYTES_MAX {
            return Err("a record is too long".to_owned());
        }
        let Some((record, behind)) = behind.split_at_checked(length) else { break };
        let payload = NvList::from_bytes(record).map_err(|error| error.to_string())?;
        records.push(HistoryRecord::from_payload(payload));
        rest = behind;
    }
    Ok((records, bytes.len() - rest.len()))
}

impl HistoryRecord {
    fn from_payload(payload: NvList) -> Self {
        let text = |name| payload.get_str(name).map(str::to_owned);
        let entry = if let Some(command) = text("history command") {
            HistoryEntry::Command(command)
        } else if let Some(ioctl) = text("ioctl") {
            HistoryEntry::Ioctl(ioctl)
        } else if let Some(name) = text("internal_name") {
            let detail = text("history internal str").unwrap_or_default();
            HistoryEntry::Internal { name, detail }
        } else {
            HistoryEntry::Other
        };
        Self {
            time: payload.get_u64("history time").and_then(time),
            entry,
            host: text("history hostname"),
            txg: payload.get_u64("history txg").map(Txg::new),
            payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvlist::Encoding;

    fn record(name: &str, value: &str) -> Vec<u8> {
        let list: NvList = [(name, value)].into_iter().collect();
        let packed = list.encode(Encoding::Xdr).unwrap();
        [(packed.len() as u64).to_le_bytes().as_slice(), &packed].concat()
    }

    #[test]
    fn records_are_read_and_a_cut_one_is_left() {
        let command = record("history command", "zpool create tank");
        let internal = record("internal_name", "snapshot");
        let mut bytes = [command.as_slice(), &internal].concat();
        let whole = bytes.len();
        bytes.extend(&command[..20]);
        let (records, used) = parse(&bytes).unwrap();
        assert_eq!(used, whole);
        assert_eq!(records[0].entry, HistoryEntry::Command("zpool create tank".to_owned()));
        assert!(
            matches!(&records[1].entry, HistoryEntry::Internal { name, .. } if name == "snapshot")
        );
        for length in 0..command.len() {
            assert_eq!(parse(&command[..length]).unwrap().1, 0, "{length}");
        }
    }

    #[test]
    fn a_record_longer_than_any_is_refused() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.resize(100, 0);
        assert!(parse(&bytes).is_err());
        let mut damaged = record("ioctl", "clone");
        damaged[LENGTH_BYTES] = 9;
        assert!(parse(&damaged).is_err());
    }
}
