//! The keys that a raw stream brings: OpenZFS 2.3 `module/zfs/dsl_crypt.c`, dsl_crypto_recv_raw.

use super::begin::Target;
use super::handler::Request;
use super::stream::pool_mut;
use crate::embedded::Shared;
use crate::embedded::data::{HMAC_KEY_BYTES, KEY_BYTES, KEY_VERSION, MetaDnode, Suite, WrappedKey};
use crate::embedded::engine::{Crypt, Id, KeyFormat, Pool, PropSource, PropValue, Result};
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};
use crate::stream::Compression;

/// The length of a `portable_mac`: `ZIO_OBJSET_MAC_LEN`.
const MAC_BYTES: usize = 32;

/// Compressions and checksums that a stream may name for the metadnode: `ZIO_COMPRESS_LEGACY_FUNCTIONS`, `ZIO_CHECKSUM_LEGACY_FUNCTIONS`; its levels,
/// `DN_MAX_LEVELS`; its pointers, `DN_MAX_NBLKPTR`; and the size of its blocks and indirect blocks, which all datasets have.
const COMPRESSIONS: u64 = 15;
const CHECKSUMS: u64 = 10;
const LEVELS_MAX: u64 = 10;
const POINTERS: u64 = 3;
const BLOCK_BYTES: u64 = 16 << 10;
const INDIRECT_SHIFTS: std::ops::RangeInclusive<u64> = 12..=17;

/// `zfs_keyformat_t`.
const KEYFORMAT_PASSPHRASE: u64 = 3;
const KEYFORMATS: std::ops::Range<u64> = 1..4;

/// `ZIO_CRYPT_OFF`.
const SUITE_OFF: u64 = 2;

/// The keys of a raw stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    wrapped: WrappedKey,
    format: KeyFormat,
    /// What the snapshot is matched by; 0 where the stream does not say.
    pub(super) ivset_guid: u64,
}

/// The keys of a raw stream, checked; a new dataset has them at once. `None` for streams that are not raw.
///
/// # Errors
/// `EINVAL` when there are none or they cannot be right; `ZFS_ERR_FROM_IVSET_GUID_MISSING` and `ZFS_ERR_FROM_IVSET_GUID_MISMATCH` when the
/// increment is not of what is there; as [`check_same`].
pub(super) fn of_stream(
    shared: &Shared,
    request: &Request<'_>,
    target: &Target,
) -> Result<Option<Keys>> {
    if !request.is_raw() {
        return Ok(None);
    }
    let list = request.list.get_list("crypt_keydata").ok_or(Errno::EINVAL)?;
    if target.heal {
        return Ok(None);
    }
    let meta = meta_of(list)?;
    let last_dnode_block = number(list, "mdn_maxblkid")?;
    let mac: [u8; MAC_BYTES] = bytes(list, "portable_mac")?;
    let mut state = shared.write();
    let pool = pool_mut(&mut state, target)?;
    check_from(pool, target, list)?;
    let keys = keys_of(list)?;
    check_same(pool, target.dataset, &keys)?;
    let content = &mut pool.dataset_mut(target.dataset)?.content;
    content.objset.set_portable_mac(&mac);
    content.objset.set_meta(meta, last_dnode_block);
    content.uncounted = true;
    if target.is_new {
        put(pool, target, &keys)?;
    }
    Ok(Some(keys))
}

/// Whether the stream starts from what is there, and not from another encryption of the same.
fn check_from(pool: &Pool, target: &Target, list: &NvList) -> Result<()> {
    let Some(from) = target.from else { return Ok(()) };
    let here = pool.snapshot(from)?.ivset_guid;
    match (list.get_u64("from_ivset_guid").unwrap_or(0), here) {
        (0, _) | (_, 0) => Err(Errno::ZFS_ERR_FROM_IVSET_GUID_MISSING),
        (stream, here) if stream != here => Err(Errno::ZFS_ERR_FROM_IVSET_GUID_MISMATCH),
        _ => Ok(()),
    }
}

/// What is said of the dnode that all dnodes are in: `dsl_crypto_recv_raw_objset_check`.
fn meta_of(list: &NvList) -> Result<MetaDnode> {
    let below = |name, end| match number(list, name)? {
        number if number < end => u8::try_from(number).map_err(|_| Errno::EINVAL),
        _ => Err(Errno::EINVAL),
    };
    let compression = Compression(below("mdn_compress", COMPRESSIONS)?);
    let checksum = below("mdn_checksum", CHECKSUMS)?;
    let levels = below("mdn_nlevels", LEVELS_MAX + 1)?;
    if number(list, "mdn_blksz")? != BLOCK_BYTES {
        return Err(Errno::EINVAL);
    }
    let shift = list.get_u64("mdn_indblkshift");
    let fits = shift.is_some_and(|shift| INDIRECT_SHIFTS.contains(&shift));
    if !fits || list.get_u64("mdn_nblkptr") != Some(POINTERS) {
        return Err(Errno::ENOTSUP);
    }
    Ok(MetaDnode { levels, checksum, compression })
}

/// `dsl_crypto_recv_raw_key_check`.
fn keys_of(list: &NvList) -> Result<Keys> {
    let suite = match number(list, "DSL_CRYPTO_SUITE")? {
        0..=SUITE_OFF => return Err(Errno::EINVAL),
        suite => Suite::from_number(suite).ok_or(Errno::ZFS_ERR_CRYPTO_NOTSUP)?,
    };
    let guid = number(list, "DSL_CRYPTO_GUID")?;
    let master: [u8; KEY_BYTES] = bytes(list, "DSL_CRYPTO_MASTER_KEY_1")?;
    let hmac: [u8; HMAC_KEY_BYTES] = bytes(list, "DSL_CRYPTO_HMAC_KEY_1")?;
    let (iv, mac) = (bytes(list, "DSL_CRYPTO_IV")?, bytes(list, "DSL_CRYPTO_MAC")?);
    // The format before was not the same on every machine.
    if list.get_u64("DSL_CRYPTO_VERSION") != Some(KEY_VERSION) {
        return Err(Errno::ENOTSUP);
    }
    let keyformat = number(list, "keyformat")?;
    let (iterations, salt) = (number(list, "pbkdf2iters")?, number(list, "pbkdf2salt")?);
    let is_passphrase = keyformat == KEYFORMAT_PASSPHRASE;
    let fits = is_passphrase == (iterations != 0) && is_passphrase == (salt != 0);
    if !KEYFORMATS.contains(&keyformat) || !fits {
        return Err(Errno::EINVAL);
    }
    let version = KEY_VERSION;
    Ok(Keys {
        wrapped: WrappedKey { suite, guid, version, master, hmac, iv, mac },
        format: KeyFormat { keyformat, salt, iterations },
        ivset_guid: list.get_u64("to_ivset_guid").unwrap_or(0),
    })
}

fn put(pool: &mut Pool, target: &Target, keys: &Keys) -> Result<()> {
    let dir = pool.dataset(target.dataset)?.dir;
    if pool.dir(dir)?.crypt.is_some() {
        return pool.replace_wrapped(dir, keys.wrapped, keys.format);
    }
    let crypt = Crypt { root: dir, wrapped: keys.wrapped, format: keys.format };
    pool.dir_mut(dir)?.crypt = Some(Box::new(crypt));
    let prompt = PropValue::Text("prompt".into());
    pool.dir_mut(dir)?.props.set("keylocation", PropSource::Local, Some(prompt));
    Ok(())
}

/// Puts the keys that came in place, wrapped as on the other side: `dsl_crypto_recv_raw_key_sync`.
///
/// # Errors
/// None that can be.
pub(super) fn replace(pool: &mut Pool, dataset: Id, keys: &Keys) -> Result<()> {
    let dir = pool.dataset(dataset)?.dir;
    pool.replace_wrapped(dir, keys.wrapped, keys.format)
}

/// Whether the keys that came are those of the dataset they came to.
///
/// # Errors
/// `EACCES` for another key.
pub(super) fn check_same(pool: &Pool, dataset: Id, keys: &Keys) -> Result<()> {
    match &pool.dir_of(dataset)?.crypt {
        Some(crypt) if crypt.wrapped.guid != keys.wrapped.guid => Err(Errno::EACCES),
        _ => Ok(()),
    }
}

fn number(list: &NvList, name: &str) -> Result<u64> {
    list.get_u64(name).ok_or(Errno::EINVAL)
}

fn bytes<const N: usize>(list: &NvList, name: &str) -> Result<[u8; N]> {
    match list.get(name) {
        Some(Value::Uint8Array(bytes)) => bytes.as_slice().try_into().map_err(|_| Errno::EINVAL),
        _ => Err(Errno::EINVAL),
    }
}
