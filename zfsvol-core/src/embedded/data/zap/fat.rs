//! ZAPs that names with arrays are kept in, and many names: a head with a table of leaves, and leaves.
//!
//! `zap_phys_t` and `zap_leaf_phys_t`, OpenZFS 2.3 `include/sys/zap_impl.h`, `include/sys/zap_leaf.h`.

use std::collections::BTreeMap;
use std::ops::Range;

/// The size of their blocks: `1 << fzap_default_block_shift`.
pub const FAT_BLOCK_BYTES: usize = 16 << 10;

/// What the head begins with: `ZBT_HEADER`, `ZAP_MAGIC`.
const HEAD: [u64; 2] = [(1 << 63) + 1, 0x2_f52a_b2ab];

/// What a leaf begins with: `ZBT_LEAF`, and its `ZAP_LEAF_MAGIC`.
const LEAF: u64 = 1 << 63;
const LEAF_MAGIC: u32 = 0x2ab_1eaf;

/// What is before the chains of a leaf.
const LEAF_HEAD_BYTES: usize = 48;

/// Where the salt is in a head.
const SALT_AT: usize = 80;

/// The longest name, its ending zero included: `ZAP_MAXNAMELEN`.
const NAME_BYTES: usize = 256;

/// Pointers to leaves in the second half of the head, as a power of two: `ZAP_EMBEDDED_PTRTBL_SHIFT`. More than so many leaves are not made here,
/// which is room for 100,000 names at least.
const TABLE_SHIFT: u32 = 10;

/// Chains by hash in a leaf: `ZAP_LEAF_HASH_NUMENTRIES`.
const CHAINS: usize = FAT_BLOCK_BYTES / 32;

/// A chunk of a leaf, and how many there are: `ZAP_LEAF_CHUNKSIZE`, `ZAP_LEAF_NUMCHUNKS`.
const CHUNK_BYTES: usize = 24;
const CHUNKS: usize = (FAT_BLOCK_BYTES - 2 * CHAINS) / CHUNK_BYTES - 2;

/// Bytes of a name or value in a chunk: `ZAP_LEAF_ARRAY_BYTES`.
const ARRAY_BYTES: usize = CHUNK_BYTES - 3;

/// No next chunk: `CHAIN_END`.
const END: u16 = u16::MAX;

/// What chunks are.
const ENTRY: u8 = 252;
const ARRAY: u8 = 251;
const FREE: u8 = 253;

/// How many bits of a hash count: `ZAP_HASHBITS`.
const HASH_BITS: u32 = 28;

/// The polynomial of the hash, reflected: `ZFS_CRC64_POLY`.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

/// A name with an array of numbers of 16 bits.
#[derive(Clone, Copy, Debug)]
pub struct FatEntry<'a> {
    /// The name, without an ending zero.
    pub name: &'a str,
    /// The numbers.
    pub values: &'a [u16],
}

/// Head and leaf of a ZAP with these entries, in this order; `None` where they do not fit into one leaf.
#[must_use]
pub fn fat(entries: &[FatEntry<'_>], salt: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut leaf = Leaf::new();
    for FatEntry { name, values } in entries {
        // Numbers are the most significant byte first, whatever the machine.
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        leaf.add((name, hash(name, salt), 0), 2, &bytes)?;
    }
    let fits = leaf.chunks.len() <= CHUNKS;
    // All of the table leads to the one leaf.
    let table = vec![1; 1 << TABLE_SHIFT];
    fits.then(|| (head(&table, 1, entries.len(), salt), leaf.bytes(0, 0)))
}

/// All blocks of a ZAP with these numbers, one after the other; `None` where they are too many, or a name is too long.
#[must_use]
pub fn fat_numbers(entries: &BTreeMap<String, u64>, salt: u64) -> Option<Vec<u8>> {
    let mut hashed: Vec<(u64, &str, u64)> =
        entries.iter().map(|(name, number)| (hash(name, salt), name.as_str(), *number)).collect();
    if entries.keys().any(|name| name.len() >= NAME_BYTES) {
        return None;
    }
    hashed.sort_unstable();
    let mut leaves = Leaves { salted: &hashed, table: Vec::new(), blocks: Vec::new() };
    leaves.add(0..hashed.len(), 0, 0)?;
    let count = u64::try_from(leaves.blocks.len()).ok()?;
    let mut all = head(&leaves.table, count, entries.len(), salt);
    leaves.blocks.iter().for_each(|block| all.extend(block));
    Some(all)
}

/// Whether a block is the head of such a ZAP.
pub(super) fn is_head(block: &[u8]) -> bool {
    number(block, 0) == Some(HEAD[0]) && number(block, 8) == Some(HEAD[1])
}

/// What names are hashed with, by the head.
pub(super) fn salt(head: &[u8]) -> Option<u64> {
    number(head, SALT_AT)
}

/// The names in a leaf that have one number; nothing of a block that is no leaf.
pub(super) fn leaf_numbers(block: &[u8]) -> Vec<(String, u64)> {
    let is_leaf = number(block, 0) == Some(LEAF)
        && block.get(24..28) == Some(LEAF_MAGIC.to_ne_bytes().as_slice());
    let chains = block.len() / 16;
    let chunks = block.get(LEAF_HEAD_BYTES + chains..).filter(|_| is_leaf).unwrap_or_default();
    let entries = chunks.chunks_exact(CHUNK_BYTES);
    entries.filter_map(|entry| leaf_number(chunks, entry)).collect()
}

fn leaf_number(chunks: &[u8], entry: &[u8]) -> Option<(String, u64)> {
    let word = |at: usize| entry.get(at..)?.first_chunk().map(|word| u16::from_ne_bytes(*word));
    if entry.first_chunk() != Some(&[ENTRY, 8]) || word(10)? != 1 {
        return None;
    }
    let name = array(chunks, word(4)?, word(6)?.into())?;
    let name = name.strip_suffix(&[0])?;
    let value = array(chunks, word(8)?, 8)?;
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    Some((name.to_owned(), u64::from_be_bytes(*value.first_chunk()?)))
}

/// The bytes of a name or value. They end after as many chunks as they need, wherever those lead.
fn array(chunks: &[u8], first: u16, length: usize) -> Option<Vec<u8>> {
    if length > NAME_BYTES {
        return None;
    }
    let (mut bytes, mut at) = (Vec::new(), first);
    while bytes.len() < length {
        let chunk = chunks.get(usize::from(at) * CHUNK_BYTES..)?.get(..CHUNK_BYTES)?;
        let (kind, rest) = chunk.split_first()?;
        let (part, next) = rest.split_at_checked(ARRAY_BYTES)?;
        if *kind != ARRAY {
            return None;
        }
        bytes.extend_from_slice(part.get(..part.len().min(length - bytes.len()))?);
        at = u16::from_ne_bytes(*next.first_chunk()?);
    }
    Some(bytes)
}

fn number(block: &[u8], at: usize) -> Option<u64> {
    block.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

/// A head whose table is in its second half.
fn head(table: &[u64], leaves: u64, entries: usize, salt: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(FAT_BLOCK_BYTES);
    // Table: no blocks of its own, its size, nothing being copied. Then the first free block, leaves, entries, salt.
    let rest = [0, 0, TABLE_SHIFT.into(), 0, 0, leaves + 1, leaves, entries as u64, salt];
    HEAD.into_iter().chain(rest).for_each(|number| head.extend(number.to_ne_bytes()));
    head.resize(FAT_BLOCK_BYTES / 2, 0);
    table.iter().for_each(|leaf| head.extend(leaf.to_ne_bytes()));
    head
}

/// Leaves that are filled: each has the names whose hash begins with so many bits of its own.
struct Leaves<'a> {
    /// Hash, name and number, in the order of hashes.
    salted: &'a [(u64, &'a str, u64)],
    table: Vec<u64>,
    blocks: Vec<Vec<u8>>,
}

impl Leaves<'_> {
    /// Puts names into one leaf, or into two or more where they do not fit.
    fn add(&mut self, names: Range<usize>, prefix: u64, bits: u32) -> Option<()> {
        let part = self.salted.get(names.clone())?;
        let chunks: usize =
            part.iter().map(|(_, name, _)| 2 + (name.len() + 1).div_ceil(ARRAY_BYTES)).sum();
        if chunks > CHUNKS {
            if bits == TABLE_SHIFT {
                return None;
            }
            let is_left = |hash: u64| hash >> (63 - bits) & 1 == 0;
            let middle = names.start + part.partition_point(|(hash, ..)| is_left(*hash));
            self.add(names.start..middle, prefix << 1, bits + 1)?;
            return self.add(middle..names.end, prefix << 1 | 1, bits + 1);
        }
        let mut leaf = Leaf::new();
        let (mut last, mut collision) = (None, 0);
        for (hash, name, number) in part {
            collision = if last == Some(*hash) { collision + 1 } else { 0 };
            last = Some(*hash);
            leaf.add_at((name, *hash, collision), bits, 8, &number.to_be_bytes())?;
        }
        self.blocks.push(leaf.bytes(prefix, u16::try_from(bits).ok()?));
        let number = u64::try_from(self.blocks.len()).ok()?;
        self.table.resize(self.table.len() + (1 << (TABLE_SHIFT - bits)), number);
        Some(())
    }
}

struct Leaf {
    chains: Vec<u16>,
    chunks: Vec<[u8; CHUNK_BYTES]>,
    entries: u16,
}

impl Leaf {
    fn new() -> Self {
        Self { chains: vec![END; CHAINS], chunks: Vec::new(), entries: 0 }
    }

    /// Adds a name to the only leaf.
    fn add(&mut self, name: (&str, u64, u32), integer: u8, values: &[u8]) -> Option<()> {
        self.add_at(name, 0, integer, values)
    }

    /// Adds a name, with its hash and how many of that hash there were before, to a leaf that has so many bits of hashes for itself; `values` are
    /// integers of so many bytes. Those of one chain come in ascending order of their hashes.
    fn add_at(
        &mut self,
        (name, hash, collision): (&str, u64, u32),
        bits: u32,
        integer: u8,
        values: &[u8],
    ) -> Option<()> {
        let at = self.chunks.len();
        self.chunks.push([0; CHUNK_BYTES]);
        let terminated: Vec<u8> = name.bytes().chain([0]).collect();
        let name_at = self.array(&terminated)?;
        let values_at = self.array(values)?;
        let chain = usize::try_from(hash << bits >> (64 - CHAINS.ilog2())).ok()?;
        let next = std::mem::replace(self.chains.get_mut(chain)?, u16::try_from(at).ok()?);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        chunk.extend([ENTRY, integer]);
        let names = u16::try_from(terminated.len()).ok()?;
        let count = u16::try_from(values.len() / usize::from(integer)).ok()?;
        [next, name_at, names, values_at, count]
            .iter()
            .for_each(|word| chunk.extend(word.to_ne_bytes()));
        chunk.extend(collision.to_ne_bytes());
        chunk.extend(hash.to_ne_bytes());
        self.chunks.get_mut(at)?.copy_from_slice(&chunk);
        self.entries += 1;
        Some(())
    }

    /// Puts bytes into as many chunks as they take; answers the first.
    fn array(&mut self, bytes: &[u8]) -> Option<u16> {
        let first = u16::try_from(self.chunks.len()).ok()?;
        let mut parts = bytes.chunks(ARRAY_BYTES).peekable();
        while let Some(part) = parts.next() {
            let next = u16::try_from(self.chunks.len() + 1).ok()?;
            let next = if parts.peek().is_some() { next } else { END };
            let mut chunk = [0; CHUNK_BYTES];
            let (kind, rest) = chunk.split_first_mut()?;
            *kind = ARRAY;
            rest.get_mut(..part.len())?.copy_from_slice(part);
            rest.last_chunk_mut::<2>()?.copy_from_slice(&next.to_ne_bytes());
            self.chunks.push(chunk);
        }
        Some(first)
    }

    fn bytes(&self, prefix: u64, bits: u16) -> Vec<u8> {
        let used = u16::try_from(self.chunks.len()).unwrap_or(END);
        let all = u16::try_from(CHUNKS).unwrap_or(END);
        let first_free = if used == all { END } else { used };
        let mut block = Vec::with_capacity(FAT_BLOCK_BYTES);
        [LEAF, 0, prefix].iter().for_each(|number| block.extend(number.to_ne_bytes()));
        block.extend(LEAF_MAGIC.to_ne_bytes());
        // Free chunks, entries, bits of the hash that lead here, the first free chunk.
        [all - used, self.entries, bits, first_free]
            .iter()
            .for_each(|word| block.extend(word.to_ne_bytes()));
        block.resize(LEAF_HEAD_BYTES, 0);
        self.chains.iter().for_each(|chain| block.extend(chain.to_ne_bytes()));
        self.chunks.iter().for_each(|chunk| block.extend(chunk));
        for at in used..all {
            let next = if at + 1 == all { END } else { at + 1 };
            block.push(FREE);
            block.resize(block.len() + ARRAY_BYTES, 0);
            block.extend(next.to_ne_bytes());
        }
        block.resize(FAT_BLOCK_BYTES, 0);
        block
    }
}

/// CRC-64 of the name, begun with the salt; only its highest bits count. OpenZFS 2.3 `module/zfs/zap_micro.c`, `zap_hash`.
pub(super) fn hash(name: impl AsRef<[u8]>, salt: u64) -> u64 {
    let sum = name.as_ref().iter().fold(salt, |sum, byte| {
        (0..8).fold(sum ^ u64::from(*byte), |sum, _| {
            if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ POLYNOMIAL }
        })
    });
    sum & !((1 << (64 - HASH_BITS)) - 1)
}
