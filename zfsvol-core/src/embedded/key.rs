//! Keys of encrypted datasets: OpenZFS 2.3 `module/zfs/dsl_crypt.c`.
//!
//! Nothing is enciphered in memory. What is kept of a wrapping key is a hash, so that only the right one opens what it closed.

use sha2::{Digest, Sha256};

use super::engine::{Crypt, Id, Pool, PropSource, PropValue, Result, Room, State};
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};

/// `zio_encrypt`.
const SUITE_INHERIT: u64 = 0;
const SUITE_ON: u64 = 1;
const SUITE_OFF: u64 = 2;
const SUITES: u64 = 9;
/// What `on` stands for: AES-256-GCM.
const SUITE_ON_VALUE: u64 = 8;
/// `zfs_keyformat_t`.
const KEYFORMAT_NONE: u64 = 0;
const KEYFORMAT_PASSPHRASE: u64 = 3;
const KEYFORMATS: u64 = 4;
/// `WRAPPING_KEY_LEN`.
const KEY_BYTES: usize = 32;
/// `MIN_PBKDF2_ITERATIONS`.
const ITERATIONS_MIN: u64 = 100_000;
/// `dcp_cmd_t`.
const COMMAND_NONE: u64 = 0;
const COMMAND_NEW_KEY: u64 = 2;
const COMMAND_INHERIT: u64 = 3;
const COMMAND_FORCE_NEW_KEY: u64 = 4;
const COMMAND_FORCE_INHERIT: u64 = 5;
/// Blocks that changing a key is reckoned to change.
const CHANGE_BLOCKS: i64 = 15;

/// What a request says of encryption (`dsl_crypto_params_t`).
pub(super) struct CryptParams {
    command: u64,
    suite: u64,
    keylocation: Option<String>,
    keyformat: u64,
    salt: u64,
    iterations: u64,
    key: Option<Vec<u8>>,
}

impl CryptParams {
    /// Nothing is said of encryption: it is as above.
    pub(super) fn none() -> Self {
        Self {
            command: COMMAND_NONE,
            suite: SUITE_INHERIT,
            keylocation: None,
            keyformat: KEYFORMAT_NONE,
            salt: 0,
            iterations: 0,
            key: None,
        }
    }

    /// Takes them out of the properties and hidden arguments of a request: `dsl_crypto_params_create_nvlist`. The place of the key stays with the
    /// properties.
    ///
    /// # Errors
    /// `EINVAL` for what is none.
    pub(super) fn parse(
        command: u64,
        properties: &mut NvList,
        hidden: Option<&NvList>,
    ) -> Result<Self> {
        let number = |name| properties.get_u64(name).unwrap_or(0);
        let mut suite = number("encryption");
        let keyformat = number("keyformat");
        let (salt, iterations) = (number("pbkdf2salt"), number("pbkdf2iters"));
        let keylocation = properties.get_str("keylocation").map(ToOwned::to_owned);
        if command > COMMAND_FORCE_INHERIT || suite >= SUITES || keyformat >= KEYFORMATS {
            return Err(Errno::EINVAL);
        }
        if keylocation.as_deref().is_some_and(|place| !is_keylocation(place, false)) {
            return Err(Errno::EINVAL);
        }
        let key = match hidden.and_then(|hidden| hidden.get("wkeydata")) {
            Some(Value::Uint8Array(key)) if key.len() != KEY_BYTES => return Err(Errno::EINVAL),
            Some(Value::Uint8Array(key)) => Some(key.clone()),
            _ => None,
        };
        if suite == SUITE_ON {
            suite = SUITE_ON_VALUE;
        }
        for name in ["encryption", "keyformat", "pbkdf2salt", "pbkdf2iters"] {
            properties.remove(name);
        }
        Ok(Self { command, suite, keylocation, keyformat, salt, iterations, key })
    }

    /// How a dataset made with them is encrypted; a `root` of 0 stands for itself: `dmu_objset_create_crypt_check`.
    ///
    /// # Errors
    /// `EINVAL` when they do not go together; `ENOTSUP` without the features; `EACCES` when the key it would inherit is not loaded.
    pub(super) fn of_new(&self, pool: &Pool, parent: Option<Id>) -> Result<Option<Crypt>> {
        if self.command != COMMAND_NONE {
            return Err(Errno::EINVAL);
        }
        let above = match parent {
            Some(parent) => pool.dir(parent)?.crypt.as_deref(),
            None => None,
        };
        let inherited = above.map_or(SUITE_OFF, |crypt| crypt.suite);
        let suite = if self.suite == SUITE_INHERIT { inherited } else { self.suite };
        if suite == SUITE_OFF {
            let placed = self.keylocation.as_deref().is_some_and(|place| place != "none");
            return if self.key.is_some() || placed { Err(Errno::EINVAL) } else { Ok(None) };
        }
        if !pool.features.has("encryption") || !pool.features.has("bookmark_v2") {
            return Err(Errno::ENOTSUP);
        }
        let guid = pool.env.guid();
        let Some(key) = &self.key else {
            let above = above.filter(|_| self.keylocation.is_none()).ok_or(Errno::EINVAL)?;
            if !pool.keys.contains(&above.root) {
                return Err(Errno::EACCES);
            }
            return Ok(Some(Crypt { suite, guid, ..above.clone() }));
        };
        if !self.keylocation.as_deref().is_some_and(|place| is_keylocation(place, true)) {
            return Err(Errno::EINVAL);
        }
        self.check_format()?;
        Ok(Some(Crypt {
            root: 0,
            suite,
            guid,
            keyformat: self.keyformat,
            salt: self.salt,
            iterations: self.iterations,
            check: check_of(key),
        }))
    }

    /// Whether format, salt and rounds go together.
    fn check_format(&self) -> Result<()> {
        let fits = match self.keyformat {
            KEYFORMAT_NONE => false,
            KEYFORMAT_PASSPHRASE => self.salt != 0 && self.iterations >= ITERATIONS_MIN,
            _ => self.salt == 0 && self.iterations == 0,
        };
        if fits { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

/// `zfs_prop_valid_keylocation`.
pub(super) fn is_keylocation(place: &str, encrypted: bool) -> bool {
    let url = |scheme: &str| place.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty());
    match place {
        "none" => !encrypted,
        "prompt" => true,
        _ => url("file:///") || url("https://") || url("http://"),
    }
}

fn check_of(key: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"zfsvol embedded wrapping key");
    hash.update(key);
    hash.finalize().into()
}

/// What concerns keys is of datasets, and not of what the kernel makes for itself.
fn check_name(name: &str) -> Result<()> {
    if name.contains(['@', '%']) { Err(Errno::EINVAL) } else { Ok(()) }
}

/// `zfs_ioc_load_key`.
pub(super) fn load(
    state: &mut State,
    name: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    check_name(name)?;
    let params = CryptParams::parse(0, &mut NvList::new(), input.get_list("hidden_args"))?;
    let key = params.key.ok_or(Errno::EINVAL)?;
    let pool = state.pool_mut(name)?;
    if !pool.features.has("encryption") {
        return Err(Errno::ENOTSUP);
    }
    let dir = hold_dir(pool, name)?;
    let crypt = pool.dir(dir)?.crypt.as_ref().filter(|crypt| crypt.root == dir);
    let crypt = crypt.ok_or(Errno::EINVAL)?;
    if crypt.check != check_of(&key) {
        return Err(Errno::EACCES);
    }
    if input.contains("noop") {
        return Ok(());
    }
    if pool.keys.insert(dir) { Ok(()) } else { Err(Errno::EEXIST) }
}

/// `zfs_ioc_unload_key`.
pub(super) fn unload(
    state: &mut State,
    name: &str,
    _input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    check_name(name)?;
    let pool = state.pool_mut(name)?;
    if !pool.features.has("encryption") {
        return Err(Errno::ENOTSUP);
    }
    let dir = hold_dir(pool, name)?;
    if !pool.keys.contains(&dir) {
        return Err(Errno::EACCES);
    }
    if pool.is_key_used(dir)? {
        return Err(Errno::EBUSY);
    }
    pool.keys.remove(&dir);
    Ok(())
}

fn hold_dir(pool: &Pool, name: &str) -> Result<Id> {
    match pool.hold_dir(name)? {
        (dir, None) => Ok(dir),
        (_, Some(_)) => Err(Errno::ENOENT),
    }
}

/// `zfs_ioc_change_key`.
pub(super) fn change(
    state: &mut State,
    name: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    check_name(name)?;
    let command = input.get_u64("crypt_cmd").unwrap_or(COMMAND_NONE);
    let mut properties = input.get_list("props").cloned().unwrap_or_default();
    let params = CryptParams::parse(command, &mut properties, input.get_list("hidden_args"))?;
    let pool = state.pool_mut(name)?;
    if !pool.features.has("encryption") {
        return Err(Errno::ENOTSUP);
    }
    let dir = hold_dir(pool, name)?;
    let root = check_change(pool, dir, &params)?;
    pool.check_room(CHANGE_BLOCKS, Room::Reserved)?;
    pool.begin();
    change_sync(pool, dir, root, params)
}

/// `spa_keystore_change_key_check`: the encryption root it has now.
fn check_change(pool: &Pool, dir: Id, params: &CryptParams) -> Result<Id> {
    let place = pool.dir(dir)?;
    let crypt = place.crypt.as_ref().filter(|_| place.origin.is_none()).ok_or(Errno::EINVAL)?;
    let is_root = crypt.root == dir;
    let bare =
        params.suite == SUITE_INHERIT && params.keylocation.is_none() && params.key.is_none();
    let loaded = |root: &Id| if pool.keys.contains(root) { Ok(()) } else { Err(Errno::EACCES) };
    match params.command {
        COMMAND_INHERIT | COMMAND_FORCE_INHERIT => {
            let parent = place.parent.ok_or(Errno::EINVAL)?;
            let above = pool.dir(parent)?.crypt.as_ref();
            let above = above.filter(|_| bare && is_root).ok_or(Errno::EINVAL)?;
            if params.command == COMMAND_INHERIT {
                loaded(&crypt.root)?;
                loaded(&above.root)?;
            }
        }
        COMMAND_FORCE_NEW_KEY => {
            if !bare || is_root {
                return Err(Errno::EINVAL);
            }
        }
        COMMAND_NEW_KEY => {
            let place = params.keylocation.as_deref();
            let misplaced = place.map_or(!is_root, |place| !is_keylocation(place, true));
            if params.suite != SUITE_INHERIT || params.key.is_none() || misplaced {
                return Err(Errno::EINVAL);
            }
            params.check_format()?;
            loaded(&crypt.root)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(crypt.root)
}

/// `spa_keystore_change_key_sync`.
fn change_sync(pool: &mut Pool, dir: Id, root: Id, params: CryptParams) -> Result<()> {
    let inherits = matches!(params.command, COMMAND_INHERIT | COMMAND_FORCE_INHERIT);
    if inherits {
        let parent = pool.dir(dir)?.parent.ok_or(Errno::EINVAL)?;
        let above = pool.dir(parent)?.crypt.as_ref().ok_or(Errno::EINVAL)?.root;
        pool.dir_mut(dir)?.props.set("keylocation", PropSource::None, None);
        pool.keys.remove(&dir);
        pool.change_crypt_root(dir, root, above)?;
        return pool.copy_wrapping(dir, above, above);
    }
    let forced = params.command == COMMAND_FORCE_NEW_KEY;
    let place = if forced { Some("prompt".to_owned()) } else { params.keylocation };
    if let Some(place) = place {
        let place = Some(PropValue::Text(place.into()));
        pool.dir_mut(dir)?.props.set("keylocation", PropSource::Local, place);
    }
    pool.change_crypt_root(dir, root, dir)?;
    if let (Some(key), Some(crypt)) = (params.key, &mut pool.dir_mut(dir)?.crypt) {
        crypt.keyformat = params.keyformat;
        crypt.salt = params.salt;
        crypt.iterations = params.iterations;
        crypt.check = check_of(&key);
        pool.keys.insert(dir);
    }
    pool.copy_wrapping(dir, dir, dir)
}

impl Pool {
    /// Whether the data of a directory's dataset can be read: it is not encrypted, or its key is loaded.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(super) fn is_key_loaded(&self, dir: Id) -> Result<bool> {
        let crypt = self.dir(dir)?.crypt.as_ref();
        Ok(crypt.is_none_or(|crypt| self.keys.contains(&crypt.root)))
    }

    /// Whether anything that has the key of an encryption root is mounted or open.
    fn is_key_used(&self, root: Id) -> Result<bool> {
        for dir in self.tree(root)? {
            let place = self.dir(dir)?;
            let has_key = place.crypt.as_ref().is_some_and(|crypt| crypt.root == root);
            if !has_key {
                continue;
            }
            let head = self.dataset(place.head)?;
            let mut used = head.long_holds > 0;
            for snapshot in self.head(place.head)?.snapshots_after(0) {
                used |= self.dataset(snapshot)?.long_holds > 0;
            }
            if used {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is said of the wrapping key, given to all that has the key of `root`, from a directory down.
    fn copy_wrapping(&mut self, dir: Id, root: Id, from: Id) -> Result<()> {
        let Some(source) = self.dir(from)?.crypt.clone() else { return Ok(()) };
        for id in self.tree(dir)? {
            if let Some(crypt) = &mut self.dir_mut(id)?.crypt {
                if crypt.root == root {
                    crypt.keyformat = source.keyformat;
                    crypt.salt = source.salt;
                    crypt.iterations = source.iterations;
                    crypt.check = source.check;
                }
            }
        }
        Ok(())
    }
}
