//! What vouches for the content of an encrypted dataset: the MACs of blocks, put together up to one that vouches for all of it.
//!
//! OpenZFS 2.3 `module/os/linux/zfs/zio_crypt.c`. A block has a MAC. What an indirect block says is a hash of those of its pointers, and of what of the
//! pointers is the same on every machine. Blocks of dnodes are authenticated as a whole (`zio_crypt_init_uios_dnode`): what the dnodes are and their
//! pointers stay readable, bonus buffers are enciphered. The pointers of the dnode that all dnodes are in vouch for everything: the portable MAC
//! (`zio_crypt_do_objset_hmacs`), which goes into raw streams.
//!
//! All of it changes with every block that is written, so it is made up when the content is to stay as it is: see [`Objset::seal`].

use sha2::{Digest, Sha512};

use super::dnode::DNODE_BLOCK_BYTES;
use super::objset::{META_ROOTS, META_SHIFT};
use super::tree::POINTER_BYTES;
use super::txn::SECTOR_BYTES;
use super::{
    Block, DatasetKey, Dnode, DnodeBlock, Encryption, INDIRECT_SHIFT, Leaf, Objset, Pointer,
    SLOTS_PER_BLOCK, Tree,
};
use crate::kernel::Errno;
use crate::stream::{Compression, ObjectType};

/// `DMU_OT_DNODE`.
const DNODE: ObjectType = ObjectType(10);

/// Set in the flags of a dnode with a spill block: `DNODE_FLAG_SPILL_BLKPTR`.
const SPILL_FLAG: u8 = 1 << 2;

/// Bytes of what is authenticated of a pointer: `blkptr_auth_buf_t`.
const AUTH_BYTES: usize = 32;

/// Bytes of a dnode up to its pointers.
const CORE_BYTES: usize = 64;

/// In `blk_prop`: the block is encrypted or authenticated, and it is little-endian.
const PROP_ENCRYPTED: u64 = 1 << 61;
const PROP_LITTLE_ENDIAN: u64 = 1 << 63;

/// What is authenticated of a pointer.
type Auth = [u8; AUTH_BYTES];

/// What the lowest pointers of a tree say.
trait Authentic: Leaf {
    fn auth(&self, object_type: ObjectType) -> Auth;
}

impl Authentic for Block {
    fn auth(&self, object_type: ObjectType) -> Auth {
        let encryption = self.encryption().copied().unwrap_or_default();
        let (stored, compression) = (self.physical_bytes(), self.compression);
        let prop = leaf_prop(object_type, self.logical_bytes, stored, compression, &encryption);
        auth(prop, encryption.crypt.mac)
    }
}

impl Authentic for DnodeBlock {
    fn auth(&self, object_type: ObjectType) -> Auth {
        let encryption = self.encryption().copied().unwrap_or_default();
        let (bytes, compression) = (DNODE_BLOCK_BYTES, Compression::OFF);
        let prop = leaf_prop(object_type, bytes, bytes, compression, &encryption);
        auth(prop, encryption.crypt.mac)
    }
}

fn auth(prop: u64, mac: [u8; 16]) -> Auth {
    let mut auth = [0; AUTH_BYTES];
    if let Some((first, rest)) = auth.split_first_chunk_mut() {
        *first = prop.to_le_bytes();
        if let Some(second) = rest.first_chunk_mut() {
            *second = mac;
        }
    }
    auth
}

/// `BP_SET_LSIZE` and the like.
fn sectors(bytes: u32) -> u64 {
    u64::from((bytes / SECTOR_BYTES).saturating_sub(1)) & 0xffff
}

fn leaf_prop(
    object_type: ObjectType,
    logical_bytes: u32,
    stored_bytes: u32,
    compression: Compression,
    encryption: &Encryption,
) -> u64 {
    let order = if is_little_endian(encryption) { PROP_LITTLE_ENDIAN } else { 0 };
    sectors(logical_bytes)
        | sectors(stored_bytes) << 16
        | u64::from(compression.0) << 32
        | u64::from(object_type.0) << 48
        | PROP_ENCRYPTED
        | order
}

/// Of an indirect block, whose compression and byte order are everyone's own.
fn node_prop(object_type: ObjectType, level: u8, shift: u8) -> u64 {
    let bytes = POINTER_BYTES.checked_shl(shift.into()).unwrap_or(0);
    sectors(bytes) | u64::from(object_type.0) << 48 | u64::from(level) << 56 | PROP_ENCRYPTED
}

fn is_little_endian(encryption: &Encryption) -> bool {
    cfg!(target_endian = "little") != encryption.swapped
}

/// What a pointer says that leads to blocks of this level; a hole says nothing.
fn pointer_auth<L: Authentic>(
    pointer: &Pointer<L>,
    object_type: ObjectType,
    level: u8,
    shift: u8,
) -> Auth {
    match pointer {
        Pointer::Hole(_) => [0; AUTH_BYTES],
        Pointer::Leaf(leaf) => leaf.auth(object_type),
        Pointer::Node(node) => {
            let below = level.saturating_sub(1);
            let mac = node.mac(|| children_mac(node.children(), object_type, below, shift));
            auth(node_prop(object_type, level, shift), mac)
        }
    }
}

/// What an indirect block says, whose pointers lead to blocks of this level: `zio_crypt_do_indirect_mac_checksum`.
fn children_mac<L: Authentic>(
    children: &[(u16, Pointer<L>)],
    object_type: ObjectType,
    level: u8,
    shift: u8,
) -> [u8; 16] {
    let mut all = vec![0; AUTH_BYTES << shift];
    for (at, pointer) in children {
        let start = usize::from(*at) * AUTH_BYTES;
        if let Some(place) = all.get_mut(start..start + AUTH_BYTES) {
            place.copy_from_slice(&pointer_auth(pointer, object_type, level, shift));
        }
    }
    digest(&all)
}

fn digest(all: &[u8]) -> [u8; 16] {
    let digest: [u8; 64] = Sha512::digest(all).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// What the pointers in a dnode say.
fn roots_auth<L: Authentic>(tree: &Tree<L>, object_type: ObjectType) -> Vec<Auth> {
    let mut all = vec![[0; AUTH_BYTES]; tree.roots().into()];
    for (at, pointer) in tree.children() {
        if let Some(place) = all.get_mut(usize::from(*at)) {
            *place = pointer_auth(pointer, object_type, tree.levels() - 1, tree.shift());
        }
    }
    all
}

/// The fields of a dnode that are the same on every machine.
struct Core {
    object_type: ObjectType,
    indirect_shift: u8,
    levels: u8,
    pointers: u8,
    bonus_type: ObjectType,
    checksum: u8,
    compression: Compression,
    flags: u8,
    block_bytes: u32,
    bonus_bytes: u32,
    slots: u8,
    last_block: u64,
}

impl Core {
    fn of(dnode: &Dnode) -> Self {
        Self {
            object_type: dnode.object_type,
            indirect_shift: dnode.indirect_shift(),
            levels: dnode.blocks.levels(),
            pointers: dnode.blocks.roots(),
            bonus_type: dnode.bonus_type,
            checksum: dnode.checksum,
            compression: dnode.compression,
            flags: if dnode.spill.is_some() { SPILL_FLAG } else { 0 },
            block_bytes: dnode.block_bytes,
            bonus_bytes: dnode.bonus_bytes,
            slots: dnode.slots,
            last_block: dnode.last_block,
        }
    }

    /// `dnode_phys_t` up to its pointers, without the space it takes.
    fn encode(&self, little_endian: bool) -> [u8; CORE_BYTES] {
        let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        let short = |number: u32| {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            if little_endian { number.to_le_bytes() } else { number.to_be_bytes() }
        };
        let mut core = [0; CORE_BYTES];
        let bytes = [
            small(self.object_type.0),
            self.indirect_shift,
            self.levels,
            self.pointers,
            small(self.bonus_type.0),
            self.checksum,
            self.compression.0,
            self.flags,
        ];
        let last = if little_endian {
            self.last_block.to_le_bytes()
        } else {
            self.last_block.to_be_bytes()
        };
        let sizes = [short(self.block_bytes / SECTOR_BYTES), short(self.bonus_bytes)].concat();
        let slots = [self.slots.saturating_sub(1), 0, 0, 0];
        let all = bytes.into_iter().chain(sizes).chain(slots).chain(last);
        core.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        core
    }
}

impl Dnode {
    /// How much of a dnode is bonus buffer, and enciphered as one: what pointers and that to a spill block leave. `DN_MAX_BONUS_LEN`.
    #[must_use]
    pub fn bonus_area(&self) -> u32 {
        let pointers =
            u32::from(self.blocks.roots().saturating_sub(1)) + u32::from(self.spill.is_some());
        super::bonus_room(self.slots).saturating_sub(pointers * POINTER_BYTES)
    }

    fn has_secret_bonus(&self) -> bool {
        self.bonus_type.is_encrypted() && self.bonus_bytes != 0
    }

    /// All of the room for a bonus buffer.
    fn whole_bonus(&self) -> Vec<u8> {
        let mut bonus = self.bonus.to_vec();
        bonus.resize(self.bonus_area() as usize, 0);
        bonus
    }
}

impl DnodeBlock {
    /// What of it stays readable and is authenticated, in the byte order that it is in on disk.
    fn aad(&self, little_endian: bool) -> Vec<u8> {
        let mut aad = Vec::with_capacity(DNODE_BLOCK_BYTES as usize);
        let mut next = 0;
        for (slot, dnode) in self.dnodes() {
            free_slots(&mut aad, slot.saturating_sub(next));
            next = slot + u64::from(dnode.slots);
            aad.extend(Core::of(dnode).encode(little_endian));
            aad.extend(roots_auth(&dnode.blocks, dnode.object_type).concat());
            if let Some(spill) = &dnode.spill {
                aad.extend(spill.auth(dnode.bonus_type));
            }
            if !dnode.has_secret_bonus() {
                aad.extend(dnode.whole_bonus());
            }
        }
        free_slots(&mut aad, SLOTS_PER_BLOCK.saturating_sub(next));
        aad
    }

    /// The bonus buffers that are enciphered, one after the other.
    fn secrets(&self) -> Vec<u8> {
        let secret = self.dnodes().filter(|(_, dnode)| dnode.has_secret_bonus());
        secret.flat_map(|(_, dnode)| dnode.whole_bonus()).collect()
    }

    /// Puts them back.
    fn set_secrets(&mut self, mut all: &[u8], whole: bool) {
        for dnode in self.dnodes_mut(Dnode::has_secret_bonus) {
            let (bonus, rest) =
                all.split_at_checked(dnode.bonus_area() as usize).unwrap_or_default();
            let length = if whole { bonus.len() } else { dnode.bonus_bytes as usize };
            let mut bonus = bonus.get(..length).unwrap_or(bonus).to_vec();
            bonus.resize(bonus.len().next_multiple_of(8), 0);
            dnode.bonus = bonus.into();
            all = rest;
        }
    }

    /// Enciphers the bonus buffers, and vouches for all of it.
    fn seal(&mut self, key: &DatasetKey) -> Result<(), Errno> {
        let aad = self.aad(cfg!(target_endian = "little"));
        let mut secrets = self.secrets();
        let crypt = key.seal(&aad, &mut secrets)?;
        self.set_secrets(&secrets, true);
        self.set_encryption(Encryption { crypt, swapped: false, readable: false });
        Ok(())
    }

    /// The same with bonus buffers that can be read, as it is until it is sealed again.
    ///
    /// # Errors
    /// `EIO` when it is not what was sealed with this key.
    pub fn opened(&self, key: &DatasetKey) -> Result<Self, Errno> {
        let mut opened = self.clone();
        let Some(encryption) = self.encryption() else { return Ok(opened) };
        let mut secrets = self.secrets();
        key.open(&encryption.crypt, &self.aad(is_little_endian(encryption)), &mut secrets)?;
        opened.set_secrets(&secrets, false);
        opened.clear_encryption();
        Ok(opened)
    }
}

/// Slots that no dnode is in.
fn free_slots(aad: &mut Vec<u8>, count: u64) {
    let bytes = count.min(SLOTS_PER_BLOCK) * u64::from(SECTOR_BYTES);
    aad.resize(aad.len() + usize::try_from(bytes).unwrap_or(0), 0);
}

impl Objset {
    /// Vouches for what has changed since this was done last, so that it can be kept without its key, be a snapshot, and be sent raw. Content that raw
    /// streams have brought is sealed by them.
    ///
    /// Until then bonus buffers that have changed are in memory as plain text. Blocks never are.
    ///
    /// # Errors
    /// None that can be expected.
    pub fn seal(&mut self, key: &DatasetKey) -> Result<(), Errno> {
        if self.is_sealed() {
            return Ok(());
        }
        self.seal_dnodes(|block| match block.encryption() {
            Some(_) => Ok(()),
            None => block.seal(key),
        })?;
        let mac = self.reckon_portable_mac(key)?;
        self.set_portable_mac(&mac);
        self.set_sealed();
        Ok(())
    }

    /// Whether this key vouches for all of it: every block of dnodes, and what is put together of them. Blocks of data are looked at when they are read.
    ///
    /// # Errors
    /// `EIO` when something is not what was sealed.
    pub fn verify(&self, key: &DatasetKey) -> Result<(), Errno> {
        let mut sound = Ok(());
        self.dnodes().for_each(|_, block| {
            if sound.is_ok() {
                sound = block.opened(key).map(drop);
            }
        });
        sound?;
        let same = self.portable_mac() == Some(&self.reckon_portable_mac(key)?[..]);
        if same { Ok(()) } else { Err(Errno::EIO) }
    }

    /// `os_portable_mac`.
    fn reckon_portable_mac(&self, key: &DatasetKey) -> Result<[u8; 32], Errno> {
        let meta = self.meta();
        let core = Core {
            object_type: DNODE,
            indirect_shift: INDIRECT_SHIFT,
            levels: meta.levels,
            pointers: META_ROOTS,
            bonus_type: ObjectType::NONE,
            checksum: meta.checksum,
            compression: meta.compression,
            flags: 0,
            block_bytes: DNODE_BLOCK_BYTES,
            bonus_bytes: 0,
            slots: 1,
            last_block: self.last_dnode_block(),
        };
        let mut roots = roots_auth(self.dnodes(), DNODE);
        // Levels that have but one block, which are not kept.
        for level in self.dnodes().levels()..meta.levels {
            if roots.iter().all(|root| *root == [0; AUTH_BYTES]) {
                break;
            }
            let mut all = roots.concat();
            all.resize(AUTH_BYTES << META_SHIFT, 0);
            let root = auth(node_prop(DNODE, level, META_SHIFT), digest(&all));
            roots = vec![root, [0; AUTH_BYTES], [0; AUTH_BYTES]];
        }
        // The one number of all these that is big-endian everywhere.
        let kind = u64::from(self.objset_type().number()).to_be_bytes();
        // None of the flags is the same on every machine.
        let flags = [0; 8];
        let mac = key.hmac(&[&kind, &flags, &core.encode(true), &roots.concat()])?;
        mac.first_chunk().copied().ok_or(Errno::EIO)
    }
}
