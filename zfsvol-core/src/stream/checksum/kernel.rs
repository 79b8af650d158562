//! [`ChecksumKernel`]: how the words are gone over; and the way of going over them one at a time.

use super::{Checksum, WORD_BYTES};
use crate::nvlist::ByteOrder;

/// How the words of the data are gone over. All give the same sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumKernel {
    /// One word after the other: what every machine can.
    Scalar,
    /// Four lanes in registers of NEON, on aarch64; words of the other byte order one after the other.
    Neon,
    /// Four lanes in the registers of AVX2.
    Avx2,
    /// Eight lanes in the registers of AVX-512; words of the other byte order as with AVX2.
    Avx512,
}

impl ChecksumKernel {
    /// From the simplest to the quickest.
    const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];

    /// The quickest that this machine has.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|kernel| kernel.is_available()).unwrap_or(Self::Scalar)
    }

    /// Those that this machine has.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// Whether this machine has it. The standard library asks the processor once and remembers.
    #[must_use]
    pub fn is_available(self) -> bool {
        // Miri runs no assembly.
        match self {
            Self::Scalar => true,
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Self::Neon => !cfg!(miri) && std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
            // With it AVX2 is used too.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                !cfg!(miri)
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx2")
            }
            _ => false,
        }
    }

    /// Sums up as many words as fill the lanes evenly: how many these were, their sums, and the data that is left.
    #[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
    pub(super) fn run(self, data: &[u8], byte_order: ByteOrder) -> (usize, Checksum, &[u8]) {
        super::lanes::run(self, data, byte_order)
    }

    /// There are no lanes here.
    #[cfg(not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_endian = "little")
    )))]
    pub(super) fn run(self, data: &[u8], _: ByteOrder) -> (usize, Checksum, &[u8]) {
        (0, Checksum::ZERO, data)
    }
}

/// One word after the other, going on from `sum`.
pub(super) fn scalar(sum: Checksum, data: &[u8], byte_order: ByteOrder) -> Checksum {
    match byte_order {
        ByteOrder::Little => scalar_by(sum, data, u32::from_le_bytes),
        ByteOrder::Big => scalar_by(sum, data, u32::from_be_bytes),
    }
}

#[inline(always)]
fn scalar_by(sum: Checksum, data: &[u8], word: impl Fn([u8; WORD_BYTES]) -> u32) -> Checksum {
    let [mut a, mut b, mut c, mut d] = sum.0;
    for bytes in data.chunks_exact(WORD_BYTES) {
        a = a.wrapping_add(bytes.first_chunk().map_or(0, |bytes| word(*bytes)).into());
        b = b.wrapping_add(a);
        c = c.wrapping_add(b);
        d = d.wrapping_add(c);
    }
    Checksum([a, b, c, d])
}
