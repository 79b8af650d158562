//! The loops over the words: one word at a time, or a word for each lane of a register.
//!
//! The lanes are written once, in plain Rust over arrays, and compiled once for what every machine has (on aarch64 that is NEON) and
//! once for AVX2. Only AVX-512 is in assembly, because its intrinsics are newer than the oldest Rust this crate promises.
#![expect(
    unsafe_code,
    reason = "code compiled for AVX2 or AVX-512 may run only where the processor has it"
)]

use std::array;

use super::{Checksum, WORD_BYTES};
use crate::nvlist::ByteOrder;

/// Lanes of a register of AVX2, and of two of NEON.
const LANES: usize = 4;

/// Lanes of a register of AVX-512.
#[cfg(target_arch = "x86_64")]
const LANES_WIDE: usize = 8;

/// How the words of the data are gone over. All give the same sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumKernel {
    /// One word after the other.
    Scalar,
    /// Four lanes, with what every processor of this kind has: SSE2 on x86-64, NEON on aarch64.
    Lanes,
    /// Four lanes in the registers of AVX2.
    Avx2,
    /// Eight lanes in the registers of AVX-512.
    Avx512,
}

/// Four sums for each lane.
type Sums<const L: usize> = [[u64; L]; 4];

impl ChecksumKernel {
    /// From the simplest to the quickest.
    const ALL: [Self; 4] = [Self::Scalar, Self::Lanes, Self::Avx2, Self::Avx512];

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
        match self {
            Self::Scalar | Self::Lanes => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
            // The shuffle that swaps bytes is of AVX2, the rest of the foundation.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                !cfg!(miri)
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx2")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Sums up as many words as fill the lanes evenly: how many these were, their sums, and the data that is left.
    pub(super) fn run(self, data: &[u8], byte_order: ByteOrder) -> (usize, Checksum, &[u8]) {
        match self {
            Self::Scalar => (0, Checksum::ZERO, data),
            Self::Lanes => with_lanes::<LANES>(data, |blocks| lanes(blocks, byte_order)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => with_lanes::<LANES>(data, |blocks| {
                // SAFETY: the processor must have AVX2. `Fletcher4` takes a kernel only after `is_available` has said so.
                unsafe { lanes_avx2(blocks, byte_order) }
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => with_lanes::<LANES_WIDE>(data, |blocks| {
                // SAFETY: the processor must have AVX2 and AVX-512F. `Fletcher4` takes a kernel only after `is_available` has
                // said so.
                unsafe { lanes_avx512(blocks, byte_order) }
            }),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => (0, Checksum::ZERO, data),
        }
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

/// Runs `kernel` on whole rounds of `L` words, and joins the lanes.
#[inline(always)]
fn with_lanes<const L: usize>(
    data: &[u8],
    kernel: impl FnOnce(&[u8]) -> Sums<L>,
) -> (usize, Checksum, &[u8]) {
    let round = L * WORD_BYTES;
    let whole = data.len() / round * round;
    let (blocks, rest) = data.split_at_checked(whole).unwrap_or((&[], data));
    if blocks.is_empty() {
        return (0, Checksum::ZERO, data);
    }
    (whole / WORD_BYTES, join(&kernel(blocks)), rest)
}

#[inline(always)]
fn lanes<const L: usize>(blocks: &[u8], byte_order: ByteOrder) -> Sums<L> {
    match byte_order {
        ByteOrder::Little => lanes_by(blocks, u32::from_le_bytes),
        ByteOrder::Big => lanes_by(blocks, u32::from_be_bytes),
    }
}

/// Each lane takes every `L`-th word.
#[inline(always)]
fn lanes_by<const L: usize>(blocks: &[u8], word: impl Fn([u8; WORD_BYTES]) -> u32) -> Sums<L> {
    let [mut a, mut b, mut c, mut d] = [[0; L]; 4];
    for block in blocks.chunks_exact(L * WORD_BYTES) {
        let mut words = block.chunks_exact(WORD_BYTES);
        let words: [u64; L] = array::from_fn(|_| {
            words.next().and_then(<[u8]>::first_chunk).map_or(0, |bytes| word(*bytes)).into()
        });
        add(&mut a, &words);
        add(&mut b, &a);
        add(&mut c, &b);
        add(&mut d, &c);
    }
    [a, b, c, d]
}

#[inline(always)]
fn add<const L: usize>(sums: &mut [u64; L], numbers: &[u64; L]) {
    sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum = sum.wrapping_add(*number));
}

/// The lanes in registers of AVX2: the compiler makes them of the plain loop.
///
/// # Safety
///
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn lanes_avx2(blocks: &[u8], byte_order: ByteOrder) -> Sums<LANES> {
    lanes(blocks, byte_order)
}

/// Reverses the bytes of each word of a register of AVX2.
#[cfg(target_arch = "x86_64")]
const SWAP: [u8; 32] = [
    3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, //
    3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
];

/// The bytes of each word as they are.
#[cfg(target_arch = "x86_64")]
const KEEP: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, //
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// The lanes in registers of AVX-512.
///
/// # Safety
///
/// The processor has AVX2 and AVX-512F.
#[cfg(target_arch = "x86_64")]
unsafe fn lanes_avx512(blocks: &[u8], byte_order: ByteOrder) -> Sums<LANES_WIDE> {
    let shuffle = if byte_order == ByteOrder::Little { &KEEP } else { &SWAP };
    let mut sums = [[0; LANES_WIDE]; 4];
    let range = blocks.as_ptr_range();
    if blocks.len() < LANES_WIDE * WORD_BYTES || blocks.len() % (LANES_WIDE * WORD_BYTES) != 0 {
        return sums;
    }
    // SAFETY: the loop reads 32 bytes at a time from the start of `blocks` to its end, which is a multiple of 32 and at least
    // 32 bytes away, as was just checked; it reads the 32 bytes of `shuffle` and writes the 256 bytes of `sums`, both of
    // which live in this frame or longer. The registers it changes are named, the upper halves with their lower ones, and it
    // leaves them clean for code without AVX. The instructions exist by this function's contract.
    unsafe {
        std::arch::asm!(
            "vmovdqu ymm5, [{shuffle}]",
            "vpxor xmm0, xmm0, xmm0",
            "vpxor xmm1, xmm1, xmm1",
            "vpxor xmm2, xmm2, xmm2",
            "vpxor xmm3, xmm3, xmm3",
            "2:",
            "vmovdqu ymm4, [{at}]",
            "vpshufb ymm4, ymm4, ymm5",
            "vpmovzxdq zmm4, ymm4",
            "add {at}, 32",
            "vpaddq zmm0, zmm0, zmm4",
            "vpaddq zmm1, zmm1, zmm0",
            "vpaddq zmm2, zmm2, zmm1",
            "vpaddq zmm3, zmm3, zmm2",
            "cmp {at}, {end}",
            "jb 2b",
            "vmovdqu64 [{sums}], zmm0",
            "vmovdqu64 [{sums} + 64], zmm1",
            "vmovdqu64 [{sums} + 128], zmm2",
            "vmovdqu64 [{sums} + 192], zmm3",
            "vzeroupper",
            at = inout(reg) range.start => _,
            end = in(reg) range.end,
            shuffle = in(reg) shuffle.as_ptr(),
            sums = in(reg) sums.as_mut_ptr(),
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            options(nostack),
        );
    }
    sums
}

/// The sums of all words, from those of the lanes.
///
/// A word that is the `k`-th from the end in lane `j` is the `L k - j`-th from the end of all. Its weights in the four sums are the
/// binomials of its place; these express the second kind by the first.
fn join<const L: usize>(lanes: &Sums<L>) -> Checksum {
    let [a, b, c, d] = lanes;
    let l = L as u64;
    let mut total = [0_u64; 4];
    for (j, (((a, b), c), d)) in (0_u64..).zip(a.iter().zip(b).zip(c).zip(d)) {
        let before = j.saturating_sub(1);
        let term = |sum: &u64, times: u64| sum.wrapping_mul(times);
        let sums = [
            *a,
            term(b, l).wrapping_sub(term(a, j)),
            term(c, l * l)
                .wrapping_sub(term(b, l * (l - 1 + 2 * j) / 2))
                .wrapping_add(term(a, j * before / 2)),
            term(d, l * l * l)
                .wrapping_sub(term(c, l * l * (l + j - 1)))
                .wrapping_add(term(b, l * (l * l + 3 * l * j + 3 * j * j + 2 - 3 * l - 6 * j) / 6))
                .wrapping_sub(term(a, j * before * j.saturating_sub(2) / 6)),
        ];
        add(&mut total, &sums);
    }
    Checksum(total)
}
