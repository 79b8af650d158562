//! Reading a stream takes a fixed amount of memory, and none for each record.
#![expect(unsafe_code, reason = "an allocator that counts is the only way to see a peak")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use zfsvol_core::nvlist::ByteOrder;
use zfsvol_core::stream::{
    Begin, End, Header, HeaderType, Object, ObjectType, PAYLOAD_BYTES_MAX, Record, STREAM_MAGIC,
    StreamError, StreamFeatures, StreamReader, StreamWriter, Write, verify, verify_bytes,
};

/// What a reader takes besides the payload it hands out: its first buffer, which is 1 MiB at most.
const READER_BYTES_MAX: usize = (1 << 20) + (64 << 10);

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came, which keeps the contract; the counting besides
// touches no memory but three atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `System` with this layout, since `alloc` passes on what `System` gives.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes were in use at the worst moment of `run`, beyond those before it, and how often memory was asked for.
fn cost_of(run: impl FnOnce()) -> (usize, usize) {
    let (before, calls) = (NOW.load(Relaxed), CALLS.load(Relaxed));
    PEAK.store(before, Relaxed);
    run();
    (PEAK.load(Relaxed) - before, CALLS.load(Relaxed) - calls)
}

fn begin() -> Record {
    let mut begin = Begin { magic: STREAM_MAGIC, objset_type: 2, ..Begin::default() };
    begin.set_version(HeaderType::Substream, StreamFeatures::LARGE_BLOCKS);
    Record::Begin(begin)
}

fn write(offset: u64, logical_bytes: u64) -> Record {
    let object_type = ObjectType::FILE;
    Record::Write(Write { object: 1, object_type, offset, logical_bytes, ..Write::default() })
}

/// A stream of this many blocks of 4 KiB.
fn stream(blocks: u64) -> Result<Vec<u8>, StreamError> {
    let mut writer = StreamWriter::new(Vec::new());
    writer.write(&begin(), &[])?;
    for block in 0..blocks {
        writer.write(&write(block * 4096, 4096), &[7; 4096])?;
    }
    writer.write(&Record::End(End::default()), &[])?;
    writer.finish()
}

fn read_all(input: impl Read) -> bool {
    let mut reader = StreamReader::new(input);
    loop {
        match reader.next_frame() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

// One test, because others beside it would be counted.
#[test]
fn reading_takes_a_fixed_amount_of_memory() {
    // Records that claim the longest of payloads, and bring none or a part.
    let longest = u64::from(PAYLOAD_BYTES_MAX);
    let bonus = Object { object: 1, raw_bonus_bytes: 16_192, ..Object::default() };
    let mut many = match begin() {
        Record::Begin(begin) => begin,
        _ => unreachable!(),
    };
    many.payload_bytes = 64 << 20;
    for claim in [write(0, longest), Record::Object(bonus), Record::Begin(many)] {
        for (there, bound) in [(0, READER_BYTES_MAX), (3 << 20, 8 << 20)] {
            let mut bytes = Header::new(&begin(), ByteOrder::Little).as_bytes().to_vec();
            if matches!(claim, Record::Begin(_)) {
                bytes.clear();
            }
            bytes.extend(Header::new(&claim, ByteOrder::Little).as_bytes());
            bytes.resize(bytes.len() + there, 0);
            let (peak, _) = cost_of(|| assert!(!read_all(&bytes[..])));
            assert!(peak <= bound, "{claim}: {peak} for {there}");
            let (peak, _) = cost_of(|| assert!(verify(&bytes[..]).is_err()));
            assert!(peak <= READER_BYTES_MAX, "{claim}: {peak}");
        }
    }
    // A stream without end, of streams without end, would need no more than one with.
    let (short, long) = (stream(10).unwrap(), stream(1000).unwrap());
    let (few, few_calls) = cost_of(|| assert!(read_all(&short[..])));
    let (more, more_calls) = cost_of(|| assert!(read_all(&long[..])));
    assert_eq!((few, few_calls), (more, more_calls), "nothing for a record");
    assert!(more <= READER_BYTES_MAX);
    let (_, calls) = cost_of(|| assert!(verify_bytes(&long).is_ok()));
    assert_eq!(calls, 0, "verifying what is in memory");
}
