//! The keys that a raw stream brings: OpenZFS 2.3 `module/zfs/dsl_crypt.c`, dsl_crypto_recv_raw.

use std::sync::Arc;

use super::begin::{Target, encrypt};
use super::handler::Request;
use super::stream::{pool, pool_mut};
use crate::embedded::Shared;
use crate::embedded::engine::{Crypt, Pool, PropSource, PropValue, Result};
use crate::kernel::Errno;
use crate::nvlist::NvList;

/// The longest `portable_mac`: `ZIO_OBJSET_MAC_LEN`.
const MAC_BYTES: usize = 32;

/// The keys of a raw stream, checked; a new dataset has them at once. `None` for streams that are not raw.
///
/// # Errors
/// `EINVAL` when there are none or they cannot be right; `ZFS_ERR_FROM_IVSET_GUID_MISSING` and `ZFS_ERR_FROM_IVSET_GUID_MISMATCH` when the
/// increment is not of what is there.
pub(super) fn of_stream(
    shared: &Shared,
    request: &Request<'_>,
    target: &Target,
) -> Result<Option<Arc<NvList>>> {
    if !request.is_raw() {
        return Ok(None);
    }
    let list = request.list.get_list("crypt_keydata").ok_or(Errno::EINVAL)?;
    let mac = list.get("portable_mac").and_then(bytes).ok_or(Errno::EINVAL)?;
    if mac.len() != MAC_BYTES || target.heal {
        return if target.heal { Ok(None) } else { Err(Errno::EINVAL) };
    }
    check_from(pool(&shared.read(), target)?, target, list)?;
    let crypt = crypt(list)?;
    let mut state = shared.write();
    let pool = pool_mut(&mut state, target)?;
    pool.dataset_mut(target.dataset)?.content.objset.set_portable_mac(&mac);
    let keys = Arc::new(list.clone());
    if target.is_new {
        put(pool, target, crypt, &keys)?;
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

/// How a dataset with these keys is encrypted. Which key opens it is not known: it would have to be decrypted.
fn crypt(list: &NvList) -> Result<Crypt> {
    let number = |name| list.get_u64(name).ok_or(Errno::EINVAL);
    Ok(Crypt {
        root: 0,
        suite: number("DSL_CRYPTO_SUITE")?,
        guid: number("DSL_CRYPTO_GUID")?,
        keyformat: number("keyformat")?,
        salt: number("pbkdf2salt")?,
        iterations: number("pbkdf2iters")?,
        check: [0; 32],
    })
}

fn put(pool: &mut Pool, target: &Target, crypt: Crypt, keys: &Arc<NvList>) -> Result<()> {
    let dataset = pool.dataset_mut(target.dataset)?;
    dataset.transfer.key_data = Some(Arc::clone(keys));
    let dir = dataset.dir;
    if pool.dir(dir)?.crypt.is_some() {
        return Ok(());
    }
    encrypt(pool, target.dataset, crypt)?;
    // The key comes with the user, not with the stream.
    pool.keys.remove(&dir);
    let prompt = PropValue::Text("prompt".into());
    pool.dir_mut(dir)?.props.set("keylocation", PropSource::Local, Some(prompt));
    Ok(())
}

/// Whether the keys that came are those of the dataset they came to: `dsl_crypto_recv_raw_key_check`.
///
/// # Errors
/// `EACCES` for another key, `EINVAL` for another suite.
pub(super) fn check_same(pool: &Pool, dataset: u64, list: &NvList) -> Result<()> {
    let crypt = pool.dir_of(dataset)?.crypt.as_ref().ok_or(Errno::EINVAL)?;
    if list.get_u64("DSL_CRYPTO_SUITE") != Some(crypt.suite) {
        return Err(Errno::EINVAL);
    }
    if list.get_u64("DSL_CRYPTO_GUID") != Some(crypt.guid) {
        return Err(Errno::EACCES);
    }
    Ok(())
}

fn bytes(value: &crate::nvlist::Value) -> Option<Vec<u8>> {
    match value {
        crate::nvlist::Value::Uint8Array(bytes) => Some(bytes.clone()),
        _ => None,
    }
}
