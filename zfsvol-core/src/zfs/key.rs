//! Keys of encrypted datasets: load, unload, change.

use std::fmt;

use zeroize::Zeroizing;

use super::Zfs;
use super::call::Operation;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::DatasetName;
use crate::nvlist::{NvList, Value};
use crate::property::PropertySet;

const LOAD_KEY: Operation = Operation::new(Ioc::LOAD_KEY, "load the key of");
const CHECK_KEY: Operation = Operation::new(Ioc::LOAD_KEY, "check the key of");
const UNLOAD_KEY: Operation = Operation::new(Ioc::UNLOAD_KEY, "unload the key of");
const CHANGE_KEY: Operation = Operation::new(Ioc::CHANGE_KEY, "change the key of");
const MAKE_KEY: &str = "make a key";

/// Bytes of a wrapping key: `WRAPPING_KEY_LEN`.
const KEY_BYTES: usize = 32;
/// Shortest and longest passphrase: `MIN_PASSPHRASE_LEN`, `MAX_PASSPHRASE_LEN`.
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 8..=512;
/// What `zfs create` takes where none is given: `DEFAULT_PBKDF2_ITERATIONS`.
const PBKDF2_ITERATIONS: u64 = 350_000;
/// `ZIO_CRYPT_ON`: the module's default suite.
const ENCRYPTION_ON: u64 = 1;

/// A user's key: what `keyformat` calls raw, hex or a passphrase. It is wiped from memory when dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct Key(Material);

#[derive(Clone)]
enum Material {
    Raw(Zeroizing<[u8; KEY_BYTES]>),
    Hex(Zeroizing<[u8; KEY_BYTES]>),
    Passphrase(Zeroizing<String>),
}

impl Key {
    /// 32 bytes, `keyformat=raw`.
    pub fn raw(bytes: [u8; 32]) -> Self {
        Self(Material::Raw(Zeroizing::new(bytes)))
    }

    /// 64 hexadecimal digits, `keyformat=hex`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: another length, or other characters.
    pub fn hex(digits: &str) -> Result<Self> {
        let refuse =
            || Error::new(ErrorKind::Invalid, MAKE_KEY, "a hex key has 64 hexadecimal digits");
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if digits.len() != 2 * KEY_BYTES {
            return Err(refuse());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = pair.iter().try_fold(0u8, |value, digit| {
                let digit =
                    char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit.map(|digit| value << 4 | digit).ok_or_else(refuse)
            })?;
        }
        Ok(Self(Material::Hex(bytes)))
    }

    /// A passphrase of 8 to 512 bytes, `keyformat=passphrase`. The wrapping key is derived from it as `zfs` does: PBKDF2 with
    /// HMAC-SHA1, the dataset's salt, and `pbkdf2iters` rounds (a fraction of a second, on purpose).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: another length, or a NUL in it.
    pub fn passphrase(text: &str) -> Result<Self> {
        if !PASSPHRASE_BYTES.contains(&text.len()) || text.contains('\0') {
            return Err(Error::new(
                ErrorKind::Invalid,
                MAKE_KEY,
                "a passphrase has 8 to 512 bytes, and no NUL",
            ));
        }
        Ok(Self(Material::Passphrase(Zeroizing::new(text.to_owned()))))
    }

    /// The number of `keyformat`.
    fn format(&self) -> u64 {
        match self.0 {
            Material::Raw(_) => 1,
            Material::Hex(_) => 2,
            Material::Passphrase(_) => 3,
        }
    }

    /// Completes the properties of a dataset that is to be created as an encryption root, and returns the hidden arguments.
    pub(super) fn prepare_new(&self, properties: &mut NvList) -> Result<NvList> {
        if !properties.contains("encryption") {
            properties.insert("encryption", ENCRYPTION_ON);
        }
        self.prepare_wrapping(properties)
    }

    /// Completes the properties that say how the wrapping key is made, and makes it.
    fn prepare_wrapping(&self, properties: &mut NvList) -> Result<NvList> {
        properties.insert("keyformat", self.format());
        if !properties.contains("keylocation") {
            properties.insert("keylocation", "prompt");
        }
        let (mut salt, mut iterations) = (0, 0);
        if let Material::Passphrase(_) = self.0 {
            salt = getrandom::u64().map_err(|error| {
                Error::new(
                    ErrorKind::Io,
                    MAKE_KEY,
                    format!("the system gives no random salt: {error}"),
                )
            })?;
            iterations = properties.get_u64("pbkdf2iters").unwrap_or(PBKDF2_ITERATIONS);
            properties.insert("pbkdf2salt", salt).insert("pbkdf2iters", iterations);
        }
        self.hidden_arguments(salt, iterations)
    }

    /// The wrapping key as the kernel takes it.
    pub(super) fn hidden_arguments(&self, salt: u64, iterations: u64) -> Result<NvList> {
        let mut hidden = NvList::new();
        hidden.insert("wkeydata", Value::Uint8Array(self.wrapping_key(salt, iterations)?.to_vec()));
        Ok(hidden)
    }

    fn wrapping_key(&self, salt: u64, iterations: u64) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
        match &self.0 {
            Material::Raw(bytes) | Material::Hex(bytes) => Ok(bytes.clone()),
            Material::Passphrase(text) => {
                let rounds = u32::try_from(iterations)
                    .ok()
                    .filter(|rounds| *rounds > 0)
                    .ok_or_else(|| {
                        Error::new(
                            ErrorKind::InvalidProperty,
                            MAKE_KEY,
                            format!("pbkdf2iters is {iterations}"),
                        )
                    })?;
                let mut bytes = Zeroizing::new([0; KEY_BYTES]);
                pbkdf2::pbkdf2_hmac::<sha1::Sha1>(
                    text.as_bytes(),
                    &salt.to_le_bytes(),
                    rounds,
                    &mut *bytes,
                );
                Ok(bytes)
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Material::Raw(_) => "Key(raw)",
            Material::Hex(_) => "Key(hex)",
            Material::Passphrase(_) => "Key(passphrase)",
        })
    }
}

/// What becomes of a dataset's key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeyChange {
    /// It is wrapped by this key, and the dataset becomes an encryption root if it was none.
    New(Key),
    /// It is wrapped by its parent's key, and the dataset is an encryption root no more.
    Inherit,
}

/// `dcp_cmd_t`: `DCP_CMD_NEW_KEY` and `DCP_CMD_INHERIT` (include/sys/dsl_crypt.h).
const COMMAND_NEW_KEY: u64 = 2;
const COMMAND_INHERIT: u64 = 3;

impl Zfs {
    /// Loads the key of an encryption root, so that it and all that inherits its key can be mounted or opened.
    ///
    /// Issues `ZFS_IOC_LOAD_KEY` (and `ZFS_IOC_OBJSET_STATS` before, for the salt of a passphrase). Nothing changes on disk.
    ///
    /// # Errors
    /// - [`ErrorKind::WrongKey`]: the key does not open it.
    /// - [`ErrorKind::Exists`]: its key is loaded.
    /// - [`ErrorKind::Invalid`]: it is not encrypted, or no encryption root, or its key has another format.
    /// - [`ErrorKind::NotFound`], [`ErrorKind::Denied`].
    #[doc(alias = "lzc_load_key")]
    pub fn load_key(&self, root: &DatasetName, key: &Key) -> Result<()> {
        self.use_key(LOAD_KEY, root, key, false)
    }

    /// Whether the key opens the encryption root, without loading it. It may be loaded already.
    ///
    /// Issues `ZFS_IOC_LOAD_KEY` with `noop`, as [`Zfs::load_key`]. Nothing changes.
    ///
    /// # Errors
    /// As [`Zfs::load_key`], [`ErrorKind::WrongKey`] if it does not.
    #[doc(alias = "lzc_load_key")]
    pub fn check_key(&self, root: &DatasetName, key: &Key) -> Result<()> {
        self.use_key(CHECK_KEY, root, key, true)
    }

    /// Unloads the key of an encryption root: it and all that inherits its key cannot be read any more.
    ///
    /// Issues `ZFS_IOC_UNLOAD_KEY`. Nothing changes on disk.
    ///
    /// # Errors
    /// - [`ErrorKind::Busy`]: it, or what inherits its key, is mounted or open.
    /// - [`ErrorKind::KeyNotLoaded`]: its key is not loaded.
    /// - [`ErrorKind::Invalid`]: it is not encrypted, or no encryption root. [`ErrorKind::NotFound`], [`ErrorKind::Denied`].
    #[doc(alias = "lzc_unload_key")]
    pub fn unload_key(&self, root: &DatasetName) -> Result<()> {
        self.call(UNLOAD_KEY, root.as_str(), &NvList::new()).map_err(|error| {
            // The kernel says the same of a dataset without a key of its own and of one whose key is not loaded.
            let error = match self
                .encryption(UNLOAD_KEY, root)
                .and_then(|e| e.check_root(UNLOAD_KEY, root))
            {
                Err(wrong) if error.errno() == Some(Errno::EACCES) => {
                    wrong.with_errno(Errno::EACCES)
                }
                _ => error.into_error(self),
            };
            self.explain_busy(error, root.as_str())
        })?;
        Ok(())
    }

    /// Wraps the dataset's key anew. Its data stays as it is; the key it had must be loaded.
    ///
    /// Of `properties` only `keylocation`, `pbkdf2iters` and user properties can be set with it.
    ///
    /// Issues `ZFS_IOC_CHANGE_KEY`; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::KeyNotLoaded`]: the key it has, or the one it is to inherit, is not loaded.
    /// - [`ErrorKind::Invalid`]: it is not encrypted; it is to inherit and its parent is not encrypted, or it is a clone.
    /// - [`ErrorKind::NotFound`], [`ErrorKind::Denied`].
    #[doc(alias = "lzc_change_key")]
    pub fn change_key(
        &self,
        name: &DatasetName,
        change: &KeyChange,
        properties: &PropertySet,
    ) -> Result<()> {
        let mut properties = properties.to_nvlist();
        let mut input = NvList::new();
        match change {
            KeyChange::New(key) => {
                let hidden = key
                    .prepare_wrapping(&mut properties)
                    .map_err(|error| error.with_target(name.as_str()))?;
                input.insert("crypt_cmd", COMMAND_NEW_KEY).insert("hidden_args", hidden);
            }
            KeyChange::Inherit => {
                input.insert("crypt_cmd", COMMAND_INHERIT);
            }
        }
        if !properties.is_empty() {
            input.insert("props", properties);
        }
        self.call(CHANGE_KEY, name.as_str(), &input).map_err(|error| error.into_error(self))?;
        Ok(())
    }

    fn use_key(
        &self,
        operation: Operation,
        root: &DatasetName,
        key: &Key,
        check_only: bool,
    ) -> Result<()> {
        let encryption = self.encryption(operation, root)?;
        encryption.check_root(operation, root)?;
        if encryption.key_format != key.format() {
            let reason = match encryption.key_format {
                1 => "its key is 32 raw bytes",
                2 => "its key is 64 hexadecimal digits",
                _ => "its key is a passphrase",
            };
            return Err(operation.error(ErrorKind::Invalid, root.as_str(), reason));
        }
        let mut input = NvList::new();
        input.insert("hidden_args", key.hidden_arguments(encryption.salt, encryption.iterations)?);
        if check_only {
            input.insert_flag("noop");
        }
        self.call(operation, root.as_str(), &input).map_err(|error| error.into_error(self))?;
        Ok(())
    }

    /// How a dataset is encrypted, by its properties.
    fn encryption(&self, operation: Operation, name: &DatasetName) -> Result<Encryption> {
        let mut cmd = Cmd::new(name.as_str());
        cmd.reply_max = super::call::REPLY_BYTES_FIRST;
        let stats = Operation::new(Ioc::OBJSET_STATS, operation.verb);
        let properties = self.call_cmd(stats, &mut cmd).map_err(|error| error.into_error(self))?;
        let value = |name: &str| properties.get_list(name);
        let number = |name: &str| value(name).and_then(|list| list.get_u64("value")).unwrap_or(0);
        Ok(Encryption {
            root: value("encryptionroot")
                .and_then(|list| list.get_str("value"))
                .map(ToOwned::to_owned),
            key_format: number("keyformat"),
            salt: number("pbkdf2salt"),
            iterations: number("pbkdf2iters"),
        })
    }
}

/// How a dataset is encrypted.
struct Encryption {
    /// The dataset whose key it has; `None` if it is not encrypted.
    root: Option<String>,
    /// The number of `keyformat`.
    key_format: u64,
    /// `pbkdf2salt` and `pbkdf2iters`, 0 where the key is no passphrase.
    salt: u64,
    iterations: u64,
}

impl Encryption {
    /// Refuses what has no key of its own. The kernel's errno would not say so.
    fn check_root(&self, operation: Operation, name: &DatasetName) -> Result<()> {
        match self.root.as_deref() {
            None => Err(operation.error(ErrorKind::Invalid, name.as_str(), "it is not encrypted")),
            Some(root) if root != name.as_str() => {
                let reason = format!("it has the key of '{root}'");
                Err(operation
                    .error(ErrorKind::Invalid, name.as_str(), reason)
                    .with_help("name that dataset"))
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_where_they_are_made() {
        assert!(Key::hex(&"0a".repeat(32)).is_ok());
        assert!(Key::hex(&"0a".repeat(31)).is_err());
        assert!(Key::hex(&"0g".repeat(32)).is_err());
        assert!(Key::hex(&"é".repeat(32)).is_err());
        assert!(Key::passphrase("short").is_err());
        assert!(Key::passphrase("with\0null").is_err());
        assert!(Key::passphrase(&"x".repeat(513)).is_err());
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(format!("{:?}", Key::passphrase("correct horse").unwrap()), "Key(passphrase)");
    }

    /// RFC 6070 gives vectors for 20 bytes; the first 20 of 32 are the same.
    #[test]
    fn passphrases_are_stretched_by_pbkdf2_with_hmac_sha1() {
        let key = Key(Material::Passphrase(Zeroizing::new("password".into())));
        let salt = u64::from_le_bytes(*b"saltsalt");
        let bytes = key.wrapping_key(salt, 1000).unwrap();
        let mut expected = [0u8; 32];
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(b"password", b"saltsalt", 1000, &mut expected);
        assert_eq!(*bytes, expected);
        assert!(key.wrapping_key(salt, 0).is_err());
    }
}
