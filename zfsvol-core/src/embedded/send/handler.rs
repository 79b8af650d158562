//! The ioctls that send: OpenZFS 2.3 `module/zfs/zfs_ioctl.c` (zfs_ioc_send_new, zfs_ioc_send_space, zfs_ioc_send_progress) and `dmu_send.c`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::redact::{RedactionList, redactions};
use super::{Origin, Progress, SendOptions, Source, measure, write};
use crate::embedded::data::{INDIRECT_SHIFT, Objset, SLOTS_PER_BLOCK};
use crate::embedded::engine::{Bookmark, Id, Pool, Result, Room, Space, State, unsigned};
use crate::embedded::name::{NAME_BYTES, RECEIVE_CLONE, is_bookmark};
use crate::embedded::{Shared, bookmark, descriptor, space};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::{NvList, Value};
use crate::stream::{RECORD_BYTES, SendFlags};

/// How much is written at once: what a pipe holds.
const BUFFER_BYTES: usize = 64 << 10;

/// Bytes of a block pointer: what a block is reckoned to take beside its data.
const POINTER_BYTES: i64 = 128;

/// The sends that are running.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Sends(Mutex<Vec<Running>>);

/// A send that is running.
#[derive(Debug)]
struct Running {
    pool: u64,
    dataset: Id,
    descriptor: i32,
    progress: Arc<Progress>,
}

impl Sends {
    fn list(&self) -> MutexGuard<'_, Vec<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request to send, or to reckon what would be sent, says.
struct Request<'a> {
    to: &'a str,
    from: Option<&'a str>,
    redact: Option<&'a str>,
    flags: SendFlags,
    resume: (u64, u64),
}

impl<'a> Request<'a> {
    fn parse(to: &'a str, input: &'a NvList, from: &str) -> Self {
        let mut flags = SendFlags::empty();
        for (flag, name) in SendFlags::NAMES {
            flags.set(flag, input.contains(name));
        }
        let number = |name| input.get_u64(name).unwrap_or(0);
        let resume = (number("resume_object"), number("resume_offset"));
        Self { to, from: input.get_str(from), redact: input.get_str("redactbook"), flags, resume }
    }

    fn has(&self, flag: SendFlags) -> bool {
        self.flags.contains(flag)
    }
}

/// A send that is prepared. Its dataset cannot go away until it is let go.
struct Job {
    source: Source,
    options: SendOptions,
    pool: u64,
    dataset: Id,
}

impl Job {
    fn let_go(&self, state: &mut State) {
        let pool = state.pools.values_mut().find(|pool| pool.guid == self.pool);
        if let Some(dataset) = pool.and_then(|pool| pool.dataset_mut(self.dataset).ok()) {
            dataset.long_holds = dataset.long_holds.saturating_sub(1);
        }
    }
}

/// `zfs_ioc_send_new`: writes the stream to the descriptor.
pub(in crate::embedded) fn send(
    shared: &Shared,
    name: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let descriptor = input.get_i32("fd").ok_or(Errno::EINVAL)?;
    let file = descriptor::duplicate(descriptor)?;
    let request = Request::parse(name, input, "fromsnap");
    let job = prepare(&mut shared.write(), &request)?;
    let outcome = while_running(shared, &job, descriptor, |progress| {
        let mut output: BufWriter<File> = BufWriter::with_capacity(BUFFER_BYTES, file);
        write(&job.source, &job.options, &mut output, progress)?;
        output.flush().map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)))
    });
    job.let_go(&mut shared.write());
    outcome
}

/// Runs a send, which others can ask for its progress meanwhile.
fn while_running<T>(
    shared: &Shared,
    job: &Job,
    descriptor: i32,
    run: impl FnOnce(&Progress) -> Result<T>,
) -> Result<T> {
    let progress = Arc::new(Progress::default());
    let (pool, dataset) = (job.pool, job.dataset);
    let running = Running { pool, dataset, descriptor, progress: Arc::clone(&progress) };
    shared.sends.list().insert(0, running);
    let outcome = run(&progress);
    shared.sends.list().retain(|running| !Arc::ptr_eq(&running.progress, &progress));
    outcome
}

/// `zfs_ioc_send_progress`: bytes in `cookie`, blocks in `objset_type`.
pub(in crate::embedded) fn progress(shared: &Shared, cmd: &mut Cmd) -> Result<()> {
    let (pool, dataset) = {
        let state = shared.read();
        let (pool, id) = state.hold(&cmd.name)?;
        (pool.guid, id)
    };
    let descriptor = i32::try_from(cmd.cookie).map_err(|_| Errno::ENOENT)?;
    let sends = shared.sends.list();
    let of_it = |running: &&Running| {
        (running.pool, running.dataset, running.descriptor) == (pool, dataset, descriptor)
    };
    let running = sends.iter().find(of_it).ok_or(Errno::ENOENT)?;
    cmd.cookie = running.progress.bytes();
    cmd.objset_type = running.progress.blocks();
    Ok(())
}

/// `zfs_ioc_send_space`: how long the stream will be, about; to the byte where what it starts from says nothing of space.
pub(in crate::embedded) fn space(
    shared: &Shared,
    name: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let request = Request::parse(name, input, "from");
    let estimate = {
        let state = shared.read();
        let (pool, to) = state.hold(name)?;
        quick_estimate(pool, to, &request)?
    };
    let bytes = match estimate {
        Some(Ok(bytes)) => Ok(bytes.wrapping_sub(input.get_u64("bytes").unwrap_or(0))),
        Some(Err(errno)) => Err(errno),
        None => {
            let job = prepare(&mut shared.write(), &request);
            let measured = job.and_then(|job| {
                let descriptor = input.get_i32("fd").unwrap_or(-1);
                let options = &job.options;
                let bytes = while_running(shared, &job, descriptor, |progress| {
                    measure(&job.source, options, progress)
                });
                job.let_go(&mut shared.write());
                bytes
            });
            Ok(measured?)
        }
    };
    // The module answers with a number even beside an error.
    output.insert("space", bytes.as_ref().copied().unwrap_or(0));
    bytes.map(drop)
}

/// `dmu_send_estimate_fast`; `None` where only the stream itself can tell.
fn quick_estimate(pool: &Pool, to: Id, request: &Request<'_>) -> Result<Option<Result<u64>>> {
    if request.redact.is_some() {
        return Ok(None);
    }
    let written = match request.from {
        None => None,
        Some(from) if from.contains('#') => {
            let mark = earlier_bookmark(pool, to, from)?;
            if mark.space.is_none() || mark.redaction.is_some() {
                return Ok(None);
            }
            Some(Since::Bookmark(mark))
        }
        Some(from) if from.contains('@') => {
            let from = pool.hold(from)?;
            if !pool.is_before(to, from, None)? {
                return Ok(None);
            }
            Some(Since::Snapshot(from))
        }
        Some(_) => return Err(Errno::EINVAL),
    };
    Ok(Some(estimate(pool, to, written.as_ref(), request)))
}

enum Since {
    Snapshot(Id),
    Bookmark(Bookmark),
}

fn estimate(pool: &Pool, to: Id, since: Option<&Since>, request: &Request<'_>) -> Result<u64> {
    let mut of = to;
    if request.has(SendFlags::SAVED) {
        of = saved_in(pool, to)?;
        if pool.dataset(of)?.transfer.resume.is_none() {
            return Err(Errno::EINVAL);
        }
    }
    if !pool.dataset(of)?.is_snapshot() && of == to {
        return Err(Errno::EINVAL);
    }
    let written: Space = match since {
        None => pool.dataset(of)?.referenced,
        Some(Since::Snapshot(from)) => space::since_snapshot(pool, of, *from)?,
        Some(Since::Bookmark(mark)) => space::since_bookmark(pool, of, mark, true)?,
    };
    let is_zvol = !pool.dataset(of)?.content.is_filesystem();
    let property = if is_zvol { "volblocksize" } else { "recordsize" };
    let block = i64::try_from(pool.number(of, property)?).unwrap_or(i64::MAX).max(1);
    let packed = request.flags.intersects(SendFlags::COMPRESS | SendFlags::RAW);
    let size = if packed { written.compressed } else { written.uncompressed };
    let records = written.uncompressed / block;
    let record_bytes = i64::try_from(RECORD_BYTES).unwrap_or(0);
    // Each block has its pointer on disk, which is not sent, and its record in the stream; then the begin and the end.
    Ok(unsigned(size + records * (record_bytes - POINTER_BYTES) + 2 * record_bytes))
}

/// Where a partial receive has saved what came.
fn saved_in(pool: &Pool, dataset: Id) -> Result<Id> {
    match pool.dir_of(dataset)?.child(RECEIVE_CLONE) {
        Some(hidden) => Ok(pool.dir(hidden)?.head),
        None => Ok(dataset),
    }
}

/// `dmu_send`: finds everything, and holds on to what is sent.
fn prepare(state: &mut State, request: &Request<'_>) -> Result<Job> {
    if request.from.is_some_and(|from| !from.contains(['@', '#'])) {
        return Err(Errno::EINVAL);
    }
    let raw = request.has(SendFlags::RAW);
    let pool = state.pool_mut(request.to)?;
    let mut to = if raw { pool.hold(request.to)? } else { pool.hold_readable(request.to)? };
    let is_head = !request.to.contains('@');
    let saved = is_head && request.has(SendFlags::SAVED);
    if saved {
        to = saved_in(pool, to)?;
    }
    let dataset = pool.dataset(to)?;
    if !raw && !pool.is_key_loaded(dataset.dir)? {
        return Err(Errno::EACCES);
    }
    if is_head && (dataset.long_holds > 0 || dataset.inconsistent && !saved) {
        return Err(Errno::EBUSY);
    }
    if pool.is_key_loaded(dataset.dir)? {
        // What is not a snapshot has perhaps changed since the last.
        pool.seal(to)?;
    }
    let mut source = source_of(pool, to, request.to, is_head)?;
    let dataset = pool.dataset(to)?;
    if saved {
        let resume = dataset.transfer.resume.as_ref().ok_or(Errno::ENOENT)?;
        source.begin_guid = Some(resume.to_guid);
        source.name.clone_from(&resume.to_name);
    }
    let mut redacted_by = None;
    if let Some(mark) = request.redact {
        let dataset = request.to.split_once('@').ok_or(Errno::EINVAL)?.0;
        redacted_by = Some(bookmark::find(pool, &format!("{dataset}#{mark}"))?.0);
    }
    if let Some(from) = request.from {
        source.from = Some(origin_of(pool, to, request.to, from)?);
    }
    if let Some(mark) = redacted_by {
        let list = mark.redaction.ok_or(Errno::EINVAL)?;
        source.redact_snapshots = Some(list.snapshots.clone());
        source.redact = Some(list.blocks.clone());
    }
    if raw {
        source.key_data = key_data(pool, to, request.from)?;
    } else {
        source.key = pool.data_key(dataset.dir)?;
    }
    let resume = Some(request.resume).filter(|resume| *resume != (0, 0));
    let (embedded_data, lz4) =
        (pool.features.has("embedded_data"), pool.features.has("lz4_compress"));
    let options = SendOptions { flags: request.flags, resume, embedded_data, lz4 };
    let guid = pool.guid;
    pool.dataset_mut(to)?.long_holds += 1;
    Ok(Job { source, options, pool: guid, dataset: to })
}

fn source_of(pool: &Pool, to: Id, name: &str, is_head: bool) -> Result<Source> {
    let dataset = pool.dataset(to)?;
    let name = if is_head { format!("{}@--head--", pool.name(to)?) } else { name.to_owned() };
    let objset = dataset.content.objset.clone();
    let mut source = Source::new(objset, dataset.guid, name, dataset.creation_time);
    source.case_insensitive = dataset.content.zpl.is_some_and(|zpl| zpl.casesensitivity != 0);
    source.redact_snapshots = dataset.transfer.redact_snapshots.as_deref().map(<[u64]>::to_vec);
    Ok(source)
}

/// What an increment starts from.
fn origin_of(pool: &Pool, to: Id, to_name: &str, from: &str) -> Result<Origin> {
    let dataset = to_name.split(['@', '#']).next().unwrap_or(to_name);
    let rest = from.strip_prefix(dataset);
    let is_clone = !rest.is_some_and(|rest| rest.starts_with(['@', '#']));
    if from.contains('@') {
        let id = pool.hold(from)?;
        if !pool.is_before(to, id, None)? {
            return Err(Errno::EXDEV);
        }
        let from = pool.dataset(id)?;
        let redact_snapshots = from.transfer.redact_snapshots.as_deref().map(<[u64]>::to_vec);
        let (guid, txg) = (from.guid, from.creation_txg);
        return Ok(Origin { guid, txg, is_clone, redact_snapshots, redacted: None });
    }
    let mark = earlier_bookmark(pool, to, from)?;
    let redact_snapshots = mark.redaction.as_ref().map(|list| list.snapshots.clone());
    let redacted = mark.redaction.as_ref().map(|list| list.blocks.clone());
    Ok(Origin { guid: mark.guid, txg: mark.creation_txg, is_clone, redact_snapshots, redacted })
}

/// A bookmark of what was before; of a redaction bookmark also of the same, whose redaction can change.
fn earlier_bookmark(pool: &Pool, to: Id, from: &str) -> Result<Bookmark> {
    let (mark, of) = bookmark::find(pool, from)?;
    let same = mark.redaction.is_some() && mark.guid == pool.dataset(to)?.guid;
    if same || pool.is_before(to, of, Some(mark.creation_txg))? {
        return Ok(mark);
    }
    Err(Errno::EXDEV)
}

/// `zfs_ioc_redact`: makes a bookmark that lists what all of some clones have changed.
pub(in crate::embedded) fn redact(
    shared: &Shared,
    name: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let by = input.get_list("snapnv").ok_or(Errno::EINVAL)?;
    if by.is_empty() {
        return Err(Errno::ENXIO);
    }
    let short = input.get_str("bookname").ok_or(Errno::EINVAL)?;
    let asked = asked_for(&shared.read(), name, by)?;
    let full = match name.split_once('@') {
        Some((dataset, _)) => format!("{dataset}#{short}"),
        None => return Err(Errno::EINVAL),
    };
    // It can take long, and what it looks at does not change.
    check_redaction(shared.read().pool(name)?, name, &full, &asked.guids)?;
    let blocks = redactions(&asked.snapshot, asked.txg, &asked.clones)?;
    shared.change(|state| {
        let pool = state.pool_mut(name)?;
        let (head, mut mark) = check_redaction(pool, name, &full, &asked.guids)?;
        pool.check_room(REDACT_BLOCKS, Room::Normal)?;
        pool.begin();
        mark.redaction = Some(Arc::new(RedactionList { snapshots: asked.guids, blocks }));
        pool.add_bookmark(head, short.into(), mark)
    })
}

/// Blocks that making a redaction bookmark is reckoned to change.
const REDACT_BLOCKS: i64 = 5;

/// What is to be redacted, and by what.
struct Asked {
    snapshot: Objset,
    txg: u64,
    clones: Vec<Objset>,
    guids: Vec<u64>,
}

/// The checks of `dmu_redact_snap` before it looks at bookmarks.
fn asked_for(state: &State, name: &str, by: &NvList) -> Result<Asked> {
    let pool = state.pool(name)?;
    let id = pool.hold_readable(name)?;
    let snapshot = pool.dataset(id)?;
    if !snapshot.is_snapshot() {
        return Err(Errno::EINVAL);
    }
    if snapshot.transfer.redact_snapshots.is_some() {
        return Err(Errno::EALREADY);
    }
    let (mut clones, mut guids) = (Vec::new(), Vec::new());
    for (name, _) in by.iter() {
        let by = pool.hold_readable(name)?;
        let clone = pool.dataset(by)?;
        if !pool.is_before(by, id, None)? {
            return Err(Errno::EINVAL);
        }
        if clone.transfer.redact_snapshots.is_some() {
            return Err(Errno::EALREADY);
        }
        clones.push(clone.content.objset.clone());
        guids.push(clone.guid);
    }
    let (objset, txg) = (snapshot.content.objset.clone(), snapshot.creation_txg);
    Ok(Asked { snapshot: objset, txg, clones, guids })
}

/// Whether a redaction bookmark of that name can be made, and what of it is as in any bookmark.
fn check_redaction(pool: &Pool, name: &str, full: &str, guids: &[u64]) -> Result<(Id, Bookmark)> {
    if full.len() >= NAME_BYTES {
        return Err(Errno::ENAMETOOLONG);
    }
    if let Ok((found, _)) = bookmark::find(pool, full) {
        let Some(list) = found.redaction else { return Err(Errno::EEXIST) };
        let same = list.snapshots.len() == guids.len()
            && guids.iter().all(|guid| list.snapshots.contains(guid));
        // One by the same snapshots is there, and whole.
        return Err(if same { Errno::EEXIST } else { Errno::ESRCH });
    }
    if !pool.features.has("redaction_bookmarks") {
        return Err(Errno::ENOTSUP);
    }
    if !is_bookmark(full) {
        return Err(Errno::EINVAL);
    }
    let (head, _, mark) = bookmark::check_one(pool, full, name)?;
    Ok((head, mark))
}

/// The keys of an encrypted dataset, and what of its content vouches for it: `dsl_crypto_populate_key_nvlist`.
fn key_data(pool: &Pool, to: Id, from: Option<&str>) -> Result<Option<NvList>> {
    let dataset = pool.dataset(to)?;
    let Some(crypt) = &pool.dir(dataset.dir)?.crypt else { return Ok(None) };
    let objset = &dataset.content.objset;
    let from_ivset = match from {
        None => 0,
        Some(from) if from.contains('@') => pool.snapshot(pool.hold(from)?)?.ivset_guid,
        Some(from) => bookmark::find(pool, from)?.0.ivset_guid,
    };
    let to_ivset = dataset.as_snapshot().map_or(0, |snapshot| snapshot.ivset_guid);
    let bytes = |bytes: &[u8]| Value::Uint8Array(bytes.to_vec());
    // Of the user's key, what its root says.
    let root = pool.dir(crypt.root)?.crypt.as_ref().unwrap_or(crypt);
    let (wrapped, format, meta) = (&crypt.wrapped, root.format, objset.meta());
    let mut list = NvList::new();
    list.insert("DSL_CRYPTO_SUITE", wrapped.suite.number())
        .insert("DSL_CRYPTO_GUID", wrapped.guid)
        .insert("DSL_CRYPTO_VERSION", wrapped.version)
        .insert("DSL_CRYPTO_MASTER_KEY_1", bytes(&wrapped.master))
        .insert("DSL_CRYPTO_HMAC_KEY_1", bytes(&wrapped.hmac))
        .insert("DSL_CRYPTO_IV", bytes(&wrapped.iv))
        .insert("DSL_CRYPTO_MAC", bytes(&wrapped.mac))
        .insert("portable_mac", bytes(objset.portable_mac().ok_or(Errno::EIO)?))
        .insert("keyformat", format.keyformat)
        .insert("pbkdf2iters", format.iterations)
        .insert("pbkdf2salt", format.salt)
        .insert("mdn_checksum", u64::from(meta.checksum))
        .insert("mdn_compress", u64::from(meta.compression.0))
        .insert("mdn_nlevels", u64::from(meta.levels))
        .insert("mdn_blksz", SLOTS_PER_BLOCK * 512)
        .insert("mdn_indblkshift", u64::from(INDIRECT_SHIFT))
        .insert("mdn_nblkptr", u64::from(objset.dnodes().roots()))
        .insert("mdn_maxblkid", objset.last_dnode_block())
        .insert("to_ivset_guid", to_ivset)
        .insert("from_ivset_guid", from_ivset);
    Ok(Some(list))
}
