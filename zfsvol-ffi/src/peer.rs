//! [`zfsvol_peer`]: another node, to which volumes are pushed and handed over.

use std::sync::Arc;

use zfsvol_core::Bytes;
use zfsvol_core::volume::{Bandwidth, LocalPeer, Peer, PushOptions};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::node::{volume, zfsvol_node};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::transfer::{Work, zfsvol_transfer};
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

/// Frees a peer. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_peer_free(peer: *mut zfsvol_peer) {
    boundary!(or(), |caller| caller.free(peer)?);
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
/// Fails with `NOT_FOUND`, and as setting properties does.
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

fn options_of(caller: &Caller, options: *const zfsvol_push_options) -> Result<PushOptions, Fault> {
    let given = caller.options(options)?;
    let options = PushOptions::new();
    Ok(match caller.get_optional(given.bandwidth)? {
        Some(limit) => options.bandwidth(limit),
        None => options,
    })
}
