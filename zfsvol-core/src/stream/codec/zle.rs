//! ZLE: runs of zeros in one byte, everything else as it is. A byte below 64 is followed by that many bytes and one more; one
//! from 64 on stands for that many zeros less 63. OpenZFS 2.3 `module/zfs/zle.c`, whose level is always 64.

/// The first byte that stands for zeros.
const ZEROS_FROM: usize = 64;

/// The longest run of zeros in one byte.
const ZEROS_MAX: usize = 256 - ZEROS_FROM;

pub(super) fn decompress(packed: &[u8], length: usize, plain: &mut Vec<u8>) -> Option<()> {
    let mut rest = packed;
    while plain.len() < length {
        let (code, data) = rest.split_first()?;
        let code = usize::from(*code);
        if code < ZEROS_FROM {
            let (bytes, after) = data.split_at_checked(code + 1)?;
            plain.extend(bytes);
            rest = after;
        } else {
            plain.resize(plain.len() + code - ZEROS_FROM + 1, 0);
            rest = data;
        }
    }
    Some(())
}

pub(super) fn compress(plain: &[u8], packed: &mut Vec<u8>) {
    let mut rest = plain;
    while !rest.is_empty() {
        let zeros = rest.iter().take(ZEROS_MAX).take_while(|byte| **byte == 0).count();
        let length = if zeros > 0 { zeros } else { literal(rest) };
        let (run, after) = rest.split_at(length.min(rest.len()));
        let code = if zeros > 0 { zeros - 1 + ZEROS_FROM } else { length - 1 };
        packed.push(u8::try_from(code).unwrap_or(u8::MAX));
        if zeros == 0 {
            packed.extend(run);
        }
        rest = after;
    }
}

/// How many bytes to take as they are: up to two zeros in a row, which are a run.
fn literal(bytes: &[u8]) -> usize {
    let pair = bytes.windows(2).position(|pair| pair == [0, 0]).unwrap_or(bytes.len());
    pair.clamp(1, ZEROS_FROM)
}
