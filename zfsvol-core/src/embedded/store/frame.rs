//! What the file of the log is made of: a head, two slots, then frames.
//!
//! | at byte | what |
//! |---|---|
//! | 0 | the head: what file this is, its format and its number |
//! | 512, 1024 | the slots, written in turns: up to where the log is durable |
//! | 4096 | frames, one after the other |
//!
//! All have a SHA-256 of what is in them, of the number of the file and of where they are, so that nothing damaged, misplaced or left over from
//! another file is taken for sound. Numbers are little-endian.

use sha2::{Digest as _, Sha256};

use super::Trouble;
use super::files::Medium;

/// The version of the format: of this file, and of every record in it (`engine/stored.rs`, `data/stored.rs`). Raise it with any change of
/// either; what has another version is refused.
pub(in crate::embedded) const FORMAT: u32 = 5;

const MAGIC: [u8; 16] = *b"zfsvol state\r\n\x1a\n";
/// What the head and each slot take: what a disk writes at once, or not at all.
const SECTOR: usize = 512;
/// Where the slots are.
const SLOTS: [u64; 2] = [512, 1024];
/// Where frames begin.
pub(super) const FRAMES: u64 = 4096;
const SUM_BYTES: usize = 32;
/// The number of a file.
pub(super) type FileId = [u8; 16];
/// Length, sequence, flags and sum.
pub(super) const FRAME_HEAD: usize = 8 + 8 + 1 + SUM_BYTES;
/// A transaction ends with this frame.
const LAST: u8 = 1;

/// Puts sectors and frames together, with their sum at the end.
fn sum(id: &FileId, at: u64, parts: &[&[u8]]) -> [u8; SUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update(id);
    hash.update(at.to_le_bytes());
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn sector(id: &FileId, at: u64, parts: &[&[u8]]) -> Vec<u8> {
    let mut sector = parts.concat();
    let sum = sum(id, at, parts);
    sector.extend_from_slice(&sum);
    sector.resize(SECTOR, 0);
    sector
}

/// The next of some bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

/// Writes the head of a new file.
pub(super) fn write_head(medium: &dyn Medium, id: &FileId) -> std::io::Result<()> {
    medium.write_at(&sector(id, 0, &[&MAGIC, &FORMAT.to_le_bytes(), id]), 0)
}

/// The number of a file.
pub(super) fn read_head(medium: &dyn Medium) -> Result<FileId, Trouble> {
    let damaged = |what: &str| Trouble::Damaged(what.to_owned());
    if medium.bytes()? < FRAMES {
        return Err(damaged("it is shorter than its head"));
    }
    let mut sector = [0; SECTOR];
    medium.read_at(&mut sector, 0)?;
    let mut rest = sector.as_slice();
    let magic: Option<[u8; 16]> = take(&mut rest);
    if magic != Some(MAGIC) {
        return Err(damaged("its first bytes are not those of such a file"));
    }
    let (format, id, sum_read) = (take(&mut rest), take(&mut rest), take(&mut rest));
    let (Some(format), Some(id), Some(sum_read)) = (format, id, sum_read) else {
        return Err(damaged("its head is too short"));
    };
    // Before the sum: what another version sums up, nobody knows.
    let number = u32::from_le_bytes(format);
    let is_sound = sum(&id, 0, &[&MAGIC, &format, &id]) == sum_read;
    match (number == FORMAT, is_sound) {
        (true, true) => Ok(id),
        (true, false) => Err(damaged("the sum of its head is wrong")),
        (false, true) => Err(Trouble::Version(number)),
        (false, false) => Err(Trouble::Damaged(format!(
            "the sum of its head is wrong; or it was written by a later version, in format {number}"
        ))),
    }
}

/// Up to where the log is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The last frame.
    pub(super) sequence: u64,
    /// Where it ends.
    pub(super) end: u64,
}

/// Writes a slot, in turns with the other.
pub(super) fn write_slot(
    medium: &dyn Medium,
    id: &FileId,
    turn: usize,
    slot: Slot,
) -> std::io::Result<()> {
    let at = SLOTS.get(turn % SLOTS.len()).copied().unwrap_or_default();
    let parts = [slot.sequence.to_le_bytes(), slot.end.to_le_bytes()];
    medium.write_at(&sector(id, at, &[&parts[0], &parts[1]]), at)
}

/// The newer slot, and whose turn it is next.
pub(super) fn read_slots(medium: &dyn Medium, id: &FileId) -> Result<(Slot, usize), Trouble> {
    let mut newest: Option<(Slot, usize)> = None;
    for (turn, at) in SLOTS.into_iter().enumerate() {
        let mut sector = [0; SECTOR];
        medium.read_at(&mut sector, at)?;
        let mut rest = sector.as_slice();
        let (sequence, end) = (take(&mut rest), take(&mut rest));
        let (Some(sequence), Some(end), Some(sum_read)) = (sequence, end, take(&mut rest)) else {
            continue;
        };
        // One that is being written when the power fails is no damage: the other one is there.
        if sum(id, at, &[&sequence, &end]) != sum_read {
            continue;
        }
        let slot = Slot { sequence: u64::from_le_bytes(sequence), end: u64::from_le_bytes(end) };
        if newest.is_none_or(|(newest, _)| newest.sequence < slot.sequence) {
            newest = Some((slot, turn + 1));
        }
    }
    newest.ok_or_else(|| Trouble::Damaged("neither of its slots is sound".to_owned()))
}

/// One frame, read.
pub(super) struct Frame {
    pub(super) payload: Vec<u8>,
    /// A transaction ends with it.
    pub(super) is_last: bool,
    /// Where the next begins.
    pub(super) end: u64,
}

/// Writes a frame, and answers where it ends.
pub(super) fn write_frame(
    medium: &dyn Medium,
    id: &FileId,
    at: u64,
    sequence: u64,
    payload: &[u8],
    is_last: bool,
) -> std::io::Result<u64> {
    let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
    let (sizes, flags) =
        ([length.to_le_bytes(), sequence.to_le_bytes()], [u8::from(is_last) * LAST]);
    let sum = sum(id, at, &[&sizes[0], &sizes[1], &flags, payload]);
    let head = [&sizes[0][..], &sizes[1], &flags, &sum].concat();
    let start = at.saturating_add(FRAME_HEAD as u64);
    medium.write_at(&head, at)?;
    medium.write_at(payload, start)?;
    Ok(start.saturating_add(length))
}

/// The frame that begins there and ends at `limit` or before; nothing if there is no sound one.
pub(super) fn read_frame(
    medium: &dyn Medium,
    id: &FileId,
    at: u64,
    sequence: u64,
    limit: u64,
) -> std::io::Result<Option<Frame>> {
    let start = at.saturating_add(FRAME_HEAD as u64);
    if start > limit {
        return Ok(None);
    }
    let mut head = [0; FRAME_HEAD];
    medium.read_at(&mut head, at)?;
    let mut rest = head.as_slice();
    let (length, number) = (take::<8>(&mut rest), take::<8>(&mut rest));
    let (flags, sum_read) = (take::<1>(&mut rest), take(&mut rest));
    let (Some(length), Some(number), Some(flags), Some(sum_read)) =
        (length, number, flags, sum_read)
    else {
        return Ok(None);
    };
    // Nothing is read that is not in the file, so no more memory is taken than it is long.
    let end = start.checked_add(u64::from_le_bytes(length)).filter(|end| *end <= limit);
    let bytes = end.and_then(|end| usize::try_from(end - start).ok());
    let (Some(end), Some(bytes)) = (end, bytes) else { return Ok(None) };
    if u64::from_le_bytes(number) != sequence {
        return Ok(None);
    }
    let mut payload = vec![0; bytes];
    medium.read_at(&mut payload, start)?;
    if sum(id, at, &[&length, &number, &flags, &payload]) != sum_read {
        return Ok(None);
    }
    Ok(Some(Frame { payload, is_last: flags == [LAST], end }))
}
