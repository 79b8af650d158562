//! [`Ground`]: what the two nodes of a run stand on: a kernel in the process for each, or two pools of the loaded module.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use zfsvol_core::embedded::Embedded;
use zfsvol_core::{Bytes, DatasetName, PoolName, Result, Zfs};

use crate::world::{create_pool, destroy_pool, destroy_tree};

/// What one node is on.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) zfs: Zfs,
    pub(super) root: DatasetName,
}

/// Where runs take place.
#[derive(Debug)]
pub(super) enum Ground {
    /// Each node has a kernel of its own, made for the run.
    Embedded,
    /// Each node has a pool in a file, made for all runs.
    Module(Pools),
}

#[derive(Debug)]
pub(super) struct Pools {
    zfs: Zfs,
    pools: [PoolName; 2],
    folder: PathBuf,
    runs: AtomicU64,
}

impl Ground {
    /// Two pools in files in the temporary folder, on the loaded module.
    pub(super) fn module() -> Result<Self> {
        let zfs = Zfs::open()?;
        let prefix = format!("{}crash-{}", crate::world::NAME_PREFIX, std::process::id());
        let folder = std::env::temp_dir().join(&prefix);
        fs::create_dir(&folder).expect("a folder for the pools");
        let pools = ["one", "two"].map(|name| {
            let file = folder.join(name);
            fs::File::create_new(&file)
                .and_then(|file| file.set_len(Bytes::from_gib(1).get()))
                .expect("a sparse file");
            let pool: PoolName = format!("{prefix}-{name}").parse().expect("a pool name");
            create_pool(&zfs, &pool, &file);
            pool
        });
        Ok(Self::Module(Pools { zfs, pools, folder, runs: AtomicU64::new(0) }))
    }

    /// Two empty places for a run.
    pub(super) fn places(&self) -> [Place; 2] {
        match self {
            Self::Embedded => ["one", "two"].map(|pool| Place {
                zfs: Zfs::new(Embedded::builder().pool(pool, Bytes::from_gib(1)).build()),
                root: format!("{pool}/node").parse().expect("a name"),
            }),
            Self::Module(pools) => {
                let run = pools.runs.fetch_add(1, Ordering::Relaxed);
                pools.pools.clone().map(|pool| Place {
                    zfs: pools.zfs.clone(),
                    root: format!("{pool}/node{run}").parse().expect("a name"),
                })
            }
        }
    }

    /// Clears up after a run.
    pub(super) fn clear(&self, places: &[Place; 2]) {
        if let Self::Module(_) = self {
            for place in places {
                destroy_tree(&place.zfs, &place.root).expect("the run is cleared up");
            }
        }
    }

    /// Clears up after the last.
    pub(super) fn close(self) {
        if let Self::Module(pools) = self {
            for pool in &pools.pools {
                destroy_pool(&pools.zfs, pool).expect("the pool is destroyed");
            }
            fs::remove_dir_all(&pools.folder).expect("the folder is removed");
        }
    }
}
