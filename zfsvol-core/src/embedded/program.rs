//! Channel programs: the library's own, recognised by their text and carried out natively.

use super::engine::{Pool, Result, State, Tx};
use super::unsupported::OTHER_PROGRAMS;
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};
use crate::zfs::canned;

/// The limits a program can ask for (`zfs_lua_max_instrlimit`, `zfs_lua_max_memlimit`).
const INSTRUCTIONS_MAX: u64 = 100_000_000;
const MEMORY_MAX: u64 = 100 << 20;
/// What it gets where it does not ask.
const INSTRUCTIONS_DEFAULT: u64 = 10_000_000;
const MEMORY_DEFAULT: u64 = 10 << 20;

/// `zfs_ioc_channel_program`.
pub(super) fn run(
    state: &mut State,
    pool: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let instructions = input.get_u64("instrlimit").unwrap_or(INSTRUCTIONS_DEFAULT);
    let memory = input.get_u64("memlimit").unwrap_or(MEMORY_DEFAULT);
    if instructions == 0 || instructions > INSTRUCTIONS_MAX {
        return Err(Errno::EINVAL);
    }
    if memory == 0 || memory > MEMORY_MAX {
        return Err(Errno::EINVAL);
    }
    let arguments = input.get_list("arg").cloned().unwrap_or_default();
    let pool = state.pool_mut(pool)?;
    let returned = match input.get_str("program") {
        Some(canned::DESTROY_TREE) => destroy_tree(pool, &arguments)?,
        Some(canned::LIST_CHILDREN) => list_children(pool, &arguments)?,
        _ => {
            output.insert("error", OTHER_PROGRAMS.reason);
            return Err(OTHER_PROGRAMS.errno);
        }
    };
    output.insert("return", returned);
    Ok(())
}

/// Destroys what it can of these names, again and again until nothing more goes, and returns what is left with its errno.
fn destroy_tree(pool: &mut Pool, arguments: &NvList) -> Result<NvList> {
    let names = arguments.get_strs("names").unwrap_or_default();
    let mut left: Vec<&str> = names.iter().filter_map(|name| name.as_str()).collect();
    let tx = pool.begin();
    loop {
        let before = left.len();
        let mut failed = NvList::new();
        let mut again = Vec::new();
        for name in left {
            match destroy(pool, name, tx) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => {
                    again.push(name);
                    failed.insert(name, i64::from(errno.0));
                }
            }
        }
        left = again;
        if left.is_empty() || left.len() == before {
            return Ok(failed);
        }
    }
}

/// `zfs.sync.destroy`.
fn destroy(pool: &mut Pool, name: &str, tx: Tx) -> Result<()> {
    let id = pool.hold(name)?;
    if pool.dataset(id)?.is_snapshot() {
        pool.check_destroy_snapshot(id, false)?;
        pool.destroy_snapshot(id, false, tx)
    } else {
        pool.check_destroy_head(id)?;
        pool.destroy_head(id, tx)
    }
}

/// The last components of the names below each parent; `false` for one that has more than is asked for.
fn list_children(pool: &Pool, arguments: &NvList) -> Result<NvList> {
    let parents = arguments.get_strs("parents").unwrap_or_default();
    let most = |name| arguments.get_i64(name).and_then(|n| usize::try_from(n).ok());
    let (wide, total) = (most("wide").unwrap_or(0), most("most").unwrap_or(0));
    let mut found = NvList::new();
    let mut seen = 0_usize;
    for parent in parents.iter().filter_map(|name| name.as_str()) {
        let id = pool.hold(parent)?;
        let mut names = NvList::new();
        let mut count = 0;
        for child in pool.dir_of(id)?.children_after(0) {
            let child = pool.dir(child)?;
            if child.name.contains(['$', '%']) {
                continue;
            }
            count += 1;
            if count > wide {
                break;
            }
            names.insert(&*child.name, true);
        }
        found.insert(
            parent,
            if count > wide { Value::BooleanValue(false) } else { Value::NvList(names) },
        );
        seen = seen.saturating_add(count);
        if seen >= total {
            break;
        }
    }
    Ok(found)
}
