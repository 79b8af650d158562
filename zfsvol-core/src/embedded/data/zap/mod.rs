//! ZAPs: names with numbers, as zvols and file systems keep what they say of themselves.
//!
//! Those of one block are `mzap_phys_t`, OpenZFS 2.3 `include/sys/zap_impl.h`: a head of 64 bytes (type, salt, how names are normalized), then entries of 64 bytes
//! (number, collision differentiator, name with its ending zero). Names with arrays take two blocks: [`fat`].

mod fat;

pub use fat::{FAT_BLOCK_BYTES, FatEntry, fat};

/// Bytes of the head, and of an entry.
const CHUNK_BYTES: usize = 64;

/// What the length of such a block is a multiple of: `SPA_MINBLOCKSIZE`.
const BLOCK_STEP: usize = 512;

/// What such a block begins with: `ZBT_MICRO`.
const MICRO: u64 = (1 << 63) + 3;

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
    let is_free = |chunk: &[u8]| chunk.get(NAME_AT) == Some(&0);
    if !block.chunks_exact(CHUNK_BYTES).skip(1).any(is_free) {
        block.resize(block.len() + BLOCK_STEP, 0);
    }
    let mut entries = block.chunks_exact_mut(CHUNK_BYTES).skip(1);
    let entry = entries.find(|chunk| is_free(chunk))?;
    *entry.first_chunk_mut()? = number.to_ne_bytes();
    entry.get_mut(NAME_AT..)?.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(())
}

/// The entries of such a block.
pub fn entries(block: &[u8]) -> impl Iterator<Item = (String, u64)> + '_ {
    let mut chunks = block.chunks_exact(CHUNK_BYTES);
    let is_micro = chunks.next().and_then(number) == Some(MICRO);
    chunks.take(if is_micro { usize::MAX } else { 0 }).filter_map(|chunk| {
        let name = chunk.get(NAME_AT..)?.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        Some((name.to_owned(), number(chunk)?))
    })
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
