//! [`Crypt`]: how a dataset is encrypted.

use super::Id;

/// The key of an encrypted dataset (`dsl_crypto_key_phys_t`), and whose wrapping key opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Crypt {
    /// The directory of its encryption root: its own, or one above.
    pub(in crate::embedded) root: Id,
    /// `zio_encrypt`.
    pub(in crate::embedded) suite: u64,
    /// Tells the key, whatever wraps it.
    pub(in crate::embedded) guid: u64,
    /// How the user's key was given, of the encryption root.
    pub(in crate::embedded) keyformat: u64,
    /// Of a passphrase.
    pub(in crate::embedded) salt: u64,
    /// Of a passphrase.
    pub(in crate::embedded) iterations: u64,
    /// What the right wrapping key hashes to.
    pub(in crate::embedded) check: [u8; 32],
}
