//! Contents as they are kept in a directory.
//!
//! What datasets share ([`Kept`]) is written once, under its number; whoever has it, has the number. A value is written before what refers to
//! it, so its number is the smaller one: they are read in ascending order, and nothing can refer to itself.
//!
//! **Who adds a field**: structs are taken apart here field by field, so nothing compiles until the new one is written and read, or said to be
//! worth nothing after a restart (`field: _`).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::kept::Freed;
use super::tree::LEVELS_MAX;
use super::{
    Block, Content, Data, Dnode, DnodeBlock, Encryption, Kept, Leaf, MetaDnode, Node, Objset,
    ObjsetType, Pointer, Space, Tree, UsedFeatures,
};
use crate::embedded::store::codec::{Malformed, Reader, Writer};
use crate::stream::{Compression, CryptParams, ObjectType};

type Result<T> = std::result::Result<T, Malformed>;

/// Gives numbers to what is shared, and has what is new written.
pub(in crate::embedded) struct Keeper<'a> {
    /// The last number that was given.
    pub(in crate::embedded) last: &'a mut u64,
    pub(in crate::embedded) freed: &'a Freed,
    /// What is new, by its number.
    pub(in crate::embedded) new: Vec<(u64, NewValue)>,
}

/// What is to be written of a shared value.
pub(in crate::embedded) enum NewValue {
    /// As it is put together.
    Packed(Writer),
    /// The bytes of a block, which are not copied.
    Data(Data),
}

/// What kind a shared value is: the first byte of what is kept of it.
pub(in crate::embedded) const KIND_DATA: u8 = 0;
const KIND_DNODE: u8 = 1;
const KIND_BLOCKS: u8 = 2;
const KIND_DNODES: u8 = 3;

impl Keeper<'_> {
    /// The number of a value; one that has none is given one, and written.
    fn number_of<T>(&mut self, kept: &Kept<T>, new: impl FnOnce(&mut Self) -> NewValue) -> u64 {
        if let Some(number) = kept.number() {
            return number;
        }
        // What it refers to is written first.
        let value = new(self);
        *self.last = self.last.saturating_add(1);
        kept.keep(*self.last, self.freed);
        self.new.push((*self.last, value));
        *self.last
    }
}

/// The shared values that were read, by number.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Shelf(BTreeMap<u64, Value>);

#[derive(Debug)]
enum Value {
    Data(Data),
    Dnode(Kept<Dnode>),
    Blocks(Kept<Node<Block>>),
    Dnodes(Kept<Node<DnodeBlock>>),
}

impl Shelf {
    /// Adds the bytes of a block.
    pub(in crate::embedded) fn add_data(&mut self, number: u64, data: Data, freed: &Freed) {
        data.keep(number, freed);
        self.0.insert(number, Value::Data(data));
    }

    /// Adds another value; all that it refers to is there.
    ///
    /// # Errors
    /// [`Malformed`] when it is none, or what it refers to is not there.
    pub(in crate::embedded) fn add(
        &mut self,
        number: u64,
        packed: &[u8],
        freed: &Freed,
    ) -> Result<()> {
        let (kind, packed) = packed.split_first().ok_or(Malformed)?;
        let mut input = Reader::new(packed);
        let value = match *kind {
            KIND_DNODE => Value::Dnode(keep(take_dnode(self, &mut input)?, number, freed)),
            KIND_BLOCKS => Value::Blocks(keep(take_node(self, &mut input)?, number, freed)),
            KIND_DNODES => Value::Dnodes(keep(take_node(self, &mut input)?, number, freed)),
            _ => return Err(Malformed),
        };
        input.end()?;
        self.0.insert(number, value);
        Ok(())
    }
}

fn keep<T>(value: T, number: u64, freed: &Freed) -> Kept<T> {
    let kept = Kept::new(value);
    kept.keep(number, freed);
    kept
}

/// What the lowest pointers of a tree point to, as it is kept.
pub(super) trait KeptLeaf: Leaf + Sized {
    const KIND: u8;
    fn put(&self, keeper: &mut Keeper<'_>, out: &mut Writer);
    fn take(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Self>;
    fn node(shelf: &Shelf, number: u64) -> Result<Kept<Node<Self>>>;
}

impl KeptLeaf for Block {
    const KIND: u8 = KIND_BLOCKS;

    fn put(&self, keeper: &mut Keeper<'_>, out: &mut Writer) {
        put_block(self, keeper, out);
    }

    fn take(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Self> {
        take_block(shelf, input)
    }

    fn node(shelf: &Shelf, number: u64) -> Result<Kept<Node<Self>>> {
        match shelf.0.get(&number) {
            Some(Value::Blocks(node)) => Ok(node.clone()),
            _ => Err(Malformed),
        }
    }
}

impl KeptLeaf for DnodeBlock {
    const KIND: u8 = KIND_DNODES;

    fn put(&self, keeper: &mut Keeper<'_>, out: &mut Writer) {
        put_dnode_block(self, keeper, out);
    }

    fn take(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Self> {
        take_dnode_block(shelf, input)
    }

    fn node(shelf: &Shelf, number: u64) -> Result<Kept<Node<Self>>> {
        match shelf.0.get(&number) {
            Some(Value::Dnodes(node)) => Ok(node.clone()),
            _ => Err(Malformed),
        }
    }
}

/// The content of a dataset.
pub(in crate::embedded) fn put_objset(objset: &Objset, keeper: &mut Keeper<'_>, out: &mut Writer) {
    let Objset {
        objset_type,
        birth,
        root_space,
        dnodes,
        last_block,
        features,
        meta,
        portable_mac,
        unsealed,
        sealed,
    } = objset;
    out.number(objset_type.number());
    out.number(*birth);
    put_space(root_space, out);
    put_tree(dnodes, keeper, out);
    out.number(*last_block);
    out.number(features.bits());
    let MetaDnode { levels, checksum, compression } = meta;
    out.number(*levels);
    out.number(*checksum);
    out.number(compression.0);
    out.option(portable_mac.as_deref(), Writer::bytes);
    out.flag(*unsealed);
    out.number(*sealed);
}

/// The same, read.
pub(in crate::embedded) fn take_objset(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Objset> {
    Ok(Objset {
        objset_type: ObjsetType::from_number(input.small()?).ok_or(Malformed)?,
        birth: input.number()?,
        root_space: take_space(input)?,
        dnodes: take_tree(shelf, input)?,
        last_block: input.number()?,
        features: UsedFeatures::from_bits(input.small()?).ok_or(Malformed)?,
        meta: MetaDnode {
            levels: input.small()?,
            checksum: input.small()?,
            compression: Compression(input.small()?),
        },
        portable_mac: input.option(Reader::bytes)?.map(Into::into),
        unsealed: input.flag()?,
        sealed: input.number()?,
    })
}

fn put_space(space: &Space, out: &mut Writer) {
    let Space { used, compressed, uncompressed } = *space;
    out.number(used);
    out.number(compressed);
    out.number(uncompressed);
}

fn take_space(input: &mut Reader<'_>) -> Result<Space> {
    Ok(Space { used: input.number()?, compressed: input.number()?, uncompressed: input.number()? })
}

fn put_tree<L: KeptLeaf>(tree: &Tree<L>, keeper: &mut Keeper<'_>, out: &mut Writer) {
    let Tree { roots, levels, shift, children } = tree;
    out.number(*roots);
    out.number(*levels);
    out.number(*shift);
    put_children(children, keeper, out);
}

fn take_tree<L: KeptLeaf>(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Tree<L>> {
    let (roots, levels, shift) = (input.small::<u8>()?, input.small::<u8>()?, input.small::<u8>()?);
    if roots == 0 || !(1..=LEVELS_MAX).contains(&levels) || !(1..=15).contains(&shift) {
        return Err(Malformed);
    }
    let children = take_children(shelf, input)?;
    check_depth(&children, levels - 1)?;
    check_places(&children, roots.into())?;
    Ok(Tree { roots, levels, shift, children })
}

/// That nothing is at another level than its tree says: a block is at level 0 and nowhere else. Of what is below, the first is representative: a
/// node was looked at when it was read.
fn check_depth<L: KeptLeaf>(children: &[(u16, Pointer<L>)], level: u8) -> Result<()> {
    for (_, pointer) in children {
        match (pointer, level) {
            (Pointer::Hole(_), _) | (Pointer::Leaf(_), 0) => {}
            (Pointer::Node(node), 1..) if height(node) == Some(level) => {}
            _ => return Err(Malformed),
        }
    }
    Ok(())
}

/// How many levels a node and those below it are, where it is not of holes alone.
fn height<L: KeptLeaf>(node: &Node<L>) -> Option<u8> {
    let below = node.children.iter().find_map(|(_, pointer)| match pointer {
        Pointer::Hole(_) => None,
        Pointer::Leaf(_) => Some(Some(0)),
        Pointer::Node(node) => Some(height(node)),
    });
    below?.and_then(|below| below.checked_add(1)).filter(|height| *height <= LEVELS_MAX)
}

fn check_places<L>(children: &[(u16, Pointer<L>)], end: u32) -> Result<()> {
    let mut next = 0;
    for (place, _) in children {
        let place = u32::from(*place);
        if place < next || place >= end {
            return Err(Malformed);
        }
        next = place + 1;
    }
    Ok(())
}

fn put_children<L: KeptLeaf>(
    children: &[(u16, Pointer<L>)],
    keeper: &mut Keeper<'_>,
    out: &mut Writer,
) {
    out.list(children.iter(), |out, (place, pointer)| {
        out.number(*place);
        match pointer {
            Pointer::Hole(birth) => {
                out.number(0_u8);
                out.number(*birth);
            }
            Pointer::Leaf(leaf) => {
                out.number(1_u8);
                leaf.put(keeper, out);
            }
            Pointer::Node(node) => {
                out.number(2_u8);
                let number = keeper.number_of(node, |keeper| put_node(node, keeper));
                out.number(number);
            }
        }
    });
}

fn take_children<L: KeptLeaf>(
    shelf: &Shelf,
    input: &mut Reader<'_>,
) -> Result<Vec<(u16, Pointer<L>)>> {
    input.list(|input| {
        let place = input.small()?;
        let pointer = match input.number()? {
            0 => Pointer::Hole(input.number()?),
            1 => Pointer::Leaf(L::take(shelf, input)?),
            2 => Pointer::Node(L::node(shelf, input.number()?)?),
            _ => return Err(Malformed),
        };
        Ok((place, pointer))
    })
}

fn put_node<L: KeptLeaf>(node: &Node<L>, keeper: &mut Keeper<'_>) -> NewValue {
    let Node {
        birth,
        hole,
        space,
        children,
        // Reckoned anew when it is asked for.
        mac: _,
    } = node;
    let mut out = Writer::new();
    out.raw(&[L::KIND]);
    out.number(*birth);
    out.number(*hole);
    put_space(space, &mut out);
    put_children(children, keeper, &mut out);
    NewValue::Packed(out)
}

fn take_node<L: KeptLeaf>(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Node<L>> {
    let (birth, hole, space) = (input.number()?, input.number()?, take_space(input)?);
    let children = take_children(shelf, input)?;
    check_places(&children, 1 << 15)?;
    let node = Node { birth, hole, space, children, mac: OnceLock::new() };
    // All that is in a node is at one level.
    let height = height(&node).ok_or(Malformed)?;
    check_depth(&node.children, height - 1)?;
    Ok(node)
}

fn put_dnode_block(block: &DnodeBlock, keeper: &mut Keeper<'_>, out: &mut Writer) {
    let DnodeBlock { birth, space, dnodes, encryption } = block;
    out.number(*birth);
    put_space(space, out);
    out.list(dnodes.iter(), |out, (slot, dnode)| {
        out.number(*slot);
        let number = keeper.number_of(dnode, |keeper| put_dnode(dnode, keeper));
        out.number(number);
    });
    out.option(encryption.as_deref(), put_encryption);
}

fn take_dnode_block(shelf: &Shelf, input: &mut Reader<'_>) -> Result<DnodeBlock> {
    let (birth, space) = (input.number()?, take_space(input)?);
    let dnodes: Vec<(u8, Kept<Dnode>)> = input.list(|input| {
        let slot = input.small()?;
        match shelf.0.get(&input.number()?) {
            Some(Value::Dnode(dnode)) => Ok((slot, dnode.clone())),
            _ => Err(Malformed),
        }
    })?;
    if !dnodes.is_sorted_by(|(one, _), (other, _)| one < other) {
        return Err(Malformed);
    }
    let encryption = input.option(take_encryption)?.map(Arc::new);
    Ok(DnodeBlock { birth, space, dnodes, encryption })
}

fn put_dnode(dnode: &Dnode, keeper: &mut Keeper<'_>) -> NewValue {
    let Dnode {
        object_type,
        bonus_type,
        bonus,
        bonus_bytes,
        block_bytes,
        slots,
        checksum,
        compression,
        last_block,
        spill,
        blocks,
    } = dnode;
    let mut out = Writer::new();
    out.raw(&[KIND_DNODE]);
    out.number(object_type.0);
    out.number(bonus_type.0);
    out.bytes(bonus);
    out.number(*bonus_bytes);
    out.number(*block_bytes);
    out.number(*slots);
    out.number(*checksum);
    out.number(compression.0);
    out.number(*last_block);
    out.option(spill.as_ref(), |out, spill| put_block(spill, keeper, out));
    put_tree(blocks, keeper, &mut out);
    NewValue::Packed(out)
}

fn take_dnode(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Dnode> {
    Ok(Dnode {
        object_type: ObjectType(input.small()?),
        bonus_type: ObjectType(input.small()?),
        bonus: input.bytes()?.into(),
        bonus_bytes: input.small()?,
        // Nothing is divided by zero, whatever was written.
        block_bytes: input
            .small()
            .and_then(|size| if size == 0 { Err(Malformed) } else { Ok(size) })?,
        slots: input.small()?,
        checksum: input.small()?,
        compression: Compression(input.small()?),
        last_block: input.number()?,
        spill: input.option(|input| take_block(shelf, input))?,
        blocks: take_tree(shelf, input)?,
    })
}

fn put_block(block: &Block, keeper: &mut Keeper<'_>, out: &mut Writer) {
    let Block { birth, logical_bytes, allocated_bytes, compression, checksum, metadata, content } =
        block;
    out.number(*birth);
    out.number(*logical_bytes);
    out.number(*allocated_bytes);
    out.number(compression.0);
    out.number(*checksum);
    out.flag(*metadata);
    let mut number = |data: &Data| keeper.number_of(data, |_| NewValue::Data(data.clone()));
    match content {
        Content::Stored(data) => {
            out.number(0_u8);
            out.number(number(data));
        }
        // As small as a number would be, about.
        Content::Embedded(data) => {
            out.number(1_u8);
            out.bytes(data);
        }
        Content::Encrypted(data, encryption) => {
            out.number(2_u8);
            out.number(number(data));
            put_encryption(out, encryption);
        }
    }
}

fn take_block(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Block> {
    let data = |number: u64| match shelf.0.get(&number) {
        Some(Value::Data(data)) => Ok(data.clone()),
        _ => Err(Malformed),
    };
    Ok(Block {
        birth: input.number()?,
        logical_bytes: input.small()?,
        allocated_bytes: input.number()?,
        compression: Compression(input.small()?),
        checksum: input.small()?,
        metadata: input.flag()?,
        content: match input.number()? {
            0 => Content::Stored(data(input.number()?)?),
            1 => Content::Embedded(input.bytes()?.into()),
            2 => {
                let data = data(input.number()?)?;
                Content::Encrypted(data, Arc::new(take_encryption(input)?))
            }
            _ => return Err(Malformed),
        },
    })
}

fn put_encryption(out: &mut Writer, encryption: &Encryption) {
    let Encryption { crypt, swapped, readable } = encryption;
    let CryptParams { salt, iv, mac } = crypt;
    out.raw(salt);
    out.raw(iv);
    out.raw(mac);
    out.flag(*swapped);
    out.flag(*readable);
}

fn take_encryption(input: &mut Reader<'_>) -> Result<Encryption> {
    let crypt = CryptParams { salt: input.array()?, iv: input.array()?, mac: input.array()? };
    Ok(Encryption { crypt, swapped: input.flag()?, readable: input.flag()? })
}
