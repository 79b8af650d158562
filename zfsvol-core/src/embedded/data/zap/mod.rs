//! ZAPs: names with numbers, as zvols and file systems keep what they say of themselves.
//!
//! Those of one block are `mzap_phys_t`, OpenZFS 2.3 `include/sys/zap_impl.h`: a head of 64 bytes (type, salt, how names are normalized), then entries of 64 bytes
//! (number, collision differentiator, name with its ending zero). Names with arrays, and many names, take more blocks: [`fat`].

mod fat;
mod object;

pub use fat::{FAT_BLOCK_BYTES, FatEntry, fat, fat_numbers};

use std::collections::BTreeSet;

/// Bytes of the head, and of an entry.
const CHUNK_BYTES: usize = 64;

/// What the length of such a block is a multiple of: `SPA_MINBLOCKSIZE`.
const BLOCK_STEP: usize = 512;

/// What such a block begins with: `ZBT_MICRO`.
const MICRO: u64 = (1 << 63) + 3;

/// Where the collision differentiator is in an entry: names that are hashed alike have different ones.
const COLLISION_AT: usize = 8;

/// Where the name is in an entry.
const NAME_AT: usize = 14;

/// The longest name, its ending zero included: `MZAP_NAME_LEN`.
const NAME_BYTES: usize = CHUNK_BYTES - NAME_AT;

/// A block with these entries, as long as it takes, in steps of 512 bytes; `None` where a name is too long.
///
/// `salt` is what names are hashed with; any number will do, and a different one for each.
#[must_use]
pub fn micro(entries: &[(&str, u64)], salt: u64, normalization: u64) -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.extend(MICRO.to_ne_bytes());
    // A salt is odd in real ones, and not 0.
    block.extend((salt | 1).to_ne_bytes());
    block.extend(normalization.to_ne_bytes());
    block.resize(CHUNK_BYTES, 0);
    for (name, number) in entries {
        if name.len() >= NAME_BYTES || name.contains('\0') {
            return None;
        }
        let start = block.len();
        block.extend(number.to_ne_bytes());
        block.resize(start + NAME_AT, 0);
        block.extend(name.as_bytes());
        block.resize(start + CHUNK_BYTES, 0);
    }
    block.resize(block.len().next_multiple_of(BLOCK_STEP), 0);
    Some(block)
}

/// The number of a name in such a block; `None` where it is not there, or the block is another.
#[must_use]
pub fn lookup(block: &[u8], name: &str) -> Option<u64> {
    entries(block).find(|(found, _)| found == name).map(|(_, number)| number)
}

/// Changes the number of a name; `None` where it is not there.
pub fn replace(block: &mut [u8], name: &str, number: u64) -> Option<()> {
    entry_mut(block, name)?.first_chunk_mut().map(|field| *field = number.to_ne_bytes())
}

/// Takes a name out, if it is there.
pub fn remove(block: &mut [u8], name: &str) {
    if let Some(entry) = entry_mut(block, name) {
        entry.fill(0);
    }
}

/// Adds a name that is not there, in the first place that is free; the block grows where there is none.
///
/// # Errors
/// `None` for a name that is too long or has a NUL.
pub fn insert(block: &mut Vec<u8>, name: &str, number: u64) -> Option<()> {
    if name.is_empty() || name.len() >= NAME_BYTES || name.contains('\0') {
        return None;
    }
    make_room(block);
    let collision = free_collision(block, name)?;
    let mut entries = block.chunks_exact_mut(CHUNK_BYTES).skip(1);
    let entry = entries.find(|chunk| is_free(chunk))?;
    *entry.first_chunk_mut()? = number.to_ne_bytes();
    *entry.get_mut(COLLISION_AT..)?.first_chunk_mut()? = collision.to_ne_bytes();
    entry.get_mut(NAME_AT..)?.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(())
}

/// Has a block grow where all its places are taken, as the module does also before it changes a number (`zap_lockdir`).
pub fn make_room(block: &mut Vec<u8>) {
    if !block.chunks_exact(CHUNK_BYTES).skip(1).any(is_free) {
        block.resize(block.len() + BLOCK_STEP, 0);
    }
}

fn is_free(chunk: &[u8]) -> bool {
    chunk.get(NAME_AT) == Some(&0)
}

/// The entries of such a block.
pub fn entries(block: &[u8]) -> impl Iterator<Item = (String, u64)> + '_ {
    let chunks = block.chunks_exact(CHUNK_BYTES).skip(1);
    chunks
        .take(if is_micro(block) { usize::MAX } else { 0 })
        .filter_map(|chunk| Some((entry_name(chunk)?.to_owned(), number(chunk)?)))
}

/// Where a name comes when the names of a ZAP are gone through: by its hash. `first` is the first block of it.
pub fn order(first: &[u8], name: &[u8]) -> u64 {
    let salt = if is_micro(first) { first.get(8..).and_then(number) } else { fat::salt(first) };
    fat::hash(name, salt.unwrap_or_default())
}

fn is_micro(block: &[u8]) -> bool {
    number(block) == Some(MICRO)
}

/// What tells a name from those that are hashed alike: OpenZFS 2.3 `module/zfs/zap_micro.c`, mze_find_unused_cd. Two that have the same are more than
/// the module survives.
fn free_collision(block: &[u8], name: &str) -> Option<u32> {
    let salt = number(block.get(8..)?)?;
    let hash = fat::hash(name, salt);
    let taken: BTreeSet<u32> = block
        .chunks_exact(CHUNK_BYTES)
        .skip(1)
        .filter(|chunk| entry_name(chunk).is_some_and(|other| fat::hash(other, salt) == hash))
        .filter_map(|chunk| Some(u32::from_ne_bytes(*chunk.get(COLLISION_AT..)?.first_chunk()?)))
        .collect();
    (0..).find(|number| !taken.contains(number))
}

fn entry_name(chunk: &[u8]) -> Option<&str> {
    let name = chunk.get(NAME_AT..)?.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
}

fn entry_mut<'b>(block: &'b mut [u8], name: &str) -> Option<&'b mut [u8]> {
    lookup(block, name)?;
    block.chunks_exact_mut(CHUNK_BYTES).skip(1).find(|chunk| {
        let found = chunk.get(NAME_AT..).and_then(|found| found.strip_prefix(name.as_bytes()));
        found.is_some_and(|rest| rest.first() == Some(&0))
    })
}

fn number(chunk: &[u8]) -> Option<u64> {
    chunk.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_takes_the_first_free_place_and_the_block_grows_when_there_is_none() {
        let mut block = micro(&[("a", 1), ("b", 2), ("c", 3)], 8, 0).unwrap();
        remove(&mut block, "b");
        remove(&mut block, "nothing");
        assert_eq!(lookup(&block, "b"), None);
        for (name, number) in [("d", 4), ("e", 5), ("f", 6), ("g", 7), ("h", 8)] {
            insert(&mut block, name, number).unwrap();
        }
        let names = |block: &[u8]| entries(block).map(|(name, _)| name).collect::<String>();
        assert_eq!((names(&block).as_str(), block.len()), ("adcefgh", 512));
        insert(&mut block, "i", 9).unwrap();
        assert_eq!((names(&block).as_str(), block.len()), ("adcefghi", 1024));
        assert_eq!(insert(&mut block, &"x".repeat(NAME_BYTES), 1), None);
    }

    #[test]
    fn names_that_are_hashed_alike_are_told_apart() {
        // 28 bits count: among 100,000 names some are alike.
        let mut seen = std::collections::BTreeMap::new();
        let (one, other) = (1..100_000_u64)
            .map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .find_map(|name| Some((seen.insert(fat::hash(&name, 9), name.clone())?, name)))
            .unwrap();
        let mut block = micro(&[("a", 1)], 9, 0).unwrap();
        insert(&mut block, &one, 2).unwrap();
        insert(&mut block, &other, 3).unwrap();
        let collision = |entry: usize| block[64 * entry + COLLISION_AT];
        assert_eq!((collision(1), collision(2), collision(3)), (0, 0, 1));
        assert_eq!((lookup(&block, &one), lookup(&block, &other)), (Some(2), Some(3)));
        remove(&mut block, &one);
        insert(&mut block, &one, 4).unwrap();
        assert_eq!(block[64 * 2 + COLLISION_AT], 0);
    }

    #[test]
    fn what_is_put_in_is_found() {
        let block = micro(&[("size", 1 << 30), ("VERSION", 5)], 8, 0).unwrap();
        assert_eq!(block.len(), 512);
        assert_eq!(lookup(&block, "size"), Some(1 << 30));
        assert_eq!(lookup(&block, "VERSION"), Some(5));
        assert_eq!(lookup(&block, "siz"), None);
        assert_eq!(lookup(&block[64..], "size"), None);
        assert!(micro(&[(&"x".repeat(50), 0)], 1, 0).is_none());
        let mut block = block;
        assert_eq!(replace(&mut block, "VERSION", 6), Some(()));
        assert_eq!(
            entries(&block).collect::<Vec<_>>(),
            [("size".to_owned(), 1 << 30), ("VERSION".to_owned(), 6)]
        );
        assert_eq!(replace(&mut block, "VERSIO", 6), None);
    }
}
