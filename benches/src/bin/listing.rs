//! What listing costs on a loaded OpenZFS module: names, properties and snapshots of many datasets, by each way there is, against `zfs list`
//! in the same run.
//!
//!     make kernel-bench ZFS=2.3
//!     listing [--turns N] [SHAPE...]
//!
//! A shape is a number of datasets below one parent (`1000`), or parents times datasets below each (`100x100`); each dataset has one
//! snapshot, and none is mounted. It needs root, makes a pool in a file in `$TMPDIR`, and destroys it at the end.

#![expect(clippy::print_stdout, reason = "this is its output")]
#![expect(clippy::disallowed_methods, reason = "runs `zfs list`, to compare with")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use zfsvol_benches::Contest;
use zfsvol_core::kernel::{Call, Errno, Ioc, Observe, Refused};
use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::zfs::{List, MountOptions, PoolSpec, VdevSpec};
use zfsvol_core::{Bytes, DatasetName, PoolName, SnapshotName, Zfs};

/// What `zfs list` shows by default, and two more that an orchestrator asks for.
const SEVEN: [&str; 7] =
    ["used", "available", "referenced", "mountpoint", "compression", "quota", "creation"];

/// Creating waits for transaction groups, which many can share.
const CREATORS: usize = 16;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut turns = 5;
    let mut shapes = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--turns" => turns = arguments.next().ok_or("--turns takes a number")?.parse()?,
            shape => shapes.push(Shape::parse(shape)?),
        }
    }
    let zfs = Zfs::open()?;
    let processors = std::thread::available_parallelism()?;
    println!("OpenZFS {}, processors: {processors}", zfs.module().version);
    let pool = Pool::create(&zfs)?;
    shapes.iter().try_for_each(|shape| compare(&zfs, &pool.name, *shape, turns))
}

/// So many parents, and so many datasets below each.
#[derive(Clone, Copy)]
struct Shape {
    parents: usize,
    children: usize,
}

impl Shape {
    fn parse(text: &str) -> Outcome<Self> {
        Ok(match text.split_once('x') {
            Some((parents, children)) => {
                Self { parents: parents.parse()?, children: children.parse()? }
            }
            None => Self { parents: 0, children: text.parse()? },
        })
    }

    /// Every name, parents first: the root, then what is below it.
    fn names(self, root: &DatasetName) -> Outcome<Vec<DatasetName>> {
        let mut names = vec![root.clone()];
        let parents = match self.parents {
            0 => vec![root.clone()],
            parents => (0..parents)
                .map(|number| root.child(&format!("p{number:05}")))
                .collect::<Result<_, _>>()?,
        };
        names.extend(parents.iter().filter(|parent| *parent != root).cloned());
        for parent in &parents {
            for number in 0..self.children {
                names.push(parent.child(&format!("d{number:05}"))?);
            }
        }
        Ok(names)
    }
}

/// A pool in a file, gone when this is dropped.
struct Pool {
    zfs: Zfs,
    name: PoolName,
    file: PathBuf,
}

impl Pool {
    fn create(zfs: &Zfs) -> Outcome<Self> {
        let name: PoolName = format!("zfsvol-bench-{}", std::process::id()).parse()?;
        let file = std::env::temp_dir().join(name.as_str());
        File::create_new(&file)?.set_len(Bytes::from_gib(8).get())?;
        let mut spec = PoolSpec::new([VdevSpec::single(&file)]);
        spec.properties.set("cachefile", "none")?;
        spec.root_properties.set("mountpoint", "none")?;
        let this = Self { zfs: zfs.clone(), name, file };
        zfs.create_pool(&this.name, &spec)?;
        Ok(this)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Err(error) = self.zfs.destroy_pool(&self.name) {
            println!("{error}");
        }
        if let Err(error) = std::fs::remove_file(&self.file) {
            println!("{}: {error}", self.file.display());
        }
    }
}

/// Makes the datasets of a shape and has each way list them in turns.
fn compare(zfs: &Zfs, pool: &PoolName, shape: Shape, turns: usize) -> Outcome<()> {
    let root = pool.root().child("data")?;
    let names = shape.names(&root)?;
    create(zfs, &names)?;
    let title = match shape.parents {
        0 => format!("{} datasets below one", shape.children),
        parents => format!("{} datasets, {} below each of {parents}", names.len(), shape.children),
    };
    table(&title, turns, &ways(zfs, &root, names.len()));

    let folder = tempfolder(pool)?;
    zfs.mount(&root, &MountOptions::at(&folder))?;
    table(&format!("{title}, which is mounted"), turns, &names_alone(zfs, &root, names.len()));
    zfs.unmount(&root, zfsvol_core::kernel::UnmountFlags::empty())?;
    std::fs::remove_dir(folder)?;
    zfs.destroy_recursive(&root)?;
    Ok(())
}

fn tempfolder(pool: &PoolName) -> Outcome<PathBuf> {
    let folder = std::env::temp_dir().join(format!("{pool}-mount"));
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

fn create(zfs: &Zfs, names: &[DatasetName]) -> Outcome<()> {
    // A level after the other; those of one level at once.
    let mut levels: BTreeMap<usize, Vec<&DatasetName>> = BTreeMap::new();
    for name in names {
        levels.entry(name.depth()).or_default().push(name);
    }
    let none = PropertySet::new();
    for level in levels.values() {
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..CREATORS {
                scope.spawn(|| {
                    while let Some(name) = level.get(next.fetch_add(1, Relaxed)) {
                        if let Err(error) = zfs.create_filesystem(name, &none) {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.into());
        }
    }
    let snapshots: Vec<SnapshotName> =
        names.iter().map(|name| name.snapshot("s")).collect::<Result<_, _>>()?;
    zfs.snapshot(&snapshots, &none)?;
    Ok(())
}

/// A way to list, which returns how many it found; and how many ioctls its last run took, for a command by another run under strace.
struct Way {
    name: String,
    run: Box<dyn Fn() -> usize>,
    ioctls: Box<dyn Fn() -> Option<usize>>,
    expected: usize,
}

/// A door that counts, and does not let programs through if so told.
fn counting(zfs: &Zfs, programs: bool) -> (Zfs, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let door = Observe::new(Arc::clone(zfs.kernel())).before(move |call| {
        counter.fetch_add(1, Relaxed);
        match call {
            Call::Ioctl { ioc: Ioc::CHANNEL_PROGRAM, .. } if !programs => {
                Err(Refused::new(Errno::EPERM, "no programs here"))
            }
            _ => Ok(()),
        }
    });
    (Zfs::new(door), count)
}

impl Way {
    fn ours(
        name: &str,
        (zfs, count): (Zfs, Arc<AtomicUsize>),
        expected: usize,
        list: impl Fn(&Zfs) -> usize + 'static,
    ) -> Self {
        let counter = Arc::clone(&count);
        let run = move || {
            counter.store(0, Relaxed);
            list(&zfs)
        };
        let ioctls = move || Some(count.load(Relaxed));
        Self { name: name.into(), run: Box::new(run), ioctls: Box::new(ioctls), expected }
    }

    fn command(arguments: &[&str], expected: usize) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&text| text.into()).collect();
        let shown = arguments.split_last().map_or_else(String::new, |(_, most)| most.join(" "));
        let shown = shown.replace(&SEVEN.join(","), "SEVEN");
        let traced = arguments.clone();
        Self {
            name: format!("zfs {shown}"),
            run: Box::new(move || lines(Command::new("zfs").args(&arguments))),
            ioctls: Box::new(move || ioctls_of(&traced)),
            expected,
        }
    }
}

/// How many lines a command prints.
fn lines(command: &mut Command) -> usize {
    let output = command.stderr(Stdio::inherit()).output().map(|output| output.stdout);
    output.unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count()
}

fn ioctls_of(arguments: &[String]) -> Option<usize> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=ioctl", "-e", "signal=none", "zfs"]).args(arguments);
    let output = strace.stdout(Stdio::null()).stderr(Stdio::piped()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    Some(text.lines().filter(|line| line.contains("ioctl(")).count())
}

fn names(what: &List) -> impl Fn(&Zfs) -> usize + 'static {
    let what = what.clone();
    move |zfs| zfs.list_names(&what).filter_map(Result::ok).count()
}

fn full(what: List) -> impl Fn(&Zfs) -> usize + 'static {
    move |zfs| zfs.list(&what).filter_map(Result::ok).count()
}

fn names_alone(zfs: &Zfs, root: &DatasetName, count: usize) -> Vec<Way> {
    let all = List::from(root.clone());
    let level = all.clone().depth(1);
    let in_level = zfs.list_names(&level).count();
    let one_level = ["list", "-H", "-d", "1", "-o", "name", root.as_str()];
    vec![
        Way::command(&one_level, in_level),
        Way::ours("names, one level", counting(zfs, true), in_level, names(&level)),
        Way::command(&["list", "-H", "-r", "-o", "name", root.as_str()], count),
        Way::ours("names", counting(zfs, true), count, names(&all)),
        Way::ours("names, without programs", counting(zfs, false), count, names(&all)),
    ]
}

fn ways(zfs: &Zfs, root: &DatasetName, count: usize) -> Vec<Way> {
    let columns = format!("name,{}", SEVEN.join(","));
    let all = List::from(root.clone());
    let mut ways = names_alone(zfs, root, count);
    ways.push(Way::command(&["list", "-H", "-r", "-o", &columns, root.as_str()], count));
    for threads in [1, 2, 4] {
        let what = all.clone().properties(SEVEN);
        let what = NonZeroUsize::new(threads).map_or(what.clone(), |n| what.threads(n));
        let name = format!("seven properties, threads: {threads}");
        ways.push(Way::ours(&name, counting(zfs, true), count, full(what)));
    }
    let snapshots = all.clone().types(DatasetTypes::SNAPSHOT);
    let arguments = ["list", "-H", "-r", "-t", "snapshot", "-o", "name", root.as_str()];
    ways.push(Way::command(&arguments, count));
    ways.push(Way::ours("names of snapshots", counting(zfs, true), count, names(&snapshots)));
    ways
}

fn table(title: &str, turns: usize, ways: &[Way]) {
    let mut contest = Contest::new(title, 0);
    for way in ways {
        contest = contest.with(way.name.clone(), || {
            let found = (way.run)();
            assert_eq!(found, way.expected, "{}", way.name);
        });
    }
    let standings = contest.run(turns);
    println!("{title}; {turns} turns");
    println!("  {:<40}{:>24}{:>10}", "", "seconds (quartiles)", "ioctls");
    for (standing, way) in standings.iter().zip(ways) {
        let [low, middle, high] = standing.seconds;
        let ioctls = (way.ioctls)().map_or_else(|| "?".to_owned(), |count| count.to_string());
        println!("  {:<40}{middle:>8.3} ({low:.3} to {high:.3}){ioctls:>8}", standing.name);
    }
}
