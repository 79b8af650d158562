//! From a request to its handler, through the module's own checks: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfsdev_ioctl_common and
//! zfs_ioctl_init.

use super::engine::{Result, State};
use super::keys::{self, Key};
use super::name::NameCheck;
use super::unsupported;
use super::{
    Shared, activity, bookmark, dataset, event, file, history, hold, import, key, list, object,
    pool, pool_property, program, property, quota, receive, send, snapshot, space, vdev,
};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::nvlist::NvList;

/// `zfs_max_nvlist_src_size`: no request is longer, whatever memory there is.
const INPUT_BYTES_MAX: usize = 128 << 20;

/// Below that much room an error list is not cut, but refused (`nvlist_smush`).
const SMUSH_BYTES_MIN: usize = 1024;

/// How many errors were left out (`ZPROP_N_MORE_ERRORS`).
const MORE_ERRORS: &str = "N_MORE_ERRORS";

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// Anybody, or the handler decides.
    Any,
    /// Root, or whoever it is delegated to, which here is nobody.
    Root,
}

/// What an ioctl does to the state, and how it is called: with the whole command, or with name, arguments and answer.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// Reads; takes the whole command.
    LegacyRead(fn(&State, &mut Cmd) -> Result<()>),
    /// Changes; takes the whole command.
    LegacyWrite(fn(&mut State, &mut Cmd) -> Result<()>),
    /// Reads.
    Read(fn(&State, &str, &NvList, &mut NvList) -> Result<()>),
    /// Takes long, and has the state only while it needs it; takes the whole command.
    LegacyLong(fn(&Shared, &mut Cmd) -> Result<()>),
    /// Takes long, and has the state only while it needs it.
    Long(fn(&Shared, &str, &NvList, &mut NvList) -> Result<()>),
    /// Changes; the answer is an error list, and cut to fit.
    Write(fn(&mut State, &str, &NvList, &mut NvList) -> Result<()>),
}

/// One ioctl.
struct Entry {
    ioc: Ioc,
    /// The release that brought it.
    since: (u32, u32),
    name: NameCheck,
    /// Whether its pool must be there.
    needs_pool: bool,
    /// Whether its pool must not be imported read-only (`POOL_CHECK_READONLY`).
    changes: bool,
    policy: Policy,
    keys: &'static [Key],
    handler: Handler,
    history: Noted,
}

/// Whether an ioctl is noted in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    No,
    /// Not itself, but a program may add its command line.
    Command,
    /// Under that name.
    As(&'static str),
}

const fn entry(ioc: Ioc, name: NameCheck, keys: &'static [Key], handler: Handler) -> Entry {
    let policy = match handler {
        Read(_) | LegacyRead(_) | LegacyLong(_) => Policy::Any,
        Write(_) | LegacyWrite(_) | Long(_) => Policy::Root,
    };
    Entry {
        ioc,
        since: (2, 0),
        name,
        needs_pool: true,
        changes: false,
        policy,
        keys,
        handler,
        history: Noted::No,
    }
}

impl Entry {
    const fn without_pool(mut self) -> Self {
        self.needs_pool = false;
        self
    }

    const fn changes(mut self) -> Self {
        self.changes = true;
        self
    }

    const fn noted(mut self) -> Self {
        self.history = Noted::Command;
        self
    }

    const fn noted_as(mut self, name: &'static str) -> Self {
        self.history = Noted::As(name);
        self
    }

    /// Notes that it was carried out.
    fn note(&self, state: &mut State, target: &str, input: NvList, output: &NvList) {
        match self.history {
            Noted::No => {}
            Noted::Command => state.log_ioctl(target, None, input, output),
            Noted::As(name) => state.log_ioctl(target, Some(name), input, output),
        }
    }

    const fn privileged(mut self) -> Self {
        self.policy = Policy::Root;
        self
    }

    const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = (major, minor);
        self
    }

    const fn anybody(mut self) -> Self {
        self.policy = Policy::Any;
        self
    }
}

use Handler::{LegacyLong, LegacyRead, LegacyWrite, Long, Read, Write};
use NameCheck::{Dataset, Entity, Pool};

static TABLE: &[Entry] = &[
    // Pools.
    entry(Ioc::POOL_CREATE, Pool, keys::NONE, LegacyWrite(pool::create)).without_pool().noted(),
    entry(Ioc::POOL_DESTROY, Pool, keys::NONE, LegacyWrite(pool::destroy)),
    entry(Ioc::POOL_EXPORT, Pool, keys::NONE, LegacyWrite(import::export)),
    entry(Ioc::POOL_IMPORT, Pool, keys::NONE, LegacyWrite(import::import)).without_pool().noted(),
    entry(Ioc::POOL_TRYIMPORT, NameCheck::None, keys::NONE, LegacyRead(import::try_import))
        .without_pool()
        .privileged(),
    entry(Ioc::POOL_REGUID, Pool, keys::NONE, LegacyWrite(import::reguid)).changes().noted(),
    entry(Ioc::POOL_GET_HISTORY, Pool, keys::NONE, LegacyRead(history::get)).privileged(),
    entry(Ioc::LOG_HISTORY, NameCheck::None, keys::LOG_HISTORY, Write(history::add)).without_pool(),
    entry(Ioc::POOL_UPGRADE, Pool, keys::NONE, LegacyWrite(pool::upgrade)).changes().noted(),
    entry(Ioc::POOL_CONFIGS, NameCheck::None, keys::NONE, LegacyRead(pool::configs)).without_pool(),
    entry(Ioc::POOL_STATS, Pool, keys::NONE, LegacyRead(pool::stats)).without_pool(),
    entry(Ioc::POOL_GET_PROPS, Pool, keys::POOL_GET_PROPS, Read(pool::get_props)).without_pool(),
    entry(Ioc::POOL_SET_PROPS, Pool, keys::NONE, LegacyWrite(pool_property::set)).changes().noted(),
    entry(Ioc::POOL_SYNC, Pool, keys::SYNC, Write(pool::sync)).anybody().changes(),
    entry(Ioc::EVENTS_NEXT, NameCheck::None, keys::NONE, LegacyLong(event::next)).without_pool(),
    entry(Ioc::EVENTS_SEEK, NameCheck::None, keys::NONE, LegacyWrite(event::seek)).without_pool(),
    entry(Ioc::EVENTS_CLEAR, NameCheck::None, keys::NONE, LegacyWrite(event::clear)).without_pool(),
    entry(Ioc::POOL_SCRUB, Pool, keys::SCRUB, Write(activity::scrub)).since(2, 2).noted_as("scrub"),
    entry(Ioc::POOL_SCAN, Pool, keys::NONE, LegacyWrite(activity::scan)).changes().noted(),
    entry(Ioc::POOL_CHECKPOINT, Pool, keys::NONE, Write(activity::checkpoint))
        .changes()
        .noted_as("zpool_checkpoint"),
    entry(Ioc::POOL_DISCARD_CHECKPOINT, Pool, keys::NONE, Write(activity::discard_checkpoint))
        .changes()
        .noted_as("zpool_discard_checkpoint"),
    entry(Ioc::POOL_REOPEN, Pool, keys::REOPEN, Write(activity::reopen)).noted_as("reopen"),
    entry(Ioc::CLEAR, Pool, keys::NONE, LegacyWrite(activity::clear)).changes().noted(),
    entry(Ioc::ERROR_LOG, Pool, keys::NONE, LegacyRead(activity::error_log)),
    entry(Ioc::WAIT, Pool, keys::WAIT, Write(activity::wait)).anybody().changes(),
    entry(Ioc::POOL_PREFETCH, Pool, keys::PREFETCH, Write(activity::prefetch))
        .since(2, 3)
        .noted_as("zpool_prefetch"),
    entry(Ioc::DDT_PRUNE, Pool, keys::DDT_PRUNE, Write(activity::prune))
        .since(2, 3)
        .changes()
        .noted_as("zpool_ddt_prune"),
    entry(Ioc::SET_BOOTENV, Pool, keys::SET_BOOTENV, Write(activity::set_bootenv)).changes(),
    entry(Ioc::GET_BOOTENV, Pool, keys::NONE, Read(activity::get_bootenv)),
    entry(Ioc::POOL_INITIALIZE, Pool, keys::INITIALIZE, Write(activity::initialize))
        .changes()
        .noted_as("initialize"),
    entry(Ioc::POOL_TRIM, Pool, keys::TRIM, Write(activity::trim)).changes().noted_as("trim"),
    // Vdevs.
    entry(Ioc::VDEV_ADD, Pool, keys::NONE, LegacyWrite(vdev::add)).changes().noted(),
    entry(Ioc::VDEV_REMOVE, Pool, keys::NONE, LegacyWrite(vdev::remove)).changes().noted(),
    entry(Ioc::VDEV_ATTACH, Pool, keys::NONE, LegacyWrite(vdev::attach)).changes().noted(),
    entry(Ioc::VDEV_DETACH, Pool, keys::NONE, LegacyWrite(vdev::detach)).changes().noted(),
    entry(Ioc::VDEV_SET_STATE, Pool, keys::NONE, LegacyWrite(vdev::set_state)).changes().noted(),
    entry(Ioc::VDEV_SETPATH, Pool, keys::NONE, LegacyWrite(vdev::set_path)).changes().noted(),
    entry(Ioc::VDEV_SETFRU, Pool, keys::NONE, LegacyWrite(vdev::set_fru)).changes().noted(),
    entry(Ioc::VDEV_GET_PROPS, Pool, keys::VDEV_GET_PROPS, Read(vdev::get_properties)).since(2, 2),
    entry(Ioc::VDEV_SET_PROPS, Pool, keys::VDEV_SET_PROPS, Write(vdev::set_properties))
        .since(2, 2)
        .changes(),
    // Datasets.
    entry(Ioc::CREATE, Dataset, keys::CREATE, Write(dataset::create)).changes().noted_as("create"),
    entry(Ioc::CLONE, Dataset, keys::CLONE, Write(dataset::clone)).changes().noted_as("clone"),
    entry(Ioc::DESTROY, Dataset, keys::NONE, LegacyWrite(dataset::destroy)).changes().noted(),
    entry(Ioc::RENAME, Dataset, keys::NONE, LegacyWrite(dataset::rename)).changes().noted(),
    entry(Ioc::PROMOTE, Dataset, keys::NONE, LegacyWrite(dataset::promote)).changes().noted(),
    entry(Ioc::ROLLBACK, Dataset, keys::ROLLBACK, Write(dataset::rollback)).changes(),
    entry(Ioc::SNAPSHOT, Pool, keys::SNAPSHOT, Write(snapshot::snapshot))
        .changes()
        .noted_as("snapshot"),
    entry(Ioc::DESTROY_SNAPS, Pool, keys::DESTROY_SNAPS, Write(snapshot::destroy))
        .changes()
        .noted_as("destroy_snaps"),
    // Properties and lists.
    entry(Ioc::OBJSET_STATS, Dataset, keys::NONE, LegacyRead(list::objset_stats)),
    entry(Ioc::OBJSET_ZPLPROPS, Dataset, keys::NONE, LegacyRead(list::zpl_properties)),
    entry(Ioc::OBJSET_RECVD_PROPS, Dataset, keys::NONE, LegacyRead(property::received)),
    entry(Ioc::DATASET_LIST_NEXT, Dataset, keys::NONE, LegacyRead(list::next_dataset)),
    entry(Ioc::SNAPSHOT_LIST_NEXT, Dataset, keys::NONE, LegacyRead(list::next_snapshot)),
    entry(Ioc::SET_PROP, Dataset, keys::NONE, LegacyWrite(property::set)).changes().noted(),
    entry(Ioc::INHERIT_PROP, Dataset, keys::NONE, LegacyWrite(property::inherit)).changes().noted(),
    // Bookmarks and holds.
    entry(Ioc::BOOKMARK, Pool, keys::BOOKMARK, Write(bookmark::create))
        .changes()
        .noted_as("bookmark"),
    entry(Ioc::GET_BOOKMARKS, Dataset, keys::GET_BOOKMARKS, Read(bookmark::list)),
    entry(Ioc::GET_BOOKMARK_PROPS, Entity, keys::NONE, Read(bookmark::properties)),
    entry(Ioc::DESTROY_BOOKMARKS, Pool, keys::DESTROY_BOOKMARKS, Write(bookmark::destroy))
        .changes()
        .noted_as("destroy_bookmarks"),
    entry(Ioc::HOLD, Pool, keys::HOLD, Write(hold::hold)).changes().noted_as("hold"),
    entry(Ioc::RELEASE, Pool, keys::RELEASE, Write(hold::release)).changes().noted_as("release"),
    entry(Ioc::GET_HOLDS, Dataset, keys::NONE, Read(hold::list)),
    entry(Ioc::CHANNEL_PROGRAM, Pool, keys::CHANNEL_PROGRAM, Write(program::run))
        .changes()
        .noted_as("channel_program"),
    // Keys.
    entry(Ioc::LOAD_KEY, Dataset, keys::LOAD_KEY, Write(key::load)).noted_as("load-key"),
    entry(Ioc::UNLOAD_KEY, Dataset, keys::NONE, Write(key::unload)).noted_as("unload-key"),
    entry(Ioc::CHANGE_KEY, Dataset, keys::CHANGE_KEY, Write(key::change))
        .changes()
        .noted_as("change-key"),
    // Streams.
    entry(Ioc::SEND_NEW, Dataset, keys::SEND, Long(send::send)),
    entry(Ioc::SEND_SPACE, Dataset, keys::SEND_SPACE, Long(send::space)).anybody(),
    entry(Ioc::REDACT, Dataset, keys::REDACT, Long(send::redact)).changes().noted_as("redact"),
    entry(Ioc::SEND_PROGRESS, Dataset, keys::NONE, LegacyLong(send::progress)),
    entry(Ioc::RECV_NEW, Dataset, keys::RECEIVE, Long(receive::receive))
        .changes()
        .noted_as("receive"),
    // What is in file systems.
    entry(Ioc::USERSPACE_ONE, Dataset, keys::NONE, LegacyRead(quota::one)),
    entry(Ioc::USERSPACE_MANY, Dataset, keys::NONE, LegacyRead(quota::many)),
    entry(Ioc::USERSPACE_UPGRADE, Dataset, keys::NONE, LegacyWrite(quota::upgrade)).changes(),
    entry(Ioc::DIFF, Dataset, keys::NONE, LegacyLong(object::diff)),
    entry(Ioc::OBJ_TO_PATH, Dataset, keys::NONE, LegacyRead(file::path)),
    entry(Ioc::OBJ_TO_STATS, Dataset, keys::NONE, LegacyRead(file::stats)),
    entry(Ioc::NEXT_OBJ, Dataset, keys::NONE, LegacyRead(object::next)),
    entry(Ioc::DSOBJ_TO_DSNAME, Pool, keys::NONE, LegacyRead(object::dataset_name)),
    entry(Ioc::WAIT_FS, Dataset, keys::WAIT_FS, Read(object::wait)).changes(),
    entry(Ioc::REMAP, Dataset, keys::NONE, Write(object::remap)).changes().anybody(),
    // Space.
    entry(Ioc::SPACE_SNAPS, Dataset, keys::SPACE_SNAPS, Read(space::snapshots)),
    entry(Ioc::SPACE_WRITTEN, Dataset, keys::NONE, LegacyRead(space::written)),
];

/// Answers one request.
pub(super) fn ioctl(shared: &Shared, ioc: Ioc, cmd: &mut Cmd) -> Result<()> {
    let release = shared.module.version.release();
    let Some(entry) = TABLE.iter().find(|entry| entry.ioc == ioc && entry.since <= release) else {
        let entry = unsupported::find(ioc, release).ok_or(Errno::ZFS_ERR_IOC_CMD_UNAVAIL)?;
        check(shared, cmd, entry.name, None, true)?;
        if entry.name == Dataset {
            shared.read().hold(&cmd.name)?;
        }
        return Err(entry.refusal.of(cmd));
    };
    let is_legacy = matches!(entry.handler, LegacyRead(_) | LegacyWrite(_) | LegacyLong(_));
    let keys = (!is_legacy).then_some(entry.keys);
    let input = check(shared, cmd, entry.name, keys, entry.needs_pool)?;
    if entry.policy == Policy::Root && !shared.privileged {
        return Err(Errno::EPERM);
    }
    if entry.changes && shared.read().pool(&cmd.name)?.is_read_only() {
        return Err(Errno::EROFS);
    }
    match entry.handler {
        LegacyRead(handler) => handler(&shared.read(), cmd),
        LegacyWrite(handler) => {
            let name = cmd.name.clone();
            let outcome = shared.change(|state| {
                handler(state, cmd)?;
                entry.note(state, &name, NvList::new(), &NvList::new());
                Ok(())
            });
            explain(shared, cmd, outcome)
        }
        LegacyLong(handler) => handler(shared, cmd),
        Long(handler) => {
            let mut output = NvList::new();
            let outcome = handler(shared, &cmd.name, &input, &mut output);
            let outcome = outcome.and_then(|()| {
                let note = |state: &mut State| {
                    entry.note(state, &cmd.name, input, &output);
                    Ok(())
                };
                if entry.changes { shared.change(note) } else { note(&mut shared.write()) }
            });
            let outcome = explain(shared, cmd, outcome);
            answer(cmd, output, false, outcome)
        }
        Read(handler) => {
            let mut output = NvList::new();
            let outcome = handler(&shared.read(), &cmd.name, &input, &mut output);
            answer(cmd, output, false, outcome)
        }
        Write(handler) => {
            let mut output = NvList::new();
            let looks = ioc == Ioc::CHANNEL_PROGRAM && only_looks(&input);
            let handle = |state: &mut State| {
                handler(state, &cmd.name, &input, &mut output)?;
                entry.note(state, &cmd.name, input, &output);
                Ok(())
            };
            let outcome = if looks { handle(&mut shared.write()) } else { shared.change(handle) };
            let outcome = explain(shared, cmd, outcome);
            answer(cmd, output, true, outcome)
        }
    }
}

/// A program that may not change anything: it was asked to be run outside of a transaction group.
fn only_looks(program: &NvList) -> bool {
    program.get_bool("sync") == Some(false)
}

/// Says in words why nothing can be changed any more.
fn explain(shared: &Shared, cmd: &mut Cmd, outcome: Result<()>) -> Result<()> {
    match (outcome, shared.failure()) {
        (Err(Errno::EIO), Some(reason)) => Err(cmd.refuse(Errno::EIO, reason)),
        (outcome, _) => outcome,
    }
}

/// What every request must pass, in the module's order: its arguments can be read, its name is right, its pool is there, its keys are known.
fn check(
    shared: &Shared,
    cmd: &Cmd,
    name: NameCheck,
    keys: Option<&[Key]>,
    needs_pool: bool,
) -> Result<NvList> {
    let input = unpack(cmd.input.as_deref())?;
    if !name.passes(&cmd.name) {
        return Err(Errno::EINVAL);
    }
    if needs_pool && name != NameCheck::None {
        shared.read().pool(&cmd.name)?;
    }
    if let Some(keys) = keys {
        keys::check(keys, &input, shared.module.version.release())?;
    }
    Ok(input)
}

/// The arguments of a request; none are as good as an empty list.
///
/// # Errors
/// `EINVAL` when they are too long, `EFAULT` when they are no list.
pub(super) fn unpack(packed: Option<&[u8]>) -> Result<NvList> {
    match packed {
        None | Some([]) => Ok(NvList::new()),
        Some(packed) if packed.len() > INPUT_BYTES_MAX => Err(Errno::EINVAL),
        Some(packed) => NvList::from_bytes(packed).map_err(|_| Errno::EFAULT),
    }
}

/// Answers with a list, if one is wanted or has anything in it.
fn answer(cmd: &mut Cmd, mut output: NvList, smush: bool, outcome: Result<()>) -> Result<()> {
    if output.is_empty() && cmd.reply_max == 0 {
        return outcome;
    }
    let mut packed = pack(&output)?;
    if smush && packed.len() > cmd.reply_max {
        packed = smushed(&mut output, cmd.reply_max)?;
    }
    // A list that does not fit hides the outcome, as in the module.
    cmd.put_reply(&packed)?;
    outcome
}

/// Answers a legacy request with a list.
///
/// # Errors
/// `ENOMEM` when it does not fit.
pub(super) fn put(cmd: &mut Cmd, list: &NvList) -> Result<()> {
    cmd.put_reply(&pack(list)?)
}

fn pack(list: &NvList) -> Result<Vec<u8>> {
    list.to_bytes().map_err(|_| Errno::ENOMEM)
}

/// Leaves out as many errors as it takes, the last first, and says how many: `nvlist_smush`.
fn smushed(errors: &mut NvList, most: usize) -> Result<Vec<u8>> {
    if most < SMUSH_BYTES_MIN {
        return Err(Errno::ENOMEM);
    }
    let names: Vec<String> = errors.iter().map(|(name, _)| name.to_owned()).collect();
    errors.insert(MORE_ERRORS, 0_i32);
    let mut size = pack(errors)?.len();
    let mut omitted = 0_i32;
    for name in names.iter().rev() {
        if size <= most {
            break;
        }
        // What a pair takes is what the list is shorter without it.
        let mut alone = NvList::new();
        if let Some(value) = errors.remove(name) {
            alone.insert(name.as_str(), value);
        }
        let empty = pack(&NvList::new())?.len();
        size = size.saturating_sub(pack(&alone)?.len().saturating_sub(empty));
        omitted = omitted.saturating_add(1);
    }
    errors.insert(MORE_ERRORS, omitted);
    pack(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ioctl_has_one_handler_or_is_in_the_list_of_those_that_have_none() {
        for ioc in Ioc::all() {
            let handlers = TABLE.iter().filter(|entry| entry.ioc == ioc).count();
            let listed = usize::from(unsupported::is_listed(ioc));
            assert_eq!(handlers + listed, 1, "{ioc}");
        }
    }

    #[test]
    fn an_error_list_is_cut_to_what_fits() {
        let mut errors: NvList =
            (0..1000).map(|number| (format!("tank/a{number:04}@s"), 2_i32)).collect();
        let packed = smushed(&mut errors, 2048).unwrap();
        assert!(packed.len() <= 2048 && packed.len() > 1900, "{}", packed.len());
        let left = i32::try_from(errors.len() - 1).unwrap();
        assert_eq!(errors.get_i32(MORE_ERRORS), Some(1000 - left));
        assert_eq!(errors.get_i32("tank/a0000@s"), Some(2));
        assert_eq!(smushed(&mut errors, 100), Err(Errno::ENOMEM));
    }
}
