//! Block devices: the bytes of zvols, kept in this process.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Shared;
use super::data::Txn;
use super::engine::{Dataset, Id, Pool, Result, Space, State, signed};
use crate::kernel::{Access, BlockDevice, Errno};

/// `volmode=none`: there is no device.
const VOLMODE_NONE: u64 = 3;

/// How often each block device is open, by pool and dataset.
#[derive(Debug, Default)]
pub(super) struct Devices(BTreeMap<(u64, Id), u32>);

impl Devices {
    /// Whether any of a pool is open.
    pub(super) fn is_any_open(&self, pool: u64) -> bool {
        self.0.range((pool, 0)..=(pool, Id::MAX)).next().is_some()
    }

    pub(super) fn is_open(&self, pool: u64, dataset: Id) -> bool {
        self.0.contains_key(&(pool, dataset))
    }
}

/// An open block device.
pub(super) struct Device {
    shared: Arc<Shared>,
    /// The GUID of its pool: pool and zvol can be renamed meanwhile.
    pool: u64,
    dataset: Id,
    access: Access,
}

impl Device {
    /// Opens the block device of a zvol or snapshot of one.
    ///
    /// # Errors
    /// `ENOENT`; `ETIMEDOUT` where there is no device: for a file system, with `volmode=none`, without the key; `EROFS` for writing to what is
    /// read-only.
    pub(super) fn open(shared: &Arc<Shared>, zvol: &str, access: Access) -> Result<Self> {
        let mut state = shared.write();
        let (pool, id) = state.hold(zvol)?;
        let dataset = pool.dataset(id)?;
        if !pool.has_device(id)? {
            return Err(Errno::ETIMEDOUT);
        }
        let read_only =
            dataset.is_snapshot() || pool.is_read_only() || pool.number(id, "readonly")? != 0;
        if access == Access::ReadWrite && read_only {
            return Err(Errno::EROFS);
        }
        let guid = pool.guid;
        let count = state.devices.0.entry((guid, id)).or_insert(0);
        *count += 1;
        if *count == 1 {
            state.pool_mut(zvol)?.dataset_mut(id)?.long_holds += 1;
        }
        Ok(Self { shared: Arc::clone(shared), pool: guid, dataset: id, access })
    }

    /// Changes the content and counts what that does, unless there is no room for it.
    fn change(
        &self,
        change: impl FnOnce(&mut super::data::Objset, &mut Txn) -> Result<()>,
    ) -> Result<()> {
        if self.access == Access::Read {
            return Err(Errno::EBADF);
        }
        self.shared.check_store()?;
        let mut state = self.shared.write();
        let pool = state.pools.values_mut().find(|pool| pool.guid == self.pool);
        let pool = pool.ok_or(Errno::ENXIO)?;
        if pool.number(self.dataset, "readonly")? != 0 {
            return Err(Errno::EROFS);
        }
        let tx = pool.begin();
        let mut txn = pool.txn(self.dataset, tx.txg)?;
        let mut objset = pool.dataset(self.dataset)?.content.objset.clone();
        change(&mut objset, &mut txn)?;
        let delta = txn.finish();
        // Linux has no word for a quota in what it says of block devices (`errno_to_blk_status`).
        pool.check_growth(self.dataset, &delta).map_err(|errno| match errno {
            Errno::EDQUOT => Errno::EIO,
            errno => errno,
        })?;
        pool.dataset_mut(self.dataset)?.content.objset = objset;
        pool.account(self.dataset, &delta)
    }
}

impl Pool {
    /// Whether a zvol has a block device, or a snapshot could have one.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(super) fn has_device(&self, id: Id) -> Result<bool> {
        let dataset = self.dataset(id)?;
        Ok(!dataset.content.is_filesystem()
            && !dataset.inconsistent
            && self.is_key_loaded(dataset.dir)?
            && self.number(id, "volmode")? != VOLMODE_NONE)
    }

    /// Whether there is room for a change of a zvol: `dsl_dir_tempreserve_space`, which lets pass what does not grow.
    pub(super) fn check_growth(&self, id: Id, delta: &super::data::Delta) -> Result<()> {
        let dataset = self.dataset(id)?;
        let kept = dataset.prev_txg;
        let freed: Space =
            delta.killed().filter(|(birth, _)| *birth > kept).map(|(_, s)| Space::from(s)).sum();
        let growth = Space::from(delta.born()).used - freed.used;
        if growth <= 0 || growth <= self.available_to(id)? {
            return Ok(());
        }
        let refquota = dataset.as_head().map_or(0, |head| head.refquota);
        let over = refquota != 0 && dataset.referenced.used + growth > signed(refquota);
        let within_pool = self.available(self.root, None, 0)? >= growth;
        Err(if over || within_pool { Errno::EDQUOT } else { Errno::ENOSPC })
    }
}

impl State {
    /// The device was closed once.
    fn close_device(&mut self, guid: u64, dataset: Id) {
        let Some(count) = self.devices.0.get_mut(&(guid, dataset)) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.devices.0.remove(&(guid, dataset));
        let pool = self.pools.values_mut().find(|pool| pool.guid == guid);
        if let Some(Ok(dataset)) = pool.map(|pool| pool.dataset_mut(dataset)) {
            dataset.long_holds = dataset.long_holds.saturating_sub(1);
        }
    }
}

impl BlockDevice for Device {
    fn size(&self) -> io::Result<u64> {
        self.look(|_, dataset| dataset.content.objset.volume_size().ok_or(Errno::ENXIO))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        // The content is a value: it is read without the lock.
        let (objset, key) = self.look(|pool, dataset| {
            Ok((dataset.content.objset.clone(), pool.data_key(dataset.dir)?))
        })?;
        let size = objset.volume_size().unwrap_or(0);
        let end = u64::try_from(buffer.len()).ok().and_then(|bytes| offset.checked_add(bytes));
        if end.is_none_or(|end| end > size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        objset.read_volume(offset, buffer, key.as_deref()).map_err(to_io)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let beyond = |size: u64| {
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            offset.checked_add(bytes).is_none_or(|end| end > size)
        };
        if beyond(self.size()?) {
            return Err(to_io(Errno::ENOSPC));
        }
        self.change(|objset, txn| objset.write_volume(offset, data, txn)).map_err(to_io)
    }

    fn flush(&self) -> io::Result<()> {
        self.shared.commit(self.shared.write()).map_err(to_io)
    }

    fn path(&self) -> Option<&Path> {
        None
    }
}

impl Device {
    fn look<T>(&self, look: impl FnOnce(&Pool, &Dataset) -> Result<T>) -> io::Result<T> {
        let state = self.shared.read();
        let pool = state.pools.values().find(|pool| pool.guid == self.pool);
        let found =
            pool.ok_or(Errno::ENXIO).and_then(|pool| look(pool, pool.dataset(self.dataset)?));
        found.map_err(to_io)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut state = self.shared.write();
        state.close_device(self.pool, self.dataset);
        if self.access == Access::ReadWrite {
            // Whom it matters to has flushed it, and was told.
            let _ = self.shared.commit(state);
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("dataset", &self.dataset)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

fn to_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.0)
}
