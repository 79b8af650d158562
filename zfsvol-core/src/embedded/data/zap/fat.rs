//! ZAPs that names with arrays are kept in: a head with a table of leaves, and one leaf.
//!
//! `zap_phys_t` and `zap_leaf_phys_t`, OpenZFS 2.3 `include/sys/zap_impl.h`, `include/sys/zap_leaf.h`.

/// The size of their blocks: `1 << fzap_default_block_shift`.
pub const FAT_BLOCK_BYTES: usize = 16 << 10;

/// What the head begins with: `ZBT_HEADER`, `ZAP_MAGIC`.
const HEAD: [u64; 2] = [(1 << 63) + 1, 0x2_f52a_b2ab];

/// What a leaf begins with: `ZBT_LEAF`, and its `ZAP_LEAF_MAGIC`.
const LEAF: u64 = 1 << 63;
const LEAF_MAGIC: u32 = 0x2ab_1eaf;

/// Pointers to leaves in the second half of the head, as a power of two: `ZAP_EMBEDDED_PTRTBL_SHIFT`.
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
    let mut head = Vec::with_capacity(FAT_BLOCK_BYTES);
    // Table: no blocks of its own, its size, nothing being copied. Then the first free block, leaves, entries, salt.
    let rest = [0, 0, TABLE_SHIFT.into(), 0, 0, 2, 1, entries.len() as u64, salt];
    HEAD.into_iter().chain(rest).for_each(|number| head.extend(number.to_ne_bytes()));
    head.resize(FAT_BLOCK_BYTES / 2, 0);
    // All of the table leads to the one leaf.
    (0..1 << TABLE_SHIFT).for_each(|_| head.extend(1_u64.to_ne_bytes()));
    let leaf = Leaf::new(entries, salt)?;
    Some((head, leaf.bytes()))
}

struct Leaf {
    chains: Vec<u16>,
    chunks: Vec<[u8; CHUNK_BYTES]>,
    entries: u16,
}

impl Leaf {
    fn new(entries: &[FatEntry<'_>], salt: u64) -> Option<Self> {
        let mut leaf = Self { chains: vec![END; CHAINS], chunks: Vec::new(), entries: 0 };
        entries.iter().try_for_each(|entry| leaf.add(entry, salt))?;
        (leaf.chunks.len() <= CHUNKS).then_some(leaf)
    }

    fn add(&mut self, entry: &FatEntry<'_>, salt: u64) -> Option<()> {
        let hash = hash(entry.name, salt);
        let at = self.chunks.len();
        self.chunks.push([0; CHUNK_BYTES]);
        let name: Vec<u8> = entry.name.bytes().chain([0]).collect();
        // Numbers are the most significant byte first, whatever the machine.
        let values: Vec<u8> = entry.values.iter().flat_map(|value| value.to_be_bytes()).collect();
        let name_at = self.array(&name)?;
        let values_at = self.array(&values)?;
        let chain = usize::try_from(hash >> (64 - CHAINS.ilog2())).ok()?;
        let next = std::mem::replace(self.chains.get_mut(chain)?, u16::try_from(at).ok()?);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        chunk.extend([ENTRY, 2]);
        let (names, count) =
            (u16::try_from(name.len()).ok()?, u16::try_from(entry.values.len()).ok()?);
        [next, name_at, names, values_at, count]
            .iter()
            .for_each(|word| chunk.extend(word.to_ne_bytes()));
        chunk.extend([0; 4]);
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

    fn bytes(&self) -> Vec<u8> {
        let used = u16::try_from(self.chunks.len()).unwrap_or(END);
        let all = u16::try_from(CHUNKS).unwrap_or(END);
        let mut block = Vec::with_capacity(FAT_BLOCK_BYTES);
        [LEAF, 0, 0].iter().for_each(|number| block.extend(number.to_ne_bytes()));
        block.extend(LEAF_MAGIC.to_ne_bytes());
        // Free chunks, entries, bits of the hash that lead here, the first free chunk.
        [all - used, self.entries, 0, used]
            .iter()
            .for_each(|word| block.extend(word.to_ne_bytes()));
        block.resize(2 * CHUNK_BYTES, 0);
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
fn hash(name: &str, salt: u64) -> u64 {
    let sum = name.bytes().fold(salt, |sum, byte| {
        (0..8).fold(sum ^ u64::from(byte), |sum, _| {
            if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ POLYNOMIAL }
        })
    });
    sum & !((1 << (64 - HASH_BITS)) - 1)
}
