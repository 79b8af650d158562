//! Trees, objects and zvols against a plain model of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::stream::{Compression, ObjectType};

mod volume;

fn policy() -> Policy {
    Policy { ashift: 9, compression: Compression::OFF, ..Policy::default() }
}

fn block(fill: u8, txn: &Txn) -> Block {
    Block::of_plain(&[fill; 512], ObjectType::ZVOL, txn).unwrap().unwrap()
}

/// What happens to a tree: written, written with zeros, freed.
#[derive(Clone, Debug)]
enum Step {
    Set(u64, u8),
    Zero(u64),
    Free(u64, u64),
    Snapshot,
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..40, 30_u64..3000, 0_u64..1 << 40]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (numbers(), 1_u8..255).prop_map(|(at, fill)| Step::Set(at, fill)),
        1 => numbers().prop_map(Step::Zero),
        2 => (numbers(), numbers()).prop_map(|(a, b)| Step::Free(a.min(b), a.max(b))),
        1 => Just(Step::Snapshot),
    ];
    proptest::collection::vec(step, 1..60)
}

fn contents(tree: &Tree<Block>) -> BTreeMap<u64, u8> {
    let mut found = BTreeMap::new();
    tree.for_each(|number, block| {
        found.insert(number, block.plain(None).unwrap()[0]);
    });
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_tree_is_a_map_and_its_snapshots_do_not_change(steps in steps(), shift in 5_u8..11) {
        let mut tree = Tree::new(3, shift);
        let mut model = BTreeMap::new();
        let mut snapshots = Vec::new();
        let mut space = Space::ZERO;
        for (txg, step) in (1_u64..).zip(steps) {
            let mut txn = Txn::new(txg, policy());
            match step {
                Step::Set(at, fill) => {
                    let block = block(fill, &txn);
                    tree.set(at, block, &mut txn);
                    model.insert(at, fill);
                }
                Step::Zero(at) => {
                    tree.update(at, &mut txn, |_| None);
                    model.remove(&at);
                }
                Step::Free(from, to) => {
                    tree.free(from, to, &mut txn);
                    model.retain(|at, _| *at < from || *at > to);
                }
                Step::Snapshot => snapshots.push((tree.clone(), model.clone())),
            }
            let delta = txn.finish();
            prop_assert!(delta.killed().all(|(birth, _)| birth > 0 && birth <= txg));
            space = space.plus(delta.born()).minus(delta.killed_space());
            prop_assert_eq!(space, tree.space());
            prop_assert_eq!(tree.end(), model.keys().next_back().map_or(0, |last| last + 1));
            prop_assert_eq!(contents(&tree), model.clone());
        }
        for at in model.keys() {
            prop_assert!(tree.get(*at).is_some());
            prop_assert_eq!(tree.get(at + 1).is_some(), model.contains_key(&(at + 1)));
        }
        for (tree, model) in snapshots {
            prop_assert_eq!(contents(&tree), model);
        }
    }
}

/// Every pointer that leads to something is at least as young as that.
fn newest(children: &[(u16, Pointer<Block>)]) -> u64 {
    let births = children.iter().map(|(_, pointer)| {
        if let Pointer::Node(node) = pointer {
            assert!(pointer.birth() >= newest(node.children()));
        }
        pointer.birth()
    });
    births.max().unwrap_or(0)
}

#[test]
fn holes_have_births_as_in_openzfs() {
    let mut tree = Tree::new(1, 2);
    let mut txn = Txn::new(7, policy());
    let first = block(1, &txn);
    tree.set(5, first, &mut txn);
    assert_eq!((tree.levels(), newest(tree.children())), (3, 7));
    // What was never written is a hole since always, whatever is written with zeros.
    let mut txn = Txn::new(8, policy());
    tree.update(1, &mut txn, |_| None);
    assert!(tree.children().iter().all(|(_, pointer)| pointer.birth() == 8));
    let Pointer::Node(top) = &tree.children()[0].1 else { panic!() };
    assert_eq!(top.children().len(), 1);
    // What was written is a hole since it was freed, and so is an indirect block of holes.
    tree.free(5, 5, &mut Txn::new(9, policy()));
    assert!(matches!(tree.children(), [(0, Pointer::Hole(9))]));
    // Below a hole with a birth all are holes with that birth.
    let mut txn = Txn::new(10, policy());
    let second = block(2, &txn);
    tree.set(6, second, &mut txn);
    let Pointer::Node(top) = &tree.children()[0].1 else { panic!() };
    assert_eq!((top.birth(), top.hole_birth()), (10, 9));
}

impl<L: Leaf> Node<L> {
    fn birth(&self) -> u64 {
        Pointer::Node(Kept::new(self.clone())).birth()
    }
}

#[test]
fn objects_come_and_go() {
    let mut objset = Objset::empty(ObjsetType::FileSystem);
    let mut txn = Txn::new(3, policy());
    let dnode = || Dnode::with_bonus(ObjectType::FILE, 4096, ObjectType::SA, 168, 4, 17);
    objset.claim(64, dnode(), &mut txn).unwrap();
    assert_eq!(objset.claim(66, dnode(), &mut txn), Err(crate::kernel::Errno::EEXIST));
    assert_eq!(objset.object(66).unwrap_err(), crate::kernel::Errno::EEXIST);
    assert_eq!(objset.object(68).unwrap_err(), crate::kernel::Errno::ENOENT);
    assert_eq!(objset.object(64).unwrap().blocks.roots(), 1);
    objset.write(64, 10_000, b"here", &mut txn).unwrap();
    assert!(objset.features().contains(UsedFeatures::LARGE_DNODE));
    let snapshot = objset.clone();
    let first = txn.finish();
    assert_eq!(first.born().minus(first.killed_space()), objset.space());

    let mut txn = Txn::new(4, policy());
    objset.free_object(64, &mut txn).unwrap();
    assert_eq!((objset.object_count(), snapshot.object_count()), (0, 1));
    assert_eq!(objset.last_dnode_block(), 2);
    let second = txn.finish();
    let left = first.born().minus(first.killed_space()).plus(second.born());
    assert_eq!(left.minus(second.killed_space()), objset.space());
    let mut found = [0; 4];
    snapshot.read(64, 10_000, &mut found, None).unwrap();
    assert_eq!(&found, b"here");
}
