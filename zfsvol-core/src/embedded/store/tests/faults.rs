//! What happens when writing fails, whichever write it is and whatever of it is on the disk then.

use std::io;
use std::sync::{Arc, Mutex};

use super::super::Store;
use super::super::files::{Directory, Files, Medium};
use super::*;
use crate::ErrorKind;
use crate::kernel::Errno;

/// A disk that fails from some write on. What was written and not waited for can be lost then, each write by itself, as when the power fails.
#[derive(Clone, Debug)]
struct Flaky(Arc<Mutex<Faults>>);

#[derive(Debug)]
struct Faults {
    /// How many writes and waits still work.
    left: u64,
    errno: Errno,
    /// What the file had before each write since the last wait, and how long it was.
    unsure: Vec<(Arc<std::fs::File>, u64, Vec<u8>, u64)>,
}

impl Flaky {
    fn new(left: u64, errno: Errno) -> Self {
        Self(Arc::new(Mutex::new(Faults { left, errno, unsure: Vec::new() })))
    }

    /// One write more.
    fn spend(&self) -> io::Result<()> {
        let mut faults = self.0.lock().unwrap();
        let errno = faults.errno;
        faults.left = faults.left.checked_sub(1).ok_or(io::Error::from_raw_os_error(errno.0))?;
        Ok(())
    }

    /// The power fails: of what nobody waited for, some is lost.
    fn lose(&self, dice: &mut Dice) {
        for (file, offset, before, bytes) in self.0.lock().unwrap().unsure.drain(..).rev() {
            if dice.roll(2) == 0 {
                file.write_at(&before, offset).unwrap();
                if dice.roll(2) == 0 {
                    file.cut(bytes).unwrap();
                }
            }
        }
    }
}

#[derive(Debug)]
struct FlakyDirectory(Directory, Flaky, std::path::PathBuf);

#[derive(Debug)]
struct FlakyFile(Arc<std::fs::File>, Flaky);

impl FlakyDirectory {
    /// The same file once more: to undo what was written to it.
    fn flaky(&self, name: &str) -> Box<dyn Medium> {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(self.2.join(name));
        Box::new(FlakyFile(Arc::new(file.unwrap()), self.1.clone()))
    }
}

impl Files for FlakyDirectory {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Medium>>> {
        Ok(self.0.open(name)?.map(|_| self.flaky(name)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Medium>> {
        self.1.spend()?;
        self.0.create(name)?;
        Ok(self.flaky(name))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.1.spend()?;
        self.0.publish(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn is_used(&self) -> io::Result<bool> {
        self.0.is_used()
    }

    fn set_used(&self) -> io::Result<()> {
        self.1.spend()?;
        self.0.set_used()
    }
}

impl Medium for FlakyFile {
    fn bytes(&self) -> io::Result<u64> {
        Medium::bytes(&*self.0)
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.1.spend()?;
        self.0.cut(bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let spent = self.1.spend();
        // Of a write that fails, the first half is done.
        let data = if spent.is_ok() { data } else { &data[..data.len() / 2] };
        let bytes = Medium::bytes(&*self.0)?;
        let kept = bytes.saturating_sub(offset).min(data.len() as u64);
        let mut before = vec![0; usize::try_from(kept).unwrap()];
        self.0.read_at(&mut before, offset)?;
        before.resize(data.len(), 0);
        self.1.0.lock().unwrap().unsure.push((Arc::clone(&self.0), offset, before, bytes));
        self.0.write_at(data, offset)?;
        spent
    }

    fn sync(&self) -> io::Result<()> {
        self.1.spend()?;
        self.1.0.lock().unwrap().unsure.clear();
        Ok(())
    }
}

fn open_flaky(directory: &Path, flaky: &Flaky) -> crate::Result<Zfs> {
    let kernel = builder().open_with(directory, |env| {
        let files = Directory::take(directory)?;
        Store::open_in(Box::new(FlakyDirectory(files, flaky.clone(), directory.into())), env)
    });
    kernel.map(Zfs::new)
}

/// Whether anything can be changed.
fn can_change(zfs: &Zfs) -> bool {
    match zfs.sync_pool(&"tank".parse().unwrap(), false) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.to_string().contains("open it again to go on"), "{error}");
            false
        }
    }
}

#[test]
fn whichever_write_fails_nothing_that_was_acknowledged_is_lost() {
    const STEPS: u64 = 40;
    let mut dice = Dice::new(7, 7);
    let mut failures = 0;
    for works in (0..24).chain((24..400).step_by(7)) {
        let directory = tempfile::tempdir().unwrap();
        let errno = if works % 2 == 0 { Errno::ENOSPC } else { Errno::EIO };
        let flaky = Flaky::new(works, errno);
        let model = Zfs::new(builder().build());
        let mut pictures = vec![picture(&model)];
        if let Ok(zfs) = open_flaky(directory.path(), &flaky) {
            let failed = (0..STEPS).find(|number| {
                step(&zfs, works, *number);
                step(&model, works, *number);
                pictures.push(picture(&model));
                model.sync_pool(&"tank".parse().unwrap(), false).unwrap();
                pictures.push(picture(&model));
                !can_change(&zfs)
            });
            if failed.is_some() {
                failures += 1;
                // It stays so, and reading goes on.
                step(&zfs, works, STEPS);
                assert!(!can_change(&zfs));
                picture(&zfs);
                // The last that was acknowledged, and the two that were not.
                let unsure = pictures.len() - 3;
                pictures.drain(..unsure);
            } else {
                pictures.drain(..pictures.len() - 1);
            }
        } else {
            failures += 1;
        }
        flaky.lose(&mut dice);
        let found = picture(&open(directory.path()));
        assert!(
            pictures.contains(&found),
            "after {works} writes: not what was acknowledged, and not what was under way"
        );
    }
    assert!(failures > 50, "{failures}");
}
