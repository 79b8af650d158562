//! Empty file systems: master node, delete queue, root directory, and what describes attributes. OpenZFS 2.3
//! `module/os/linux/zfs/zfs_znode_os.c`, `zfs_create_fs`; `module/zfs/sa.c`, `sa_setup`.

use super::zap::{FAT_BLOCK_BYTES, FatEntry, fat, micro};
use super::{Delta, Dnode, INDIRECT_SHIFT, Objset, ObjsetType, SLOTS_PER_BLOCK, Txn};
use crate::kernel::Errno;
use crate::stream::ObjectType;

/// Where a file system begins: `MASTER_NODE_OBJ`.
pub const MASTER_NODE: u64 = 1;

/// The first version whose files have flags such as "archive", and owners of domains: `ZPL_VERSION_FUID`.
pub const VERSION_OWNERS: u64 = 3;

/// The first version whose files have system attributes: `ZPL_VERSION_SA`.
pub const VERSION_ATTRIBUTES: u64 = 5;

/// `S_IFDIR | 0755`.
const ROOT_MODE: u64 = 0o40755;

/// A trivial ACL that is inherited and lets everyone execute; archive and modified; with a project.
const ROOT_FLAGS: u64 = 0x144;
const ROOT_FLAGS_OWNERS: u64 = 0x0408_0000_0000;
const ROOT_FLAGS_PROJECT: u64 = 0x8000_0000_0000;

/// How long attributes are in file systems before version 5: `ZFS_OLD_ZNODE_PHYS_SIZE`.
pub const OLD_ATTRIBUTES_BYTES: u32 = 0x108;

/// The rights of owner, group and everyone: flags and type, then the mask, in 8 bytes each.
const ROOT_ACL: [u64; 3] = [0x001e_01ff_1000_0000, 0x0012_00a9_2040_0000, 0x0012_00a9_4000_0000];

/// What attributes begin with: `SA_MAGIC`.
const ATTRIBUTES_MAGIC: u32 = 0x2f_505a;

/// The layout that files and directories have, the first that is made; and the length of the head, in units of 8 bytes.
const LAYOUT: u16 = 2;
const LAYOUT_HEAD: u16 = 1;

/// The attributes of that layout by number, in the order they are stored in: mode, size, generation, owner, group, parent, flags, times, links,
/// project, number of rights, rights.
const LAYOUT_ATTRIBUTES: [u16; 15] = [5, 6, 4, 12, 13, 7, 11, 0, 1, 2, 3, 8, 21, 16, 19];

/// All attributes by number: their name, length (0: it varies) and how they are swapped. OpenZFS 2.3 `module/zfs/zfs_sa.c`, `zfs_attr_table`.
const ALL_ATTRIBUTES: [(&str, u64, u64); 22] = [
    ("ZPL_ATIME", 16, 0),
    ("ZPL_MTIME", 16, 0),
    ("ZPL_CTIME", 16, 0),
    ("ZPL_CRTIME", 16, 0),
    ("ZPL_GEN", 8, 0),
    ("ZPL_MODE", 8, 0),
    ("ZPL_SIZE", 8, 0),
    ("ZPL_PARENT", 8, 0),
    ("ZPL_LINKS", 8, 0),
    ("ZPL_XATTR", 8, 0),
    ("ZPL_RDEV", 8, 0),
    ("ZPL_FLAGS", 8, 0),
    ("ZPL_UID", 8, 0),
    ("ZPL_GID", 8, 0),
    ("ZPL_PAD", 32, 0),
    ("ZPL_ZNODE_ACL", 88, 3),
    ("ZPL_DACL_COUNT", 8, 0),
    ("ZPL_SYMLINK", 0, 3),
    ("ZPL_SCANSTAMP", 32, 3),
    ("ZPL_DACL_ACES", 0, 4),
    ("ZPL_DXATTR", 0, 3),
    ("ZPL_PROJID", 8, 0),
];

/// What owners may use who have no quota of their own, as a file system of 2.4 says it; nothing where it is 0.
pub const DEFAULT_QUOTAS: [&str; 6] = [
    "defaultuserquota",
    "defaultgroupquota",
    "defaultprojectquota",
    "defaultuserobjquota",
    "defaultgroupobjquota",
    "defaultprojectobjquota",
];

/// What a file system says of itself from the beginning on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// The property `version`: 5.
    pub version: u64,
    /// The property `normalization`.
    pub normalization: u64,
    /// The property `utf8only`.
    pub utf8_only: u64,
    /// The property `casesensitivity`.
    pub case_sensitivity: u64,
    /// Each of [`DEFAULT_QUOTAS`], where the release has them: one that is 0 is said too (OpenZFS 2.4 `module/zfs/zfs_ioctl.c`,
    /// zfs_fill_zplprops_impl).
    pub default_quotas: Option<[u64; DEFAULT_QUOTAS.len()]>,
    /// When it is made: seconds since 1970.
    pub time: u64,
    /// Any number: names are hashed with it.
    pub salt: u64,
    /// How many slots of 512 bytes the dnode of its root directory takes, at most 32: the property `dnodesize` of what is above.
    pub dnode_slots: u8,
}

/// Gives numbers to objects as they are made one after the other, behind the first block of dnodes. OpenZFS 2.3 `module/zfs/dmu_object.c`,
/// dmu_object_alloc_impl.
struct Numbers(u64);

impl Numbers {
    fn take(&mut self, slots: u8) -> u64 {
        // A dnode is never in two blocks.
        if self.0 % SLOTS_PER_BLOCK + u64::from(slots) > SLOTS_PER_BLOCK {
            self.0 = self.0.next_multiple_of(SLOTS_PER_BLOCK);
        }
        let number = self.0;
        self.0 += u64::from(slots);
        number
    }
}

/// A new file system.
#[must_use]
pub fn create(of: &FileSystem, mut txn: Txn) -> (Objset, Delta) {
    let mut objset = Objset::empty(ObjsetType::FileSystem);
    // In an empty objset no number is taken, and nothing is read.
    let _ = fill(&mut objset, of, &mut txn);
    (objset, txn.finish())
}

fn fill(objset: &mut Objset, of: &FileSystem, txn: &mut Txn) -> Result<(), Errno> {
    let mut numbers = Numbers(SLOTS_PER_BLOCK);
    let has_attributes = of.version >= VERSION_ATTRIBUTES;
    let attributes = has_attributes.then(|| numbers.take(1));
    let delete_queue = numbers.take(1);
    let root = numbers.take(of.dnode_slots.max(1));
    let mut master = vec![
        ("normalization", of.normalization),
        ("utf8only", of.utf8_only),
        ("casesensitivity", of.case_sensitivity),
    ];
    master
        .extend(of.default_quotas.into_iter().flat_map(|all| DEFAULT_QUOTAS.into_iter().zip(all)));
    master.push(("VERSION", of.version));
    master.extend(attributes.map(|object| ("SA_ATTRS", object)));
    master.extend([("DELETE_QUEUE", delete_queue), ("ROOT", root)]);
    let salt = |object: u64| of.salt.wrapping_add(object * 2);
    add_micro(objset, MASTER_NODE, ObjectType::MASTER_NODE, &master, salt(1), txn)?;
    add_micro(objset, delete_queue, ObjectType::DELETE_QUEUE, &[], salt(3), txn)?;
    add_root(objset, of, root, salt(4), txn)?;
    let Some(attributes) = attributes else { return Ok(()) };
    let (registry, layouts) = (numbers.take(1), numbers.take(1));
    let tables = [("REGISTRY", registry), ("LAYOUTS", layouts)];
    add_micro(objset, attributes, ObjectType::SA_MASTER_NODE, &tables, salt(2), txn)?;
    let all: Vec<_> = (0..)
        .zip(ALL_ATTRIBUTES)
        .map(|(number, (name, length, swap))| (name, number | swap << 16 | length << 24))
        .collect();
    add_micro(objset, registry, ObjectType::SA_REGISTRATION, &all, salt(5), txn)?;
    let layout = FatEntry { name: &LAYOUT.to_string(), values: &LAYOUT_ATTRIBUTES };
    let (head, leaf) = fat(&[layout], salt(6) | 1).ok_or(Errno::EINVAL)?;
    let block_bytes = u32::try_from(FAT_BLOCK_BYTES).map_err(|_| Errno::EINVAL)?;
    objset.claim(layouts, Dnode::new(ObjectType::SA_LAYOUTS, block_bytes), txn)?;
    objset.write(layouts, 0, &[head, leaf].concat(), txn)
}

fn add_micro(
    objset: &mut Objset,
    object: u64,
    object_type: ObjectType,
    entries: &[(&str, u64)],
    salt: u64,
    txn: &mut Txn,
) -> Result<(), Errno> {
    let block = micro(entries, salt, 0).ok_or(Errno::EINVAL)?;
    let block_bytes = u32::try_from(block.len()).map_err(|_| Errno::EINVAL)?;
    objset.claim(object, Dnode::new(object_type, block_bytes), txn)?;
    objset.write(object, 0, &block, txn)
}

/// The root directory, which is empty.
fn add_root(
    objset: &mut Objset,
    of: &FileSystem,
    root: u64,
    salt: u64,
    txn: &mut Txn,
) -> Result<(), Errno> {
    let (bonus_type, bonus) = match of.version {
        VERSION_ATTRIBUTES.. => (ObjectType::SA, root_attributes(of, root, txn.txg())),
        _ => (ObjectType::ZNODE, old_root_attributes(of, root, txn.txg())),
    };
    let bonus_bytes = u32::try_from(bonus.len()).map_err(|_| Errno::EINVAL)?;
    let block = micro(&[], salt, of.normalization).ok_or(Errno::EINVAL)?;
    let (kind, slots) = (ObjectType::DIRECTORY, of.dnode_slots.max(1));
    let mut dnode = Dnode::with_bonus(kind, 512, bonus_type, bonus_bytes, slots, INDIRECT_SHIFT);
    dnode.bonus = bonus.into();
    objset.claim(root, dnode, txn)?;
    objset.write(root, 0, &block, txn)
}

fn root_attributes(of: &FileSystem, root: u64, txg: u64) -> Vec<u8> {
    let mut bonus = Vec::new();
    bonus.extend(ATTRIBUTES_MAGIC.to_ne_bytes());
    bonus.extend((LAYOUT | LAYOUT_HEAD << 10).to_ne_bytes());
    // The length of what varies: the rights.
    bonus.extend((8 * ROOT_ACL.len() as u64).to_ne_bytes().get(..2).unwrap_or_default());
    let flags = ROOT_FLAGS | ROOT_FLAGS_OWNERS | ROOT_FLAGS_PROJECT;
    // "." and ".." count; the root is its own parent; nobody but root owns it.
    let numbers = [ROOT_MODE, 2, txg, 0, 0, root, flags];
    let times = [of.time, 0].repeat(4);
    let links_and_rights = [2, 0, ROOT_ACL.len() as u64];
    let all = numbers.into_iter().chain(times).chain(links_and_rights).chain(ROOT_ACL);
    all.for_each(|number| bonus.extend(number.to_ne_bytes()));
    bonus
}

/// The same before version 5. OpenZFS 2.3 `include/sys/zfs_znode.h`, znode_phys_t.
fn old_root_attributes(of: &FileSystem, root: u64, txg: u64) -> Vec<u8> {
    let mut bonus = Vec::new();
    let has_owners = of.version >= VERSION_OWNERS;
    let flags = if has_owners { ROOT_FLAGS | ROOT_FLAGS_OWNERS } else { ROOT_FLAGS };
    let times = [of.time, 0].repeat(4);
    // Generation, mode, size, parent, links, attributes, device, flags; then owner, group, reserved numbers, and that the rights are here.
    let numbers = [txg, ROOT_MODE, 2, root, 2, 0, 0, flags];
    let all = times.into_iter().chain(numbers).chain([0; 7]);
    all.for_each(|number| bonus.extend(number.to_ne_bytes()));
    bonus.extend(old_root_rights(has_owners));
    bonus.resize(OLD_ATTRIBUTES_BYTES as usize, 0);
    bonus
}

/// How many rights there are, their version and bytes, and the rights: `zfs_acl_phys_t`, or `zfs_acl_phys_v0_t`.
fn old_root_rights(has_owners: bool) -> Vec<u8> {
    let count = u16::try_from(ROOT_ACL.len()).unwrap_or(0);
    let mut rights = Vec::new();
    if has_owners {
        rights.extend((u32::from(count) * 8).to_ne_bytes());
        rights.extend([1, count].iter().flat_map(|number| number.to_ne_bytes()));
        rights.extend(ROOT_ACL.iter().flat_map(|each| each.to_ne_bytes()));
        return rights;
    }
    rights.extend(u32::from(count).to_ne_bytes());
    rights.extend([0, count * 12].iter().flat_map(|number| number.to_ne_bytes()));
    for each in ROOT_ACL {
        // Whose, of which there is nothing to say; then the mask, and what was behind the type before it.
        let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
        let parts = [0, half(each >> 32), half(each).rotate_left(16)];
        rights.extend(parts.iter().flat_map(|part| part.to_ne_bytes()));
    }
    rights
}

impl Objset {
    /// What a file system says of itself: `VERSION`, `normalization`, `utf8only`, `casesensitivity`, one of [`DEFAULT_QUOTAS`], which object
    /// has the quotas of owners (`userquota@`). `None` for what it does not say.
    #[must_use]
    pub fn master_node(&self, name: &str) -> Option<u64> {
        self.zap_number(MASTER_NODE, name, None).ok()?
    }

    /// Whether what a file system is opened by is there, of which a part may be all that was received: `zfsvfs_init` and `sa_setup`.
    ///
    /// # Errors
    /// `ENOENT` for what has not come, `EIO` for what has no content yet.
    pub fn check_filesystem(&self) -> Result<(), Errno> {
        let say = |name| self.zap_number(MASTER_NODE, name, None)?.ok_or(Errno::ENOENT);
        let has_attributes = say("VERSION")? >= VERSION_ATTRIBUTES;
        let attributes = if has_attributes { Some(say("SA_ATTRS")?) } else { None };
        say("ROOT")?;
        say("DELETE_QUEUE")?;
        let Some(attributes) = attributes else { return Ok(()) };
        for table in ["REGISTRY", "LAYOUTS"] {
            let table = match self.zap_number(attributes, table, None) {
                Ok(table) => table,
                Err(Errno::ENOENT) => None,
                Err(errno) => return Err(errno),
            };
            if let Some(table) = table {
                self.zap(table, None)?;
            }
        }
        Ok(())
    }

    /// Changes what a file system says of itself, as `zfs upgrade` does its `VERSION`; it does not say it any more with `None`.
    ///
    /// # Errors
    /// As [`Objset::set_zap`].
    pub fn set_master_node(
        &mut self,
        name: &str,
        value: Option<u64>,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        self.set_zap(MASTER_NODE, name, value, txn)
    }
}
