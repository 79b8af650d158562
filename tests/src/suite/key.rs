//! Encrypted datasets, with and without their key.

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Create, Key, KeyChange};
use zfsvol_core::{Bytes, DatasetName, ErrorKind};

use crate::expect::{file_system, plain, refused};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_key_is_unloaded_checked_and_loaded),
        case(every_format_of_key_opens_what_it_closed),
        case(the_wrong_key_is_refused),
        case(without_its_key_nothing_can_be_created_below),
        case(a_key_is_changed_and_inherited),
        case(keys_of_what_is_not_encrypted_are_refused),
        case(a_zvol_can_be_encrypted),
    ]
}

/// Few rounds: what is tested is not how long they take.
fn quick() -> PropertySet {
    PropertySet::new().with("pbkdf2iters", 100_000u64).unwrap()
}

fn encrypted(world: &World, name: &str, key: &Key) -> DatasetName {
    let dataset = world.root().child(name).unwrap();
    world
        .zfs()
        .create(&dataset, &Create::filesystem().properties(&quick_for(key)).key(key.clone()))
        .unwrap();
    dataset
}

fn quick_for(key: &Key) -> PropertySet {
    if format!("{key:?}") == "Key(passphrase)" { quick() } else { plain() }
}

fn a_key_is_unloaded_checked_and_loaded(world: &World) {
    let zfs = world.zfs();
    let key = Key::raw([7; 32]);
    let secret = encrypted(world, "secret", &key);
    refused(zfs.load_key(&secret, &key), ErrorKind::Exists);
    zfs.check_key(&secret, &key).unwrap();
    zfs.unload_key(&secret).unwrap();
    refused(zfs.unload_key(&secret), ErrorKind::KeyNotLoaded);
    zfs.check_key(&secret, &key).unwrap();
    refused(zfs.unload_key(&secret), ErrorKind::KeyNotLoaded);
    zfs.load_key(&secret, &key).unwrap();
}

fn every_format_of_key_opens_what_it_closed(world: &World) {
    let zfs = world.zfs();
    let keys = [
        Key::raw([1; 32]),
        Key::hex(&"5a".repeat(32)).unwrap(),
        Key::passphrase("correct horse").unwrap(),
    ];
    for (number, key) in keys.iter().enumerate() {
        let secret = encrypted(world, &format!("secret{number}"), key);
        zfs.unload_key(&secret).unwrap();
        zfs.load_key(&secret, key).unwrap();
        let other = &keys[(number + 1) % keys.len()];
        zfs.unload_key(&secret).unwrap();
        refused(zfs.load_key(&secret, other), ErrorKind::Invalid);
    }
}

fn the_wrong_key_is_refused(world: &World) {
    let zfs = world.zfs();
    let secret = encrypted(world, "secret", &Key::passphrase("correct horse").unwrap());
    zfs.unload_key(&secret).unwrap();
    let wrong = Key::passphrase("wrong horse").unwrap();
    let error = refused(zfs.load_key(&secret, &wrong), ErrorKind::WrongKey);
    assert_eq!(
        error.to_string(),
        format!("cannot load the key of '{secret}': the key does not open it (EACCES)")
    );
    refused(zfs.check_key(&secret, &wrong), ErrorKind::WrongKey);
}

fn without_its_key_nothing_can_be_created_below(world: &World) {
    let zfs = world.zfs();
    let key = Key::raw([7; 32]);
    let secret = encrypted(world, "secret", &key);
    let below = secret.child("below").unwrap();
    zfs.create_filesystem(&below, &plain()).unwrap();
    zfs.unload_key(&secret).unwrap();
    let error = refused(
        zfs.create_filesystem(&secret.child("more").unwrap(), &plain()),
        ErrorKind::KeyNotLoaded,
    );
    assert_eq!(error.help(), Some("load the key"));
    // It can be snapshotted and destroyed all the same.
    zfs.snapshot(&[below.snapshot("s").unwrap()], &plain()).unwrap();
    let error = refused(zfs.load_key(&below, &key), ErrorKind::Invalid);
    assert_eq!(error.reason(), format!("it has the key of '{secret}'"));
}

fn a_key_is_changed_and_inherited(world: &World) {
    let zfs = world.zfs();
    let (old, new) = (Key::raw([1; 32]), Key::hex(&"0b".repeat(32)).unwrap());
    let secret = encrypted(world, "secret", &old);
    let below = secret.child("below").unwrap();
    zfs.create_filesystem(&below, &plain()).unwrap();
    zfs.change_key(&secret, &KeyChange::New(new.clone()), &plain()).unwrap();
    zfs.unload_key(&secret).unwrap();
    refused(zfs.load_key(&secret, &Key::hex(&"0c".repeat(32)).unwrap()), ErrorKind::WrongKey);
    zfs.load_key(&secret, &new).unwrap();
    // A root of its own, and back.
    zfs.change_key(&below, &KeyChange::New(Key::passphrase("of its own").unwrap()), &quick())
        .unwrap();
    zfs.unload_key(&below).unwrap();
    refused(zfs.change_key(&below, &KeyChange::Inherit, &plain()), ErrorKind::KeyNotLoaded);
    zfs.load_key(&below, &Key::passphrase("of its own").unwrap()).unwrap();
    zfs.change_key(&below, &KeyChange::Inherit, &plain()).unwrap();
    refused(zfs.unload_key(&below), ErrorKind::Invalid);
}

fn keys_of_what_is_not_encrypted_are_refused(world: &World) {
    let zfs = world.zfs();
    let open = file_system(world, "open");
    let error = refused(zfs.load_key(&open, &Key::raw([1; 32])), ErrorKind::Invalid);
    assert_eq!(error.reason(), "it is not encrypted");
    refused(zfs.unload_key(&open), ErrorKind::Invalid);
    refused(
        zfs.change_key(&open, &KeyChange::New(Key::raw([1; 32])), &plain()),
        ErrorKind::Invalid,
    );
    refused(
        zfs.load_key(&world.root().child("none").unwrap(), &Key::raw([1; 32])),
        ErrorKind::NotFound,
    );
    refused(zfs.unload_key(&world.root().child("none").unwrap()), ErrorKind::NotFound);
}

fn a_zvol_can_be_encrypted(world: &World) {
    let zfs = world.zfs();
    let key = Key::raw([9; 32]);
    let disk = world.root().child("disk").unwrap();
    zfs.create(&disk, &Create::zvol(Bytes::from_mib(8)).key(key.clone())).unwrap();
    zfs.snapshot(&[disk.snapshot("s").unwrap()], &plain()).unwrap();
    zfs.create_clone(&world.root().child("clone").unwrap(), &disk.snapshot("s").unwrap(), &plain())
        .unwrap();
}
