//! The records of a stream, as they come: OpenZFS 2.3 `module/zfs/dmu_recv.c`, dmu_recv_stream.

use std::io::{Cursor, Read};

use super::begin::Target;
use super::handler::Request;
use super::keys::{self, Keys};
use super::{ObjsetReceiver, ReceiverOptions};
use crate::embedded::Shared;
use crate::embedded::data::{Objset, Txn};
use crate::embedded::engine::{Pool, Result, State};
use crate::kernel::Errno;
use crate::stream::{Problem, RECORD_BYTES, Record, StreamError, StreamReader};

/// How much of a stream becomes one transaction group, in bytes and in records.
const BATCH_BYTES: usize = 8 << 20;
const BATCH_RECORDS: usize = 4096;

/// A stream that has come to its end.
pub(super) struct Arrived {
    /// The keys of a raw stream, to be put in place with the rest.
    pub(super) keys: Option<Keys>,
}

/// Takes the stream; `came` is what was read of it before. What has come is kept as far as it goes, also when there is an error.
pub(super) fn receive(
    shared: &Shared,
    request: &Request<'_>,
    target: &mut Target,
    came: &[u8],
    input: &mut impl Read,
) -> Result<Arrived> {
    let keys = keys::of_stream(shared, request, target)?;
    if let Some((_, (object, offset))) = target.resumed {
        let at = |name| request.list.get_u64(name);
        if (at("resume_object"), at("resume_offset")) != (Some(object), Some(offset)) {
            return Err(Errno::EINVAL);
        }
    }
    let mut reader = StreamReader::new(Cursor::new(came).chain(input)).stop_at_end();
    let mut batch = Batch::new(shared, request, target)?;
    let (mut worth_keeping, mut begun) = (target.worth_keeping, false);
    let mut last: Option<(Record, u64)> = None;
    let mut payload = Vec::new();
    let outcome = (|| {
        loop {
            let next = reader.next_frame();
            let proven = match &next {
                Ok(_) => true,
                Err(error) => proves_the_last(error.problem()),
            };
            worth_keeping |= begun && proven;
            begun = true;
            // The module takes a record when it has the next one's fields, whose checksum is of all before.
            if let Some((record, end)) = last.take().filter(|_| proven) {
                batch.apply(&record, &payload, end)?;
            }
            let Some(frame) = next.map_err(|error| errno_of(&error))? else { break };
            if matches!(frame.record, Record::Begin(_) | Record::End(_)) || target.heal {
                continue;
            }
            payload.clear();
            payload.extend_from_slice(frame.payload);
            last = Some((*frame.record, frame.offset + (RECORD_BYTES + payload.len()) as u64));
        }
        if request.origin.is_some() && request.begin.from_guid.get() == 0 {
            batch.free_the_rest()?;
        }
        Ok(())
    })();
    // What came before an error is kept, whether it will be of use or not.
    let kept = if target.heal { Ok(()) } else { batch.commit() };
    target.worth_keeping = worth_keeping;
    outcome.and(kept)?;
    Ok(Arrived { keys })
}

/// Whether the fields of the record that is wrong came whole, and with the right checksum.
fn proves_the_last(problem: &Problem) -> bool {
    match problem {
        Problem::Truncated { found, .. } => *found >= RECORD_BYTES as u64,
        Problem::Checksum { .. } | Problem::Io(_) | Problem::NoEnd => false,
        _ => true,
    }
}

/// What the module answers to a stream that cannot be read.
fn errno_of(error: &StreamError) -> Errno {
    match error.problem() {
        Problem::Io(error) => Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)),
        Problem::Truncated { .. } | Problem::NoEnd => Errno::ZFS_ERR_STREAM_TRUNCATED,
        Problem::Checksum { .. } | Problem::StreamChecksum { .. } => Errno::EBADE,
        _ => Errno::EINVAL,
    }
}

/// Records that become one transaction group.
struct Batch<'a> {
    shared: &'a Shared,
    target: &'a Target,
    raw: bool,
    receiver: ObjsetReceiver,
    objset: Objset,
    txn: Option<Txn>,
    bytes: usize,
    records: usize,
    notes_objects: bool,
    /// How much of the stream was in when it was last noted where to go on.
    noted: u64,
    /// The last record was a block: the module collects those, and notes where it is when another record comes, or none.
    wrote: bool,
    /// How much came before it was interrupted.
    before: u64,
    /// The next record is the first one behind a list. The module reads its fields together with that, when it does not know yet what came before.
    behind_list: bool,
}

impl<'a> Batch<'a> {
    fn new(shared: &'a Shared, request: &Request<'_>, target: &'a Target) -> Result<Self> {
        let state = shared.read();
        let objset = pool(&state, target)?.dataset(target.dataset)?.content.objset.clone();
        let notes_objects = state.env.release >= (2, 2);
        let options = ReceiverOptions::of(&request.begin, request.swapped);
        let options = ReceiverOptions { notes_objects, ..options };
        Ok(Self {
            shared,
            target,
            raw: request.is_raw(),
            receiver: ObjsetReceiver::new(options),
            notes_objects,
            objset,
            txn: None,
            bytes: 0,
            records: 0,
            noted: 0,
            wrote: false,
            before: target.resumed.map_or(0, |(bytes, _)| bytes),
            behind_list: request.begin.payload_bytes > 0,
        })
    }

    fn apply(&mut self, record: &Record, payload: &[u8], end: u64) -> Result<()> {
        let txn = Self::begin(&mut self.txn, self.shared, self.target, self.raw)?;
        self.receiver.apply(&mut self.objset, record, payload, txn)?;
        let forgets = std::mem::take(&mut self.behind_list) && payload.is_empty();
        let before = if forgets { 0 } else { self.before };
        // The begin record itself is not counted: it was read by another.
        let received = before + end.saturating_sub(RECORD_BYTES as u64);
        let notes = match record {
            Record::Object(_) => self.notes_objects,
            record => matches!(record, Record::Write(_) | Record::WriteEmbedded(_)),
        };
        if notes || self.wrote {
            self.noted = received;
        }
        self.wrote = matches!(record, Record::Write(_));
        self.bytes += payload.len();
        self.records += 1;
        if self.bytes >= BATCH_BYTES || self.records >= BATCH_RECORDS {
            self.commit()?;
        }
        Ok(())
    }

    fn free_the_rest(&mut self) -> Result<()> {
        let txn = Self::begin(&mut self.txn, self.shared, self.target, self.raw)?;
        self.receiver.free_the_rest(&mut self.objset, txn)
    }

    /// The transaction group under way, or a new one.
    fn begin<'t>(
        txn: &'t mut Option<Txn>,
        shared: &Shared,
        target: &Target,
        raw: bool,
    ) -> Result<&'t mut Txn> {
        match txn {
            Some(txn) => Ok(txn),
            None => {
                let mut state = shared.write();
                let pool = pool_mut(&mut state, target)?;
                let tx = pool.begin();
                // What is raw is kept as it comes.
                let new = match raw {
                    true => Txn::new(tx.txg, pool.policy(target.dataset)?),
                    false => pool.txn(target.dataset, tx.txg)?,
                };
                Ok(txn.insert(new))
            }
        }
    }

    /// Puts what came into the dataset, with how far that is.
    fn commit(&mut self) -> Result<()> {
        (self.bytes, self.records) = (0, 0);
        let Some(txn) = self.txn.take() else { return Ok(()) };
        let delta = txn.finish();
        let mut state = self.shared.write();
        let pool = pool_mut(&mut state, self.target)?;
        let id = self.target.dataset;
        pool.check_growth(id, &delta)?;
        pool.dataset_mut(id)?.content.objset = self.objset.clone();
        pool.account(id, &delta)?;
        if let (Some(resume), Some((object, offset))) =
            (&mut pool.dataset_mut(id)?.transfer.resume, self.receiver.resume())
        {
            resume.object = object;
            resume.offset = offset;
            resume.bytes = self.noted;
        }
        self.shared.commit(state)
    }
}

pub(super) fn pool<'s>(state: &'s State, target: &Target) -> Result<&'s Pool> {
    state.pools.values().find(|pool| pool.guid == target.pool).ok_or(Errno::ENOENT)
}

pub(super) fn pool_mut<'s>(state: &'s mut State, target: &Target) -> Result<&'s mut Pool> {
    state.pools.values_mut().find(|pool| pool.guid == target.pool).ok_or(Errno::ENOENT)
}
