//! The error log of a pool: which objects are damaged.

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use crate::error::Result;
use crate::kernel::{Cmd, Ioc};
use crate::name::PoolName;

const LOG: Operation = Operation::new(Ioc::ERROR_LOG, "read the error log of the pool");
const DATASET: Operation = Operation::new(Ioc::DSOBJ_TO_DSNAME, "name a dataset of the pool");
const OBJECT: Operation = Operation::new(Ioc::OBJ_TO_PATH, "name an object of the dataset");

/// `sizeof (zbookmark_phys_t)`: objset, object, level and block.
const BOOKMARK_BYTES: usize = 32;

/// Room for the log at first: 4,096 blocks.
const LOG_BYTES: usize = 4096 * BOOKMARK_BYTES;

/// An object with blocks that could not be read, or not correctly, and not be repaired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct DamagedObject {
    /// The number of the dataset; 0 is the pool's own metadata.
    pub dataset_id: u64,
    /// The number of the object in it.
    pub object: u64,
    /// The dataset or snapshot, if it still exists.
    pub dataset: Option<String>,
    /// The file, as a path below the dataset's mountpoint; `None` when it is no file, or not there any more.
    pub path: Option<String>,
    /// How many of its blocks are in the log.
    pub blocks: u64,
}

impl Zfs {
    /// The objects with permanent errors that the last scrub, or use since, has found, ordered by dataset and object. Clear the pool and
    /// scrub it to have it made anew.
    ///
    /// Issues `ZFS_IOC_ERROR_LOG`, and `ZFS_IOC_DSOBJ_TO_DSNAME` and `ZFS_IOC_OBJ_TO_PATH` to name each object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such pool;
    /// [`ErrorKind::PoolSuspended`](crate::ErrorKind::PoolSuspended).
    #[doc(alias = "zpool_get_errlog")]
    pub fn error_log(&self, pool: &PoolName) -> Result<Vec<DamagedObject>> {
        let mut cmd = Cmd::new(pool.as_str());
        cmd.reply_max = LOG_BYTES;
        self.call_cmd(LOG, &mut cmd).map_err(|error| error.into_error(self))?;
        let mut objects = parse(cmd.reply());
        for object in &mut objects {
            object.dataset = self.dataset_of(pool, object.dataset_id);
            object.path =
                object.dataset.as_deref().and_then(|name| self.path_of(name, object.object));
        }
        Ok(objects)
    }

    fn dataset_of(&self, pool: &PoolName, id: u64) -> Option<String> {
        let mut cmd = Cmd::new(pool.as_str());
        cmd.obj = id;
        self.call_cmd(DATASET, &mut cmd).ok()?;
        String::from_utf8(cmd.value).ok().filter(|_| id != 0)
    }

    fn path_of(&self, dataset: &str, object: u64) -> Option<String> {
        let mut cmd = Cmd::new(dataset);
        cmd.obj = object;
        self.call_cmd(OBJECT, &mut cmd).ok()?;
        Some(String::from_utf8_lossy(&cmd.value).into_owned())
    }
}

/// Each object once, in order.
fn parse(bookmarks: &[u8]) -> Vec<DamagedObject> {
    let mut blocks: Vec<(u64, u64)> = bookmarks
        .chunks_exact(BOOKMARK_BYTES)
        .filter_map(|bookmark| {
            let (dataset, rest) = bookmark.split_first_chunk::<8>()?;
            let object = rest.first_chunk::<8>()?;
            Some((u64::from_ne_bytes(*dataset), u64::from_ne_bytes(*object)))
        })
        .collect();
    blocks.sort_unstable();
    blocks
        .chunk_by(|a, b| a == b)
        .filter_map(|same| {
            let (dataset_id, object) = *same.first()?;
            let blocks = same.len() as u64;
            Some(DamagedObject { dataset_id, object, dataset: None, path: None, blocks })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_gathered_by_object() {
        let mut log = Vec::new();
        for (dataset, object, block) in [(54_u64, 9_u64, 1_u64), (21, 2, 0), (54, 9, 0)] {
            for word in [dataset, object, 0, block] {
                log.extend(word.to_ne_bytes());
            }
        }
        let objects = parse(&log);
        assert_eq!(objects.len(), 2);
        assert_eq!((objects[0].dataset_id, objects[0].blocks), (21, 1));
        assert_eq!((objects[1].object, objects[1].blocks), (9, 2));
        assert!(parse(&log[..31]).is_empty());
    }
}
