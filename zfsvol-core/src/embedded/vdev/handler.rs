//! The ioctls that change the vdevs of a pool: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_vdev_add and those that follow.

use std::path::Path;

use super::change::{Change, Removed};
use super::config::New;
use super::{Kind, LabelState, Vdev, features_of, label, open, state};
use crate::embedded::dispatch::unpack;
use crate::embedded::engine::{Pool, Result, State, unsigned};
use crate::kernel::{Cmd, Errno};
use crate::label::LabelState as Found;
use crate::nvlist::{NvList, NvString};

/// Whose a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// A pool that is imported has it.
    Pool,
    /// It is a hot spare, of that GUID.
    Spare(u64),
}

impl State {
    /// Whether imported pools have a device: `vdev_inuse`.
    fn owner_of(&self, path: &Path) -> Owner {
        let pools = || self.pools.values();
        let Some(label) = label::read(path) else {
            let named = pools().any(|pool| pool.layout.devices().any(|used| used == path));
            return if named { Owner::Pool } else { Owner::Nobody };
        };
        let guid = label.guid.get();
        if pools().any(|pool| pool.layout.spares.iter().any(|spare| spare.guid == guid)) {
            return Owner::Spare(guid);
        }
        let of_pool = |pool: &Pool| {
            let named = label.pool.as_ref().is_none_or(|of| of.guid.get() == pool.layout.guid());
            named && pool.layout.find(guid).is_some()
        };
        let counts = matches!(label.state, Found::Active | Found::Cache);
        match pools().any(|pool| of_pool(pool) && (counts || pool.is_read_only())) {
            true => Owner::Pool,
            false => Owner::Nobody,
        }
    }

    /// Whether all of these are free; for hot spares of one pool another may have them as such, too.
    ///
    /// # Errors
    /// `EBUSY` when one is not.
    pub(in crate::embedded) fn check_free(&self, devices: &[&Path]) -> Result<()> {
        match devices.iter().all(|path| self.owner_of(path) == Owner::Nobody) {
            true => Ok(()),
            false => Err(Errno::EBUSY),
        }
    }

    /// What every change to the vdevs of a pool ends with: new labels.
    fn commit(&mut self, pool_name: &str) -> Result<()> {
        let pool = self.pool_mut(pool_name)?;
        pool.begin();
        // A device that cannot be written is noticed when it is opened.
        let _ = pool.write_labels(pool_name, LabelState::Active);
        let guid = pool.layout.guid();
        self.post_event("config_sync", pool_name, guid);
        Ok(())
    }
}

/// `zfs_ioc_vdev_add`.
pub(in crate::embedded) fn add(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let config = conf(cmd)?;
    let release = state.env.release;
    let pool = state.pool(&cmd.name)?;
    let before = pool.layout.tops_count();
    let mut new = New::parse(&state.env, &config, before, &open::device_bytes)?;
    let data: Vec<&Path> = new.tops.iter().flat_map(Vdev::leaves).filter_map(Vdev::path).collect();
    state.check_free(&data)?;
    check_features(pool, &new)?;
    let caches: Vec<&Path> = new.caches.iter().filter_map(Vdev::path).collect();
    state.check_free(&caches)?;
    for spare in &mut new.spares {
        match spare.path().map(|path| state.owner_of(path)) {
            Some(Owner::Pool) => return Err(Errno::EBUSY),
            // It is shared, under one GUID.
            Some(Owner::Spare(guid)) if pool.layout.find(guid).is_none() => spare.guid = guid,
            Some(Owner::Spare(_)) => return Err(Errno::EBUSY),
            Some(Owner::Nobody) | None => {}
        }
    }
    let features: Vec<&str> = features_of(&new.tops).collect();
    let pool = state.pool_mut(&cmd.name)?;
    pool.layout.add(new, cmd.flags != 0 && release >= (2, 2))?;
    for feature in features {
        if !pool.features.is_active(feature) {
            pool.features.activate(feature);
        }
    }
    let guid = pool.layout.guid();
    state.commit(&cmd.name)?;
    state.post_event("vdev_add", &cmd.name, guid);
    Ok(())
}

fn check_features(pool: &Pool, new: &New) -> Result<()> {
    match features_of(&new.tops).all(|feature| pool.features.has(feature)) {
        true => Ok(()),
        false => Err(Errno::ENOTSUP),
    }
}

/// `zfs_ioc_vdev_attach`: a device beside another, or in its place.
pub(in crate::embedded) fn attach(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let (replacing, sequential) = (cmd.cookie != 0, cmd.simple);
    let config = conf(cmd)?;
    let env = state.env.clone();
    let pool = state.pool(&cmd.name)?;
    check_no_checkpoint(pool)?;
    if sequential && !pool.features.has("device_rebuild") {
        return Err(Errno::ENOTSUP);
    }
    match pool.layout.find(cmd.guid) {
        None => return Err(Errno::ENODEV),
        Some(vdev) if vdev.kind == Kind::Raidz => {
            if !pool.features.has("raidz_expansion") {
                return Err(Errno::ENOTSUP);
            }
        }
        Some(vdev) if !vdev.kind.is_leaf() => return Err(Errno::ENOTSUP),
        Some(_) => {}
    }
    let children = config.get_lists("children").unwrap_or_default();
    let [only] = children else { return Err(Errno::EINVAL) };
    if only.get_lists("children").is_some() {
        return Err(Errno::EINVAL);
    }
    let mut tops = New::parse(&env, &config, 0, &open::device_bytes)?.tops;
    let mut new = tops.pop().ok_or(Errno::EINVAL)?;
    let spare = new.path.as_ref().and_then(|path| pool.layout.spare_on(path));
    match new.path().map(|path| state.owner_of(path)) {
        Some(Owner::Spare(guid)) if replacing && spare == Some(guid) => {
            new.guid = guid;
            new.other.insert("is_spare", 1_u64);
        }
        Some(Owner::Nobody) | None => {}
        Some(_) => return Err(Errno::EBUSY),
    }
    let (path, guid) = (new.label_name(0), new.guid);
    let is_spare = spare.is_some();
    let pool = state.pool_mut(&cmd.name)?;
    let attached = pool.layout.attach(&env, cmd.guid, new, replacing, sequential)?;
    if pool.layout.tops.iter().any(|top| top.kind == Kind::Raidz && top.guid == cmd.guid) {
        pool.features.activate("raidz_expansion");
    }
    if !sequential {
        pool.note_resilver();
    }
    let (verb, preposition) = match (replacing, is_spare) {
        (true, true) => ("spare in", "for"),
        (true, false) => ("replace", "for"),
        (false, _) => ("attach", "to"),
    };
    pool.log_internal(
        "vdev attach",
        None,
        format!("{verb} vdev={path} {preposition} vdev={}", attached.to),
    );
    if let Some(path) = attached.replaced.as_ref().and_then(Vdev::path) {
        label::give_up(path);
    }
    state.commit(&cmd.name)?;
    if is_spare {
        state.post_event("vdev_spare", &cmd.name, guid);
    }
    let guid = state.pool(&cmd.name)?.layout.guid();
    state.post_event("vdev_attach", &cmd.name, guid);
    Ok(())
}

/// `zfs_ioc_vdev_detach`.
pub(in crate::embedded) fn detach(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let pool = state.pool_mut(&cmd.name)?;
    check_no_checkpoint(pool)?;
    let gone = pool.layout.detach(cmd.guid)?;
    pool.log_internal("detach", None, format!("vdev={}", gone.label_name(0)));
    // A spare goes back to where it is to be had.
    if let (Some(path), false) = (gone.path(), gone.is_spare()) {
        label::give_up(path);
    }
    state.commit(&cmd.name)?;
    let guid = state.pool(&cmd.name)?.layout.guid();
    state.post_event("vdev_remove", &cmd.name, guid);
    Ok(())
}

/// `zfs_ioc_vdev_remove`; with a cookie it is to stop, and there is never one that runs.
pub(in crate::embedded) fn remove(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let pool = state.pool(&cmd.name)?;
    if cmd.cookie != 0 {
        return Err(Errno::ENOTACTIVE);
    }
    check_no_checkpoint(pool)?;
    let removes_top = pool.layout.tops.iter().any(|top| top.guid == cmd.guid && !top.is_log());
    if removes_top && !pool.features.has("device_removal") {
        return Err(Errno::ENOTSUP);
    }
    let available = unsigned(pool.available(pool.root, None, 0)?);
    let allocated = unsigned(pool.dir(pool.root)?.used.used);
    let now = pool.env.now().as_secs();
    let pool = state.pool_mut(&cmd.name)?;
    let removed = pool.layout.remove(cmd.guid, available, allocated, now)?;
    let (gone, kind) = match removed {
        Removed::Spare(gone) => (gone, "spare"),
        Removed::Cache(gone) => (gone, "l2cache"),
        Removed::Log(gone) => (gone, "log"),
        Removed::Top(gone) => (gone, ""),
    };
    let is_aside = matches!(kind, "spare" | "l2cache");
    if kind.is_empty() {
        pool.features.activate("device_removal");
        for step in ["vdev remove started", "vdev remove completed"] {
            pool.log_internal(step, None, format!("{} vdev {}", cmd.name, gone.guid));
        }
    } else {
        let detail = format!("{} vdev ({kind}) {}", cmd.name, gone.label_name(0));
        pool.log_internal("vdev remove", None, detail);
    }
    gone.leaves().filter_map(Vdev::path).for_each(label::give_up);
    state.commit(&cmd.name)?;
    let guid = state.pool(&cmd.name)?.layout.guid();
    let class = if is_aside { "vdev_remove_aux" } else { "vdev_remove_dev" };
    state.post_event(class, &cmd.name, guid);
    Ok(())
}

/// A checkpoint needs the devices it was made on.
fn check_no_checkpoint(pool: &Pool) -> Result<()> {
    match pool.activity.has_checkpoint() {
        true => Err(Errno::ZFS_ERR_CHECKPOINT_EXISTS),
        false => Ok(()),
    }
}

/// `zfs_ioc_vdev_set_state`: the state that a device is then in is in the answer.
pub(in crate::embedded) fn set_state(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let change = Change::new(cmd.cookie, cmd.obj);
    let pool = state.pool_mut(&cmd.name)?;
    let is_online = matches!(change, Ok(Change::Online { .. }));
    let outcome = change.and_then(|change| pool.layout.change(cmd.guid, change));
    cmd.cookie = outcome.as_ref().map_or(0, |(state, _)| if is_online { *state } else { 0 });
    let (now, changed) = outcome?;
    let guid = pool.layout.guid();
    if changed && is_online {
        pool.note_resilver();
    }
    state.commit(&cmd.name)?;
    if changed {
        let class = if now >= state::DEGRADED { "vdev_online" } else { "statechange" };
        state.post_event(class, &cmd.name, guid);
    }
    Ok(())
}

/// `zfs_ioc_vdev_setpath`.
pub(in crate::embedded) fn set_path(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    note(state, cmd, true)
}

/// `zfs_ioc_vdev_setfru`.
pub(in crate::embedded) fn set_fru(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    note(state, cmd, false)
}

fn note(state: &mut State, cmd: &mut Cmd, is_path: bool) -> Result<()> {
    let text = NvString::from(cmd.value.as_slice());
    state.pool_mut(&cmd.name)?.layout.note(cmd.guid, text, is_path)?;
    state.commit(&cmd.name)
}

/// The configuration of a request.
///
/// # Errors
/// `EINVAL` when there is none, `EFAULT` when it is no list.
pub(in crate::embedded) fn conf(cmd: &Cmd) -> Result<NvList> {
    match cmd.conf.as_deref() {
        None | Some([]) => Err(Errno::EINVAL),
        packed => unpack(packed),
    }
}
