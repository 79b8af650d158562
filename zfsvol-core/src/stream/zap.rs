//! ZAPs, in which OpenZFS keeps directories and other tables by name: the entries of one block of one.
//!
//! A small ZAP is one block of entries of 64 bytes; a large one has a head, tables of pointers, and leaves in which the entries are spread over
//! chunks of 24 bytes. To list them all, the leaves are enough. OpenZFS 2.3 `include/sys/zap_impl.h`, `include/sys/zap_leaf.h`.

use crate::nvlist::ByteOrder;

/// What a leaf of a large ZAP begins with: `ZBT_LEAF`.
const LEAF: u64 = 1 << 63;

/// What the one block of a small ZAP begins with: `ZBT_MICRO`.
const MICRO: u64 = (1 << 63) + 3;

/// Bytes of an entry of a small ZAP, and of what stands before the first: `MZAP_ENT_LEN`.
const MICRO_ENTRY_BYTES: usize = 64;

/// Where the name is in such an entry, behind its value and two numbers.
const MICRO_NAME_AT: usize = 14;

/// `ZAP_LEAF_MAGIC`, and where it is in a leaf.
const LEAF_MAGIC: u32 = 0x2ab_1eaf;
const LEAF_MAGIC_AT: usize = 24;

/// What stands in a leaf before its hash table, which takes a 16th of the block.
const LEAF_HEAD_BYTES: usize = 48;

/// `ZAP_LEAF_CHUNKSIZE`.
const CHUNK_BYTES: usize = 24;

/// How much of a chunk of an array is the array: `ZAP_LEAF_ARRAY_BYTES`.
const ARRAY_BYTES: usize = 21;

/// `ZAP_CHUNK_ENTRY` and `ZAP_CHUNK_ARRAY`.
const CHUNK_ENTRY: u8 = 252;
const CHUNK_ARRAY: u8 = 251;

/// The longest name, its ending zero included: `ZAP_MAXNAMELEN_NEW`.
const NAME_BYTES_MAX: usize = 1024;

/// The longest value that is read: what a layout of all attributes there can be takes.
const VALUE_BYTES_MAX: usize = 2048;

/// A name, and the numbers it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// Most significant byte first, whatever the machine.
    value: Vec<u8>,
    /// Bytes of each number.
    width: usize,
}

impl Entry {
    /// The value, where it is one number of 64 bits.
    pub(crate) fn number(&self) -> Option<u64> {
        let bytes = <[u8; 8]>::try_from(self.value.as_slice()).ok()?;
        (self.width == 8).then(|| u64::from_be_bytes(bytes))
    }

    /// The value, where it is numbers of 16 bits.
    pub(crate) fn numbers(&self) -> Option<Vec<u16>> {
        let pairs = self.value.chunks_exact(2).filter_map(<[u8]>::first_chunk);
        (self.width == 2).then(|| pairs.map(|pair| u16::from_be_bytes(*pair)).collect())
    }
}

/// The entries of a block. One that holds none, or is no block of a ZAP, has none; what is damaged is left out.
pub(crate) fn entries(block: &[u8], byte_order: ByteOrder) -> Box<dyn Iterator<Item = Entry> + '_> {
    match number(block, 0, 8, byte_order) {
        Some(MICRO) => Box::new(micro(block, byte_order)),
        Some(LEAF) if number(block, LEAF_MAGIC_AT, 4, byte_order) == Some(LEAF_MAGIC.into()) => {
            Box::new(leaf(block, byte_order))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// The number of so many bytes at this place.
pub(crate) fn number(bytes: &[u8], at: usize, width: usize, byte_order: ByteOrder) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    Some(match byte_order {
        ByteOrder::Big => field.iter().fold(0, add),
        ByteOrder::Little => field.iter().rev().fold(0, add),
    })
}

fn micro(block: &[u8], byte_order: ByteOrder) -> impl Iterator<Item = Entry> + '_ {
    block.chunks_exact(MICRO_ENTRY_BYTES).skip(1).filter_map(move |entry| {
        let name = entry.get(MICRO_NAME_AT..)?.split(|byte| *byte == 0).next()?;
        let value = number(entry, 0, 8, byte_order)?.to_be_bytes().to_vec();
        (!name.is_empty()).then(|| Entry { name: name.to_vec(), value, width: 8 })
    })
}

fn leaf(block: &[u8], byte_order: ByteOrder) -> impl Iterator<Item = Entry> + '_ {
    let chunks = block.get(LEAF_HEAD_BYTES + block.len() / 16..).unwrap_or_default();
    // Entries share no chunks, so all names and values together are shorter than the block: more is a lie, and not to be paid for.
    let mut left = chunks.len();
    chunks.chunks_exact(CHUNK_BYTES).filter_map(move |chunk| {
        let field = |at, width| usize::try_from(number(chunk, at, width, byte_order)?).ok();
        if chunk.first() != Some(&CHUNK_ENTRY) {
            return None;
        }
        let (width, name_bytes) = (field(1, 1)?, field(6, 2)?);
        let value_bytes = width.checked_mul(field(10, 2)?)?;
        left = left.checked_sub(name_bytes)?.checked_sub(value_bytes)?;
        let mut name = array(chunks, field(4, 2)?, name_bytes, NAME_BYTES_MAX, byte_order)?;
        let value = array(chunks, field(8, 2)?, value_bytes, VALUE_BYTES_MAX, byte_order)?;
        // It has its ending zero with it.
        (name.pop() == Some(0) && !name.is_empty()).then_some(Entry { name, value, width })
    })
}

/// `length` bytes from a chain of chunks, of which `first` is the first.
fn array(
    chunks: &[u8],
    first: usize,
    length: usize,
    max: usize,
    byte_order: ByteOrder,
) -> Option<Vec<u8>> {
    if length > max {
        return None;
    }
    let mut bytes = Vec::with_capacity(length);
    let mut next = first;
    while bytes.len() < length {
        let start = next.checked_mul(CHUNK_BYTES)?;
        let chunk = chunks.get(start..start + CHUNK_BYTES)?;
        if chunk.first() != Some(&CHUNK_ARRAY) {
            return None;
        }
        let part = chunk.get(1..=ARRAY_BYTES)?;
        bytes.extend(part.iter().take(length - bytes.len()));
        next = usize::try_from(number(chunk, 1 + ARRAY_BYTES, 2, byte_order)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_zap_is_read() {
        let mut block = vec![0; 512];
        block[..8].copy_from_slice(&MICRO.to_be_bytes());
        block[128..136].copy_from_slice(&77_u64.to_be_bytes());
        block[142..146].copy_from_slice(b"name");
        let entries: Vec<_> = entries(&block, ByteOrder::Big).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].name.as_slice(), entries[0].number()), (&b"name"[..], Some(77)));
        assert_eq!(entries[0].numbers(), None);
    }

    /// A chain that ends nowhere, and one that goes round.
    #[test]
    fn a_leaf_that_lies_has_no_such_entry() {
        let mut block = vec![0; 512];
        block[..8].copy_from_slice(&LEAF.to_le_bytes());
        block[24..28].copy_from_slice(&LEAF_MAGIC.to_le_bytes());
        let chunks = LEAF_HEAD_BYTES + 512 / 16;
        let entry = [CHUNK_ENTRY, 8, 0, 0, 1, 0, 3, 0, 2, 0, 1, 0];
        block[chunks..chunks + 12].copy_from_slice(&entry);
        assert_eq!(entries(&block, ByteOrder::Little).count(), 0);
        for number in [1, 2] {
            let at = chunks + number * CHUNK_BYTES;
            block[at] = CHUNK_ARRAY;
            block[at + 1..at + 4].copy_from_slice(b"ab\0");
            // The next one is the same one.
            block[at + 22] = u8::try_from(number).unwrap();
        }
        let entry = entries(&block, ByteOrder::Little).next().unwrap();
        assert_eq!(entry.name, b"ab");
        block[chunks + 6..chunks + 8].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(entries(&block, ByteOrder::Little).count(), 0);
    }

    proptest! {
        #[test]
        fn arbitrary_blocks_are_read(mut block in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = entries(&block, ByteOrder::Little).count();
            if block.len() > 64 {
                block[..8].copy_from_slice(&LEAF.to_le_bytes());
                block[24..28].copy_from_slice(&LEAF_MAGIC.to_le_bytes());
                let chunks = LEAF_HEAD_BYTES + block.len() / 16;
                for (at, slot) in block.iter_mut().enumerate().skip(chunks) {
                    match (at - chunks) % CHUNK_BYTES {
                        0 => *slot = if at % 2 == 0 { CHUNK_ENTRY } else { CHUNK_ARRAY },
                        // Few chunks and short lengths, so that some are there.
                        5 | 7 | 9 | 11 => *slot = 0,
                        _ => {}
                    }
                }
                let _ = entries(&block, ByteOrder::Little).count();
            }
        }
    }
}
