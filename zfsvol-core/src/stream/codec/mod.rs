//! Blocks compressed and decompressed as OpenZFS does it: the algorithms, and what stands in front of the data.
//!
//! zle, lzjb and gzip are always there; lz4 and zstd with the crate's feature `compression`.

mod lzjb;
mod zle;

use super::{Compression, Problem};

/// Fills `plain` with the block of `length` bytes that `packed` is, which may be filled up at its end.
///
/// # Errors
///
/// When it is no such block, or its compression is not known here.
pub(crate) fn decompress(
    compression: Compression,
    packed: &[u8],
    length: usize,
    plain: &mut Vec<u8>,
) -> Result<(), Problem> {
    plain.clear();
    let done = match compression {
        Compression::EMPTY => {
            plain.resize(length, 0);
            Some(())
        }
        Compression::LZJB => lzjb::decompress(packed, length, plain),
        Compression::ZLE => zle::decompress(packed, length, plain),
        Compression(5..=13) => gunzip(packed, length, plain),
        #[cfg(feature = "compression")]
        Compression::LZ4 => lz4(packed, length, plain),
        #[cfg(feature = "compression")]
        Compression::ZSTD => zstd(packed, length, plain),
        _ => {
            let reason = "a block is compressed in a way that is not built in: see the feature `compression`";
            return Err(Problem::Unsupported(reason));
        }
    };
    match done {
        Some(()) if plain.len() == length => Ok(()),
        _ => {
            Err(Problem::Payload(format!("no block of {length} bytes compressed by {compression}")))
        }
    }
}

/// Fills `packed` with the block, compressed; answers whether that made it shorter.
///
/// # Errors
///
/// When the compression is not known here.
pub(crate) fn compress(
    compression: Compression,
    plain: &[u8],
    packed: &mut Vec<u8>,
) -> Result<bool, Problem> {
    packed.clear();
    match compression {
        Compression::LZJB => lzjb::compress(plain, packed),
        Compression::ZLE => zle::compress(plain, packed),
        Compression(5..=13) => {
            let level = compression.0 - Compression::GZIP_1.0 + 1;
            packed.extend(miniz_oxide::deflate::compress_to_vec_zlib(plain, level));
        }
        #[cfg(feature = "compression")]
        Compression::LZ4 => {
            let data = lz4_flex::block::compress(plain);
            packed.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
            packed.extend(data);
        }
        #[cfg(feature = "compression")]
        Compression::ZSTD => zstd_frame(plain, packed),
        _ => {
            let reason = "this compression is not built in: see the feature `compression`";
            return Err(Problem::Unsupported(reason));
        }
    }
    Ok(packed.len() < plain.len())
}

fn gunzip(packed: &[u8], length: usize, plain: &mut Vec<u8>) -> Option<()> {
    let data = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, length).ok()?;
    *plain = data;
    Some(())
}

/// The length of the data in four bytes, most significant first, then the data. OpenZFS 2.3 `module/zfs/lz4_zfs.c`.
#[cfg(feature = "compression")]
fn lz4(packed: &[u8], length: usize, plain: &mut Vec<u8>) -> Option<()> {
    let (size, data) = packed.split_first_chunk()?;
    let data = data.get(..usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
    plain.resize(length, 0);
    let written = lz4_flex::block::decompress_into(data, plain).ok()?;
    (written == length).then_some(())
}

/// What a frame of Zstandard begins with, and OpenZFS leaves out.
#[cfg(feature = "compression")]
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Version 1.4.5 of the library and level 3, as OpenZFS notes them of its own blocks; receivers only show them.
#[cfg(feature = "compression")]
const ZSTD_VERSION_AND_LEVEL: u32 = 10_405 << 8 | 3;

/// The length of the frame, version and level in four bytes each, most significant first, then the frame without its magic number.
/// OpenZFS 2.3 `module/zstd/zfs_zstd.c`.
#[cfg(feature = "compression")]
fn zstd(packed: &[u8], length: usize, plain: &mut Vec<u8>) -> Option<()> {
    use std::io::Read;
    let (size, rest) = packed.split_first_chunk()?;
    let frame = rest.get(4..)?.get(..usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
    let frame = ZSTD_MAGIC.as_slice().chain(frame);
    let decoder = ruzstd::decoding::StreamingDecoder::new(frame).ok()?;
    // One more than is allowed shows that it is too long.
    let limit = u64::try_from(length).ok()?.checked_add(1)?;
    decoder.take(limit).read_to_end(plain).ok()?;
    (plain.len() == length).then_some(())
}

#[cfg(feature = "compression")]
fn zstd_frame(plain: &[u8], packed: &mut Vec<u8>) {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let frame = compress_to_vec(plain, CompressionLevel::Fastest);
    let frame = frame.strip_prefix(&ZSTD_MAGIC).unwrap_or_default();
    packed.extend(u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
    packed.extend(ZSTD_VERSION_AND_LEVEL.to_be_bytes());
    packed.extend(frame);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The compressions that are built in.
    fn all() -> Vec<Compression> {
        let always = [3, 5, 10, 13, 14].map(Compression);
        let more = if cfg!(feature = "compression") { [15, 16].as_slice() } else { &[] };
        always.into_iter().chain(more.iter().map(|number| Compression(*number))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_compressed_is_what_it_was(
            pieces in proptest::collection::vec((any::<[u8; 3]>(), 0_usize..900), 1..20),
        ) {
            let plain: Vec<u8> = pieces.iter().flat_map(|(bytes, times)| bytes.repeat(*times)).collect();
            for compression in all() {
                let (mut packed, mut again) = (Vec::new(), Vec::new());
                compress(compression, &plain, &mut packed).unwrap();
                packed.resize(packed.len().next_multiple_of(512), 0);
                decompress(compression, &packed, plain.len(), &mut again)
                    .unwrap_or_else(|error| panic!("{compression}: {error}"));
                prop_assert!(again == plain, "{}", compression);
            }
        }

        #[test]
        fn arbitrary_bytes_are_no_block_or_one_of_the_length_asked(
            packed in proptest::collection::vec(any::<u8>(), 0..600),
            length in 1_usize..5000,
        ) {
            for compression in all() {
                let mut plain = Vec::new();
                if decompress(compression, &packed, length, &mut plain).is_ok() {
                    prop_assert_eq!(plain.len(), length);
                }
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let error = decompress(Compression(17), &[1], 1, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, Problem::Unsupported(_)));
        assert!(compress(Compression::OFF, &[1], &mut Vec::new()).is_err());
    }
}
