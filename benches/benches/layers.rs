//! What one call costs on each layer above an ioctl that is answered at once: nanoseconds, and how often memory is asked for.
//!
//!     cargo bench -p zfsvol-benches --bench layers
//!
//! The kernel answers three ioctls with what an embedded one has answered before, which takes as long as copying that. What each layer takes is the
//! difference to the one below it. In the last table the embedded kernel itself answers: with that go those of `benches/languages`, since other languages cannot be given a
//! kernel in Rust. What `/dev/zfs` costs beside the ioctl itself, `make bench-peers` compares with libzfs_core.

#![expect(clippy::print_stdout, reason = "this is its output")]
#![expect(unsafe_code, reason = "calls C, and an allocator that counts is the only way to count")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::hint::black_box;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use zfsvol::handle::Object;
use zfsvol::view::zfsvol_str;
use zfsvol::zfs::zfsvol_zfs;
use zfsvol::{dataset, nvlist, property as ffi_property, snapshot as ffi_snapshot};
use zfsvol_benches::Contest;
use zfsvol_core::embedded::Embedded;
use zfsvol_core::kernel::{Cmd, Errno, Host, Ioc, Kernel, ObjsetStats, Observe, ReadOnly};
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{Node, Uuid, VolumeName, VolumeSpec};
use zfsvol_core::{Bytes, DatasetName, SnapshotName, Zfs};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const CALLS: usize = 2_000;
const TURNS: usize = 31;
const NODE: Uuid = Uuid::from_u128(1);

fn main() -> Outcome {
    let embedded: Arc<dyn Kernel> = Arc::new(Embedded::new());
    let volume: VolumeName = "shop:db".parse()?;
    let node = open(Arc::clone(&embedded))?;
    let dataset = node.create(&volume, &VolumeSpec::block(Bytes::from_gib(1)))?.dataset;
    let stub = Arc::new(Stub::of(Arc::clone(&embedded), &dataset)?);
    let layers = Layers {
        kernel: stub.clone(),
        zfs: Zfs::from_shared(stub.clone()),
        node: open(stub.clone())?,
        handle: zfsvol_zfs::give(Zfs::from_shared(stub.clone())),
        stub,
        volume,
        snapshot: dataset.snapshot("now")?,
        dataset,
    };
    layers.exists()?;
    layers.properties()?;
    layers.snapshots()?;
    layers.names();
    in_process(&Zfs::from_shared(embedded), &layers.dataset)
}

fn open(kernel: Arc<dyn Kernel>) -> Outcome<Node> {
    Ok(Node::open(Zfs::from_shared(kernel), "tank/volumes".parse()?, NODE)?)
}

/// Answers what is measured at once, and has another kernel answer all else.
#[derive(Debug)]
struct Stub {
    inner: Arc<dyn Kernel>,
    dataset: String,
    stats: ObjsetStats,
    properties: Vec<u8>,
    ioctls: AtomicUsize,
}

impl Stub {
    fn of(inner: Arc<dyn Kernel>, dataset: &DatasetName) -> Outcome<Self> {
        let mut cmd = Cmd::new(dataset.as_str());
        cmd.reply_max = 1 << 20;
        inner.ioctl(Ioc::OBJSET_STATS, &mut cmd).map_err(|errno| errno.to_string())?;
        Ok(Self {
            inner,
            dataset: dataset.as_str().to_owned(),
            stats: cmd.objset_stats.clone(),
            properties: cmd.reply().to_vec(),
            ioctls: AtomicUsize::new(0),
        })
    }
}

impl Kernel for Stub {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        self.ioctls.fetch_add(1, Relaxed);
        match ioc {
            Ioc::OBJSET_STATS if cmd.name == self.dataset => {
                cmd.objset_stats.clone_from(&self.stats);
                if cmd.reply_max > 0 { cmd.put_reply(&self.properties) } else { Ok(()) }
            }
            Ioc::SNAPSHOT => Ok(()),
            _ => self.inner.ioctl(ioc, cmd),
        }
    }

    fn host(&self) -> &dyn Host {
        self.inner.host()
    }
}

/// The same volume through every layer.
struct Layers {
    stub: Arc<Stub>,
    kernel: Arc<dyn Kernel>,
    zfs: Zfs,
    node: Node,
    handle: *mut zfsvol_zfs,
    volume: VolumeName,
    dataset: DatasetName,
    snapshot: SnapshotName,
}

/// One way to make the call.
type Row<'a> = (&'static str, Box<dyn Fn() -> bool + 'a>);

impl Layers {
    fn exists(&self) -> Outcome {
        let read_only = Zfs::new(ReadOnly::new(Arc::clone(&self.kernel)));
        let observed = Zfs::new(Observe::new(Arc::clone(&self.kernel)));
        let request = Cmd::new(self.dataset.as_str());
        let text = self.dataset.as_str();
        self.table(
            "does a volume exist?",
            &[
                ("the ioctl, answered at once", self.bare(Ioc::OBJSET_STATS, &request)),
                ("Zfs::exists", Box::new(|| self.zfs.exists(&self.dataset).is_ok())),
                (
                    "with a door that only reads",
                    Box::new(|| read_only.exists(&self.dataset).is_ok()),
                ),
                ("with a door that observes", Box::new(|| observed.exists(&self.dataset).is_ok())),
                ("C: zfsvol_dataset_exists", Box::new(|| exists_in_c(self.handle, text))),
            ],
        );
        Ok(())
    }

    fn properties(&self) -> Outcome {
        let mut request = Cmd::new(self.dataset.as_str());
        // As the operation asks for it.
        request.reply_max = 128 << 10;
        let text = self.dataset.as_str();
        self.table(
            "all properties of a volume",
            &[
                ("the ioctl, answered at once", self.bare(Ioc::OBJSET_STATS, &request)),
                ("Zfs::properties", Box::new(|| self.zfs.properties(&self.dataset).is_ok())),
                ("Node::get", Box::new(|| self.node.get(&self.volume).is_ok())),
                ("C: zfsvol_property_list", Box::new(|| properties_in_c(self.handle, text))),
            ],
        );
        Ok(())
    }

    fn snapshots(&self) -> Outcome {
        let none = PropertySet::new();
        let mut snaps = zfsvol_core::nvlist::NvList::new();
        snaps.insert_flag(self.snapshot.as_str());
        let mut input = zfsvol_core::nvlist::NvList::new();
        input.insert("snaps", snaps);
        let mut request = Cmd::new("tank");
        request.input = Some(input.to_bytes()?);
        request.reply_max = 128 << 10;
        self.table(
            "a snapshot of a volume",
            &[
                ("the ioctl, answered at once", self.bare(Ioc::SNAPSHOT, &request)),
                ("Zfs::snapshot", Box::new(|| self.zfs.snapshot([&self.snapshot], &none).is_ok())),
                ("Node::snapshot", Box::new(|| self.node.snapshot(&self.volume, "now").is_ok())),
                (
                    "C: zfsvol_snapshot_create",
                    Box::new(|| snapshot_in_c(self.handle, self.snapshot.as_str())),
                ),
            ],
        );
        Ok(())
    }

    fn names(&self) {
        let dataset = self.dataset.as_str();
        let snapshot = self.snapshot.as_str();
        let long = format!("tank{}", "/a-component-of-twenty".repeat(10));
        self.table(
            "names",
            &[
                ("a copy of the text", Box::new(|| !black_box(dataset.to_owned()).is_empty())),
                ("of a dataset", Box::new(|| black_box(dataset).parse::<DatasetName>().is_ok())),
                ("of a snapshot", Box::new(|| black_box(snapshot).parse::<SnapshotName>().is_ok())),
                (
                    "of a dataset, ten levels deep",
                    Box::new(|| black_box(&long).parse::<DatasetName>().is_ok()),
                ),
            ],
        );
    }

    /// The ioctl alone, with a copy of a request that is ready.
    fn bare<'a>(&'a self, ioc: Ioc, request: &'a Cmd) -> Box<dyn Fn() -> bool + 'a> {
        Box::new(move || {
            let mut cmd = request.clone();
            self.kernel.ioctl(ioc, &mut cmd).is_ok_and(|()| black_box(cmd).input == request.input)
        })
    }

    fn table(&self, title: &str, rows: &[Row<'_>]) {
        table(title, rows, &self.stub.ioctls);
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        // SAFETY: made by `give`, and nobody else has it.
        unsafe { zfsvol::zfs::zfsvol_zfs_free(self.handle) };
    }
}

/// With the embedded kernel, to compare with languages that have no other without `/dev/zfs`.
fn in_process(zfs: &Zfs, dataset: &DatasetName) -> Outcome {
    let handle = zfsvol_zfs::give(zfs.clone());
    let text = dataset.as_str();
    table(
        "the same with the embedded kernel",
        &[
            ("Zfs::exists", Box::new(|| zfs.exists(dataset).is_ok())),
            ("C: zfsvol_dataset_exists", Box::new(|| exists_in_c(handle, text))),
            ("Zfs::properties", Box::new(|| zfs.properties(dataset).is_ok())),
            ("C: zfsvol_property_list", Box::new(|| properties_in_c(handle, text))),
        ],
        &AtomicUsize::new(0),
    );
    // SAFETY: made by `give`, and nobody else has it.
    unsafe { zfsvol::zfs::zfsvol_zfs_free(handle) };
    Ok(())
}

/// Runs the rows in turns and prints what a call of each takes.
fn table(title: &str, rows: &[Row<'_>], ioctls: &AtomicUsize) {
    let mut contest = Contest::new(title, 0);
    for (name, call) in rows {
        contest = contest.with(*name, move || (0..CALLS).for_each(|_| assert!(call(), "{name}")));
    }
    println!("{title}; {TURNS} turns of {CALLS} calls");
    println!("  {:<32}{:>26}{:>13}{:>8}", "", "nanoseconds (quartiles)", "allocations", "ioctls");
    for (standing, (_, call)) in contest.run(TURNS).iter().zip(rows) {
        let [low, middle, high] = standing.seconds.map(|seconds| seconds * 1e9 / CALLS as f64);
        let before = (ALLOCATIONS.load(Relaxed), ioctls.load(Relaxed));
        call();
        let allocations = ALLOCATIONS.load(Relaxed) - before.0;
        let ioctls = ioctls.load(Relaxed) - before.1;
        println!(
            "  {:<32}{middle:>10.0} ({low:.0} to {high:.0}){allocations:>10}{ioctls:>8}",
            standing.name
        );
    }
    println!();
}

fn view(text: &str) -> zfsvol_str {
    zfsvol_str { ptr: text.as_ptr().cast(), len: text.len() }
}

fn exists_in_c(zfs: *const zfsvol_zfs, name: &str) -> bool {
    let mut there = false;
    // SAFETY: the handle is live, the text outlives the call, `there` is a place for the answer, and nobody wants the error.
    let status =
        unsafe { dataset::zfsvol_dataset_exists(zfs, view(name), &raw mut there, ptr::null_mut()) };
    status == 0 && there
}

fn properties_in_c(zfs: *const zfsvol_zfs, name: &str) -> bool {
    let mut list = ptr::null_mut();
    // SAFETY: as in `exists_in_c`.
    let status = unsafe {
        ffi_property::zfsvol_property_list(zfs, view(name), &raw mut list, ptr::null_mut())
    };
    // SAFETY: the call gave it to us, or left it null, which is nothing to free.
    unsafe { nvlist::zfsvol_nvlist_free(list) };
    status == 0
}

fn snapshot_in_c(zfs: *const zfsvol_zfs, name: &str) -> bool {
    let name = view(name);
    // SAFETY: as in `exists_in_c`; there is one name.
    let status = unsafe {
        ffi_snapshot::zfsvol_snapshot_create(zfs, &raw const name, 1, ptr::null(), ptr::null_mut())
    };
    status == 0
}

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came, which keeps the contract; the counting besides
// touches no memory but an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
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
