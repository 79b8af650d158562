//! [`Node`]: a UUID and a root dataset, and every volume below it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::event::Listener;
use super::{VolumeEvent, VolumeInfo, VolumeName, VolumeState};
use crate::error::{Error, ErrorKind, Result};
use crate::name::DatasetName;
use crate::property::{Properties, PropertySet, Source};
use crate::zfs::{Create, Zfs};

/// Whose root a dataset is: the node's UUID.
const NODE: &str = "zfsvol:node";

const OPEN: &str = "open the node";

/// A node: the volumes below one dataset, and who asks.
///
/// Cheap to clone (clones share everything), and usable from any number of threads at once. It keeps nothing in memory: what another process
/// does to the same node is seen at once.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    zfs: Zfs,
    root: DatasetName,
    id: Uuid,
    listener: Option<Listener>,
    moving: Mutex<Moving>,
    /// The snapshots that clones are being made from.
    cloning: Mutex<BTreeSet<String>>,
}

/// The volumes that are being pushed, received or handed over.
#[derive(Default)]
struct Moving {
    now: BTreeSet<Uuid>,
    /// With which of them that came to its end, the last ones.
    ended: VecDeque<Uuid>,
    /// How often it did.
    ends: u64,
    /// How many pushes of each volume to this node ended.
    pushes: BTreeMap<Uuid, u64>,
}

impl Moving {
    fn end(&mut self, id: Uuid) {
        /// As many as may end while one looks at a volume; where it is more, it looks once more.
        const ENDED_MAX: usize = 64;
        self.now.remove(&id);
        self.ends += 1;
        self.ended.push_back(id);
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }
}

/// A moment before a volume is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(u64);

/// That nobody else in this process moves a volume, while it lives.
pub(super) struct Alone {
    node: Node,
    id: Uuid,
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.node.moving().end(self.id);
    }
}

/// How to open a node.
#[derive(Clone, Default)]
pub struct NodeOptions {
    mountpoint: Option<PathBuf>,
    adopt: bool,
    listener: Option<Listener>,
}

impl NodeOptions {
    /// As [`Node::open`] does it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where volumes are mounted: each in a directory below this one that has its name. It becomes the `mountpoint` of the root when that is
    /// created or adopted, and is left alone later. Without it, the root has what it inherits.
    #[must_use]
    pub fn mountpoint(mut self, directory: impl Into<PathBuf>) -> Self {
        self.mountpoint = Some(directory.into());
        self
    }

    /// Makes the root of what is a dataset of somebody else's now, and makes it read-only. Without this, a dataset that no node made is refused.
    #[must_use]
    pub fn adopt(mut self) -> Self {
        self.adopt = true;
        self
    }

    /// Calls this after everything that happened to a volume through this handle of the node, in the thread that did it.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&VolumeEvent) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// What the root is given.
    fn properties(&self, id: Uuid) -> Result<PropertySet> {
        let mut properties = PropertySet::new()
            .with(NODE, id.to_string())?
            // What is received cannot be written, until this node owns it and says so.
            .with("readonly", true)?
            .with("canmount", false)?;
        if let Some(directory) = &self.mountpoint {
            let directory = directory.to_str().ok_or_else(|| {
                Error::new(ErrorKind::Invalid, OPEN, "its mountpoint is not valid UTF-8")
            })?;
            properties.set("mountpoint", directory)?;
        }
        Ok(properties)
    }
}

impl Node {
    /// Opens the node whose root is that dataset, which is created if it is not there; its parent must be. The root is `readonly=on` and `canmount=off`, and
    /// carries the node's UUID in the property `zfsvol:node`.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`, and `ZFS_IOC_CREATE` for a new one.
    ///
    /// # Errors
    /// - [`ErrorKind::NotOwner`]: it is another node's root.
    /// - [`ErrorKind::Exists`]: there is such a dataset, and no node made it: see [`NodeOptions::adopt`].
    /// - [`ErrorKind::WrongType`]: it is a zvol.
    /// - As [`Zfs::create`] and [`Zfs::properties`].
    pub fn open(zfs: Zfs, root: DatasetName, id: Uuid) -> Result<Self> {
        Self::open_with(zfs, root, id, NodeOptions::new())
    }

    /// The same, with options.
    ///
    /// Issues also `ZFS_IOC_SET_PROP` for a root that is adopted.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(zfs: Zfs, root: DatasetName, id: Uuid, options: NodeOptions) -> Result<Self> {
        let told = |error: Error| error.with_operation(OPEN).with_target(root.as_str());
        let found = match zfs.properties(&root) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let new = Create::filesystem().properties(&options.properties(id).map_err(told)?);
                match zfs.create(&root, &new) {
                    // Somebody was faster: whose it is now is seen below.
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::Exists => {}
                    Err(error) => return Err(told(error)),
                }
                zfs.properties(&root)
            }
            found => found,
        };
        check_root(&zfs, &root, id, &options, &found.map_err(told)?).map_err(told)?;
        Ok(Self(Arc::new(Inner {
            zfs,
            root,
            id,
            listener: options.listener,
            moving: Mutex::default(),
            cloning: Mutex::default(),
        })))
    }

    /// The node's UUID.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Its root dataset.
    #[must_use]
    pub fn root(&self) -> &DatasetName {
        &self.0.root
    }

    /// The OpenZFS it is on.
    #[must_use]
    pub fn zfs(&self) -> &Zfs {
        &self.0.zfs
    }

    /// The dataset of a volume, whether there is one or not.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`]: the name is too long for a dataset below this root.
    pub fn dataset(&self, name: &VolumeName) -> Result<DatasetName> {
        Ok(self.0.root.child(name.as_str())?)
    }

    /// A volume that this node owns and may change, or why not.
    pub(super) fn owned(&self, operation: &'static str, name: &VolumeName) -> Result<VolumeInfo> {
        let info = self.volume(operation, name)?;
        self.check_owned(operation, &info)?;
        Ok(info)
    }

    /// Whether this node owns a volume and may change it, or why not.
    pub(super) fn check_owned(&self, operation: &'static str, info: &VolumeInfo) -> Result<()> {
        if info.is_owned_by(self.id()) {
            return Ok(());
        }
        let reason = match info.ownership.owner == self.id() {
            true => format!("it is {}", info.ownership.state),
            false => format!("it belongs to the node {}", info.ownership.owner),
        };
        Err(Error::new(ErrorKind::NotOwner, operation, reason).with_target(info.name.as_str()))
    }

    /// A volume whose snapshots this node may destroy: one that it owns, or a replica.
    pub(super) fn owned_or_replica(
        &self,
        operation: &'static str,
        name: &VolumeName,
    ) -> Result<VolumeInfo> {
        let info = self.volume(operation, name)?;
        let is_replica =
            info.ownership.state == VolumeState::Replica && info.ownership.owner != self.id();
        if is_replica { Ok(info) } else { self.owned(operation, name) }
    }

    /// A volume, whoever owns it.
    pub(super) fn volume(&self, operation: &'static str, name: &VolumeName) -> Result<VolumeInfo> {
        let found = self.get(name).map_err(|error| error.with_operation(operation))?;
        found.ok_or_else(|| no_such_volume(operation, name))
    }

    /// Has this volume to itself: two pushes of one volume would be in each other's way, and a handoff must not overtake either.
    pub(super) fn alone(
        &self,
        operation: &'static str,
        name: &VolumeName,
        id: Uuid,
    ) -> Result<Alone> {
        if self.moving().now.insert(id) {
            return Ok(Alone { node: self.clone(), id });
        }
        let reason = "it is being pushed, received or handed over";
        Err(Error::new(ErrorKind::InProgress, operation, reason).with_target(name.as_str()))
    }

    /// Now: what is seen of a volume after it holds until somebody moves it.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.moving().ends)
    }

    /// Whether somebody may have moved a volume since that moment. Who has it to himself asks, for he looked at it before.
    pub(super) fn was_moved_since(&self, Moment(before): Moment, id: Uuid) -> bool {
        let moving = self.moving();
        let since = usize::try_from(moving.ends.saturating_sub(before)).unwrap_or(usize::MAX);
        since > moving.ended.len() || moving.ended.iter().rev().take(since).any(|one| *one == id)
    }

    /// What the word that ends a push of a volume to this node is to say, if nothing ends another before: so that it can be told from one that comes late. It is known only to this process, as
    /// connections are.
    pub(super) fn ticket(&self, id: Uuid) -> u64 {
        self.moving().pushes.get(&id).copied().unwrap_or_default()
    }

    /// A push of it ends: what others were told to say is out of date.
    pub(super) fn use_ticket(&self, id: Uuid) {
        *self.moving().pushes.entry(id).or_default() += 1;
    }

    fn moving(&self) -> MutexGuard<'_, Moving> {
        self.0.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshots that clones are being made from, by whoever.
    pub(super) fn cloning(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.cloning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: &VolumeEvent) {
        if let Some(listener) = &self.0.listener {
            listener(event);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { zfs, root, id, listener, moving: _, cloning: _ } = &*self.0;
        f.debug_struct("Node")
            .field("zfs", zfs)
            .field("root", root)
            .field("id", id)
            .field("listens", &listener.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("mountpoint", &self.mountpoint)
            .field("adopt", &self.adopt)
            .field("listens", &self.listener.is_some())
            .finish()
    }
}

pub(super) fn no_such_volume(operation: &'static str, name: &VolumeName) -> Error {
    Error::new(ErrorKind::NotFound, operation, "there is no such volume").with_target(name.as_str())
}

/// Whether a dataset is this node's root; makes it so if that is asked for.
fn check_root(
    zfs: &Zfs,
    root: &DatasetName,
    id: Uuid,
    options: &NodeOptions,
    found: &Properties,
) -> Result<()> {
    if found.text("type") == Some("volume") {
        return Err(Error::new(ErrorKind::WrongType, OPEN, "it is a zvol, not a file system"));
    }
    let owner = found.get(NODE).filter(|property| property.source == Source::Local);
    match owner.and_then(|property| property.value.as_str()) {
        Some(owner) if owner == id.to_string() => Ok(()),
        Some(owner) => Err(Error::new(
            ErrorKind::NotOwner,
            OPEN,
            format!("it is the root of the node {}", owner.escape_debug()),
        )),
        None if options.adopt => zfs.set_properties(root, &options.properties(id)?),
        None => {
            Err(Error::new(ErrorKind::Exists, OPEN, "there is such a dataset, and no node made it")
                .with_help(
                    "name a dataset that does not exist, or adopt it, which makes it read-only",
                ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::Embedded;
    use crate::units::Bytes;

    #[test]
    fn who_looked_knows_whether_a_volume_was_moved_since() {
        let zfs = Zfs::new(Embedded::builder().pool("tank", Bytes::from_gib(1)).build());
        let node = Node::open(zfs, "tank/node".parse().unwrap(), Uuid::from_u128(1)).unwrap();
        let name = "db".parse().unwrap();
        let moved = |id: u128| drop(node.alone("move", &name, Uuid::from_u128(id)).unwrap());
        let before = node.moment();
        moved(1);
        assert!(node.was_moved_since(before, Uuid::from_u128(1)));
        assert!(!node.was_moved_since(before, Uuid::from_u128(2)));
        assert!(!node.was_moved_since(node.moment(), Uuid::from_u128(1)));
        // After so many that not all are remembered, it may have been.
        (10..100).for_each(moved);
        assert!(node.was_moved_since(before, Uuid::from_u128(2)));
    }
}
