//! What is left out of a stream because every one of some clones has changed it: OpenZFS 2.3 `module/zfs/dmu_redact.c`.

use std::collections::BTreeMap;

use super::walk::{Kind, SPILL_BLOCK, Walk};
use super::{Progress, Redaction};
use crate::embedded::data::{Objset, SLOTS_PER_BLOCK};
use crate::kernel::Errno;
use crate::stream::Ranges;

/// What a redaction bookmark lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct RedactionList {
    /// The snapshots it is redacted by.
    pub(in crate::embedded) snapshots: Vec<u64>,
    /// What is left out, in ascending order.
    pub(in crate::embedded) blocks: Vec<Redaction>,
}

/// What was changed in a clone, or is not there any more.
struct Changed {
    objects: BTreeMap<u64, Ranges>,
    /// Numbers of objects.
    gone: Ranges,
}

impl Changed {
    /// What is younger in a clone than the snapshot it was made of.
    fn since(clone: &Objset, txg: u64) -> Result<Self, Errno> {
        let mut changed = Self { objects: BTreeMap::new(), gone: Ranges::default() };
        let progress = Progress::default();
        Walk::new(clone, txg, None, &progress).with_whole_holes().run(&mut |range| {
            match range.kind {
                Kind::Object { dnode: None, .. } => {
                    changed.gone.insert(range.object..range.object + 1);
                }
                Kind::Hole { .. } if range.object == 0 => {
                    let object = |block: u64| block.saturating_mul(SLOTS_PER_BLOCK);
                    changed.gone.insert(object(range.start)..object(range.end));
                }
                Kind::Data { .. } | Kind::Hole { .. } if range.start != SPILL_BLOCK => {
                    let ranges = changed.objects.entry(range.object).or_default();
                    ranges.insert(range.start..range.end);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(changed)
    }

    /// The parts of an object, as long as it is in the snapshot, that the clone has changed.
    fn of(&self, object: u64, blocks: u64) -> Ranges {
        if self.gone.iter().any(|gone| gone.contains(&object)) {
            let mut all = Ranges::default();
            all.insert(0..blocks);
            return all;
        }
        self.objects.get(&object).cloned().unwrap_or_default()
    }
}

/// What every clone has changed of a snapshot that was taken in `txg`. With no clone that is everything.
pub(super) fn redactions(
    snapshot: &Objset,
    txg: u64,
    clones: &[Objset],
) -> Result<Vec<Redaction>, Errno> {
    let changed: Vec<_> =
        clones.iter().map(|clone| Changed::since(clone, txg)).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    snapshot.for_each_object(|object, dnode| {
        if dnode.object_type.is_metadata() {
            return;
        }
        let blocks = dnode.last_block.saturating_add(1);
        let mut common = Ranges::default();
        common.insert(0..blocks);
        for changed in &changed {
            common = intersection(&common, &changed.of(object, blocks));
        }
        found.extend(common.iter().map(|range| Redaction {
            object,
            first: range.start,
            count: range.end - range.start,
            block_bytes: dnode.block_bytes,
        }));
    });
    Ok(found)
}

fn intersection(one: &Ranges, other: &Ranges) -> Ranges {
    let mut common = Ranges::default();
    let (mut ones, mut others) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(left), Some(right)) = (ones.peek(), others.peek()) {
        common.insert(left.start.max(right.start)..left.end.min(right.end));
        if left.end <= right.end {
            ones.next();
        } else {
            others.next();
        }
    }
    common
}
