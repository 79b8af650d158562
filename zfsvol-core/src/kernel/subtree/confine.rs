//! What a request may ask for: its names, and the properties that would reach the host.

use std::path::Path;

use super::Subtree;
use crate::kernel::policy::{Place, Rule};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::nvlist::{NvList, Value};

/// Limits that the root's owner set, and where it is mounted: not for those inside to change.
const OF_THE_OWNER: &[&str] = &[
    "quota",
    "refquota",
    "reservation",
    "refreservation",
    "filesystem_limit",
    "snapshot_limit",
    "mountpoint",
];

/// Properties that make a dataset known to the network, or to zones and jails of the host.
const OF_THE_HOST: &[&str] = &["sharenfs", "sharesmb", "zoned", "zoned_uid", "jailed", "mlslabel"];

/// Room for the properties of one dataset, user properties included: those that do not fit make the request fail.
const STATS_BYTES: usize = 4 << 20;

/// No: the errno, and the reason where it is no secret.
struct No(Errno, Option<String>);

impl Subtree {
    /// Whether the request may pass.
    pub(super) fn check(
        &self,
        rule: &Rule,
        cmd: &mut Cmd,
        input: Option<&NvList>,
    ) -> Result<(), Errno> {
        let outside = self.outside(rule, cmd, input);
        if !outside.is_empty() {
            return Err(not_found(cmd, outside));
        }
        let checks = [
            self.check_root(rule.ioc, cmd),
            self.check_properties(rule.ioc, cmd, input),
            self.check_origin(rule.ioc, cmd),
        ];
        match checks.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some(No(errno, None)) => Err(errno),
            Some(No(errno, Some(reason))) => Err(cmd.refuse(errno, reason)),
        }
    }

    /// The names in the request that are not within.
    fn outside(&self, rule: &Rule, cmd: &Cmd, input: Option<&NvList>) -> Vec<String> {
        let mut outside = Vec::new();
        for &place in rule.places {
            let is_seen = |name: &String| match place {
                Place::Pool => *name == self.root.pool().as_str(),
                _ => self.is_within(name),
            };
            outside.extend(place.names(cmd, input).into_iter().filter(|name| !is_seen(name)));
        }
        outside
    }

    fn check_root(&self, ioc: Ioc, cmd: &Cmd) -> Result<(), No> {
        let replaces = matches!(ioc, Ioc::CREATE | Ioc::CLONE | Ioc::DESTROY | Ioc::RENAME);
        if replaces && cmd.name == self.root.as_str() {
            return Err(No(
                Errno::EPERM,
                Some("it is the root of what this door leads to, and stays".to_owned()),
            ));
        }
        Ok(())
    }

    fn check_properties(&self, ioc: Ioc, cmd: &Cmd, input: Option<&NvList>) -> Result<(), No> {
        let target = match (ioc, input) {
            // The properties of a receive are those of the dataset received into.
            (Ioc::RECV_NEW, Some(input)) => Place::Text("snapname").names(cmd, Some(input)),
            _ => vec![cmd.name.clone()],
        };
        let is_root = |name: &String| name.split('@').next() == Some(self.root.as_str());
        let on_root = target.iter().any(is_root);
        let check = |name: &str, value| self.check_property(on_root, name, value);
        match ioc {
            Ioc::INHERIT_PROP => check(&String::from_utf8_lossy(&cmd.value), None),
            Ioc::SET_PROP => pairs(input).try_for_each(|(name, value)| check(name, Some(value))),
            _ => pairs(input)
                .filter(|(name, _)| matches!(*name, "props" | "localprops"))
                .filter_map(|(_, value)| list(value))
                .flat_map(NvList::iter)
                .try_for_each(|(name, value)| check(name, Some(value))),
        }
    }

    /// `None` for a value that is inherited.
    fn check_property(&self, on_root: bool, name: &str, value: Option<&Value>) -> Result<(), No> {
        // A receive's `localprops` inherit by a flag, and OpenZFS also takes values wrapped in a list with their source.
        let value = match value {
            Some(Value::Boolean) => None,
            Some(Value::NvList(wrapped)) => wrapped.get("value"),
            other => other,
        };
        let refuse = |why: &str| {
            Err(No(Errno::EPERM, Some(format!("the property '{name}' {why}, beyond this door"))))
        };
        if on_root && OF_THE_OWNER.contains(&name) {
            return refuse("of the root is its owner's");
        }
        let text = match value {
            None => return Ok(()),
            Some(Value::String(text)) => text.as_str(),
            Some(_) => None,
        };
        let allowed = match name {
            "mountpoint" => text.is_some_and(|path| {
                matches!(path, "none" | "legacy") || self.may_mount_on(Path::new(path))
            }),
            _ => !OF_THE_HOST.contains(&name) || text == Some("off"),
        };
        if allowed { Ok(()) } else { refuse("acts on the host") }
    }

    /// A clone takes its origin's snapshots with it when it is promoted, and goes back to its origin when it is rolled back and has no snapshot
    /// of its own: they must be within. One whose origin is outside looks like no clone from here, and is answered like none.
    fn check_origin(&self, ioc: Ioc, cmd: &Cmd) -> Result<(), No> {
        let (property, answer) = match ioc {
            Ioc::PROMOTE => ("origin", Errno::EINVAL),
            Ioc::ROLLBACK => ("prevsnap", Errno::ESRCH),
            _ => return Ok(()),
        };
        let mut stats = Cmd::new(cmd.name.clone());
        stats.reply_max = STATS_BYTES;
        self.inner.ioctl(Ioc::OBJSET_STATS, &mut stats).map_err(|errno| No(errno, None))?;
        let stats = NvList::from_bytes(stats.reply()).map_err(|_| No(Errno::EPROTO, None))?;
        let snapshot = stats.get_list(property).and_then(|property| property.get_str("value"));
        if snapshot.is_none_or(|name| name.is_empty() || self.is_within(name)) {
            Ok(())
        } else {
            Err(No(answer, None))
        }
    }
}

/// What is outside is not there: `ENOENT`, in the form of the kernel's list of errors where there is room for one.
fn not_found(cmd: &mut Cmd, names: Vec<String>) -> Errno {
    if cmd.reply_max > 0 {
        let errors: NvList =
            names.into_iter().map(|name| (name, Value::Int32(Errno::ENOENT.0))).collect();
        // A list that does not fit is left out; the errno says it all.
        if let Ok(packed) = errors.to_bytes() {
            if cmd.put_reply(&packed).is_err() {
                return Errno::ENOENT;
            }
        }
    }
    Errno::ENOENT
}

fn pairs(input: Option<&NvList>) -> impl Iterator<Item = (&str, &Value)> {
    input.into_iter().flat_map(NvList::iter)
}

fn list(value: &Value) -> Option<&NvList> {
    match value {
        Value::NvList(list) => Some(list),
        _ => None,
    }
}
