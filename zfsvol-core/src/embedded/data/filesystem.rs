//! Empty file systems: master node, delete queue, root directory, and what describes attributes. OpenZFS 2.3
//! `module/os/linux/zfs/zfs_znode_os.c`, `zfs_create_fs`; `module/zfs/sa.c`, `sa_setup`.

use super::zap::{FAT_BLOCK_BYTES, FatEntry, fat, micro};
use super::{Delta, Dnode, INDIRECT_SHIFT, Objset, ObjsetType, Txn};
use crate::kernel::Errno;
use crate::stream::ObjectType;

/// Where a file system begins: `MASTER_NODE_OBJ`.
pub const MASTER_NODE: u64 = 1;

/// The numbers that objects get when they are made one after the other, behind the first block of dnodes.
const ATTRIBUTES: u64 = 32;
const DELETE_QUEUE: u64 = 33;
const ROOT: u64 = 34;
const REGISTRY: u64 = 35;
const LAYOUTS: u64 = 36;

/// `S_IFDIR | 0755`.
const ROOT_MODE: u64 = 0o40755;

/// Archive, modified, with a project; a trivial ACL that is inherited and lets everyone execute.
const ROOT_FLAGS: u64 = 0x8408_0000_0144;

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
    let mut master = vec![
        ("normalization", of.normalization),
        ("utf8only", of.utf8_only),
        ("casesensitivity", of.case_sensitivity),
    ];
    master
        .extend(of.default_quotas.into_iter().flat_map(|all| DEFAULT_QUOTAS.into_iter().zip(all)));
    master.extend([
        ("VERSION", of.version),
        ("SA_ATTRS", ATTRIBUTES),
        ("DELETE_QUEUE", DELETE_QUEUE),
        ("ROOT", ROOT),
    ]);
    let salt = |object: u64| of.salt.wrapping_add(object * 2);
    add_micro(objset, MASTER_NODE, ObjectType::MASTER_NODE, &master, salt(1), txn)?;
    let attributes = [("REGISTRY", REGISTRY), ("LAYOUTS", LAYOUTS)];
    add_micro(objset, ATTRIBUTES, ObjectType::SA_MASTER_NODE, &attributes, salt(2), txn)?;
    add_micro(objset, DELETE_QUEUE, ObjectType::DELETE_QUEUE, &[], salt(3), txn)?;
    add_root(objset, of, salt(4), txn)?;
    let registry: Vec<_> = (0..)
        .zip(ALL_ATTRIBUTES)
        .map(|(number, (name, length, swap))| (name, number | swap << 16 | length << 24))
        .collect();
    add_micro(objset, REGISTRY, ObjectType::SA_REGISTRATION, &registry, salt(5), txn)?;
    let layout = FatEntry { name: &LAYOUT.to_string(), values: &LAYOUT_ATTRIBUTES };
    let (head, leaf) = fat(&[layout], salt(6) | 1).ok_or(Errno::EINVAL)?;
    let block_bytes = u32::try_from(FAT_BLOCK_BYTES).map_err(|_| Errno::EINVAL)?;
    objset.claim(LAYOUTS, Dnode::new(ObjectType::SA_LAYOUTS, block_bytes), txn)?;
    objset.write(LAYOUTS, 0, &[head, leaf].concat(), txn)
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
fn add_root(objset: &mut Objset, of: &FileSystem, salt: u64, txn: &mut Txn) -> Result<(), Errno> {
    let mut bonus = Vec::new();
    bonus.extend(ATTRIBUTES_MAGIC.to_ne_bytes());
    bonus.extend((LAYOUT | LAYOUT_HEAD << 10).to_ne_bytes());
    // The length of what varies: the rights.
    bonus.extend((8 * ROOT_ACL.len() as u64).to_ne_bytes().get(..2).unwrap_or_default());
    // "." and ".." count; the root is its own parent; nobody but root owns it.
    let numbers = [ROOT_MODE, 2, txn.txg(), 0, 0, ROOT, ROOT_FLAGS];
    let times = [of.time, 0].repeat(4);
    let links_and_rights = [2, 0, ROOT_ACL.len() as u64];
    let all = numbers.into_iter().chain(times).chain(links_and_rights).chain(ROOT_ACL);
    all.for_each(|number| bonus.extend(number.to_ne_bytes()));
    let bonus_bytes = u32::try_from(bonus.len()).map_err(|_| Errno::EINVAL)?;
    let block = micro(&[], salt, of.normalization).ok_or(Errno::EINVAL)?;
    let (kind, shift) = (ObjectType::DIRECTORY, INDIRECT_SHIFT);
    let mut dnode = Dnode::with_bonus(kind, 512, ObjectType::SA, bonus_bytes, 1, shift);
    dnode.bonus = bonus.into();
    objset.claim(ROOT, dnode, txn)?;
    objset.write(ROOT, 0, &block, txn)
}

impl Objset {
    /// What a file system says of itself: `VERSION`, `normalization`, `utf8only`, `casesensitivity`, one of [`DEFAULT_QUOTAS`], which object
    /// has the quotas of owners (`userquota@`). `None` for what it does not say.
    #[must_use]
    pub fn master_node(&self, name: &str) -> Option<u64> {
        self.zap_number(MASTER_NODE, name, None).ok()?
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
