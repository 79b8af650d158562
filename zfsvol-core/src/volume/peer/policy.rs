//! [`Policy`]: who may do what to which volume.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use super::VolumeId;

/// Who asks: what a [`Policy`] decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The node that the caller says it is. Everything that it pushes and hands over is taken for that node's.
    pub node: Uuid,
    /// Who the transport found it to be, as the embedder gave it: the name or fingerprint of a certificate, the user of an `ssh` key. Empty where it did not say.
    pub identity: String,
}

impl Caller {
    /// That node, with that identity.
    #[must_use]
    pub fn new(node: Uuid, identity: impl Into<String>) -> Self {
        Self { node, identity: identity.into() }
    }
}

/// What a caller wants to do to a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Action {
    /// See what there is of it. Changes nothing.
    Look,
    /// Create or update the replica of it.
    Receive,
    /// Throw away what an interrupted receive saved.
    AbortReceive,
    /// Set the replica's properties, and keep what the next push begins from.
    Finish,
    /// Make this node its owner.
    Accept,
    /// Say that an offer is void. It changes the replica's epoch, and never the owner.
    Settle,
}

impl Action {
    /// Every action.
    pub const ALL: &'static [Self] =
        &[Self::Look, Self::Receive, Self::AbortReceive, Self::Finish, Self::Accept, Self::Settle];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "look for",
            Self::Receive => "push",
            Self::AbortReceive => "abort the push of",
            Self::Finish => "finish the push of",
            Self::Accept => "hand over",
            Self::Settle => "settle the offer of",
        })
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not, and why: the caller is told.
    Refuse(String),
}

impl Verdict {
    /// It may not, because.
    #[must_use]
    pub fn refuse(reason: impl Into<String>) -> Self {
        Self::Refuse(reason.into())
    }
}

/// Who may do what to which volume. [`Node::serve`](crate::volume::Node::serve) asks it before anything is done, and tells the caller
/// [`ErrorKind::NotPermitted`](crate::ErrorKind::NotPermitted) when it refuses.
///
/// A volume is asked about under the name that the caller gives it, and under the one that it has here, if that is another: a push renames it.
///
/// ```
/// use zfsvol_core::volume::peer::{Action, Caller, Policy, Verdict, VolumeId};
///
/// /// Everybody may push, and only the operators hand over.
/// #[derive(Debug)]
/// struct Operators;
///
/// impl Policy for Operators {
///     fn permit(&self, caller: &Caller, action: Action, _volume: &VolumeId) -> Verdict {
///         if action == Action::Accept && caller.identity != "operator" {
///             return Verdict::refuse("only operators hand volumes over");
///         }
///         Verdict::Allow
///     }
/// }
/// ```
pub trait Policy: fmt::Debug + Send + Sync {
    /// Whether it may connect at all. Everybody may, unless this says otherwise.
    fn connect(&self, caller: &Caller) -> Verdict {
        let _ = caller;
        Verdict::Allow
    }

    /// Whether it may do that to a volume.
    fn permit(&self, caller: &Caller, action: Action, volume: &VolumeId) -> Verdict;

    /// Whether [`Self::permit`] looks at the volume. When it does not, the volume is not looked up for it, which takes a while on a node with thousands.
    fn depends_on_volume(&self) -> bool {
        true
    }
}

/// Everybody may do everything: where who can connect is trusted.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn permit(&self, _: &Caller, _: Action, _: &VolumeId) -> Verdict {
        Verdict::Allow
    }

    fn depends_on_volume(&self) -> bool {
        false
    }
}

/// Everybody may look, and nobody may change anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOnly;

impl Policy for ReadOnly {
    fn permit(&self, _: &Caller, action: Action, _: &VolumeId) -> Verdict {
        match action {
            Action::Look => Verdict::Allow,
            _ => Verdict::refuse("this node is read-only to its peers"),
        }
    }

    fn depends_on_volume(&self) -> bool {
        false
    }
}

/// Replicas only, and only of volumes in these namespaces: everybody may push those, and nobody may hand over.
#[derive(Clone, Debug, Default)]
pub struct Replicas {
    namespaces: BTreeSet<String>,
}

impl Replicas {
    /// Of volumes in these namespaces. The empty text stands for volumes that are in none.
    #[must_use]
    pub fn of<N: Into<String>>(namespaces: impl IntoIterator<Item = N>) -> Self {
        Self { namespaces: namespaces.into_iter().map(Into::into).collect() }
    }
}

impl Policy for Replicas {
    fn permit(&self, _: &Caller, action: Action, volume: &VolumeId) -> Verdict {
        let namespace = volume.name.namespace().unwrap_or_default();
        if !self.namespaces.contains(namespace) {
            return Verdict::refuse(match namespace {
                "" => "this node has no replicas of volumes without namespace".to_owned(),
                other => format!("this node has no replicas of the namespace '{other}'"),
            });
        }
        match action {
            Action::Accept => Verdict::refuse("this node has replicas only"),
            // That an offer is void is what an owner must be able to learn.
            _ => Verdict::Allow,
        }
    }
}

/// Binds what a caller says it is to who it is: only these identities may connect, each as its node; what they may do then, another policy says.
///
/// Without this, whoever may connect can say that it is any node, and push what that node owns.
#[derive(Clone, Debug)]
pub struct KnownNodes<P> {
    nodes: BTreeMap<String, Uuid>,
    policy: P,
}

impl<P: Policy> KnownNodes<P> {
    /// These identities, each with its node.
    #[must_use]
    pub fn new<I: Into<String>>(nodes: impl IntoIterator<Item = (I, Uuid)>, policy: P) -> Self {
        let nodes = nodes.into_iter().map(|(identity, node)| (identity.into(), node)).collect();
        Self { nodes, policy }
    }
}

impl<P: Policy> Policy for KnownNodes<P> {
    fn connect(&self, caller: &Caller) -> Verdict {
        match self.nodes.get(&caller.identity) {
            Some(node) if *node == caller.node => self.policy.connect(caller),
            Some(_) => Verdict::refuse(format!("it is not the node {}", caller.node)),
            None => Verdict::refuse("nobody knows it here"),
        }
    }

    fn permit(&self, caller: &Caller, action: Action, volume: &VolumeId) -> Verdict {
        self.policy.permit(caller, action, volume)
    }

    fn depends_on_volume(&self) -> bool {
        self.policy.depends_on_volume()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &dyn Policy, name: &str) -> Vec<Action> {
        let caller = Caller::new(Uuid::from_u128(1), "");
        let volume = VolumeId { id: Uuid::from_u128(2), name: name.parse().unwrap() };
        let all = Action::ALL.iter().copied();
        all.filter(|action| policy.permit(&caller, *action, &volume) == Verdict::Allow).collect()
    }

    #[test]
    fn each_policy_allows_what_it_says() {
        assert_eq!(allowed(&AllowAll, "a"), Action::ALL);
        assert_eq!(allowed(&ReadOnly, "a"), [Action::Look]);
        let replicas = Replicas::of(["shop"]);
        assert_eq!(allowed(&replicas, "a"), []);
        assert_eq!(allowed(&replicas, "other:a"), []);
        assert_eq!(
            allowed(&replicas, "shop:a"),
            [Action::Look, Action::Receive, Action::AbortReceive, Action::Finish, Action::Settle]
        );
        assert_eq!(allowed(&Replicas::of([""]), "a").len(), 5);
    }

    #[test]
    fn a_node_is_only_who_it_is() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let policy = KnownNodes::new([("one", one), ("two", two)], ReadOnly);
        assert_eq!(policy.connect(&Caller::new(one, "one")), Verdict::Allow);
        let refused = Verdict::refuse(format!("it is not the node {two}"));
        assert_eq!(policy.connect(&Caller::new(two, "one")), refused);
        assert_eq!(policy.connect(&Caller::new(one, "")), Verdict::refuse("nobody knows it here"));
        assert_eq!(allowed(&policy, "a"), [Action::Look]);
    }
}
