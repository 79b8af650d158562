//! File systems and zvols: create, clone, promote, rename, destroy, roll back, exists.

use super::Zfs;
use super::call::Operation;
use super::inside::kept_inside;
use super::key::Key;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{DatasetName, Entity, SnapshotName};
use crate::nvlist::NvList;
use crate::property::{DatasetTypes, PropertyInfo, PropertyScope, PropertySet};
use crate::units::Bytes;

const CREATE: Operation = Operation::new(Ioc::CREATE, "create");
const CLONE: Operation = Operation::new(Ioc::CLONE, "clone");
const PROMOTE: Operation = Operation::new(Ioc::PROMOTE, "promote");
const RENAME: Operation = Operation::new(Ioc::RENAME, "rename");
const DESTROY: Operation = Operation::new(Ioc::DESTROY, "destroy");
const ROLLBACK: Operation = Operation::new(Ioc::ROLLBACK, "roll back");
const STATS: Operation = Operation::new(Ioc::OBJSET_STATS, "look up");

/// `dmu_objset_type_t` of a file system.
pub(super) const OBJSET_FILESYSTEM: i32 = 2;
/// `dmu_objset_type_t` of a zvol.
pub(super) const OBJSET_ZVOL: i32 = 3;

/// What to create: a file system or a zvol, its properties, and its key if it is to be an encryption root.
///
/// ```
/// use zfsvol_core::property::PropertySet;
/// use zfsvol_core::zfs::{Create, Key};
/// use zfsvol_core::{Bytes, Zfs};
///
/// let zfs = Zfs::embedded();
/// let properties = PropertySet::new().with("compression", "zstd")?;
/// zfs.create(&"tank/db".parse()?, &Create::zvol(Bytes::from_gib(10)).properties(&properties))?;
///
/// let secret = Create::filesystem().key(Key::passphrase("correct horse")?);
/// zfs.create(&"tank/secret".parse()?, &secret)?;
/// # Ok::<(), zfsvol_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Create {
    size: Option<Bytes>,
    properties: PropertySet,
    key: Option<Key>,
}

impl Create {
    /// A file system.
    pub fn filesystem() -> Self {
        Self { size: None, properties: PropertySet::new(), key: None }
    }

    /// A zvol of that size, which must be a multiple of its `volblocksize` (16 KiB where none is given; 8 KiB before OpenZFS 2.2).
    ///
    /// It is sparse: nothing is reserved for it, unless `refreservation` is among the properties
    /// (`zfs create -V` reserves the whole size by itself; [`zvol_reservation`](crate::property::zvol_reservation) computes how much that is).
    pub fn zvol(size: Bytes) -> Self {
        Self { size: Some(size), properties: PropertySet::new(), key: None }
    }

    /// With these properties, in place of any given before.
    #[must_use]
    pub fn properties(mut self, properties: &PropertySet) -> Self {
        self.properties = properties.clone();
        self
    }

    /// As an encryption root with this key: sets `encryption=on`, unless given, and `keyformat` to the key's own.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Refuses properties of the other kind of dataset. The kernel does not: it keeps a `volblocksize` of a file system, to no effect.
    fn check_properties(&self, name: &DatasetName) -> Result<()> {
        let kind =
            if self.size.is_some() { DatasetTypes::VOLUME } else { DatasetTypes::FILESYSTEM };
        for (property, _) in self.properties.iter() {
            match PropertyInfo::find(PropertyScope::Dataset, property) {
                Some(info) if !info.types.contains(kind) => {
                    let reason =
                        format!("'{property}' is a property of {}, not of {kind}", info.types);
                    return Err(CREATE.error(ErrorKind::InvalidProperty, name.as_str(), reason));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether it is not encrypted, though its parent may be.
    fn stays_plain(&self) -> bool {
        self.properties.get("encryption").is_some_and(|value| value.to_string() == "off")
    }
}

impl Zfs {
    /// Creates a file system or a zvol. Its parent must exist, and be a file system. It is not mounted; a zvol's block device appears a
    /// moment later ([`Zfs::open_zvol`] waits for it).
    ///
    /// Issues `ZFS_IOC_CREATE`; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::Exists`]: there is a dataset of that name.
    /// - [`ErrorKind::NotFound`]: its parent does not exist.
    /// - [`ErrorKind::WrongType`]: its parent is a zvol.
    /// - [`ErrorKind::InvalidProperty`], [`ErrorKind::Invalid`]: a property, or its value, does not fit this kind of dataset.
    /// - [`ErrorKind::KeyNotLoaded`]: the key its parent gives it is not loaded.
    /// - [`ErrorKind::QuotaExceeded`]: a `filesystem_limit` above it is reached.
    /// - [`ErrorKind::NoSpace`]: the pool is full, or cannot hold its reservation.
    /// - [`ErrorKind::Denied`]: the caller is neither root nor delegated `create` and `mount` there.
    /// - [`ErrorKind::Unsupported`]: it is to be encrypted and given a `version` or a `default...quota`, where OpenZFS 2.4.4 stops the machine.
    #[doc(alias = "lzc_create")]
    pub fn create(&self, name: &DatasetName, what: &Create) -> Result<()> {
        what.check_properties(name)?;
        if let Some(inside) = kept_inside(&what.properties) {
            let like = name.parent().filter(|_| !what.stays_plain());
            self.check_inside_new(CREATE, name.as_str(), inside, what.key.is_some(), like)?;
        }
        let mut properties = what.properties.to_nvlist();
        if let Some(size) = what.size {
            properties.insert("volsize", size.get());
        }
        let mut input = NvList::new();
        input.insert("type", if what.size.is_some() { OBJSET_ZVOL } else { OBJSET_FILESYSTEM });
        if let Some(key) = &what.key {
            input.insert("hidden_args", key.prepare_new(&mut properties)?);
        }
        input.insert("props", properties);
        self.call(CREATE, name.as_str(), &input).map_err(|error| match error.bare_errno() {
            Some(Errno::ENOENT) => no_parent(CREATE, name, name),
            _ => error.into_error(self),
        })?;
        Ok(())
    }

    /// Creates a file system with these properties: [`Zfs::create`] with [`Create::filesystem`].
    ///
    /// # Errors
    /// As [`Zfs::create`].
    #[doc(alias = "lzc_create")]
    pub fn create_filesystem(&self, name: &DatasetName, properties: &PropertySet) -> Result<()> {
        self.create(name, &Create::filesystem().properties(properties))
    }

    /// Creates a sparse zvol of that size: [`Zfs::create`] with [`Create::zvol`].
    ///
    /// # Errors
    /// As [`Zfs::create`].
    #[doc(alias = "lzc_create")]
    pub fn create_zvol(
        &self,
        name: &DatasetName,
        size: Bytes,
        properties: &PropertySet,
    ) -> Result<()> {
        self.create(name, &Create::zvol(size).properties(properties))
    }

    /// Creates `name` as a clone of `origin`: a dataset of its own, which shares the snapshot's blocks. The snapshot cannot be destroyed
    /// while the clone is there, unless the clone is [promoted](Zfs::promote).
    ///
    /// Issues `ZFS_IOC_CLONE`; on disk when it returns. (After `ENOENT` one `ZFS_IOC_OBJSET_STATS`, to say what is missing.) A clone of an encrypted snapshot has its key; `encryption` cannot be among the properties.
    ///
    /// # Errors
    /// - [`ErrorKind::Exists`]: there is a dataset of that name.
    /// - [`ErrorKind::NotFound`]: the snapshot or the clone's parent does not exist.
    /// - [`ErrorKind::Unrelated`]: they are in different pools.
    /// - otherwise as [`Zfs::create`].
    #[doc(alias = "lzc_clone")]
    pub fn create_clone(
        &self,
        name: &DatasetName,
        origin: &SnapshotName,
        properties: &PropertySet,
    ) -> Result<()> {
        if let Some(inside) = kept_inside(properties) {
            let like = Some(origin.dataset());
            self.check_inside_new(CLONE, name.as_str(), inside, false, like)?;
        }
        let mut input = NvList::new();
        input.insert("origin", origin.as_str()).insert("props", properties.to_nvlist());
        self.call(CLONE, name.as_str(), &input).map_err(|error| match error.bare_errno() {
            Some(Errno::ENOENT) => match self.exists(origin) {
                Ok(true) => no_parent(CLONE, name, name),
                _ => CLONE
                    .error(
                        ErrorKind::NotFound,
                        name.as_str(),
                        format!("its origin '{origin}' does not exist"),
                    )
                    .with_errno(Errno::ENOENT),
            },
            _ => error.into_error(self),
        })?;
        Ok(())
    }

    /// Makes a clone independent of its origin: the clone takes over the snapshots up to its origin, and the dataset they were of becomes
    /// a clone of it.
    ///
    /// Bookmarks up to its origin go with the snapshots. The modules 2.1 to 2.4 do not look whether the clone has one of the same name already, and stop
    /// the machine (`module/zfs/dsl_dataset.c`, `dsl_dataset_promote_check`): so it is looked up here, before. Nobody should make bookmarks of
    /// the two in the meantime.
    ///
    /// Issues `ZFS_IOC_GET_BOOKMARKS`, of a clone with bookmarks also `ZFS_IOC_OBJSET_STATS`, and then `ZFS_IOC_PROMOTE`; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::WrongType`]: it is not a clone.
    /// - [`ErrorKind::Exists`]: it has a snapshot or bookmark of the same name as one it would take over; the message names it.
    /// - [`ErrorKind::NotFound`], [`ErrorKind::Denied`], [`ErrorKind::NoSpace`], [`ErrorKind::QuotaExceeded`].
    #[doc(alias = "lzc_promote")]
    pub fn promote(&self, name: &DatasetName) -> Result<()> {
        if let Some(bookmark) = self.bookmark_in_the_way(name)? {
            let reason = format!("it has a bookmark '{bookmark}', as its origin has");
            return Err(PROMOTE
                .error(ErrorKind::Exists, name.as_str(), reason)
                .with_errno(Errno::EEXIST)
                .with_help("destroy one of the two"));
        }
        let mut cmd = Cmd::new(name.as_str());
        match self.call_cmd(PROMOTE, &mut cmd) {
            Ok(_) => Ok(()),
            Err(error) if error.errno() == Some(Errno::EEXIST) && !cmd.string.is_empty() => {
                let snapshot = String::from_utf8_lossy(&cmd.string);
                let reason = format!("it has a snapshot '{snapshot}', as its origin has");
                Err(PROMOTE
                    .error(ErrorKind::Exists, name.as_str(), reason)
                    .with_errno(Errno::EEXIST)
                    .with_help("rename one of the two"))
            }
            Err(error) => Err(error.into_error(self)),
        }
    }

    /// The bookmark that a clone has, and would take over as well. What is not there, or no clone, has none: the promotion itself says so.
    fn bookmark_in_the_way(&self, clone: &DatasetName) -> Result<Option<String>> {
        let own = match self.bookmarks(clone) {
            Ok(own) => own,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if own.is_empty() {
            return Ok(None);
        }
        let Ok(origin) = self.objset_stats_simple(clone.as_str())?.origin.parse::<SnapshotName>()
        else {
            return Ok(None);
        };
        let created = self.property(&origin, "createtxg")?;
        let until = created.and_then(|txg| txg.value.as_number()).unwrap_or(u64::MAX);
        let moving = self.bookmarks(&origin.dataset())?;
        let moving = moving.into_iter().filter(|one| one.createtxg.get() <= until);
        let mut names = moving.map(|one| one.name.bookmark().to_owned());
        Ok(names.find(|name| own.iter().any(|mine| mine.name.bookmark() == name)))
    }

    /// Renames a dataset, with all that is below it. Its new parent must exist, in the same pool.
    ///
    /// Issues `ZFS_IOC_RENAME`; on disk when it returns. What is mounted stays mounted where it is: to move it to where
    /// its `mountpoint` now says, unmount it before and mount it again.
    ///
    /// # Errors
    /// - [`ErrorKind::Exists`]: there is a dataset of the new name.
    /// - [`ErrorKind::NotFound`]: it, or the new parent, does not exist.
    /// - [`ErrorKind::Unrelated`]: the new name is in another pool.
    /// - [`ErrorKind::Invalid`]: the new name is below the old one.
    /// - [`ErrorKind::InvalidName`]: the name of something below it would become too long.
    /// - [`ErrorKind::EncryptionMismatch`]: it would leave the encryption root whose key it has.
    #[doc(alias = "lzc_rename")]
    pub fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<()> {
        let mut cmd = Cmd::new(from.as_str());
        cmd.value = to.as_str().into();
        self.call_cmd(RENAME, &mut cmd).map_err(|error| match error.bare_errno() {
            Some(Errno::EEXIST) => taken(from.as_str(), to.as_str(), ""),
            Some(Errno::ENOENT) if self.exists(from).unwrap_or(false) => {
                no_parent(RENAME, from, to)
            }
            _ => self.explain_busy(error.into_error(self), from.as_str()),
        })?;
        Ok(())
    }

    /// Renames a snapshot of a dataset and, if `recursive`, the snapshots of the same name of everything below it, in one transaction group.
    /// What is mounted of them is unmounted.
    ///
    /// Issues `ZFS_IOC_RENAME`; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::Exists`]: there is a snapshot of the new name, there or below.
    /// - [`ErrorKind::NotFound`]: it does not exist.
    /// - [`ErrorKind::InvalidName`]: the new name is none, or too long.
    #[doc(alias = "lzc_rename")]
    pub fn rename_snapshot(
        &self,
        from: &SnapshotName,
        to: &str,
        recursive: bool,
    ) -> Result<SnapshotName> {
        let renamed = from.dataset().snapshot(to)?;
        let mut cmd = Cmd::new(from.as_str());
        cmd.value = renamed.as_str().into();
        cmd.cookie = u64::from(recursive);
        self.call_cmd(RENAME, &mut cmd).map_err(|error| match error.bare_errno() {
            Some(Errno::EEXIST) => {
                let below = if recursive { ", or a snapshot of that name below it," } else { "" };
                taken(from.as_str(), renamed.as_str(), below)
            }
            _ => error.into_error(self),
        })?;
        Ok(renamed)
    }

    /// Destroys a file system or zvol that has nothing below it: no children, no snapshots. Its blocks are freed in the background.
    /// An interrupted receive into it is thrown away with it.
    ///
    /// Issues `ZFS_IOC_DESTROY`; gone on disk when it returns. [`Zfs::destroy_recursive`] destroys a whole tree.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: it does not exist.
    /// - [`ErrorKind::Busy`]: it has children or snapshots, is mounted, open or being received into; [`Error::busy`](crate::Error::busy) says which.
    /// - [`ErrorKind::Denied`]: the caller is neither root nor delegated `destroy` and `mount`.
    #[doc(alias = "lzc_destroy")]
    pub fn destroy(&self, name: &DatasetName) -> Result<()> {
        let mut cmd = Cmd::new(name.as_str());
        self.call_cmd(DESTROY, &mut cmd)
            .map_err(|error| self.explain_busy(error.into_error(self), name.as_str()))?;
        Ok(())
    }

    /// Takes a dataset back to its newest snapshot, and returns which that was. What was written since is lost.
    ///
    /// Issues `ZFS_IOC_ROLLBACK`; on disk when it returns. A mounted file system stays mounted and shows the old content; so does
    /// the block device of a zvol, once nobody has it open.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: it does not exist, or has no snapshot.
    /// - [`ErrorKind::Busy`]: it is being received into.
    /// - [`ErrorKind::Denied`].
    #[doc(alias = "lzc_rollback")]
    pub fn rollback(&self, name: &DatasetName) -> Result<SnapshotName> {
        let reply = self
            .call(ROLLBACK, name.as_str(), &NvList::new())
            .map_err(|error| error.into_error(self))?;
        let target = reply.require_str("target").map_err(|error| {
            ROLLBACK.error(ErrorKind::Protocol, name.as_str(), error.to_string())
        })?;
        Ok(target.parse()?)
    }

    /// Takes a dataset back to `snapshot`, if that is its newest: else nothing is done. What was written since is lost.
    ///
    /// Issues `ZFS_IOC_ROLLBACK` with a target; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::Busy`]: there are newer snapshots or bookmarks, or it is in use.
    /// - [`ErrorKind::NotFound`]: the snapshot or the dataset does not exist.
    /// - [`ErrorKind::Denied`].
    #[doc(alias = "lzc_rollback_to")]
    pub fn rollback_to(&self, snapshot: &SnapshotName) -> Result<()> {
        let dataset = snapshot.dataset();
        let mut input = NvList::new();
        input.insert("target", snapshot.as_str());
        self.call(ROLLBACK, dataset.as_str(), &input).map_err(|error| {
            self.explain_busy(
                error.into_error(self).with_target(snapshot.as_str()),
                snapshot.as_str(),
            )
        })?;
        Ok(())
    }

    /// Whether a dataset, snapshot or bookmark of that name exists (and the caller may know it).
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`; for a bookmark, whose name that refuses, `ZFS_IOC_GET_BOOKMARK_PROPS`.
    ///
    /// # Errors
    /// Anything but "it does not exist": the pool is suspended, the name is damaged.
    #[doc(alias = "lzc_exists")]
    pub fn exists(&self, name: &impl Entity) -> Result<bool> {
        let name = name.as_ref();
        if name.contains('#') {
            return match self.bookmark_properties(&name.parse()?) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            };
        }
        match self.call_cmd(STATS, &mut Cmd::new(name)) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error.into_error(self)),
        }
    }
}

/// What cannot be made there, or go there, because nothing is above `place`.
fn no_parent(operation: Operation, target: &DatasetName, place: &DatasetName) -> Error {
    let reason = match place.parent() {
        Some(parent) => format!("'{parent}', the parent of '{place}', does not exist"),
        None => format!("there is no pool '{place}'"),
    };
    let error =
        operation.error(ErrorKind::NotFound, target.as_str(), reason).with_errno(Errno::ENOENT);
    if place.parent().is_some() { error.with_help("create the parent first") } else { error }
}

/// What cannot be renamed because the new name is taken; `below` says where else it can be.
fn taken(from: &str, to: &str, below: &str) -> Error {
    RENAME
        .error(ErrorKind::Exists, from, format!("'{to}'{below} exists already"))
        .with_errno(Errno::EEXIST)
}
