//! Block devices against an array of bytes.

use proptest::prelude::*;

use super::*;

const SIZE: u64 = 1 << 20;

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    Fill(u64, u64, u8),
    Discard(u64, u64),
    Resize(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || 0..SIZE;
    let data = proptest::collection::vec(any::<u8>(), 1..9000);
    let step = prop_oneof![
        3 => (at(), data).prop_map(|(at, data)| Step::Write(at, data)),
        2 => (at(), 1_u64..40_000, 0_u8..3).prop_map(|(at, length, fill)| Step::Fill(at, length, fill)),
        1 => (at(), 1_u64..300_000).prop_map(|(at, length)| Step::Discard(at, length)),
        1 => (1_u64..=SIZE / 8192).prop_map(|blocks| Step::Resize(blocks * 8192)),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_zvol_is_an_array_of_bytes(steps in steps(), number in 2_u8..16) {
        let policy = Policy { ashift: 9, compression: Compression(number), ..Policy::default() };
        let (mut objset, delta) = zvol::create(SIZE, 8192, 1, Txn::new(1, policy));
        let mut space = delta.born().minus(delta.killed_space());
        let mut model = vec![0; index(SIZE)];
        for (txg, step) in (2_u64..).zip(steps) {
            let mut txn = Txn::new(txg, policy);
            let before = (objset.clone(), model.clone());
            let room = |at: u64, length: u64| length.min((model.len() as u64).saturating_sub(at));
            match step {
                Step::Write(at, data) => {
                    let length = index(room(at, data.len() as u64));
                    if length == 0 { continue; }
                    objset.write_volume(at, &data[..length], &mut txn).unwrap();
                    model[index(at)..index(at) + length].copy_from_slice(&data[..length]);
                }
                Step::Fill(at, length, fill) => {
                    let length = room(at, length);
                    if length == 0 { continue; }
                    objset.write_volume(at, &vec![fill; index(length)], &mut txn).unwrap();
                    model[index(at)..index(at + length)].fill(fill);
                }
                Step::Discard(at, length) => {
                    let length = room(at, length);
                    if length == 0 { continue; }
                    objset.discard_volume(at, length, &mut txn).unwrap();
                    let (start, end) = (at.next_multiple_of(8192), (at + length) / 8192 * 8192);
                    if start < end {
                        model[index(start)..index(end)].fill(0);
                    }
                }
                Step::Resize(size) => {
                    objset.resize_volume(size, 3, &mut txn).unwrap();
                    model.resize(index(size), 0);
                }
            }
            let delta = txn.finish();
            space = space.plus(delta.born()).minus(delta.killed_space());
            prop_assert_eq!(space, objset.space());
            for (objset, model) in [(&objset, &model), (&before.0, &before.1)] {
                let mut found = vec![1; model.len()];
                objset.read_volume(0, &mut found, None).unwrap();
                prop_assert!(&found == model);
                prop_assert_eq!(objset.volume_size(), Some(model.len() as u64));
            }
        }
    }
}

#[test]
fn a_new_zvol_takes_what_it_takes_on_openzfs() {
    for (ashift, used) in [(9, 12 << 10), (12, 56 << 10)] {
        let policy = Policy { ashift, ..Policy::default() };
        let (objset, delta) = zvol::create(1 << 30, 16 << 10, 1, Txn::new(1, policy));
        assert_eq!(delta.born().minus(delta.killed_space()).used, used, "ashift {ashift}");
        assert_eq!(objset.space().used, used);
    }
}

#[test]
fn what_is_beyond_the_end_is_refused() {
    use crate::kernel::Errno;
    let (mut objset, _) = zvol::create(64 << 10, 8192, 1, Txn::new(1, Policy::default()));
    let mut txn = Txn::new(2, Policy::default());
    assert_eq!(objset.write_volume((64 << 10) - 1, &[1, 2], &mut txn), Err(Errno::EIO));
    assert_eq!(objset.read_volume(u64::MAX, &mut [0], None), Err(Errno::EIO));
    assert!(txn.finish().is_empty());
}

#[test]
fn zeros_take_no_space_where_blocks_are_compressed() {
    let (mut objset, delta) = zvol::create(1 << 30, 8192, 1, Txn::new(1, Policy::default()));
    let mut txn = Txn::new(2, Policy::default());
    objset.write_volume(0, &[0; 65536], &mut txn).unwrap();
    assert_eq!(objset.space(), delta.born().minus(delta.killed_space()));
    let policy = Policy { compression: Compression::OFF, ..Policy::default() };
    objset.write_volume(0, &[0; 65536], &mut Txn::new(3, policy)).unwrap();
    assert!(objset.space().used > 65536);
}
