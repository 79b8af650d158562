//! What is damaged is reported, or does no harm.

use std::fs;

use super::*;
use crate::ErrorKind;

/// A directory that something was done in, and how that looks.
fn made() -> (Vec<u8>, String) {
    let directory = tempfile::tempdir().unwrap();
    let zfs = open(directory.path());
    (0..60).for_each(|number| step(&zfs, 5, number));
    let was = picture(&zfs);
    drop(zfs);
    (fs::read(directory.path().join("zfsvol.state")).unwrap(), was)
}

/// Opens a directory with this file. It must be refused as damaged, or be right; answers whether it was refused.
fn is_refused(state: &[u8], was: &str, what: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("zfsvol.state"), state).unwrap();
    fs::write(directory.path().join("zfsvol.lock"), "zfsvol\n").unwrap();
    match builder().open(directory.path()) {
        Err(error) => {
            assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
                "{what}: {error}"
            );
            true
        }
        Ok(kernel) => {
            assert_same(was, &picture(&Zfs::new(kernel)), what);
            false
        }
    }
}

#[test]
fn every_flipped_bit_is_reported_or_does_no_harm() {
    let (state, was) = made();
    let mut dice = Dice::new(9, 9);
    let sparse = (4096..state.len()).step_by(state.len() / 300);
    for at in (0..90).chain(512..570).chain(1024..1080).chain(sparse) {
        let mut damaged = state.clone();
        damaged[at] ^= 1 << dice.roll(8);
        let refused = is_refused(&damaged, &was, &format!("byte {at}"));
        // Behind the head nothing is without meaning; of the slots one is enough.
        assert!(refused || at < 4096, "byte {at} of {} is not looked at", state.len());
    }
}

#[test]
fn a_file_that_was_cut_off_is_reported() {
    let (state, was) = made();
    let some = (0..state.len()).step_by(state.len() / 200);
    for bytes in some.chain(state.len() - 60..state.len()) {
        let refused = is_refused(&state[..bytes], &was, &format!("{bytes} bytes"));
        assert!(refused, "{bytes} bytes of {}", state.len());
    }
}

#[test]
fn what_is_behind_the_end_does_no_harm() {
    let (state, was) = made();
    for more in [1, 49, 5000] {
        let mut longer = state.clone();
        longer.resize(state.len() + more, 0xa5);
        assert!(!is_refused(&longer, &was, "longer"));
    }
}

#[test]
fn parts_that_changed_places_or_are_of_another_file_are_reported() {
    let (state, was) = made();
    let (other, _) = made();
    let mut mixed = state.clone();
    mixed[4096..].copy_from_slice(&other[4096..]);
    assert!(is_refused(&mixed, &was, "the frames of another"));
    let mut swapped = state.clone();
    swapped[512..1024].copy_from_slice(&state[1024..1536]);
    swapped[1024..1536].copy_from_slice(&state[512..1024]);
    assert!(is_refused(&swapped, &was, "the slots"));
    let mut zeroed = state.clone();
    let middle = state.len() / 2;
    zeroed[middle..middle + 512].fill(0);
    assert!(is_refused(&zeroed, &was, "a sector of zeros"));
}

#[test]
fn a_file_that_is_gone_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    fs::remove_file(directory.path().join("zfsvol.state")).unwrap();
    let error = builder().open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("'zfsvol.state' is not there any more"), "{error}");
}

#[test]
fn another_format_is_refused_by_its_number() {
    use sha2::{Digest as _, Sha256};
    let (mut state, was) = made();
    state[16..20].copy_from_slice(&7_u32.to_le_bytes());
    // The sum is over the number of the file, where it is, and what is there.
    let mut hash = Sha256::new();
    for part in [&state[20..36], &[0; 8], &state[..36]] {
        hash.update(part);
    }
    let sum = hash.finalize();
    state[36..68].copy_from_slice(&sum);
    assert!(is_refused(&state, &was, "format 7"));
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("zfsvol.state"), state).unwrap();
    let error = builder().open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("format 7"), "{error}");
}
