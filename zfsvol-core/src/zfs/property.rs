//! Properties of datasets: read with their sources, set, inherit; and the size of zvols.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Zfs;
use super::call::{CallError, Operation, REPLY_BYTES_FIRST, Refusal};
use super::errno;
use super::inside::{is_kept_inside, kept_inside};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::kernel::{Cmd, Errno, Ioc, MountEntry, ObjsetStats};
use crate::name::{DatasetName, Entity, PoolName};
use crate::nvlist::NvList;
use crate::property::{
    DatasetKind, DatasetTypes, ParityLayout, Properties, Property, PropertyAccess, PropertyInfo,
    PropertyScope, PropertySet, PropertyValue, Reading, Source, ZPL, ZvolSize, zvol_reservation,
};
use crate::units::Bytes;

const GET: Operation = Operation::new(Ioc::OBJSET_STATS, "get the properties of");
const GET_ZPL: Operation = Operation::new(Ioc::OBJSET_ZPLPROPS, "get the properties of");
const GET_RECEIVED: Operation =
    Operation::new(Ioc::OBJSET_RECVD_PROPS, "get the received properties of");
const SET: Operation = Operation::new(Ioc::SET_PROP, "set the properties of");
const INHERIT: Operation = Operation::new(Ioc::INHERIT_PROP, "inherit a property of");
const POOL_PROPERTIES: Operation = Operation::new(Ioc::POOL_GET_PROPS, "get the properties of");
const POOL_LAYOUT: Operation = Operation::new(Ioc::POOL_STATS, "get the layout of");

/// What a mount says of a file system, in place of its properties.
const MAY_BE_OVERRIDDEN: [&str; 7] =
    ["atime", "devices", "exec", "mounted", "readonly", "relatime", "setuid"];

impl Zfs {
    /// All properties of a dataset or snapshot, native and user, each with its source. Native ones that nothing sets are there with their
    /// default, as in `zfs get all`; `mountpoint` is where the file system is or would be mounted, and what a mount option overrides for now
    /// has [`Source::Temporary`].
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`; for a file system also `ZFS_IOC_OBJSET_ZPLPROPS` and `ZFS_IOC_POOL_GET_PROPS`, and reads the table of
    /// mounts. Those are a few calls a dataset: to read many datasets, list them with the properties wanted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such dataset or snapshot.
    pub fn properties(&self, name: &impl Entity) -> Result<Properties> {
        Ok(self.read_properties(name.as_ref(), None)?.0)
    }

    /// Of those only these, and what the kernel says besides. Issues what is needed for them.
    pub(crate) fn wanted_properties(
        &self,
        name: &impl Entity,
        wanted: &BTreeSet<String>,
    ) -> Result<(Properties, ObjsetStats)> {
        self.read_properties(name.as_ref(), Some(wanted))
    }

    /// All properties as the dataset has them, and what the kernel says besides: without what lies inside a file system, and whatever a mount overrides for now.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS` alone.
    pub(crate) fn stored_properties(
        &self,
        name: &impl Entity,
    ) -> Result<(Properties, ObjsetStats)> {
        let name = name.as_ref();
        let (stats, reply) = self.objset_stats(name)?;
        let (kind, head) = kind_of(&stats);
        let module = self.module();
        let reading =
            Reading { name, kind, head, module, wanted: None, altroot: None, mount: None };
        Ok((reading.properties(&reply), stats))
    }

    /// One property of a dataset or snapshot, native or user, with its source. `None` when it does not have it.
    ///
    /// Issues what is needed of the ioctls of [`Zfs::properties`], mostly the first alone.
    ///
    /// # Errors
    /// As [`Zfs::properties`].
    pub fn property(&self, name: &impl Entity, property: &str) -> Result<Option<Property>> {
        let wanted = std::iter::once(property.to_owned()).collect();
        Ok(self.read_properties(name.as_ref(), Some(&wanted))?.0.remove(property))
    }

    fn read_properties(
        &self,
        name: &str,
        wanted: Option<&BTreeSet<String>>,
    ) -> Result<(Properties, ObjsetStats)> {
        let wants = |property: &str| wanted.is_none_or(|wanted| wanted.contains(property));
        let (stats, reply) = self.objset_stats(name)?;
        let (kind, head) = kind_of(&stats);
        let is_filesystem = kind == DatasetKind::Filesystem;
        let altroot = match is_filesystem && wants("mountpoint") {
            true => self.altroot_of(name)?,
            false => None,
        };
        let mount = match is_filesystem && MAY_BE_OVERRIDDEN.iter().any(|one| wants(one)) {
            true => self.mount_of(name)?,
            false => None,
        };
        let reading = Reading {
            name,
            kind,
            head,
            module: self.module(),
            wanted,
            altroot: altroot.as_deref(),
            mount: mount.as_ref(),
        };
        let mut found = reading.properties(&reply);
        let is_readable = head == DatasetTypes::FILESYSTEM && !stats.inconsistent;
        if is_readable && ZPL.iter().any(|one| wants(one)) {
            reading.add_zpl(&mut found, &self.zpl_properties(name)?);
        }
        Ok((found, stats))
    }

    /// The values that came with a stream, whether or not a local value hides them; empty for a dataset that never received any.
    /// Each has [`Source::Received`]. [`Zfs::revert_property`] makes one of them effective again.
    ///
    /// Issues `ZFS_IOC_OBJSET_RECVD_PROPS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such dataset or snapshot.
    pub fn received_properties(&self, name: &impl Entity) -> Result<Properties> {
        let mut cmd = Cmd::new(name.as_ref());
        cmd.reply_max = REPLY_BYTES_FIRST;
        let reply = match self.call_cmd(GET_RECEIVED, &mut cmd) {
            Ok(reply) => reply,
            // Also the answer for a dataset that is not there; the look-up says so.
            Err(error) if error.errno() == Some(Errno::ENOTSUP) => {
                self.objset_stats_simple(name.as_ref())?;
                return Ok(Properties::default());
            }
            Err(error) => return Err(error.into_error(self)),
        };
        let mut found = Properties::default();
        for (property, _) in reply.iter() {
            let Some(value) = reply.get_list(property).and_then(|list| list.get("value")) else {
                continue;
            };
            if let Some(value) = received(property, value) {
                found.insert(property, value, Source::Received);
            }
        }
        Ok(found)
    }

    /// Sets properties of a dataset; of a snapshot user properties only.
    ///
    /// Issues `ZFS_IOC_SET_PROP` once. All user properties and most native ones are on disk together, in one transaction group, when it
    /// returns; quotas, reservations, `volsize`, `version` and a few more each change in one of their own, before the rest.
    /// When some are refused, the kernel sets the others all the same: the error names each that failed, and only those.
    ///
    /// On a mounted file system most changes act at once. Not so `mountpoint` and `canmount`, which move nothing by themselves, nor `atime`,
    /// `relatime`, `devices`, `exec`, `readonly` and `setuid`, of which the mount keeps the flags it was mounted with (`readonly=on`, though, acts at
    /// once). [`PropertySet::mount_effect`] says what is to be done about a set, for who wants what `zfs set` does.
    ///
    /// `volsize` alone leaves the reservation as it is; [`Zfs::resize_zvol`] keeps both in step. Shrinking a zvol cuts off its data.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such dataset. [`ErrorKind::Denied`]: no right to set one of them.
    /// - [`ErrorKind::InvalidProperty`]: one can only be set on creation, or its value does not do here.
    /// - [`ErrorKind::WrongType`]: one is not a property of this kind of dataset. Nothing is set.
    /// - [`ErrorKind::Unsupported`]: the module does not know one; or it is `version` or a `default...quota` of an encrypted file system that is not mounted,
    ///   where OpenZFS 2.4.4 stops the machine (`zfsvfs_create_hold`). [`ErrorKind::FeatureDisabled`]: the pool lacks the feature a value needs.
    /// - [`ErrorKind::QuotaExceeded`], [`ErrorKind::NoSpace`]: a quota below what is used, a reservation above what is there.
    ///
    /// With each property that failed in [`Error::failures`].
    pub fn set_properties(&self, name: &impl Entity, properties: &PropertySet) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        self.check_settable(name.as_ref(), properties)?;
        if let Some(inside) = kept_inside(properties) {
            self.check_inside(SET, name.as_ref(), inside)?;
        }
        match self.set_prop(SET, name.as_ref(), &properties.to_nvlist()) {
            Ok(()) => Ok(()),
            Err(CallError::Refused(refusal)) => Err(self.set_error(*refusal)),
            Err(error) => Err(error.into_error(self)),
        }
    }

    /// Takes the dataset's own value of a property away, so that its parent's, or the default, holds again. A user property that no
    /// ancestor has is gone. A value that was received is hidden.
    ///
    /// Issues `ZFS_IOC_INHERIT_PROP`; on disk when it returns. For mounted file systems see [`Zfs::set_properties`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidProperty`]: it is not inherited (`quota`), or only the kernel sets it. [`ErrorKind::NotFound`], [`ErrorKind::Denied`].
    pub fn inherit_property(&self, name: &impl Entity, property: &str) -> Result<()> {
        self.inherit(name.as_ref(), property, false)
    }

    /// Takes the dataset's own value of a property away, so that the value it received holds again, or, where it received none, what it
    /// inherits or the default. Unlike [`Zfs::inherit_property`] it does so for every property, `quota` too, except `volsize` and `version`.
    ///
    /// Issues `ZFS_IOC_INHERIT_PROP` (`zfs inherit -S`); on disk when it returns.
    ///
    /// # Errors
    /// As [`Zfs::inherit_property`]; [`ErrorKind::InvalidProperty`] also for what a snapshot cannot have, such as `quota`.
    pub fn revert_property(&self, name: &impl Entity, property: &str) -> Result<()> {
        self.inherit(name.as_ref(), property, true)
    }

    /// Changes the size of a zvol. If all of it was reserved (its `refreservation` is what [`zvol_reservation`] gives), the reservation changes with
    /// it. Shrinking cuts off the data beyond the new size.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS` and `ZFS_IOC_POOL_STATS`, then `ZFS_IOC_SET_PROP` once.
    /// Should the pool lack the space for the reservation, the size is set back by another.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongType`] (not a zvol), [`ErrorKind::InvalidProperty`] (not a multiple of `volblocksize`),
    /// [`ErrorKind::NoSpace`], [`ErrorKind::ReadOnly`], [`ErrorKind::Denied`].
    pub fn resize_zvol(&self, zvol: &DatasetName, volsize: Bytes) -> Result<()> {
        let found = self.properties(zvol)?;
        let (Some(old), Some(volblocksize)) = (found.bytes("volsize"), found.bytes("volblocksize"))
        else {
            return Err(SET.error(ErrorKind::WrongType, zvol.as_str(), "it is not a zvol"));
        };
        let layout = self.parity_layouts(&zvol.pool())?;
        let copies = found.number("copies").unwrap_or(1);
        let reserved =
            |volsize| zvol_reservation(ZvolSize { volsize, volblocksize, copies }, &layout);
        // libzfs reckons with one copy when a zvol is resized, so a reservation it made is recognised too.
        let single =
            |volsize| zvol_reservation(ZvolSize { volsize, volblocksize, copies: 1 }, &layout);
        let mut properties = PropertySet::new().with("volsize", volsize)?;
        match found.bytes("refreservation") {
            Some(now) if now == reserved(old) => {
                properties.set("refreservation", reserved(volsize))?;
            }
            Some(now) if now == single(old) => {
                properties.set("refreservation", single(volsize))?;
            }
            _ => {}
        }
        let result = self.set_properties(zvol, &properties);
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace) {
            // The size is set before the reservation is refused. What failed first is what is told.
            let _ = self.set_properties(zvol, &PropertySet::new().with("volsize", old)?);
        }
        result
    }

    /// The `refreservation` with which a zvol of that size, in that pool, can always be written in full: what `zfs create -V` sets where this
    /// library's [`Zfs::create_zvol`] sets none, and what `refreservation=auto` means.
    ///
    /// Issues `ZFS_IOC_POOL_STATS`, for the raidz and dRAID vdevs; [`zvol_reservation`] does the sum.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such pool.
    pub fn zvol_reservation(&self, pool: &PoolName, zvol: ZvolSize) -> Result<Bytes> {
        Ok(zvol_reservation(zvol, &self.parity_layouts(pool)?))
    }

    /// What the kernel says of a dataset, and the nvlist of its properties.
    pub(super) fn objset_stats(&self, name: &str) -> Result<(ObjsetStats, NvList)> {
        let mut cmd = Cmd::new(name);
        cmd.reply_max = REPLY_BYTES_FIRST;
        let reply = self.call_cmd(GET, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok((cmd.objset_stats, reply))
    }

    pub(super) fn objset_stats_simple(&self, name: &str) -> Result<ObjsetStats> {
        let mut cmd = Cmd::new(name);
        cmd.simple = true;
        self.call_cmd(GET, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(cmd.objset_stats)
    }

    /// The properties kept inside a file system; none where the kernel cannot look inside.
    pub(super) fn zpl_properties(&self, name: &str) -> Result<NvList> {
        let mut cmd = Cmd::new(name);
        cmd.reply_max = REPLY_BYTES_FIRST;
        match self.call_cmd(GET_ZPL, &mut cmd) {
            Ok(reply) => Ok(reply),
            // Not a file system after all, or without its key.
            Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::EACCES)) => {
                Ok(NvList::new())
            }
            Err(error) => Err(error.into_error(self)),
        }
    }

    /// The directory below which the pool's file systems are mounted, if it is not `/`.
    pub(super) fn altroot(&self, pool: &PoolName) -> Result<Option<String>> {
        let reply = self.raw_pool_properties(POOL_PROPERTIES, pool)?;
        let altroot = reply.get_list("altroot").and_then(|list| list.get_str("value"));
        Ok(altroot.filter(|path| path.starts_with('/')).map(ToOwned::to_owned))
    }

    /// The same for the pool that a dataset or snapshot is in.
    fn altroot_of(&self, name: &str) -> Result<Option<String>> {
        self.altroot(&name.split(['/', '@']).next().unwrap_or(name).parse()?)
    }

    pub(super) fn mount_of(&self, name: &str) -> Result<Option<MountEntry>> {
        let mounts = self.kernel().host().mounts().map_err(|errno| {
            GET.error(ErrorKind::Io, name, "the table of mounts cannot be read").with_errno(errno)
        })?;
        Ok(mounts.into_iter().find(|mount| mount.dataset == name))
    }

    /// The raidz and dRAID vdevs of a pool.
    fn parity_layouts(&self, pool: &PoolName) -> Result<Vec<ParityLayout>> {
        let mut cmd = Cmd::new(pool.as_str());
        cmd.reply_max = REPLY_BYTES_FIRST;
        let config =
            self.call_cmd(POOL_LAYOUT, &mut cmd).map_err(|error| error.into_error(self))?;
        let children = config.get_list("vdev_tree").and_then(|tree| tree.get_lists("children"));
        Ok(children.unwrap_or_default().iter().filter_map(parity_layout).collect())
    }

    /// What libzfs refuses before it asks the kernel, which would take it and store a value of no effect.
    fn check_settable(&self, name: &str, properties: &PropertySet) -> Result<()> {
        if properties.scope() != PropertyScope::Dataset {
            let reason = "these are properties of a pool, not of a dataset";
            return Err(SET.error(ErrorKind::InvalidProperty, name, reason));
        }
        let both = DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME;
        let mut particular = Vec::new();
        for (property, _) in properties {
            let Some(info) = PropertyInfo::find(PropertyScope::Dataset, property) else { continue };
            if !info.access.is_settable() {
                let reason = match info.access {
                    PropertyAccess::ReadOnly => format!("'{property}' can only be read"),
                    _ => format!("'{property}' can only be set when it is created"),
                };
                return Err(SET.error(ErrorKind::InvalidProperty, name, reason));
            }
            if name.contains('@') {
                let reason = format!(
                    "'{property}' cannot be set on a snapshot, which takes user properties only"
                );
                return Err(SET.error(ErrorKind::WrongType, name, reason));
            }
            if !info.types.contains(both) {
                particular.push(info);
            }
        }
        if particular.is_empty() && !sets_zstd(properties) {
            return Ok(());
        }
        let (kind, _) = kind_of(
            &self.objset_stats_simple(name).map_err(|error| error.with_operation(SET.verb))?,
        );
        match particular.into_iter().find(|info| !info.types.intersects(kind.types())) {
            None => Ok(()),
            Some(info) => {
                let reason = format!("'{}' is a property of {}", info.name, info.types);
                Err(SET.error(ErrorKind::WrongType, name, reason))
            }
        }
    }

    fn inherit(&self, name: &str, property: &str, received: bool) -> Result<()> {
        self.check_inheritable(name, property, received)?;
        if is_kept_inside(property) {
            self.check_inside(INHERIT, name, property)?;
        }
        let mut cmd = Cmd::new(name);
        cmd.value = property.as_bytes().to_vec();
        cmd.cookie = u64::from(received);
        match self.call_cmd(INHERIT, &mut cmd) {
            Ok(_) => Ok(()),
            Err(CallError::Refused(refusal)) => {
                if is_of_the_dataset(refusal.errno) {
                    return Err(refusal.into_error(self));
                }
                let Failure { kind, reason, .. } = self.property_failure(property, refusal.errno);
                Err(INHERIT
                    .error(kind, name, format!("'{property}': {reason}"))
                    .with_errno(refusal.errno))
            }
            Err(error) => Err(error.into_error(self)),
        }
    }

    fn check_inheritable(&self, name: &str, property: &str, received: bool) -> Result<()> {
        let info = PropertyInfo::find(PropertyScope::Dataset, property);
        let reason = match info.map(|info| info.access) {
            Some(PropertyAccess::ReadOnly) => "only the kernel sets it",
            Some(PropertyAccess::SetOnce | PropertyAccess::SetOnceInheritable) => {
                "it is set for good when the dataset is created"
            }
            // The sync thread of the module falls over a default there is not.
            _ if matches!(property, "iscsioptions" | "stmf_sbd_lu") => "it is of another system",
            _ if matches!(property, "volsize" | "version") => "it has no other value to go back to",
            Some(PropertyAccess::Settable) if !received => "datasets do not inherit it",
            // The module takes it, and with it what the dataset of the snapshot has: its quota does not count any more, though it is still told.
            Some(PropertyAccess::Settable) if name.contains('@') => {
                "a snapshot has none of its own"
            }
            _ => return Ok(()),
        };
        let reason = format!("'{property}': {reason}");
        Err(INHERIT.error(ErrorKind::InvalidProperty, name, reason))
    }

    /// Sets properties, in the form the kernel takes them.
    pub(super) fn set_prop(
        &self,
        operation: Operation,
        name: &str,
        properties: &NvList,
    ) -> Result<(), CallError> {
        let packed =
            properties.to_bytes().map_err(|error| CallError::library(operation, name, error))?;
        let mut cmd = Cmd::new(name);
        // Room for an errno for every name: a second call would set everything twice.
        cmd.reply_max = REPLY_BYTES_FIRST.max(packed.len().saturating_mul(2));
        cmd.input = Some(packed);
        self.call_cmd(operation, &mut cmd).map(drop)
    }

    /// The error of a set of properties, with each that failed.
    pub(super) fn set_error(&self, refusal: Refusal) -> Error {
        // What is wrong with the dataset is not the fault of each property.
        if is_of_the_dataset(refusal.errno) {
            return refusal.into_error(self);
        }
        let failures: Vec<Failure> = refusal
            .reply
            .iter()
            .filter_map(|(property, _)| {
                let errno = Errno(refusal.reply.get_i32(property)?);
                Some(self.property_failure(property, errno))
            })
            .collect();
        let Some(first) = failures.first() else { return refusal.into_error(self) };
        let same = failures.iter().all(|failure| failure.kind == first.kind);
        let kind = if same { first.kind } else { ErrorKind::Several };
        let help = errno::meaning_for_property(Ioc::SET_PROP, &first.name, first.errno).help;
        let error = Error::new(kind, refusal.operation.verb, first.reason.clone())
            .with_target(refusal.target)
            .with_errno(refusal.errno);
        let error = match help.filter(|_| failures.len() == 1) {
            Some(help) => error.with_help(help),
            None => error,
        };
        error.with_failures(failures, 0)
    }

    fn property_failure(&self, property: &str, errno: Errno) -> Failure {
        let (kind, reason) = match self.too_new(property, errno) {
            Some(reason) => (ErrorKind::Unsupported, Cow::Owned(reason)),
            None => {
                let meaning = errno::meaning_for_property(Ioc::SET_PROP, property, errno);
                (meaning.kind, Cow::Borrowed(meaning.reason))
            }
        };
        Failure { name: property.to_owned(), kind, errno, reason, busy: Vec::new() }
    }

    /// Why the module refuses a property it does not list among its own.
    fn too_new(&self, property: &str, errno: Errno) -> Option<String> {
        let module = self.module();
        let known = &module.dataset_properties;
        let unknown = errno == Errno::EINVAL
            && !property.contains([':', '@'])
            && !known.is_empty()
            && !known.contains(property);
        let info = PropertyInfo::find(PropertyScope::Dataset, property);
        unknown.then(|| match info.and_then(|info| info.since) {
            Some((major, minor)) => format!(
                "the loaded module is OpenZFS {}, and the property came with {major}.{minor}",
                module.version
            ),
            None => format!("the loaded module, OpenZFS {}, does not know it", module.version),
        })
    }
}

/// What a dataset is, and what its head is: a snapshot's is the file system or zvol.
pub(super) fn kind_of(stats: &ObjsetStats) -> (DatasetKind, DatasetTypes) {
    let head = match stats.objset_type {
        ObjsetStats::ZVOL => DatasetKind::Volume,
        _ => DatasetKind::Filesystem,
    };
    (if stats.is_snapshot { DatasetKind::Snapshot } else { head }, head.types())
}

/// Whether a mount option or the table of mounts has a say in a property.
pub(super) fn may_be_overridden(property: &str) -> bool {
    MAY_BE_OVERRIDDEN.contains(&property)
}

fn received(property: &str, value: &crate::nvlist::Value) -> Option<PropertyValue> {
    use crate::nvlist::Value;
    Some(match value {
        Value::Uint64(number) => match PropertyInfo::find(PropertyScope::Dataset, property) {
            Some(info) => info.value_of(*number),
            None => PropertyValue::Number(*number),
        },
        Value::String(text) => PropertyValue::Text(text.to_string()),
        _ => return None,
    })
}

/// Whether `compression=zstd` is set. The module notes in the dataset that it is used, and has the whole machine stop where there is no such
/// dataset (2.1 to 2.4 `module/zfs/dsl_dataset.c`, dsl_dataset_set_compression_sync): so it is looked up before.
fn sets_zstd(properties: &PropertySet) -> bool {
    /// `ZIO_COMPRESS_ZSTD`, and the part of the number that is no level (`ZIO_COMPRESS_ALGO`).
    const ZSTD: u64 = 16;
    const ALGORITHM: u64 = 0x7f;
    let number = properties.to_nvlist().get_u64("compression");
    number.is_some_and(|number| number & ALGORITHM == ZSTD)
}

fn parity_layout(vdev: &NvList) -> Option<ParityLayout> {
    let parity = vdev.get_u64("nparity")?;
    let ashift = u32::try_from(vdev.get_u64("ashift")?).ok()?;
    match vdev.get_str("type")? {
        "raidz" => {
            let disks = vdev.get_lists("children")?.len() as u64;
            Some(ParityLayout::Raidz { disks, parity, ashift })
        }
        "draid" => Some(ParityLayout::Draid { data: vdev.get_u64("draid_ndata")?, parity, ashift }),
        _ => None,
    }
}

/// Whether a property was refused for what is wrong with the dataset, its pool or the caller.
fn is_of_the_dataset(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::EPERM | Errno::EAGAIN) || errno.is_module_too_old()
}
