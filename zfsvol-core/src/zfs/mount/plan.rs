//! What is known of a file system before it is mounted: where to, and with which options.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{MountOptions, MountPath, NotMountable};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Cmd, Ioc, MountFlags, MountRequest, ObjsetStats};
use crate::name::pool_part;
use crate::nvlist::NvList;
use crate::property::{DatasetKind, DatasetTypes, Properties, PropertyValue, Reading, Source};
use crate::zfs::Zfs;
use crate::zfs::call::{Operation, REPLY_BYTES_FIRST};
use crate::zfs::property::kind_of;

/// The properties that say how a file system is mounted.
const WANTED: [&str; 16] = [
    "atime",
    "canmount",
    "context",
    "defcontext",
    "devices",
    "exec",
    "fscontext",
    "keystatus",
    "mountpoint",
    "nbmand",
    "overlay",
    "readonly",
    "relatime",
    "rootcontext",
    "setuid",
    "zoned",
];

/// A file system or snapshot, and the properties that say how it is mounted, as they are stored: what a mount there is overrides for
/// now does not count.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    kind: DatasetKind,
    stats: ObjsetStats,
    properties: Properties,
    pool_read_only: bool,
}

/// What the pool says of all its mounts.
#[derive(Debug)]
pub(super) struct PoolMounts {
    /// The directory below which they are, if it is not `/`.
    altroot: Option<String>,
    read_only: bool,
}

impl Zfs {
    /// Looks at what is to be mounted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongType`].
    pub(super) fn plan(&self, operation: Operation, name: &str) -> Result<Plan> {
        self.plan_in(operation, name, &self.pool_mounts(operation, name)?)
    }

    /// Looks at the pool that `name` is in.
    pub(super) fn pool_mounts(&self, operation: Operation, name: &str) -> Result<PoolMounts> {
        let (_, pool) = self.look_up(operation, Ioc::POOL_GET_PROPS, pool_part(name))?;
        let altroot = pool.get_list("altroot").and_then(|property| property.get_str("value"));
        let read_only = pool.get_list("readonly").and_then(|property| property.get_u64("value"));
        Ok(PoolMounts {
            altroot: altroot.filter(|path| path.starts_with('/')).map(ToOwned::to_owned),
            read_only: read_only == Some(1),
        })
    }

    /// Looks at what is to be mounted, of a pool that was looked at.
    pub(super) fn plan_in(
        &self,
        operation: Operation,
        name: &str,
        pool: &PoolMounts,
    ) -> Result<Plan> {
        let (stats, reply) = self.look_up(operation, Ioc::OBJSET_STATS, name)?;
        let (kind, head) = kind_of(&stats);
        if head != DatasetTypes::FILESYSTEM {
            return Err(operation.error(
                ErrorKind::WrongType,
                name,
                "it is a volume, and not a file system",
            ));
        }
        let wanted: BTreeSet<String> = WANTED.iter().map(ToString::to_string).collect();
        let reading = Reading {
            name,
            kind,
            head,
            module: self.module(),
            wanted: Some(&wanted),
            altroot: pool.altroot.as_deref(),
            mount: None,
        };
        Ok(Plan {
            name: name.to_owned(),
            kind,
            properties: reading.properties(&reply),
            stats,
            pool_read_only: pool.read_only,
        })
    }

    fn look_up(&self, operation: Operation, ioc: Ioc, name: &str) -> Result<(ObjsetStats, NvList)> {
        let mut cmd = Cmd::new(name);
        cmd.reply_max = REPLY_BYTES_FIRST;
        let operation = Operation::new(ioc, operation.verb);
        let reply = self.call_cmd(operation, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok((cmd.objset_stats, reply))
    }
}

impl Plan {
    /// Where its properties say.
    pub(super) fn mount_path(&self) -> MountPath {
        match self.properties.text("mountpoint") {
            Some("legacy") => MountPath::Legacy,
            Some(path) if path.starts_with('/') => MountPath::At(PathBuf::from(path)),
            _ => MountPath::None,
        }
    }

    /// Where it is mounted when it is asked for by name.
    pub(super) fn path(&self, options: &MountOptions) -> Result<PathBuf, NotMountable> {
        if self.properties.text("keystatus") == Some("unavailable") {
            return Err(NotMountable::KeyNotLoaded);
        }
        if self.stats.inconsistent {
            return Err(NotMountable::Receiving);
        }
        if self.stats.redacted && !options.redacted {
            return Err(NotMountable::Redacted);
        }
        if self.is_on("zoned", false) && !options.zoned {
            return Err(NotMountable::Zoned);
        }
        if let Some(path) = &options.at {
            return Ok(path.clone());
        }
        match self.mount_path() {
            MountPath::Legacy => Err(NotMountable::Legacy),
            MountPath::None => Err(NotMountable::NoMountpoint),
            MountPath::At(_) if self.properties.text("canmount") == Some("off") => {
                Err(NotMountable::CanmountOff)
            }
            MountPath::At(path) => Ok(path),
        }
    }

    /// Where it is mounted together with others.
    pub(super) fn automatic_path(&self, options: &MountOptions) -> Result<PathBuf, NotMountable> {
        let path = self.path(options)?;
        match self.properties.text("canmount") {
            Some("noauto") => Err(NotMountable::Noauto),
            _ => Ok(path),
        }
    }

    /// Whether it is mounted on `path` because nobody said otherwise: its mount point is the default one, or a parent's.
    pub(super) fn chose_itself(&self, path: &Path) -> bool {
        let source = self.properties.source("mountpoint");
        matches!(source, Some(Source::Default | Source::Inherited(_)))
            && self.mount_path() == MountPath::At(path.to_owned())
    }

    /// Whether it may be mounted over what is in the directory.
    pub(super) fn may_cover(&self, options: &MountOptions) -> bool {
        options.overlay.unwrap_or_else(|| self.is_on("overlay", true))
    }

    /// The flags and options of mount(2). OpenZFS 2.4 `lib/libzfs/libzfs_mount.c`, zfs_add_options, and
    /// `module/os/linux/zfs/zpl_super.c`, the comment on mount options.
    pub(super) fn request(&self, path: &Path, options: &MountOptions) -> MountRequest {
        let mut flags = MountFlags::empty();
        // Both the flag and the option: the one is the mount's, the other what ZFS puts before the property.
        let mut data: Vec<String> = Vec::new();
        let mut either = |off: bool, flag: MountFlags, words: (&str, &str)| {
            flags.set(flag, off);
            data.push(if off { words.0 } else { words.1 }.to_owned());
        };
        let on = |given: Option<bool>, property: &str| {
            given.unwrap_or_else(|| self.is_on(property, true))
        };
        let read_only = self.kind == DatasetKind::Snapshot
            || options.read_only.unwrap_or_else(|| {
                // What is said is tried, and refused by the kernel; a property is not worth a failure.
                self.pool_read_only || self.is_on("readonly", false)
            });
        let atime = on(options.atime, "atime");
        either(read_only, MountFlags::READ_ONLY, ("ro", "rw"));
        either(!on(options.devices, "devices"), MountFlags::NO_DEV, ("nodev", "dev"));
        either(!on(options.exec, "exec"), MountFlags::NO_EXEC, ("noexec", "exec"));
        either(!on(options.setuid, "setuid"), MountFlags::NO_SUID, ("nosuid", "suid"));
        either(!atime, MountFlags::NO_ATIME, ("noatime", "atime"));
        if atime {
            // Without atime neither: `strictatime` would turn it on.
            let relatime = on(options.relatime, "relatime");
            either(relatime, MountFlags::RELATIME, ("relatime", "strictatime"));
            flags.set(MountFlags::STRICT_ATIME, !relatime);
        }
        flags.set(MountFlags::MANDATORY_LOCKS, self.is_on("nbmand", false));
        flags.set(MountFlags::NO_SYMLINKS, options.no_symlinks);
        data.extend(self.contexts());
        data.push("zfsutil".to_owned());
        data.extend(automount_hint(path));
        let mut request = MountRequest::new(self.name.clone(), path);
        request.flags = flags;
        request.data = data.join(",");
        request
    }

    /// What SELinux is to label files with; `context` goes before the others.
    fn contexts(&self) -> Vec<String> {
        let option = |name: &str| {
            let context = self.properties.text(name).filter(|context| *context != "none")?;
            Some(format!("{name}=\"{context}\""))
        };
        match option("context") {
            Some(context) => vec![context],
            None => {
                ["fscontext", "defcontext", "rootcontext"].into_iter().filter_map(option).collect()
            }
        }
    }

    fn is_on(&self, property: &str, default: bool) -> bool {
        self.properties.value(property).and_then(PropertyValue::as_bool).unwrap_or(default)
    }
}

/// Where snapshots in `.zfs/snapshot` are mounted below. The kernel takes options apart at commas, whatever is around them: a path with one
/// is left out, and the kernel finds the way itself.
fn automount_hint(path: &Path) -> Option<String> {
    let path = path.to_str().filter(|path| !path.contains(','))?;
    Some(format!("mntpoint={path}"))
}
