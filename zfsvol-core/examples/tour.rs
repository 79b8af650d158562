//! The main job in one program: a file system and a block volume are written, snapshotted together, sent to another pool in full and by
//! increments, through an interruption; cloned, promoted, rolled back, listed, and cleaned up. Each step is checked by reading data back.
//!
//! As root, where OpenZFS is loaded: `cargo run -p zfsvol-core --example tour [FOLDER]`. It makes two pools of its own in files in FOLDER
//! (`/tmp` if none is given), and leaves nothing behind. `make kernel-demo` runs it on real OpenZFS in a guest.

#![expect(clippy::print_stdout, reason = "it tells what it does")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zfsvol_core::kernel::{Access, UnmountFlags};
use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::zfs::{
    Destroy, List, MountOptions, PoolSpec, ReceiveOptions, SendOptions, TreeDestroyed, VdevSpec,
};
use zfsvol_core::{Bytes, DatasetName, ErrorKind, PoolName, SnapshotName, Zfs};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How much is written to each volume at once.
const DATA: Bytes = Bytes::from_mib(12);
/// The block volume's size.
const DISK: Bytes = Bytes::from_mib(32);
/// After how much of a stream the line is cut.
const CUT_AFTER: Bytes = Bytes::from_mib(5);
/// How long a block device may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let zfs = Zfs::open()?;
    println!("OpenZFS {}, asked by zfsvol-core alone", zfs.module().version);
    let tour = Tour::begin(zfs, &folder)?;
    tour.write_first()?;
    tour.snapshot_both()?;
    tour.send_in_full()?;
    tour.send_increments()?;
    tour.survive_an_interruption()?;
    tour.clone_and_promote()?;
    tour.roll_back()?;
    tour.list()?;
    tour.end()
}

/// Two pools, the volumes in the first, and their copies in the second.
struct Tour {
    zfs: Zfs,
    folder: PathBuf,
    pools: [PoolName; 2],
    files: DatasetName,
    disk: DatasetName,
    files_copy: DatasetName,
    disk_copy: DatasetName,
}

impl Tour {
    fn begin(zfs: Zfs, parent: &Path) -> Outcome<Self> {
        let (here, there): (PoolName, PoolName) =
            ("zfsvol-tour-here".parse()?, "zfsvol-tour-there".parse()?);
        let folder = parent.join(format!("zfsvol-tour-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let tour = Self {
            files: here.root().child("files")?,
            disk: here.root().child("disk")?,
            files_copy: there.root().child("files")?,
            disk_copy: there.root().child("disk")?,
            zfs,
            folder,
            pools: [here, there],
        };
        for pool in &tour.pools {
            let file = tour.folder.join(pool.as_str());
            File::create_new(&file)?.set_len(Bytes::from_mib(512).get())?;
            let mut spec = PoolSpec::new([VdevSpec::single(file)]);
            spec.properties.set("cachefile", "none")?;
            spec.root_properties.set("mountpoint", "none")?;
            tour.zfs.create_pool(pool, &spec)?;
        }
        step("create", "two pools, of one file each");
        Ok(tour)
    }

    fn write_first(&self) -> Outcome {
        let properties = PropertySet::new()
            .with("compression", "lz4")?
            .with("mountpoint", "legacy")?
            .with("com.example:owner", "tour")?;
        self.zfs.create_filesystem(&self.files, &properties)?;
        let properties = PropertySet::new().with("volblocksize", Bytes::from_kib(16))?;
        self.zfs.create_zvol(&self.disk, DISK, &properties)?;
        step(
            "create",
            &format!("the file system '{}' and the {DISK} disk '{}'", self.files, self.disk),
        );
        self.write("monday", 1)?;
        self.expect_content(&self.files, &self.disk, "monday", 1)
    }

    fn snapshot_both(&self) -> Outcome {
        let both = self.both("monday")?;
        self.zfs.snapshot(&both, &PropertySet::new().with("com.example:why", "tour")?)?;
        let [files, disk] = both.map(|snapshot| self.number(&snapshot, "createtxg"));
        let txg = files?;
        check(disk? == txg, "both snapshots are of one transaction group")?;
        step("snapshot", &format!("both in one call, in transaction group {txg}"));
        Ok(())
    }

    fn send_in_full(&self) -> Outcome {
        for (from, to) in self.both("monday")?.iter().zip(&self.both_copies("monday")?) {
            self.replicate(from, &SendOptions::full(), to)?;
        }
        self.expect_content(&self.files_copy, &self.disk_copy, "monday", 1)
    }

    fn send_increments(&self) -> Outcome {
        self.write("tuesday", 2)?;
        self.zfs.snapshot(&self.both("tuesday")?, &PropertySet::new())?;
        let bases = self.both("monday")?;
        let copies = self.both_copies("tuesday")?;
        for ((from, base), to) in self.both("tuesday")?.iter().zip(bases).zip(&copies) {
            self.replicate(from, &SendOptions::since(base), to)?;
        }
        self.expect_content(&self.files_copy, &self.disk_copy, "tuesday", 2)?;
        let monday = self.read_file(&self.files_copy, "monday")?;
        check(monday == content(1), "what was there before the increment is still there")
    }

    /// Cuts a transfer, and goes on from where it was cut.
    fn survive_an_interruption(&self) -> Outcome {
        self.write("wednesday", 3)?;
        self.zfs.snapshot(&self.both("wednesday")?, &PropertySet::new())?;
        let base = self.files.snapshot("tuesday")?;
        let (from, to) =
            (self.files.snapshot("wednesday")?, self.files_copy.snapshot("wednesday")?);

        let resumable = ReceiveOptions::new().resumable();
        let mut stream = self.zfs.send(&from, &SendOptions::since(base))?;
        let mut receive = self.zfs.receive(&to, &resumable)?;
        let came = io::copy(&mut stream.by_ref().take(CUT_AFTER.get()), &mut receive)?;
        drop(stream);
        let Err(cut) = receive.finish() else { return Err("half a stream was received".into()) };
        check(cut.kind() == ErrorKind::StreamTruncated, "a cut stream is told from a damaged one")?;
        step("cut", &format!("the transfer after {}", Bytes::new(came)));
        println!("             {cut}");
        check(!self.zfs.exists(&to)?, "nothing of it shows")?;

        let token =
            self.zfs.receive_token(&self.files_copy)?.ok_or("there is nothing to resume")?;
        let rest = self.zfs.send_resume(&token.parse()?, None)?;
        let received = rest.receive_into(self.zfs.receive(&to, &resumable)?)?.wait()?;
        step("resume", &format!("{} more made '{}'", received.bytes, received.snapshot));
        let base = self.disk.snapshot("tuesday")?;
        let to = self.disk_copy.snapshot("wednesday")?;
        self.replicate(&self.disk.snapshot("wednesday")?, &SendOptions::since(base), &to)?;
        self.expect_content(&self.files_copy, &self.disk_copy, "wednesday", 3)
    }

    fn clone_and_promote(&self) -> Outcome {
        let monday = self.files.snapshot("monday")?;
        let branch = self.files.pool().root().child("branch")?;
        let properties = PropertySet::new().with("mountpoint", "legacy")?;
        self.zfs.create_clone(&branch, &monday, &properties)?;
        let found = self.read_file(&branch, "monday")?;
        check(found == content(1), "the clone has what the snapshot had")?;
        check(self.read_file(&branch, "tuesday").is_err(), "and nothing of later")?;
        step("clone", &format!("'{branch}' of '{monday}'"));

        self.zfs.promote(&branch)?;
        let taken = branch.snapshot("monday")?;
        check(self.zfs.exists(&taken)?, "the snapshot is the clone's now")?;
        let origin = self.zfs.property(&self.files, "origin")?.ok_or("no origin")?;
        check(origin.value.to_string() == taken.as_str(), "and the first volume hangs on it")?;
        step("promote", &format!("'{branch}': '{}' hangs on it now", self.files));
        // Back again, so that the first volume stands alone.
        self.zfs.promote(&self.files)?;
        self.zfs.destroy(&branch)?;
        Ok(())
    }

    fn roll_back(&self) -> Outcome {
        self.write("mistake", 4)?;
        check(self.read_disk(&self.disk)? == content(4), "the mistake was made")?;
        for volume in [&self.files, &self.disk] {
            let newest = self.zfs.rollback(volume)?;
            step("roll back", &format!("to '{newest}'"));
        }
        check(self.read_file(&self.files, "mistake").is_err(), "the mistake is gone")?;
        self.expect_content(&self.files, &self.disk, "wednesday", 3)
    }

    /// Everything in both pools, with a few properties and where their values come from.
    fn list(&self) -> Outcome {
        let roots = self.pools.iter().map(PoolName::root);
        let everything = DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME | DatasetTypes::SNAPSHOT;
        let what = List::from_roots(roots).types(everything).properties([
            "used",
            "compression",
            "com.example:owner",
        ]);
        let mut names = Vec::new();
        for dataset in self.zfs.list(&what) {
            let dataset = dataset?;
            let used = dataset.properties.bytes("used").unwrap_or_default().to_string();
            let mut line = format!("{:<34} {used:>6}", dataset.name.as_str());
            for property in ["compression", "com.example:owner"] {
                if let Some(found) = dataset.properties.get(property) {
                    line += &format!("  {property}={} ({})", found.value, found.source);
                }
            }
            step("list", &line);
            names.push(dataset.name.to_string());
        }
        // Two roots, and twice two volumes with three snapshots each.
        check(names.len() == 2 + 2 * 2 * 4, "that is all there is")?;
        for copy in self.both_copies("wednesday")? {
            check(names.contains(&copy.to_string()), "the copies are listed")?;
        }
        Ok(())
    }

    /// Destroys one volume with its snapshots, then both pools.
    fn end(self) -> Outcome {
        let oldest = self.both("monday")?;
        self.zfs.destroy_snapshots(&oldest, Destroy::Now)?;
        let destroyed = self.zfs.destroy_recursive(&self.files)?;
        check(destroyed == TreeDestroyed::AtOnce, "the volume goes with its snapshots, at once")?;
        check(!self.zfs.exists(&self.files)?, "and is gone")?;
        for pool in &self.pools {
            self.zfs.destroy_pool(pool)?;
        }
        step("destroy", "a volume with its snapshots, then both pools");
        Ok(())
    }

    /// Sends `from` and receives it as `to`, and tells how much that was.
    fn replicate(&self, from: &SnapshotName, options: &SendOptions, to: &SnapshotName) -> Outcome {
        let read_only = PropertySet::new().with("readonly", true)?;
        let receive = self.zfs.receive(to, &ReceiveOptions::new().resumable().set(&read_only))?;
        let received = self.zfs.send(from, options)?.receive_into(receive)?.wait()?;
        let same = self.number(from, "guid")? == self.number(to, "guid")?;
        check(same, "source and copy are the same snapshot")?;
        step("send", &format!("'{from}' to '{to}': {}", received.bytes));
        Ok(())
    }

    /// Writes a file of that name, and the disk from its beginning.
    fn write(&self, file: &str, seed: u8) -> Outcome {
        self.mounted(&self.files, |folder| {
            let path = folder.join(file);
            fs::write(&path, content(seed))?;
            File::open(&path)?.sync_all()
        })?;
        let device = self.zfs.open_zvol(&self.disk, Access::ReadWrite, DEVICE_WAIT)?;
        device.write_all_at(&content(seed), 0)?;
        device.flush()?;
        step("write", &format!("{DATA} to the file '{file}', and as much to the disk"));
        Ok(())
    }

    fn expect_content(
        &self,
        files: &DatasetName,
        disk: &DatasetName,
        file: &str,
        seed: u8,
    ) -> Outcome {
        check(self.read_file(files, file)? == content(seed), "the file is what was written")?;
        check(self.read_disk(disk)? == content(seed), "the disk is what was written")?;
        step("read back", &format!("'{file}' in '{files}', and '{disk}': as written"));
        Ok(())
    }

    fn read_file(&self, files: &DatasetName, file: &str) -> Outcome<Vec<u8>> {
        self.mounted(files, |folder| fs::read(folder.join(file)))
    }

    fn read_disk(&self, disk: &DatasetName) -> Outcome<Vec<u8>> {
        let mut data = vec![0; content(0).len()];
        self.zfs.open_zvol(disk, Access::Read, DEVICE_WAIT)?.read_exact_at(&mut data, 0)?;
        Ok(data)
    }

    /// Does something in the mounted file system.
    fn mounted<T>(
        &self,
        files: &DatasetName,
        body: impl FnOnce(&Path) -> io::Result<T>,
    ) -> Outcome<T> {
        let folder = self.folder.join("mnt");
        fs::create_dir_all(&folder)?;
        self.zfs.mount(files, &MountOptions::at(&folder))?;
        let done = body(&folder);
        self.zfs.unmount(files, UnmountFlags::empty())?;
        Ok(done?)
    }

    fn number(&self, snapshot: &SnapshotName, property: &str) -> Outcome<u64> {
        let found = self.zfs.properties(snapshot)?.number(property);
        found.ok_or_else(|| format!("'{snapshot}' has no {property}").into())
    }

    fn both(&self, name: &str) -> Outcome<[SnapshotName; 2]> {
        Ok([self.files.snapshot(name)?, self.disk.snapshot(name)?])
    }

    fn both_copies(&self, name: &str) -> Outcome<[SnapshotName; 2]> {
        Ok([self.files_copy.snapshot(name)?, self.disk_copy.snapshot(name)?])
    }
}

/// Whatever went wrong on the way: the pools and files of the tour go.
impl Drop for Tour {
    fn drop(&mut self) {
        for pool in &self.pools {
            let _ = self.zfs.unmount_tree(&pool.root(), UnmountFlags::FORCE);
            let _ = self.zfs.destroy_pool(pool);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn step(verb: &str, what: &str) {
    println!("{verb:>11}  {what}");
}

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("it does not hold that {what}").into()) }
}

/// `DATA` bytes that do not compress, another for each seed.
fn content(seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let words = usize::try_from(DATA.get() / 8).unwrap_or_default();
    let next = |_| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    };
    (0..words).flat_map(next).collect()
}
