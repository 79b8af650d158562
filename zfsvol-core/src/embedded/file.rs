//! What is asked about a file by the number of its object: where it is, and what `zfs diff` compares. OpenZFS 2.3
//! `module/zfs/zfs_znode.c`, zfs_obj_to_stats and zfs_obj_to_path.

use super::data::{DatasetKey, Dnode, OBJECTS_END, Objset, zap};
use super::engine::{Result, State};
use crate::kernel::{Cmd, Errno, ObjectStat};
use crate::nvlist::ByteOrder;
use crate::stream::ObjectType;
use crate::stream::attributes::{Attributes, Schema};
use crate::stream::zap::{Entry, entries};

/// What a directory's entry says beside the object: `ZFS_DIRENT_OBJ`.
const ENTRY_OBJECT: u64 = (1 << 48) - 1;

/// The flag of a file that holds attributes of another: `ZFS_XATTR`, and how such a folder is called in a path.
const FLAG_XATTR: u64 = 1;
const XATTR_FOLDER: &[u8] = b"<xattrdir>";

/// `S_IFMT` and `S_IFDIR`.
const MODE_TYPE: u64 = 0o170_000;
const MODE_DIRECTORY: u64 = 0o040_000;

/// The room for a path in a request, `MAXPATHLEN * 2`. Whoever made a stream may have put a directory into itself.
const PATH_BYTES_MAX: usize = 8192;

/// `zfs_ioc_obj_to_path`.
///
/// # Errors
/// `EINVAL` for what is no file system, `EACCES` without its key; as [`Files::path`].
pub(super) fn path(state: &State, cmd: &mut Cmd) -> Result<()> {
    look_up(state, cmd, false)
}

/// `zfs_ioc_obj_to_stats`: the statistics are there even where the path is not.
///
/// # Errors
/// As [`path`].
pub(super) fn stats(state: &State, cmd: &mut Cmd) -> Result<()> {
    look_up(state, cmd, true)
}

fn look_up(state: &State, cmd: &mut Cmd, with_stats: bool) -> Result<()> {
    let pool = state.pool(&cmd.name)?;
    let dataset = pool.dataset(pool.hold_readable(&cmd.name)?)?;
    if !dataset.content.is_filesystem() {
        return Err(Errno::EINVAL);
    }
    let key = pool.data_key(dataset.dir)?;
    let objset = &dataset.content.objset;
    let files = Files::new(objset, key.as_deref())?;
    let attributes = files.attributes(cmd.obj)?;
    if with_stats {
        cmd.stat = stat_of(&attributes)?;
    }
    cmd.value = files.path(cmd.obj, attributes)?;
    Ok(())
}

/// `dmu_bonus_hold`
///
/// # Errors
/// `EINVAL` for what is no number of an object; as [`Objset::object`].
fn dnode(objset: &Objset, object: u64) -> Result<&Dnode> {
    match object {
        1..OBJECTS_END => objset.object(object),
        _ => Err(Errno::EINVAL),
    }
}

fn stat_of(attributes: &Attributes) -> Result<ObjectStat> {
    Ok(ObjectStat {
        generation: attributes.generation.ok_or(Errno::ENOENT)?,
        mode: attributes.mode.ok_or(Errno::ENOENT)?,
        links: attributes.links.ok_or(Errno::ENOENT)?,
        ctime: attributes.changed.ok_or(Errno::ENOENT)?,
    })
}

/// The files of a file system.
struct Files<'a> {
    objset: &'a Objset,
    key: Option<&'a DatasetKey>,
    schema: Schema,
}

impl<'a> Files<'a> {
    fn new(objset: &'a Objset, key: Option<&'a DatasetKey>) -> Result<Self> {
        let mut files = Self { objset, key, schema: Schema::default() };
        // Before version 5 there are none, and no tables before there is a file with some.
        let Some(master) = objset.master_node("SA_ATTRS") else { return Ok(files) };
        let mut schema = Schema::default();
        if let Some(registry) = objset.zap_number(master, "REGISTRY", key)? {
            files.for_each_entry(registry, |entry| schema.register(&entry))?;
        }
        if let Some(layouts) = objset.zap_number(master, "LAYOUTS", key)? {
            files.for_each_entry(layouts, |entry| schema.lay_out(&entry))?;
        }
        files.schema = schema;
        Ok(files)
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// As [`dnode`]; `ENOTSUP` when it is no file, `EIO` when its attributes cannot be read.
    fn attributes(&self, object: u64) -> Result<Attributes> {
        let bonus_type = dnode(self.objset, object)?.bonus_type;
        if ![ObjectType::SA, ObjectType::ZNODE].contains(&bonus_type) {
            return Err(Errno::ENOTSUP);
        }
        let bonus = self.objset.bonus(object, self.key)?;
        if bonus_type == ObjectType::SA {
            return self.schema.read(&bonus).ok_or(Errno::EIO);
        }
        Attributes::of_old(&bonus, ByteOrder::HOST).ok_or(Errno::ENOTSUP)
    }

    /// The path of a file from the root on: from each file to the directory it says it is in, and its name there.
    ///
    /// # Errors
    /// `ESTALE` when it is deleted and was still open, `ENOENT` when it is not where it says, `EINVAL` when that is no directory, `ENAMETOOLONG`
    /// when the path is longer than an answer; as [`Self::attributes`].
    fn path(&self, object: u64, attributes: Attributes) -> Result<Vec<u8>> {
        if self.is_deleted(object)? {
            return Err(Errno::ESTALE);
        }
        let (mut object, mut attributes) = (object, attributes);
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut length = 0;
        loop {
            let parent = attributes.parent.ok_or(Errno::ENOENT)?;
            let folder = self.attributes(parent)?;
            let is_xattr = attributes.flags.is_some_and(|flags| flags & FLAG_XATTR != 0)
                && is_directory(&attributes);
            if !is_xattr && !is_directory(&folder) {
                return Err(Errno::EINVAL);
            }
            if parent == object {
                break;
            }
            let name = if is_xattr { XATTR_FOLDER.to_vec() } else { self.name(parent, object)? };
            length += name.len() + 1;
            if length >= PATH_BYTES_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            names.push(name);
            (object, attributes) = (parent, folder);
        }
        let mut path = Vec::with_capacity(length.max(1));
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }

    /// Whether it waits to be freed.
    fn is_deleted(&self, object: u64) -> Result<bool> {
        match self.objset.master_node("DELETE_QUEUE") {
            Some(queue) => {
                Ok(self.objset.zap_number(queue, &format!("{object:x}"), self.key)?.is_some())
            }
            None => Ok(false),
        }
    }

    /// The name of an object in a directory: of several, the one whose hash is the smallest, which the module comes to first.
    fn name(&self, directory: u64, object: u64) -> Result<Vec<u8>> {
        let mut names = Vec::new();
        self.for_each_entry(directory, |entry| {
            if entry.number().is_some_and(|number| number & ENTRY_OBJECT == object) {
                names.push(entry.name);
            }
        })?;
        let first = self.objset.object(directory)?.read_block(0, self.key)?;
        names.sort_by_cached_key(|name| zap::order(&first, name));
        names.into_iter().next().ok_or(Errno::ENOENT)
    }

    fn for_each_entry(&self, table: u64, mut visit: impl FnMut(Entry)) -> Result<()> {
        let mut outcome = Ok(());
        self.objset.object(table)?.blocks.for_each(|_, block| match block.plain(self.key) {
            Ok(plain) if outcome.is_ok() => {
                // Tables have the byte order of the machine that wrote them, and what is received is turned round.
                entries(&plain, ByteOrder::HOST).for_each(&mut visit);
            }
            Ok(_) => {}
            Err(errno) => outcome = Err(errno),
        });
        outcome
    }
}

fn is_directory(attributes: &Attributes) -> bool {
    attributes.mode.is_some_and(|mode| mode & MODE_TYPE == MODE_DIRECTORY)
}
