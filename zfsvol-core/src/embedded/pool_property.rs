//! Properties of pools: OpenZFS 2.3 `module/zfs/spa.c` (spa_prop_validate, spa_prop_set, spa_sync_props, spa_prop_get).

use super::dispatch::unpack;
use super::engine::{Pool, PropValue, Result, State};
use super::feature::Feature;
use super::list::to_value;
use super::property::{NAME_BYTES, VALUE_BYTES, is_user};
use crate::kernel::{Cmd, Errno, ModuleVersion};
use crate::nvlist::{NvList, Value};
use crate::property::{PropertyInfo, PropertyScope};

/// Longest comment (`ZPROP_MAX_COMMENT`).
const COMMENT_BYTES_MAX: usize = 32;
/// The last `failmode`, `panic` (`ZIO_FAILURE_MODE_PANIC`).
const FAILMODE_MAX: u64 = 2;
/// The release that brought user properties of pools.
const USER_SINCE: (u32, u32) = (2, 2);
/// Which dataset is booted from: kept by its number, told by its name.
const BOOTFS: &str = "bootfs";
/// `ZPROP_SRC_DEFAULT`, `ZPROP_SRC_LOCAL`.
const SOURCE_DEFAULT: u64 = 2;
const SOURCE_LOCAL: u64 = 8;
/// What is not kept in the pool.
const NOT_KEPT: [&str; 4] = ["altroot", "cachefile", "readonly", "version"];

/// `zfs_ioc_pool_set_props`.
pub(super) fn set(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    if cmd.input.as_ref().is_none_or(Vec::is_empty) {
        return Err(Errno::EINVAL);
    }
    let properties = unpack(cmd.input.as_deref())?;
    set_properties(state.pool_mut(&cmd.name)?, &properties)
}

/// `spa_prop_set`.
///
/// # Errors
/// As `spa_prop_validate` has them; nothing is set then.
pub(super) fn set_properties(pool: &mut Pool, properties: &NvList) -> Result<()> {
    let release = pool.env.release;
    for (name, value) in properties.iter() {
        check(name, value, release)?;
        match (name, value) {
            // A pool with features has the last version there is.
            ("version", _) => return Err(Errno::EINVAL),
            (BOOTFS, Value::String(dataset)) if !dataset.is_empty() => {
                check_bootfs(pool, &dataset.to_string_lossy())?;
            }
            _ => {}
        }
    }
    pool.begin();
    for (name, value) in properties.iter() {
        if let Some(feature) = name.strip_prefix("feature@") {
            if let Some(feature) = Feature::find(feature, release) {
                pool.features.enable(feature, release);
            }
            continue;
        }
        if !NOT_KEPT.contains(&name) {
            keep(pool, name, value);
        }
        pool.log_internal("set", None, format!("{name}={}", shown(value)));
    }
    Ok(())
}

/// A value as the history has it.
fn shown(value: &Value) -> String {
    match value {
        Value::Uint64(number) => number.to_string(),
        Value::String(text) => text.to_string_lossy().into_owned(),
        _ => String::new(),
    }
}

/// What a pool is created with: `spa_create` checks it as it is checked later.
///
/// # Errors
/// As `spa_prop_validate` has them; `ENOTSUP` for what only a pool that is there can have.
pub(super) fn check_new(properties: &NvList, release: (u32, u32)) -> Result<()> {
    properties.iter().try_for_each(|(name, value)| match name {
        BOOTFS => Err(Errno::ENOTSUP),
        _ => check(name, value, release),
    })
}

/// Gives a new pool its properties.
pub(super) fn keep_new(pool: &mut Pool, properties: &NvList) {
    properties.iter().for_each(|(name, value)| keep(pool, name, value));
}

/// Adds those that are set to an answer, over what the pool says of itself.
pub(super) fn put_kept(pool: &Pool, output: &mut NvList) {
    for (name, value) in &pool.props {
        let source = match value {
            PropValue::Number(number) if default_of(name) == Some(*number) => SOURCE_DEFAULT,
            _ => SOURCE_LOCAL,
        };
        let value = match value {
            PropValue::Number(id) if name == BOOTFS => match pool.name(*id) {
                Ok(name) => Value::from(name),
                Err(_) => continue,
            },
            value => to_value(value),
        };
        put(output, name, source, value);
    }
    if let Some(altroot) = &pool.import.altroot {
        put(output, "altroot", SOURCE_LOCAL, altroot.as_str().into());
    }
}

fn put(output: &mut NvList, name: &str, source: u64, value: Value) {
    let mut pair = NvList::new();
    pair.insert("source", source).insert("value", value);
    output.insert(name, pair);
}

fn default_of(name: &str) -> Option<u64> {
    let info = PropertyInfo::find(PropertyScope::Pool, name)?;
    info.default_value(&ModuleVersion::parse("2.3")?)?.as_number()
}

/// One property, whatever the pool. Those that say how the pool is are let through, as the module does: libzfs refuses them.
fn check(name: &str, value: &Value, release: (u32, u32)) -> Result<()> {
    if let Some(feature) = name.strip_prefix("feature@") {
        let is_right = *value == Value::Uint64(0) && Feature::find(feature, release).is_some();
        return if is_right { Ok(()) } else { Err(Errno::EINVAL) };
    }
    let number = || match value {
        Value::Uint64(number) => Ok(*number),
        _ => Err(Errno::EINVAL),
    };
    let text = || match value {
        Value::String(text) => Ok(text.to_string_lossy()),
        _ => Err(Errno::EINVAL),
    };
    if is_user(name) && release >= USER_SINCE {
        return match text()? {
            _ if name.len() >= NAME_BYTES => Err(Errno::ENAMETOOLONG),
            text if text.len() >= VALUE_BYTES => Err(Errno::E2BIG),
            _ => Ok(()),
        };
    }
    PropertyInfo::find(PropertyScope::Pool, name)
        .filter(|info| info.since.is_none_or(|since| since <= release))
        .ok_or(Errno::EINVAL)?;
    let is_right = match name {
        "autoexpand" | "autoreplace" | "autotrim" | "delegation" | "listsnapshots"
        | "multihost" => number()? <= 1,
        "failmode" => number()? <= FAILMODE_MAX,
        "dedup_table_quota" | "version" => number().is_ok(),
        "bootfs" => text().is_ok(),
        "cachefile" => is_cachefile(&text()?),
        "comment" => match text()? {
            text if text.len() > COMMENT_BYTES_MAX => return Err(Errno::E2BIG),
            text => text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        },
        _ => true,
    };
    if is_right { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Only from a file system can be booted.
fn check_bootfs(pool: &Pool, dataset: &str) -> Result<()> {
    let id = pool.hold(dataset)?;
    let dataset = pool.dataset(id)?;
    if !pool.is_key_loaded(dataset.dir)? {
        return Err(Errno::EACCES);
    }
    if dataset.content.is_filesystem() { Ok(()) } else { Err(Errno::ENOTSUP) }
}

fn is_cachefile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path.is_empty() || path == "none" || (path.starts_with('/') && !matches!(name, "" | "." | ".."))
}

/// `spa_sync_props`: an empty text takes a property away, but for the comment.
fn keep(pool: &mut Pool, name: &str, value: &Value) {
    let value = match value {
        _ if name.starts_with("feature@") => return,
        Value::Uint64(number) => PropValue::Number(*number),
        Value::String(text) if text.is_empty() && name != "comment" => {
            pool.props.remove(name);
            return;
        }
        Value::String(text) if name == BOOTFS => match pool.hold(&text.to_string_lossy()) {
            Ok(id) => PropValue::Number(id),
            Err(_) => return,
        },
        Value::String(text) => PropValue::Text(text.to_string_lossy().into()),
        _ => return,
    };
    pool.props.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_checked_as_the_module_does() {
        let verdict = |name: &str, value: Value| check(name, &value, (2, 3));
        assert_eq!(verdict("comment", "c".repeat(33).into()), Err(Errno::E2BIG));
        assert_eq!(verdict("comment", "a\nb".into()), Err(Errno::EINVAL));
        assert_eq!(verdict("autotrim", Value::Uint64(2)), Err(Errno::EINVAL));
        assert_eq!(verdict("size", Value::Uint64(2)), Ok(()));
        assert_eq!(verdict("test:a", "b".into()), Ok(()));
        assert_eq!(check("test:a", &"b".into(), (2, 1)), Err(Errno::EINVAL));
        assert_eq!(verdict("cachefile", "/etc/..".into()), Err(Errno::EINVAL));
        assert_eq!(verdict("cachefile", "/etc/cache".into()), Ok(()));
    }
}
