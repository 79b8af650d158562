//! What is below a dataset: by a channel program, which looks at the parent alone, or by the ioctl anybody may issue.

use std::collections::BTreeMap;

use super::super::Zfs;
use super::super::call::{Operation, REPLY_BYTES_FIRST};
use super::super::canned;
use super::super::program::Program;
use super::fetch::{Context, Node};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::PoolName;
use crate::nvlist::{NvList, Value};

const NEXT: Operation = Operation::new(Ioc::DATASET_LIST_NEXT, "list what is below");

/// Most names below one parent that a program looks for, and about how many it brings at once. While a program runs the pool cannot finish a
/// transaction group, and it cannot go on later where it stopped; so it runs for some ten milliseconds at most. A wider parent is left to the ioctl.
const PROGRAM_NAMES_MAX: i64 = 512;

/// Most parents for one program, so that what is passed to it stays small.
const PROGRAM_PARENTS_MAX: usize = 256;

/// The names below each parent, as far as a program says: absent are those with too many, and all once programs turn out not to work.
pub(super) enum Below {
    /// By parent. A parent that is not there has too many.
    Known(BTreeMap<String, Vec<String>>),
    /// The caller may not run programs.
    Denied,
}

impl Zfs {
    /// The names one level below each of `parents`, all of one pool, by channel programs.
    pub(super) fn children_by_program(&self, parents: &[String]) -> Below {
        let mut found = BTreeMap::new();
        let mut rest: Vec<&String> = parents.iter().collect();
        while let Some(pool) = rest.first().and_then(|name| pool_of(name)) {
            let batch = rest.get(..PROGRAM_PARENTS_MAX).unwrap_or(&rest);
            let reply = match self.channel_program_nosync(&pool, &program(batch)) {
                Ok(Some(Value::NvList(reply))) => reply,
                Err(error) if denied(error.kind()) => return Below::Denied,
                // A parent that was destroyed fails the whole program; the ioctl sorts it out.
                Ok(_) | Err(_) => return Below::Known(found),
            };
            let before = rest.len();
            rest.retain(|parent| match reply.get(parent) {
                Some(Value::NvList(names)) => {
                    let names = names.iter().map(|(last, _)| format!("{parent}/{last}"));
                    found.insert((*parent).clone(), names.collect());
                    false
                }
                Some(_) => false,
                None => true,
            });
            // It answers for one parent at least; a kernel that does not is not asked forever.
            if rest.len() == before {
                break;
            }
        }
        Below::Known(found)
    }

    /// The datasets one level below `parent`, by the ioctl; with what it says of each, if that is wanted.
    pub(super) fn children_by_ioctl(&self, context: &Context, parent: &str) -> Result<Vec<Node>> {
        let mut found = Vec::new();
        let mut cookie = 0;
        loop {
            let mut cmd = Cmd::new(parent);
            cmd.cookie = cookie;
            cmd.simple = !context.wants_stats();
            cmd.reply_max = if cmd.simple { 0 } else { REPLY_BYTES_FIRST };
            let reply = match self.call_cmd(NEXT, &mut cmd) {
                Ok(reply) => reply,
                // The end of the list, or the parent is gone.
                Err(error) if error.errno() == Some(Errno::ESRCH) => return Ok(found),
                Err(error) => return Err(error.into_error(self)),
            };
            cookie = cmd.cookie;
            let mut node = Node::new(cmd.name);
            if !cmd.simple {
                node.set_stats(context, &cmd.objset_stats, &reply);
            }
            found.push(node);
        }
    }
}

fn program(parents: &[&String]) -> Program {
    let parents: Vec<String> = parents.iter().map(|name| (*name).clone()).collect();
    let mut arguments = NvList::new();
    arguments
        .insert("parents", parents)
        .insert("wide", PROGRAM_NAMES_MAX)
        .insert("most", PROGRAM_NAMES_MAX);
    Program::new(canned::LIST_CHILDREN).arguments(arguments)
}

/// Whether programs are not for this caller, or not behind this door.
fn denied(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Denied | ErrorKind::ReadOnly | ErrorKind::Unsupported | ErrorKind::NoModule
    )
}

fn pool_of(name: &str) -> Option<PoolName> {
    name.split('/').next()?.parse().ok()
}
