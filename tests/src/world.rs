//! [`World`]: what a case gets, and what is cleaned up after it.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zfsvol_core::kernel::UnmountFlags;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{PoolSpec, VdevSpec};
use zfsvol_core::{BusyReason, Bytes, DatasetName, Error, ErrorKind, PoolName, SnapshotName, Zfs};

use crate::{KernelKind, Machine, Peers};

/// Every pool and folder of a run begins with this, so that what a killed run left behind is known for what it is.
pub(crate) const NAME_PREFIX: &str = "zfsvol-test-";

/// Size of the shared pool's file. It is sparse: only what is written takes memory.
const SHARED_POOL_SIZE: Bytes = Bytes::from_gib(2);

/// What the cases of a run have in common: the machine and a pool.
#[derive(Debug)]
pub(crate) struct Arena {
    machine: Machine,
    folder: TempDir,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pool: Option<PoolName>,
    pools_made: u32,
}

/// What a case gets: a handle, an empty dataset of its own in a pool shared with other cases, pools of its own if it asks, a folder.
///
/// All of it is gone when the case is over, however it ended.
#[derive(Debug)]
pub struct World {
    arena: Arc<Arena>,
    name: &'static str,
    peers: Peers,
    scratch: TempDir,
    root: OnceLock<DatasetName>,
    pools: Mutex<Vec<PoolName>>,
}

impl World {
    pub(crate) fn new(arena: &Arc<Arena>, name: &'static str, peers: Peers) -> Self {
        let scratch = tempfile::Builder::new()
            .prefix("case-")
            .tempdir_in(arena.folder.path())
            .expect("a folder for the case");
        Self {
            arena: Arc::clone(arena),
            name,
            peers,
            scratch,
            root: OnceLock::new(),
            pools: Mutex::default(),
        }
    }

    /// The handle.
    pub fn zfs(&self) -> &Zfs {
        self.arena.machine.zfs()
    }

    /// An empty file system of this case alone, with `canmount=off` and `mountpoint=none`, in the shared pool. Made when first asked for.
    pub fn root(&self) -> DatasetName {
        self.root
            .get_or_init(|| {
                let root = self.pool_root().child(self.name).expect("the case's name fits");
                create_file_system(self.zfs(), &root);
                root
            })
            .clone()
    }

    /// The name of a dataset below [`Self::root`]. Nothing is created.
    pub fn dataset(&self, component: &str) -> DatasetName {
        self.root().child(component).expect("a dataset's name")
    }

    /// The pool of [`Self::root`]. Other cases' datasets are in it too: for what concerns a whole pool, use [`Self::new_pool`].
    pub fn pool(&self) -> PoolName {
        self.arena.shared_pool()
    }

    /// A pool of this case alone, on one sparse file of `size`, with the root dataset not mounted. `name` is the end of its name.
    pub fn new_pool(&self, name: &str, size: Bytes) -> PoolName {
        let pool = self.pool_name(name);
        let file = self.new_file(&format!("{name}.pool"), size);
        create_pool(self.zfs(), &pool, &file);
        self.adopt_pool(&pool);
        pool
    }

    /// The name of a pool of this run, which ends in `name`. Nothing is created.
    pub fn pool_name(&self, name: &str) -> PoolName {
        format!("{NAME_PREFIX}{}-{name}", std::process::id()).parse().expect("a pool name")
    }

    /// Has a pool that the case made itself destroyed when the case is over, if it is there by then.
    pub fn adopt_pool(&self, pool: &PoolName) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(pool.clone());
    }

    /// A sparse file of `size` in [`Self::scratch`], to make a pool of.
    pub fn new_file(&self, name: &str, size: Bytes) -> std::path::PathBuf {
        let path = self.scratch().join(name);
        File::create_new(&path).and_then(|file| file.set_len(size.get())).expect("a sparse file");
        path
    }

    /// An empty folder of this case alone.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Whether a loaded module answers, and not a kernel in this process.
    pub fn is_real_module(&self) -> bool {
        self.machine().kind() == KernelKind::Module
    }

    /// The OpenZFS release that answers: `(2, 3)`.
    pub fn release(&self) -> (u32, u32) {
        self.zfs().module().version.release()
    }

    /// What the nodes of the case are to each other.
    pub fn peers(&self) -> Peers {
        self.peers
    }

    /// Where the suite runs.
    pub fn machine(&self) -> &Machine {
        &self.arena.machine
    }

    fn pool_root(&self) -> DatasetName {
        self.arena.shared_pool().root()
    }

    /// Destroys what the case made. The error says what is still there; the shared pool is then left to itself.
    pub(crate) fn clean_up(self) -> Result<(), String> {
        let mut complaints = Vec::new();
        if let Some(root) = self.root.get() {
            if let Err(complaint) = destroy_tree(self.zfs(), root) {
                complaints.push(complaint);
                self.arena.retire_shared_pool();
            }
        }
        let pools = std::mem::take(&mut *self.pools.lock().unwrap_or_else(PoisonError::into_inner));
        complaints.extend(pools.iter().filter_map(|pool| destroy_pool(self.zfs(), pool).err()));
        if let Err(error) = self.scratch.close() {
            complaints.push(format!("cannot remove the case's folder: {error}"));
        }
        if complaints.is_empty() { Ok(()) } else { Err(complaints.join("; ")) }
    }
}

impl Arena {
    pub(crate) fn new(machine: Machine) -> Self {
        let folder =
            tempfile::Builder::new().prefix(NAME_PREFIX).tempdir().expect("a folder for the run");
        Self { machine, folder, shared: Mutex::default() }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    fn shared_pool(&self) -> PoolName {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &shared.pool {
            return pool.clone();
        }
        shared.pools_made += 1;
        let name = format!("{NAME_PREFIX}{}-shared{}", std::process::id(), shared.pools_made);
        let path = self.folder.path().join(&name);
        File::create_new(&path)
            .and_then(|file| file.set_len(SHARED_POOL_SIZE.get()))
            .expect("a sparse file");
        let pool: PoolName = name.parse().expect("a pool name");
        create_pool(self.machine.zfs(), &pool, &path);
        shared.pool.insert(pool).clone()
    }

    /// After a case that could not be cleaned up: the next one gets another pool, so that one failure stays one.
    fn retire_shared_pool(&self) {
        let retired = self.shared.lock().unwrap_or_else(PoisonError::into_inner).pool.take();
        if let Some(pool) = retired {
            if let Err(complaint) = destroy_pool(self.machine.zfs(), &pool) {
                eprintln!("the shared pool is left behind: {complaint}");
            }
        }
    }

    /// Destroys the shared pool and removes the folder.
    pub(crate) fn clean_up(&self) {
        self.retire_shared_pool();
    }
}

pub(crate) fn create_pool(zfs: &Zfs, pool: &PoolName, file: &Path) {
    let mut spec = PoolSpec::new([VdevSpec::single(file)]);
    // Not in the list of pools to import at boot, and its root dataset not mounted by whoever mounts everything.
    spec.properties.set("cachefile", "none").expect("a property of pools");
    spec.root_properties.set("mountpoint", "none").expect("a property of file systems");
    zfs.create_pool(pool, &spec).expect("a pool for the case");
}

/// Destroys a pool, if it is there, with whatever of it is mounted or held.
pub(crate) fn destroy_pool(zfs: &Zfs, pool: &PoolName) -> Result<(), String> {
    unmount_within(zfs, &pool.root());
    retry_while_busy(|| zfs.destroy_pool(pool))
}

/// Unmounts everything at and below `root`, the innermost first.
fn unmount_within(zfs: &Zfs, root: &DatasetName) {
    let host = zfs.kernel().host();
    for mount in host.mounts().unwrap_or_default().iter().rev() {
        let dataset = mount.dataset.split('@').next().unwrap_or_default();
        if dataset.parse::<DatasetName>().is_ok_and(|name| name.is_within(root)) {
            // What cannot be unmounted is told by the destroy that follows.
            let _ = host.unmount(&mount.path, UnmountFlags::FORCE);
        }
    }
}

fn create_file_system(zfs: &Zfs, name: &DatasetName) {
    let properties = PropertySet::new()
        .with("canmount", "off")
        .and_then(|properties| properties.with("mountpoint", "none"))
        .expect("two properties of file systems");
    zfs.create_filesystem(name, &properties).expect("a dataset for the case");
}

/// Destroys a dataset, if it is there, and everything below it, with whatever of it is mounted or held.
pub(crate) fn destroy_tree(zfs: &Zfs, root: &DatasetName) -> Result<(), String> {
    unmount_within(zfs, root);
    retry_while_busy(|| {
        zfs.destroy_recursive(root).map(drop).inspect_err(|error| release_all(zfs, error))
    })
}

/// Releases the holds that a destroy found in its way.
fn release_all(zfs: &Zfs, error: &Error) {
    for failure in error.failures() {
        for reason in &failure.busy {
            if let (BusyReason::Holds(tags), Ok(snapshot)) =
                (reason, failure.name.parse::<SnapshotName>())
            {
                let holds: Vec<_> =
                    tags.iter().map(|tag| (snapshot.clone(), tag.as_str())).collect();
                // What cannot be released is told by the next try.
                let _ = zfs.release(&holds);
            }
        }
    }
}

/// A device that was just closed, or that the machine's own device manager looks at, is busy for a moment.
fn retry_while_busy(mut destroy: impl FnMut() -> Result<(), Error>) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(30);
    const PAUSE: Duration = Duration::from_millis(100);
    let start = Instant::now();
    loop {
        match destroy() {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Busy && start.elapsed() < PATIENCE => {
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
