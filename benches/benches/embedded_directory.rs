//! What it costs that the embedded kernel keeps its state in a directory: the same in memory, in turns.
//!
//!     cargo bench -p zfsvol-benches --bench embedded_directory -- 1000 10000
//!
//! The directory is made in `$TMPDIR`: what waiting for the disk takes is that disk's.

#![expect(clippy::print_stdout, reason = "this is its output")]

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::Instant;

use zfsvol_core::embedded::Embedded;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::Zfs;
use zfsvol_core::{Bytes, DatasetName};

/// How many volumes where nothing is said.
const COUNTS: [usize; 2] = [1000, 10_000];

/// Threads that create at once.
const THREADS: usize = 8;

/// The last so many of each count are measured: what one more costs when there are that many.
const MEASURED: usize = 500;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let given: Vec<usize> = std::env::args().filter_map(|number| number.parse().ok()).collect();
    println!("{:>8}  {:<22}{:>12}{:>12}", "volumes", "", "memory", "directory");
    for count in if given.is_empty() { COUNTS.to_vec() } else { given } {
        let temporary = tempfile::tempdir()?;
        let directory = temporary.path().join("state");
        let memory = Zfs::new(Embedded::new());
        let kept = Zfs::new(Embedded::open(&directory)?);
        let first = count.saturating_sub(MEASURED);
        for zfs in [&memory, &kept] {
            create(zfs, 0..first, THREADS)?;
        }
        let row = |what: &str, memory: f64, kept: f64| {
            println!("{count:>8}  {what:<22}{memory:>9.1} µs{kept:>9.1} µs");
        };
        let half = first + (count - first) / 2;
        row("create, 1 thread", create(&memory, first..half, 1)?, create(&kept, first..half, 1)?);
        let what = format!("create, {THREADS} threads");
        let rest = half..count;
        row(&what, create(&memory, rest.clone(), THREADS)?, create(&kept, rest, THREADS)?);
        row("snapshot, 1 thread", snapshot(&memory, first)?, snapshot(&kept, first)?);
        drop(kept);
        let began = Instant::now();
        Embedded::open(&directory)?;
        let bytes = std::fs::metadata(directory.join("zfsvol.state"))?.len();
        println!(
            "{count:>8}  opened in {:.1?}, {} bytes a volume",
            began.elapsed(),
            bytes / count as u64
        );
    }
    wait_alone(&std::env::temp_dir())
}

fn name(number: usize) -> Outcome<DatasetName> {
    Ok(format!("tank/v{number}").parse()?)
}

/// Microseconds a volume, with so many threads.
fn create(zfs: &Zfs, numbers: std::ops::Range<usize>, threads: usize) -> Outcome<f64> {
    let (began, count) = (Instant::now(), numbers.len().max(1));
    thread::scope(|scope| {
        let each = |thread: usize| {
            let mine = numbers.clone().skip(thread).step_by(threads);
            scope.spawn(move || -> Outcome<()> {
                for number in mine {
                    zfs.create_zvol(&name(number)?, Bytes::from_mib(1), &PropertySet::new())?;
                }
                Ok(())
            })
        };
        let running: Vec<_> = (0..threads).map(each).collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    Ok(began.elapsed().as_secs_f64() * 1e6 / count as f64)
}

/// Microseconds a snapshot.
fn snapshot(zfs: &Zfs, from: usize) -> Outcome<f64> {
    const COUNT: usize = 200;
    let began = Instant::now();
    for number in from..from + COUNT {
        zfs.snapshot([&name(number)?.snapshot("s")?], &PropertySet::new())?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / COUNT as f64)
}

/// What the disk itself takes to make a write durable.
fn wait_alone(directory: &Path) -> Outcome<()> {
    const COUNT: u32 = 200;
    use std::io::Write as _;
    let mut file = tempfile::tempfile_in(directory)?;
    let began = Instant::now();
    for _ in 0..COUNT {
        file.write_all(&[1; 1000])?;
        file.sync_data()?;
    }
    println!("one write and fdatasync of that disk: {:.1?}", began.elapsed() / COUNT);
    Ok(())
}
