//! [`DatasetKey`]: what blocks of an encrypted dataset are enciphered with, and [`WrappedKey`]: what is kept of it.
//!
//! OpenZFS 2.3 `module/os/linux/zfs/zio_crypt.c`. A dataset has a master key, which never enciphers anything itself: what does follows from it and from a
//! salt, which each block names (HKDF with SHA-512); and a key for HMAC with SHA-512, for what must stay readable and be authentic all the same. Both
//! are kept wrapped: enciphered with the user's key.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadInPlace, KeyInit, Nonce, Tag};
use ccm::Ccm;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::kernel::Errno;
use crate::stream::{CryptParams, ObjectType};

/// Bytes of the user's key, and room for a master key: `WRAPPING_KEY_LEN`, `MASTER_KEY_MAX_LEN`.
pub const KEY_BYTES: usize = 32;

/// Bytes of the key of HMACs: `SHA512_HMAC_KEYLEN`.
pub const HMAC_KEY_BYTES: usize = 64;

/// Bytes of a salt, an initialization vector and a MAC: `ZIO_DATA_SALT_LEN`, `ZIO_DATA_IV_LEN`, `ZIO_DATA_MAC_LEN`.
const SALT_BYTES: usize = 8;
const IV_BYTES: usize = 12;
const MAC_BYTES: usize = 16;

/// The format of keys that there is now: `ZIO_CRYPT_KEY_CURRENT_VERSION`.
pub const KEY_VERSION: u64 = 1;

/// Random bytes, from wherever the caller has them.
pub type Random<'a> = &'a dyn Fn(&mut [u8]) -> Result<(), Errno>;

/// How blocks are enciphered: `enum zio_encrypt`, without what stands for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `aes-128-ccm`
    Aes128Ccm,
    /// `aes-192-ccm`
    Aes192Ccm,
    /// `aes-256-ccm`
    Aes256Ccm,
    /// `aes-128-gcm`
    Aes128Gcm,
    /// `aes-192-gcm`
    Aes192Gcm,
    /// `aes-256-gcm`, what `encryption=on` is.
    Aes256Gcm,
}

impl Suite {
    /// The suite of this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            3 => Self::Aes128Ccm,
            4 => Self::Aes192Ccm,
            5 => Self::Aes256Ccm,
            6 => Self::Aes128Gcm,
            7 => Self::Aes192Gcm,
            8 => Self::Aes256Gcm,
            _ => return None,
        })
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Aes128Ccm => 3,
            Self::Aes192Ccm => 4,
            Self::Aes256Ccm => 5,
            Self::Aes128Gcm => 6,
            Self::Aes192Gcm => 7,
            Self::Aes256Gcm => 8,
        }
    }

    /// How long its keys are.
    fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Ccm | Self::Aes128Gcm => 16,
            Self::Aes192Ccm | Self::Aes192Gcm => 24,
            Self::Aes256Ccm | Self::Aes256Gcm => 32,
        }
    }

    /// What keys of this suite are wrapped with: the same mode, and all of the user's key, which is always one of 256 bits.
    fn wrapping(self) -> Self {
        match self {
            Self::Aes128Ccm | Self::Aes192Ccm | Self::Aes256Ccm => Self::Aes256Ccm,
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm => Self::Aes256Gcm,
        }
    }

    /// What enciphers with a key of at least [`Self::key_bytes`].
    fn cipher(self, key: &[u8]) -> Result<Box<dyn Cipher>, Errno> {
        fn boxed<C: Cipher + KeyInit + 'static>(key: &[u8]) -> Result<Box<dyn Cipher>, Errno> {
            Ok(Box::new(C::new_from_slice(key).map_err(|_| Errno::EIO)?))
        }
        let key = key.get(..self.key_bytes()).ok_or(Errno::EIO)?;
        match self {
            Self::Aes128Ccm => boxed::<Ccm<Aes128, U16, U12>>(key),
            Self::Aes192Ccm => boxed::<Ccm<Aes192, U16, U12>>(key),
            Self::Aes256Ccm => boxed::<Ccm<Aes256, U16, U12>>(key),
            Self::Aes128Gcm => boxed::<AesGcm<Aes128, U12>>(key),
            Self::Aes192Gcm => boxed::<AesGcm<Aes192, U12>>(key),
            Self::Aes256Gcm => boxed::<AesGcm<Aes256, U12>>(key),
        }
    }
}

/// AES in one of the two modes, with a key.
trait Cipher: Send + Sync {
    /// Enciphers in place; answers the MAC of that and of `aad`.
    fn seal(&self, iv: &[u8; IV_BYTES], aad: &[u8], data: &mut [u8]) -> Option<[u8; MAC_BYTES]>;
    /// Deciphers in place, if the MAC is right.
    fn open(
        &self,
        iv: &[u8; IV_BYTES],
        aad: &[u8],
        data: &mut [u8],
        mac: &[u8; MAC_BYTES],
    ) -> Option<()>;
}

impl<T: AeadInPlace<NonceSize = U12, TagSize = U16> + Send + Sync> Cipher for T {
    fn seal(&self, iv: &[u8; IV_BYTES], aad: &[u8], data: &mut [u8]) -> Option<[u8; MAC_BYTES]> {
        let mac = self.encrypt_in_place_detached(&Nonce::<T>::from(*iv), aad, data).ok()?;
        Some(mac.into())
    }

    fn open(
        &self,
        iv: &[u8; IV_BYTES],
        aad: &[u8],
        data: &mut [u8],
        mac: &[u8; MAC_BYTES],
    ) -> Option<()> {
        let mac = Tag::<T>::from(*mac);
        self.decrypt_in_place_detached(&Nonce::<T>::from(*iv), aad, data, &mac).ok()
    }
}

/// The keys of a dataset as they are kept, and as they go into raw streams: enciphered with the user's key (`DSL_CRYPTO_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// How the blocks are enciphered, and these keys.
    pub suite: Suite,
    /// Tells the key, whatever wraps it.
    pub guid: u64,
    /// The format: [`KEY_VERSION`].
    pub version: u64,
    /// The master key; behind a short one is nothing.
    pub master: [u8; KEY_BYTES],
    /// The key of HMACs.
    pub hmac: [u8; HMAC_KEY_BYTES],
    /// What the encryption of the two begins with.
    pub iv: [u8; IV_BYTES],
    /// What they are authenticated by.
    pub mac: [u8; MAC_BYTES],
}

impl WrappedKey {
    /// The key inside.
    ///
    /// # Errors
    /// `EACCES` when this user's key is not the one that it was wrapped with.
    pub fn unwrap(
        &self,
        wrapping: &[u8; KEY_BYTES],
        random: Random<'_>,
    ) -> Result<DatasetKey, Errno> {
        let length = self.suite.key_bytes();
        let mut both = Zeroizing::new(Vec::with_capacity(KEY_BYTES + HMAC_KEY_BYTES));
        both.extend_from_slice(self.master.get(..length).ok_or(Errno::EIO)?);
        both.extend_from_slice(&self.hmac);
        let aad = wrapping_aad(self.suite, self.guid, self.version);
        let cipher = self.suite.wrapping().cipher(wrapping)?;
        cipher.open(&self.iv, &aad, &mut both, &self.mac).ok_or(Errno::EACCES)?;
        let (master, hmac) = both.split_at_checked(length).ok_or(Errno::EIO)?;
        DatasetKey::new(self.suite, self.guid, self.version, master, hmac, random)
    }
}

/// What is authenticated with wrapped keys.
fn wrapping_aad(suite: Suite, guid: u64, version: u64) -> [u8; 24] {
    let mut aad = [0; 24];
    let words = [guid, suite.number(), version];
    for (to, word) in aad.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    aad
}

/// The keys of a dataset: with them its blocks are enciphered and deciphered. Gone from memory with the last who has them.
pub struct DatasetKey {
    suite: Suite,
    guid: u64,
    version: u64,
    master: Zeroizing<[u8; KEY_BYTES]>,
    hmac: Zeroizing<[u8; HMAC_KEY_BYTES]>,
    /// What new blocks are enciphered with.
    salt: [u8; SALT_BYTES],
    current: Box<dyn Cipher>,
    /// With one key and one salt none may come twice, so they are counted, from anywhere.
    first_iv: [u8; IV_BYTES],
    used: AtomicU64,
}

impl DatasetKey {
    /// A new key.
    ///
    /// # Errors
    /// As `random`.
    pub fn generate(suite: Suite, guid: u64, random: Random<'_>) -> Result<Self, Errno> {
        let mut master = Zeroizing::new([0; KEY_BYTES]);
        let mut hmac = Zeroizing::new([0; HMAC_KEY_BYTES]);
        random(&mut *master)?;
        random(&mut *hmac)?;
        let master = master.get(..suite.key_bytes()).ok_or(Errno::EIO)?;
        Self::new(suite, guid, KEY_VERSION, master, &*hmac, random)
    }

    fn new(
        suite: Suite,
        guid: u64,
        version: u64,
        master: &[u8],
        hmac: &[u8],
        random: Random<'_>,
    ) -> Result<Self, Errno> {
        let mut kept = Zeroizing::new([0; KEY_BYTES]);
        kept.get_mut(..master.len()).ok_or(Errno::EIO)?.copy_from_slice(master);
        let hmac = Zeroizing::new(hmac.try_into().map_err(|_| Errno::EIO)?);
        let (mut salt, mut first_iv) = ([0; SALT_BYTES], [0; IV_BYTES]);
        random(&mut salt)?;
        random(&mut first_iv)?;
        let current = suite.cipher(&*derive(suite, &kept, salt)?)?;
        let used = AtomicU64::new(0);
        Ok(Self { suite, guid, version, master: kept, hmac, salt, current, first_iv, used })
    }

    /// Tells it from others.
    #[must_use]
    pub fn guid(&self) -> u64 {
        self.guid
    }

    /// Enciphers it with a user's key.
    ///
    /// # Errors
    /// As `random`.
    pub fn wrap(
        &self,
        wrapping: &[u8; KEY_BYTES],
        random: Random<'_>,
    ) -> Result<WrappedKey, Errno> {
        let length = self.suite.key_bytes();
        let mut both = Zeroizing::new(Vec::with_capacity(KEY_BYTES + HMAC_KEY_BYTES));
        both.extend_from_slice(self.master.get(..length).ok_or(Errno::EIO)?);
        both.extend_from_slice(&*self.hmac);
        let mut iv = [0; IV_BYTES];
        random(&mut iv)?;
        let (suite, guid, version) = (self.suite, self.guid, self.version);
        let cipher = suite.wrapping().cipher(wrapping)?;
        let aad = wrapping_aad(suite, guid, version);
        let mac = cipher.seal(&iv, &aad, &mut both).ok_or(Errno::EIO)?;
        let (mut master, mut hmac) = ([0; KEY_BYTES], [0; HMAC_KEY_BYTES]);
        let (first, second) = both.split_at_checked(length).ok_or(Errno::EIO)?;
        master.get_mut(..length).ok_or(Errno::EIO)?.copy_from_slice(first);
        hmac.copy_from_slice(second);
        Ok(WrappedKey { suite, guid, version, master, hmac, iv, mac })
    }

    /// Enciphers in place, with an initialization vector that was never used; answers what it takes to decipher it. What is in `aad` is authenticated
    /// with it.
    ///
    /// # Errors
    /// `EIO` for more than the mode can take: 16 MiB, in CCM.
    pub fn seal(&self, aad: &[u8], data: &mut [u8]) -> Result<CryptParams, Errno> {
        let iv = self.next_iv();
        let mac = self.current.seal(&iv, aad, data).ok_or(Errno::EIO)?;
        Ok(CryptParams { salt: self.salt, iv, mac })
    }

    /// Deciphers in place.
    ///
    /// # Errors
    /// `EIO` when it is not what was enciphered, or `aad` not what was authenticated; it is no plain text then.
    pub fn open(&self, crypt: &CryptParams, aad: &[u8], data: &mut [u8]) -> Result<(), Errno> {
        let other;
        let cipher = if crypt.salt == self.salt {
            &*self.current
        } else {
            other = self.suite.cipher(&*derive(self.suite, &self.master, crypt.salt)?)?;
            &*other
        };
        cipher.open(&crypt.iv, aad, data, &crypt.mac).ok_or(Errno::EIO)
    }

    /// Enciphers a block of such an object, or authenticates it, where objects of its type stay readable.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_block(
        &self,
        object_type: ObjectType,
        data: &mut [u8],
    ) -> Result<CryptParams, Errno> {
        if object_type.is_encrypted() {
            return self.seal(&[], data);
        }
        Ok(CryptParams { mac: self.authenticate(data)?, ..CryptParams::default() })
    }

    /// What readable data is authenticated by.
    ///
    /// # Errors
    /// None that can be.
    pub fn authenticate(&self, data: &[u8]) -> Result<[u8; MAC_BYTES], Errno> {
        let all = self.hmac(&[data])?;
        all.first_chunk().copied().ok_or(Errno::EIO)
    }

    /// HMAC with SHA-512 of all parts, one after the other.
    ///
    /// # Errors
    /// None that can be.
    pub fn hmac(&self, parts: &[&[u8]]) -> Result<[u8; 64], Errno> {
        let mut hmac =
            <Hmac<Sha512> as Mac>::new_from_slice(&*self.hmac).map_err(|_| Errno::EIO)?;
        parts.iter().for_each(|part| hmac.update(part));
        Ok(hmac.finalize().into_bytes().into())
    }

    fn next_iv(&self) -> [u8; IV_BYTES] {
        let count = self.used.fetch_add(1, Ordering::Relaxed);
        let mut iv = self.first_iv;
        if let Some(low) = iv.first_chunk_mut() {
            *low = u64::from_le_bytes(*low).wrapping_add(count).to_le_bytes();
        }
        iv
    }
}

impl fmt::Debug for DatasetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetKey")
            .field("suite", &self.suite)
            .field("guid", &self.guid)
            .finish_non_exhaustive()
    }
}

/// What enciphers the blocks that name this salt.
fn derive(
    suite: Suite,
    master: &[u8; KEY_BYTES],
    salt: [u8; SALT_BYTES],
) -> Result<Zeroizing<[u8; KEY_BYTES]>, Errno> {
    let length = suite.key_bytes();
    let master = master.get(..length).ok_or(Errno::EIO)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let room = key.get_mut(..length).ok_or(Errno::EIO)?;
    Hkdf::<Sha512>::new(None, master).expand(&salt, room).map_err(|_| Errno::EIO)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [u64; 6] = [3, 4, 5, 6, 7, 8];

    /// Numbers that follow from one another.
    fn counted(bytes: &mut [u8]) -> Result<(), Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        for byte in bytes {
            let next = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            *byte = next.to_le_bytes()[7];
        }
        Ok(())
    }

    #[test]
    fn a_key_is_unwrapped_by_what_wrapped_it_alone() {
        for number in ALL {
            let suite = Suite::from_number(number).unwrap();
            assert_eq!(suite.number(), number);
            let key = DatasetKey::generate(suite, 7, &counted).unwrap();
            let wrapped = key.wrap(&[1; 32], &counted).unwrap();
            let again = wrapped.unwrap(&[1; 32], &counted).unwrap();
            assert_eq!((&again.master, &again.hmac), (&key.master, &key.hmac));
            assert_eq!(wrapped.unwrap(&[2; 32], &counted).unwrap_err(), Errno::EACCES);
            let other = WrappedKey { guid: 8, ..wrapped };
            assert_eq!(other.unwrap(&[1; 32], &counted).unwrap_err(), Errno::EACCES);
            let key_bytes = suite.key_bytes();
            assert!(wrapped.master[key_bytes..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_is_enciphered_is_read_again_with_any_salt_and_not_when_it_was_changed() {
        for number in ALL {
            let suite = Suite::from_number(number).unwrap();
            let key = DatasetKey::generate(suite, 7, &counted).unwrap();
            let wrapped = key.wrap(&[1; 32], &counted).unwrap();
            let later = wrapped.unwrap(&[1; 32], &counted).unwrap();
            let plain = vec![5; 4096];
            let (mut data, mut twice) = (plain.clone(), plain.clone());
            let crypt = key.seal(b"and this", &mut data).unwrap();
            let other = key.seal(b"and this", &mut twice).unwrap();
            assert!(data != plain && twice != data && crypt.iv != other.iv);
            for key in [&key, &later] {
                let mut read = data.clone();
                key.open(&crypt, b"and this", &mut read).unwrap();
                assert!(read == plain);
            }
            let mut read = data.clone();
            assert_eq!(key.open(&crypt, b"or that", &mut read), Err(Errno::EIO));
            data[100] ^= 1;
            assert_eq!(key.open(&crypt, b"and this", &mut data), Err(Errno::EIO));
        }
    }

    #[test]
    fn what_stays_readable_is_authenticated() {
        let key = DatasetKey::generate(Suite::Aes256Gcm, 7, &counted).unwrap();
        let mut data = b"readable".to_vec();
        let crypt = key.seal_block(ObjectType::ZVOL_PROPERTIES, &mut data).unwrap();
        assert_eq!(data, b"readable");
        assert_eq!((crypt.salt, crypt.iv), Default::default());
        assert_eq!(crypt.mac, key.authenticate(b"readable").unwrap());
        assert_ne!(crypt.mac, key.authenticate(b"Readable").unwrap());
    }

    /// HKDF of RFC 5869 with SHA-512, without a salt of its own: the keys of blocks.
    #[test]
    fn keys_of_blocks_follow_from_master_key_and_salt() {
        let one = derive(Suite::Aes128Gcm, &[0x0b; 32], [0; 8]).unwrap();
        let two = derive(Suite::Aes128Gcm, &[0x0b; 32], [1; 8]).unwrap();
        assert_ne!(one, two);
        assert!(one[16..].iter().all(|byte| *byte == 0));
        // By hand: extract with a key of zeros, then one round of expand.
        let hmac = |key: &[u8], data: &[u8]| -> [u8; 64] {
            let mut hmac = <Hmac<Sha512> as Mac>::new_from_slice(key).unwrap();
            hmac.update(data);
            hmac.finalize().into_bytes().into()
        };
        let extracted = hmac(&[0; 64], &[0x0b; 16]);
        let expanded = hmac(&extracted, &[1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(two[..16], expanded[..16]);
    }
}
