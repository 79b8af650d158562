//! Joins what changed with what is left out on purpose. OpenZFS 2.3 `module/zfs/dmu_send.c`, `find_next_range`, `send_reader_thread`.

use std::cmp::Ordering;

use super::walk::{Found, Kind, Range, Walk};
use super::{Progress, Redaction, Source};
use crate::embedded::data::{Dnode, Objset, SLOTS_PER_BLOCK};
use crate::kernel::Errno;

/// Hands everything that is to be sent to `found`, in ascending order.
pub(super) fn ranges<'a>(
    source: &'a Source,
    resume: Option<(u64, u64)>,
    progress: &Progress,
    found: Found<'_, 'a>,
) -> Result<(), Errno> {
    let from = source.from.as_ref();
    let walk = Walk::new(&source.objset, from.map_or(0, |from| from.txg), resume, progress);
    let previously = from.and_then(|from| from.redacted.as_deref());
    if previously.is_none() && source.redact.is_none() {
        return walk.run(found);
    }
    let mut changed = Vec::new();
    walk.run(&mut |range| {
        changed.push(range);
        Ok(())
    })?;
    let redact = list(source.redact.as_deref(), resume, |size| Kind::Redact { block_bytes: size });
    let previously = list(previously, resume, |_| Kind::PreviouslyRedacted);
    let mut queues = [redact, changed, previously].map(|ranges| Queue { ranges, next: 0 });
    while let Some((range, in_both_lists)) = next(&mut queues) {
        match range.kind {
            // It is left out on the receiving side already.
            _ if in_both_lists => {}
            Kind::PreviouslyRedacted => look_up(&source.objset, range, found)?,
            _ => found(range)?,
        }
    }
    Ok(())
}

/// The ranges of a redaction list, from the one on where a resumed stream goes on.
fn list<'a>(
    list: Option<&[Redaction]>,
    resume: Option<(u64, u64)>,
    kind: impl Fn(u32) -> Kind<'a>,
) -> Vec<Range<'a>> {
    let range = |each: &Redaction| Range {
        object: each.object,
        start: each.first,
        end: each.first.saturating_add(each.count),
        kind: kind(each.block_bytes),
    };
    let mut ranges: Vec<_> = list.unwrap_or_default().iter().map(range).collect();
    if let Some((object, block)) = resume {
        ranges.retain(|range| (range.object, range.end) > (object, block));
        if let Some(first) = ranges.first_mut().filter(|range| range.object == object) {
            first.start = first.start.max(block);
        }
    }
    ranges
}

struct Queue<'a> {
    ranges: Vec<Range<'a>>,
    next: usize,
}

impl<'a> Queue<'a> {
    fn front(&self) -> Option<&Range<'a>> {
        self.ranges.get(self.next)
    }

    fn pop(&mut self) {
        self.next += 1;
    }

    /// What is before `start` is done; a range of which nothing is left is gone.
    fn advance(&mut self, start: u64) {
        if let Some(range) = self.ranges.get_mut(self.next) {
            range.start = start;
            if range.start >= range.end {
                self.next += 1;
            }
        }
    }
}

/// Where the list of what is to be left out is among the queues, and where that of what was.
const REDACT: usize = 0;
const PREVIOUSLY: usize = 2;

/// The range that begins first; of those that begin together the one of the first queue, cut off where another begins or ends. Says also
/// whether both lists have it.
fn next<'a>(queues: &mut [Queue<'a>; 3]) -> Option<(Range<'a>, bool)> {
    let mut first: Option<(usize, Range<'a>)> = None;
    for (index, queue) in queues.iter().enumerate() {
        let Some(range) = queue.front() else { continue };
        if first.as_ref().is_none_or(|(_, best)| compare(range, best) == Ordering::Less) {
            first = Some((index, *range));
        }
    }
    let (index, range) = first?;
    if matches!(range.kind, Kind::ObjectRange(_)) {
        queues.get_mut(index)?.pop();
        return Some((range, false));
    }
    let together: Vec<bool> = queues
        .iter()
        .map(|queue| queue.front().is_some_and(|other| compare(other, &range) == Ordering::Equal))
        .collect();
    let is_together = |index: usize| together.get(index).copied().unwrap_or(false);
    let mut end = range.end;
    for (other_index, queue) in queues.iter().enumerate() {
        let Some(other) = queue.front().filter(|_| other_index != index) else { continue };
        if other.object > range.object || other.object == 0 {
            continue;
        }
        if end > other.start && !is_together(other_index) {
            end = other.start;
        } else if end > other.end {
            end = other.end;
        }
    }
    for (other_index, queue) in queues.iter_mut().enumerate() {
        if other_index != index && is_together(other_index) {
            queue.advance(end);
        }
    }
    let both = is_together(REDACT) && is_together(PREVIOUSLY);
    let queue = queues.get_mut(index)?;
    if end == range.end {
        queue.pop();
    } else {
        queue.advance(end);
    }
    Some((Range { end, ..range }, both))
}

/// Which begins first. A block of dnodes is before its objects, an object before its blocks. `send_range_start_compare`.
fn compare(one: &Range<'_>, other: &Range<'_>) -> Ordering {
    let place = |range: &Range<'_>| match range.object {
        0 => (range.start.saturating_mul(SLOTS_PER_BLOCK), 0),
        object => (object, range.start),
    };
    let rank = |range: &Range<'_>| match range.kind {
        Kind::ObjectRange(_) => 0,
        Kind::Object { .. } => 1,
        _ => 2,
    };
    let ((object, start), (other_object, other_start)) = (place(one), place(other));
    object.cmp(&other_object).then(rank(one).cmp(&rank(other))).then(start.cmp(&other_start))
}

/// Finds what is there now in place of what was left out before.
fn look_up<'a>(objset: &'a Objset, range: Range<'a>, found: Found<'_, 'a>) -> Result<(), Errno> {
    let dnode: &'a Dnode = match objset.object(range.object) {
        Ok(dnode) => dnode,
        // Whatever became of an object that is gone is sent with the rest.
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    // Releases before 2.4 forget the last block of an object here, and never send it.
    let last = dnode.last_block.saturating_add(1).min(range.end);
    let mut number = range.start;
    while number < last {
        let next = dnode.blocks.next(number).unwrap_or(last).min(last);
        if next > number {
            let kind = Kind::Hole { block_bytes: dnode.block_bytes };
            found(Range { object: range.object, start: number, end: next, kind })?;
        }
        if let Some(block) = dnode.blocks.get(next).filter(|_| next < last) {
            let kind = Kind::Data { dnode, block };
            found(Range { object: range.object, start: next, end: next + 1, kind })?;
        }
        number = next + 1;
    }
    Ok(())
}
