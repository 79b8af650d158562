//! A new file system is what OpenZFS makes.

use super::*;
use crate::embedded::data::UsedFeatures;
use crate::embedded::data::filesystem::{self, FileSystem};
use crate::embedded::data::zap::{FatEntry, fat};
use crate::stream::ObjectType;

fn create(ashift: u8) -> Objset {
    let of = FileSystem { version: 5, time: 1_700_000_000, salt: 7, ..FileSystem::default() };
    let (objset, delta) =
        filesystem::create(&of, Txn::new(9, Policy { ashift, ..Policy::default() }));
    assert_eq!(delta.born().minus(delta.killed_space()), objset.space());
    objset
}

#[test]
fn a_new_file_system_takes_what_it_takes_on_openzfs() {
    assert_eq!(create(9).space().used, 24 << 10);
    assert_eq!(create(12).space().used, 96 << 10);
}

/// All but salts, times and generation, and what is in the directory.
#[test]
fn a_new_file_system_has_the_objects_of_openzfs() {
    let ours = create(9);
    let theirs = frames(&fixture("2.3/attributes_folders"));
    let policy = Policy { ashift: 9, ..Policy::default() };
    let theirs = receive(None, &theirs, &mut Txn::new(9, policy)).objset;
    for object in [1, 32, 33, 34, 35, 36] {
        let (one, other) = (ours.object(object).unwrap(), theirs.object(object).unwrap());
        assert_eq!(one.object_type, other.object_type);
        assert_eq!(one.block_bytes, other.block_bytes, "{object}");
        assert_eq!(one.last_block, other.last_block, "{object}");
        assert_eq!((one.bonus_type, one.bonus.len()), (other.bonus_type, other.bonus.len()));
        assert_eq!((one.blocks.roots(), one.slots), (other.blocks.roots(), other.slots));
        if [1, 32, 33, 35].contains(&object) {
            let (mut one, mut other) =
                (ours.read_block(object, 0).unwrap(), theirs.read_block(object, 0).unwrap());
            one.to_mut()[8..16].fill(0);
            other.to_mut()[8..16].fill(0);
            assert_eq!(one, other, "{object}");
        }
    }
    let root = |objset: &Objset| {
        let mut bonus = objset.object(34).unwrap().bonus.to_vec();
        // Size, generation, times.
        bonus[16..32].fill(0);
        bonus[64..128].fill(0);
        bonus
    };
    assert_eq!(root(&ours), root(&theirs));
    assert_eq!(ours.master_node("VERSION"), Some(5));
    assert_eq!(ours.master_node("utf8only"), Some(0));
}

/// Names are hashed as OpenZFS hashes them.
#[test]
fn the_zap_of_layouts_is_that_of_openzfs() {
    let theirs = frames(&fixture("2.3/attributes_folders"));
    let policy = Policy { ashift: 9, ..Policy::default() };
    let theirs = receive(None, &theirs, &mut Txn::new(9, policy)).objset;
    let (head, leaf) = (theirs.read_block(36, 0).unwrap(), theirs.read_block(36, 1).unwrap());
    let salt = u64::from_ne_bytes(head[80..88].try_into().unwrap());
    let layouts: [&[u16]; 3] = [
        &[5, 6, 4, 12, 13, 7, 11, 0, 1, 2, 3, 8, 21, 16, 19],
        &[5, 6, 4, 12, 13, 7, 11, 0, 1, 2, 3, 8, 21, 16, 19, 20],
        &[20],
    ];
    let names = ["2", "3", "4"];
    let entries: Vec<_> =
        names.into_iter().zip(layouts).map(|(name, values)| FatEntry { name, values }).collect();
    let (our_head, our_leaf) = fat(&entries, salt).unwrap();
    assert!(our_head == *head);
    assert!(our_leaf == *leaf);
}

#[test]
fn the_dnode_of_the_root_directory_is_never_in_two_blocks() {
    for (slots, root, next) in [(1, 34, 35), (2, 34, 36), (16, 34, 50), (32, 64, 96)] {
        let of = FileSystem { version: 5, dnode_slots: slots, ..FileSystem::default() };
        let (objset, _) = filesystem::create(&of, Txn::new(9, Policy::default()));
        assert_eq!(objset.master_node("ROOT"), Some(root));
        assert_eq!(objset.object(root).unwrap().slots, slots);
        assert_eq!(objset.object(next).unwrap().object_type, ObjectType::SA_REGISTRATION);
        assert_eq!(objset.features().contains(UsedFeatures::LARGE_DNODE), slots > 1);
    }
}
