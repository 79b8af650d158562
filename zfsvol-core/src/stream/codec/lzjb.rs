//! LZJB: a byte of flags, then for each bit a byte as it is or a copy of what came before, in two bytes: six bits of length less 3, ten
//! bits of distance. OpenZFS 2.3 `module/zfs/lzjb.c`.

/// The shortest copy.
const MATCH_MIN: usize = 3;

/// The longest copy.
const MATCH_MAX: usize = (1 << 6) + MATCH_MIN - 1;

/// Copies come from less than this far back.
const DISTANCES: usize = 1 << 10;

/// Places that are remembered when compressing.
const PLACES: usize = 1 << 10;

pub(super) fn decompress(packed: &[u8], length: usize, plain: &mut Vec<u8>) -> Option<()> {
    let mut bytes = packed.iter().copied();
    while plain.len() < length {
        let flags = bytes.next()?;
        for bit in 0..8 {
            if plain.len() >= length {
                break;
            }
            let first = bytes.next()?;
            if flags & (1 << bit) == 0 {
                plain.push(first);
                continue;
            }
            let (first, second) = (usize::from(first), usize::from(bytes.next()?));
            let distance = (first << 8 | second) % DISTANCES;
            let start = plain.len().checked_sub(distance)?;
            let end = (plain.len() + (first >> 2) + MATCH_MIN).min(length);
            // A copy may reach into what it has just made.
            for from in start..start + (end - plain.len()) {
                plain.push(*plain.get(from)?);
            }
        }
    }
    Some(())
}

pub(super) fn compress(plain: &[u8], packed: &mut Vec<u8>) {
    let mut places = [0; PLACES];
    let mut at = 0;
    while at < plain.len() {
        let flags_at = packed.len();
        packed.push(0);
        let mut flags = 0;
        for bit in 0..8 {
            let Some(byte) = plain.get(at) else { break };
            if let Some((length, distance)) = find(plain, at, &mut places) {
                flags |= 1 << bit;
                let code = (length - MATCH_MIN) << 10 | distance;
                packed.extend(u16::try_from(code).unwrap_or_default().to_be_bytes());
                at += length;
            } else {
                packed.push(*byte);
                at += 1;
            }
        }
        packed
            .get_mut(flags_at..)
            .unwrap_or_default()
            .iter_mut()
            .take(1)
            .for_each(|slot| *slot = flags);
    }
}

/// What is at `at` and was not long ago: how much of it, and how far back. Remembers the place.
fn find(plain: &[u8], at: usize, places: &mut [usize; PLACES]) -> Option<(usize, usize)> {
    let here = plain.get(at..)?;
    let [a, b, c] = *here.first_chunk::<MATCH_MIN>()?;
    let key = usize::from(a) << 6 ^ usize::from(b) << 3 ^ usize::from(c);
    // Places count from 1: 0 is none.
    let slot = places.get_mut(key % PLACES)?;
    let before = std::mem::replace(slot, at + 1).checked_sub(1)?;
    let distance = at - before;
    if distance == 0 || distance >= DISTANCES {
        return None;
    }
    let same = here.iter().zip(plain.get(before..)?).take(MATCH_MAX);
    let length = same.take_while(|(one, other)| one == other).count();
    (length >= MATCH_MIN).then_some((length, distance))
}
