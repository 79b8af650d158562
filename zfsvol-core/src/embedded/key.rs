//! Keys of encrypted datasets: OpenZFS 2.3 `module/zfs/dsl_crypt.c`.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::data::{DatasetKey, Suite};
use super::engine::{
    Crypt, Id, KeyFormat, NewCrypt, Pool, PropSource, PropValue, Result, Room, State, UserKey,
};
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
    key: Option<UserKey>,
}

impl CryptParams {
    /// It is said that nothing is to be encrypted.
    pub(super) fn is_off(&self) -> bool {
        self.suite == SUITE_OFF
    }

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
            Some(Value::Uint8Array(key)) => {
                Some(Zeroizing::new(key.as_slice().try_into().map_err(|_| Errno::EINVAL)?))
            }
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

    /// Whether a dataset made with them is encrypted, and how: `dmu_objset_create_crypt_check`.
    ///
    /// # Errors
    /// `EINVAL` when they do not go together; `ENOTSUP` without the features; `EACCES` when the key it would inherit is not loaded.
    pub(super) fn suite_of_new(&self, pool: &Pool, parent: Option<Id>) -> Result<Option<Suite>> {
        if self.command != COMMAND_NONE {
            return Err(Errno::EINVAL);
        }
        let above = crypt_above(pool, parent)?;
        let inherited = above.map_or(SUITE_OFF, |crypt| crypt.wrapped.suite.number());
        let number = if self.suite == SUITE_INHERIT { inherited } else { self.suite };
        let Some(suite) = Suite::from_number(number) else {
            let placed = self.keylocation.as_deref().is_some_and(|place| place != "none");
            return if self.key.is_some() || placed { Err(Errno::EINVAL) } else { Ok(None) };
        };
        if !pool.features.has("encryption") || !pool.features.has("bookmark_v2") {
            return Err(Errno::ENOTSUP);
        }
        if self.key.is_none() {
            let above = above.filter(|_| self.keylocation.is_none()).ok_or(Errno::EINVAL)?;
            return if pool.keys.contains(above.root) {
                Ok(Some(suite))
            } else {
                Err(Errno::EACCES)
            };
        }
        if !self.keylocation.as_deref().is_some_and(|place| is_keylocation(place, true)) {
            return Err(Errno::EINVAL);
        }
        self.check_format()?;
        Ok(Some(suite))
    }

    /// How a dataset made with them is encrypted, with a key made for it: `dsl_dataset_create_crypt_sync`.
    ///
    /// # Errors
    /// As [`Self::suite_of_new`].
    pub(super) fn of_new(&self, pool: &Pool, parent: Option<Id>) -> Result<Option<NewCrypt>> {
        let Some(suite) = self.suite_of_new(pool, parent)? else { return Ok(None) };
        let random = |bytes: &mut [u8]| pool.env.random(bytes);
        let key = Arc::new(DatasetKey::generate(suite, pool.env.guid(), &random)?);
        let (root, wrapping, format) = match (&self.key, crypt_above(pool, parent)?) {
            (Some(key), _) => (0, key, self.format()),
            (None, Some(above)) => {
                let loaded = pool.keys.get(above.root).ok_or(Errno::EACCES)?;
                (above.root, loaded, above.format)
            }
            (None, None) => return Err(Errno::EINVAL),
        };
        let wrapped = key.wrap(wrapping, &random)?;
        let crypt = Crypt { root, wrapped, format };
        Ok(Some(NewCrypt { crypt, user_key: self.key.clone(), key }))
    }

    fn format(&self) -> KeyFormat {
        KeyFormat { keyformat: self.keyformat, salt: self.salt, iterations: self.iterations }
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

fn crypt_above(pool: &Pool, parent: Option<Id>) -> Result<Option<&Crypt>> {
    match parent {
        Some(parent) => Ok(pool.dir(parent)?.crypt.as_deref()),
        None => Ok(None),
    }
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
    let random = |bytes: &mut [u8]| pool.env.random(bytes);
    crypt.wrapped.unwrap(&key, &random)?;
    if input.contains("noop") {
        return Ok(());
    }
    if pool.keys.insert(dir, key) { Ok(()) } else { Err(Errno::EEXIST) }
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
    if !pool.keys.contains(dir) {
        return Err(Errno::EACCES);
    }
    if pool.is_key_used(dir)? {
        return Err(Errno::EBUSY);
    }
    pool.forget_key(dir)
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
    if !matches!(command, COMMAND_NEW_KEY..=COMMAND_FORCE_INHERIT) {
        return Err(Errno::EINVAL);
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
    let loaded = |root: Id| if pool.keys.contains(root) { Ok(()) } else { Err(Errno::EACCES) };
    match params.command {
        COMMAND_INHERIT | COMMAND_FORCE_INHERIT => {
            let parent = place.parent.ok_or(Errno::EINVAL)?;
            let above = pool.dir(parent)?.crypt.as_ref();
            let above = above.filter(|_| bare && is_root).ok_or(Errno::EINVAL)?;
            if params.command == COMMAND_INHERIT {
                loaded(crypt.root)?;
                loaded(above.root)?;
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
            loaded(crypt.root)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(crypt.root)
}

/// `spa_keystore_change_key_sync`.
fn change_sync(pool: &mut Pool, dir: Id, root: Id, params: CryptParams) -> Result<()> {
    let format = params.format();
    let (to, place, rewrap) = match params.command {
        COMMAND_INHERIT | COMMAND_FORCE_INHERIT => {
            let parent = pool.dir(dir)?.parent.ok_or(Errno::EINVAL)?;
            let above = pool.dir(parent)?.crypt.as_ref().ok_or(Errno::EINVAL)?;
            let (above, format) = (above.root, above.format);
            let kept = params.command == COMMAND_FORCE_INHERIT;
            let user_key = pool.keys.get(above).filter(|_| !kept).cloned();
            (above, None, user_key.map(|user_key| (user_key, format)))
        }
        COMMAND_FORCE_NEW_KEY => (dir, Some("prompt".to_owned()), None),
        _ => (dir, params.keylocation, params.key.map(|user_key| (user_key, format))),
    };
    pool.change_crypt_root(dir, root, to, rewrap.as_ref().map(|(key, format)| (key, *format)))?;
    let source = if to == dir { PropSource::Local } else { PropSource::None };
    if place.is_some() || to != dir {
        let place = place.map(|place| PropValue::Text(place.into()));
        pool.dir_mut(dir)?.props.set("keylocation", source, place);
    }
    pool.keys.remove(dir);
    if let (true, Some((user_key, _))) = (to == dir, rewrap) {
        pool.keys.insert(dir, user_key);
    }
    Ok(())
}

impl Pool {
    /// Whether anything that has the key of an encryption root is mounted or open.
    fn is_key_used(&self, root: Id) -> Result<bool> {
        for dir in self.with_root(root, root)? {
            let head = self.dir(dir)?.head;
            let mut used = self.dataset(head)?.long_holds > 0;
            for snapshot in self.head(head)?.snapshots_after(0) {
                used |= self.dataset(snapshot)?.long_holds > 0;
            }
            if used {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
