//! Goes through the block pointers of a dataset in the order of `traverse_dataset`, and says what was found there.
//!
//! OpenZFS 2.3 `module/zfs/dmu_traverse.c`, `traverse_visitbp`; `module/zfs/dmu_send.c`, `send_cb`.

use super::Progress;
use crate::embedded::data::{
    Block, Dnode, DnodeBlock, Leaf, Node, Objset, Pointer, SLOTS_PER_BLOCK, Tree,
};
use crate::kernel::Errno;

/// The number that the spill block of an object has among its blocks: `DMU_SPILL_BLKID`.
pub(super) const SPILL_BLOCK: u64 = u64::MAX;

/// Bytes of a block of dnodes.
const DNODE_BLOCK_BYTES: u32 = 16 << 10;

/// Something to be sent: blocks of an object that follow one another, or the object itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'a> {
    /// The object; 0 for blocks of dnodes.
    pub(super) object: u64,
    /// The first block.
    pub(super) start: u64,
    /// Behind the last block.
    pub(super) end: u64,
    pub(super) kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    /// An object, or a slot that has none. A spill block that did not change goes with it.
    Object { dnode: Option<&'a Dnode>, block: &'a DnodeBlock, spill: Option<&'a Block> },
    /// A block of dnodes, before its objects.
    ObjectRange(&'a DnodeBlock),
    /// A block.
    Data { dnode: &'a Dnode, block: &'a Block },
    /// Nothing is there.
    Hole { block_bytes: u32 },
    /// Left out on purpose.
    Redact { block_bytes: u32 },
    /// Left out of what the increment starts from: to be looked up.
    PreviouslyRedacted,
}

/// What is done with a range.
pub(super) type Found<'f, 'a> = &'f mut dyn FnMut(Range<'a>) -> Result<(), Errno>;

/// Goes through what is younger than a transaction group.
pub(super) struct Walk<'a, 'p> {
    objset: &'a Objset,
    from_txg: u64,
    /// Object and block to go on with.
    resume: Option<(u64, u64)>,
    progress: &'p Progress,
    /// Holes behind the last block of an object are shown as well.
    whole_holes: bool,
}

impl<'a, 'p> Walk<'a, 'p> {
    pub(super) fn new(
        objset: &'a Objset,
        from_txg: u64,
        resume: Option<(u64, u64)>,
        progress: &'p Progress,
    ) -> Self {
        Self { objset, from_txg, resume, progress, whole_holes: false }
    }

    /// Shows holes as far as they reach, also behind the last block of an object.
    pub(super) fn with_whole_holes(mut self) -> Self {
        self.whole_holes = true;
        self
    }

    /// Hands every range to `found`, in ascending order.
    pub(super) fn run(&self, found: Found<'_, 'a>) -> Result<(), Errno> {
        if self.objset.birth() <= self.from_txg {
            return Ok(());
        }
        let tree = self.objset.dnodes();
        let place = Place { level: tree.levels() - 1, base: 0, shift: tree.shift() };
        self.dnodes(tree.children(), tree.roots().into(), 0, place, found)
    }

    /// Blocks of dnodes. The levels above those that are kept have nothing but holes behind the last object, which are never sent.
    fn dnodes(
        &self,
        children: &'a [(u16, Pointer<DnodeBlock>)],
        count: u64,
        hole: u64,
        place: Place,
        found: Found<'_, 'a>,
    ) -> Result<(), Errno> {
        self.pointers(children, count, hole, place, &mut |number, length, pointer| {
            let span = place.span();
            let end = (number + length).saturating_mul(span);
            if self.resume.is_some_and(|(object, _)| end.saturating_mul(SLOTS_PER_BLOCK) <= object)
            {
                return Ok(());
            }
            match pointer {
                Shown::Hole => {
                    self.progress.visit();
                    let kind = Kind::Hole { block_bytes: DNODE_BLOCK_BYTES };
                    let start = number.saturating_mul(span);
                    found(Range { object: 0, start, end, kind })
                }
                Shown::Node(node) => {
                    self.progress.visit();
                    let (children, hole) = (node.children(), node.hole_birth());
                    self.dnodes(children, place.fan_out(), hole, place.below(number), found)
                }
                Shown::Leaf(block) => self.objects(number, block, found),
            }
        })
    }

    fn objects(
        &self,
        number: u64,
        block: &'a DnodeBlock,
        found: Found<'_, 'a>,
    ) -> Result<(), Errno> {
        self.progress.visit();
        let kind = Kind::ObjectRange(block);
        found(Range { object: 0, start: number, end: number + 1, kind })?;
        let mut dnodes = block.dnodes().peekable();
        let mut slot = 0;
        while slot < SLOTS_PER_BLOCK {
            let object = number * SLOTS_PER_BLOCK + slot;
            let dnode = dnodes.next_if(|(at, _)| *at == slot).map(|(_, dnode)| dnode);
            slot += dnode.map_or(1, |dnode| dnode.slots.max(1).into());
            self.object(object, dnode, block, found)?;
        }
        Ok(())
    }

    fn object(
        &self,
        object: u64,
        dnode: Option<&'a Dnode>,
        block: &'a DnodeBlock,
        found: Found<'_, 'a>,
    ) -> Result<(), Errno> {
        if object == 0 || self.resume.is_some_and(|(first, _)| object < first) {
            return Ok(());
        }
        self.progress.visit();
        let spill = dnode.and_then(|dnode| dnode.spill.as_ref());
        let old_spill = spill.filter(|spill| spill.birth <= self.from_txg);
        let kind = Kind::Object { dnode, block, spill: old_spill };
        found(Range { object, start: 0, end: 0, kind })?;
        let Some(dnode) = dnode else { return Ok(()) };
        let tree: &Tree<Block> = &dnode.blocks;
        let place = Place { level: tree.levels() - 1, base: 0, shift: tree.shift() };
        self.blocks(object, dnode, (tree.children(), tree.roots().into(), 0), place, found)?;
        match spill.filter(|spill| spill.birth > self.from_txg) {
            // One past the number of a spill block is 0, so that resuming in the same object always has it behind itself.
            Some(_) if self.resume.is_some_and(|(first, _)| object == first) => Ok(()),
            Some(block) => {
                let kind = Kind::Data { dnode, block };
                found(Range { object, start: SPILL_BLOCK, end: 0, kind })
            }
            None => Ok(()),
        }
    }

    fn blocks(
        &self,
        object: u64,
        dnode: &'a Dnode,
        (children, count, hole): (&'a [(u16, Pointer<Block>)], u64, u64),
        place: Place,
        found: Found<'_, 'a>,
    ) -> Result<(), Errno> {
        let resume = self.resume.filter(|(first, _)| *first == object).map(|(_, block)| block);
        self.pointers(children, count, hole, place, &mut |number, length, pointer| {
            let span = place.span();
            // What was sent before is not sent again.
            let done = resume.map_or(0, |block| block / span);
            let (number, length) = match number.checked_add(length) {
                Some(end) if end <= done => return Ok(()),
                Some(end) if number < done => (done, end - done),
                _ => (number, length),
            };
            match pointer {
                Shown::Hole => self.hole(object, dnode, number, length, span, found),
                Shown::Node(node) => {
                    self.progress.visit();
                    let inner = (node.children(), place.fan_out(), node.hole_birth());
                    self.blocks(object, dnode, inner, place.below(number), found)
                }
                Shown::Leaf(block) => {
                    self.progress.visit();
                    let kind = Kind::Data { dnode, block };
                    found(Range { object, start: number, end: number + 1, kind })
                }
            }
        })
    }

    /// Holes of one level that follow one another. Those behind the last block are sent only of metadata.
    fn hole(
        &self,
        object: u64,
        dnode: &'a Dnode,
        number: u64,
        length: u64,
        span: u64,
        found: Found<'_, 'a>,
    ) -> Result<(), Errno> {
        self.progress.visit();
        let Some(start) = number.checked_mul(span) else { return Ok(()) };
        let mut length = length;
        if !dnode.object_type.is_metadata() && !self.whole_holes {
            if start > dnode.last_block {
                return Ok(());
            }
            length = length.min((dnode.last_block / span).saturating_sub(number).saturating_add(1));
        }
        let end = length.checked_mul(span).and_then(|blocks| start.checked_add(blocks));
        let kind = Kind::Hole { block_bytes: dnode.block_bytes };
        found(Range { object, start, end: end.unwrap_or(u64::MAX), kind })
    }

    /// Shows the pointers of a dnode or an indirect block that are young enough, and those that are holes since always, which may be another
    /// object's than before. Holes that follow one another are shown as one.
    fn pointers<L: Leaf>(
        &self,
        children: &'a [(u16, Pointer<L>)],
        count: u64,
        hole: u64,
        place: Place,
        visit: &mut dyn FnMut(u64, u64, Shown<'a, L>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let young = |birth: u64| birth == 0 || birth > self.from_txg;
        let mut next = 0;
        for (at, pointer) in children {
            let at = u64::from(*at);
            if at > next && young(hole) {
                visit(place.base + next, at - next, Shown::Hole)?;
            }
            next = at + 1;
            if young(pointer.birth()) {
                visit(place.base + at, 1, Shown::of(pointer))?;
            }
        }
        if count > next && young(hole) {
            visit(place.base + next, count - next, Shown::Hole)?;
        }
        Ok(())
    }
}

/// What a pointer leads to.
enum Shown<'a, L> {
    Hole,
    Leaf(&'a L),
    Node(&'a Node<L>),
}

impl<'a, L> Shown<'a, L> {
    fn of(pointer: &'a Pointer<L>) -> Self {
        match pointer {
            Pointer::Hole(_) => Self::Hole,
            Pointer::Leaf(leaf) => Self::Leaf(leaf),
            Pointer::Node(node) => Self::Node(node),
        }
    }
}

/// Where in a tree pointers are.
#[derive(Clone, Copy)]
struct Place {
    level: u8,
    /// The number of the first pointer among those of its level.
    base: u64,
    shift: u8,
}

impl Place {
    /// How many blocks a pointer stands for.
    fn span(self) -> u64 {
        1_u64.checked_shl(u32::from(self.level) * u32::from(self.shift)).unwrap_or(u64::MAX)
    }

    fn fan_out(self) -> u64 {
        1 << self.shift
    }

    /// The pointers of the indirect block that is the `number`th of this level.
    fn below(self, number: u64) -> Self {
        Self { level: self.level - 1, base: number << self.shift, shift: self.shift }
    }
}
