//! What streams hold, rebuilt with no kernel: the block device of a zvol, the files of a file system, what changed.

use std::ffi::c_void;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use zfsvol_core::nvlist::{NvList, NvString};
use zfsvol_core::stream::{
    Changes, FileEntry, FileImage, FileKind, FileTree, FileTreeError, StreamReader, ZvolImage,
};
use zfsvol_core::{Bytes, Guid};

use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot, take_back};
use crate::io::zfsvol_reader;
use crate::nvlist::zfsvol_nvlist;
use crate::status::{self, zfsvol_status};
use crate::view::zfsvol_str;

/// The block device of a zvol, as it is rebuilt from its streams. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_zvol_image {
    _private: [u8; 0],
}

impl Object for zfsvol_zvol_image {
    type Value = Slot<ZvolImage<File>>;
    const NAME: &'static str = "zfsvol_zvol_image";
}

/// Rebuilds a zvol into a file, which can be read, written and sought. With `guid` 0 it is to be empty, and a full stream comes first; else it holds that snapshot already, and an increment from it comes
/// first. The descriptor is duplicated, and its offset moved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zvol_image_open(
    fd: i32,
    guid: u64,
    image: *mut *mut zfsvol_zvol_image,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(image)?;
        let file = File::from(caller.descriptor(fd)?);
        out.give(Slot::new(match guid {
            0 => ZvolImage::new(file),
            guid => ZvolImage::resume(file, Guid::new(guid)),
        }));
    })
}

/// Makes the file what the zvol was at the snapshot of this stream, or of the last of a package. When it fails, the file holds neither: begin anew. The context is released in any case.
///
/// Fails as `zfsvol_stream_verify`, also when it does not start from what the file holds; with `INVALID` (not of a zvol; raw, redacted or resumed), and with what writing fails with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zvol_image_apply(
    image: *const zfsvol_zvol_image,
    stream: *const zfsvol_reader,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let mut reader = StreamReader::new(caller.reader(stream)?);
        caller.get(image)?.with(|image| image.apply(&mut reader))??;
    })
}

/// What it holds: `guid` (uint64, of the snapshot; missing before the first and after a failure), `written` (uint64, bytes of blocks).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zvol_image_info(
    image: *const zfsvol_zvol_image,
    info: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(info)?;
        let (guid, written) = caller.get(image)?.with(|image| (image.guid(), image.written()))?;
        let mut list = NvList::new();
        if let Some(guid) = guid {
            list.insert("guid", guid.get());
        }
        list.insert("written", written);
        out.give(list);
    })
}

/// Frees the object; the file stays. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zvol_image_free(image: *mut zfsvol_zvol_image) {
    boundary!(or(), |caller| caller.free(image)?);
}

/// The files of a file system, from its streams. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_file_tree {
    _private: [u8; 0],
}

impl Object for zfsvol_file_tree {
    type Value = Slot<FileTree>;
    const NAME: &'static str = "zfsvol_file_tree";
}

/// A tree of nothing yet: a full stream comes first. It keeps `limit` bytes at most; 0 for 1 GiB, which is for some ten million names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_tree_new(
    limit: u64,
    tree: *mut *mut zfsvol_file_tree,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(tree)?;
        out.give(Slot::new(match limit {
            0 => FileTree::new(),
            limit => FileTree::with_limit(Bytes::new(limit)),
        }));
    })
}

/// Makes it the tree at the snapshot of this stream. The context is released in any case.
///
/// Fails as `zfsvol_stream_verify`, also when it does not start from what the tree is; with `INVALID` (not of a file system; raw, redacted or resumed; more than the limit).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_tree_apply(
    tree: *const zfsvol_file_tree,
    stream: *const zfsvol_reader,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let mut reader = StreamReader::new(caller.reader(stream)?);
        caller.get(tree)?.with(|tree| tree.apply(&mut reader))??;
    })
}

/// Calls `visit` with every file, directories before what is in them, names in their order: `path` (string, no leading `/`), `object` (uint64), `kind` (string: `file`, `directory`, `link`, `pipe`, `socket`,
/// `block_device`, `character_device`, `unknown`), `size` (uint64; of a directory, how many entries), `mode` (uint32), `uid`, `gid`, `links`, `modified` (uint64), `target` (string, of a link). `file` is lent.
///
/// Fails with `INVALID` (there is no file system), `CORRUPT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_tree_walk(
    tree: *const zfsvol_file_tree,
    visit: Option<unsafe extern "C" fn(context: *mut c_void, file: *const zfsvol_nvlist)>,
    context: *mut c_void,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let visit = visit.ok_or_else(|| Fault::null("the function that visits"))?;
        caller.get(tree)?.with(|tree| {
            tree.walk(|file| {
                let list = zfsvol_nvlist::give(told(file));
                // SAFETY: C gave the function for this context, and the list lives until it returns.
                unsafe { visit(context, list) };
                take_back(list);
            })
        })??;
    })
}

/// What is at a path: its object and its length in bytes, for `zfsvol_file_image_open`. Either can be NULL. Fails with `NOT_FOUND`, and as `zfsvol_file_tree_walk`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_tree_find(
    tree: *const zfsvol_file_tree,
    path: zfsvol_str,
    object: *mut u64,
    size: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (object, size) = (caller.optional_out(object)?, caller.optional_out(size)?);
        let path = caller.path(path)?;
        let found = caller.get(tree)?.with(|tree| tree.find(&path))??;
        let (number, bytes) = found.ok_or_else(|| {
            let status = status::ZFSVOL_STATUS_NOT_FOUND;
            Fault::new(status, "find", "there is no such file")
                .with_target(path.display().to_string())
        })?;
        object.set(number);
        size.set(bytes);
    })
}

/// Frees a tree. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_tree_free(tree: *mut zfsvol_file_tree) {
    boundary!(or(), |caller| caller.free(tree)?);
}

/// The data of a file, as it is rebuilt from the streams of its file system. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_file_image {
    _private: [u8; 0],
}

impl Object for zfsvol_file_image {
    type Value = Slot<FileImage<File>>;
    const NAME: &'static str = "zfsvol_file_image";
}

/// Rebuilds the file that is `object` there into an empty file, which can be read, written and sought. The descriptor is duplicated, and its offset moved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_image_open(
    fd: i32,
    object: u64,
    image: *mut *mut zfsvol_file_image,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(image)?;
        out.give(Slot::new(FileImage::new(File::from(caller.descriptor(fd)?), object)));
    })
}

/// Makes the data what it was at the snapshot of this stream. The context is released in any case. Fails as `zfsvol_zvol_image_apply`, of a file system.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_image_apply(
    image: *const zfsvol_file_image,
    stream: *const zfsvol_reader,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let mut reader = StreamReader::new(caller.reader(stream)?);
        caller.get(image)?.with(|image| image.apply(&mut reader))??;
    })
}

/// Cuts the data off where the file ends, which is `size` bytes long: what `zfsvol_file_tree_find` said. Uses the image up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_image_finish(
    image: *const zfsvol_file_image,
    size: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(image)?.take()?.finish(size)?;
    })
}

/// Frees the object; the file stays. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_file_image_free(image: *mut zfsvol_file_image) {
    boundary!(or(), |caller| caller.free(image)?);
}

/// Which objects, and which ranges of them, streams change. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_changes {
    _private: [u8; 0],
}

impl Object for zfsvol_changes {
    type Value = Slot<Changes>;
    const NAME: &'static str = "zfsvol_changes";
}

/// Of no stream yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_changes_new(
    changes: *mut *mut zfsvol_changes,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.out(changes)?.give(Slot::new(Changes::new())))
}

/// Adds what a stream changes, or all streams of a package of one dataset. Memory grows with what it names. The context is released in any case. Fails as `zfsvol_stream_verify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_changes_add(
    changes: *const zfsvol_changes,
    stream: *const zfsvol_reader,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let mut reader = StreamReader::new(caller.reader(stream)?);
        caller.get(changes)?.with(|changes| changes.add(&mut reader))??;
    })
}

/// All of it: `objects` (nvlist), by the number of the object in decimal an nvlist with `object_type`, `block_bytes` (uint32), `end` (uint64), and `written`, `freed`, `redacted` (nvlists: by the offset a range begins at,
/// in decimal, the one it ends before (uint64)); `freed_objects` (nvlist, ranges of numbers in the same form).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_changes_list(
    changes: *const zfsvol_changes,
    list: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(list)?;
        caller.get(changes)?.with(|changes| out.list(changes))??;
    })
}

/// Frees it. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_changes_free(changes: *mut zfsvol_changes) {
    boundary!(or(), |caller| caller.free(changes)?);
}

fn told(file: &FileEntry<'_>) -> NvList {
    let mut list = NvList::new();
    list.insert("path", NvString::from(file.path.as_os_str().as_bytes()))
        .insert("object", file.object)
        .insert(
            "kind",
            match file.kind {
                FileKind::File => "file",
                FileKind::Directory => "directory",
                FileKind::Link => "link",
                FileKind::Pipe => "pipe",
                FileKind::Socket => "socket",
                FileKind::BlockDevice => "block_device",
                FileKind::CharacterDevice => "character_device",
                _ => "unknown",
            },
        )
        .insert("size", file.size)
        .insert("mode", file.mode)
        .insert("uid", file.uid)
        .insert("gid", file.gid)
        .insert("links", file.links)
        .insert("modified", file.modified);
    if let Some(target) = file.target {
        list.insert("target", NvString::from(target.as_os_str().as_bytes()));
    }
    list
}

impl From<FileTreeError> for Fault {
    fn from(error: FileTreeError) -> Self {
        let status = match error {
            FileTreeError::Object { .. } => status::ZFSVOL_STATUS_CORRUPT,
            _ => status::ZFSVOL_STATUS_INVALID,
        };
        Self::new(status, "list the files of the stream", error.to_string())
    }
}
