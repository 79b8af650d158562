//! Decoding takes memory in proportion to its input, whatever the input says of itself.
#![expect(unsafe_code, reason = "an allocator that counts is the only way to see a peak")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use zfsvol_core::nvlist::{ByteOrder, Encoding, NvList, NvString, Value};

/// What `Limits` promises, in bytes of memory for a byte of input.
const FACTOR_MAX: usize = 20;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came, which keeps the contract; the counting besides
// touches no memory but two atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
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

/// Lists that take the least bytes for the most memory, each by one kind of thing.
fn lists() -> Vec<(&'static str, NvList)> {
    let one = |value: Value| {
        let mut list = NvList::new();
        list.insert("x", value);
        list
    };
    let mut nameless = NvList::with_duplicates();
    nameless.extend((0..100_000).map(|_| ("", Value::Boolean)));
    let short = |i: u32| char::from_u32(0x4e00 + i).map(String::from).unwrap_or_default();
    let tiny = |i: u32| {
        let mut list = NvList::new();
        list.insert(short(i % 3), true);
        list
    };
    vec![
        ("flags without names", nameless),
        ("flags with short names", (0..20_000).map(|i| (short(i), Value::Boolean)).collect()),
        ("empty lists", one(Value::NvListArray(vec![NvList::new(); 100_000]))),
        ("tiny lists", one(Value::NvListArray((0..20_000).map(tiny).collect()))),
        ("empty strings", one(Value::StringArray(vec![NvString::default(); 100_000]))),
        ("short strings", one(Value::StringArray(vec![NvString::from("x"); 100_000]))),
        ("bytes", one(Value::ByteArray(vec![7; 1_000_000]))),
        ("booleans", one(Value::BooleanArray(vec![true; 100_000]))),
    ]
}

/// How many bytes were in use at the worst moment of `run`, beyond those before it.
fn peak_of(run: impl FnOnce()) -> usize {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    run();
    PEAK.load(Relaxed) - before
}

#[test]
fn decoding_takes_memory_in_proportion_to_its_input() {
    for (name, list) in lists() {
        for encoding in [Encoding::Native(ByteOrder::Little), Encoding::Xdr] {
            let bytes = list.encode(encoding).unwrap();
            let peak = peak_of(|| drop(NvList::from_bytes(&bytes).unwrap()));
            let factor = peak as f64 / bytes.len() as f64;
            println!("{name} {encoding:?}: {factor:.1}");
            assert!(peak <= bytes.len() * FACTOR_MAX, "{name} {encoding:?}: {factor:.1}");
        }
    }
    // A list that only claims to be long takes next to nothing.
    for length in 0..=u8::MAX {
        let mut bytes = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend([0x7f, 0xff, 0xff, 0xff].repeat(6));
        bytes.extend([length; 64]);
        let peak = peak_of(|| drop(NvList::from_bytes(&bytes)));
        assert!(peak < 4096, "{peak}");
    }
}
