//! [`zfsvol_peer`]: another node, to which volumes are pushed and handed over.

use std::ffi::c_void;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use zfsvol_core::Bytes;
use zfsvol_core::nvlist::NvList;
use zfsvol_core::volume::peer::{RemoteOptions, RemotePeer, ServeOptions};
use zfsvol_core::volume::{Bandwidth, LocalPeer, Peer, PushOptions};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, take_over};
use crate::io::Context;
use crate::node::{volume, zfsvol_node};
use crate::nvlist::zfsvol_nvlist;
use crate::policy::zfsvol_policy;
use crate::status::zfsvol_status;
use crate::transfer::{Work, zfsvol_transfer};
use crate::transport::zfsvol_transport;
use crate::view::zfsvol_str;

/// Another node, as this one sees it. Can be used by any number of threads at once.
#[derive(Debug)]
pub struct zfsvol_peer {
    _private: [u8; 0],
}

impl Object for zfsvol_peer {
    type Value = Arc<dyn Peer>;
    const NAME: &'static str = "zfsvol_peer";
}

/// A node of this process as the peer of another: two pools of one machine, and tests.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_peer_local(
    node: *const zfsvol_node,
    peer: *mut *mut zfsvol_peer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(peer)?;
        out.give(Arc::new(LocalPeer::new(caller.get(node)?.clone())));
    })
}

/// The node at the other end of a connection, which `zfsvol_node_serve` answers there, as the peer of `node`. Uses the transport up; when it is lost, it is not made
/// anew: see `zfsvol_peer_connect`. Returns when the other end has said who it is.
///
/// Fails with `DISCONNECTED`, `NOT_PERMITTED` (it does not let this node connect), `UNSUPPORTED` (they have no version of the protocol in common), `TIMED_OUT` or `PROTOCOL` (nobody is there who
/// speaks it), `CONSUMED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_peer_over(
    node: *const zfsvol_node,
    transport: *const zfsvol_transport,
    peer: *mut *mut zfsvol_peer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(peer)?;
        let me = caller.get(node)?.id();
        out.give(Arc::new(RemotePeer::over(me, caller.get(transport)?.take()?)?));
    })
}

/// How a peer elsewhere is reached.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_peer_options {
    /// `sizeof(zfsvol_peer_options)`.
    pub size: usize,
    /// Makes a connection, and puts it into `transport`, which the library then owns: returns 0, or an errno when it cannot. Called for the first connection, and later whenever
    /// another is needed; from any thread, several at once.
    pub connect: Option<
        unsafe extern "C" fn(context: *mut c_void, transport: *mut *mut zfsvol_transport) -> i32,
    >,
    /// Given to both callbacks.
    pub context: *mut c_void,
    /// Called once, when the context is no longer needed; NULL if nothing is to be done then.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// After how long without a byte the peer is given up: 100 to 3,600,000; 0 for 30,000.
    pub silence_milliseconds: u64,
    /// How long the peer may go on without doing anything that is seen; 0 for as long as it wants.
    pub deadline_milliseconds: u64,
    /// How many connections there are at most, so many pushes go on at once; 0 for 8.
    pub connections: usize,
}

// SAFETY: `repr(C)` with the size first; numbers and pointers, which zeros are too.
unsafe impl Growing for zfsvol_peer_options {
    const NAME: &'static str = "zfsvol_peer_options";
}

/// The same over connections that are made when they are needed: several at once, and anew when one was lost. The context is released when the peer is freed, or at once if this fails.
///
/// Fails as `zfsvol_peer_over`, with `DISCONNECTED` where `connect` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_peer_connect(
    node: *const zfsvol_node,
    options: *const zfsvol_peer_options,
    peer: *mut *mut zfsvol_peer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let given = caller.options(options)?;
        let context = Context::new(given.context, given.release);
        let out = caller.out(peer)?;
        let connect = given.connect.ok_or_else(|| Fault::null("the function that connects"))?;
        let me = caller.get(node)?.id();
        let connected = RemotePeer::connect(me, &remote_options(&given), move || {
            let mut transport = std::ptr::null_mut();
            // SAFETY: C gave the function for this context, and the place lives until it returns.
            match unsafe { connect(context.pointer(), &raw mut transport) } {
                0 => take_over(transport)
                    .and_then(|transport| transport.take())
                    .map_err(|fault| io::Error::other(fault.to_string())),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        })?;
        out.give(Arc::new(connected));
    })
}

/// Which node it is: `id` (string).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_peer_info(
    peer: *const zfsvol_peer,
    info: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(info)?;
        let mut list = NvList::new();
        list.insert("id", caller.get(peer)?.node().to_string());
        out.give(list);
    })
}

/// Frees a peer. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_peer_free(peer: *mut zfsvol_peer) {
    boundary!(or(), |caller| caller.free(peer)?);
}

/// How to serve a connection. All zeros: a caller without identity.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_serve_options {
    /// `sizeof(zfsvol_serve_options)`.
    pub size: usize,
    /// Who the transport found the caller to be: the policy is told.
    pub identity: zfsvol_str,
    /// After how long without a byte the caller is given up: 100 to 3,600,000; 0 for 30,000.
    pub silence_milliseconds: u64,
    /// How much of a stream may be under way or wait to be written, 64 KiB to 256 MiB; 0 for 4 MiB.
    pub window_bytes: u64,
}

// SAFETY: `repr(C)` with the size first; numbers and a pointer, which zeros are too.
unsafe impl Growing for zfsvol_serve_options {
    const NAME: &'static str = "zfsvol_serve_options";
}

/// Serves one connection of a peer, in the background, until the peer ends it: does what is asked, and the policy permits. Uses the transport up. Each further connection is a call of its own. Refusals are told to the peer, and end
/// nothing.
///
/// Fails when it is waited for: with `NOT_PERMITTED` (the policy does not let it connect), `DISCONNECTED`, `TIMED_OUT` (it was silent for too long), `PROTOCOL`, `UNSUPPORTED` (other versions of the
/// protocol), `CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_node_serve(
    node: *const zfsvol_node,
    transport: *const zfsvol_transport,
    policy: *const zfsvol_policy,
    options: *const zfsvol_serve_options,
    served: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(served)?;
        let given = caller.options(options)?;
        let mut options = ServeOptions::new();
        if let Some(identity) = caller.optional_text(given.identity)? {
            options = options.identity(identity);
        }
        if given.silence_milliseconds != 0 {
            options = options.silence(Duration::from_millis(given.silence_milliseconds));
        }
        if given.window_bytes != 0 {
            options = options.window(Bytes::new(given.window_bytes));
        }
        let (node, policy) = (caller.get(node)?, Arc::clone(caller.get(policy)?));
        let transport = caller.get(transport)?.take()?;
        out.give(Work::Serve(node.serve_in_background(transport, policy, &options)?).into());
    })
}

/// A limit on how fast streams are sent, shared by all pushes that are given it.
#[derive(Debug)]
pub struct zfsvol_bandwidth {
    _private: [u8; 0],
}

impl Object for zfsvol_bandwidth {
    type Value = Bandwidth;
    const NAME: &'static str = "zfsvol_bandwidth";
}

/// A limit of so many bytes a second.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_bandwidth_new(
    bytes_per_second: u64,
    bandwidth: *mut *mut zfsvol_bandwidth,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bandwidth)?;
        out.give(Bandwidth::new(Bytes::new(bytes_per_second)));
    })
}

/// Frees a limit; pushes that have it keep to it. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_bandwidth_free(bandwidth: *mut zfsvol_bandwidth) {
    boundary!(or(), |caller| caller.free(bandwidth)?);
}

/// How to push. All zeros: as fast as it goes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_push_options {
    /// `sizeof(zfsvol_push_options)`.
    pub size: usize,
    /// No faster than this.
    pub bandwidth: *const zfsvol_bandwidth,
}

// SAFETY: `repr(C)` with the size first; a pointer, which zeros are too.
unsafe impl Growing for zfsvol_push_options {
    const NAME: &'static str = "zfsvol_push_options";
}

/// Brings a peer's copy of a volume up to date, in the background: sends what is missing there.
///
/// Fails, at once or when it is waited for, with `NOT_FOUND`, `NOT_OWNER` (here, or the peer has seen a higher epoch), `DESTINATION_MODIFIED`, `DISCONNECTED`, `CANCELLED`, and as sends and receives do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_push(
    node: *const zfsvol_node,
    name: zfsvol_str,
    peer: *const zfsvol_peer,
    options: *const zfsvol_push_options,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(transfer)?;
        let (name, options) = (volume(caller, name)?, options_of(caller, options)?);
        let job = caller.get(node)?.push(&name, caller.get(peer)?, &options)?;
        out.give(Work::Push(job).into());
    })
}

/// Hands a volume over to a peer, in the background: pushes, stops writing, pushes the rest, and has the peer own it. There is no moment with two owners; should this process or the
/// connection die on the way, `zfsvol_volume_recover` says who owns the volume.
///
/// Fails as `zfsvol_volume_push`, and with `BUSY`: it is mounted, and in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_handoff(
    node: *const zfsvol_node,
    name: zfsvol_str,
    peer: *const zfsvol_peer,
    options: *const zfsvol_push_options,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(transfer)?;
        let (name, options) = (volume(caller, name)?, options_of(caller, options)?);
        let job = caller.get(node)?.handoff(&name, caller.get(peer)?, &options)?;
        out.give(Work::Push(job).into());
    })
}

/// Takes a replica over, because whoever calls this knows that its owner is gone. `ownership` (NULL if it does not matter): `id`, `owner`, `epoch`, `state`.
///
/// Fails with `NOT_FOUND`, `INVALID` (this node owns it), `STREAM_TRUNCATED` (its first push never came to its end), `IN_PROGRESS` (it is being received), and as making bookmarks and setting properties do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_takeover(
    node: *const zfsvol_node,
    name: zfsvol_str,
    ownership: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(ownership)?;
        let taken = caller.get(node)?.takeover(&volume(caller, name)?)?;
        out.list(&taken)?;
    })
}

/// Puts a volume right after something died: asks the peer who owns it, and finishes or undoes. `recovered` (NULL if it does not matter) has `outcome` (string: `nothing`, `handed_over`, `taken_back`,
/// `superseded`) and, if what this node alone had was kept as a volume of its own, its name `set_aside`.
///
/// How long it waits for the peer, the options of that say; `zfsvol_volume_recover_start` can be cancelled. Fails with `NOT_FOUND`, `INVALID` (it is being handed over to another peer), `BUSY` (another
/// node has taken it over, and it is mounted here and in use), and with what asking the peer fails with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_recover(
    node: *const zfsvol_node,
    name: zfsvol_str,
    peer: *const zfsvol_peer,
    recovered: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(recovered)?;
        let peer = caller.get(peer)?;
        let found = caller.get(node)?.recover(&volume(caller, name)?, &**peer)?;
        out.list(&found)?;
    })
}

/// The same in the background. To cancel it ends the wait for the peer, within a second; once that has answered, what follows is done to its end.
///
/// Fails when it is waited for, as `zfsvol_volume_recover`, and with `CANCELLED`: the volume is as it was, or as another recovery finds it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volume_recover_start(
    node: *const zfsvol_node,
    name: zfsvol_str,
    peer: *const zfsvol_peer,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(transfer)?;
        let name = volume(caller, name)?;
        let job = caller.get(node)?.recover_in_background(&name, caller.get(peer)?)?;
        out.give(Work::Recover(job).into());
    })
}

fn remote_options(given: &zfsvol_peer_options) -> RemoteOptions {
    let mut options = RemoteOptions::new();
    if given.silence_milliseconds != 0 {
        options = options.silence(Duration::from_millis(given.silence_milliseconds));
    }
    if given.deadline_milliseconds != 0 {
        options = options.deadline(Duration::from_millis(given.deadline_milliseconds));
    }
    if given.connections != 0 {
        options = options.connections(given.connections);
    }
    options
}

fn options_of(caller: &Caller, options: *const zfsvol_push_options) -> Result<PushOptions, Fault> {
    let given = caller.options(options)?;
    let options = PushOptions::new();
    Ok(match caller.get_optional(given.bandwidth)? {
        Some(limit) => options.bandwidth(limit),
        None => options,
    })
}
