//! [`Files`]: the directory that state is kept in, which one process has at a time.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::Trouble;
use crate::kernel::Errno;

/// Who has the directory has this file locked. It is not empty once there was state.
const LOCK: &str = "zfsvol.lock";
/// What is in that file then.
const USED: &[u8] = b"zfsvol\n";
/// What is kept is the user's own: it can have what is on volumes, and what keys hash to.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// A directory with files of the log.
pub(super) trait Files: fmt::Debug + Send + Sync {
    /// A file, if it is there.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Medium>>>;
    /// A new, empty file, whatever there was of that name.
    fn create(&self, name: &str) -> io::Result<Box<dyn Medium>>;
    /// A file takes the place of another, at once and for good.
    fn publish(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. That it is not there is no error.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Whether there was state once.
    fn is_used(&self) -> io::Result<bool>;
    /// There is state from now on.
    fn set_used(&self) -> io::Result<()>;
}

/// One file.
pub(super) trait Medium: fmt::Debug + Send + Sync {
    fn bytes(&self) -> io::Result<u64>;
    fn cut(&self, bytes: u64) -> io::Result<()>;
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;
    /// What was written survives whatever comes.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of this machine, locked as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: Flock<File>,
}

impl Directory {
    /// Takes a directory, and makes it if it is not there; what it is in must be.
    pub(super) fn take(path: &Path) -> Result<Self, Trouble> {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let file = options().create(true).truncate(false).open(path.join(LOCK))?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Err(Trouble::Locked),
            Err((_, errno)) => return Err(io::Error::from(errno).into()),
        };
        Ok(Self { path: path.to_owned(), lock })
    }

    /// A name in it is there, or not any more, for good.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE).custom_flags(libc::O_NOFOLLOW);
    options
}

impl Files for Directory {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Medium>>> {
        match options().open(self.path.join(name)) {
            Ok(file) if !file.metadata()?.is_file() => {
                Err(io::Error::from_raw_os_error(Errno::EINVAL.0))
            }
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(options().create(true).truncate(true).open(self.path.join(name))?))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn is_used(&self) -> io::Result<bool> {
        Ok(self.lock.metadata()?.len() > 0)
    }

    fn set_used(&self) -> io::Result<()> {
        (&*self.lock).write_all(USED)?;
        self.lock.sync_all()
    }
}

impl Medium for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
