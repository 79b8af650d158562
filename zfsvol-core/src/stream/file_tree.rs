//! [`FileTree`]: the files of a file system, from its streams: paths, kinds, sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::attributes::{Attributes, Schema};
use super::image::{FILE_SYSTEM, block_of, starts_from};
use super::{Frame, ObjectType, Part, Problem, Record, Source, StreamError, StreamReader, zap};
use crate::nvlist::ByteOrder;
use crate::units::{Bytes, Guid};

/// What a tree keeps at most unless told otherwise: directories with some ten million names.
const KEPT_BYTES_MAX: u64 = 1 << 30;

/// What an object costs to remember, besides its bonus buffer.
const NODE_BYTES: u64 = 128;

/// The longest path: far more than can be opened, and few enough that a tree which is one long branch is no attack.
const PATH_BYTES_MAX: usize = 64 << 10;

/// The object that names all the others: `MASTER_NODE_OBJ`.
const MASTER_NODE: u64 = 1;

/// The types of objects that are ZAPs and tell of files: the master node, directories, and the three that say where attributes are.
/// OpenZFS 2.3 `include/sys/dmu.h`, `dmu_object_type_t`.
const TABLES: [ObjectType; 5] =
    [ObjectType(21), ObjectType::DIRECTORY, ObjectType(45), ObjectType(46), ObjectType(47)];

/// The bonus buffer that holds attributes: `DMU_OT_SA`.
const ATTRIBUTES: ObjectType = ObjectType(44);

/// The number of an object in the entry of a directory: what is above says what kind it is. `ZFS_DIRENT_OBJ`.
const OBJECT_BITS: u64 = (1 << 48) - 1;

/// The files of a file system as its streams have them: a full one, and increments in their order. File systems of ZPL version 5, which every
/// one made since 2010 is.
///
/// It keeps directories and what is said of each file, and no data: [`FileImage`](super::FileImage) rebuilds that, of one file.
///
/// ```
/// # use zfsvol_core::property::PropertySet;
/// # use zfsvol_core::zfs::SendOptions;
/// # let zfs = zfsvol_core::Zfs::embedded();
/// # let snapshot: zfsvol_core::SnapshotName = "tank@now".parse()?;
/// # zfs.snapshot([&snapshot], &PropertySet::new())?;
/// # let full = zfs.send(&snapshot, &SendOptions::full())?;
/// use zfsvol_core::stream::{FileTree, StreamReader};
///
/// let mut tree = FileTree::new();
/// tree.apply(&mut StreamReader::new(full))?;
/// tree.walk(|file| println!("{:>12} {}", file.size, file.path.display()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileTree {
    guid: Option<Guid>,
    byte_order: ByteOrder,
    objects: BTreeMap<u64, Node>,
    /// The blocks of tables, by object and offset.
    blocks: BTreeMap<(u64, u64), Vec<u8>>,
    kept: u64,
    kept_max: u64,
}

#[derive(Clone, Debug)]
struct Node {
    object_type: ObjectType,
    block_bytes: u32,
    /// Empty where it holds no attributes.
    bonus: Vec<u8>,
}

/// A file, of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileEntry<'a> {
    /// Where it is, from the root of the file system; no leading `/`. It comes from the sending machine: it names nothing outside, but
    /// what it names elsewhere is for the caller to think of.
    pub path: &'a Path,
    /// The number of its object. Files with several names have the same.
    pub object: u64,
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes; of a directory, how many entries it has.
    pub size: u64,
    /// Its permissions, with set-user-id and the like: the lowest 12 bits of `st_mode`.
    pub mode: u32,
    /// The user it belongs to, as far as it is one of 32 bits: FUIDs of other domains have more.
    pub uid: u64,
    /// The group it belongs to.
    pub gid: u64,
    /// How many names it has.
    pub links: u64,
    /// When its data was last changed: seconds since 1970.
    pub modified: u64,
    /// What a symbolic link points to, where that is kept with its attributes: all but very long ones.
    pub target: Option<&'a Path>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A file with data.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// Nothing of the above.
    Unknown,
}

/// Why the files of a tree cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileTreeError {
    /// No stream has been applied, or it had no files.
    #[error("the streams hold no file system: there is no {0}")]
    Missing(&'static str),
    /// An object that cannot be what a name says.
    #[error("object {object}, '{path}', {reason}")]
    Object {
        /// The object.
        object: u64,
        /// The path that names it.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Default for FileTree {
    fn default() -> Self {
        Self::new()
    }
}

impl FileTree {
    /// Nothing yet: a full stream comes first. Keeps 1 GiB at most.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Bytes::new(KEPT_BYTES_MAX))
    }

    /// As [`FileTree::new`], and keeps at most this much.
    #[must_use]
    pub fn with_limit(limit: Bytes) -> Self {
        Self {
            guid: None,
            byte_order: ByteOrder::Little,
            objects: BTreeMap::new(),
            blocks: BTreeMap::new(),
            kept: 0,
            kept_max: limit.get(),
        }
    }

    /// The snapshot it is of.
    #[must_use]
    pub const fn guid(&self) -> Option<Guid> {
        self.guid
    }

    /// Makes the tree what it was at the snapshot of this stream. A package may hold several streams, one after the other.
    ///
    /// When it fails, the tree is of neither snapshot: begin anew.
    ///
    /// # Errors
    ///
    /// What is wrong with the stream; that it is not of a file system, is raw, redacted or resumed, or does not start from what the
    /// tree is of; that a block is compressed in a way that cannot be undone here; that the tree would keep more than its limit.
    pub fn apply<S: Source>(&mut self, reader: &mut StreamReader<S>) -> Result<(), StreamError> {
        let mut plain = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            if frame.part == Part::Stream {
                let done = self.take(&frame, &mut plain);
                done.map_err(|problem| frame.error(problem))?;
            }
        }
        Ok(())
    }

    /// Calls `visit` with every file, directories before what is in them, names in their order.
    ///
    /// # Errors
    ///
    /// When something that must be there is not, or is not what a name says it is.
    pub fn walk(&self, mut visit: impl FnMut(&FileEntry<'_>)) -> Result<(), FileTreeError> {
        let (root, schema) = (self.root()?, self.schema()?);
        // A directory with two names would be one that is in itself.
        let mut seen = BTreeSet::from([root]);
        let mut path = Vec::new();
        let mut open = vec![(self.names(root).into_iter(), 0)];
        while let Some((names, length)) = open.last_mut() {
            path.truncate(*length);
            let Some((name, object)) = names.next() else {
                open.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(&name);
            check_name(&name, &path).map_err(|reason| problem(object, &path, reason))?;
            let attributes = self.attributes(&schema, object);
            let attributes = attributes.map_err(|reason| problem(object, &path, reason))?;
            let file = entry(&path, object, &attributes);
            visit(&file);
            if file.kind == FileKind::Directory && seen.insert(object) {
                open.push((self.names(object).into_iter(), path.len()));
            }
        }
        Ok(())
    }

    /// What is at this path, if something is: its object and its length in bytes, for [`FileImage`](super::FileImage).
    ///
    /// # Errors
    ///
    /// As [`FileTree::walk`].
    pub fn find(&self, path: impl AsRef<Path>) -> Result<Option<(u64, u64)>, FileTreeError> {
        let (mut object, schema) = (self.root()?, self.schema()?);
        let path = path.as_ref().as_os_str().as_bytes();
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let Some((_, found)) = self.names(object).into_iter().find(|(of, _)| of == name) else {
                return Ok(None);
            };
            object = found;
        }
        let attributes = self.attributes(&schema, object);
        let attributes = attributes.map_err(|reason| problem(object, path, reason))?;
        Ok(Some((object, attributes.size.unwrap_or_default())))
    }

    fn take(&mut self, frame: &Frame<'_>, plain: &mut Vec<u8>) -> Result<(), Problem> {
        match frame.record {
            Record::Begin(begin) => {
                starts_from(begin, FILE_SYSTEM, self.guid)?;
                self.guid = None;
                self.byte_order = frame.header.byte_order();
            }
            Record::Object(object) => {
                let bonus_bytes = usize::try_from(object.bonus_bytes).unwrap_or_default();
                let bonus = frame.payload.get(..bonus_bytes).unwrap_or_default();
                let has_attributes = object.bonus_type == ATTRIBUTES;
                let bonus = if has_attributes { bonus } else { &[] }.to_vec();
                let (object_type, block_bytes) = (object.object_type, object.block_bytes);
                self.set(object.object, Node { object_type, block_bytes, bonus });
            }
            Record::FreeObjects(free) => {
                let end = free.first.saturating_add(free.count);
                let gone: Vec<u64> = self.objects.range(free.first..end).map(|(n, _)| *n).collect();
                gone.iter().for_each(|object| self.remove(*object));
            }
            Record::Write(write) if self.is_table(write.object) => {
                self.keep((write.object, write.offset), block_of(frame, plain)?);
            }
            Record::WriteEmbedded(write) if self.is_table(write.object) => {
                self.keep((write.object, write.offset), block_of(frame, plain)?);
            }
            Record::Free(free) => {
                let end = free.offset.saturating_add(free.length);
                self.forget((free.object, free.offset), (free.object, end));
            }
            Record::End(end) => self.guid = Some(end.to_guid),
            _ => {}
        }
        if self.kept > self.kept_max {
            return Err(Problem::Unsupported("there are more files than the tree may keep"));
        }
        Ok(())
    }

    fn is_table(&self, object: u64) -> bool {
        self.objects.get(&object).is_some_and(|node| TABLES.contains(&node.object_type))
    }

    /// An object is there, or is another one now: then its blocks are gone.
    fn set(&mut self, object: u64, node: Node) {
        let same = self.objects.get(&object).is_some_and(|before| {
            (before.object_type, before.block_bytes) == (node.object_type, node.block_bytes)
        });
        if !same {
            self.forget((object, 0), (object, u64::MAX));
        }
        self.kept += NODE_BYTES + node.bonus.len() as u64;
        if let Some(before) = self.objects.insert(object, node) {
            self.kept -= NODE_BYTES + before.bonus.len() as u64;
        }
    }

    fn remove(&mut self, object: u64) {
        self.forget((object, 0), (object, u64::MAX));
        if let Some(before) = self.objects.remove(&object) {
            self.kept -= NODE_BYTES + before.bonus.len() as u64;
        }
    }

    fn keep(&mut self, at: (u64, u64), block: &[u8]) {
        self.kept += block.len() as u64;
        if let Some(before) = self.blocks.insert(at, block.to_vec()) {
            self.kept -= before.len() as u64;
        }
    }

    fn forget(&mut self, from: (u64, u64), to: (u64, u64)) {
        while let Some((&at, block)) = self.blocks.range(from..to).next() {
            self.kept -= block.len() as u64;
            self.blocks.remove(&at);
        }
    }

    /// The entries of a table.
    fn entries(&self, object: u64) -> impl Iterator<Item = zap::Entry> + '_ {
        let blocks = self.blocks.range((object, 0)..=(object, u64::MAX));
        blocks.flat_map(|(_, block)| zap::entries(block, self.byte_order))
    }

    /// The number that stands under this name in a table.
    fn look_up(&self, object: u64, name: &str) -> Option<u64> {
        self.entries(object).find(|entry| entry.name == name.as_bytes())?.number()
    }

    pub(super) fn root(&self) -> Result<u64, FileTreeError> {
        self.look_up(MASTER_NODE, "ROOT").ok_or(FileTreeError::Missing("root directory"))
    }

    fn schema(&self) -> Result<Schema, FileTreeError> {
        let mut schema = Schema::default();
        let master = self.look_up(MASTER_NODE, "SA_ATTRS");
        let master = master.ok_or(FileTreeError::Missing("list of attributes"))?;
        let table = |name| self.look_up(master, name).into_iter().flat_map(|o| self.entries(o));
        table("REGISTRY").for_each(|entry| schema.register(&entry));
        table("LAYOUTS").for_each(|entry| schema.lay_out(&entry));
        Ok(schema)
    }

    /// The names in a directory, in their order, and their objects.
    fn names(&self, directory: u64) -> Vec<(Vec<u8>, u64)> {
        let numbered = self.entries(directory).filter_map(|entry| {
            let object = entry.number()? & OBJECT_BITS;
            Some((entry.name, object))
        });
        let mut names: Vec<_> = numbered.collect();
        names.sort();
        names
    }

    fn attributes(&self, schema: &Schema, object: u64) -> Result<Attributes, &'static str> {
        let node = self.objects.get(&object).ok_or("is not there")?;
        schema.read(&node.bonus).ok_or("has attributes that cannot be read")
    }
}

fn problem(object: u64, path: &[u8], reason: &'static str) -> FileTreeError {
    // The message is to be read, and not longer than the terminal.
    let path = String::from_utf8_lossy(path.get(..path.len().min(256)).unwrap_or_default());
    FileTreeError::Object { object, path: path.into_owned(), reason }
}

/// A name that leads out of its directory is no name, and a path has an end.
fn check_name(name: &[u8], path: &[u8]) -> Result<(), &'static str> {
    if name == b"." || name == b".." || name.contains(&b'/') {
        return Err("has a name that no file can have");
    }
    if path.len() > PATH_BYTES_MAX {
        return Err("is too deep in directories");
    }
    Ok(())
}

fn entry<'a>(path: &'a [u8], object: u64, attributes: &'a Attributes) -> FileEntry<'a> {
    let mode = attributes.mode.unwrap_or_default();
    FileEntry {
        path: Path::new(OsStr::from_bytes(path)),
        object,
        kind: kind(mode),
        size: attributes.size.unwrap_or_default(),
        mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
        uid: attributes.uid.unwrap_or_default(),
        gid: attributes.gid.unwrap_or_default(),
        links: attributes.links.unwrap_or_default(),
        modified: attributes.modified.unwrap_or_default(),
        target: attributes.target.as_deref().map(|target| Path::new(OsStr::from_bytes(target))),
    }
}

/// By the bits of `S_IFMT`.
fn kind(mode: u64) -> FileKind {
    match mode & 0o170_000 {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Link,
        0o010_000 => FileKind::Pipe,
        0o140_000 => FileKind::Socket,
        0o060_000 => FileKind::BlockDevice,
        0o020_000 => FileKind::CharacterDevice,
        _ => FileKind::Unknown,
    }
}

/// The letter that `ls` has for it: `-`, `d`, `l`, `p`, `s`, `b`, `c`.
impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "-",
            Self::Directory => "d",
            Self::Link => "l",
            Self::Pipe => "p",
            Self::Socket => "s",
            Self::BlockDevice => "b",
            Self::CharacterDevice => "c",
            Self::Unknown => "?",
        })
    }
}
