//! Where a receive goes, and whether it may: OpenZFS 2.3 `module/zfs/dmu_recv.c`, dmu_recv_begin_check, recv_begin_check_existing_impl,
//! dmu_recv_resume_begin_check and their sync halves.

use std::sync::Arc;

use super::handler::Request;
use crate::embedded::data::{Objset, ObjsetType, UsedFeatures};
use crate::embedded::engine::{Content, Id, Pool, Result, Resume, Room, State};
use crate::embedded::key::CryptParams;
use crate::embedded::name::RECEIVE_CLONE;
use crate::kernel::Errno;
use crate::nvlist::NvList;
use crate::stream::{BeginFlags, HeaderType, SendFlags, StreamFeatures};

/// Blocks that beginning is reckoned to change.
const BEGIN_BLOCKS: i64 = 5;

/// Types of objsets there are: `DMU_OST_NUMTYPES`.
const OBJSET_TYPES: u32 = 6;

/// What a stream may contain: `DMU_BACKUP_FEATURE_MASK` of the newest release that is imitated.
const KNOWN: StreamFeatures = StreamFeatures::from_bits_retain(
    StreamFeatures::SPILL.bits()
        | StreamFeatures::EMBED_DATA.bits()
        | StreamFeatures::LZ4.bits()
        | StreamFeatures::LARGE_BLOCKS.bits()
        | StreamFeatures::RESUMING.bits()
        | StreamFeatures::REDACTED.bits()
        | StreamFeatures::COMPRESSED.bits()
        | StreamFeatures::LARGE_DNODE.bits()
        | StreamFeatures::RAW.bits()
        | StreamFeatures::ZSTD.bits()
        | StreamFeatures::HOLDS.bits()
        | StreamFeatures::SWITCH_TO_LARGE_BLOCKS.bits()
        | StreamFeatures::LONG_NAME.bits()
        | StreamFeatures::LARGE_MICROZAP.bits(),
);

/// Where a receive goes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The GUID of the pool, which can be renamed meanwhile.
    pub(super) pool: u64,
    /// The dataset that is received into: new, or hidden below the one that is there.
    pub(super) dataset: Id,
    /// It is no hidden one.
    pub(super) is_new: bool,
    /// Nothing is received: what is there is sound.
    pub(super) heal: bool,
    /// What an increment starts from.
    pub(super) from: Option<Id>,
    /// How much of the stream came before, and where it stopped.
    pub(super) resumed: Option<(u64, (u64, u64))>,
    /// What came is kept when the rest does not.
    pub(super) resumable: bool,
    /// Enough came for that: the fields of the record after the first, or all that before.
    pub(super) worth_keeping: bool,
}

/// Checks everything, and makes the dataset that is received into.
pub(super) fn begin(
    state: &mut State,
    request: &Request<'_>,
    local: Option<&mut NvList>,
    hidden: Option<&NvList>,
) -> Result<Target> {
    let pool = state.pool_mut(request.dataset)?;
    let features = request.begin.features();
    let is_package = request.begin.header_type() == Ok(HeaderType::Compound);
    if features.contains(StreamFeatures::RESUMING) {
        if is_package || request.begin.objset_type >= OBJSET_TYPES {
            return Err(Errno::EINVAL);
        }
        return resume(pool, request);
    }
    let is_full = request.begin.from_guid.get() == 0;
    let mut params = None;
    if !request.is_raw() && request.origin.is_none() && is_full {
        let mut none = NvList::new();
        params = Some(CryptParams::parse(0, local.unwrap_or(&mut none), hidden)?);
    }
    if is_package
        || request.begin.objset_type >= OBJSET_TYPES
        || request.is_clone() && request.origin.is_none()
    {
        return Err(Errno::EINVAL);
    }
    check_features(pool, features)?;
    if request.is_raw() {
        if !pool.features.has("encryption") {
            return Err(Errno::ENOTSUP);
        }
        if features.contains(StreamFeatures::EMBED_DATA) {
            return Err(Errno::EINVAL);
        }
        if !request.begin.flags.contains(BeginFlags::SPILL_BLOCK) {
            return Err(Errno::ZFS_ERR_SPILL_BLOCK_FLAG_MISSING);
        }
    }
    let params = params.unwrap_or_else(CryptParams::none);
    let found = match params.is_off() {
        true => pool.hold(request.dataset),
        false => hold(pool, request, request.dataset),
    };
    match found {
        Ok(dataset) => existing(pool, request, &params, dataset),
        Err(Errno::ENOENT) => new(pool, request, &params),
        Err(errno) => Err(errno),
    }
}

/// A name, to be received into or from: what is not raw needs the key first, also that of what is above a name that is not there.
fn hold(pool: &Pool, request: &Request<'_>, name: &str) -> Result<Id> {
    if request.is_raw() { pool.hold(name) } else { pool.hold_readable(name) }
}

/// `recv_begin_check_feature_flags_impl`.
fn check_features(pool: &Pool, features: StreamFeatures) -> Result<()> {
    if !KNOWN.contains(features) {
        return Err(Errno::ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE);
    }
    let needs = [
        (StreamFeatures::LZ4, "lz4_compress"),
        (StreamFeatures::ZSTD, "zstd_compress"),
        (StreamFeatures::EMBED_DATA, "embedded_data"),
        (StreamFeatures::LARGE_BLOCKS, "large_blocks"),
        (StreamFeatures::LARGE_DNODE, "large_dnode"),
        (StreamFeatures::LARGE_MICROZAP, "large_microzap"),
        (StreamFeatures::REDACTED, "redacted_datasets"),
        (StreamFeatures::LONG_NAME, "longname"),
    ];
    let missing = |(feature, name): &(StreamFeatures, &str)| {
        features.contains(*feature) && !pool.features.has(name)
    };
    if needs.iter().any(missing) { Err(Errno::ENOTSUP) } else { Ok(()) }
}

/// Into a dataset that is there: into a clone of its snapshot, hidden below it.
fn existing(
    pool: &mut Pool,
    request: &Request<'_>,
    params: &CryptParams,
    dataset: Id,
) -> Result<Target> {
    let found = pool.dataset(dataset)?;
    let dir = found.dir;
    if !request.is_raw() && !pool.is_key_loaded(dir)? {
        return Err(Errno::EACCES);
    }
    if request.is_clone() || request.origin.is_some() {
        return Err(Errno::EINVAL);
    }
    let place = pool.dir(dir)?;
    if place.child(RECEIVE_CLONE).is_some() || found.transfer.resume.is_some() {
        return Err(Errno::EBUSY);
    }
    let snapshot = pool.head(dataset)?.snapshot(request.snapshot);
    if request.heal && snapshot.is_none() {
        return Err(Errno::ENOENT);
    }
    if !request.heal && snapshot.is_some() {
        return Err(Errno::EEXIST);
    }
    let is_filesystem = request.begin.objset_type == ObjsetType::FileSystem.number();
    if !is_filesystem && place.has_children() {
        return Err(Errno::ZFS_ERR_WRONG_PARENT);
    }
    let encrypted = place.crypt.is_some();
    let embedded = request.begin.features().contains(StreamFeatures::EMBED_DATA);
    let parent = place.parent;
    if let (true, Some(snapshot)) = (request.heal, snapshot) {
        return heal(pool, request, dataset, snapshot, encrypted && embedded);
    }
    let mut from = None;
    if request.begin.from_guid.get() == 0 {
        if !request.force {
            return Err(Errno::EEXIST);
        }
        if encrypted || request.is_raw() {
            return Err(Errno::EINVAL);
        }
        if params.suite_of_new(pool, parent)?.is_some() && embedded {
            return Err(Errno::EINVAL);
        }
    } else {
        if !encrypted && request.is_raw() || encrypted && embedded {
            return Err(Errno::EINVAL);
        }
        from = Some(snapshot_to_start_from(pool, request, dataset)?);
    }
    pool.check_room(BEGIN_BLOCKS, Room::Normal)?;
    let tx = pool.begin();
    let clone = match from {
        Some(from) => pool.add_clone(dir, RECEIVE_CLONE, from, tx)?,
        None => pool.add_head(Some(dir), RECEIVE_CLONE, empty(request)?, tx)?,
    };
    start(pool, request, clone, from, false)
}

/// Nothing here ever needs to be healed, so a stream of the same snapshot is looked through and no more.
fn heal(
    pool: &mut Pool,
    request: &Request<'_>,
    dataset: Id,
    snapshot: Id,
    embedded: bool,
) -> Result<Target> {
    if embedded || request.force {
        return Err(Errno::EINVAL);
    }
    if pool.dataset(snapshot)?.guid != request.begin.to_guid.get() {
        return Err(Errno::ENOTSUP);
    }
    let (guid, is_new, heal) = (pool.guid, false, true);
    let (from, resumed, resumable) = (None, None, false);
    Ok(Target { pool: guid, dataset, is_new, heal, from, resumed, resumable, worth_keeping: false })
}

/// The snapshot an increment starts from, if the dataset has it and was not changed since.
fn snapshot_to_start_from(pool: &Pool, request: &Request<'_>, dataset: Id) -> Result<Id> {
    let head = pool.dataset(dataset)?;
    let newest = head.prev;
    let mut next = newest;
    let from = loop {
        let id = next.ok_or(Errno::ENODEV)?;
        let snapshot = pool.dataset(id)?;
        if snapshot.dir != head.dir {
            return Err(Errno::ENODEV);
        }
        if snapshot.guid == request.begin.from_guid.get() {
            break id;
        }
        next = snapshot.prev;
    };
    let changed = pool.is_modified_since(dataset, from)?;
    if !request.force && (changed || request.is_raw() && newest != Some(from)) {
        return Err(Errno::ETXTBSY);
    }
    check_redacted(pool, request, from)?;
    check_large_blocks(pool, request, from)?;
    // Snapshots since then in which nothing changed do not stand in the way.
    Ok(if request.force { from } else { newest.unwrap_or(from) })
}

/// `recv_check_large_blocks`.
fn check_large_blocks(pool: &Pool, request: &Request<'_>, of: Id) -> Result<()> {
    let used = pool.dataset(of)?.content.objset.features();
    let comes = request.begin.features().contains(StreamFeatures::LARGE_BLOCKS);
    if used.contains(UsedFeatures::LARGE_BLOCKS) && !comes {
        return Err(Errno::ZFS_ERR_STREAM_LARGE_BLOCK_MISMATCH);
    }
    Ok(())
}

/// `redact_check`: whether a stream fits on something that was redacted.
fn check_redacted(pool: &Pool, request: &Request<'_>, origin: Id) -> Result<()> {
    let Some(by) = &pool.dataset(origin)?.transfer.redact_snapshots else { return Ok(()) };
    let all = |guids: Option<&[u64]>| {
        guids.is_some_and(|guids| guids.iter().all(|guid| by.contains(guid)))
    };
    let from = request.list.get_u64s("redact_from_snaps");
    let redacted = request.begin.features().contains(StreamFeatures::REDACTED);
    let fits = match (request.begin.from_guid.get(), from, redacted) {
        (0, ..) => true,
        (_, Some(_), _) => all(from),
        (_, None, true) => all(request.list.get_u64s("redact_snaps")),
        (_, None, false) => by.contains(&request.begin.to_guid.get()),
    };
    if fits { Ok(()) } else { Err(Errno::EINVAL) }
}

/// As a dataset that is not there yet: a full stream, or a clone.
fn new(pool: &mut Pool, request: &Request<'_>, params: &CryptParams) -> Result<Target> {
    let (full, features) = (request.begin.from_guid.get() == 0, request.begin.features());
    if request.heal {
        return Err(Errno::ENOTSUP);
    }
    if !full && !request.is_clone() && request.origin.is_none() {
        return Err(Errno::ENOENT);
    }
    let frees = request.begin.flags.contains(BeginFlags::FREE_RECORDS);
    if full && request.origin.is_some() && !frees {
        return Err(Errno::EINVAL);
    }
    let (parent, tail) = pool.place_for(request.dataset)?;
    let mut crypt = None;
    if !request.is_raw() && request.origin.is_none() {
        crypt = params.of_new(pool, Some(parent))?;
        if crypt.is_some() && features.contains(StreamFeatures::EMBED_DATA) {
            return Err(Errno::EINVAL);
        }
    }
    pool.check_parent(parent)?;
    let origin = match request.origin {
        Some(origin) => Some(check_origin(pool, request, origin)?),
        None => None,
    };
    let content = empty(request)?;
    pool.check_room(BEGIN_BLOCKS, Room::Normal)?;
    let tx = pool.begin();
    let dataset = match origin {
        Some(origin) => pool.add_clone(parent, tail, origin, tx)?,
        None => pool.add_head(Some(parent), tail, content, tx)?,
    };
    if let Some(crypt) = crypt {
        pool.encrypt(pool.dataset(dataset)?.dir, crypt)?;
    }
    start(pool, request, dataset, origin, true)
}

/// The snapshot that a clone is made of.
fn check_origin(pool: &Pool, request: &Request<'_>, origin: &str) -> Result<Id> {
    let id = hold(pool, request, origin)?;
    let found = pool.dataset(id)?;
    if !found.is_snapshot() {
        return Err(Errno::EINVAL);
    }
    let from = request.begin.from_guid.get();
    if from != 0 && found.guid != from {
        return Err(Errno::ENODEV);
    }
    let embedded = request.begin.features().contains(StreamFeatures::EMBED_DATA);
    if pool.dir(found.dir)?.crypt.is_some() && embedded {
        return Err(Errno::EINVAL);
    }
    check_redacted(pool, request, id)?;
    Ok(id)
}

fn empty(request: &Request<'_>) -> Result<Content> {
    let objset_type = ObjsetType::from_number(request.begin.objset_type).ok_or(Errno::EINVAL)?;
    Ok(Content::of_objset(Objset::empty(objset_type)))
}

/// What the dataset that is received into says of itself meanwhile.
fn start(
    pool: &mut Pool,
    request: &Request<'_>,
    id: Id,
    from: Option<Id>,
    is_new: bool,
) -> Result<Target> {
    pool.log_internal("receive", Some(id), " ".to_owned());
    let (begin, features) = (&request.begin, request.begin.features());
    let mut flags = SendFlags::empty();
    flags.set(SendFlags::LARGE_BLOCK, features.contains(StreamFeatures::LARGE_BLOCKS));
    flags.set(SendFlags::EMBED, features.contains(StreamFeatures::EMBED_DATA));
    flags.set(SendFlags::COMPRESS, features.contains(StreamFeatures::COMPRESSED));
    flags.set(SendFlags::RAW, features.contains(StreamFeatures::RAW));
    let encrypted = pool.dir(pool.dataset(id)?.dir)?.crypt.is_some();
    let dataset = pool.dataset_mut(id)?;
    dataset.content.uncounted |= encrypted && from.is_none();
    dataset.inconsistent = true;
    dataset.long_holds += 1;
    dataset.transfer.receiving = true;
    dataset.transfer.redact_snapshots = features
        .contains(StreamFeatures::REDACTED)
        .then(|| request.list.get_u64s("redact_snaps").map(Arc::from))
        .flatten();
    let objset = &mut dataset.content.objset;
    if features.contains(StreamFeatures::LONG_NAME) {
        objset.use_features(UsedFeatures::LONG_NAME);
    }
    if features.contains(StreamFeatures::LARGE_MICROZAP) {
        objset.use_features(UsedFeatures::LARGE_MICROZAP);
    }
    if request.resumable {
        dataset.transfer.resume = Some(Box::new(Resume {
            to_guid: begin.to_guid.get(),
            to_name: begin.to_name.to_string(),
            from_guid: begin.from_guid.get(),
            object: 1,
            offset: 0,
            bytes: 0,
            flags,
            from_redact_snapshots: request.list.get_u64s("redact_from_snaps").map(<[u64]>::to_vec),
        }));
    }
    let (resumed, resumable, heal) = (None, request.resumable, false);
    Ok(Target {
        pool: pool.guid,
        dataset: id,
        is_new,
        heal,
        from,
        resumed,
        resumable,
        worth_keeping: false,
    })
}

/// Goes on with a receive that was interrupted.
fn resume(pool: &mut Pool, request: &Request<'_>) -> Result<Target> {
    check_features(pool, request.begin.features())?;
    if request.is_raw() && !request.begin.flags.contains(BeginFlags::SPILL_BLOCK) {
        return Err(Errno::ZFS_ERR_SPILL_BLOCK_FLAG_MISSING);
    }
    let hidden = format!("{}/{RECEIVE_CLONE}", request.dataset);
    let (id, is_new) = match hold(pool, request, &hidden) {
        Ok(hidden) => (hidden, false),
        Err(_) => (hold(pool, request, request.dataset)?, true),
    };
    let dataset = pool.dataset(id)?;
    let begin = &request.begin;
    if !is_new && begin.from_guid.get() == 0 && !request.force {
        return Err(Errno::ZFS_ERR_RESUME_EXISTS);
    }
    let resume = dataset.transfer.resume.as_ref().filter(|_| dataset.inconsistent);
    let resume = resume.ok_or(Errno::EINVAL)?;
    if resume.to_guid != begin.to_guid.get() {
        return Err(Errno::EINVAL);
    }
    if dataset.transfer.receiving {
        return Err(Errno::EBUSY);
    }
    let own_snapshot = match dataset.prev {
        Some(prev) => pool.dataset(prev)?.dir == dataset.dir,
        None => false,
    };
    if own_snapshot || resume.from_guid != begin.from_guid.get() {
        return Err(Errno::EINVAL);
    }
    if begin.features().contains(StreamFeatures::REDACTED) {
        let stream = request.list.get_u64s("redact_snaps").ok_or(Errno::EINVAL)?;
        let by = dataset.transfer.redact_snapshots.as_deref().ok_or(Errno::EINVAL)?;
        if !stream.iter().take(by.len()).all(|guid| by.contains(guid)) {
            return Err(Errno::EINVAL);
        }
    }
    check_large_blocks(pool, request, id)?;
    pool.check_room(BEGIN_BLOCKS, Room::Normal)?;
    let resumed = Some((resume.bytes, (resume.object, resume.offset)));
    let from = dataset.prev.filter(|_| begin.from_guid.get() != 0);
    let guid = pool.guid;
    let dataset = pool.dataset_mut(id)?;
    dataset.long_holds += 1;
    dataset.transfer.receiving = true;
    Ok(Target {
        pool: guid,
        dataset: id,
        is_new,
        heal: false,
        from,
        resumed,
        resumable: request.resumable,
        worth_keeping: true,
    })
}
