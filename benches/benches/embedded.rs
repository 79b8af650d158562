//! What the embedded kernel costs: an operation among 1,000, 10,000 and 100,000 volumes, a volume and a snapshot in memory, a listing of all of
//! them, operations of many threads, and streams against copying memory.
//!
//!     cargo bench -p zfsvol-benches --bench embedded
//!
//! What one thread does is given in processor time of that thread, so that what else the machine does counts little. Streams are compared in
//! turns. What several threads do together is given by the clock, and is worth something on a quiet machine only.

#![expect(clippy::print_stdout, reason = "this is its output")]
#![expect(unsafe_code, reason = "an allocator that counts is the only way to count")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use zfsvol_benches::Contest;
use zfsvol_core::embedded::Embedded;
use zfsvol_core::kernel::Access;
use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::zfs::{Destroy, List, ReceiveOptions, SendOptions};
use zfsvol_core::{Bytes, DatasetName, Zfs};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How many volumes there are while an operation is measured.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// How often each operation is done there.
const TIMES: usize = 1_000;
/// How large a volume is; what it holds nothing of takes no memory.
const VOLUME: Bytes = Bytes::from_gib(1);
/// What the threads do, each so often.
const THREAD_TIMES: usize = 20_000;
const THREADS: [usize; 3] = [1, 2, 4];
/// More than any cache holds.
const STREAM_BYTES: usize = 128 << 20;
const STREAM_TURNS: usize = 7;

fn main() -> Outcome {
    let mut columns = Vec::new();
    for size in SIZES {
        columns.push(at_size(size)?);
    }
    println!("microseconds of processor an operation, among so many volumes below one parent");
    println!("  {:<34}{:>9}{:>9}{:>9}", "", SIZES[0], SIZES[1], SIZES[2]);
    if let Some(first) = columns.first() {
        for (row, (name, _)) in first.iter().enumerate() {
            print!("  {name:<34}");
            for column in &columns {
                let micros = column.get(row).map_or(f64::NAN, |(_, micros)| *micros);
                print!("{micros:>9.2}");
            }
            println!();
        }
    }
    println!();
    threads()?;
    streams()
}

fn name(number: usize) -> Outcome<DatasetName> {
    Ok(format!("tank/v/{number:06}").parse()?)
}

/// A kernel with a parent for volumes.
fn empty() -> Outcome<Zfs> {
    let zfs = Zfs::new(Embedded::builder().pool("tank", Bytes::from_gib(1 << 20)).build());
    zfs.create_filesystem(&"tank/v".parse()?, &PropertySet::new())?;
    Ok(zfs)
}

/// Thin, so that what is reserved does not fill the pool.
fn create(zfs: &Zfs, number: usize) -> Outcome {
    Ok(zfs.create_zvol(&name(number)?, VOLUME, &PropertySet::new())?)
}

/// Fills a pool with volumes and a snapshot of each, and measures what everything costs there.
fn at_size(size: usize) -> Outcome<Vec<(&'static str, f64)>> {
    let zfs = empty()?;
    let none = PropertySet::new();
    let mut rows = Vec::new();
    let (before, start) = (LIVE.load(Relaxed), Instant::now());
    each("", size, |number| create(&zfs, number))?;
    let (volumes, created) = (LIVE.load(Relaxed), start.elapsed());
    let start = Instant::now();
    each("", size, |number| Ok(zfs.snapshot([&name(number)?.snapshot("s")?], &none)?))?;
    let (snapshots, taken) = (LIVE.load(Relaxed), start.elapsed());
    println!(
        "{size} volumes: created in {:.2} s, a snapshot of each in {:.2} s; {} bytes a volume, {} bytes a snapshot",
        created.as_secs_f64(),
        taken.as_secs_f64(),
        volumes.saturating_sub(before) / size,
        snapshots.saturating_sub(volumes) / size,
    );
    let all = List::from("tank/v".parse()?);
    for (what, list) in [
        ("names", all.clone().types(DatasetTypes::VOLUME)),
        ("seven properties", all.clone().types(DatasetTypes::VOLUME).properties(SEVEN)),
        ("names with snapshots", all.types(DatasetTypes::VOLUME | DatasetTypes::SNAPSHOT)),
    ] {
        let start = Instant::now();
        let found = zfs.list_all(&list)?.len();
        println!("  list of {found}, {what}: {:.2} s", start.elapsed().as_secs_f64());
    }
    let more = |number: usize| size + number;
    let note = PropertySet::new().with("test:note", "x")?;
    rows.push(each("create a zvol", TIMES, |n| create(&zfs, more(n)))?);
    rows.push(each("snapshot", TIMES, |n| {
        Ok(zfs.snapshot([&name(more(n))?.snapshot("s")?], &none)?)
    })?);
    rows.push(each("read all properties", TIMES, |n| {
        black_box(zfs.properties(&name(n)?)?);
        Ok(())
    })?);
    rows.push(each("set a property", TIMES, |n| Ok(zfs.set_properties(&name(n)?, &note)?))?);
    rows.push(each("hold", TIMES, |n| {
        zfs.hold(&[(name(n)?.snapshot("s")?, "x")], None)?;
        Ok(())
    })?);
    rows.push(each("release", TIMES, |n| {
        zfs.release(&[(name(n)?.snapshot("s")?, "x")])?;
        Ok(())
    })?);
    rows.push(each("bookmark", TIMES, |n| {
        let snapshot = name(n)?.snapshot("s")?;
        Ok(zfs.bookmark(&[(name(n)?.bookmark("b")?, snapshot.into())])?)
    })?);
    let clone = |n: usize| -> Outcome<DatasetName> { Ok(format!("tank/v/c{n:06}").parse()?) };
    rows.push(each("clone", TIMES, |n| {
        Ok(zfs.create_clone(&clone(n)?, &name(n)?.snapshot("s")?, &none)?)
    })?);
    rows.push(each("promote", TIMES, |n| Ok(zfs.promote(&clone(n)?)?))?);
    rows.push(each("rename", TIMES, |n| {
        Ok(zfs.rename(&clone(n)?, &format!("tank/v/r{n:06}").parse()?)?)
    })?);
    let block = vec![7; 16 << 10];
    rows.push(each("open, write 16 KiB, close", TIMES, |n| {
        let host = zfs.kernel().host();
        let device = host.open_block(&name(more(n))?, Access::ReadWrite, Duration::ZERO);
        Ok(device.map_err(|errno| errno.to_string())?.write_all_at(&block, 0)?)
    })?);
    rows.push(each("destroy a snapshot", TIMES, |n| {
        Ok(zfs.destroy_snapshots([&name(more(n))?.snapshot("s")?], Destroy::Now)?)
    })?);
    rows.push(each("destroy", TIMES, |n| Ok(zfs.destroy(&name(more(n))?)?))?);
    let start = Instant::now();
    zfs.destroy_recursive(&"tank/v".parse()?)?;
    println!("  all destroyed in {:.2} s", start.elapsed().as_secs_f64());
    Ok(rows)
}

const SEVEN: [&str; 7] =
    ["used", "available", "referenced", "mountpoint", "compression", "quota", "creation"];

/// Microseconds of processor that each of so many took.
fn each(
    what: &'static str,
    times: usize,
    mut run: impl FnMut(usize) -> Outcome,
) -> Outcome<(&'static str, f64)> {
    let before = processor()?;
    for number in 0..times {
        run(number)?;
    }
    let took = processor()?.saturating_sub(before);
    Ok((what, took.as_secs_f64() * 1e6 / times as f64))
}

/// How long this thread had a processor.
fn processor() -> Outcome<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// What several threads do in one pool, each with a volume of its own.
fn threads() -> Outcome {
    println!("operations a second of so many threads together, by the clock");
    for (what, changes) in [("snapshot and destroy it", true), ("read all properties", false)] {
        print!("  {what:<34}");
        for count in THREADS {
            let zfs = empty()?;
            for number in 0..count {
                create(&zfs, number)?;
            }
            let start = Instant::now();
            thread::scope(|scope| {
                let work: Vec<_> = (0..count)
                    .map(|number| {
                        let zfs = zfs.clone();
                        scope.spawn(move || work(&zfs, number, changes).map_err(|e| e.to_string()))
                    })
                    .collect();
                let joined =
                    work.into_iter().map(|work| work.join().unwrap_or(Err("it fell".into())));
                joined.collect::<Result<(), String>>()
            })?;
            let each = if changes { 2 } else { 1 };
            let rate = (count * THREAD_TIMES * each) as f64 / start.elapsed().as_secs_f64();
            print!("  {count}: {rate:>9.0}");
        }
        println!();
    }
    println!();
    Ok(())
}

fn work(zfs: &Zfs, number: usize, changes: bool) -> Outcome {
    let volume = name(number)?;
    let snapshot = volume.snapshot("s")?;
    for _ in 0..THREAD_TIMES {
        if changes {
            zfs.snapshot([&snapshot], &PropertySet::new())?;
            zfs.destroy_snapshots([&snapshot], Destroy::Now)?;
        } else {
            black_box(zfs.properties(&volume)?);
        }
    }
    Ok(())
}

/// A full stream of a volume that is full of noise, out and in, against copying as many bytes.
fn streams() -> Outcome {
    let zfs = empty()?;
    let (volume, other) = (name(0)?, name(1)?);
    let off = PropertySet::new().with("compression", "off")?.with("volblocksize", "128K")?;
    zfs.create_zvol(&volume, Bytes::new(STREAM_BYTES as u64), &off)?;
    let device = zfs.kernel().host().open_block(&volume, Access::ReadWrite, Duration::ZERO);
    let device = device.map_err(|errno| errno.to_string())?;
    let mut noise = vec![0_u8; 1 << 20];
    let mut state = 1_u64;
    for offset in (0..STREAM_BYTES as u64).step_by(noise.len()) {
        for word in noise.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&state.to_le_bytes());
        }
        device.write_all_at(&noise, offset)?;
    }
    drop(device);
    let snapshot = volume.snapshot("s")?;
    zfs.snapshot([&snapshot], &PropertySet::new())?;
    let mut stream = Vec::with_capacity(STREAM_BYTES + (STREAM_BYTES >> 4));
    zfs.send(&snapshot, &SendOptions::full())?.read_to_end(&mut stream)?;
    let to = other.snapshot("s")?;
    let receive = || -> Outcome {
        let mut taking = zfs.receive(&to, &ReceiveOptions::new())?;
        taking.write_all(&stream)?;
        taking.finish()?;
        Ok(zfs.destroy_recursive(&other).map(drop)?)
    };
    receive()?;
    let mut copy = vec![0_u8; stream.len()];
    let mut taken = Vec::with_capacity(stream.len());
    let contest = Contest::new("a full stream of 128 MiB in blocks of 128 KiB", stream.len())
        .with("copy memory", || copy.copy_from_slice(black_box(&stream)))
        .with("send", || {
            taken.clear();
            let sent = zfs.send(&snapshot, &SendOptions::full());
            drop(black_box(sent.map(|mut sent| sent.read_to_end(&mut taken))));
        })
        .with("receive, and destroy it", || drop(black_box(receive())));
    println!("{}", contest.table(STREAM_TURNS));
    Ok(())
}

struct Counting;

/// Bytes in use.
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came, which keeps the contract; the counting besides
// touches no memory but an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `System` with this layout, since `alloc` passes on what `System` gives.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
