//! What is kept is what was there: after a restart, a crash, a failure, damage.

mod crash;
mod damage;
mod encrypted;
mod faults;
mod reopen;

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::embedded::{Embedded, EmbeddedBuilder};
use crate::kernel::Access;
use crate::name::{DatasetName, SnapshotName};
use crate::property::{DatasetTypes, PropertySet};
use crate::units::Bytes;
use crate::zfs::{Destroy, List, ReceiveOptions, SendOptions, Zfs};

/// The smallest pool, and volumes of a few blocks.
const POOL_BYTES: Bytes = Bytes::from_gib(1);
const VOLUME_BYTES: u64 = 256 << 10;

/// A kernel that does the same whenever it is asked the same.
fn builder() -> EmbeddedBuilder {
    let clock = || UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Embedded::builder().seed(1).clock(clock).pool("tank", POOL_BYTES)
}

fn open(directory: &Path) -> Zfs {
    Zfs::new(builder().open(directory).unwrap())
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, step: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `end`.
    fn roll(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }

    /// One of a few names, so that they collide.
    fn dataset(&mut self) -> DatasetName {
        let names = ["a", "b", "a/c", "b/d", "a/c/e", "v", "w", "a/x", "b/y"];
        format!("tank/{}", self.pick(&names)).parse().unwrap()
    }

    fn snapshot(&mut self) -> SnapshotName {
        let short = self.pick(&["one", "two", "three"]);
        self.dataset().snapshot(short).unwrap()
    }
}

/// Does the step of that number. Many fail, which changes nothing or something: it is the same wherever it is done.
fn step(zfs: &Zfs, seed: u64, number: u64) {
    let mut dice = Dice::new(seed, number);
    let mut none = PropertySet::new();
    let _ = match dice.roll(19) {
        0 | 1 => zfs.create_filesystem(&dice.dataset(), &none),
        2 | 3 => zfs.create_zvol(&dice.dataset(), Bytes::new(VOLUME_BYTES), &none),
        4 | 5 => zfs.snapshot([&dice.snapshot()], &none),
        6 => zfs.destroy(&dice.dataset()),
        7 => {
            let how = if dice.roll(2) == 0 { Destroy::Now } else { Destroy::Deferred };
            zfs.destroy_snapshots([&dice.snapshot()], how).map(drop)
        }
        8 => zfs.rename(&dice.dataset(), &dice.dataset()),
        9 => zfs.create_clone(&dice.dataset(), &dice.snapshot(), &none),
        10 => zfs.promote(&dice.dataset()),
        11 => {
            none.set("user:note", format!("{number}")).unwrap();
            none.set("copies", format!("{}", dice.roll(3) + 1)).unwrap();
            zfs.set_properties(&dice.dataset(), &none)
        }
        12 => zfs.inherit_property(&dice.dataset(), "copies"),
        13 => zfs.hold(&[(dice.snapshot(), dice.pick(&["x", "y"]))], None).map(drop),
        14 => zfs.release(&[(dice.snapshot(), dice.pick(&["x", "y"]))]).map(drop),
        15 => {
            let snapshot = dice.snapshot();
            let mark = snapshot.dataset().bookmark(dice.pick(&["m", "n"])).unwrap();
            zfs.bookmark(&[(mark, snapshot.into())])
        }
        16 => zfs.rollback(&dice.dataset()).map(drop),
        17 => copy(zfs, &mut dice),
        _ => write(zfs, &mut dice),
    };
}

/// Writes to a volume, and flushes it.
fn write(zfs: &Zfs, dice: &mut Dice) -> crate::Result<()> {
    let device = zfs.open_zvol(&dice.dataset(), Access::ReadWrite, Duration::ZERO)?;
    let mut data = vec![0; usize::try_from(dice.roll(5)).unwrap() * 16384 + 100];
    data.iter_mut().step_by(7).for_each(|byte| *byte = dice.roll(256).to_le_bytes()[0]);
    let _ = device.write_all_at(&data, dice.roll(VOLUME_BYTES - 90_000));
    let _ = device.flush();
    Ok(())
}

/// Sends a snapshot and receives it elsewhere, whole or with half of the stream missing.
fn copy(zfs: &Zfs, dice: &mut Dice) -> crate::Result<()> {
    let mut stream = Vec::new();
    let mut sent = zfs.send(&dice.snapshot(), &SendOptions::full())?;
    sent.read_to_end(&mut stream).unwrap();
    let options = ReceiveOptions::new();
    let options = if dice.roll(2) == 0 { options.resumable() } else { options };
    if dice.roll(3) == 0 {
        stream.truncate(stream.len() / 2);
    }
    let mut received = zfs.receive(&dice.snapshot(), &options)?;
    let _ = received.write_all(&stream);
    received.finish().map(drop)
}

/// Everything that can be seen: datasets, properties, holds, bookmarks, what is on volumes, streams.
fn picture(zfs: &Zfs) -> String {
    let mut picture = String::new();
    let datasets =
        zfs.list_all(&List::all_pools().types(DatasetTypes::all()).all_properties()).unwrap();
    for dataset in &datasets {
        writeln!(picture, "{dataset:?}").unwrap();
        let name = dataset.name.as_str();
        if let Ok(snapshot) = name.parse::<SnapshotName>() {
            writeln!(picture, "  {:?}", zfs.holds(&snapshot).unwrap()).unwrap();
            let mut stream = Vec::new();
            let sent = zfs.send(&snapshot, &SendOptions::full());
            let outcome = sent.map(|mut sent| sent.read_to_end(&mut stream).map_err(drop));
            writeln!(picture, "  sent {outcome:?}, {:x}", digest(&stream)).unwrap();
        } else if let Ok(name) = name.parse::<DatasetName>() {
            writeln!(picture, "  {:?}", zfs.receive_token(&name)).unwrap();
            if let Ok(device) = zfs.open_zvol(&name, Access::Read, Duration::ZERO) {
                let mut data = vec![0; usize::try_from(device.size().unwrap()).unwrap()];
                device.read_exact_at(&mut data, 0).unwrap();
                writeln!(picture, "  has {:x}", digest(&data)).unwrap();
            }
        }
    }
    for pool in zfs.pool_names().unwrap() {
        writeln!(picture, "{pool} {:?}", zfs.pool_properties(&pool).unwrap()).unwrap();
        writeln!(picture, "  {:?}", zfs.pool_status(&pool).unwrap()).unwrap();
        // Looking leaves its traces as well, and so do keys that are loaded to look.
        let history = zfs.pool_history(&pool).map(|entry| format!("{entry:?}"));
        let traces = ["channel_program", "load-key"];
        for entry in history.filter(|entry| !traces.iter().any(|trace| entry.contains(trace))) {
            writeln!(picture, "  {}", without_descriptor(&entry)).unwrap();
        }
    }
    picture
}

/// An entry without the number of the descriptor that was received from: it is that of a process, and there are two.
fn without_descriptor(entry: &str) -> String {
    const FIELD: &str = "\"input_fd\": Int32(";
    let parts = entry.split(FIELD).enumerate();
    let parts = parts
        .map(|(at, part)| if at == 0 { part } else { part.trim_start_matches(char::is_numeric) });
    parts.collect::<Vec<_>>().join(FIELD)
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Says which lines differ, and not all of them.
fn assert_same(was: &str, is: &str, what: &str) {
    if was != is {
        let differing = was.lines().zip(is.lines()).find(|(was, is)| was != is);
        let (left, right) = (was.lines().count(), is.lines().count());
        panic!("{what}: {left} lines, and then {right}; the first that differ: {differing:#?}");
    }
}
