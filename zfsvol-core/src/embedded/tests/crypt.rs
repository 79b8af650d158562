//! Raw streams of real OpenZFS, whose key is known: 32 zeros.

use super::streams::RELEASES;
use super::*;
use crate::embedded::data::{
    DatasetKey, Leaf as _, META_LEVELS, MetaDnode, Random, Suite, WrappedKey,
};
use crate::kernel::Errno;
use crate::nvlist::Value;

/// The key of `tests/fixtures/stream/send`.
const KEY: [u8; 32] = [0; 32];

/// No randomness: all the same, one after the other.
const RANDOM: Random<'static> = &|bytes| {
    bytes.fill(7);
    Ok(())
};

fn bytes<const N: usize>(list: &NvList, name: &str) -> [u8; N] {
    let Some(Value::Uint8Array(bytes)) = list.get(name) else { panic!("no {name}") };
    bytes.as_slice().try_into().unwrap()
}

fn wrapped(list: &NvList) -> WrappedKey {
    WrappedKey {
        suite: Suite::from_number(list.get_u64("DSL_CRYPTO_SUITE").unwrap()).unwrap(),
        guid: list.get_u64("DSL_CRYPTO_GUID").unwrap(),
        version: list.get_u64("DSL_CRYPTO_VERSION").unwrap(),
        master: bytes(list, "DSL_CRYPTO_MASTER_KEY_1"),
        hmac: bytes(list, "DSL_CRYPTO_HMAC_KEY_1"),
        iv: bytes(list, "DSL_CRYPTO_IV"),
        mac: bytes(list, "DSL_CRYPTO_MAC"),
    }
}

/// What a raw stream brings, with what vouches for it.
fn raw(release: &str, name: &str, base: Option<&Objset>, txg: u64) -> (Objset, DatasetKey) {
    let frames = frames(&fixture(&format!("{release}/{name}")));
    let policy = Policy { ashift: 9, encrypted: true, ..Policy::default() };
    let mut received = receive(base, &frames, &mut Txn::new(txg, policy));
    let list = received.list.get_list("crypt_keydata").unwrap();
    assert_eq!(list.get_u64("mdn_nlevels"), Some(META_LEVELS.into()));
    let key = wrapped(list).unwrap(&KEY, RANDOM).unwrap();
    received.objset.set_portable_mac(&bytes::<32>(list, "portable_mac"));
    let last = list.get_u64("mdn_maxblkid").unwrap();
    received.objset.set_meta(MetaDnode::default(), last);
    (received.objset, key)
}

/// All blocks of all objects, deciphered.
fn read_all(objset: &Objset, key: Option<&DatasetKey>) -> Result<usize, Errno> {
    let (mut bytes, mut outcome) = (0, Ok(()));
    objset.for_each_object(|_, dnode| {
        let spill = dnode.spill.as_ref();
        let mut look = |block: &crate::embedded::data::Block| match block.plain(key) {
            Ok(plain) => bytes += plain.len(),
            Err(errno) => outcome = Err(errno),
        };
        dnode.blocks.for_each(|_, block| look(block));
        spill.into_iter().for_each(look);
    });
    outcome.map(|()| bytes)
}

#[test]
fn the_key_of_a_raw_stream_opens_and_vouches_for_it() {
    for release in RELEASES {
        let (one, key) = raw(release, "raw", None, 10);
        assert_eq!(one.verify(&key), Ok(()), "{release}");
        assert!(read_all(&one, Some(&key)).unwrap() > 5000);
        assert_eq!(read_all(&one, None), Err(Errno::EACCES));
        let (two, key) = raw(release, "raw_incremental", Some(&one), 20);
        assert_eq!(two.verify(&key), Ok(()), "{release}, increment");
        assert!(read_all(&two, Some(&key)).unwrap() > 9000);
        // An object that is not where it was is noticed.
        let mut other = two.clone();
        let mut last = 0;
        other.for_each_object(|object, _| last = object);
        let mut txn = Txn::new(30, Policy::default());
        other.change(last, &mut txn, |dnode, _| dnode.last_block += 1).unwrap();
        assert_eq!(other.verify(&key), Err(Errno::EIO));
    }
}

#[test]
fn the_key_of_a_raw_stream_is_not_opened_by_another() {
    let frames = frames(&fixture("2.3/raw"));
    let list = begin_list(&frames);
    let wrapped = wrapped(list.get_list("crypt_keydata").unwrap());
    assert_eq!(wrapped.unwrap(&[1; 32], RANDOM).unwrap_err(), Errno::EACCES);
}

#[test]
fn what_a_raw_stream_brought_is_changed_with_its_key_and_sealed_again() {
    let (one, key) = raw("2.3", "raw", None, 10);
    let key = std::sync::Arc::new(key);
    let mut changed = one.clone();
    let policy = Policy { ashift: 9, encrypted: true, ..Policy::default() };
    let mut txn = Txn::new(20, policy).with_key(Some(key.clone()));
    let mut file = 0;
    one.for_each_object(|object, dnode| {
        if dnode.object_type == crate::stream::ObjectType::FILE {
            file = object;
        }
    });
    changed.write(file, 100, b"in the middle of it", &mut txn).unwrap();
    assert!(!changed.is_sealed());
    assert_eq!(changed.verify(&key), Err(Errno::EIO));
    changed.seal(&key).unwrap();
    assert_eq!(changed.verify(&key), Ok(()));
    assert_eq!(one.verify(&key), Ok(()), "it is a value of its own");
    let mut found = [0; 19];
    changed.read(file, 100, &mut found, Some(&key)).unwrap();
    assert_eq!(&found, b"in the middle of it");
    assert_eq!(changed.read(file, 100, &mut found, None), Err(Errno::EACCES));
    // Attributes can be read, and are what they were.
    let bonus = |objset: &Objset| objset.bonus(file, Some(&key)).unwrap();
    assert_eq!(bonus(&changed), bonus(&one));
    assert_eq!(&bonus(&one)[..4], 0x2f_505a_u32.to_ne_bytes());
    assert_ne!(changed.object(file).unwrap().bonus, bonus(&one));
    // Only what changed is sealed anew.
    let births = |objset: &Objset| {
        let mut all = Vec::new();
        objset.dnodes().for_each(|_, block| all.push((block.birth(), block.encryption().copied())));
        all
    };
    for (before, after) in births(&one).into_iter().zip(births(&changed)) {
        assert_eq!(before.1 == after.1, before.0 == after.0);
    }
}
