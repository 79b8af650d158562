//! Properties that come with a stream, or are set on what is received: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_recv_impl.

use super::begin::Target;
use super::handler::{Answer, Request};
use crate::embedded::engine::{PropSource, Props, Result, State};
use crate::embedded::property::{self, is_user};
use crate::nvlist::{NvList, Value};
use crate::property::{PropertyInfo, PropertyScope};

/// Properties that are set when everything has come: `extract_delay_props`.
const DELAYED: [&str; 2] = ["refquota", "keylocation"];

/// `ZPROP_ERR_NOCLEAR`: what was received before could not be cleared.
const NOT_CLEARED: u64 = 1;

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

/// The properties of a dataset that is received into, should they have to be put back.
pub(super) struct Before {
    props: Props,
    /// Properties are received for the first time.
    is_first: bool,
}

/// Remembers them; nothing for a new dataset.
pub(super) fn before(
    state: &State,
    request: &Request<'_>,
    target: &Target,
    received: Option<&NvList>,
) -> Option<Before> {
    if target.is_new {
        return None;
    }
    let (pool, id) = state.hold(request.dataset).ok()?;
    let is_first = received.is_some() && !pool.has_received(id).ok()?;
    Some(Before { props: pool.dir_of(id).ok()?.props.clone(), is_first })
}

/// Puts properties back.
///
/// The first time that properties are received the module takes the local ones for received and puts those back; what was set besides stays.
pub(super) fn restore(state: &mut State, request: &Request<'_>, before: Option<Before>) {
    let Some(Before { mut props, is_first }) = before else { return };
    // Nothing can be done about it where that fails.
    let _ = (|| -> Result<()> {
        let pool = state.pool_mut(request.dataset)?;
        let id = pool.hold(request.dataset)?;
        let dir = pool.dataset(id)?.dir;
        if is_first {
            for (name, slot) in pool.dir(dir)?.props.iter() {
                if props.slot(name).is_none_or(|before| before.local.is_none()) {
                    props.set(name, PropSource::Local, slot.local.clone());
                }
            }
        }
        pool.dir_mut(dir)?.props = props;
        pool.refresh_numbers(id)
    })();
}

/// Sets what comes with the stream and what the request says, but for what has to wait; the answer has what could not be set.
pub(super) fn set(
    state: &mut State,
    request: &Request<'_>,
    target: &Target,
    received: Option<&NvList>,
    local: Option<&NvList>,
    answer: &mut Answer,
) -> Delayed {
    let mut delayed = Delayed::default();
    let dataset = request.dataset;
    let Ok(pool) = state.pool_mut(dataset) else { return delayed };
    if let Some(received) = received {
        let mut list = received.clone();
        if property::begin_received(pool, dataset, &list, target.is_new).is_err() {
            answer.error_flags |= NOT_CLEARED;
        }
        delayed.take(PropSource::Received, &mut list);
        let errors = Some(&mut answer.errors);
        let _ = property::set_list(pool, dataset, PropSource::Received, &list, errors);
    }
    let Some(local) = local else { return delayed };
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
    delayed
}

fn can_be_inherited(name: &str) -> bool {
    match PropertyInfo::find(PropertyScope::Dataset, name) {
        Some(info) => info.access.is_inheritable(),
        None => is_user(name),
    }
}
