//! Space between snapshots: what was written since one, what destroying a range of them would free.

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use super::send::SendBase;
use crate::error::{ErrorKind, Result};
use crate::kernel::{Cmd, Ioc};
use crate::name::{Entity, SnapshotName};
use crate::nvlist::NvList;
use crate::units::Bytes;

const SPACE_SNAPS: Operation =
    Operation::new(Ioc::SPACE_SNAPS, "tell the space of snapshots up to");
const SPACE_WRITTEN: Operation = Operation::new(Ioc::SPACE_WRITTEN, "tell what was written to");

/// A quantity of data, as OpenZFS counts it in three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Space in the pool, with the overhead of redundancy (as `used`).
    pub used: Bytes,
    /// After compression, without that overhead.
    pub compressed: Bytes,
    /// Before compression.
    pub uncompressed: Bytes,
}

impl Zfs {
    /// How much would be freed if all the snapshots of a dataset from `first` to `last` were destroyed. Nothing changes on disk.
    ///
    /// Issues `ZFS_IOC_SPACE_SNAPS`.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: one of them does not exist.
    /// - [`ErrorKind::Unrelated`]: they are of two datasets, or `first` is the later one.
    #[doc(alias = "lzc_snaprange_space")]
    pub fn snapshot_range_space(&self, first: &SnapshotName, last: &SnapshotName) -> Result<Space> {
        let mut input = NvList::new();
        input.insert("firstsnap", first.as_str());
        let reply = self
            .call(SPACE_SNAPS, last.as_str(), &input)
            .map_err(|error| error.into_error(self))?;
        let number = |name| {
            reply.require_u64(name).map(Bytes::new).map_err(|error| {
                SPACE_SNAPS.error(ErrorKind::Protocol, last.as_str(), error.to_string())
            })
        };
        Ok(Space {
            used: number("used")?,
            compressed: number("compressed")?,
            uncompressed: number("uncompressed")?,
        })
    }

    /// How much was written to `what`, a dataset or a snapshot, since an earlier snapshot or bookmark of it (or of its origins). Nothing
    /// changes on disk.
    ///
    /// Issues `ZFS_IOC_SPACE_WRITTEN`.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: one of them does not exist.
    /// - [`ErrorKind::Unrelated`]: `since` is not an earlier one.
    /// - [`ErrorKind::FeatureDisabled`]: the bookmark does not have the numbers: it was made without the pool feature `bookmark_written`.
    pub fn space_written(&self, what: &impl Entity, since: &SendBase) -> Result<Space> {
        let mut cmd = Cmd::new(what.as_ref());
        cmd.value = since.as_str().into();
        self.call_cmd(SPACE_WRITTEN, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(Space {
            used: Bytes::new(cmd.cookie),
            compressed: Bytes::new(cmd.objset_type),
            uncompressed: Bytes::new(cmd.perm_action),
        })
    }
}
