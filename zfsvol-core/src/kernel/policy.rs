//! What each ioctl does, and where it says to what: the one table that the wrappers around the door decide by.
//!
//! Facts from OpenZFS 2.1 to 2.4 `module/zfs/zfs_ioctl.c`: the registrations at the end (which name is checked, what a read-only pool
//! refuses), the key tables above each handler, and the handlers themselves. An ioctl that is not in the table is refused by every wrapper.

use super::cmd::Cmd;
use super::ioc::Ioc;
use crate::nvlist::{NvList, Value};

/// Whether a request changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The pool, its datasets, and what the module keeps of them stay as they were.
    Reads,
    /// Something is not as it was: on disk, or for other users of the module.
    Changes,
    /// It reads if this pair of the input is `false`, and else it changes.
    ReadsIfFalse(&'static str),
    /// It reads if the input has this flag, and else it changes.
    ReadsIfFlag(&'static str),
}

/// How far a request can reach beyond the names in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To what it names and what is below that: it can be held to a part of a pool by checking its names.
    Named,
    /// To all of a pool, all pools, or by an object's number: checking names is not enough.
    Beyond,
}

/// Where in a request a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// [`Cmd::name`], a dataset, snapshot or bookmark.
    Name,
    /// [`Cmd::name`], the pool that the real names are in.
    Pool,
    /// [`Cmd::value`].
    Value,
    /// The string of that name in the input.
    Text(&'static str),
    /// The names of the pairs in the list of that name in the input.
    Keys(&'static str),
    /// The names of the pairs in the input itself.
    AllKeys,
    /// Those, and their values, which are strings.
    AllPairs,
    /// The string of that name in the input: the last part of a bookmark's name, of the dataset in [`Cmd::name`].
    Component(&'static str),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) ioc: Ioc,
    pub(super) effect: Effect,
    pub(super) reach: Reach,
    pub(super) places: &'static [Place],
}

/// The line of `ioc`; `None` for a number that this library does not know.
pub(super) fn rule(ioc: Ioc) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.ioc == ioc)
}

/// Every name in the request, in the order of [`Rule::places`]. Empty names are left out.
pub(super) fn names(ioc: Ioc, cmd: &Cmd, input: Option<&NvList>) -> Vec<String> {
    let places = rule(ioc).map_or(&[Name] as &[Place], |rule| rule.places);
    let mut names: Vec<String> = places.iter().flat_map(|place| place.names(cmd, input)).collect();
    names.retain(|name| !name.is_empty());
    names
}

impl Place {
    /// The names that stand in this place. A repeated pair counts each time: which of them the kernel takes is not for us to guess.
    pub(super) fn names(self, cmd: &Cmd, input: Option<&NvList>) -> Vec<String> {
        let pairs = || input.into_iter().flat_map(NvList::iter);
        match self {
            Self::Name | Self::Pool => vec![cmd.name.clone()],
            Self::Value => vec![String::from_utf8_lossy(&cmd.value).into_owned()],
            Self::Text(key) => {
                pairs().filter(|(name, _)| *name == key).filter_map(|(_, v)| text(v)).collect()
            }
            Self::Keys(key) => pairs()
                .filter(|(name, _)| *name == key)
                .flat_map(|(_, value)| keys(value))
                .collect(),
            Self::AllKeys => pairs().map(|(name, _)| name.to_owned()).collect(),
            Self::AllPairs => pairs()
                .flat_map(|(name, value)| std::iter::once(name.to_owned()).chain(text(value)))
                .collect(),
            Self::Component(key) => pairs()
                .filter(|(name, _)| *name == key)
                .filter_map(|(_, value)| text(value))
                .map(|last| format!("{}#{last}", dataset_part(&cmd.name)))
                .collect(),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    }
}

fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::NvList(list) => list.iter().map(|(name, _)| name.to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// The dataset that `name` is, or is a snapshot or bookmark of.
pub(super) fn dataset_part(name: &str) -> &str {
    name.split(['@', '#']).next().unwrap_or_default()
}

use Effect::{Changes, Reads, ReadsIfFalse, ReadsIfFlag};
use Place::{AllKeys, AllPairs, Component, Keys, Name, Pool, Text, Value as ValueField};
use Reach::{Beyond, Named};

const fn row(ioc: Ioc, effect: Effect, reach: Reach, places: &'static [Place]) -> Rule {
    Rule { ioc, effect, reach, places }
}

/// Every ioctl, in the order of its number.
const TABLE: &[Rule] = &[
    row(Ioc::POOL_CREATE, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_DESTROY, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_IMPORT, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_EXPORT, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_CONFIGS, Reads, Beyond, &[]),
    row(Ioc::POOL_STATS, Reads, Beyond, &[Pool]),
    // Opens the devices for reading, under a name of its own, and closes them.
    row(Ioc::POOL_TRYIMPORT, Reads, Beyond, &[]),
    row(Ioc::POOL_SCAN, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_FREEZE, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_UPGRADE, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_GET_HISTORY, Reads, Beyond, &[Pool]),
    row(Ioc::VDEV_ADD, Changes, Beyond, &[Pool]),
    row(Ioc::VDEV_REMOVE, Changes, Beyond, &[Pool]),
    row(Ioc::VDEV_SET_STATE, Changes, Beyond, &[Pool]),
    row(Ioc::VDEV_ATTACH, Changes, Beyond, &[Pool]),
    row(Ioc::VDEV_DETACH, Changes, Beyond, &[Pool]),
    row(Ioc::VDEV_SETPATH, Changes, Beyond, &[Pool]),
    row(Ioc::VDEV_SETFRU, Changes, Beyond, &[Pool]),
    row(Ioc::OBJSET_STATS, Reads, Named, &[Name]),
    row(Ioc::OBJSET_ZPLPROPS, Reads, Named, &[Name]),
    row(Ioc::DATASET_LIST_NEXT, Reads, Named, &[Name]),
    row(Ioc::SNAPSHOT_LIST_NEXT, Reads, Named, &[Name]),
    row(Ioc::SET_PROP, Changes, Named, &[Name]),
    row(Ioc::CREATE, Changes, Named, &[Name]),
    row(Ioc::DESTROY, Changes, Named, &[Name]),
    row(Ioc::ROLLBACK, Changes, Named, &[Name, Text("target")]),
    row(Ioc::RENAME, Changes, Named, &[Name, ValueField]),
    // The receive of old: RECV_NEW does all it does, and has its names in one place.
    row(Ioc::RECV, Changes, Beyond, &[Name, ValueField]),
    // Writes to the caller's descriptor and nowhere else, but takes snapshots by object number.
    row(Ioc::SEND, Reads, Beyond, &[Name]),
    row(Ioc::INJECT_FAULT, Changes, Beyond, &[Pool]),
    row(Ioc::CLEAR_FAULT, Changes, Beyond, &[]),
    row(Ioc::INJECT_LIST_NEXT, Reads, Beyond, &[]),
    row(Ioc::ERROR_LOG, Reads, Beyond, &[Pool]),
    row(Ioc::CLEAR, Changes, Beyond, &[Pool]),
    // The names say nothing of the origin, whose snapshots move: `Subtree` looks at it beforehand.
    row(Ioc::PROMOTE, Changes, Named, &[Name]),
    row(Ioc::SNAPSHOT, Changes, Named, &[Pool, Keys("snaps")]),
    // Answers for any object of the pool.
    row(Ioc::DSOBJ_TO_DSNAME, Reads, Beyond, &[Pool]),
    row(Ioc::OBJ_TO_PATH, Reads, Named, &[Name]),
    row(Ioc::POOL_SET_PROPS, Changes, Beyond, &[Pool]),
    // `Subtree` lets through what says where file systems are mounted, and no more.
    row(Ioc::POOL_GET_PROPS, Reads, Named, &[Pool]),
    // Hands rights to users who do not come through this door.
    row(Ioc::SET_FSACL, Changes, Beyond, &[Name]),
    // Answers with what is granted on the parents too.
    row(Ioc::GET_FSACL, Reads, Beyond, &[Name]),
    row(Ioc::SHARE, Changes, Beyond, &[Name]),
    row(Ioc::INHERIT_PROP, Changes, Named, &[Name]),
    row(Ioc::SMB_ACL, Changes, Beyond, &[Name]),
    row(Ioc::USERSPACE_ONE, Reads, Named, &[Name]),
    row(Ioc::USERSPACE_MANY, Reads, Named, &[Name]),
    row(Ioc::USERSPACE_UPGRADE, Changes, Named, &[Name]),
    row(Ioc::HOLD, Changes, Named, &[Pool, Keys("holds")]),
    row(Ioc::RELEASE, Changes, Named, &[Pool, AllKeys]),
    row(Ioc::GET_HOLDS, Reads, Named, &[Name]),
    row(Ioc::OBJSET_RECVD_PROPS, Reads, Named, &[Name]),
    row(Ioc::VDEV_SPLIT, Changes, Beyond, &[Pool]),
    row(Ioc::NEXT_OBJ, Reads, Named, &[Name]),
    row(Ioc::DIFF, Reads, Named, &[Name, ValueField]),
    row(Ioc::TMP_SNAPSHOT, Changes, Named, &[Name]),
    row(Ioc::OBJ_TO_STATS, Reads, Named, &[Name]),
    row(Ioc::SPACE_WRITTEN, Reads, Named, &[Name, ValueField]),
    row(Ioc::SPACE_SNAPS, Reads, Named, &[Name, Text("firstsnap")]),
    row(Ioc::DESTROY_SNAPS, Changes, Named, &[Pool, Keys("snaps")]),
    row(Ioc::POOL_REGUID, Changes, Beyond, &[Pool]),
    // The devices are closed and opened again: what was missing may come back.
    row(Ioc::POOL_REOPEN, Changes, Beyond, &[Pool]),
    row(Ioc::SEND_PROGRESS, Reads, Named, &[Name]),
    row(Ioc::LOG_HISTORY, Changes, Beyond, &[]),
    row(Ioc::SEND_NEW, Reads, Named, &[Name, Text("fromsnap"), Component("redactbook")]),
    row(
        Ioc::SEND_SPACE,
        Reads,
        Named,
        &[Name, Text("from"), Text("fromsnap"), Component("redactbook")],
    ),
    row(Ioc::CLONE, Changes, Named, &[Name, Text("origin")]),
    row(Ioc::BOOKMARK, Changes, Named, &[Pool, AllPairs]),
    row(Ioc::GET_BOOKMARKS, Reads, Named, &[Name]),
    row(Ioc::DESTROY_BOOKMARKS, Changes, Named, &[Pool, AllKeys]),
    row(Ioc::RECV_NEW, Changes, Named, &[Name, Text("snapname"), Text("origin")]),
    // What was written before is on disk sooner, and nothing else; a read-only pool refuses it all the same, and so do we.
    row(Ioc::POOL_SYNC, Changes, Beyond, &[Pool]),
    // Not in syncing context a program can only look, but it looks at the whole pool.
    row(Ioc::CHANNEL_PROGRAM, ReadsIfFalse("sync"), Beyond, &[Pool]),
    // With `noop` the key is tried and not kept.
    row(Ioc::LOAD_KEY, ReadsIfFlag("noop"), Named, &[Name]),
    row(Ioc::UNLOAD_KEY, Changes, Named, &[Name]),
    row(Ioc::CHANGE_KEY, Changes, Named, &[Name]),
    // Does nothing any more, and did something once.
    row(Ioc::REMAP, Changes, Beyond, &[Name]),
    row(Ioc::POOL_CHECKPOINT, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_DISCARD_CHECKPOINT, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_INITIALIZE, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_TRIM, Changes, Beyond, &[Pool]),
    row(Ioc::REDACT, Changes, Named, &[Name, Keys("snapnv"), Component("bookname")]),
    row(Ioc::GET_BOOKMARK_PROPS, Reads, Named, &[Name]),
    row(Ioc::WAIT, Reads, Beyond, &[Pool]),
    row(Ioc::WAIT_FS, Reads, Named, &[Name]),
    row(Ioc::VDEV_GET_PROPS, Reads, Beyond, &[Pool]),
    row(Ioc::VDEV_SET_PROPS, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_SCRUB, Changes, Beyond, &[Pool]),
    // Fills a cache.
    row(Ioc::POOL_PREFETCH, Reads, Beyond, &[Pool]),
    row(Ioc::DDT_PRUNE, Changes, Beyond, &[Pool]),
    row(Ioc::POOL_CONDENSE, Changes, Beyond, &[Pool]),
    // Moves the reader's own place in the queue.
    row(Ioc::EVENTS_NEXT, Reads, Beyond, &[]),
    // Takes the events from all readers.
    row(Ioc::EVENTS_CLEAR, Changes, Beyond, &[]),
    row(Ioc::EVENTS_SEEK, Reads, Beyond, &[]),
    row(Ioc::USERNS_ATTACH, Changes, Beyond, &[Name]),
    row(Ioc::USERNS_DETACH, Changes, Beyond, &[Name]),
    row(Ioc::SET_BOOTENV, Changes, Beyond, &[Pool]),
    row(Ioc::GET_BOOTENV, Reads, Beyond, &[Pool]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ioctl_has_one_line_in_the_order_of_numbers() {
        assert!(TABLE.iter().map(|rule| rule.ioc).eq(Ioc::all()));
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        let list = |pairs: &[&str]| {
            Value::from(pairs.iter().map(|&name| (name, Value::Boolean)).collect::<NvList>())
        };
        let names = |ioc: Ioc, cmd: Cmd, input: NvList| {
            let mut cmd = cmd;
            cmd.input = Some(input.to_bytes().unwrap());
            cmd.names(ioc)
        };
        let input: NvList = [("snaps", list(&["t/a@1", "t/b@1"]))].into_iter().collect();
        assert_eq!(names(Ioc::SNAPSHOT, Cmd::new("t"), input), ["t", "t/a@1", "t/b@1"]);
        let input: NvList = [("t/a#b", "t/a@1")].into_iter().collect();
        assert_eq!(names(Ioc::BOOKMARK, Cmd::new("t"), input), ["t", "t/a#b", "t/a@1"]);
        let input: NvList = [("fromsnap", "t/x#1"), ("redactbook", "r")].into_iter().collect();
        assert_eq!(names(Ioc::SEND_NEW, Cmd::new("t/a@2"), input), ["t/a@2", "t/x#1", "t/a#r"]);
        let mut rename = Cmd::new("t/a");
        rename.value = b"t/b".to_vec();
        assert_eq!(rename.names(Ioc::RENAME), ["t/a", "t/b"]);
        let mut broken = Cmd::new("t");
        broken.input = Some(vec![1, 2, 3]);
        assert_eq!(broken.names(Ioc::SNAPSHOT), ["t"]);
    }
}
