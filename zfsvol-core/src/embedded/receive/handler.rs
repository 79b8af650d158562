//! The ioctl that receives: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_recv_new and zfs_ioc_recv_impl.

use std::fs::File;
use std::io::Read;

use super::begin::{self, Target};
use super::finish;
use super::properties::{self, Delayed};
use super::stream::{self, Arrived};
use crate::embedded::engine::Result;
use crate::embedded::{Shared, descriptor, name};
use crate::kernel::Errno;
use crate::nvlist::{ByteOrder, NvList};
use crate::stream::{
    Begin, BeginFlags, Header, Problem, RECORD_BYTES, Record, STREAM_MAGIC, StreamError,
    StreamReader,
};

/// The most that may follow the begin record, whatever `zfs receive` takes.
const LIST_BYTES_MAX: u32 = 1 << 28;

/// The first release that reads the fields of the record after the first only where a list comes between them, before it looks at
/// anything: OpenZFS 2.1 `module/zfs/dmu_recv.c`, dmu_recv_begin always does.
const FIRST_THAT_WAITS: (u32, u32) = (2, 2);

/// What a request to receive says.
pub(super) struct Request<'a> {
    /// The dataset to receive into.
    pub(super) dataset: &'a str,
    /// The snapshot to make of it.
    pub(super) snapshot: &'a str,
    pub(super) origin: Option<&'a str>,
    pub(super) force: bool,
    pub(super) heal: bool,
    pub(super) resumable: bool,
    pub(super) begin: Begin,
    /// The stream has the other byte order.
    pub(super) swapped: bool,
    /// What follows the begin record.
    pub(super) list: NvList,
}

/// `zfs_ioc_recv_new`: answers with how much was read, and which properties could not be set.
pub(in crate::embedded) fn receive(
    shared: &Shared,
    _name: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let full = input.get_str("snapname").ok_or(Errno::EINVAL)?;
    if !name::is_snapshot(full) || full.contains('%') {
        return Err(Errno::EINVAL);
    }
    let (dataset, snapshot) = name::split_snapshot(full)?;
    let record = input.get_bytes("begin_record").ok_or(Errno::EINVAL)?;
    let record: [u8; RECORD_BYTES] = record.try_into().map_err(|_| Errno::EINVAL)?;
    let number = input.get_i32("input_fd").ok_or(Errno::EINVAL)?;
    let mut answer = Answer::default();
    let outcome = descriptor::duplicate(number).and_then(|file| {
        let mut input_stream = Counted { file, bytes: 0 };
        let outcome = receive_from(
            shared,
            (dataset, snapshot),
            &record,
            input,
            &mut input_stream,
            &mut answer,
        );
        answer.read_bytes = input_stream.bytes;
        outcome
    });
    output
        .insert("read_bytes", answer.read_bytes)
        .insert("error_flags", answer.error_flags)
        .insert("errors", answer.errors);
    outcome
}

/// What a receive answers with.
#[derive(Default)]
pub(super) struct Answer {
    read_bytes: u64,
    /// `zprop_errflags_t`.
    pub(super) error_flags: u64,
    pub(super) errors: NvList,
}

/// What comes, counted.
struct Counted {
    file: File,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.bytes += length as u64;
        Ok(length)
    }
}

fn receive_from(
    shared: &Shared,
    (dataset, snapshot): (&str, &str),
    record: &[u8; RECORD_BYTES],
    input: &NvList,
    stream: &mut Counted,
    answer: &mut Answer,
) -> Result<()> {
    let (begin, order) = begin_of(record)?;
    let mut came = record.to_vec();
    let release = shared.read().env.release;
    let list = read_list(&begin, release, stream, &mut came)?;
    let request = Request {
        dataset,
        snapshot,
        origin: input.get_str("origin"),
        force: input.contains("force"),
        heal: input.contains("heal"),
        resumable: input.contains("resumable"),
        begin,
        swapped: order != ByteOrder::HOST,
        list,
    };
    let mut local = input.get_list("localprops").cloned();
    let hidden = input.get_list("hidden_args");
    let mut target =
        shared.change(|state| begin::begin(state, &request, local.as_mut(), hidden))?;
    let received = input.get_list("props");
    let (delayed, undo) =
        properties::set(&mut shared.write(), &request, &target, received, local.as_ref(), answer);
    let outcome = stream::receive(shared, &request, &mut target, &came, stream);
    finish_or_undo(shared, &request, &target, outcome, delayed, answer).inspect_err(|_| {
        let mut state = shared.write();
        undo.put_back(&mut state, &request, answer);
        // The error there is already says more.
        let _ = shared.commit(state);
    })
}

/// Makes the snapshot of what arrived, or takes back what was begun.
fn finish_or_undo(
    shared: &Shared,
    request: &Request<'_>,
    target: &Target,
    outcome: Result<Arrived>,
    delayed: Delayed,
    answer: &mut Answer,
) -> Result<()> {
    shared.change(|state| {
        let arrived = match outcome {
            Ok(arrived) => arrived,
            Err(errno) => {
                finish::clean_up(state, target)?;
                return Err(errno);
            }
        };
        if let Err(errno) = finish::end(state, request, target, &arrived) {
            finish::clean_up(state, target)?;
            return Err(errno);
        }
        delayed.set(state, request, answer);
        Ok(())
    })
}

/// The fields of the begin record.
fn begin_of(record: &[u8; RECORD_BYTES]) -> Result<(Begin, ByteOrder)> {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let header = Header::from_bytes(*record, order);
        if let Some(Record::Begin(begin)) = header.record() {
            if begin.magic == STREAM_MAGIC {
                return Ok((begin, order));
            }
        }
    }
    Err(Errno::EINVAL)
}

/// Reads the list that follows the begin record, and the fields of the record after it where the module does so already here; what was read is
/// added to `came`.
fn read_list(
    begin: &Begin,
    release: (u32, u32),
    stream: &mut Counted,
    came: &mut Vec<u8>,
) -> Result<NvList> {
    if begin.payload_bytes > LIST_BYTES_MAX {
        return Err(Errno::E2BIG);
    }
    if begin.payload_bytes == 0 && release >= FIRST_THAT_WAITS {
        return Ok(NvList::new());
    }
    let start = came.len();
    read_exactly(stream, begin.payload_bytes as usize, came)?;
    let mut next = Vec::with_capacity(RECORD_BYTES);
    read_exactly(stream, RECORD_BYTES, &mut next)?;
    check_next(came, &next)?;
    let payload = came.get(start..).filter(|payload| !payload.is_empty());
    let list = payload.map_or_else(|| Ok(NvList::new()), NvList::from_bytes);
    came.extend_from_slice(&next);
    list.map_err(|_| Errno::EINVAL)
}

/// Reads so many bytes; a stream that ends before is cut off.
fn read_exactly(stream: &mut Counted, length: usize, to: &mut Vec<u8>) -> Result<()> {
    let read = stream.take(length as u64).read_to_end(to);
    match read.map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)))? {
        read if read < length => Err(Errno::ZFS_ERR_STREAM_TRUNCATED),
        _ => Ok(()),
    }
}

/// `receive_read_payload_and_next_header`: whether what came is sound as far as the fields of the second record tell.
fn check_next(came: &[u8], next: &[u8]) -> Result<()> {
    let both = [came, next].concat();
    let mut reader = StreamReader::from_bytes(&both);
    let is_damaged = |error: &StreamError| matches!(error.problem(), Problem::Checksum { .. });
    for _ in 0..2 {
        match reader.next_frame() {
            Err(error) if is_damaged(&error) => return Err(Errno::EBADE),
            // What else is wrong with it is found when it is its turn.
            Err(_) => return Ok(()),
            Ok(_) => {}
        }
    }
    Ok(())
}

impl Request<'_> {
    /// The stream is one of encrypted blocks.
    pub(super) fn is_raw(&self) -> bool {
        self.begin.features().contains(crate::stream::StreamFeatures::RAW)
    }

    /// It makes a clone.
    pub(super) fn is_clone(&self) -> bool {
        self.begin.flags.contains(BeginFlags::CLONE)
    }
}
