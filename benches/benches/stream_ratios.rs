//! How verifying compares with reading the same bytes, with `zstream dump` on the same file, and how the checksum's kernels compare with
//! each other. All in turns in one run, so that what else the machine does is the same for all.
//!
//!     cargo bench -p zfsvol-benches --bench stream_ratios
//!
//! `zstream` is found by the script beside this file; where there is none, that is said.

#![expect(clippy::print_stdout, reason = "this is its output")]
#![expect(clippy::disallowed_methods, reason = "runs zstream, to compare with")]
#![expect(unsafe_code, reason = "an allocator that counts is the only way to count")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Seek, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use zfsvol_benches::{Contest, read_and_sum, zvol_stream};
use zfsvol_core::nvlist::ByteOrder;
use zfsvol_core::stream::{ChecksumKernel, Fletcher4, StreamReader, Tee, verify, verify_bytes};

/// More than any cache holds.
const STREAM_BYTES: usize = 256 << 20;

/// What is read at once when a file is read and summed: what [`verify`] reads at once.
const READ_BYTES: usize = 1 << 20;

const TURNS: usize = 15;

/// A checksum is over quickly, and so takes more turns.
const CHECKSUM_TURNS: usize = 200;

/// The exit status of the script when there is no zstream.
const NO_ZSTREAM: i32 = 77;

fn main() -> Result<(), Box<dyn Error>> {
    checksums();
    for block_bytes in [8 << 10, 128 << 10, 1 << 20] {
        let stream = zvol_stream(block_bytes, (STREAM_BYTES / block_bytes) as u64)?;
        in_memory(&stream, block_bytes);
        in_a_file(&stream, block_bytes)?;
        if block_bytes == 128 << 10 {
            allocations(&stream)?;
        }
    }
    Ok(())
}

fn checksums() {
    let block = &vec![0x5a; 128 << 10];
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let title = format!("fletcher4 of 128 KiB in the cache, words {order:?}-endian");
        let mut contest = Contest::new(title, block.len());
        for kernel in ChecksumKernel::available() {
            contest = contest.with(format!("{kernel:?}"), move || {
                let mut sum = Fletcher4::with_kernel(order, kernel);
                sum.update(black_box(block));
                black_box(sum.value());
            });
        }
        println!("{}", contest.table(CHECKSUM_TURNS));
    }
    println!("the best here: {:?}\n", ChecksumKernel::best());
}

fn in_memory(stream: &[u8], block_bytes: usize) {
    let title = format!("256 MiB in memory, blocks of {} KiB", block_bytes >> 10);
    let contest = Contest::new(title, stream.len())
        .with("read and sum", || {
            black_box(read_and_sum(black_box(stream)));
        })
        .with("verify_bytes", || drop(black_box(verify_bytes(black_box(stream)))))
        .with("StreamReader::from_bytes", || {
            black_box(read_all(StreamReader::from_bytes(black_box(stream))));
        })
        .with("verify, through Read", || drop(black_box(verify(black_box(stream)))));
    println!("{}", contest.table(TURNS));
}

fn read_all<S: zfsvol_core::stream::Source>(mut reader: StreamReader<S>) -> bool {
    loop {
        match reader.next_frame() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn in_a_file(stream: &[u8], block_bytes: usize) -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(stream)?;
    let path = file.path();
    let open = || {
        let mut opened = file.reopen()?;
        opened.rewind()?;
        Ok::<File, io::Error>(opened)
    };
    open()?;
    let zstream = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/zstream");
    let dump = || Command::new(zstream).arg("dump").arg(path).stdout(Stdio::null()).status();
    let title =
        format!("256 MiB in a file, in the page cache, blocks of {} KiB", block_bytes >> 10);
    let contest = Contest::new(title, stream.len())
        .with("read and sum", || drop(black_box(open().and_then(sum_of))))
        .with("verify", || drop(black_box(open().map(verify))))
        .with("Tee", || drop(black_box(open().and_then(tee))));
    println!("{}", contest.table(TURNS));
    match dump()? {
        status if status.success() => {}
        status if status.code() == Some(NO_ZSTREAM) => {
            println!("SKIPPED: zstream dump: there is no zstream here\n");
            return Ok(());
        }
        status => return Err(format!("zstream does not take the stream: {status}").into()),
    }
    let contest = Contest::new("the same file", stream.len())
        .with("zstream dump", || drop(black_box(dump())))
        .with("verify", || drop(black_box(open().map(verify))))
        .with("verify_bytes, of memory", || drop(black_box(verify_bytes(black_box(stream)))));
    println!("{}", contest.table(TURNS));
    Ok(())
}

/// Reads the file as [`verify`] does, and does the least with it.
fn sum_of(mut file: File) -> io::Result<u64> {
    let (mut sum, mut buffer) = (0_u64, vec![0; READ_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum),
            length => {
                let read = buffer.get(..length).unwrap_or_default();
                sum = sum.wrapping_add(read_and_sum(read));
            }
        }
    }
}

fn tee(file: File) -> io::Result<u64> {
    let mut tee = Tee::new(file);
    let mut buffer = vec![0; READ_BYTES];
    while tee.read(&mut buffer)? > 0 {}
    Ok(tee.finish()?.records())
}

/// How often memory is asked for, in a short stream and in a long one.
fn allocations(long: &[u8]) -> Result<(), Box<dyn Error>> {
    type Run = dyn Fn(&[u8]);
    let short = zvol_stream(128 << 10, 2)?;
    println!(
        "allocations, in a stream of 4 records and in one of {}",
        verify_bytes(long)?.records()
    );
    let count = |run: &Run| (calls_of(|| run(&short)), calls_of(|| run(long)));
    let runs: [(&str, &Run); 4] = [
        ("verify_bytes", &|stream| drop(verify_bytes(stream))),
        ("verify", &|stream| drop(verify(stream))),
        ("StreamReader::from_bytes", &|stream| assert!(read_all(StreamReader::from_bytes(stream)))),
        ("StreamReader::new", &|stream| assert!(read_all(StreamReader::new(stream)))),
    ];
    for (name, run) in runs {
        let (few, many) = count(run);
        println!("  {name:<34}{few:>8} and {many}");
    }
    Ok(())
}

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came, which keeps the contract; the counting besides
// touches no memory but an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout, since `alloc` passes on what `System` gives.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn calls_of(run: impl FnOnce()) -> usize {
    let before = CALLS.load(Relaxed);
    run();
    CALLS.load(Relaxed) - before
}
