//! Larger and smaller volumes.

use super::event::VolumeEventKind::Resized;
use super::{Node, VolumeEvent, VolumeKind, VolumeName};
use crate::error::{Error, ErrorKind, Result};
use crate::property::PropertySet;
use crate::units::Bytes;

const RESIZE: &str = "resize the volume";

/// How large a volume is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A file system may hold so much, or a block device has so much.
    Bytes(Bytes),
    /// A file system without a limit.
    Unlimited,
}

impl Node {
    /// Changes the size of a volume. What would lose data is refused: a block device only grows, and a file system is not limited to less than it holds.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`, and `ZFS_IOC_SET_PROP` once (`refquota`; `volsize`, with `refreservation` where all was reserved);
    /// on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`], [`ErrorKind::NotOwner`].
    /// - [`ErrorKind::Invalid`]: it would lose data; a block device has no [`Size::Unlimited`].
    /// - [`ErrorKind::InvalidProperty`]: not a multiple of the block size.
    /// - [`ErrorKind::NoSpace`]: the pool has no room for the reservation.
    pub fn resize(&self, name: &VolumeName, size: Size) -> Result<()> {
        let told = |error: Error| error.with_operation(RESIZE).with_target(name.as_str());
        let volume = self.owned(RESIZE, name)?;
        let refuse = |reason: String| told(Error::new(ErrorKind::Invalid, RESIZE, reason));
        match (volume.kind, size) {
            (VolumeKind::FileSystem { .. }, Size::Bytes(quota)) => {
                if quota < volume.referenced {
                    let held = volume.referenced;
                    return Err(refuse(format!("it holds {held}, more than {quota}")));
                }
                self.set_quota(name, quota).map_err(told)?;
            }
            (VolumeKind::FileSystem { .. }, Size::Unlimited) => {
                self.set_quota(name, Bytes::ZERO).map_err(told)?;
            }
            (VolumeKind::Block { size: old, .. }, Size::Bytes(new)) => {
                if new < old {
                    let reason = format!("it has {old}, and what is beyond {new} would be lost");
                    return Err(refuse(reason));
                }
                self.zfs().resize_zvol(&volume.dataset, new).map_err(told)?;
            }
            (VolumeKind::Block { .. }, Size::Unlimited) => {
                return Err(refuse("a block device has a size".to_owned()));
            }
        }
        let told_size = match size {
            Size::Bytes(bytes) => Some(bytes),
            Size::Unlimited => None,
        };
        self.tell(&VolumeEvent::new(name, Resized(told_size)));
        Ok(())
    }

    fn set_quota(&self, name: &VolumeName, quota: Bytes) -> Result<()> {
        let properties = PropertySet::new().with("refquota", quota)?;
        self.zfs().set_properties(&self.dataset(name)?, &properties).map_err(|error| {
            // The kernel's own word for a quota below what is held: more was written meanwhile.
            match error.kind() {
                ErrorKind::NoSpace => {
                    Error::new(ErrorKind::Invalid, RESIZE, format!("it holds more than {quota}"))
                }
                _ => error,
            }
        })
    }
}
