//! Properties of vdevs: OpenZFS 2.3 `module/zfs/vdev.c`, vdev_prop_get and vdev_prop_set.

use super::{Kind, Layout, Vdev};
use crate::embedded::engine::{Pool, Result, State, unsigned};
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};

/// `zprop_source_t`
const SOURCE_NONE: u64 = 1;
const SOURCE_DEFAULT: u64 = 2;
const SOURCE_LOCAL: u64 = 8;
/// `ZPROP_BOOLEAN_NA`
const NOT_APPLICABLE: u64 = 2;
/// A user property is no longer than this (`ZAP_MAXNAMELEN`, with its NUL).
const NAME_BYTES_MAX: usize = 256;

/// What is counted, and always 0: nothing goes wrong in memory, and nothing is read from the devices.
const COUNTERS: [&str; 18] = [
    "checksum_errors",
    "claim_bytes",
    "claim_ops",
    "free_bytes",
    "free_ops",
    "initialize_errors",
    "null_bytes",
    "null_ops",
    "read_bytes",
    "read_errors",
    "read_ops",
    "slow_ios",
    "trim_bytes",
    "trim_errors",
    "trim_ops",
    "write_bytes",
    "write_errors",
    "write_ops",
];
/// The rest of what can only be read, and the release that brought it.
const READ_ONLY: [(&str, (u32, u32)); 24] = [
    ("allocated", (2, 2)),
    ("ashift", (2, 2)),
    ("asize", (2, 2)),
    ("bootsize", (2, 2)),
    ("capacity", (2, 2)),
    ("children", (2, 2)),
    ("devid", (2, 2)),
    ("encpath", (2, 2)),
    ("expandsize", (2, 2)),
    ("fragmentation", (2, 2)),
    ("free", (2, 2)),
    ("fru", (2, 2)),
    ("guid", (2, 2)),
    ("name", (2, 2)),
    ("numchildren", (2, 2)),
    ("parent", (2, 2)),
    ("parity", (2, 2)),
    ("physpath", (2, 2)),
    ("psize", (2, 2)),
    ("raidz_expanding", (2, 3)),
    ("removing", (2, 2)),
    ("size", (2, 2)),
    ("state", (2, 2)),
    ("trim_support", (2, 3)),
];
/// The numbers that can be set, with their defaults and the release that brought them.
const NUMBERS: [(&str, u64, (u32, u32)); 10] = [
    ("allocating", 1, (2, 2)),
    ("failfast", 1, (2, 2)),
    ("checksum_n", u64::MAX, (2, 2)),
    ("checksum_t", u64::MAX, (2, 2)),
    ("io_n", u64::MAX, (2, 2)),
    ("io_t", u64::MAX, (2, 2)),
    ("slow_io_n", u64::MAX, (2, 3)),
    ("slow_io_t", u64::MAX, (2, 3)),
    ("sit_out", 0, (2, 4)),
    ("autosit", 0, (2, 4)),
];

/// `zfs_ioc_vdev_get_props`.
pub(in crate::embedded) fn get_properties(
    state: &State,
    pool_name: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let guid = input.get_u64("vdevprops_get_vdev").ok_or(Errno::EINVAL)?;
    let pool = state.pool(pool_name)?;
    let found = Subject::find(pool, pool_name, guid)?;
    let set = pool.layout.properties(guid).ok_or(Errno::EINVAL)?;
    let Some(names) = input.get_list("vdevprops_get_props") else {
        for (name, value) in set.iter().filter(|(_, value)| matches!(value, Value::String(_))) {
            tell(output, name, value.clone(), SOURCE_LOCAL);
        }
        return Ok(());
    };
    for (name, _) in names.iter() {
        if let Some((_, default, _)) = find_number(name, pool.env.release) {
            let value = set.get_u64(name).unwrap_or(*default);
            let source = if value == *default { SOURCE_DEFAULT } else { SOURCE_LOCAL };
            // Only what is right below the root has room to give.
            let applies = name != "allocating" || found.is_top;
            let (value, source) =
                if applies { (value, source) } else { (NOT_APPLICABLE, SOURCE_NONE) };
            tell(output, name, value.into(), source);
        } else if is_read_only(name, pool.env.release) || name == "path" {
            if let Some(value) = found.value(name) {
                tell(output, name, value, SOURCE_NONE);
            }
        } else if let Some(value) = set.get(name) {
            tell(output, name, value.clone(), SOURCE_LOCAL);
        } else {
            // The module stops here, and says nothing of it.
            break;
        }
    }
    Ok(())
}

/// `zfs_ioc_vdev_set_props`: the first that cannot be set is in the answer.
pub(in crate::embedded) fn set_properties(
    state: &mut State,
    pool_name: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let guid = input.get_u64("vdevprops_set_vdev").ok_or(Errno::EINVAL)?;
    let properties = input.get_list("vdevprops_set_props").ok_or(Errno::EINVAL)?;
    let pool = state.pool_mut(pool_name)?;
    if !pool.layout.has(guid) {
        return Err(Errno::ENOENT);
    }
    for (name, value) in properties.iter() {
        if let Err(errno) = check(pool, guid, name, value) {
            let number = u64::try_from(errno.0).unwrap_or(0);
            tell(output, name, number.into(), 0);
            return Err(errno);
        }
    }
    pool.begin();
    for (name, value) in properties.iter() {
        if let ("path", Value::String(path)) = (name, value) {
            pool.layout.note(guid, path.clone(), true)?;
            continue;
        }
        let set = pool.layout.properties_mut(guid).ok_or(Errno::EINVAL)?;
        match value {
            Value::String(text) if text.is_empty() => {
                set.remove(name);
            }
            value => {
                set.insert(name, value.clone());
            }
        }
    }
    Ok(())
}

/// Whether a property can have that value.
fn check(pool: &Pool, guid: u64, name: &str, value: &Value) -> Result<()> {
    let release = pool.env.release;
    if is_read_only(name, release) {
        return Err(Errno::EROFS);
    }
    match (find_number(name, release), value) {
        (Some(("allocating", ..)), Value::Uint64(0)) => pool.layout.check_not_allocating(guid),
        (Some(("allocating", ..)), Value::Uint64(number)) if *number > 1 => Err(Errno::EINVAL),
        (Some(_), Value::Uint64(_)) => Ok(()),
        (None, Value::String(_)) if name == "comment" => Ok(()),
        // A path is changed by ioctl of its own, and here only to a device of the system.
        (None, Value::String(path)) if name == "path" && path.as_bytes().starts_with(b"/dev/") => {
            Ok(())
        }
        (None, Value::String(_)) if name.contains(':') && name.len() < NAME_BYTES_MAX => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

fn find_number(
    name: &str,
    release: (u32, u32),
) -> Option<&'static (&'static str, u64, (u32, u32))> {
    NUMBERS.iter().find(|(known, _, since)| *known == name && *since <= release)
}

fn is_read_only(name: &str, release: (u32, u32)) -> bool {
    COUNTERS.contains(&name)
        || READ_ONLY.iter().any(|(known, since)| *known == name && *since <= release)
}

/// `vdev_prop_add_list`
fn tell(output: &mut NvList, name: &str, value: Value, source: u64) {
    let mut pair = NvList::new();
    pair.insert("source", source).insert("value", value);
    output.insert(name, pair);
}

impl Layout {
    /// Whether a vdev can do without new data: one that can have some must be left. `vdev_passivate`
    ///
    /// # Errors
    /// `EBUSY` when none is; `ENOTSUP` when it is not right below the root.
    fn check_not_allocating(&self, guid: u64) -> Result<()> {
        let top = self.tops.iter().find(|top| top.guid == guid).ok_or(Errno::ENOTSUP)?;
        let allocating = |other: &Vdev| {
            other.guid != guid
                && other.is_normal()
                && other.properties.get_u64("allocating") != Some(0)
        };
        match !top.is_normal() || self.tops.iter().any(allocating) {
            true => Ok(()),
            false => Err(Errno::EBUSY),
        }
    }

    /// What the user set on a vdev.
    fn properties(&self, guid: u64) -> Option<&NvList> {
        match guid == self.guid {
            true => Some(&self.root_properties),
            false => self.find(guid).map(|vdev| &vdev.properties),
        }
    }
}

/// The vdev that is asked about. The root is a vdev, too.
struct Subject<'a> {
    pool: &'a Pool,
    pool_name: &'a str,
    /// Absent for the root.
    vdev: Option<&'a Vdev>,
    parent: Option<&'a Vdev>,
    is_top: bool,
}

impl<'a> Subject<'a> {
    fn find(pool: &'a Pool, pool_name: &'a str, guid: u64) -> Result<Self> {
        let layout = &pool.layout;
        let vdev = layout.find(guid);
        if vdev.is_none() && guid != layout.guid() {
            return Err(Errno::ENOENT);
        }
        let is_top = layout.tops.iter().any(|top| top.guid == guid);
        Ok(Self { pool, pool_name, vdev, parent: layout.parent_of(guid), is_top })
    }

    fn children(&self) -> &'a [Vdev] {
        self.vdev.map_or(&self.pool.layout.tops, |vdev| &vdev.children)
    }

    /// The value of what can only be read; none where it does not apply.
    fn value(&self, name: &str) -> Option<Value> {
        let vdev = self.vdev;
        let number = |name| vdev.map_or(0, |vdev| vdev.number(name));
        let text = |name| vdev.and_then(|vdev| vdev.other.get_string(name)).cloned();
        let (size, allocated) = self.space();
        let value: u64 = match name {
            "name" => return Some(self.name(vdev).into()),
            "path" => return Some(vdev?.path.clone()?.into()),
            "fru" => return text("fru").map(Value::from),
            "devid" => return text("devid").map(Value::from),
            "physpath" => return text("phys_path").map(Value::from),
            "encpath" => return text("vdev_enc_sysfs_path").map(Value::from),
            "parent" if vdev.is_none() => return None,
            "parent" => return Some(self.name(self.parent).into()),
            "children" if self.children().is_empty() => return None,
            "children" => {
                let names = self.children().iter().map(|child| self.name(Some(child)));
                return Some(names.collect::<Vec<_>>().join(",").into());
            }
            "raidz_expanding" if vdev.is_none_or(|vdev| vdev.kind != Kind::Raidz) => return None,
            "trim_support" => return vdev.filter(|vdev| vdev.kind.is_leaf()).map(|_| 1_u64.into()),
            "numchildren" => u64::try_from(self.children().len()).unwrap_or(u64::MAX),
            "guid" => vdev.map_or(self.pool.layout.guid(), |vdev| vdev.guid),
            "state" => vdev.map_or(self.pool.layout.health(), |vdev| vdev.health).state,
            "parity" => number("nparity"),
            "ashift" => number("ashift"),
            "asize" => vdev.map_or(size, |vdev| vdev.other.get_u64("asize").unwrap_or(vdev.room)),
            "psize" => vdev.map_or(0, |vdev| vdev.room),
            "size" => size,
            "allocated" => allocated,
            "free" => size.saturating_sub(allocated),
            "capacity" => allocated.saturating_mul(100).checked_div(size).unwrap_or(0),
            "expandsize" => vdev.map_or(0, Vdev::expandable),
            _ => 0,
        };
        Some(value.into())
    }

    /// Bytes there are, and how many of them hold something.
    fn space(&self) -> (u64, u64) {
        let layout = &self.pool.layout;
        let used = self.pool.dir(self.pool.root).map_or(0, |root| unsigned(root.used.used));
        match self.vdev {
            None => (unsigned(layout.usable()), used),
            Some(top) if self.is_top => (top.deflated_space(), layout.share(top, used)),
            Some(_) => (0, 0),
        }
    }

    /// `vdev_name`
    fn name(&self, vdev: Option<&Vdev>) -> String {
        let Some(vdev) = vdev else { return self.pool_name.to_owned() };
        let siblings = self.pool.layout.parent_of(vdev.guid);
        let siblings = siblings.map_or(&self.pool.layout.tops, |parent| &parent.children);
        let id = siblings.iter().position(|sibling| sibling.guid == vdev.guid).unwrap_or(0);
        match vdev.kind {
            Kind::Raidz | Kind::Draid => vdev.label_name(id),
            _ if vdev.path.is_some() => vdev.label_name(id),
            kind => format!("{}-{id}", kind.name()),
        }
    }
}
