//! Block devices of zvols on a real host, found and waited for without udev.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::dev::zvol_name;
use super::host::{Access, BlockDevice};
use crate::errno::Errno;
use crate::name::DatasetName;

/// Finds zvols' devices, and remembers which device had which name.
///
/// The kernel numbers its devices `/dev/zdN` as it likes, and only an open device tells its zvol's name; the links in `/dev/zvol` are
/// udev's. Opening one is not free: it reads the zvol, keeps it from being destroyed for that moment, and on a suspended pool does not
/// return. So a device is opened to ask its name only if no link leads to the right one, if its size is the one looked for, and if it was
/// not asked before; and no lock is held meanwhile.
#[derive(Debug, Default)]
pub(super) struct Zvols {
    names: Mutex<HashMap<PathBuf, String>>,
}

/// The kernel's own number for "start this system call again". OpenZFS (2.1 to 2.4) lets it out of opening a zvol when it does not get the lock of
/// the pools at once (`module/os/linux/zfs/zvol_os.c`, `zvol_open`; seen on Linux 6.1).
const ERESTARTSYS: Errno = Errno(512);

/// One search for one zvol.
struct Search<'a> {
    zvol: &'a str,
    /// Its size in bytes; unknown where the kernel did not say.
    size: Option<u64>,
    /// Why a device that could have been it was not looked at.
    obstacle: Option<Errno>,
}

impl Zvols {
    /// Opens the device of `zvol`, waiting for it up to `wait`. `size` is asked in each round, since it can change, and its errno ends the
    /// search.
    pub(super) fn open(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
        size: impl Fn() -> Result<Option<u64>, Errno>,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        const POLL_FIRST: Duration = Duration::from_millis(2);
        const POLL_MAX: Duration = Duration::from_millis(50);
        let start = Instant::now();
        let mut pause = POLL_FIRST;
        let mut round = 0;
        loop {
            let mut search = Search { zvol: zvol.as_str(), size: size()?, obstacle: None };
            let left = wait.saturating_sub(start.elapsed());
            // Devices whose name is known can have been renamed; that costs an open each, so not in every round.
            let thorough = round == 0 || left.is_zero();
            if let Some(path) = self.find(&mut search, thorough)? {
                match open_as(&path, zvol.as_str(), access == Access::ReadWrite) {
                    Ok(Some(file)) => return Ok(Box::new(Device { file, path })),
                    // Gone, or another zvol's by now: look again.
                    Ok(None) | Err(Errno::ENXIO | Errno::ENOENT | Errno::ENODEV) => {}
                    Err(errno) if is_passing(errno) => search.obstacle = Some(errno),
                    Err(errno) => return Err(errno),
                }
            }
            if left.is_zero() {
                return Err(search.obstacle.unwrap_or(Errno::ETIMEDOUT));
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(POLL_MAX);
            round += 1;
        }
    }

    fn find(&self, search: &mut Search<'_>, thorough: bool) -> Result<Option<PathBuf>, Errno> {
        let link = Path::new("/dev/zvol").join(search.zvol);
        let linked = std::fs::canonicalize(link).ok();
        if let Some(path) = linked.filter(|path| named(path).as_deref() == Ok(search.zvol)) {
            return Ok(Some(path));
        }
        let present = devices(Path::new("/sys/block"), search.size)?;
        let (known, unknown) = self.sort(search.zvol, present);
        let asked = unknown.iter().chain(known.iter().filter(|_| thorough));
        for path in asked {
            match named(path) {
                Ok(name) => {
                    let found = name == search.zvol;
                    self.lock().insert(path.clone(), name);
                    if found {
                        return Ok(Some(path.clone()));
                    }
                }
                // In sysfs and not in /dev: a container that was not given the node.
                Err(Errno::ENOENT) => search.obstacle = search.obstacle.or(Some(Errno::ENODEV)),
                Err(errno @ (Errno::EACCES | Errno::EPERM)) => search.obstacle = Some(errno),
                // Gone meanwhile, or not ready yet.
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The devices known under another name, and those to be asked: the ones known under this name too.
    fn sort(&self, zvol: &str, present: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let names = self.lock();
        present.into_iter().partition(|path| names.get(path).is_some_and(|name| name != zvol))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/dev/zdN` of the zvols of that size in sysfs; of all if it is not known.
fn devices(sysfs: &Path, size: Option<u64>) -> Result<Vec<PathBuf>, Errno> {
    const SECTOR_BYTES: u64 = 512;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(sysfs).map_err(|error| errno(&error))? {
        let entry = entry.map_err(|error| errno(&error))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("zd"));
        if !number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
            continue;
        }
        let sectors = std::fs::read_to_string(entry.path().join("size")).ok();
        let sectors = sectors.and_then(|text| text.trim().parse::<u64>().ok());
        // What cannot be read is no reason to pass it over.
        let fits = match (size, sectors) {
            (Some(size), Some(sectors)) => sectors.checked_mul(SECTOR_BYTES) == Some(size),
            _ => true,
        };
        if fits {
            found.push(Path::new("/dev").join(name));
        }
    }
    Ok(found)
}

/// The name of the zvol behind a device.
fn named(path: &Path) -> Result<String, Errno> {
    // O_NONBLOCK: only to ask, not for its data.
    let file = open(path, false, libc::O_NONBLOCK)?;
    zvol_name(file.as_fd())
}

/// The device, if it is that zvol's: between the search and the open it can have become another's.
fn open_as(path: &Path, zvol: &str, write: bool) -> Result<Option<File>, Errno> {
    let file = open(path, write, 0)?;
    Ok((zvol_name(file.as_fd())? == zvol).then_some(file))
}

/// Whether opening the same device again can succeed: a zvol is busy while the kernel makes or opens its device for somebody else.
fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::EBUSY | Errno::EINTR | Errno::EAGAIN | ERESTARTSYS)
}

fn open(path: &Path, write: bool, flags: i32) -> Result<File, Errno> {
    let file = OpenOptions::new().read(true).write(write).custom_flags(flags).open(path);
    let file = file.map_err(|error| errno(&error))?;
    let kind = file.metadata().map_err(|error| errno(&error))?.file_type();
    if kind.is_block_device() { Ok(file) } else { Err(Errno(libc::ENOTBLK)) }
}

fn errno(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

#[derive(Debug)]
struct Device {
    file: File,
    path: PathBuf,
}

impl BlockDevice for Device {
    fn size(&self) -> io::Result<u64> {
        (&self.file).seek(SeekFrom::End(0))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_of_the_size_looked_for_are_asked() {
        let sysfs = tempfile::tempdir().unwrap();
        let device = |name: &str, sectors: &str| {
            let folder = sysfs.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("size"), sectors).unwrap();
        };
        device("zd0", "2048\n");
        device("zd16", "4096\n");
        device("zd32", "garbage");
        device("sda", "2048\n");
        device("zdx", "2048\n");
        device("zd", "2048\n");
        let found = |size| {
            let mut found = devices(sysfs.path(), size).unwrap();
            found.sort();
            found
        };
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(found(Some(1 << 20)), paths(&["/dev/zd0", "/dev/zd32"]));
        assert_eq!(found(None), paths(&["/dev/zd0", "/dev/zd16", "/dev/zd32"]));
    }

    #[test]
    fn a_zvol_that_is_not_there_ends_the_wait() {
        let name = "tank/none".parse().unwrap();
        let wait = Duration::from_secs(60);
        let outcome = Zvols::default().open(&name, Access::Read, wait, || Err(Errno::ENOENT));
        assert_eq!(outcome.unwrap_err(), Errno::ENOENT);
    }

    #[test]
    fn what_is_no_block_device_is_refused() {
        assert_eq!(open(Path::new("/dev/null"), false, 0).unwrap_err(), Errno(libc::ENOTBLK));
        assert_eq!(named(Path::new("/nonexistent")).unwrap_err(), Errno::ENOENT);
    }
}
