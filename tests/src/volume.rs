//! Zvols with known content: made, filled, read back and compared through their block devices, so that no mount is needed.

use std::time::Duration;

use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::{Bytes, DatasetName, SnapshotName, Zfs};

use crate::World;

/// How long a block device may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(30);

/// Bytes that look like noise, so that compression and deduplication do nothing to them; the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A zvol of that size in the case's root, with nothing in it.
pub fn empty(world: &World, name: &str, size: Bytes) -> DatasetName {
    let zvol = world.root().child(name).expect("a name");
    world.zfs().create_zvol(&zvol, size, &PropertySet::new()).expect("a zvol");
    zvol
}

/// A zvol of that size in the case's root, with noise from its beginning to its end.
pub fn filled(world: &World, name: &str, size: Bytes) -> DatasetName {
    let zvol = empty(world, name, size);
    write(world.zfs(), &zvol, 0, &noise(1, usize::try_from(size.get()).expect("it fits")));
    zvol
}

/// Writes to a zvol; it is on disk when this returns.
pub fn write(zfs: &Zfs, zvol: &DatasetName, offset: u64, data: &[u8]) {
    let device = zfs
        .kernel()
        .host()
        .open_block(zvol, Access::ReadWrite, DEVICE_WAIT)
        .unwrap_or_else(|errno| panic!("cannot open the device of '{zvol}': {errno}"));
    device.write_all_at(data, offset).expect("written");
    device.flush().expect("flushed");
}

/// All that a zvol holds.
pub fn content(zfs: &Zfs, zvol: &DatasetName) -> Vec<u8> {
    let device = zfs
        .kernel()
        .host()
        .open_block(zvol, Access::Read, DEVICE_WAIT)
        .unwrap_or_else(|errno| panic!("cannot open the device of '{zvol}': {errno}"));
    let size = device.size().expect("a size");
    let mut bytes = vec![0; usize::try_from(size).expect("it fits")];
    device.read_exact_at(&mut bytes, 0).expect("read");
    bytes
}

/// Panics unless two zvols hold the same. Says where they differ, and shows nothing of them.
#[track_caller]
pub fn assert_same(zfs: &Zfs, one: &DatasetName, other: &DatasetName) {
    let (left, right) = (content(zfs, one), content(zfs, other));
    let differs = left.iter().zip(&right).position(|(a, b)| a != b);
    assert_eq!(left.len(), right.len(), "'{one}' and '{other}' have different sizes");
    assert_eq!(differs, None, "'{one}' and '{other}' differ at that offset");
}

/// A snapshot of one dataset.
pub fn snapshot(zfs: &Zfs, dataset: &DatasetName, name: &str) -> SnapshotName {
    let snapshot = dataset.snapshot(name).expect("a name");
    zfs.snapshot(std::slice::from_ref(&snapshot), &PropertySet::new()).expect("a snapshot");
    snapshot
}
