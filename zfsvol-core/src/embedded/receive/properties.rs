//! Properties that come with a stream, or are set on what is received: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_recv_impl.

use super::begin::Target;
use super::handler::{Answer, Request};
use crate::embedded::engine::{Pool, PropSource, Result, Slot, State};
use crate::embedded::list::to_value;
use crate::embedded::property::{self, is_user};
use crate::nvlist::{NvList, Value};
use crate::property::{PropertyInfo, PropertyScope};

/// Properties that are set when everything has come: `extract_delay_props`.
const DELAYED: [&str; 2] = ["refquota", "keylocation"];

/// `ZPROP_ERR_NOCLEAR`: what was received before could not be cleared.
const NOT_CLEARED: u64 = 1;
/// `ZPROP_ERR_NORESTORE`: what was there before could not be put back.
const NOT_RESTORED: u64 = 2;

/// What is still to be set.
#[derive(Default)]
pub(super) struct Delayed(Vec<(PropSource, NvList)>);

impl Delayed {
    /// Sets it, now that everything has come.
    pub(super) fn set(self, state: &mut State, request: &Request<'_>, answer: &mut Answer) {
        let Ok(pool) = state.pool_mut(request.dataset) else { return };
        for (source, list) in self.0 {
            // What could not be set is in the answer.
            let errors = Some(&mut answer.errors);
            let _ = property::set_list(pool, request.dataset, source, &list, errors);
        }
    }

    /// Takes what is to be set later out of a list.
    fn take(&mut self, source: PropSource, list: &mut NvList) {
        let mut later = NvList::new();
        for name in DELAYED {
            if let Some(value) = list.remove(name) {
                later.insert(name, value);
            }
        }
        if !later.is_empty() {
            self.0.push((source, later));
        }
    }
}

/// What is to be put back should the receive fail. It is put back as the module does it, property by property, and so is not always what it was.
#[derive(Default)]
pub(super) struct Undo {
    received: Option<Received>,
    /// To be set again, and to be inherited again.
    local: Option<(NvList, NvList)>,
}

struct Received {
    /// What came, and is another value than before.
    set: NvList,
    before: NvList,
    is_first: bool,
}

impl Undo {
    /// Puts properties back.
    pub(super) fn put_back(self, state: &mut State, request: &Request<'_>, answer: &mut Answer) {
        let name = request.dataset;
        let Ok(pool) = state.pool_mut(name) else { return };
        let mut outcomes = Vec::new();
        if let Some(Received { set, before, is_first }) = self.received {
            let forgotten = property::forget_received(pool, name, &set);
            if let (Ok(()), true, Ok(id)) = (forgotten, is_first, pool.hold(name)) {
                if let Ok(props) = property::own_props_mut(pool, id) {
                    props.has_received = false;
                }
            }
            let source = if is_first { PropSource::Local } else { PropSource::Received };
            outcomes.extend([forgotten, property::set_list(pool, name, source, &before, None)]);
        }
        if let Some((set, inherited)) = self.local {
            for (source, list) in [(PropSource::Local, set), (PropSource::Inherited, inherited)] {
                outcomes.push(property::set_list(pool, name, source, &list, None));
            }
        }
        if outcomes.iter().any(Result::is_err) {
            answer.error_flags |= NOT_RESTORED;
        }
    }
}

/// Sets what comes with the stream and what the request says, but for what has to wait; the answer has what could not be set.
pub(super) fn set(
    state: &mut State,
    request: &Request<'_>,
    target: &Target,
    received: Option<&NvList>,
    local: Option<&NvList>,
    answer: &mut Answer,
) -> (Delayed, Undo) {
    let (mut delayed, mut undo) = (Delayed::default(), Undo::default());
    let dataset = request.dataset;
    let Ok(pool) = state.pool_mut(dataset) else { return (delayed, undo) };
    let mut list = received.cloned().unwrap_or_default();
    if received.is_some() {
        match begin(pool, dataset, target.is_new, &mut list) {
            Ok(begun) => undo.received = begun,
            Err(_) => answer.error_flags |= NOT_CLEARED,
        }
    }
    let is_first = undo.received.as_ref().is_some_and(|received| received.is_first);
    if let (Some(local), false, false) = (local, target.is_new, is_first) {
        undo.local = own_before(pool, dataset, local).ok();
    }
    delayed.take(PropSource::Received, &mut list);
    if let Some(received) = &mut undo.received {
        received.set.clone_from(&list);
    }
    let errors = Some(&mut answer.errors);
    let _ = property::set_list(pool, dataset, PropSource::Received, &list, errors);
    let Some(local) = local else { return (delayed, undo) };
    let (mut own, mut excluded) = (NvList::new(), NvList::new());
    for (name, value) in local.iter() {
        match value {
            Value::Boolean if can_be_inherited(name) => {
                excluded.insert_flag(name);
            }
            Value::Boolean => {}
            value => {
                own.insert(name, value.clone());
            }
        }
    }
    for (source, mut list) in [(PropSource::Local, own), (PropSource::Inherited, excluded)] {
        delayed.take(source, &mut list);
        let errors = Some(&mut answer.errors);
        let _ = property::set_list(pool, dataset, source, &list, errors);
    }
    (delayed, undo)
}

/// Makes room for what is received. What was received with the same value before is taken out of the list (`props_reduce`). The first time all that is
/// local goes, also what is received itself.
fn begin(
    pool: &mut Pool,
    dataset: &str,
    is_new: bool,
    list: &mut NvList,
) -> Result<Option<Received>> {
    let id = pool.hold(dataset)?;
    if is_new {
        property::note_received(pool, id)?;
        return Ok(None);
    }
    let is_first = !pool.has_received(id)?;
    let kept = if is_first { &NvList::new() } else { &*list };
    let mut before = property::begin_received(pool, dataset, kept)?;
    if !is_first {
        let is_same = |(name, value)| before.get(name) == property::value_of(value).ok();
        let same: Vec<String> =
            list.iter().filter(|pair| is_same(*pair)).map(|(name, _)| name.to_owned()).collect();
        for name in same {
            before.remove(&name);
            list.remove(&name);
        }
    }
    Ok(Some(Received { set: NvList::new(), before, is_first }))
}

/// What a dataset has of its own of these properties, and the names of those that it has not; received ones are neither.
fn own_before(pool: &Pool, dataset: &str, these: &NvList) -> Result<(NvList, NvList)> {
    let props = property::own_props(pool, pool.hold(dataset)?)?;
    let (mut set, mut inherited) = (NvList::new(), NvList::new());
    for (name, _) in these.iter() {
        match props.slot(name).and_then(Slot::effective) {
            Some((value, false)) => {
                set.insert(name, to_value(value));
            }
            Some((_, true)) => {}
            None => {
                inherited.insert_flag(name);
            }
        }
    }
    Ok((set, inherited))
}

fn can_be_inherited(name: &str) -> bool {
    match PropertyInfo::find(PropertyScope::Dataset, name) {
        Some(info) => info.access.is_inheritable(),
        None => is_user(name),
    }
}
