//! [`VolumeSpec`]: what a new volume is to be; making one, and giving it another name.

use uuid::Uuid;

use super::event::VolumeEventKind::{Created, Renamed};
use super::node::no_such_volume;
use super::{Node, Ownership, VolumeEvent, VolumeInfo, VolumeName, VolumeState};
use crate::error::{Error, ErrorKind, Result};
use crate::property::{PropertySet, PropertyValue, ZvolSize};
use crate::units::Bytes;
use crate::zfs::{Create, Key, Zfs};

const CREATE: &str = "create the volume";
const RENAME: &str = "rename the volume";

/// Properties that the engine alone sets on a volume.
const ENGINE_PROPERTIES: [&str; 5] =
    ["mountpoint", "readonly", "refquota", "refreservation", "volsize"];

/// What a new volume is to be.
///
/// ```
/// use zfsvol_core::Bytes;
/// use zfsvol_core::property::PropertySet;
/// use zfsvol_core::volume::VolumeSpec;
///
/// let files = VolumeSpec::file_system().quota(Bytes::from_gib(10));
/// let disk = VolumeSpec::block(Bytes::from_gib(100))
///     .sparse()
///     .properties(&PropertySet::new().with("compression", "zstd")?);
/// # Ok::<(), zfsvol_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VolumeSpec {
    shape: Shape,
    properties: PropertySet,
    key: Option<Key>,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    FileSystem { quota: Option<Bytes> },
    Block { size: Bytes, sparse: bool },
}

impl VolumeSpec {
    /// A file system without a limit.
    #[must_use]
    pub fn file_system() -> Self {
        Self::new(Shape::FileSystem { quota: None })
    }

    /// A block device of that size, all of which is reserved for it. The size must be a multiple of its `volblocksize` (16 KiB where none is
    /// given; 8 KiB before OpenZFS 2.2).
    #[must_use]
    pub fn block(size: Bytes) -> Self {
        Self::new(Shape::Block { size, sparse: false })
    }

    fn new(shape: Shape) -> Self {
        Self { shape, properties: PropertySet::new(), key: None }
    }

    /// A file system holds at most so much, its snapshots not counted (`refquota`). A block device has its size, and this changes nothing.
    #[must_use]
    pub fn quota(mut self, most: Bytes) -> Self {
        if let Shape::FileSystem { quota } = &mut self.shape {
            *quota = Some(most);
        }
        self
    }

    /// Nothing is reserved for a block device: more can be promised than the pool has. A file system reserves nothing anyway.
    #[must_use]
    pub fn sparse(mut self) -> Self {
        if let Shape::Block { sparse, .. } = &mut self.shape {
            *sparse = true;
        }
        self
    }

    /// With these properties too, in place of any given before.
    #[must_use]
    pub fn properties(mut self, properties: &PropertySet) -> Self {
        self.properties = properties.clone();
        self
    }

    /// Encrypted with this key.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// All properties of the new dataset, in one list, so in one transaction group.
    pub(super) fn create(&self, node: &Node, ownership: &Ownership) -> Result<Create> {
        for (name, _) in self.properties.iter() {
            if ENGINE_PROPERTIES.contains(&name) || name.starts_with("zfsvol:") {
                let reason = format!("'{name}' is set by the volume engine alone");
                return Err(Error::new(ErrorKind::InvalidProperty, CREATE, reason));
            }
        }
        let mut properties = owned_properties(ownership, self.properties.clone())?;
        let create = match self.shape {
            Shape::FileSystem { quota } => {
                if let Some(quota) = quota {
                    properties.set("refquota", quota)?;
                }
                Create::filesystem()
            }
            Shape::Block { size, sparse } => {
                if !sparse {
                    let reservation = self.reservation(node.zfs(), node, size)?;
                    properties.set("refreservation", reservation)?;
                }
                Create::zvol(size)
            }
        };
        let create = create.properties(&properties);
        Ok(match &self.key {
            Some(key) => create.key(key.clone()),
            None => create,
        })
    }

    fn reservation(&self, zfs: &Zfs, node: &Node, volsize: Bytes) -> Result<Bytes> {
        let number = |name: &str| self.properties.get(name).and_then(PropertyValue::as_number);
        let mut size = ZvolSize { volsize, ..ZvolSize::default() };
        match number("volblocksize") {
            Some(bytes) => size.volblocksize = Bytes::new(bytes),
            None if zfs.module().version.release() < (2, 2) => {
                size.volblocksize = Bytes::from_kib(8);
            }
            None => {}
        }
        size.copies = number("copies").unwrap_or(1);
        zfs.zvol_reservation(&node.root().pool(), size)
    }
}

impl Node {
    /// Creates a volume that this node owns. It is not mounted.
    ///
    /// Issues `ZFS_IOC_CREATE` once, with everything in it (and `ZFS_IOC_POOL_STATS` for a block device that is not sparse); on disk
    /// when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::Exists`]: there is a volume, or a dataset that is none, of that name.
    /// - [`ErrorKind::InvalidProperty`]: a property that the engine sets, or one that does not fit.
    /// - As [`Zfs::create`].
    pub fn create(&self, name: &VolumeName, spec: &VolumeSpec) -> Result<VolumeInfo> {
        let told = |error: Error| error.with_operation(CREATE).with_target(name.as_str());
        let create = spec.create(self, &self.new_ownership()).map_err(told)?;
        let dataset = self.dataset(name).map_err(told)?;
        self.zfs().create(&dataset, &create).map_err(told)?;
        self.tell(&VolumeEvent::new(name, Created));
        self.volume(CREATE, name)
    }

    /// Gives a volume another name. Its UUID stays, by which replicas on other nodes know it. A mounted file system stays mounted where
    /// it is until it is unmounted.
    ///
    /// Issues `ZFS_IOC_RENAME`; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`], [`ErrorKind::NotOwner`].
    /// - [`ErrorKind::Exists`]: there is a volume, or a dataset that is none, of the new name.
    pub fn rename(&self, from: &VolumeName, to: &VolumeName) -> Result<()> {
        let told = |error: Error| error.with_operation(RENAME).with_target(from.as_str());
        let volume = self.owned(RENAME, from)?;
        let new = self.dataset(to).map_err(told)?;
        self.zfs().rename(&volume.dataset, &new).map_err(|error| match error.kind() {
            ErrorKind::NotFound => no_such_volume(RENAME, from),
            _ => told(error),
        })?;
        self.tell(&VolumeEvent::new(from, Renamed(to.clone())));
        Ok(())
    }

    /// What a volume made here now says of itself.
    pub(super) fn new_ownership(&self) -> Ownership {
        Ownership { id: Uuid::new_v4(), owner: self.id(), epoch: 1, state: VolumeState::Owned }
    }
}

/// Adds what makes a dataset a volume that may be written.
pub(super) fn owned_properties(
    ownership: &Ownership,
    properties: PropertySet,
) -> Result<PropertySet> {
    // The root is read-only, so that only what says otherwise can be written.
    ownership.write(properties)?.with("readonly", false)
}
