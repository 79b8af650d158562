//! Everything there is on one side, as text that must be the same on the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use zfsvol_core::kernel::{Cmd, Errno, Ioc};
use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::stream::{ResumeToken, SendFlags};

use super::side::{REPLY_BYTES, Side};

/// Properties that are other numbers in another kernel, or in another file: times, places and identities.
const OF_ITS_OWN: &[&str] = &[
    "available",
    "creation",
    "ivsetguid",
    "objsetid",
    "snapshots_changed",
    "pbkdf2salt",
    "keyguid",
];
/// What is reckoned of metadata: how well it compresses, how it is laid out. The suite's cases about space compare it within bounds.
const SPACE: &[&str] = &["used", "referenced", "written", "ratio", "unique"];
/// Pool properties that are set, and not counted.
const OF_POOLS: &[&str] = &[
    "autoexpand",
    "autoreplace",
    "autotrim",
    "bootfs",
    "comment",
    "compatibility",
    "delegation",
    "failmode",
    "listsnapshots",
    "multihost",
];
/// Features that datasets, snapshots and bookmarks use.
const FEATURES: &[&str] = &[
    "bookmark_v2",
    "bookmark_written",
    "bookmarks",
    "encryption",
    "filesystem_limits",
    "large_blocks",
    "large_dnode",
    "redacted_datasets",
    "redaction_bookmarks",
    "zstd_compress",
];

/// See [`is_kept_twice`].
const KEPT_TWICE: &str = "redundant_metadata";

/// What there is on both sides, and what differs.
pub(super) fn compare(real: &Side, ours: &Side) -> Option<String> {
    let [real, ours] = [real, ours].map(everything);
    if real == ours {
        return None;
    }
    let mut text = String::new();
    let names: BTreeSet<&String> = real.keys().chain(ours.keys()).collect();
    for name in names {
        let (theirs, mine) = (real.get(name), ours.get(name));
        if theirs != mine {
            let [theirs, mine] = [theirs, mine].map(|it| it.map_or("not there", String::as_str));
            writeln!(text, "{name}\n    OpenZFS  {theirs}\n    embedded {mine}").expect("a string");
        }
    }
    Some(text)
}

/// Everything in the pool, by name and property.
fn everything(side: &Side) -> BTreeMap<String, String> {
    let mut walk =
        Walk { side, guids: BTreeMap::new(), txgs: BTreeMap::new(), found: BTreeMap::new() };
    walk.pool();
    walk.features();
    walk.dataset(&side.pool);
    // In the order of age, and not in transaction groups: how many pass is each kernel's own.
    for (rank, names) in walk.txgs.into_values().enumerate() {
        for name in names {
            walk.found.insert(name, rank.to_string());
        }
    }
    let pool = &side.pool;
    let found = walk.found.into_iter();
    found.map(|(name, value)| (name.replace(pool, "R"), value.replace(pool, "R"))).collect()
}

struct Walk<'a> {
    side: &'a Side,
    /// Each in the order it was met: the names are the same on both sides, so are the places.
    guids: BTreeMap<u64, usize>,
    /// What was created in each transaction group.
    txgs: BTreeMap<u64, Vec<String>>,
    found: BTreeMap<String, String>,
}

impl Walk<'_> {
    fn ask(&self, ioc: Ioc, name: &str, input: Option<&NvList>) -> Result<(Cmd, NvList), Errno> {
        let mut cmd = Cmd::new(name);
        cmd.input = input.map(|input| input.to_bytes().expect("packed"));
        cmd.reply_max = REPLY_BYTES;
        self.side.zfs.kernel().ioctl(ioc, &mut cmd)?;
        let list = NvList::from_bytes(cmd.reply()).expect("a list");
        Ok((cmd, list))
    }

    fn put(&mut self, name: &str, what: &str, value: impl Into<String>) {
        self.found.insert(format!("{name} {what}"), value.into());
    }

    fn guid(&mut self, guid: u64) -> String {
        let next = self.guids.len();
        format!("guid {}", self.guids.entry(guid).or_insert(next))
    }

    fn pool(&mut self) {
        let pool = self.side.pool.parse().expect("a pool");
        let found = self.side.zfs.pool_properties(&pool).expect("properties");
        for (name, property) in found {
            if OF_POOLS.contains(&name.as_str()) || name.starts_with("feature@") {
                self.put("pool", &name, format!("{} {:?}", property.value, property.source));
            }
        }
    }

    /// Whether anything uses them.
    fn features(&mut self) {
        let pool = self.side.pool.parse().expect("a pool");
        let status = self.side.zfs.pool_status(&pool).expect("a status");
        for name in FEATURES {
            self.put("pool", name, format!("{:?}", status.features.get(*name)));
        }
    }

    fn dataset(&mut self, name: &str) {
        self.properties(name);
        self.bookmarks(name);
        for snapshot in self.names(Ioc::SNAPSHOT_LIST_NEXT, name) {
            self.properties(&snapshot);
            match self.ask(Ioc::GET_HOLDS, &snapshot, None) {
                Ok((_, holds)) => {
                    let tags: BTreeSet<&str> = holds.iter().map(|(tag, _)| tag).collect();
                    self.put(&snapshot, "holds", format!("{tags:?}"));
                }
                Err(errno) => self.put(&snapshot, "holds", format!("{errno:?}")),
            }
        }
        for child in self.names(Ioc::DATASET_LIST_NEXT, name) {
            self.dataset(&child);
        }
    }

    /// The names one level below a dataset, sorted.
    fn names(&self, ioc: Ioc, of: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut cookie = 0;
        loop {
            let mut cmd = Cmd::new(of);
            cmd.cookie = cookie;
            cmd.simple = true;
            match self.side.zfs.kernel().ioctl(ioc, &mut cmd) {
                Ok(()) => found.insert(cmd.name),
                Err(Errno::ESRCH) => return found,
                Err(errno) => panic!("{ioc} of {of}: {errno}"),
            };
            cookie = cmd.cookie;
        }
    }

    fn properties(&mut self, name: &str) {
        let (cmd, list) = match self.ask(Ioc::OBJSET_STATS, name, None) {
            Ok(answer) => answer,
            Err(errno) => return self.put(name, "", format!("{errno:?}")),
        };
        let stats = &cmd.objset_stats;
        let flags = (stats.num_clones, stats.objset_type, stats.is_snapshot);
        let state = (stats.inconsistent, stats.redacted, &stats.origin);
        self.put(name, "is", format!("{flags:?} {state:?}"));
        for (property, value) in list.iter() {
            self.property(name, property, value);
        }
        if let Ok((_, mut received)) = self.ask(Ioc::OBJSET_RECVD_PROPS, name, None) {
            if is_kept_twice(&list, name) {
                received.remove(KEPT_TWICE);
            }
            self.put(name, "received", text_of(&received));
        }
    }

    fn bookmarks(&mut self, name: &str) {
        let wanted = ["guid", "createtxg", "redact_snaps", "redact_complete"];
        let mut input = NvList::new();
        for property in wanted {
            input.insert_flag(property);
        }
        let Ok((_, found)) = self.ask(Ioc::GET_BOOKMARKS, name, Some(&input)) else { return };
        let sorted: BTreeMap<&str, &Value> = found.iter().collect();
        for (bookmark, value) in sorted {
            let bookmark = format!("{name}#{bookmark}");
            self.put(&bookmark, "", "there");
            let Value::NvList(list) = value else { continue };
            for (property, value) in list.iter() {
                self.property(&bookmark, property, value);
            }
        }
    }

    fn property(&mut self, name: &str, property: &str, value: &Value) {
        let is_space = SPACE.iter().any(|part| property.contains(part));
        if is_space || OF_ITS_OWN.contains(&property) {
            return;
        }
        let inner = match value {
            Value::NvList(list) => list.get("value"),
            _ => None,
        };
        let text = match (property, inner) {
            ("guid", Some(Value::Uint64(guid))) => self.guid(*guid),
            ("createtxg", Some(Value::Uint64(txg))) => {
                self.txgs.entry(*txg).or_default().push(format!("{name} age"));
                return;
            }
            ("redact_snaps", Some(Value::Uint64Array(guids))) => {
                let guids: BTreeSet<String> = guids.iter().map(|guid| self.guid(*guid)).collect();
                format!("{guids:?}")
            }
            ("receive_resume_token", Some(Value::String(token))) => {
                let token: ResumeToken = token.to_string_lossy().parse().expect("a token");
                let guid = self.guid(token.to_guid.get());
                // How many bytes came says how well each compresses what it sends, so it is told in records.
                let packed = token.flags.intersects(SendFlags::COMPRESS | SendFlags::EMBED);
                let bytes = match packed {
                    true => format!("{:?}", self.side.places_of(&token)),
                    false => token.bytes.to_string(),
                };
                format!(
                    "{} {guid} since {} {}:{} after {} {:?}",
                    token.to_name,
                    token.from_guid.is_some(),
                    token.object,
                    token.offset,
                    bytes,
                    token.flags
                )
            }
            _ => value_text(value),
        };
        self.put(name, property, text);
    }
}

/// Whether a property has a local value that the module keeps under another name as well. Told as received is then that or the received one, whichever the hash
/// of the two names has come first (2.1 to 2.4 `module/zfs/dsl_prop.c`, dsl_prop_get_all_impl).
fn is_kept_twice(properties: &NvList, dataset: &str) -> bool {
    let found = properties.get_list(KEPT_TWICE);
    found.and_then(|list| list.get_str("source")) == Some(dataset)
}

/// A list as text, in the order of names.
pub(super) fn text_of(list: &NvList) -> String {
    let mut pairs: Vec<String> =
        list.iter().map(|(name, value)| format!("{name}={}", value_text(value))).collect();
    pairs.sort();
    format!("{{{}}}", pairs.join(", "))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::NvList(list) => text_of(list),
        Value::String(text) => format!("'{}'", text.to_string_lossy()),
        other => format!("{other:?}"),
    }
}
