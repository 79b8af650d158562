//! Properties of datasets: OpenZFS 2.3 `module/zfs/zfs_ioctl.c` (zfs_ioc_set_prop, zfs_set_prop_nvlist, zfs_ioc_inherit_prop) and `dsl_prop.c`.

use super::data::filesystem::VERSION_OWNERS;
use super::dataset::{BLOCK_BYTES_MAX, BLOCK_BYTES_OLD_MAX, largest_block};
use super::dispatch::{put, unpack};
use super::engine::{Id, Pool, PropSource, PropValue, Result, Room, State, is_kept_twice, known};
use super::list::to_value;
use super::special::set_special;
use crate::kernel::{Cmd, Errno};
use crate::nvlist::{NvList, Value};
use crate::property::{PropertyAccess, PropertyInfo, PropertyKind};

/// Longest name and value, with the NUL at the end (`ZAP_MAXNAMELEN`, `ZAP_MAXVALUELEN`).
pub(super) const NAME_BYTES: usize = 256;
pub(super) const VALUE_BYTES: usize = 8192;

/// Prefixes of the quotas of users, groups and projects that can be set, and of what is only told (`zfs_userquota_prop_prefixes`).
const OWNER_QUOTAS: [&str; 6] = [
    "userquota@",
    "groupquota@",
    "userobjquota@",
    "groupobjquota@",
    "projectquota@",
    "projectobjquota@",
];
const OWNER_SPACE: [&str; 6] =
    ["userused@", "groupused@", "userobjused@", "groupobjused@", "projectused@", "projectobjused@"];

/// Whether a name is a user property's: `zfs_prop_user`.
pub(super) fn is_user(name: &str) -> bool {
    name.contains(':')
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'-' | b'_' | b'.' | b':')
        })
}

fn is_owner_quota(name: &str) -> bool {
    OWNER_QUOTAS.iter().chain(&OWNER_SPACE).any(|prefix| name.starts_with(prefix))
}

/// `zfs_check_userprops`: what can be set on a snapshot as it is taken.
pub(super) fn check_user_properties(properties: &NvList) -> Result<()> {
    for (name, value) in properties.iter() {
        let Value::String(text) = value else { return Err(Errno::EINVAL) };
        if !is_user(name) {
            return Err(Errno::EINVAL);
        }
        if name.len() >= NAME_BYTES {
            return Err(Errno::ENAMETOOLONG);
        }
        if text.len() >= VALUE_BYTES {
            return Err(Errno::E2BIG);
        }
    }
    Ok(())
}

/// `zfs_ioc_set_prop`. Answers with those that could not be set; the others are.
pub(super) fn set(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    if cmd.input.as_ref().is_none_or(Vec::is_empty) {
        return Err(Errno::EINVAL);
    }
    let properties = unpack(cmd.input.as_deref())?;
    let received = cmd.cookie != 0;
    let pool = state.pool_mut(&cmd.name)?;
    let mut errors = NvList::new();
    let source = if received { PropSource::Received } else { PropSource::Local };
    let ready = match received {
        true => begin_received(pool, &cmd.name, &properties).map(drop),
        false => Ok(()),
    };
    let outcome =
        ready.and_then(|()| set_list(pool, &cmd.name, source, &properties, Some(&mut errors)));
    if cmd.reply_max > 0 {
        // A list that does not fit is left out.
        let _ = put(cmd, &errors);
    }
    outcome
}

/// Forgets what was received before and is not `kept`, and remembers that properties were received. Answers what it was, as the module tells it: until
/// properties are received, the local ones are taken for it.
///
/// # Errors
/// As [`Pool::hold`].
pub(super) fn begin_received(pool: &mut Pool, name: &str, kept: &NvList) -> Result<NvList> {
    let id = pool.hold(name)?;
    let has_received = pool.has_received(id)?;
    let mut before = NvList::new();
    for (property, slot) in own_props(pool, id)?.iter() {
        let value = if has_received { &slot.received } else { &slot.local };
        if let Some(value) = value {
            before.insert(property, to_value(value));
        }
    }
    let gone = before.iter().filter(|(property, _)| !kept.contains(property));
    let gone: NvList = gone.map(|(property, value)| (property, value.clone())).collect();
    // What cannot be forgotten stays.
    let _ = forget_received(pool, name, &gone);
    note_received(pool, id)?;
    Ok(before)
}

/// Remembers that properties were received, `dsl_prop_set_hasrecvd`: not where that is known from above, and so forgotten when the dataset moves away.
///
/// # Errors
/// None that can be.
pub(super) fn note_received(pool: &mut Pool, id: Id) -> Result<()> {
    if !pool.has_received(id)? {
        own_props_mut(pool, id)?.has_received = true;
    }
    Ok(())
}

/// `clear_received_props`.
///
/// # Errors
/// As [`set_list`].
pub(super) fn forget_received(pool: &mut Pool, name: &str, these: &NvList) -> Result<()> {
    let has_received = pool.has_received(pool.hold(name)?)?;
    let source = if has_received { PropSource::Forgotten } else { PropSource::None };
    set_list(pool, name, source, these, None)
}

/// Sets a list of properties, each as far as it goes: `zfs_set_prop_nvlist`. The errno is that of the last that failed.
///
/// # Errors
/// As each property has them; each is in `errors`, by name.
pub(super) fn set_list(
    pool: &mut Pool,
    dataset: &str,
    source: PropSource,
    properties: &NvList,
    mut errors: Option<&mut NvList>,
) -> Result<()> {
    let mut outcome = Ok(());
    let mut generic = Vec::new();
    let mut again = Vec::new();
    let mut fail = |name: &str, errno: Errno| {
        if let Some(errors) = &mut errors {
            errors.insert(name, errno.0);
        }
        Err(errno)
    };
    // Twice, because a quota and a reservation can come in the wrong order.
    for (name, value) in properties.iter() {
        match set_one(pool, dataset, source, name, value) {
            Ok(Done::Yes) => {}
            Ok(Done::Generic(value)) => generic.push((name, value)),
            Err(Failed::Checked(errno)) => outcome = fail(name, errno),
            Err(Failed::Setting(_)) => again.push((name, value)),
        }
    }
    for (name, value) in again {
        match set_one(pool, dataset, source, name, value) {
            Ok(Done::Yes) => {}
            Ok(Done::Generic(value)) => generic.push((name, value)),
            Err(Failed::Checked(errno) | Failed::Setting(errno)) => outcome = fail(name, errno),
        }
    }
    if generic.is_empty() {
        return outcome;
    }
    let all = set_generic(pool, dataset, source, &generic);
    if all.is_ok() {
        return outcome;
    }
    for pair in &generic {
        if let Err(errno) = set_generic(pool, dataset, source, std::slice::from_ref(pair)) {
            outcome = fail(pair.0, errno);
        }
    }
    outcome
}

/// What became of one property.
enum Done {
    /// It is set.
    Yes,
    /// It is to be set with the others that need nothing special.
    Generic(Option<PropValue>),
}

/// Why it could not be set.
enum Failed {
    /// It is not one to be set so.
    Checked(Errno),
    /// Not now.
    Setting(Errno),
}

fn set_one(
    pool: &mut Pool,
    dataset: &str,
    source: PropSource,
    name: &str,
    value: &Value,
) -> std::result::Result<Done, Failed> {
    let release = pool.env.release;
    let value = value_of(value).map_err(Failed::Checked)?;
    let info = known(name, release);
    check_type(info, name, source, value, release).map_err(Failed::Checked)?;
    check_settable(pool, dataset, info, name, value).map_err(Failed::Checked)?;
    let plain = || match value {
        Value::Uint64(number) => Some(PropValue::Number(*number)),
        Value::String(text) => Some(PropValue::Text(text.to_string_lossy().into())),
        _ => None,
    };
    if source == PropSource::Inherited {
        return Ok(Done::Generic(None));
    }
    match set_special(pool, dataset, source, info, name, value) {
        Ok(true) => Ok(Done::Yes),
        Ok(false) => Ok(Done::Generic(plain())),
        Err(errno) => Err(Failed::Setting(errno)),
    }
}

/// The value itself: properties can come in the form they are told in, with their source.
pub(super) fn value_of(value: &Value) -> Result<&Value> {
    match value {
        Value::NvList(attributes) => attributes.get("value").ok_or(Errno::EINVAL),
        value => Ok(value),
    }
}

/// Whether a value is of the type that the property has.
fn check_type(
    info: Option<&PropertyInfo>,
    name: &str,
    source: PropSource,
    value: &Value,
    release: (u32, u32),
) -> Result<()> {
    let fits = match (info, value) {
        _ if source == PropSource::Inherited => matches!(value, Value::Boolean),
        (None, Value::String(_)) => is_user(name),
        (None, Value::Uint64Array(_)) => !is_user(name) && is_owner_quota(name),
        (None, _) => false,
        (Some(info), Value::String(_)) => info.kind == PropertyKind::Text,
        (Some(info), Value::Uint64(number)) => match info.kind {
            PropertyKind::Text => false,
            PropertyKind::Number(_) => true,
            PropertyKind::Index(words) => {
                let is_newer = |word: &(&str, u64, (u32, u32))| {
                    (word.0, word.1) == (info.name, *number) && release < word.2
                };
                if !words.iter().any(|(_, known)| known == number)
                    || LATER_WORDS.iter().any(is_newer)
                {
                    return Err(Errno::ZFS_ERR_BADPROP);
                }
                true
            }
        },
        (Some(_), _) => false,
    };
    if fits { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Values of older properties that came with a release (`module/zcommon/zfs_prop.c`).
const LATER_WORDS: [(&str, u64, (u32, u32)); 4] = [
    ("checksum", 14, (2, 2)),
    ("dedup", 14, (2, 2)),
    ("dedup", 14 | 1 << 8, (2, 2)),
    ("snapdir", 2, (2, 3)),
];

/// `zfs_check_settable`, for a caller who may.
fn check_settable(
    pool: &Pool,
    dataset: &str,
    info: Option<&PropertyInfo>,
    name: &str,
    value: &Value,
) -> Result<()> {
    let is_snapshot = dataset.contains('@');
    let Some(info) = info else {
        let settable = is_user(name)
            || (!is_snapshot && OWNER_QUOTAS.iter().any(|prefix| name.starts_with(prefix)));
        return if settable { Ok(()) } else { Err(Errno::EINVAL) };
    };
    if is_snapshot {
        return Err(Errno::EINVAL);
    }
    let needs = |feature: &str| match pool.features.has(feature) {
        true => Ok(()),
        false => Err(Errno::ENOTSUP),
    };
    let number = match value {
        Value::Uint64(number) => Some(*number),
        _ => None,
    };
    match (info.name, number) {
        ("compression", Some(number)) => match number & COMPRESS_MASK {
            COMPRESS_LZ4 => needs("lz4_compress"),
            COMPRESS_ZSTD => needs("zstd_compress"),
            _ => Ok(()),
        },
        ("volblocksize" | "recordsize", Some(bytes)) if bytes > BLOCK_BYTES_OLD_MAX => {
            if bytes > largest_block(pool.env.release) || bytes > BLOCK_BYTES_MAX {
                return Err(Errno::ERANGE);
            }
            needs("large_blocks")
        }
        ("dnodesize", Some(size)) if size != 0 => needs("large_dnode"),
        ("checksum" | "dedup", Some(number)) => {
            match CHECKSUM_FEATURES.iter().find(|(sum, _)| *sum == number & CHECKSUM_MASK) {
                Some((_, feature)) => needs(feature),
                None => Ok(()),
            }
        }
        // Of a file system that has owners of domains: `zpl_earlier_version`.
        ("sharesmb", _) => {
            let content = pool.hold(dataset).and_then(|id| pool.dataset(id)).map(|it| &it.content);
            match content.ok().and_then(|content| content.zpl) {
                Some(zpl) if zpl.version >= VERSION_OWNERS => Ok(()),
                _ => Err(Errno::ENOTSUP),
            }
        }
        // Labels are of another system.
        ("mlslabel", _) => Err(Errno::EPERM),
        _ => Ok(()),
    }
}

/// The algorithm of a `compression`, without its level (`ZIO_COMPRESS_ALGO`), and those that need a feature.
pub(super) const COMPRESS_MASK: u64 = 0x7f;
const COMPRESS_LZ4: u64 = 15;
pub(super) const COMPRESS_ZSTD: u64 = 16;
/// The sum of a `checksum` or `dedup`, without "verify", and those that need a feature (`zio_checksum_to_feature`).
const CHECKSUM_MASK: u64 = 0xff;
const CHECKSUM_FEATURES: [(u64, &str); 4] =
    [(11, "sha512"), (12, "skein"), (13, "edonr"), (14, "blake3")];

/// `dsl_props_set`: all of them, or none.
fn set_generic(
    pool: &mut Pool,
    dataset: &str,
    source: PropSource,
    pairs: &[(&str, Option<PropValue>)],
) -> Result<()> {
    let id = pool.hold(dataset)?;
    for (name, value) in pairs {
        if name.len() >= NAME_BYTES {
            return Err(Errno::ENAMETOOLONG);
        }
        match value {
            Some(PropValue::Text(text)) if text.len() >= VALUE_BYTES => return Err(Errno::E2BIG),
            _ => {}
        }
    }
    let blocks = i64::try_from(pairs.len()).unwrap_or(i64::MAX).saturating_mul(2);
    pool.check_room(blocks, Room::Reserved)?;
    pool.begin();
    let hides = source == PropSource::Inherited && pool.has_received(id)?;
    let props = own_props_mut(pool, id)?;
    for (name, value) in pairs {
        props.set(name, source, value.clone());
        if hides {
            props.hide(name);
        }
    }
    let verb =
        if matches!(source, PropSource::None | PropSource::Inherited) { "inherit" } else { "set" };
    for (name, value) in pairs {
        let shown = match value {
            Some(PropValue::Number(number)) => number.to_string(),
            Some(PropValue::Text(text)) => (**text).to_owned(),
            None => String::new(),
        };
        pool.log_internal(verb, Some(id), format!("{name}={shown}"));
    }
    Ok(())
}

/// What a dataset or snapshot has of its own.
pub(super) fn own_props(pool: &Pool, id: Id) -> Result<&super::engine::Props> {
    let dataset = pool.dataset(id)?;
    match dataset.as_snapshot() {
        Some(snapshot) => Ok(&snapshot.props),
        None => Ok(&pool.dir(dataset.dir)?.props),
    }
}

pub(super) fn own_props_mut(pool: &mut Pool, id: Id) -> Result<&mut super::engine::Props> {
    if pool.dataset(id)?.is_snapshot() {
        return Ok(&mut pool.snapshot_mut(id)?.props);
    }
    let dir = pool.dataset(id)?.dir;
    Ok(&mut pool.dir_mut(dir)?.props)
}

/// `zfs_ioc_inherit_prop`: the property is in `value`; a cookie asks for what was received.
pub(super) fn inherit(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let name = std::str::from_utf8(&cmd.value).map_err(|_| Errno::EINVAL)?;
    let received = cmd.cookie != 0;
    let source = if received { PropSource::None } else { PropSource::Inherited };
    let pool = state.pool_mut(&cmd.name)?;
    let info = known(name, pool.env.release);
    // Labels are of another system: `zfs_secpolicy_setprop`, which comes first.
    if name == "mlslabel" {
        return Err(Errno::EPERM);
    }
    match info {
        None if !is_user(name) => return Err(Errno::EINVAL),
        Some(info) if !received && !info.access.is_inheritable() => return Err(Errno::EINVAL),
        Some(info) if matches!(info.name, "volsize" | "version") => return Err(Errno::EINVAL),
        _ => {}
    }
    // `zfs_prop_set_special` is asked as if the value were nothing.
    let nothing = match info.map(|info| info.kind) {
        None | Some(PropertyKind::Text) => Value::from(""),
        Some(_) => Value::Uint64(0),
    };
    let special = match info {
        Some(info) if info.access != PropertyAccess::ReadOnly => {
            set_special(pool, &cmd.name, source, Some(info), name, &nothing)?
        }
        _ => false,
    };
    match special {
        true => Ok(()),
        false => set_generic(pool, &cmd.name, source, &[(name, None)]),
    }
}

/// `zfs_ioc_objset_recvd_props`.
pub(super) fn received(state: &State, cmd: &mut Cmd) -> Result<()> {
    // A dataset that is not there never received any either.
    let (pool, id) = state.hold(&cmd.name).map_err(|_| Errno::ENOTSUP)?;
    let own = own_props(pool, id)?;
    if !pool.has_received(id)? {
        return Err(Errno::ENOTSUP);
    }
    if cmd.reply_max == 0 {
        return Ok(());
    }
    let mut list = NvList::new();
    for (name, slot) in own.iter() {
        let local = slot.local.as_ref().filter(|value| is_kept_twice(name, value));
        let (value, source) = match (&slot.received, local) {
            (Some(value), _) => (value, "$recvd"),
            (None, Some(value)) => (value, cmd.name.as_str()),
            (None, None) => continue,
        };
        let mut pair = NvList::new();
        pair.insert("value", to_value(value)).insert("source", source);
        list.insert(name, pair);
    }
    put(cmd, &list)
}
