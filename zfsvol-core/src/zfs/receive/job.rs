//! [`Job`]: the ioctl, and what is checked before and told after.

use std::fs::File;
use std::os::fd::AsRawFd;

use super::{RECEIVE, ReceiveOptions, Received};
use crate::error::{ErrorKind, Failure, Result};
use crate::kernel::{Errno, Ioc, ObjsetStats};
use crate::name::SnapshotName;
use crate::nvlist::{NvList, NvTypeError, Value};
use crate::stream::{BEGIN_RECORD_BYTES, BeginFlags, BeginRecord, HeaderType, StreamFeatures};
use crate::units::Bytes;
use crate::zfs::call::MORE_ERRORS;
use crate::zfs::inside::kept_inside;
use crate::zfs::{Zfs, errno};

/// Longest list that may follow the first record. The kernel allocates it by the record's word; 64 MiB is what libzfs takes
/// (`DEFAULT_SENDRECV_MAX_NVLIST`, OpenZFS 2.3 `lib/libzfs/libzfs_sendrecv.c`).
const PAYLOAD_MAX: Bytes = Bytes::from_mib(64);

/// `ZPROP_ERR_NOCLEAR`.
const PROPERTIES_NOT_CLEARED: u64 = 1;

/// What the thread that receives is given.
pub(super) struct Job {
    pub(super) zfs: Zfs,
    pub(super) snapshot: SnapshotName,
    pub(super) options: ReceiveOptions,
    pub(super) input: NvList,
    /// The end of the pipe that the kernel reads from. It outlives the ioctl, so that nobody who still writes gets a SIGPIPE.
    pub(super) theirs: File,
}

impl Job {
    /// Whether it makes sense to ask the kernel: what it would refuse with a bare `EINVAL`, or not refuse and should.
    pub(super) fn check(&self, record: &[u8; BEGIN_RECORD_BYTES]) -> Result<BeginRecord> {
        let target = self.snapshot.as_str();
        let begin = BeginRecord::parse(record).map_err(|error| {
            RECEIVE.error(ErrorKind::StreamDamaged, target, error.to_string()).with_source(error)
        })?;
        if begin.header_type == HeaderType::Compound {
            let reason = "it is a package of streams (zfs send -R or -p)";
            return Err(RECEIVE.error(ErrorKind::StreamUnsupported, target, reason).with_help(
                "send each snapshot by itself, without -R, -p and -I, and set properties when receiving",
            ));
        }
        if begin.payload > PAYLOAD_MAX {
            let reason = format!(
                "its first record announces {}, and at most {PAYLOAD_MAX} are taken",
                begin.payload
            );
            return Err(RECEIVE.error(ErrorKind::StreamDamaged, target, reason));
        }
        let makes_clone = begin.flags.contains(BeginFlags::CLONE)
            && !begin.features.contains(StreamFeatures::RESUMING);
        if makes_clone && self.options.origin.is_none() {
            let reason =
                "it is an increment from a snapshot of another dataset, and makes a clone of that";
            return Err(RECEIVE
                .error(ErrorKind::Invalid, target, reason)
                .with_help("name the snapshot it starts from as its origin"));
        }
        self.check_origin(&begin)?;
        self.check_new_key(&begin)?;
        self.check_inside()?;
        Ok(begin)
    }

    /// The module takes the full stream of a file system as a clone of a zvol, and fails an assertion whenever that is looked at (zfs_ioc_objset_stats_impl; seen on
    /// 2.3 and 2.4): the machine stops.
    fn check_origin(&self, begin: &BeginRecord) -> Result<()> {
        let Some(origin) = &self.options.origin else { return Ok(()) };
        let stats = match self.zfs.objset_stats_simple(origin.as_str()) {
            // The kernel says what it says of such an origin.
            Err(_) => return Ok(()),
            Ok(stats) => stats,
        };
        if stats.objset_type == begin.objset_type {
            return Ok(());
        }
        let of = |number| if number == ObjsetStats::ZVOL { "zvol" } else { "file system" };
        let (what, origin_is) = (of(begin.objset_type), of(stats.objset_type));
        let reason =
            format!("it is the stream of a {what}, and its origin '{origin}' is of a {origin_is}");
        let target = self.snapshot.as_str();
        Err(RECEIVE.error(ErrorKind::WrongType, target, reason).with_help("leave the origin out"))
    }

    /// The module enciphers a full stream that replaces what is there with the new key, which then goes with the temporary dataset: nobody can read what is left
    /// (2.1 to 2.4 `module/zfs/dmu_recv.c`, dmu_recv_begin_sync; seen on 2.3).
    fn check_new_key(&self, begin: &BeginRecord) -> Result<()> {
        let may_replace = self.options.force && !begin.features.contains(StreamFeatures::RESUMING);
        let dataset = self.snapshot.dataset();
        if self.options.key.is_none() || !may_replace || !self.zfs.exists(&dataset)? {
            return Ok(());
        }
        let reason = "a key is for a new dataset, and this one is there";
        Err(RECEIVE
            .error(ErrorKind::EncryptionMismatch, self.snapshot.as_str(), reason)
            .with_help("destroy it first, or receive it under another name"))
    }

    /// What is set with the stream and is kept inside a file system: see [`crate::zfs::inside`].
    fn check_inside(&self) -> Result<()> {
        let ReceiveOptions { set, received, key, .. } = &self.options;
        let Some(inside) = kept_inside(set).or_else(|| kept_inside(received)) else {
            return Ok(());
        };
        let scope = self.zfs.receive_scope(&self.snapshot)?;
        let (target, has_key) = (self.snapshot.as_str(), key.is_some());
        self.zfs.check_inside_new(RECEIVE, target, inside, has_key, Some(scope))
    }

    /// Issues the ioctl.
    pub(super) fn run(
        &self,
        record: &[u8; BEGIN_RECORD_BYTES],
        begin: &BeginRecord,
    ) -> Result<Received> {
        let scope = self.zfs.receive_scope(&self.snapshot)?;
        let mut input = self.input.clone();
        input
            .insert("begin_record", Value::ByteArray(record.to_vec()))
            .insert("input_fd", self.theirs.as_raw_fd());
        let reply = self
            .zfs
            .call(RECEIVE, scope.as_str(), &input)
            .map_err(|error| self.zfs.explain_receive(error, self, begin))?;
        self.received(&reply, begin)
    }

    fn received(&self, reply: &NvList, begin: &BeginRecord) -> Result<Received> {
        let missing = |error: NvTypeError| {
            RECEIVE.error(ErrorKind::Protocol, self.snapshot.as_str(), error.to_string())
        };
        let read = reply.require_u64("read_bytes").map_err(missing)?;
        let flags = reply.require_u64("error_flags").map_err(missing)?;
        let errors = reply.require_list("errors").map_err(missing)?;
        let omitted = errors.get_i32(MORE_ERRORS).and_then(|more| u64::try_from(more).ok());
        Ok(Received {
            snapshot: self.snapshot.clone(),
            begin: begin.clone(),
            // The kernel does not count the record it was handed.
            bytes: Bytes::new(read.saturating_add(BEGIN_RECORD_BYTES as u64)),
            property_failures: property_failures(errors),
            property_failures_omitted: omitted.unwrap_or(0),
            properties_not_cleared: flags & PROPERTIES_NOT_CLEARED != 0,
            excess: Vec::new(),
        })
    }
}

fn property_failures(errors: &NvList) -> Vec<Failure> {
    let number = |name: &str| errors.get_i32(name).map(Errno);
    let mut failures: Vec<Failure> = errors
        .iter()
        .filter(|(name, _)| *name != MORE_ERRORS)
        .filter_map(|(name, _)| Some((name, number(name)?)))
        .map(|(name, errno)| {
            let meaning = errno::meaning_for_property(Ioc::SET_PROP, name, errno);
            Failure {
                name: name.to_owned(),
                kind: meaning.kind,
                errno,
                reason: meaning.reason.into(),
                busy: Vec::new(),
            }
        })
        .collect();
    failures.sort_by(|a, b| a.name.cmp(&b.name));
    failures
}
