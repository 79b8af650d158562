//! Doors around a kernel: read-only, confined to a subtree, observed; and an embedded kernel made to measure.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use zfsvol_core::embedded::{Embedded, Release};
use zfsvol_core::kernel::{
    Call, Errno, Fault as FaultDoor, FaultRule, Ioc, Observe, ReadOnly, Refused, Subtree,
};
use zfsvol_core::{Bytes, DatasetName, Zfs};

use crate::answer;
use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::io::Context;
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// A door through which nothing can be changed: such calls fail with `READ_ONLY`. It binds those who are given it; it is no sandbox.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_door_read_only(
    zfs: *const zfsvol_zfs,
    door: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(door)?;
        let inner = Arc::clone(caller.get(zfs)?.kernel());
        out.give(Zfs::new(ReadOnly::new(inner)));
    })
}

/// A door through which nothing is seen or changed but `root` and what is below it. With `mounts_below` (`ZFSVOL_NONE` for none), file systems are mounted below that directory only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_door_subtree(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    mounts_below: zfsvol_str,
    door: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(door)?;
        let root: DatasetName = caller.name(root)?;
        let mut subtree = Subtree::new(Arc::clone(caller.get(zfs)?.kernel()), root);
        if let Some(directory) = caller.optional_path(mounts_below)? {
            subtree = subtree.with_mounts_below(directory);
        }
        out.give(Zfs::new(subtree));
    })
}

/// A call to the kernel that is about to be carried out, or was. Lent to a callback.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_call {
    /// What is called and what for, for people: `ZFS_IOC_SNAPSHOT 'tank'`.
    pub text: zfsvol_str,
    /// The pools, datasets, snapshots and bookmarks it is about, those inside of lists included.
    pub names: *const zfsvol_str,
    /// How many names there are.
    pub name_count: usize,
    /// The number of the ioctl, `ZFS_IOC_...`; 0 for a mount, an unmount or the opening of a device.
    pub ioctl: u32,
    /// Afterwards: the errno, 0 if it was carried out well.
    pub error_number: i32,
    /// Afterwards: nanoseconds it took below this door.
    pub nanoseconds: u64,
    /// Afterwards: whether the callback before it had refused it.
    pub refused: bool,
}

/// Who looks at calls. Both functions run in the thread that calls, so several at once when several threads call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_observer {
    /// `sizeof(zfsvol_observer)`.
    pub size: usize,
    /// Given to each callback.
    pub context: *mut c_void,
    /// Before a call: 0 to have it carried out, an errno to refuse it with. May be NULL.
    pub before: Option<unsafe extern "C" fn(context: *mut c_void, call: *const zfsvol_call) -> i32>,
    /// After a call, refused ones too. May be NULL.
    pub after: Option<unsafe extern "C" fn(context: *mut c_void, call: *const zfsvol_call)>,
    /// Called once, when the context is no longer needed. May be NULL.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

// SAFETY: `repr(C)` with the size first; numbers and pointers, which zeros are too.
unsafe impl Growing for zfsvol_observer {
    const NAME: &'static str = "zfsvol_observer";
}

/// A door that shows each call to callbacks: policy, tracing, metrics, audit. The context is released in any case, failure included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_door_observe(
    zfs: *const zfsvol_zfs,
    observer: *const zfsvol_observer,
    door: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let given = caller.options(observer)?;
        let context = Arc::new(Context::new(given.context, given.release));
        let out = caller.out(door)?;
        let mut observe = Observe::new(Arc::clone(caller.get(zfs)?.kernel()));
        if let Some(before) = given.before {
            let context = Arc::clone(&context);
            observe = observe.before(move |call| {
                let answer = shown(call, |view| {
                    // SAFETY: C gave the function for this context, and the view lives until it returns.
                    unsafe { before(context.pointer(), view) }
                });
                match answer {
                    0 => Ok(()),
                    errno => Err(Refused::new(Errno(errno), "the observer refused it")),
                }
            });
        }
        if let Some(after) = given.after {
            observe = observe.after(move |call, outcome| {
                shown(call, |view| {
                    view.error_number = outcome.result.err().map_or(0, |errno| errno.0);
                    view.nanoseconds =
                        u64::try_from(outcome.duration.as_nanos()).unwrap_or(u64::MAX);
                    view.refused = outcome.refused;
                    // SAFETY: as above.
                    unsafe { after(context.pointer(), view) };
                });
            });
        }
        out.give(Zfs::new(observe));
    })
}

/// Shows a call as C sees it.
fn shown<R>(call: &Call<'_>, show: impl FnOnce(&mut zfsvol_call) -> R) -> R {
    let text = call.to_string();
    let names = call.names();
    let views: Vec<zfsvol_str> = names.iter().map(|name| zfsvol_str::of(name)).collect();
    let mut view = zfsvol_call {
        text: zfsvol_str::of(&text),
        names: views.as_ptr(),
        name_count: views.len(),
        ioctl: match call {
            Call::Ioctl { ioc, .. } => ioc.number(),
            _ => 0,
        },
        error_number: 0,
        nanoseconds: 0,
        refused: false,
    };
    show(&mut view)
}

/// Which calls fail, and how. All zeros but the errno: every call, before it is carried out.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_fault_rule {
    /// The errno they fail with.
    pub error_number: i32,
    /// Only the ioctl of this number; 0 for all.
    pub ioctl: u32,
    /// Only calls about a name that begins so.
    pub name_prefix: zfsvol_str,
    /// Not the first so many of those that match.
    pub skip: u64,
    /// At most so many calls; 0 for no limit.
    pub times: u64,
    /// About one in so many, of those that match; 0 for all.
    pub one_in: u64,
    /// Which of them, with `one_in`: the same in each run.
    pub seed: u64,
    /// They are carried out, and the answer lost.
    pub after: bool,
}

/// A door behind which chosen calls fail, for tests of a program.
#[derive(Debug)]
pub struct zfsvol_fault {
    _private: [u8; 0],
}

impl Object for zfsvol_fault {
    type Value = Arc<FaultDoor>;
    const NAME: &'static str = "zfsvol_fault";
}

/// A door with these rules: the first that chooses a call decides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_fault_new(
    zfs: *const zfsvol_zfs,
    rules: *const zfsvol_fault_rule,
    count: usize,
    fault: *mut *mut zfsvol_fault,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(fault)?;
        let mut door = FaultDoor::new(Arc::clone(caller.get(zfs)?.kernel()));
        for given in caller.array(rules, count)? {
            door = door.rule(rule_of(caller, given)?);
        }
        out.give(Arc::new(door));
    })
}

fn rule_of(caller: &Caller, given: &zfsvol_fault_rule) -> Result<FaultRule, Fault> {
    let mut rule = FaultRule::new(Errno(given.error_number)).skip(given.skip);
    if given.ioctl != 0 {
        let ioc = Ioc::from_number(given.ioctl);
        rule = rule.ioc(ioc.ok_or_else(|| Fault::unknown("ioctl", given.ioctl))?);
    }
    if let Some(prefix) = caller.optional_text(given.name_prefix)? {
        let prefix = prefix.to_owned();
        rule = rule.name(move |name| name.starts_with(&prefix));
    }
    if given.times != 0 {
        rule = rule.times(given.times);
    }
    if given.one_in != 0 {
        rule = rule.one_in(given.one_in, given.seed);
    }
    Ok(if given.after { rule.after() } else { rule })
}

/// A handle that goes through the door.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_fault_zfs(
    fault: *const zfsvol_fault,
    zfs: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(zfs)?;
        let door = Arc::clone(caller.get(fault)?);
        out.give(Zfs::from_shared(door));
    })
}

/// How many calls each rule has let fail so far: `failed` (uint64 array), in the order of the rules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_fault_failed(
    fault: *const zfsvol_fault,
    failed: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(failed)?;
        let counts = caller.get(fault)?.failed();
        out.give(answer::numbers("failed", counts));
    })
}

/// Frees the object; handles that go through the door go on doing so. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_fault_free(fault: *mut zfsvol_fault) {
    boundary!(or(), |caller| caller.free(fault)?);
}

/// A pool of an embedded kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_embedded_pool {
    /// Its name.
    pub name: zfsvol_str,
    /// Its size; at least 64 MiB.
    pub bytes: u64,
}

/// A release of OpenZFS that an embedded kernel imitates: a `ZFSVOL_RELEASE_...`.
pub type zfsvol_release = u32;

/// The one that is imitated where nothing is said: OpenZFS 2.3.
pub const ZFSVOL_RELEASE_DEFAULT: zfsvol_release = 0;
/// OpenZFS 2.1.
pub const ZFSVOL_RELEASE_2_1: zfsvol_release = 201;
/// OpenZFS 2.3.
pub const ZFSVOL_RELEASE_2_3: zfsvol_release = 203;
/// OpenZFS 2.4.
pub const ZFSVOL_RELEASE_2_4: zfsvol_release = 204;

/// What an embedded kernel is like. All zeros: OpenZFS 2.3 with no pool.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_embedded_options {
    /// `sizeof(zfsvol_embedded_options)`.
    pub size: usize,
    /// Which release it imitates.
    pub release: zfsvol_release,
    /// Whether GUIDs follow from `seed`, so that a program that does the same has the same.
    pub seeded: bool,
    /// Answers as to a caller who is not root.
    pub unprivileged: bool,
    /// Where GUIDs come from.
    pub seed: u64,
    /// Its pools.
    pub pools: *const zfsvol_embedded_pool,
    /// How many there are.
    pub pool_count: usize,
    /// The time in nanoseconds since 1970, in place of the system's. Called from any thread, several at once.
    pub clock: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Given to both callbacks.
    pub context: *mut c_void,
    /// Called once, when the context is no longer needed; NULL if nothing is to be done then.
    pub release_context: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Where its state is kept; left out, it is in memory alone. The directory is made if it is not there, and the pools only where there is no state yet. What a call has changed is durable when it
    /// is answered; mounts, loaded keys, events and temporary holds end with the process. One process has it at a time.
    pub directory: zfsvol_str,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and C's `bool`s, which zeros are too.
unsafe impl Growing for zfsvol_embedded_options {
    const NAME: &'static str = "zfsvol_embedded_options";
}

/// Opens a kernel in this process, made to measure. A pool whose name no pool can have, or that is too small, is left out. The context is released in any case, failure included.
///
/// With a directory fails with `BUSY` (another has it), `CORRUPT`, `UNSUPPORTED` (another version wrote it, or it has a pool with a feature that the release does not know), `DENIED`, `NO_SPACE`, `IO`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zfs_open_embedded(
    options: *const zfsvol_embedded_options,
    zfs: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let given = caller.options(options)?;
        let context = Context::new(given.context, given.release_context);
        let out = caller.out(zfs)?;
        let mut builder = Embedded::builder().release(match given.release {
            ZFSVOL_RELEASE_DEFAULT => Release::default(),
            ZFSVOL_RELEASE_2_1 => Release::V2_1,
            ZFSVOL_RELEASE_2_3 => Release::V2_3,
            ZFSVOL_RELEASE_2_4 => Release::V2_4,
            other => return Err(Fault::unknown("release that can be imitated", other)),
        });
        if given.seeded {
            builder = builder.seed(given.seed);
        }
        if given.unprivileged {
            builder = builder.unprivileged();
        }
        for pool in caller.array(given.pools, given.pool_count)? {
            builder = builder.pool(caller.text(pool.name)?, Bytes::new(pool.bytes));
        }
        if let Some(clock) = given.clock {
            builder = builder.clock(move || {
                // SAFETY: C gave the function for this context.
                let nanoseconds = unsafe { clock(context.pointer()) };
                UNIX_EPOCH + Duration::from_nanos(nanoseconds)
            });
        }
        out.give(Zfs::new(match caller.optional_path(given.directory)? {
            Some(directory) => builder.open(directory)?,
            None => builder.build(),
        }));
    })
}
