//! Events of pools: OpenZFS 2.3 `module/zfs/fm.c` (zfs_zevent_next and its like).

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use super::Shared;
use super::dispatch::put;
use super::engine::{Result, State};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// Most events that are kept (`zfs_zevent_len_max`).
const KEPT_MAX: usize = 512;
/// `ZEVENT_NONBLOCK`
const NONBLOCK: u64 = 1;
/// `ZEVENT_SEEK_START` and `ZEVENT_SEEK_END`.
const SEEK_START: u64 = 0;
const SEEK_END: u64 = u64::MAX;
/// How often one who waits looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What every class begins with (`FM_RSRC_CLASS` of the module's own events).
const CLASS_PREFIX: &str = "sysevent.fs.zfs.";
/// `POOL_STATE_ACTIVE`, and the kernel as the source (`FM_EREPORT_PAYLOAD_ZFS_POOL_CONTEXT`).
const STATE_ACTIVE: u64 = 0;
const CONTEXT_NONE: i32 = 0;

/// What happened lately.
#[derive(Debug, Default)]
pub(super) struct Events {
    kept: VecDeque<(u64, NvList)>,
    /// The number of the newest.
    newest: u64,
}

/// Where one handle is among them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The number of the last event seen; 0 for none.
    seen: u64,
}

impl State {
    /// Tells of something that happened to a pool.
    pub(super) fn post_event(&mut self, class: &str, pool: &str, guid: u64) {
        let now = self.env.now();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let events = &mut self.events;
        events.newest = events.newest.saturating_add(1);
        let mut event = NvList::new();
        event
            .insert("class", format!("{CLASS_PREFIX}{class}"))
            .insert("version", 0_u8)
            .insert("pool", pool)
            .insert("pool_guid", guid)
            .insert("pool_state", STATE_ACTIVE)
            .insert("pool_context", CONTEXT_NONE)
            .insert("time", vec![seconds, i64::from(now.subsec_nanos())])
            .insert("eid", events.newest);
        if events.kept.len() >= KEPT_MAX {
            events.kept.pop_front();
        }
        events.kept.push_back((events.newest, event));
    }
}

/// `zfs_ioc_events_next`: the event after the last that the handle saw, and how many it missed.
pub(super) fn next(shared: &Shared, cmd: &mut Cmd) -> Result<()> {
    loop {
        match poll(&mut shared.write(), cmd) {
            Err(Errno::ENOENT) if cmd.guid & NONBLOCK == 0 => {}
            outcome => return outcome,
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn poll(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let place = state.handles.place(cmd.cleanup_fd).ok_or(Errno::EBADF)?;
    let seen = place.seen;
    // They are in the order of their numbers.
    let first = state.events.kept.partition_point(|(eid, _)| *eid <= seen);
    let (eid, event) = state.events.kept.get(first).ok_or(Errno::ENOENT)?;
    // One that does not fit is not seen.
    put(cmd, event)?;
    cmd.cookie = if seen == 0 { 0 } else { eid.saturating_sub(seen).saturating_sub(1) };
    place.seen = *eid;
    Ok(())
}

/// `zfs_ioc_events_seek`.
pub(super) fn seek(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let place = state.handles.place(cmd.cleanup_fd).ok_or(Errno::EBADF)?;
    place.seen = match cmd.guid {
        SEEK_START => 0,
        SEEK_END => state.events.newest,
        eid if state.events.kept.iter().any(|(kept, _)| *kept == eid) => eid,
        _ => return Err(Errno::ENOENT),
    };
    Ok(())
}

/// `zfs_ioc_events_clear`: forgets them, and says how many.
pub(super) fn clear(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    cmd.cookie = u64::try_from(state.events.kept.len()).unwrap_or(u64::MAX);
    state.events.kept.clear();
    Ok(())
}
