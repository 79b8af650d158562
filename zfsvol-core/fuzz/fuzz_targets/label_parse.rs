//! Arbitrary bytes as a vdev label: as they are, and with the checksum that lets them through to the nvlist.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use zfsvol_core::label::{CONFIG_BYTES, Label};

/// `zio_eck_t`: the magic number, as a big-endian machine writes it, and the digest.
const MAGIC: [u8; 8] = [0x02, 0x10, 0xda, 0x7a, 0xb1, 0x0c, 0x7a, 0x11];
const CHECKSUM_BYTES: usize = 40;

fuzz_target!(|bytes: &[u8]| {
    assert!(bytes.len() == CONFIG_BYTES || Label::parse(bytes, 0).is_err());
    let mut sealed = bytes.to_vec();
    sealed.resize(CONFIG_BYTES - CHECKSUM_BYTES, 0);
    sealed.extend(MAGIC);
    let digest = Sha256::new().chain_update(&sealed).chain_update([0; 32]).finalize();
    sealed.extend(digest);
    match Label::parse(&sealed, 0) {
        Ok(label) => assert!(label.guid.get() != 0),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // The same label in another place is none.
    assert!(Label::parse(&sealed, 16384).is_err());
});
