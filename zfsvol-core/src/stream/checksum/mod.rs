//! [`Fletcher4`]: the checksum of send streams, as quick as the machine can.
//!
//! Four running sums over the 32-bit words of the data, in the byte order of the stream: each word is added to the first, the first to
//! the second, and so on. OpenZFS 2.3 `module/zcommon/zfs_fletcher.c`. The sums of two pieces can be put together
//! without looking at the data again, so the words are dealt out to as many lanes as a register has, and joined at the end.

mod kernel;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod lanes;

use std::fmt;

pub use kernel::ChecksumKernel;

use crate::nvlist::ByteOrder;

/// Bytes of a word.
const WORD_BYTES: usize = 4;

/// Below this many bytes the lanes cost more than they save: records themselves, bonus buffers, embedded blocks.
const LANES_FROM: usize = 512;

/// Four sums of 64 bits, as streams carry them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checksum(pub [u64; 4]);

impl Checksum {
    /// The checksum of nothing, and what stands in a record that has none.
    pub const ZERO: Self = Self([0; 4]);

    /// Whether it is [`Checksum::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The sums of what this one is of, followed by `words` words of which `part` has the sums.
    fn followed_by(self, words: usize, part: Self) -> Self {
        let [a, b, c, d] = self.0;
        let [part_a, part_b, part_c, part_d] = part.0;
        // How often an earlier sum is added while the words pass: the binomials of their number.
        let n = words as u128;
        let once = low(n);
        let twice = low(n * (n + 1) / 2);
        let thrice = low(n * (n + 1) * (n + 2) / 6);
        let sum = |terms: &[(u64, u64)], part: u64| {
            terms.iter().fold(part, |sum, (x, times)| sum.wrapping_add(x.wrapping_mul(*times)))
        };
        Self([
            a.wrapping_add(part_a),
            sum(&[(b, 1), (a, once)], part_b),
            sum(&[(c, 1), (b, once), (a, twice)], part_c),
            sum(&[(d, 1), (c, once), (b, twice), (a, thrice)], part_d),
        ])
    }
}

/// As `zstream dump` prints it: `a/b/c/d` in hexadecimal.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:x}/{b:x}/{c:x}/{d:x}")
    }
}

/// As it is printed: as numbers, readers of JSON would round the sums.
impl serde::Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Checksum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sums: Option<Vec<u64>> =
            text.split('/').map(|sum| u64::from_str_radix(sum, 16).ok()).collect();
        let sums = sums.and_then(|sums| sums.try_into().ok());
        sums.map(Self).ok_or_else(|| {
            serde::de::Error::custom("a checksum is four hexadecimal numbers: `a/b/c/d`")
        })
    }
}

/// The low half.
#[expect(clippy::cast_possible_truncation, reason = "the sums are taken modulo 2^64, on purpose")]
fn low(number: u128) -> u64 {
    number as u64
}

/// A running fletcher4.
///
/// ```
/// use zfsvol_core::nvlist::ByteOrder;
/// use zfsvol_core::stream::Fletcher4;
///
/// let mut sum = Fletcher4::new(ByteOrder::Little);
/// sum.update(&[1, 0, 0, 0]);
/// sum.update(&[2, 0, 0, 0]);
/// assert_eq!(sum.value().to_string(), "3/4/5/6");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fletcher4 {
    sum: Checksum,
    byte_order: ByteOrder,
    kernel: ChecksumKernel,
}

impl Fletcher4 {
    /// The sum of nothing yet, of words in this byte order, with the quickest kernel of the machine.
    #[must_use]
    pub fn new(byte_order: ByteOrder) -> Self {
        Self::with_kernel(byte_order, ChecksumKernel::best())
    }

    /// As [`Fletcher4::new`], with a kernel of the caller's choice; one that the machine does not have counts as
    /// [`ChecksumKernel::Scalar`].
    #[must_use]
    pub fn with_kernel(byte_order: ByteOrder, kernel: ChecksumKernel) -> Self {
        let kernel = if kernel.is_available() { kernel } else { ChecksumKernel::Scalar };
        Self { sum: Checksum::ZERO, byte_order, kernel }
    }

    /// Goes on over `data`. Of a length that is no multiple of four the rest is ignored, as OpenZFS ignores it.
    pub fn update(&mut self, data: &[u8]) {
        let mut rest = data;
        if data.len() >= LANES_FROM {
            let (words, sum, tail) = self.kernel.run(data, self.byte_order);
            self.sum = self.sum.followed_by(words, sum);
            rest = tail;
        }
        self.sum = kernel::scalar(self.sum, rest, self.byte_order);
    }

    /// The sum of all that was updated with.
    #[must_use]
    pub fn value(&self) -> Checksum {
        self.sum
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.sum = Checksum::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    /// The definition, with nothing clever about it.
    fn plain(data: &[u8], byte_order: ByteOrder) -> Checksum {
        let (mut a, mut b, mut c, mut d) = (0_u64, 0_u64, 0_u64, 0_u64);
        for word in data.chunks_exact(4) {
            let word = <[u8; 4]>::try_from(word).unwrap();
            let word = match byte_order {
                ByteOrder::Little => u32::from_le_bytes(word),
                ByteOrder::Big => u32::from_be_bytes(word),
            };
            a = a.wrapping_add(word.into());
            b = b.wrapping_add(a);
            c = c.wrapping_add(b);
            d = d.wrapping_add(c);
        }
        Checksum([a, b, c, d])
    }

    fn of(kernel: ChecksumKernel, byte_order: ByteOrder, pieces: &[&[u8]]) -> Checksum {
        let mut sum = Fletcher4::with_kernel(byte_order, kernel);
        pieces.iter().for_each(|piece| sum.update(piece));
        sum.value()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect()
    }

    #[test]
    fn every_kernel_gives_the_sums_of_the_definition() {
        let noise = noise(1 << 20);
        let ones = vec![0xff; 1 << 20];
        for kernel in ChecksumKernel::available() {
            for order in ORDERS {
                for data in [&noise, &ones] {
                    let mut lengths: Vec<usize> = (0..200).map(|n| n * 4).collect();
                    lengths.extend([1 << 12, (1 << 12) + 4, (1 << 17) + 60, 1 << 20]);
                    for length in lengths {
                        let data = &data[..length];
                        assert_eq!(
                            of(kernel, order, &[data]),
                            plain(data, order),
                            "{kernel:?} {length}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn data_need_not_be_aligned() {
        let noise = noise(5000);
        for kernel in ChecksumKernel::available() {
            for start in 0..64 {
                let data = &noise[start..];
                let expected = plain(data, ByteOrder::Little);
                assert_eq!(of(kernel, ByteOrder::Little, &[data]), expected, "{kernel:?} {start}");
            }
        }
    }

    #[test]
    fn the_sums_of_openzfs_are_found() {
        // What OpenZFS's own test of the algorithm expects of one and of two words.
        let one = [1, 0, 0, 0];
        assert_eq!(plain(&one, ByteOrder::Little), Checksum([1, 1, 1, 1]));
        assert_eq!(plain(&one, ByteOrder::Big), Checksum([1 << 24; 4]));
        assert!(ChecksumKernel::available().any(|kernel| kernel == ChecksumKernel::Scalar));
        assert_eq!(Fletcher4::new(ByteOrder::Little).kernel, ChecksumKernel::best());
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_same_in_pieces(
            data in proptest::collection::vec(any::<u8>(), 0..6000),
            cuts in proptest::collection::vec(0_usize..1500, 0..4),
            big in any::<bool>(),
        ) {
            let order = if big { ByteOrder::Big } else { ByteOrder::Little };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| (cut * 4).min(data.len() / 4 * 4)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&data[from..cut]);
                from = cut;
            }
            pieces.push(&data[from..]);
            let expected = plain(&data, order);
            for kernel in ChecksumKernel::available() {
                prop_assert_eq!(of(kernel, order, &pieces), expected, "{:?}", kernel);
            }
        }
    }
}
