//! What follows records, turned from the other byte order. OpenZFS 2.3 `module/zfs/dmu.c`, `dmu_ot_byteswap`.

use crate::stream::ObjectType;

/// Types that are ZAPs. OpenZFS 2.3 `module/zfs/dmu.c`, `dmu_ot`, as far as datasets have them.
const ZAPS: [u32; 11] = [20, 21, 22, 24, 27, 28, 39, 40, 45, 46, 47];

/// Types that are numbers of 64 bits.
const NUMBERS: [u32; 3] = [26, 36, 2];

/// A type that says of itself what it is has its way of swapping in these bits: bytes, 16, 32 or 64 bits, ZAP.
const NEW_TYPE: u32 = 0x80;
const SWAP_MASK: u32 = 0x1f;

/// What a ZAP of one block begins with, what the head of one of many does, and what their leaves do.
const MICRO: u64 = (1 << 63) + 3;
const LEAF: u64 = 1 << 63;

/// Turns a block, or a bonus buffer, of this type into the byte order of this machine.
///
/// Attributes are left as they are: their readers see by their head which order it is. Leaves of large ZAPs mix widths, as their chunks have them.
pub(super) fn swap(object_type: ObjectType, data: &mut [u8]) {
    let number = object_type.0;
    if number & NEW_TYPE != 0 {
        match number & SWAP_MASK {
            1 => swap_words::<2>(data),
            2 => swap_words::<4>(data),
            3 => swap_words::<8>(data),
            4 => swap_zap(data),
            _ => {}
        }
    } else if ZAPS.contains(&number) {
        swap_zap(data);
    } else if NUMBERS.contains(&number) {
        swap_words::<8>(data);
    }
}

fn swap_words<const N: usize>(data: &mut [u8]) {
    data.chunks_exact_mut(N).for_each(<[u8]>::reverse);
}

/// OpenZFS 2.3 `module/zfs/zap_micro.c`, `zap_byteswap`; `module/zfs/zap_leaf.c`, `zap_leaf_byteswap`.
fn swap_zap(data: &mut [u8]) {
    let Some(kind) = data.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes).swap_bytes()) else {
        return;
    };
    match kind {
        MICRO => {
            let mut chunks = data.chunks_exact_mut(64);
            if let Some(head) = chunks.next() {
                swap_words::<8>(head.get_mut(..24).unwrap_or_default());
            }
            for entry in chunks {
                swap_words::<8>(entry.get_mut(..8).unwrap_or_default());
                swap_words::<4>(entry.get_mut(8..12).unwrap_or_default());
            }
        }
        LEAF => swap_leaf(data),
        _ => swap_words::<8>(data),
    }
}

/// A head of 48 bytes, a table of numbers of 16 bits, then chunks of 24 bytes: as many numbers in the table as a 32nd of the bytes of the block.
fn swap_leaf(data: &mut [u8]) {
    let table_bytes = data.len() / 32 * 2;
    let Some((head, rest)) = data.split_at_mut_checked(48) else { return };
    // Type; next leaf and prefix; magic and free chunks; entries, prefix length, free list.
    swap_words::<8>(head.get_mut(..24).unwrap_or_default());
    swap_words::<4>(head.get_mut(24..28).unwrap_or_default());
    swap_words::<2>(head.get_mut(28..36).unwrap_or_default());
    let Some((table, chunks)) = rest.split_at_mut_checked(table_bytes) else { return };
    swap_words::<2>(table);
    for chunk in chunks.chunks_exact_mut(24) {
        match chunk.first() {
            // An entry: type, width of its values, four numbers of 16 bits, which is 32 bits; then the hash.
            Some(252) => {
                swap_words::<2>(chunk.get_mut(2..12).unwrap_or_default());
                swap_words::<4>(chunk.get_mut(12..16).unwrap_or_default());
                swap_words::<8>(chunk.get_mut(16..24).unwrap_or_default());
            }
            // Free: type, filling, then the next free one.
            Some(253) => swap_words::<2>(chunk.get_mut(22..24).unwrap_or_default()),
            // A part of a name or value: its bytes as they are, and the next part.
            Some(251) => swap_words::<2>(chunk.get_mut(22..24).unwrap_or_default()),
            _ => {}
        }
    }
}
