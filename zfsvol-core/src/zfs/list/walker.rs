//! The walk: depth first, in the order of names, asking a little ahead and from several threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::super::Zfs;
use super::super::call::Operation;
use super::List;
use super::children::Below;
use super::fetch::{Context, Found, Node};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Errno, Ioc};
use crate::name::{DatasetName, PoolName};

const ROOT: Operation = Operation::new(Ioc::OBJSET_STATS, "list");

/// How many siblings are asked about ahead of the iterator: enough to keep a few threads busy, and to make one channel program of many questions.
const AHEAD: usize = 64;

/// Below this many there is no gain in starting threads.
const THREADED_FROM: usize = 8;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Walker {
    context: Context,
    threads: usize,
    /// Whether the caller may run channel programs, as far as it turned out.
    programs: bool,
    /// `None` until the first item is asked for.
    roots: Option<VecDeque<DatasetName>>,
    /// The roots listed so far, the present one last.
    done: Vec<DatasetName>,
    /// From the present root to where the walk is: at each level what is still to come.
    levels: Vec<VecDeque<Node>>,
    ready: VecDeque<Found>,
    ended: bool,
}

impl Walker {
    pub(super) fn new(zfs: &Zfs, list: &List, details: bool) -> Self {
        Self {
            context: Context::new(zfs, list, details),
            threads: list.thread_count(),
            programs: true,
            roots: None,
            done: Vec::new(),
            levels: Vec::new(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    pub(super) fn next(&mut self) -> Option<Result<Found>> {
        if self.ended {
            return None;
        }
        let result = self.step().transpose();
        self.ended = !matches!(result, Some(Ok(_)));
        result
    }

    fn step(&mut self) -> Result<Option<Found>> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Ok(Some(found));
            }
            let Some(level) = self.levels.last_mut() else {
                if !self.next_root()? {
                    return Ok(None);
                }
                continue;
            };
            if level.is_empty() {
                self.levels.pop();
                continue;
            }
            self.look_ahead()?;
            let Some(mut node) = self.levels.last_mut().and_then(VecDeque::pop_front) else {
                continue;
            };
            let covered = self.is_covered(&node.name);
            self.ready.extend(node.take_found(&self.context, covered)?);
            if let Some(below) = node.below {
                self.levels.push(below.into());
            }
        }
    }

    /// Begins with the next root. `false` when there is none.
    fn next_root(&mut self) -> Result<bool> {
        let roots = match &mut self.roots {
            Some(roots) => roots,
            None => {
                let roots = match &self.context.list.roots {
                    Some(roots) => roots.clone(),
                    None => {
                        let mut pools = self.context.zfs.pool_names()?;
                        pools.sort();
                        pools.iter().map(PoolName::root).collect()
                    }
                };
                self.context.prepare(&roots)?;
                self.roots.insert(roots.into())
            }
        };
        let Some(root) = roots.pop_front() else { return Ok(false) };
        let mut node = Node::new(root.as_str().to_owned());
        node.ask(&self.context)?;
        // Where nothing was asked of it, nothing said that it is not there.
        let missing =
            node.gone || (!self.context.wants_stats() && !self.context.zfs.exists(&root)?);
        if missing {
            // A pool that was exported meanwhile is no error; a root that was named is.
            return match &self.context.list.roots {
                None => Ok(true),
                Some(_) => Err(ROOT
                    .error(ErrorKind::NotFound, root.as_str(), Errno::ENOENT.reason())
                    .with_errno(Errno::ENOENT)),
            };
        }
        self.done.push(root);
        self.levels.push(VecDeque::from([node]));
        Ok(true)
    }

    /// Whether an earlier root listed it already.
    fn is_covered(&self, name: &str) -> bool {
        let Some((_, earlier)) = self.done.split_last() else { return false };
        earlier.iter().any(|root| {
            let below = name.strip_prefix(root.as_str());
            below.is_some_and(|rest| {
                (rest.is_empty() || rest.starts_with('/'))
                    && self.context.list.depth.is_none_or(|most| rest.matches('/').count() <= most)
            })
        })
    }

    /// Whether what is below this level is still wanted.
    fn goes_deeper(&self) -> bool {
        self.context.list.depth.is_none_or(|most| self.levels.len() <= most)
    }

    /// Asks what is needed about the next siblings, unless that is done.
    fn look_ahead(&mut self) -> Result<()> {
        let deeper = self.goes_deeper();
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        if level.front().is_none_or(|node| node.is_ready(deeper)) {
            return Ok(());
        }
        let mut nodes: Vec<Node> = level.drain(..level.len().min(AHEAD)).collect();
        let context = &self.context;
        each(&mut nodes, self.threads, |node| node.ask(context))?;
        nodes.retain(|node| !node.gone);
        if deeper {
            self.ask_below(&mut nodes)?;
        }
        if let Some(level) = self.levels.last_mut() {
            for node in nodes.into_iter().rev() {
                level.push_front(node);
            }
        }
        Ok(())
    }

    fn ask_below(&mut self, nodes: &mut [Node]) -> Result<()> {
        if self.programs {
            let parents: Vec<String> = nodes
                .iter()
                .filter(|node| node.may_have_children)
                .map(|node| node.name.clone())
                .collect();
            match self.context.zfs.children_by_program(&parents) {
                Below::Denied => self.programs = false,
                Below::Known(mut found) => {
                    for node in nodes.iter_mut() {
                        let names = found.remove(&node.name);
                        node.below = names.map(|names| names.into_iter().map(Node::new).collect());
                    }
                }
            }
        }
        let context = &self.context;
        each(nodes, self.threads, |node| {
            if node.below.is_none() {
                node.below = Some(match node.may_have_children {
                    true => context.zfs.children_by_ioctl(context, &node.name)?,
                    false => Vec::new(),
                });
            }
            if let Some(below) = &mut node.below {
                below.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            }
            Ok(())
        })
    }
}

impl Node {
    fn is_ready(&self, deeper: bool) -> bool {
        self.was_asked() && (!deeper || self.below.is_some())
    }
}

/// Does `job` to each node, from several threads if that is worth it. The first error in the order of the nodes.
fn each(
    nodes: &mut [Node],
    threads: usize,
    job: impl Fn(&mut Node) -> Result<()> + Sync,
) -> Result<()> {
    if threads < 2 || nodes.len() < THREADED_FROM {
        return nodes.iter_mut().try_for_each(job);
    }
    let next = AtomicUsize::new(0);
    let slots: Vec<Mutex<&mut Node>> = nodes.iter_mut().map(Mutex::new).collect();
    let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = slots.get(index) else { return };
            let result = job(&mut slot.lock().unwrap_or_else(PoisonError::into_inner));
            if let Err(error) = result {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                    *failed = Some((index, error));
                }
                // No use in asking about the rest.
                next.store(slots.len(), Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(slots.len()) {
            // A thread that cannot be started leaves its work to the others.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}
