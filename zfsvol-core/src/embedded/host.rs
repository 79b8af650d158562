//! What surrounds the ioctls: handles, mounts, block devices.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::device::Device;
use super::{Embedded, Shared};
use crate::kernel::{
    Access, BlockDevice, Errno, Handle, Host, Module, MountEntry, MountFlags, MountPoint,
    MountRequest, UnmountFlags,
};
use crate::name::DatasetName;

impl Host for Embedded {
    fn module(&self) -> &Module {
        &self.shared.module
    }

    fn handle(&self) -> Result<Handle, Errno> {
        let number = self.shared.write().handles.open();
        let kernel = Arc::downgrade(&self.shared);
        Ok(Handle::new(number, Box::new(OpenHandle { number, kernel })))
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        Ok(self.shared.read().mounts())
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        self.shared.write().mount(request)
    }

    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        self.shared.write().unmount(path, flags)
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        self.shared.write().prepare_mount_point(request)
    }

    fn remove_mount_point(&self, path: &Path, _flags: MountFlags) -> Result<(), Errno> {
        self.shared.write().remove_mount_point(path)
    }

    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        _wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        // There is nothing to wait for: a device is there as soon as its zvol.
        Ok(Box::new(Device::open(&self.shared, zvol.as_str(), access)?))
    }
}

/// Ends what depends on a handle when that is dropped.
struct OpenHandle {
    number: i32,
    kernel: Weak<Shared>,
}

impl Drop for OpenHandle {
    fn drop(&mut self) {
        if let Some(kernel) = self.kernel.upgrade() {
            let mut state = kernel.write();
            state.close_handle(self.number);
            // There is nobody to be told; and what ends with a handle ends with the process.
            let _ = kernel.commit(state);
        }
    }
}
