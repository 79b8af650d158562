//! Block devices of zvols on a real host, found and waited for without udev.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::dev::zvol_name;
use super::errno::Errno;
use super::host::{Access, BlockDevice};
use crate::name::DatasetName;

/// Finds zvols' devices, and remembers which device had which name.
///
/// The kernel numbers its devices `/dev/zdN` as it likes, and only the device knows its zvol's name; the links in `/dev/zvol` are
/// udev's. So the devices are asked, those not yet known first, and an answer is checked before it is used again.
#[derive(Debug, Default)]
pub(super) struct Zvols {
    names: Mutex<HashMap<PathBuf, String>>,
}

impl Zvols {
    pub(super) fn open(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        const POLL_FIRST: Duration = Duration::from_millis(2);
        const POLL_MAX: Duration = Duration::from_millis(50);
        let deadline = Instant::now() + wait;
        let mut pause = POLL_FIRST;
        loop {
            if let Some(path) = self.find(zvol.as_str())? {
                let file =
                    open(&path, access == Access::ReadWrite).map_err(|error| errno(&error))?;
                // Between the search and the open the device can have become another zvol's.
                if zvol_name(file.as_fd())? == zvol.as_str() {
                    return Ok(Box::new(Device { file, path }));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Errno::ETIMEDOUT);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(POLL_MAX);
        }
    }

    fn find(&self, zvol: &str) -> Result<Option<PathBuf>, Errno> {
        let link = Path::new("/dev/zvol").join(zvol);
        if let Some(path) =
            std::fs::canonicalize(link).ok().filter(|path| named(path).as_deref() == Some(zvol))
        {
            return Ok(Some(path));
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let present = devices()?;
        names.retain(|path, _| present.contains(path));
        let remembered = names.iter().find(|(_, name)| *name == zvol).map(|(path, _)| path.clone());
        if let Some(path) = remembered {
            if named(&path).as_deref() == Some(zvol) {
                return Ok(Some(path));
            }
            // Renamed, or its number was used again: nothing remembered can be relied on.
            names.clear();
        }
        for path in present {
            if names.contains_key(&path) {
                continue;
            }
            let Some(name) = named(&path) else { continue };
            let found = name == zvol;
            names.insert(path.clone(), name);
            if found {
                return Ok(Some(path));
            }
        }
        // Not among the new ones: a known device may have been renamed to it.
        for path in names.keys() {
            if named(path).as_deref() == Some(zvol) {
                return Ok(Some(path.clone()));
            }
        }
        Ok(None)
    }
}

/// `/dev/zdN` of every zvol, by `/sys/block`.
fn devices() -> Result<Vec<PathBuf>, Errno> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/sys/block").map_err(|error| errno(&error))? {
        let name = entry.map_err(|error| errno(&error))?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("zd")) {
            found.push(Path::new("/dev").join(name));
        }
    }
    Ok(found)
}

fn named(path: &Path) -> Option<String> {
    zvol_name(open(path, false).ok()?.as_fd()).ok()
}

fn open(path: &Path, write: bool) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(write).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.file_type().is_block_device() {
        Ok(file)
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOTBLK))
    }
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
