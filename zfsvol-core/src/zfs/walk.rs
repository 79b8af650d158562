//! The tree of datasets, one name an ioctl: what operations on whole trees stand on.

use super::Zfs;
use super::call::Operation;
use crate::error::{ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc, ObjsetStats};
use crate::name::DatasetName;

const NEXT_DATASET: Operation = Operation::new(Ioc::DATASET_LIST_NEXT, "list what is below");
const NEXT_SNAPSHOT: Operation = Operation::new(Ioc::SNAPSHOT_LIST_NEXT, "list the snapshots of");

/// A dataset or snapshot, and what the kernel says of it without its properties: nothing, for snapshots before 2.2.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) stats: ObjsetStats,
}

impl Entry {
    /// Whether this snapshot has clones, or the kernel did not say.
    pub(super) fn may_have_clones(&self) -> bool {
        self.stats.num_clones > 0 || self.stats.guid == 0
    }
}

impl Zfs {
    /// The datasets one level below `parent`, in the kernel's order. None if there is no such dataset.
    pub(super) fn children(&self, parent: &str) -> Result<Vec<Entry>> {
        self.entries(NEXT_DATASET, parent)
    }

    /// The snapshots of `dataset`, in the kernel's order. None if there is no such dataset.
    pub(super) fn snapshots_of(&self, dataset: &str) -> Result<Vec<Entry>> {
        self.entries(NEXT_SNAPSHOT, dataset)
    }

    /// `root` and every dataset below it, parents before children.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such dataset.
    pub(super) fn tree(&self, root: &DatasetName) -> Result<Vec<String>> {
        if !self.exists(root)? {
            return Err(NEXT_DATASET.error(
                ErrorKind::NotFound,
                root.as_str(),
                Errno::ENOENT.reason(),
            ));
        }
        let mut found = Vec::new();
        let mut open = vec![root.as_str().to_owned()];
        while let Some(name) = open.pop() {
            open.extend(self.children(&name)?.into_iter().map(|child| child.name));
            found.push(name);
        }
        Ok(found)
    }

    fn entries(&self, operation: Operation, of: &str) -> Result<Vec<Entry>> {
        // "Simple" spares the kernel opening each snapshot. Before 2.2 it then says nothing of it but the name.
        let is_simple = operation.ioc != Ioc::SNAPSHOT_LIST_NEXT || self.module().is_at_least(2, 2);
        let mut found = Vec::new();
        let mut cookie = 0;
        loop {
            let mut cmd = Cmd::new(of);
            cmd.cookie = cookie;
            cmd.simple = is_simple;
            match self.call_cmd(operation, &mut cmd) {
                Ok(_) => {}
                // The end of the list, or no such dataset.
                Err(error) if error.errno() == Some(Errno::ESRCH) => return Ok(found),
                Err(error) => return Err(error.into_error(self)),
            }
            cookie = cmd.cookie;
            found.push(Entry { name: cmd.name, stats: cmd.objset_stats });
        }
    }
}
