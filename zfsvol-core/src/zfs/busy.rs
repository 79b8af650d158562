//! Why something is busy: what the kernel's bare `EBUSY` or `EEXIST` does not say, asked for afterwards.

use super::Zfs;
use super::call::{Operation, REPLY_BYTES_FIRST};
use crate::error::{BusyReason, Error, ErrorKind, Failure};
use crate::kernel::{Cmd, Errno, Ioc, ObjsetStats};
use crate::name::Entity;
use crate::nvlist::{NvList, Value};

/// Most children named as a reason. A message shows three; a caller that wants all lists them.
const CHILDREN_MAX: usize = 16;

/// Most failures of a batch that are looked into, each for a handful of ioctls: enough for a person to see the pattern.
const EXPLAINED_MAX: usize = 16;

/// What asks here never surfaces in an error: a reason that cannot be found is left out.
const fn ask(ioc: Ioc) -> Operation {
    Operation::new(ioc, "look for what keeps it busy")
}

impl Zfs {
    /// What uses a dataset or snapshot now and could keep it from being destroyed, renamed or rolled back: user holds and clones of a snapshot;
    /// mounts, an unfinished receive, and what lies below a dataset (at most the first 16).
    ///
    /// Best effort, and a look at one moment: what this process may not see is left out, a mount in another mount namespace among it. An
    /// open device of a zvol cannot be seen either; after a refusal it is concluded, see [`Error::busy`]. Errors of operations that
    /// were refused for being busy carry these reasons already.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`, `ZFS_IOC_GET_HOLDS`, `ZFS_IOC_DATASET_LIST_NEXT` and `ZFS_IOC_SNAPSHOT_LIST_NEXT`, 40 in all at most, and
    /// reads the table of mounts.
    pub fn busy_reasons(&self, name: &impl Entity) -> Vec<BusyReason> {
        let name = name.as_ref();
        if name.contains('@') { self.snapshot_reasons(name) } else { self.dataset_reasons(name) }
    }

    /// `error` with the reasons why `name` is busy, if that is its kind.
    pub(super) fn explain_busy(&self, error: Error, name: &str) -> Error {
        if error.kind() != ErrorKind::Busy || !error.busy().is_empty() {
            return error;
        }
        let reasons = self.reasons_of(name, error.operation(), error.errno());
        let unexplained = reasons.is_empty() && error.errno() == Some(Errno::EBUSY);
        let advice = reasons.first().and_then(advice);
        let error = error.with_busy(reasons);
        if error.help().is_some() {
            return error;
        }
        match advice {
            _ if unexplained => error.with_help(
                "nothing this process can see uses it: look for a mount in another mount namespace, and for a running send or receive",
            ),
            Some(advice) => error.with_help(advice),
            None => error,
        }
    }

    /// `error` with the reasons for each name of its batch that is busy, the first 16 of them.
    pub(super) fn explain_busy_batch(&self, error: Error) -> Error {
        if error.failures().is_empty() {
            return match error.target().map(ToOwned::to_owned) {
                Some(target) => self.explain_busy(error, &target),
                None => error,
            };
        }
        let mut failures = error.failures().to_vec();
        let busy =
            |failure: &&mut Failure| failure.kind == ErrorKind::Busy && failure.busy.is_empty();
        for failure in failures.iter_mut().filter(busy).take(EXPLAINED_MAX) {
            failure.busy = self.reasons_of(&failure.name, error.operation(), Some(failure.errno));
        }
        let omitted = error.failures_omitted();
        error.with_failures(failures, omitted)
    }

    /// The reasons that can have caused this errno of this operation: a snapshot does not keep a key loaded.
    fn reasons_of(&self, name: &str, operation: &str, errno: Option<Errno>) -> Vec<BusyReason> {
        let destroy = operation.starts_with("destroy");
        let roll_back = operation.starts_with("roll back");
        if roll_back && errno == Some(Errno::EEXIST) {
            return self.newer_snapshots(name).into_iter().collect();
        }
        // A rollback is named by the snapshot it goes to, and what is in use is the dataset.
        let name = if roll_back { name.split('@').next().unwrap_or(name) } else { name };
        let mut reasons = match (name.contains('@'), operation.contains("key")) {
            (true, _) => self.snapshot_reasons(name),
            (false, true) => self.mounted(name, Reach::Tree).into_iter().collect(),
            (false, false) => self.dataset_reasons(name),
        };
        reasons.retain(|reason| match reason {
            BusyReason::Holds(_) | BusyReason::Clones(_) => destroy,
            BusyReason::Children(_) => destroy || errno == Some(Errno::EEXIST),
            BusyReason::Receiving | BusyReason::ReceivePending(_) => errno != Some(Errno::EEXIST),
            _ => errno == Some(Errno::EBUSY),
        });
        if reasons.is_empty() && errno == Some(Errno::EBUSY) {
            reasons.extend(self.open_device(name));
        }
        reasons
    }

    fn snapshot_reasons(&self, snapshot: &str) -> Vec<BusyReason> {
        let clones = self.stats(snapshot).and_then(|(_, stats)| {
            let names = stats.get_list("clones")?.get_list("value")?;
            some(sorted(names))
        });
        self.hold_tags(snapshot)
            .map(BusyReason::Holds)
            .into_iter()
            .chain(clones.map(BusyReason::Clones))
            .chain(self.mounted(snapshot, Reach::Itself))
            .collect()
    }

    fn dataset_reasons(&self, dataset: &str) -> Vec<BusyReason> {
        let receive = self.stats(dataset).and_then(|(cmd, stats)| {
            let token = stats.get_list("receive_resume_token").and_then(|p| p.get_str("value"));
            match token {
                Some(token) => Some(BusyReason::ReceivePending(token.to_owned())),
                None => self.is_receiving(dataset, &cmd).then_some(BusyReason::Receiving),
            }
        });
        let mut children = self.names_in(Ioc::DATASET_LIST_NEXT, dataset, 0);
        children.extend(self.names_in(Ioc::SNAPSHOT_LIST_NEXT, dataset, 0));
        children.truncate(CHILDREN_MAX);
        receive
            .into_iter()
            .chain(self.mounted(dataset, Reach::Itself))
            .chain(some(children).map(BusyReason::Children))
            .collect()
    }

    /// A receive of an increment fills the hidden child `%recv`; one of a whole dataset, that dataset (OpenZFS `dmu_recv_begin`).
    fn is_receiving(&self, dataset: &str, cmd: &Cmd) -> bool {
        let unfinished = |cmd: &Cmd| cmd.objset_stats.inconsistent;
        unfinished(cmd)
            || self.stats(&format!("{dataset}/%recv")).is_some_and(|(cmd, _)| unfinished(&cmd))
    }

    /// The statistics of `name`: the bare ones, and the list `property: {value, source}`.
    fn stats(&self, name: &str) -> Option<(Cmd, NvList)> {
        let mut cmd = Cmd::new(name);
        cmd.reply_max = REPLY_BYTES_FIRST;
        let stats = self.call_cmd(ask(Ioc::OBJSET_STATS), &mut cmd).ok()?;
        Some((cmd, stats))
    }

    /// The tags a snapshot is held with.
    fn hold_tags(&self, snapshot: &str) -> Option<Vec<String>> {
        let holds = self.call(ask(Ioc::GET_HOLDS), snapshot, &NvList::new()).ok()?;
        some(sorted(&holds))
    }

    /// Where `name` is mounted, or a snapshot of it, or with [`Reach::Tree`] anything below it.
    fn mounted(&self, name: &str, reach: Reach) -> Option<BusyReason> {
        let mounts = self.kernel.host().mounts().ok()?;
        let concerns = |dataset: &str| {
            dataset.strip_prefix(name).is_some_and(|rest| {
                rest.is_empty()
                    || rest.starts_with('@')
                    || (reach == Reach::Tree && rest.starts_with('/'))
            })
        };
        let paths = mounts.iter().filter(|mount| concerns(&mount.dataset));
        some(paths.map(|mount| mount.path.display().to_string()).collect()).map(BusyReason::Mounted)
    }

    /// Snapshots made after `snapshot`, which a rollback to it would lose.
    fn newer_snapshots(&self, snapshot: &str) -> Option<BusyReason> {
        let (dataset, _) = snapshot.split_once('@')?;
        let (cmd, _) = self.stats(snapshot)?;
        let after = cmd.objset_stats.creation_txg.saturating_add(1);
        some(self.names_in(Ioc::SNAPSHOT_LIST_NEXT, dataset, after)).map(BusyReason::Newer)
    }

    /// The first children or snapshots of a dataset, in the kernel's order.
    fn names_in(&self, ioc: Ioc, dataset: &str, txg_min: u64) -> Vec<String> {
        let mut range = NvList::new();
        range.insert("snap_iter_min_txg", Value::Uint64(txg_min));
        let range = (txg_min > 0).then(|| range.to_bytes().ok()).flatten();
        let mut names = Vec::new();
        let mut cookie = 0;
        while names.len() < CHILDREN_MAX {
            let mut cmd = Cmd::new(dataset);
            cmd.input.clone_from(&range);
            cmd.simple = true;
            cmd.cookie = cookie;
            if self.call_cmd(ask(ioc), &mut cmd).is_err() {
                break;
            }
            cookie = cmd.cookie;
            names.push(cmd.name);
        }
        names
    }

    /// A zvol that is busy with nothing else has its device open: the kernel keeps it so from the first open to the last close.
    fn open_device(&self, name: &str) -> Option<BusyReason> {
        let (cmd, _) = self.stats(name)?;
        let stats = &cmd.objset_stats;
        (stats.objset_type == ObjsetStats::ZVOL && !stats.is_snapshot)
            .then(|| BusyReason::DeviceOpen(format!("/dev/zvol/{name}")))
    }
}

/// How far a mount may be from the name it is a reason for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The dataset and its snapshots.
    Itself,
    /// Everything below it as well.
    Tree,
}

/// What to do about a reason, where the errno alone does not say it.
fn advice(reason: &BusyReason) -> Option<&'static str> {
    Some(match reason {
        BusyReason::Mounted(_) => "unmount it",
        BusyReason::DeviceOpen(_) => "close the device",
        BusyReason::Receiving => "wait for the receive to end, or cancel it",
        BusyReason::ReceivePending(_) => "resume the receive, or abort it",
        BusyReason::Holds(_)
        | BusyReason::Clones(_)
        | BusyReason::Children(_)
        | BusyReason::Newer(_) => return None,
    })
}

/// The names in a list. The kernel's order is that of a hash.
fn sorted(list: &NvList) -> Vec<String> {
    let mut names: Vec<String> = list.iter().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}

fn some(names: Vec<String>) -> Option<Vec<String>> {
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::MountEntry;
    use crate::kernel::stub::{Stub, answer};

    /// `tank/a` is mounted, has a child and two snapshots; `tank/a@held` is held and cloned; `tank/z` is a zvol.
    fn zfs() -> Zfs {
        let stub = Stub::new(|ioc, cmd| match (ioc, cmd.name.as_str()) {
            (Ioc::OBJSET_STATS, "tank/a") => answer(cmd, [("used", value(1_u64))]),
            (Ioc::OBJSET_STATS, "tank/a@held") => {
                cmd.objset_stats.creation_txg = 7;
                let clones: NvList = [("tank/c", Value::Boolean)].into_iter().collect();
                answer(cmd, [("clones", value(clones))])
            }
            (Ioc::OBJSET_STATS, "tank/z") => {
                cmd.objset_stats.objset_type = ObjsetStats::ZVOL;
                answer(cmd, [("volsize", value(1_u64))])
            }
            (Ioc::OBJSET_STATS, "tank/r") => {
                answer(cmd, [("receive_resume_token", value("1-2-3"))])
            }
            (Ioc::OBJSET_STATS, "tank/n" | "tank/n/%recv") => {
                cmd.objset_stats.inconsistent = cmd.name.ends_with("%recv");
                answer::<NvList>(cmd, [])
            }
            (Ioc::GET_HOLDS, "tank/a@held") => answer(cmd, [("backup", 17_u64)]),
            (Ioc::DATASET_LIST_NEXT, "tank/a") => next(cmd, &["tank/a/b"]),
            (Ioc::SNAPSHOT_LIST_NEXT, "tank/a") if cmd.input.is_some() => {
                next(cmd, &["tank/a@new"])
            }
            (Ioc::SNAPSHOT_LIST_NEXT, "tank/a") => next(cmd, &["tank/a@held", "tank/a@new"]),
            (Ioc::DATASET_LIST_NEXT, "tank/many") => next(cmd, &["tank/many/x"; 1000]),
            (Ioc::DATASET_LIST_NEXT | Ioc::SNAPSHOT_LIST_NEXT, _) => Err(Errno::ESRCH),
            _ => Err(Errno::ENOENT),
        });
        Zfs::new(stub.with_mounts([
            MountEntry::new("tank/a", "/a", "rw"),
            MountEntry::new("tank/a/b", "/a/b", "rw"),
            MountEntry::new("tank/ab", "/ab", "rw"),
        ]))
    }

    fn value(value: impl Into<Value>) -> NvList {
        [("value", value.into())].into_iter().collect()
    }

    fn next(cmd: &mut Cmd, names: &[&str]) -> Result<(), Errno> {
        let place = usize::try_from(cmd.cookie).unwrap();
        cmd.name = (*names.get(place).ok_or(Errno::ESRCH)?).to_owned();
        cmd.cookie += 1;
        Ok(())
    }

    fn refused(operation: &'static str, errno: Errno) -> Error {
        Error::new(ErrorKind::Busy, operation, "it is busy").with_errno(errno)
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_snapshot_is_busy_with_holds_and_clones() {
        let error = zfs().explain_busy(
            refused("destroy", Errno::EBUSY).with_target("tank/a@held"),
            "tank/a@held",
        );
        assert_eq!(
            error.to_string(),
            "cannot destroy 'tank/a@held': it is held by 'backup', and it has the clone 'tank/c' (EBUSY)"
        );
    }

    #[test]
    fn a_dataset_is_busy_with_mounts_and_what_is_below_it() {
        let busy = zfs().busy_reasons(&"tank/a".parse::<crate::DatasetName>().unwrap());
        let below = strings(&["tank/a/b", "tank/a@held", "tank/a@new"]);
        assert_eq!(busy, [BusyReason::Mounted(strings(&["/a"])), BusyReason::Children(below)]);
    }

    #[test]
    fn only_what_can_cause_the_refusal_is_named() {
        let zfs = zfs();
        let busy = |operation, errno, name: &str| {
            zfs.explain_busy(refused(operation, errno), name).busy().to_vec()
        };
        let below = strings(&["tank/a/b", "tank/a@held", "tank/a@new"]);
        assert_eq!(busy("destroy", Errno::EEXIST, "tank/a"), [BusyReason::Children(below)]);
        assert_eq!(
            busy("unload the key of", Errno::EBUSY, "tank/a"),
            [BusyReason::Mounted(strings(&["/a", "/a/b"]))]
        );
        assert_eq!(
            busy("roll back", Errno::EEXIST, "tank/a@held"),
            [BusyReason::Newer(strings(&["tank/a@new"]))]
        );
        assert_eq!(
            busy("destroy", Errno::EBUSY, "tank/z"),
            [BusyReason::DeviceOpen("/dev/zvol/tank/z".into())]
        );
        assert_eq!(
            busy("destroy", Errno::EBUSY, "tank/r"),
            [BusyReason::ReceivePending("1-2-3".into())]
        );
        assert_eq!(busy("snapshot", Errno::ETXTBSY, "tank/n"), [BusyReason::Receiving]);
    }

    #[test]
    fn what_cannot_be_explained_says_where_to_look() {
        let error = zfs().explain_busy(refused("destroy", Errno::EBUSY), "tank/unknown");
        assert!(error.busy().is_empty());
        assert_eq!(
            error.to_string(),
            "cannot destroy: it is busy (EBUSY); nothing this process can see uses it: look for a mount in another mount namespace, \
             and for a running send or receive"
        );
    }

    #[test]
    fn errors_of_another_kind_are_left_alone() {
        let error = zfs().explain_busy(Error::new(ErrorKind::NoSpace, "destroy", ""), "tank/a");
        assert!(error.busy().is_empty());
        assert_eq!(error.help(), None);
    }

    #[test]
    fn a_batch_is_explained_name_by_name_up_to_a_limit() {
        let failure = |name: String| Failure {
            name,
            kind: ErrorKind::Busy,
            errno: Errno::EBUSY,
            reason: "it is busy".into(),
            busy: Vec::new(),
        };
        let names = (0..EXPLAINED_MAX + 3).map(|_| failure("tank/a@held".into())).collect();
        let error =
            zfs().explain_busy_batch(refused("destroy", Errno::EBUSY).with_failures(names, 2));
        let explained = error.failures().iter().filter(|failure| !failure.busy.is_empty()).count();
        assert_eq!(explained, EXPLAINED_MAX);
        assert_eq!(error.failures_omitted(), 2);
    }

    #[test]
    fn children_without_end_are_not_followed() {
        let reasons = zfs().busy_reasons(&"tank/many".parse::<crate::DatasetName>().unwrap());
        assert_eq!(reasons, [BusyReason::Children(vec!["tank/many/x".into(); CHILDREN_MAX])]);
    }
}
