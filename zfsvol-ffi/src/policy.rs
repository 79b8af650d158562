//! [`zfsvol_policy`]: who may do what to which volume, for those that serve peers.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::sync::Arc;

use zfsvol_core::volume::peer::{
    Action, AllowAll, Caller as Peer, KnownNodes, Policy, ReadOnly, Replicas, Verdict, VolumeId,
};

use crate::boundary::Growing;
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::io::Context;
use crate::node::uuid;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;

/// Who may do what to which volume. It does not change, and serves any number of connections at once.
#[derive(Debug)]
pub struct zfsvol_policy {
    _private: [u8; 0],
}

impl Object for zfsvol_policy {
    type Value = Arc<dyn Policy>;
    const NAME: &'static str = "zfsvol_policy";
}

/// Everybody may do everything: where who can connect is trusted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_policy_allow_all(
    policy: *mut *mut zfsvol_policy,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.out(policy)?.give(Arc::new(AllowAll)))
}

/// Everybody may look, and nobody may change anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_policy_read_only(
    policy: *mut *mut zfsvol_policy,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.out(policy)?.give(Arc::new(ReadOnly)))
}

/// Everybody may push volumes of these namespaces, and nobody may hand over. The empty text stands for volumes that are in no namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_policy_replicas(
    namespaces: *const zfsvol_str,
    count: usize,
    policy: *mut *mut zfsvol_policy,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(policy)?;
        out.give(Arc::new(Replicas::of(caller.texts(namespaces, count)?)));
    })
}

/// A caller that is known.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_known_node {
    /// Who the transport finds it to be: what is given as the identity when it is served.
    pub identity: zfsvol_str,
    /// The UUID of its node.
    pub node: zfsvol_str,
}

/// Binds what a caller says it is to who it is: only these may connect, each as its node; what they may do then, the policy `then` says. Without this, whoever may connect can say that it is any node, and push what that
/// node owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_policy_known_nodes(
    nodes: *const zfsvol_known_node,
    count: usize,
    then: *const zfsvol_policy,
    policy: *mut *mut zfsvol_policy,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(policy)?;
        let then = Shared(Arc::clone(caller.get(then)?));
        let nodes: Result<Vec<_>, Fault> = caller
            .array(nodes, count)?
            .iter()
            .map(|one| Ok((caller.text(one.identity)?, uuid(caller, one.node)?)))
            .collect();
        out.give(Arc::new(KnownNodes::new(nodes?, then)));
    })
}

/// What a caller wants: a `ZFSVOL_ACTION_...`. A newer library may ask about others: refuse those.
pub type zfsvol_action = u32;

/// To connect at all. There is no volume.
pub const ZFSVOL_ACTION_CONNECT: zfsvol_action = 0;
/// To see what there is of a volume. Changes nothing.
pub const ZFSVOL_ACTION_LOOK: zfsvol_action = 1;
/// To create or update the replica of it.
pub const ZFSVOL_ACTION_RECEIVE: zfsvol_action = 2;
/// To throw away what an interrupted receive saved.
pub const ZFSVOL_ACTION_ABORT_RECEIVE: zfsvol_action = 3;
/// To set the replica's properties, and keep what the next push begins from.
pub const ZFSVOL_ACTION_FINISH: zfsvol_action = 4;
/// To make this node its owner.
pub const ZFSVOL_ACTION_ACCEPT: zfsvol_action = 5;
/// To say that an offer is void. It changes the replica's epoch, and never the owner.
pub const ZFSVOL_ACTION_SETTLE: zfsvol_action = 6;

/// What a policy is asked. Lent to a callback.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_request {
    /// What is wanted.
    pub action: zfsvol_action,
    /// The UUID of the node that the caller says it is.
    pub node: zfsvol_str,
    /// Who the transport found it to be; empty where it did not say.
    pub identity: zfsvol_str,
    /// The UUID of the volume; `ZFSVOL_NONE` where there is none.
    pub volume_id: zfsvol_str,
    /// The name of the volume. It is asked about under the name that the caller gives it, and under the one that it has here if that is another.
    pub volume: zfsvol_str,
}

/// A policy of callbacks.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_policy_options {
    /// `sizeof(zfsvol_policy_options)`.
    pub size: usize,
    /// Given to each callback.
    pub context: *mut c_void,
    /// Whether it may. To refuse, it may write why to `reason`, UTF-8 ended by a NUL, of `reason_len` bytes at most: the caller is told. From any thread, several at once when several
    /// connections are served.
    pub permit: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            request: *const zfsvol_request,
            reason: *mut c_char,
            reason_len: usize,
        ) -> bool,
    >,
    /// The answers do not depend on the volume, which then is not looked up for this.
    pub ignores_volume: bool,
    /// Called once, when the context is no longer needed; NULL if nothing is to be done then.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_policy_options {
    const NAME: &'static str = "zfsvol_policy_options";
}

/// A policy of a callback, which is asked before anything is done. The context is released in any case, failure included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_policy_from_callbacks(
    options: *const zfsvol_policy_options,
    policy: *mut *mut zfsvol_policy,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let given = caller.options(options)?;
        let context = Context::new(given.context, given.release);
        let out = caller.out(policy)?;
        let permit = given.permit.ok_or_else(|| Fault::null("the function that permits"))?;
        out.give(Arc::new(Asking { context, permit, ignores_volume: given.ignores_volume }));
    })
}

/// Frees a policy; connections that are served by it keep it. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_policy_free(policy: *mut zfsvol_policy) {
    boundary!(or(), |caller| caller.free(policy)?);
}

/// A policy that C has too.
#[derive(Debug)]
struct Shared(Arc<dyn Policy>);

impl Policy for Shared {
    fn connect(&self, caller: &Peer) -> Verdict {
        self.0.connect(caller)
    }

    fn permit(&self, caller: &Peer, action: Action, volume: &VolumeId) -> Verdict {
        self.0.permit(caller, action, volume)
    }

    fn depends_on_volume(&self) -> bool {
        self.0.depends_on_volume()
    }
}

/// A policy of callbacks.
struct Asking {
    context: Context,
    permit: unsafe extern "C" fn(
        context: *mut c_void,
        request: *const zfsvol_request,
        reason: *mut c_char,
        reason_len: usize,
    ) -> bool,
    ignores_volume: bool,
}

impl Asking {
    fn ask(&self, caller: &Peer, action: zfsvol_action, volume: Option<&VolumeId>) -> Verdict {
        /// Room for a sentence, which goes into one frame with the rest of the answer.
        const REASON_BYTES: usize = 512;
        let node = caller.node.to_string();
        let id = volume.map(|volume| volume.id.to_string());
        let request = zfsvol_request {
            action,
            node: zfsvol_str::of(&node),
            identity: zfsvol_str::of(&caller.identity),
            volume_id: zfsvol_str::optional(id.as_deref()),
            volume: zfsvol_str::optional(volume.map(|volume| volume.name.as_str())),
        };
        let mut reason = [0_u8; REASON_BYTES];
        let place = reason.as_mut_ptr().cast::<c_char>();
        // SAFETY: C gave the function for this context; the request and the room for the reason live until it returns.
        let may = unsafe {
            (self.permit)(self.context.pointer(), &raw const request, place, REASON_BYTES)
        };
        if may {
            return Verdict::Allow;
        }
        let text = CStr::from_bytes_until_nul(&reason).map_or(&reason[..], CStr::to_bytes);
        match String::from_utf8_lossy(text) {
            text if text.is_empty() => Verdict::refuse("the node's policy does not permit it"),
            text => Verdict::refuse(text),
        }
    }
}

impl Policy for Asking {
    fn connect(&self, caller: &Peer) -> Verdict {
        self.ask(caller, ZFSVOL_ACTION_CONNECT, None)
    }

    fn permit(&self, caller: &Peer, action: Action, volume: &VolumeId) -> Verdict {
        let action = match action {
            Action::Look => ZFSVOL_ACTION_LOOK,
            Action::Receive => ZFSVOL_ACTION_RECEIVE,
            Action::AbortReceive => ZFSVOL_ACTION_ABORT_RECEIVE,
            Action::Finish => ZFSVOL_ACTION_FINISH,
            Action::Accept => ZFSVOL_ACTION_ACCEPT,
            Action::Settle => ZFSVOL_ACTION_SETTLE,
            other => return Verdict::refuse(format!("the policy knows no '{other}'")),
        };
        self.ask(caller, action, Some(volume))
    }

    fn depends_on_volume(&self) -> bool {
        !self.ignores_volume
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("ignores_volume", &self.ignores_volume)
            .finish_non_exhaustive()
    }
}
