//! [`Tree`]: the block pointers of an object, as ZFS keeps them: indirect blocks of many pointers, each with its birth.
//!
//! The shape is ZFS's own (levels, pointers in the dnode, fan-out), because it shows in streams: a hole that covers a whole indirect block
//! is sent as one, and holes have births. What is kept is sparse: a pointer that was always a hole takes nothing.

use std::sync::OnceLock;

use super::{Kept, Space, Txn};
use crate::kernel::Errno;

/// The most levels of a tree: `DN_MAX_LEVELS`, with indirect blocks of 4 KiB and data blocks of 512 bytes.
pub(super) const LEVELS_MAX: u8 = 16;

/// Bytes of a block pointer.
pub(crate) const POINTER_BYTES: u32 = 128;

/// What a pointer takes in a compressed indirect block, about: its checksum and address do not compress, the rest is mostly zero.
const POINTER_PACKED_BYTES: u32 = 60;

/// How many zeros LZ4 makes one byte of.
const ZEROS_PER_BYTE: u32 = 255;

/// What the lowest pointers of a tree point to.
pub trait Leaf: Clone {
    /// The transaction group it was written in.
    fn birth(&self) -> u64;
    /// What it takes.
    fn space(&self) -> Space;
}

/// A block pointer.
#[derive(Clone, Debug)]
pub enum Pointer<L> {
    /// Nothing is there. The number says since which transaction group; 0 is always.
    Hole(u64),
    /// A block.
    Leaf(L),
    /// An indirect block.
    Node(Kept<Node<L>>),
}

impl<L: Leaf> Pointer<L> {
    /// The transaction group it was written in; of a hole, the one since which it is one.
    pub fn birth(&self) -> u64 {
        match self {
            Self::Hole(birth) => *birth,
            Self::Leaf(leaf) => leaf.birth(),
            Self::Node(node) => node.birth,
        }
    }

    /// Whether nothing is there.
    pub fn is_hole(&self) -> bool {
        matches!(self, Self::Hole(_))
    }
}

/// Pointers by their place; those that are not there are holes.
pub(super) type Children<L> = Vec<(u16, Pointer<L>)>;

/// An indirect block.
#[derive(Clone, Debug)]
pub struct Node<L> {
    pub(super) birth: u64,
    /// Since when the pointers that are not in `children` are holes.
    pub(super) hole: u64,
    /// What it takes, as it was accounted.
    pub(super) space: Space,
    pub(super) children: Children<L>,
    /// What its pointers say together, where that was asked since the last change: see `seal`.
    pub(super) mac: OnceLock<[u8; 16]>,
}

impl<L: Leaf> Node<L> {
    /// The pointers, with their places, in ascending order.
    pub fn children(&self) -> &[(u16, Pointer<L>)] {
        &self.children
    }

    /// Since when the pointers that are not among the [`Self::children`] are holes.
    pub fn hole_birth(&self) -> u64 {
        self.hole
    }

    /// What its pointers say together, reckoned once.
    pub(super) fn mac(&self, reckon: impl FnOnce() -> [u8; 16]) -> [u8; 16] {
        *self.mac.get_or_init(reckon)
    }

    fn is_empty(&self) -> bool {
        self.children.iter().all(|(_, pointer)| pointer.is_hole())
    }
}

/// A tree of block pointers. Cloning shares all of it.
#[derive(Clone, Debug)]
pub struct Tree<L> {
    pub(super) roots: u8,
    pub(super) levels: u8,
    pub(super) shift: u8,
    pub(super) children: Children<L>,
}

impl<L: Leaf> Tree<L> {
    /// An empty tree of one level, with `roots` pointers in the dnode and `1 << shift` in an indirect block.
    #[must_use]
    pub fn new(roots: u8, shift: u8) -> Self {
        Self { roots: roots.max(1), levels: 1, shift: shift.clamp(1, 15), children: Vec::new() }
    }

    /// How many pointers are in the dnode.
    #[must_use]
    pub fn roots(&self) -> u8 {
        self.roots
    }

    /// How many levels it has; 1 is blocks alone.
    #[must_use]
    pub fn levels(&self) -> u8 {
        self.levels
    }

    /// How many pointers are in an indirect block, as a power of two.
    #[must_use]
    pub fn shift(&self) -> u8 {
        self.shift
    }

    /// The pointers in the dnode, those that are not holes since always.
    #[must_use]
    pub fn children(&self) -> &[(u16, Pointer<L>)] {
        &self.children
    }

    /// Whether it has no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.children.iter().all(|(_, pointer)| pointer.is_hole())
    }

    /// The block of this number; `None` where there is a hole.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&L> {
        let mut children = &self.children;
        let mut level = self.levels - 1;
        let mut index = place(number, level, self.shift).filter(|place| *place < self.roots.into());
        loop {
            match find(children, index?)? {
                Pointer::Hole(_) => return None,
                Pointer::Leaf(leaf) => return Some(leaf),
                Pointer::Node(node) => {
                    level = level.checked_sub(1)?;
                    children = &node.children;
                    index = place(number, level, self.shift).map(|place| place & self.mask());
                }
            }
        }
    }

    /// Changes the block of this number: `change` gets what is there and says what is to be there; nothing makes a hole, as writing zeros
    /// does where blocks are compressed. Levels are added as they are needed.
    pub fn update(
        &mut self,
        number: u64,
        txn: &mut Txn,
        change: impl FnOnce(Option<L>) -> Option<L>,
    ) {
        self.grow_to(number, txn);
        let level = self.levels - 1;
        let Some(index) = place(number, level, self.shift) else { return };
        let at = Descent { number, shift: self.shift, mask: self.mask() };
        update_in(&mut self.children, 0, index, level, at, txn, change);
    }

    /// Takes a block out to change it and put it back at once with [`Self::update`], without telling the transaction: what it took is the
    /// caller's to account.
    pub(super) fn take(&mut self, number: u64) -> Option<L> {
        let mut children = &mut self.children;
        let mut level = self.levels - 1;
        let mut index = place(number, level, self.shift)?;
        let mask = (1 << self.shift) - 1;
        loop {
            let at = children.binary_search_by_key(&index, |(place, _)| u64::from(*place)).ok()?;
            let (_, pointer) = children.get_mut(at)?;
            match pointer {
                Pointer::Hole(_) => return None,
                Pointer::Leaf(leaf) => {
                    let birth = leaf.birth();
                    return match std::mem::replace(pointer, Pointer::Hole(birth)) {
                        Pointer::Leaf(leaf) => Some(leaf),
                        _ => None,
                    };
                }
                Pointer::Node(node) => {
                    level = level.checked_sub(1)?;
                    index = place(number, level, self.shift)? & mask;
                    children = &mut node.make_mut().children;
                }
            }
        }
    }

    /// Puts a block there.
    pub fn set(&mut self, number: u64, leaf: L, txn: &mut Txn) {
        self.update(number, txn, |_| Some(leaf));
    }

    /// Frees the blocks from `first` to `last`, both included. OpenZFS 2.3 `module/zfs/dnode_sync.c`, `free_children`.
    pub fn free(&mut self, first: u64, last: u64, txn: &mut Txn) {
        if first > last {
            return;
        }
        free_in(&mut self.children, 0, self.levels - 1, self.shift, (first, last), txn);
    }

    /// Adds levels until there is room for the block of this number. OpenZFS 2.3 `module/zfs/dnode.c`, `dnode_new_blkid`.
    pub fn grow_to(&mut self, number: u64, txn: &mut Txn) {
        while self.levels < LEVELS_MAX
            && place(number, self.levels - 1, self.shift)
                .is_none_or(|place| place >= self.roots.into())
        {
            self.add_level(txn);
        }
    }

    /// Adds levels until there are this many. Raw streams say how many there are.
    pub fn set_levels(&mut self, levels: u8, txn: &mut Txn) {
        while self.levels < levels.min(LEVELS_MAX) {
            self.add_level(txn);
        }
    }

    /// What was in the dnode moves into the first indirect block. OpenZFS 2.3 `module/zfs/dnode_sync.c`, `dnode_increase_indirection`.
    fn add_level(&mut self, txn: &mut Txn) {
        self.levels += 1;
        if self.children.is_empty() {
            return;
        }
        let children = std::mem::take(&mut self.children);
        if children.iter().all(|(_, pointer)| pointer.is_hole()) {
            // An indirect block of holes is itself one.
            self.children = vec![(0, Pointer::Hole(txn.txg()))];
            return;
        }
        let mac = OnceLock::new();
        let node = Node { birth: txn.txg(), hole: 0, space: Space::ZERO, children, mac };
        self.children = vec![(0, settle(node, self.shift, txn))];
    }

    /// How many blocks there are from the first to that of the highest number, holes and all; 0 for none.
    #[must_use]
    pub fn end(&self) -> u64 {
        let mut children = &self.children;
        let mut number = 0_u64;
        loop {
            let last = children.iter().rev().find(|(_, pointer)| !pointer.is_hole());
            match last {
                None => return 0,
                Some((place, Pointer::Node(node))) => {
                    number = (number << self.shift) + u64::from(*place);
                    children = &node.children;
                }
                Some((place, _)) => return (number << self.shift) + u64::from(*place) + 1,
            }
        }
    }

    /// The number of the first block at or behind `from`.
    #[must_use]
    pub fn next(&self, from: u64) -> Option<u64> {
        next_in(&self.children, 0, self.levels - 1, self.shift, from)
    }

    /// Gives the dnode another number of pointers. What is in those that go must have been freed.
    pub(super) fn set_roots(&mut self, roots: u8) {
        self.roots = roots.max(1);
        self.children.retain(|(place, _)| *place < u16::from(roots.max(1)));
    }

    /// Calls `visit` for each block in ascending order, with its number.
    pub fn for_each(&self, mut visit: impl FnMut(u64, &L)) {
        each_in(&self.children, 0, self.shift, &mut visit);
    }

    /// Changes blocks born in `since` or later in a way that is not accounted, and that their birth does not show.
    pub(super) fn amend(
        &mut self,
        since: u64,
        mut change: impl FnMut(&mut L) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        amend_in(&mut self.children, since, &mut change)
    }

    /// What all its blocks take, indirect ones too.
    #[must_use]
    pub fn space(&self) -> Space {
        space_of(&self.children)
    }

    /// Frees everything, for an object that is freed.
    pub fn clear(&mut self, txn: &mut Txn) {
        for (_, pointer) in std::mem::take(&mut self.children) {
            kill(&pointer, txn);
        }
    }

    fn mask(&self) -> u64 {
        (1 << self.shift) - 1
    }
}

/// Which pointer of its level leads to a block; `None` beyond 64 bits.
fn place(number: u64, level: u8, shift: u8) -> Option<u64> {
    Some(number.checked_shr(u32::from(level) * u32::from(shift)).unwrap_or(0))
}

fn find<L>(children: &Children<L>, index: u64) -> Option<&Pointer<L>> {
    let at = children.binary_search_by_key(&index, |(place, _)| u64::from(*place)).ok()?;
    children.get(at).map(|(_, pointer)| pointer)
}

/// The number of a block, and how to find its way down.
#[derive(Clone, Copy)]
struct Descent {
    number: u64,
    shift: u8,
    mask: u64,
}

fn update_in<L: Leaf>(
    children: &mut Children<L>,
    hole: u64,
    index: u64,
    level: u8,
    at: Descent,
    txn: &mut Txn,
    change: impl FnOnce(Option<L>) -> Option<L>,
) {
    let Ok(key) = u16::try_from(index) else { return };
    let slot = children.binary_search_by_key(&key, |(place, _)| *place);
    let old = match slot {
        Ok(slot) => children
            .get_mut(slot)
            .map_or(Pointer::Hole(hole), |(_, old)| std::mem::replace(old, Pointer::Hole(hole))),
        Err(_) => Pointer::Hole(hole),
    };
    let new = if level == 0 {
        update_leaf(old, txn, change)
    } else {
        let mut node = open(old, txn);
        let lower = place(at.number, level - 1, at.shift).unwrap_or(0) & at.mask;
        let was = node.hole_before;
        update_in(&mut node.node.children, node.node.hole, lower, level - 1, at, txn, change);
        close(node.node, was, at.shift, txn)
    };
    match slot {
        Ok(slot) => {
            if let Some((_, pointer)) = children.get_mut(slot) {
                *pointer = new;
            }
        }
        Err(slot) => {
            if !matches!(new, Pointer::Hole(birth) if birth == hole) {
                children.insert(slot, (key, new));
            }
        }
    }
}

fn update_leaf<L: Leaf>(
    old: Pointer<L>,
    txn: &mut Txn,
    change: impl FnOnce(Option<L>) -> Option<L>,
) -> Pointer<L> {
    let birth = old.birth();
    let leaf = match old {
        Pointer::Leaf(leaf) => {
            txn.kill(birth, leaf.space());
            Some(leaf)
        }
        _ => None,
    };
    match change(leaf) {
        Some(leaf) => {
            txn.bear(leaf.space());
            Pointer::Leaf(leaf)
        }
        // What was never written stays a hole since always.
        None => Pointer::Hole(if birth == 0 { 0 } else { txn.txg() }),
    }
}

/// An indirect block that is being changed.
struct Open<L> {
    node: Node<L>,
    /// Its birth before, if it was a hole.
    hole_before: Option<u64>,
}

/// Takes an indirect block out to change it: what it took is killed. A hole becomes an indirect block of such holes.
fn open<L: Leaf>(pointer: Pointer<L>, txn: &mut Txn) -> Open<L> {
    match pointer {
        Pointer::Node(shared) => {
            let node = shared.into_value();
            txn.kill(node.birth, node.space);
            Open { node, hole_before: None }
        }
        other => {
            let hole = other.birth();
            let (children, mac) = (Vec::new(), OnceLock::new());
            let node = Node { birth: 0, hole, space: Space::ZERO, children, mac };
            Open { node, hole_before: Some(hole) }
        }
    }
}

/// Puts an indirect block back: one of holes alone is itself a hole.
fn close<L: Leaf>(node: Node<L>, hole_before: Option<u64>, shift: u8, txn: &mut Txn) -> Pointer<L> {
    if node.is_empty() {
        return Pointer::Hole(if hole_before == Some(0) { 0 } else { txn.txg() });
    }
    settle(node, shift, txn)
}

/// Gives an indirect block its birth and accounts it.
fn settle<L: Leaf>(mut node: Node<L>, shift: u8, txn: &mut Txn) -> Pointer<L> {
    let pointers = u32::try_from(node.children.len()).unwrap_or(u32::MAX);
    node.birth = txn.txg();
    node.mac = OnceLock::new();
    node.space = txn.policy().metadata_space(indirect_bytes(pointers, shift));
    txn.bear(node.space);
    Pointer::Node(Kept::new(node))
}

/// How long an indirect block with this many pointers is, compressed: an estimate, since there is no real one to be compressed.
pub(super) fn indirect_bytes(pointers: u32, shift: u8) -> u32 {
    let plain = POINTER_BYTES.checked_shl(shift.into()).unwrap_or(u32::MAX);
    let packed =
        pointers.saturating_mul(POINTER_PACKED_BYTES).saturating_add(plain / ZEROS_PER_BYTE);
    packed.max(1).next_multiple_of(super::txn::SECTOR_BYTES).min(plain)
}

/// Frees a range below these pointers; answers whether anything was there. `base` is the number of the first pointer.
fn free_in<L: Leaf>(
    children: &mut Children<L>,
    base: u64,
    level: u8,
    shift: u8,
    (first, last): (u64, u64),
    txn: &mut Txn,
) -> bool {
    let bits = u32::from(level) * u32::from(shift);
    let (from, to) = (first.checked_shr(bits).unwrap_or(0), last.checked_shr(bits).unwrap_or(0));
    let mut changed = false;
    for (place, pointer) in children.iter_mut() {
        let number = base + u64::from(*place);
        if number < from || number > to || pointer.is_hole() {
            continue;
        }
        let start = number.checked_shl(bits).unwrap_or(0);
        let end = start.saturating_add(1_u64.checked_shl(bits).map_or(u64::MAX, |span| span - 1));
        if first <= start && end <= last {
            kill(pointer, txn);
            *pointer = Pointer::Hole(txn.txg());
            changed = true;
            continue;
        }
        let Pointer::Node(node) = pointer else { continue };
        let (birth, space) = (node.birth, node.space);
        let inner = node.make_mut();
        if free_in(&mut inner.children, number << shift, level - 1, shift, (first, last), txn) {
            txn.kill(birth, space);
            let taken = std::mem::replace(pointer, Pointer::Hole(0));
            if let Pointer::Node(node) = taken {
                *pointer = close(node.into_value(), None, shift, txn);
            }
            changed = true;
        }
    }
    changed
}

/// Accounts all below a pointer as killed.
fn kill<L: Leaf>(pointer: &Pointer<L>, txn: &mut Txn) {
    match pointer {
        Pointer::Hole(_) => {}
        Pointer::Leaf(leaf) => {
            txn.kill(leaf.birth(), leaf.space());
        }
        Pointer::Node(node) => {
            node.children.iter().for_each(|(_, pointer)| kill(pointer, txn));
            txn.kill(node.birth, node.space);
        }
    }
}

fn each_in<L: Leaf>(children: &Children<L>, base: u64, shift: u8, visit: &mut impl FnMut(u64, &L)) {
    for (place, pointer) in children {
        let number = base + u64::from(*place);
        match pointer {
            Pointer::Hole(_) => {}
            Pointer::Leaf(leaf) => visit(number, leaf),
            Pointer::Node(node) => each_in(&node.children, number << shift, shift, visit),
        }
    }
}

fn amend_in<L: Leaf>(
    children: &mut Children<L>,
    since: u64,
    change: &mut impl FnMut(&mut L) -> Result<(), Errno>,
) -> Result<(), Errno> {
    for (_, pointer) in children.iter_mut().filter(|(_, pointer)| pointer.birth() >= since) {
        match pointer {
            Pointer::Hole(_) => {}
            Pointer::Leaf(leaf) => change(leaf)?,
            Pointer::Node(node) => {
                let node = node.make_mut();
                node.mac = OnceLock::new();
                amend_in(&mut node.children, since, change)?;
            }
        }
    }
    Ok(())
}

fn next_in<L: Leaf>(
    children: &Children<L>,
    base: u64,
    level: u8,
    shift: u8,
    from: u64,
) -> Option<u64> {
    let first = from.checked_shr(u32::from(level) * u32::from(shift)).unwrap_or(0);
    children.iter().filter(|(place, _)| base + u64::from(*place) >= first).find_map(
        |(place, pointer)| {
            let number = base + u64::from(*place);
            match pointer {
                Pointer::Hole(_) => None,
                Pointer::Leaf(_) => Some(number),
                Pointer::Node(node) => {
                    next_in(&node.children, number << shift, level - 1, shift, from)
                }
            }
        },
    )
}

fn space_of<L: Leaf>(children: &Children<L>) -> Space {
    children.iter().fold(Space::ZERO, |sum, (_, pointer)| match pointer {
        Pointer::Hole(_) => sum,
        Pointer::Leaf(leaf) => sum.plus(leaf.space()),
        Pointer::Node(node) => sum.plus(node.space).plus(space_of(&node.children)),
    })
}
