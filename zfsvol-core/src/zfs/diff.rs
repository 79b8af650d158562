//! Diff: which files changed between a snapshot and a later one, or the present.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use super::transfer::{CancelHandle, Channel, DROP_WAIT, Step, Worker, cancelled, joined};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Handle, Ioc, ObjectStat};
use crate::name::{DatasetName, Entity, SnapshotName};

const DIFF: Operation = Operation::new(Ioc::DIFF, "compare");
const SNAPSHOT: Operation = Operation::new(Ioc::TMP_SNAPSHOT, "make a temporary snapshot of");
const OBJECT: Operation = Operation::new(Ioc::OBJ_TO_STATS, "look up an object of");
const PATH: Operation = Operation::new(Ioc::OBJ_TO_PATH, "look up the path of an object of");
const NEXT: Operation = Operation::new(Ioc::NEXT_OBJ, "find the next object of");

/// What a temporary snapshot's name begins with.
const TEMPORARY: &str = "zfsvol-diff";

/// Bytes of `dmu_diff_record_t`: type, first and last object.
const RECORD_BYTES: usize = 24;
/// `DDR_INUSE`: objects of this range are there in the later snapshot, and may have changed.
const IN_USE: u64 = 2;
/// `DDR_FREE`: no object of this range is there in the later snapshot.
const FREE: u64 = 4;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone, or deleted and still open.
    Removed,
    /// Its content, attributes or, of a directory, entries changed.
    Modified,
    /// It has this other path now; its content may have changed too.
    Renamed(#[serde(serialize_with = "crate::serial::path")] PathBuf),
    /// It has so many hard links more, or fewer.
    Links(i64),
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// Something else.
    Other,
}

/// One file that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What became of it.
    #[serde(flatten)]
    pub kind: ChangeKind,
    /// Its path from the root of the file system, with a leading `/`. Of a file that was renamed, the earlier one; of one with several
    /// hard links, one of them.
    #[serde(serialize_with = "crate::serial::path")]
    pub path: PathBuf,
    /// What kind of file it is.
    pub file: FileKind,
    /// Its object number, which is its inode number.
    pub object: u64,
    /// When it last changed, as the later snapshot has it; for one that is gone, the earlier.
    #[serde(serialize_with = "crate::serial::seconds")]
    pub changed: SystemTime,
}

impl Zfs {
    /// The files that differ between the snapshot `from` and `to`: a later snapshot of the same file system (or of a clone), or the file
    /// system itself as it is now, of which a temporary snapshot is made that goes with the [`Diff`]. They come in the order of their
    /// object numbers, as the kernel finds them.
    ///
    /// Nothing need be mounted. The kernel reads only metadata that changed. Hard links and files that were deleted while open are told
    /// as well as the kernel knows: it keeps one path a file. A file whose content is all that changed is known by its ctime; one that is
    /// changed twice within a tick of the kernel's clock (1 to 10 ms), before and after the snapshot, is not.
    ///
    /// Issues `ZFS_IOC_DIFF` in a thread of its own; for each object in question `ZFS_IOC_OBJ_TO_STATS`, and `ZFS_IOC_NEXT_OBJ`;
    /// `ZFS_IOC_TMP_SNAPSHOT`.
    ///
    /// ```no_run
    /// # let zfs = zfsvol_core::Zfs::open()?;
    /// let now: zfsvol_core::DatasetName = "tank/home".parse()?;
    /// for change in zfs.diff(&"tank/home@monday".parse()?, &now)? {
    ///     let change = change?;
    ///     println!("{:?} {}", change.kind, change.path.display());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: one of them does not exist.
    /// - [`ErrorKind::Unrelated`]: `from` is not an earlier snapshot of the other, nor of its origins.
    /// - [`ErrorKind::WrongType`]: they are of a zvol (from the iterator).
    /// - [`ErrorKind::KeyNotLoaded`] (from the iterator), [`ErrorKind::Denied`] (`diff`).
    #[doc(alias = "zfs_show_diffs")]
    pub fn diff(&self, from: &SnapshotName, to: &impl Entity) -> Result<Diff> {
        let (to, temporary) = if to.as_ref().contains('@') {
            (to.as_ref().to_owned(), None)
        } else {
            let (snapshot, handle) = self.temporary_snapshot(&to.as_ref().parse()?)?;
            (snapshot.into(), Some(handle))
        };
        let start_error = |error| Error::io("start to compare", error).with_target(to.as_str());
        let (channel, theirs) = Channel::from_kernel().map_err(start_error)?;
        let job = Job { zfs: self.clone(), from: from.as_str().to_owned(), to: to.clone(), theirs };
        let kernel = Worker::start("zfsvol-diff", move || job.run()).map_err(start_error)?;
        let mut diff = Diff {
            zfs: self.clone(),
            from: from.as_str().to_owned(),
            to: to.clone(),
            channel: Arc::new(channel),
            kernel: Some(kernel),
            objects: Objects::None,
            found: VecDeque::new(),
            _temporary: temporary,
        };
        if !diff.channel.wait_for_data().map_err(start_error)? {
            diff.finish()?;
        }
        Ok(diff)
    }

    /// The path of an object (an inode number) in a snapshot or an unmounted file system, from its root and with a leading `/`.
    ///
    /// Issues `ZFS_IOC_OBJ_TO_PATH`.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such object, or it is deleted and was still open.
    /// - [`ErrorKind::WrongType`]: it is of a zvol. [`ErrorKind::KeyNotLoaded`], [`ErrorKind::Denied`] (`diff`).
    pub fn object_path(&self, of: &impl Entity, object: u64) -> Result<PathBuf> {
        let mut cmd = Cmd::new(of.as_ref());
        cmd.obj = object;
        self.call_cmd(PATH, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(path(cmd.value))
    }

    /// A snapshot that goes when the handle is dropped.
    fn temporary_snapshot(&self, dataset: &DatasetName) -> Result<(SnapshotName, Handle)> {
        let handle = self.handle()?;
        let mut cmd = Cmd::new(dataset.as_str());
        cmd.value = TEMPORARY.into();
        cmd.cleanup_fd = handle.number();
        self.call_cmd(SNAPSHOT, &mut cmd).map_err(|error| error.into_error(self))?;
        let snapshot = dataset.snapshot(&String::from_utf8_lossy(&cmd.value))?;
        Ok((snapshot, handle))
    }
}

/// What the thread that compares is given.
struct Job {
    zfs: Zfs,
    from: String,
    to: String,
    theirs: OwnedFd,
}

impl Job {
    /// Issues the ioctl. The descriptor is closed after it, which the reader sees as the end.
    fn run(self) -> Result<()> {
        let mut cmd = Cmd::new(self.to);
        cmd.value = self.from.into();
        // The descriptor, which is not negative.
        cmd.cookie = u64::try_from(self.theirs.as_raw_fd()).unwrap_or_default();
        self.zfs.call_cmd(DIFF, &mut cmd).map(drop).map_err(|error| error.into_error(&self.zfs))
    }
}

/// The changes, as the kernel finds them. Dropping it ends the comparison.
#[must_use = "it is an iterator: nothing more happens until it is asked"]
pub struct Diff {
    zfs: Zfs,
    from: String,
    to: String,
    channel: Arc<Channel>,
    /// Gone when the comparison is over.
    kernel: Option<Worker<Result<()>>>,
    objects: Objects,
    found: VecDeque<Change>,
    _temporary: Option<Handle>,
}

/// The objects of the kernel's last record that are still to be looked at.
#[derive(Clone, Copy, Debug)]
enum Objects {
    None,
    /// From the first to the last, each looked up in both snapshots.
    InUse(u64, u64),
    /// Behind the first up to the last, those that the earlier snapshot has.
    Free(u64, u64),
}

/// An object as one of the snapshots has it.
struct Object {
    stat: ObjectStat,
    /// `None` if it is not there, or deleted and still open.
    path: Option<PathBuf>,
}

impl Diff {
    /// The later snapshot: the temporary one, if the present is compared.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// What can end it from another thread, while this one waits for the next change.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.channel.clone())
    }

    fn advance(&mut self) -> Result<Option<Change>> {
        loop {
            if let Some(change) = self.found.pop_front() {
                return Ok(Some(change));
            }
            match self.objects {
                Objects::InUse(object, last) => {
                    self.objects = match object.checked_add(1).filter(|next| *next <= last) {
                        Some(next) => Objects::InUse(next, last),
                        None => Objects::None,
                    };
                    self.compare(object)?;
                }
                Objects::Free(before, last) => match self.next_object(before)? {
                    Some(object) if object <= last => {
                        self.objects = Objects::Free(object, last);
                        self.removed(object)?;
                    }
                    _ => self.objects = Objects::None,
                },
                Objects::None => match self.record()? {
                    Some(objects) => self.objects = objects,
                    None => return self.finish().map(|()| None),
                },
            }
        }
    }

    /// The kernel's next record; `None` at the end.
    fn record(&mut self) -> Result<Option<Objects>> {
        let mut record = [0; RECORD_BYTES];
        let mut filled = 0;
        while filled < RECORD_BYTES {
            let room = record.get_mut(filled..).unwrap_or_default();
            match self.channel.read(room).map_err(|error| {
                Error::io("read what the kernel found in", error).with_target(self.to.as_str())
            })? {
                Step::Moved(bytes) => filled += bytes,
                Step::End if filled == 0 => return Ok(None),
                // It is cut off because the kernel gave up, and it says why; or it does not.
                Step::End => {
                    self.finish()?;
                    return Err(self.protocol("it ends in the middle of a record"));
                }
                Step::Stopped => return Err(cancelled(DIFF.verb, &self.to)),
            }
        }
        let mut words = record
            .chunks_exact(8)
            .map(|word| word.try_into().map(u64::from_ne_bytes).unwrap_or_default());
        let mut word = || words.next().unwrap_or_default();
        match (word(), word(), word()) {
            (IN_USE, first, last) => Ok(Some(Objects::InUse(first, last))),
            // Object 0 is the file of all objects and always there. The kernel ends with a record that says all are free, from 0 on:
            // `zfs diff` passes it over too, by a wrap.
            (FREE, 0, _) => Ok(Some(Objects::None)),
            (FREE, first, last) => Ok(Some(Objects::Free(first.saturating_sub(1), last))),
            (kind, ..) => Err(self.protocol(&format!("it has a record of kind {kind}"))),
        }
    }

    /// Ends the kernel's part, if it has not ended, and says how it went.
    fn finish(&mut self) -> Result<()> {
        self.channel.close();
        match self.kernel.take() {
            Some(worker) => joined(worker, DIFF.verb)?,
            None => Ok(()),
        }
    }

    fn protocol(&self, what: &str) -> Error {
        DIFF.error(
            ErrorKind::Protocol,
            &self.to,
            format!("the kernel's answer is not as it should be: {what}"),
        )
    }

    /// Looks an object up in one of the snapshots. One that is deleted and still open (`ESTALE`), or no file (`ENOTSUP`), counts as not there. A door
    /// that refuses has not looked.
    fn look_up(&self, snapshot: &str, object: u64) -> Result<Object> {
        let mut cmd = Cmd::new(snapshot);
        cmd.obj = object;
        let path = match self.zfs.call_cmd(OBJECT, &mut cmd) {
            Ok(_) => Some(path(cmd.value)),
            Err(error) => match error.bare_errno() {
                Some(Errno::ESTALE | Errno::ENOENT | Errno::ENOTSUP) => None,
                _ => return Err(error.into_error(&self.zfs)),
            },
        };
        // The statistics are there even if the path is not.
        Ok(Object { stat: cmd.stat, path })
    }

    /// An object behind `before` that the earlier snapshot has.
    fn next_object(&self, before: u64) -> Result<Option<u64>> {
        let mut cmd = Cmd::new(self.from.as_str());
        cmd.obj = before;
        match self.zfs.call_cmd(NEXT, &mut cmd) {
            // Never backwards, or it would not end.
            Ok(_) => Ok(Some(cmd.obj).filter(|next| *next > before)),
            Err(error) if error.bare_errno() == Some(Errno::ESRCH) => Ok(None),
            Err(error) => Err(error.into_error(&self.zfs)),
        }
    }

    fn removed(&mut self, object: u64) -> Result<()> {
        let was = self.look_up(&self.from, object)?;
        if let Some(path) = was.path {
            self.push(object, ChangeKind::Removed, path, &was.stat);
        }
        Ok(())
    }

    /// What became of an object that may be in both, by OpenZFS's own rules (`lib/libzfs/libzfs_diff.c`, `write_inuse_diffs_one`), but
    /// for two: a file that was deleted and is still open counts as removed, and one with other links counts as changed even if its ctime
    /// is the same.
    fn compare(&mut self, object: u64) -> Result<()> {
        let was = self.look_up(&self.from, object)?;
        let is = self.look_up(&self.to, object)?;
        let links = links_changed(&was.stat, &is.stat);
        let same_file = was.stat.generation == is.stat.generation
            && file_kind(was.stat.mode) == file_kind(is.stat.mode);
        match (was.path, is.path) {
            (None, None) => {}
            // The path is gone and the file is not: another of its links was removed, or made.
            (None, Some(path)) => {
                let kind = links.map_or(ChangeKind::Added, ChangeKind::Links);
                self.push(object, kind, path, &is.stat);
            }
            (Some(path), None) => {
                let kind = links.map_or(ChangeKind::Removed, ChangeKind::Links);
                self.push(object, kind, path, &was.stat);
            }
            (Some(old), Some(new)) if !same_file => {
                // The number was used again.
                self.push(object, ChangeKind::Removed, old, &was.stat);
                self.push(object, ChangeKind::Added, new, &is.stat);
            }
            (Some(old), Some(new)) => match links {
                Some(more) => {
                    let path = if more > 0 { old } else { new };
                    self.push(object, ChangeKind::Links(more), path, &is.stat);
                }
                // It only shares a block with one that changed. (Its path may be another: a folder above was renamed.)
                None if was.stat.ctime == is.stat.ctime => {}
                None if old == new => self.push(object, ChangeKind::Modified, old, &is.stat),
                None => self.push(object, ChangeKind::Renamed(new), old, &is.stat),
            },
        }
        Ok(())
    }

    fn push(&mut self, object: u64, kind: ChangeKind, path: PathBuf, stat: &ObjectStat) {
        let [seconds, nanoseconds] = stat.ctime;
        let since = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds));
        let changed = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
        self.found.push_back(Change { kind, path, file: file_kind(stat.mode), object, changed });
    }
}

impl Iterator for Diff {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.kernel.is_none() && self.found.is_empty() && matches!(self.objects, Objects::None) {
            return None;
        }
        let next = self.advance();
        if next.is_err() {
            // After an error there is nothing more.
            self.objects = Objects::None;
            self.found.clear();
            let _ = self.finish();
        }
        next.transpose()
    }
}

impl Drop for Diff {
    fn drop(&mut self) {
        if let Some(kernel) = &self.kernel {
            self.channel.cancel();
            kernel.wait_for(DROP_WAIT);
        }
    }
}

impl fmt::Debug for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diff")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// How many links a file has more, where that can be told: directories count theirs differently, and none means it is not there.
fn links_changed(was: &ObjectStat, is: &ObjectStat) -> Option<i64> {
    let is_directory = |stat: &ObjectStat| file_kind(stat.mode) == FileKind::Directory;
    if is_directory(was) || is_directory(is) || was.links == 0 || is.links == 0 {
        return None;
    }
    let links = |stat: &ObjectStat| i64::try_from(stat.links).unwrap_or(i64::MAX);
    Some(links(is).saturating_sub(links(was))).filter(|change| *change != 0)
}

fn file_kind(mode: u64) -> FileKind {
    const FORMAT: u64 = libc::S_IFMT as u64;
    match u32::try_from(mode & FORMAT).unwrap_or_default() {
        libc::S_IFREG => FileKind::File,
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFLNK => FileKind::SymbolicLink,
        libc::S_IFBLK => FileKind::BlockDevice,
        libc::S_IFCHR => FileKind::CharacterDevice,
        libc::S_IFIFO => FileKind::Fifo,
        libc::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Other,
    }
}

/// A path is bytes, of whatever encoding.
fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::Embedded;
    use crate::kernel::{Fault, FaultRule};
    use crate::property::PropertySet;
    use crate::units::Bytes;
    use crate::zfs::{Owner, Quota};

    /// Two snapshots between which objects of a file system changed and none of its files, compared through a door that refuses.
    fn compared(refused: Ioc, errno: Errno) -> Result<Vec<Change>> {
        let kernel = Arc::new(Embedded::new());
        let zfs = Zfs::new(Embedded::clone(&kernel));
        let files: DatasetName = "tank/files".parse()?;
        zfs.create_filesystem(&files, &PropertySet::new())?;
        let [before, after] = [files.snapshot("before")?, files.snapshot("after")?];
        zfs.snapshot([&before], &PropertySet::new())?;
        zfs.set_quotas(&files, &[Quota::space(Owner::User(1), Bytes::from_mib(1))])?;
        zfs.snapshot([&after], &PropertySet::new())?;
        let door = Fault::new(kernel).rule(FaultRule::new(errno).ioc(refused));
        Zfs::new(door).diff(&before, &after)?.collect()
    }

    /// What says something of an object when OpenZFS answers it says nothing when a door does.
    #[test]
    fn a_door_that_refuses_to_look_an_object_up_ends_a_comparison() {
        assert_eq!(compared(Ioc::POOL_EXPORT, Errno::EIO).unwrap(), []);
        for (ioc, errno) in [
            (Ioc::OBJ_TO_STATS, Errno::ENOTSUP),
            (Ioc::OBJ_TO_STATS, Errno::ENOENT),
            (Ioc::OBJ_TO_STATS, Errno::ESTALE),
            (Ioc::NEXT_OBJ, Errno::ESRCH),
        ] {
            assert_eq!(compared(ioc, errno).unwrap_err().errno(), Some(errno), "{ioc}");
        }
    }
}
