//! How much a zvol must reserve so that writing to it can never run out of space.

use crate::units::Bytes;

/// What decides how much space a full zvol takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZvolSize {
    /// Its `volsize`.
    pub volsize: Bytes,
    /// Its `volblocksize`.
    pub volblocksize: Bytes,
    /// Its `copies`.
    pub copies: u64,
}

impl Default for ZvolSize {
    /// Nothing, in one copy, in the blocks of OpenZFS 2.2 and newer.
    fn default() -> Self {
        Self { volsize: Bytes::ZERO, volblocksize: Bytes::from_kib(16), copies: 1 }
    }
}

/// A top-level vdev that takes more space than is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParityLayout {
    /// raidz.
    Raidz {
        /// Disks in it.
        disks: u64,
        /// How many of them may fail.
        parity: u64,
        /// Its sector size, as a power of two.
        ashift: u32,
    },
    /// dRAID.
    Draid {
        /// Disks of data in each group.
        data: u64,
        /// Disks of parity in each group.
        parity: u64,
        /// Its sector size, as a power of two.
        ashift: u32,
    },
}

/// The block that the space a pool shows is reckoned by (`SPA_OLD_MAXBLOCKSIZE`).
const TYPICAL_BLOCK: u64 = 128 << 10;
/// `SPA_MINBLOCKSHIFT`
const SECTOR_SHIFT: u32 = 9;
/// The size of an indirect block, as a power of two (`DN_MAX_INDBLKSHIFT`).
const INDIRECT_SHIFT: u32 = 17;
/// Block pointers in an indirect block (`DNODES_PER_LEVEL`).
const POINTERS: u64 = 1 << (INDIRECT_SHIFT - 7);
/// Most copies of metadata (`SPA_DVAS_PER_BP`).
const DVAS: u64 = 3;
/// Blocks of the dnode of a dataset at every level.
const METADNODE_BLOCKS: u64 = 7;

/// The `refreservation` with which a zvol can always be written in full: its size, what parity and copies add, and its metadata.
/// It is the number that `zfs create -V` (without `-s`) and `refreservation=auto` set, by OpenZFS 2.4
/// `lib/libzfs/libzfs_dataset.c`, zvol_volsize_to_reservation. `vdevs` are the raidz and dRAID vdevs of the pool, none for a pool of mirrors
/// or single disks; [`Zfs::zvol_reservation`](crate::Zfs::zvol_reservation) finds them.
///
/// Saturates at 2^64 - 1 bytes.
///
/// ```
/// use zfsvol_core::Bytes;
/// use zfsvol_core::property::{ZvolSize, zvol_reservation};
///
/// let size = ZvolSize { volsize: Bytes::from_gib(1), ..ZvolSize::default() };
/// assert_eq!(zvol_reservation(size, &[]).get(), 1_092_616_192);
/// ```
#[must_use]
pub fn zvol_reservation(zvol: ZvolSize, vdevs: &[ParityLayout]) -> Bytes {
    let block = zvol.volblocksize.get().max(1);
    let blocks = zvol.volsize.get() / block;
    let data = vdevs.iter().map(|vdev| vdev.space(blocks, block)).max().filter(|space| *space > 0);
    let data = data.unwrap_or_else(|| u128::from(blocks) * u128::from(block));
    let metadata =
        u128::from(metadata_blocks(blocks)) * u128::from(DVAS.min(zvol.copies.saturating_add(1)));
    let total = data
        .saturating_mul(u128::from(zvol.copies))
        .saturating_add(metadata.saturating_mul(1 << INDIRECT_SHIFT));
    Bytes::new(u64::try_from(total).unwrap_or(u64::MAX))
}

fn metadata_blocks(mut blocks: u64) -> u64 {
    let mut count = METADNODE_BLOCKS;
    while blocks > 1 {
        blocks = blocks.div_ceil(POINTERS);
        count = count.saturating_add(blocks);
    }
    count
}

impl ParityLayout {
    /// The space that so many blocks are reckoned to take, in the pool's own reckoning, which takes every block for one of 128 KiB.
    fn space(self, blocks: u64, block: u64) -> u128 {
        let typical = u128::from(self.allocated(TYPICAL_BLOCK)) >> SECTOR_SHIFT;
        let allocated = u128::from(self.allocated(block));
        let scaled = u128::from(blocks).saturating_mul(allocated).checked_div(typical);
        scaled.unwrap_or(0).saturating_mul(u128::from(TYPICAL_BLOCK >> SECTOR_SHIFT))
    }

    /// What a block of that size takes on the disks.
    fn allocated(self, block: u64) -> u64 {
        match self {
            Self::Raidz { disks, parity, ashift } => {
                let data = disks.saturating_sub(parity).max(1);
                let sectors = block.saturating_sub(1).checked_shr(ashift).unwrap_or(0) + 1;
                let sectors = sectors.saturating_add(parity.saturating_mul(sectors.div_ceil(data)));
                let rounded =
                    sectors.checked_next_multiple_of(parity.saturating_add(1)).unwrap_or(u64::MAX);
                rounded.saturating_mul(sector(ashift))
            }
            Self::Draid { data, parity, ashift } => {
                let row = data.max(1).saturating_mul(sector(ashift));
                let rows = block.saturating_sub(1) / row + 1;
                rows.saturating_mul(data.saturating_add(parity)).saturating_mul(sector(ashift))
            }
        }
    }
}

fn sector(ashift: u32) -> u64 {
    1_u64.checked_shl(ashift).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parity_and_copies_cost_what_libzfs_reckons() {
        let size =
            ZvolSize { volsize: Bytes::from_gib(1), volblocksize: Bytes::from_kib(8), copies: 1 };
        // 131,072 blocks need 128 + 1 indirect blocks and 7 of the dnode, twice each.
        assert_eq!(zvol_reservation(size, &[]).get(), (1 << 30) + 136 * 2 * (128 << 10));
        let raidz1 = ParityLayout::Raidz { disks: 3, parity: 1, ashift: 12 };
        // 8 KiB takes 4 sectors of 4 KiB where 128 KiB takes 48: 16/192 for 8/128, a third more.
        let data = zvol_reservation(size, &[raidz1]).get() - 136 * 2 * (128 << 10);
        assert_eq!(data, 131_072 * 16_384 / (196_608 >> 9) * 256);
        let twice = ZvolSize { copies: 2, ..size };
        assert_eq!(zvol_reservation(twice, &[]).get(), (2 << 30) + 136 * 3 * (128 << 10));
        let draid = ParityLayout::Draid { data: 4, parity: 1, ashift: 12 };
        assert!(zvol_reservation(size, &[draid]) > zvol_reservation(size, &[]));
    }

    #[test]
    fn absurd_layouts_neither_panic_nor_wrap() {
        let size =
            ZvolSize { volsize: Bytes::new(u64::MAX), volblocksize: Bytes::ZERO, copies: u64::MAX };
        for ashift in [0, 9, 63, 64, u32::MAX] {
            for vdev in [
                ParityLayout::Raidz { disks: 0, parity: 1 << 62, ashift },
                ParityLayout::Draid { data: u64::MAX, parity: u64::MAX, ashift },
            ] {
                assert!(zvol_reservation(size, &[vdev]) <= Bytes::new(u64::MAX));
            }
        }
        assert_eq!(zvol_reservation(ZvolSize::default(), &[]).get(), 7 * 2 * (128 << 10));
    }
}
