//! What is below a dataset: by a channel program, which looks at the parent alone, or by the ioctl anybody may issue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::Zfs;
use super::super::call::Operation;
use super::super::canned;
use super::super::program::Program;
use super::fetch::{Context, Node};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Errno, Ioc};
use crate::name::PoolName;
use crate::nvlist::{NvList, Value};
use crate::units::Bytes;

const NEXT: Operation = Operation::new(Ioc::DATASET_LIST_NEXT, "list what is below");

/// How many names below one parent a program looks for at first, and about how many it brings at once.
const NAMES_FIRST: u32 = 256;

/// Most names a program ever looks for below one parent: what it returns then fits well into the memory it has.
const NAMES_MAX: u32 = 32_768;

/// How long a program may run, as far as can be told from how long the one before took. While it runs the pool cannot finish a transaction
/// group that changes datasets, and it cannot go on later where it stopped; so a parent that would take longer is left to the ioctl. Each name
/// costs the kernel an opening of the parent, unless that is mounted: then tens of thousands are found in this time.
const PROGRAM_TIME: Duration = Duration::from_millis(100);

/// How many times as many names as the first a second program must have time for: how wide a parent is is not known, and what a program does not
/// find to its end is lost.
const NAMES_MORE: u32 = 4;

/// Most parents for one program, so that what is passed to it stays small.
const PROGRAM_PARENTS_MAX: usize = 256;

/// Most bytes that a name takes in what a program returns, whatever comes with it: a pair of a list, whose key it is, or a list of such.
const NAME_BYTES: u64 = 384;

/// And what is around them.
const REPLY_BYTES: u64 = 4096;

/// The names below each parent, as far as programs say.
pub(super) enum Below {
    /// By parent. One that is not there has too many, or is gone.
    Known(BTreeMap<String, Vec<String>>),
    /// The caller may not run programs.
    Denied,
}

impl Zfs {
    /// The names one level below each of `parents`, all of one pool, by channel programs.
    pub(super) fn children_by_program(&self, parents: &[String]) -> Below {
        let mut found = BTreeMap::new();
        let mut rest: Vec<&String> = parents.iter().collect();
        while !rest.is_empty() {
            let batch = rest.get(..PROGRAM_PARENTS_MAX).unwrap_or(&rest);
            let answer = match self.ask_program(batch, NAMES_FIRST) {
                Ok(Some(answer)) => answer,
                Ok(None) => break,
                Err(Denied) => return Below::Denied,
            };
            // It answers for one parent at least; a kernel that does not is not asked forever.
            if answer.names.is_empty() && answer.too_wide.is_empty() {
                break;
            }
            rest.retain(|parent| {
                !answer.names.contains_key(*parent) && !answer.too_wide.contains(*parent)
            });
            let wide = answer.names_within(PROGRAM_TIME);
            if wide >= NAMES_MORE * NAMES_FIRST {
                for parent in &answer.too_wide {
                    if let Ok(Some(again)) = self.ask_program(&[parent], wide) {
                        found.extend(again.names);
                    }
                }
            }
            found.extend(answer.names);
        }
        Below::Known(found)
    }

    /// Has one program look below these parents, in turn, for at most `wide` names each. `None` when it fails: a parent that was destroyed
    /// fails the whole of it, and the ioctl sorts it out.
    fn ask_program(&self, parents: &[&String], wide: u32) -> Result<Option<Answer>, Denied> {
        let Some(pool) = parents.first().and_then(|name| pool_of(name)) else { return Ok(None) };
        let start = Instant::now();
        let reply = match self.channel_program_nosync(&pool, &program(parents, wide)) {
            Ok(Some(Value::NvList(reply))) => reply,
            Err(error) if denied(error.kind()) => return Err(Denied),
            Ok(_) | Err(_) => return Ok(None),
        };
        let mut answer = Answer { took: start.elapsed(), wide, ..Answer::default() };
        for &parent in parents {
            match reply.get(parent) {
                Some(Value::NvList(names)) => {
                    let names = names.iter().map(|(last, _)| format!("{parent}/{last}")).collect();
                    answer.names.insert(parent.clone(), names);
                }
                Some(_) => answer.too_wide.push(parent.clone()),
                None => {}
            }
        }
        Ok(Some(answer))
    }

    /// The datasets one level below `parent`, by the ioctl, with what it says of each: the kernel has opened it by then either way.
    pub(super) fn children_by_ioctl(&self, context: &Context, parent: &str) -> Result<Vec<Node>> {
        let mut found = Vec::new();
        let mut cookie = 0;
        loop {
            let mut cmd = context.request(parent);
            cmd.cookie = cookie;
            let reply = match self.call_cmd(NEXT, &mut cmd) {
                Ok(reply) => reply,
                // The end of the list, or the parent is gone.
                Err(error) if error.errno() == Some(Errno::ESRCH) => return Ok(found),
                Err(error) => return Err(error.into_error(self)),
            };
            cookie = cmd.cookie;
            let mut node = Node::new(cmd.name);
            node.set_stats(context, &cmd.objset_stats, &reply);
            found.push(node);
        }
    }
}

/// What one program found.
#[derive(Default)]
struct Answer {
    names: BTreeMap<String, Vec<String>>,
    /// Those with more names than it looked for.
    too_wide: Vec<String>,
    /// How many names it looked for below each.
    wide: u32,
    took: Duration,
}

impl Answer {
    /// How many names a program finds in that time, at the pace of this one.
    fn names_within(&self, time: Duration) -> u32 {
        let names: usize = self.names.values().map(|names| names.len() + 1).sum();
        let names = names + self.too_wide.len() * self.wide as usize;
        let budget = time.as_nanos().saturating_mul(names as u128) / self.took.as_nanos().max(1);
        u32::try_from(budget).map_or(NAMES_MAX, |names| names.min(NAMES_MAX))
    }
}

/// The caller may not run programs.
struct Denied;

fn program(parents: &[&String], wide: u32) -> Program {
    let names = u64::from(NAMES_FIRST + wide) + parents.len() as u64;
    let reply_max = Bytes::new(names.saturating_mul(NAME_BYTES) + REPLY_BYTES);
    let parents: Vec<String> = parents.iter().map(|name| (*name).clone()).collect();
    let mut arguments = NvList::new();
    arguments
        .insert("parents", parents)
        .insert("wide", i64::from(wide))
        .insert("most", i64::from(NAMES_FIRST));
    Program::new(canned::LIST_CHILDREN).arguments(arguments).reply_max(reply_max)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kernel::stub::{Stub, answer};

    /// A kernel whose programs find so many names below a parent, and take so long for all of them.
    fn wide_parent(names: u32, took: Duration) -> Arc<Stub> {
        Arc::new(Stub::new(move |_, cmd| {
            let arguments = NvList::from_bytes(cmd.input.as_deref().unwrap()).unwrap();
            let arguments = arguments.get_list("arg").unwrap();
            let wide = u32::try_from(arguments.get_i64("wide").unwrap()).unwrap();
            std::thread::sleep(took * names.min(wide) / names);
            let below: Value = match names <= wide {
                true => {
                    let names = (0..names).map(|name| (format!("d{name}"), Value::from(true)));
                    names.collect::<NvList>().into()
                }
                false => false.into(),
            };
            let found: NvList = [("tank/a", below)].into_iter().collect();
            answer(cmd, [("return", found)])
        }))
    }

    fn names_found(names: u32, took: Duration) -> (usize, usize) {
        let kernel = wide_parent(names, took);
        let zfs = Zfs::from_shared(kernel.clone());
        let Below::Known(found) = zfs.children_by_program(&["tank/a".into()]) else {
            panic!("programs may be run")
        };
        (found.values().map(Vec::len).sum(), kernel.calls().len())
    }

    #[test]
    fn a_wide_parent_is_left_to_the_ioctl_if_it_would_take_long() {
        assert_eq!(names_found(250, Duration::from_millis(1)), (250, 1));
        assert_eq!(names_found(5000, Duration::from_millis(20)), (5000, 2));
        // At the pace of the first ones, 100 ms are not enough for four times as many.
        assert_eq!(names_found(5120, Duration::from_secs(2)), (0, 1));
    }

    #[test]
    fn the_pace_of_a_program_says_how_many_names_the_next_can_find() {
        let parent = || ("tank/a".to_owned(), vec![String::new(); 99]);
        let answer = |found: usize, wide: usize, took: u64| Answer {
            names: std::iter::repeat_with(parent).take(found).collect(),
            too_wide: vec![String::new(); wide],
            wide: 512,
            took: Duration::from_millis(took),
        };
        let within = |answer: &Answer| answer.names_within(Duration::from_millis(100));
        assert_eq!(within(&answer(0, 1, 10)), 5120);
        assert_eq!(within(&answer(1, 1, 50)), 2 * (512 + 100));
        assert_eq!(within(&answer(0, 1, 200)), 256);
        assert_eq!(within(&answer(0, 1, 0)), NAMES_MAX);
    }
}
