//! The embedded kernel beside the module: the same random requests to both, and the same answers from both.
//!
//! `ZFSVOL_SEED` and `ZFSVOL_STEPS` choose the sequence. Names come from a small set, so that they collide.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;

use zfsvol_core::embedded::{Embedded, Release};
use zfsvol_core::kernel::{Cmd, Errno, Ioc};
use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::{Bytes, Zfs};

use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(both_kernels_answer_the_same_to_the_same_requests)
            .needs(Need::RealModule)
            .needs(Need::Root)
            .needs(Need::Speed),
    ]
}

/// Steps of a run where nothing else is said.
const STEPS: u64 = 400;
/// What each tree begins with.
const BEGIN: [&str; 5] = ["a", "a/a", "b", "a/b", "c"];
/// Steps between two comparisons of everything.
const LOOK_EVERY: u64 = 10;
/// Differences that end a run.
const DIFFERENCES_MAX: usize = 12;
/// How much of what was done before is told with a difference.
const TOLD: usize = 30;
/// Room for every answer.
const REPLY_BYTES: usize = 1 << 20;

/// Properties that are other numbers in another kernel, or in a pool of another size.
const OF_ITS_OWN: &[&str] =
    &["available", "createtxg", "creation", "guid", "ivsetguid", "objsetid", "snapshots_changed"];

fn both_kernels_answer_the_same_to_the_same_requests(world: &World) {
    let number = |name: &str, default| {
        env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seed, steps) = (number("ZFSVOL_SEED", 1), number("ZFSVOL_STEPS", STEPS));
    let release = match world.release() {
        (2, 1) => Release::V2_1,
        (2, 4) => Release::V2_4,
        _ => Release::V2_3,
    };
    let mut differences = Vec::new();
    let mut round = 0;
    let mut left = steps;
    // Of its own: what other cases have put to use in a pool shows in all its datasets.
    let pool = world.new_pool("alike", Bytes::from_gib(2));
    let ours = Zfs::new(
        Embedded::builder().release(release).pool(pool.as_str(), Bytes::from_gib(4)).build(),
    );
    let none: NvList = [("mountpoint", "none")].into_iter().collect();
    let mut cmd = Cmd::new(pool.as_str());
    cmd.input = Some(none.to_bytes().expect("packed"));
    ours.kernel().ioctl(Ioc::SET_PROP, &mut cmd).expect("a pool like the other");
    while left > 0 && differences.len() < DIFFERENCES_MAX {
        let root = format!("{pool}/r{round}");
        let pair = Pair { real: world.zfs().clone(), ours: ours.clone(), root };
        pair.begin();
        let mut random = Random(seed ^ (round << 32));
        let mut told: Vec<String> = Vec::new();
        // After a difference the two have gone apart: a new pair of trees goes on.
        while left > 0 {
            left -= 1;
            // Something to begin with; what is asked then often exists.
            let request = match told.len() {
                step if step < BEGIN.len() => pair.create(BEGIN[step]),
                _ => pair.request(&mut random),
            };
            told.push(request.to_string());
            let mut difference = pair.step(&request).err();
            if difference.is_none() && (left % LOOK_EVERY == 0 || left == 0) {
                difference = pair.look().err();
            }
            if let Some(difference) = difference {
                let first = told.len().saturating_sub(TOLD);
                let told = told[first..].join("\n    ");
                let difference = format!("{difference}\n  after\n    {told}");
                differences.push(difference.replace(&pair.root, "R"));
                break;
            }
        }
        round += 1;
    }
    assert!(
        differences.is_empty(),
        "seed {seed}: {} differences\n{}",
        differences.len(),
        differences.join("\n\n")
    );
}

/// Numbers that follow from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).expect("below a usize")
    }

    fn of<'a, T: ?Sized>(&mut self, these: &[&'a T]) -> &'a T {
        these[self.below(these.len())]
    }
}

/// One request, as both kernels get it.
struct Request {
    ioc: Ioc,
    cmd: Cmd,
    input: Option<NvList>,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.ioc, self.cmd.name)?;
        if !self.cmd.value.is_empty() {
            write!(f, " value {}", String::from_utf8_lossy(&self.cmd.value))?;
        }
        if self.cmd.cookie != 0 {
            write!(f, " cookie {}", self.cmd.cookie)?;
        }
        if self.cmd.defer_destroy {
            write!(f, " defer")?;
        }
        match &self.input {
            Some(input) => write!(f, " {}", text_of(input)),
            None => Ok(()),
        }
    }
}

/// Both kernels, with a tree of the same name in each.
struct Pair {
    real: Zfs,
    ours: Zfs,
    root: String,
}

impl Pair {
    fn begin(&self) {
        for zfs in [&self.real, &self.ours] {
            Self::create_root(zfs, &self.root);
        }
    }

    fn create_root(zfs: &Zfs, name: &str) {
        let mut properties = NvList::new();
        properties.insert("canmount", 0_u64).insert("mountpoint", "none");
        let mut input = NvList::new();
        input.insert("type", 2_i32).insert("props", properties);
        let mut cmd = Cmd::new(name);
        cmd.input = Some(input.to_bytes().expect("packed"));
        cmd.reply_max = REPLY_BYTES;
        zfs.kernel().ioctl(Ioc::CREATE, &mut cmd).expect("a root");
    }

    /// The request for a plain file system.
    fn create(&self, name: &str) -> Request {
        let input: NvList = [("type", 2_i32)].into_iter().collect();
        let mut cmd = Cmd::new(format!("{}/{name}", self.root));
        cmd.reply_max = REPLY_BYTES;
        Request { ioc: Ioc::CREATE, cmd, input: Some(input) }
    }

    fn dataset(&self, random: &mut Random) -> String {
        let names = ["a", "b", "c", "a/a", "a/b", "b/a", "a/a/a", "d"];
        format!("{}/{}", self.root, random.of(&names))
    }

    fn snapshot(&self, random: &mut Random) -> String {
        format!("{}@{}", self.dataset(random), random.of(&["s", "t", "u"]))
    }

    fn bookmark(&self, random: &mut Random) -> String {
        format!("{}#{}", self.dataset(random), random.of(&["m", "n"]))
    }

    fn properties(&self, random: &mut Random) -> NvList {
        let mut list = NvList::new();
        for _ in 0..random.below(3) {
            let size = random.of(&[&0_u64, &(1 << 20), &(10 << 20), &(1 << 40), &512, &777]);
            match random.below(14) {
                0 => list.insert("quota", *size),
                1 => list.insert("reservation", *size),
                2 => list.insert("refquota", *size),
                3 => list.insert("refreservation", *size),
                4 => list.insert("compression", *random.of(&[&2_u64, &15, &1, &99])),
                5 => list.insert("readonly", *random.of(&[&0_u64, &1, &2])),
                6 => list.insert("test:note", random.of(&["one", "two", ""])),
                7 => list.insert("recordsize", *random.of(&[&512_u64, &(128 << 10), &(32 << 20)])),
                8 => list.insert("atime", *random.of(&[&0_u64, &1])),
                9 => list.insert("mountpoint", random.of(&["/x", "none", "legacy"])),
                10 => list.insert("volsize", *random.of(&[&(1_u64 << 20), &(2 << 20), &777, &0])),
                11 => list.insert("snapshot_limit", *random.of(&[&u64::MAX, &5])),
                12 => list.insert("keylocation", random.of(&["none", "prompt", "file:///k"])),
                _ => list.insert(
                    random.of(&["nosuch", "used", "type", "Upper:case", "guid", "copies"]),
                    *random.of(&[&1_u64, &2]),
                ),
            };
        }
        list
    }

    fn request(&self, random: &mut Random) -> Request {
        let name = self.dataset(random);
        let pool = self.root.split('/').next().expect("a pool").to_owned();
        let mut input = NvList::new();
        let mut cmd = Cmd::new(name.clone());
        let mut legacy = false;
        let ioc = match random.below(30) {
            0..=4 => {
                let zvol = random.below(3) == 0;
                let mut properties = self.properties(random);
                if zvol && !properties.contains("volsize") && random.below(8) != 0 {
                    properties.insert("volsize", 8_u64 << 20);
                }
                input.insert("type", if zvol { 3_i32 } else { 2 });
                if random.below(10) != 0 || zvol {
                    input.insert("props", properties);
                }
                Ioc::CREATE
            }
            5..=7 => {
                input.insert("origin", self.snapshot(random));
                input.insert("props", self.properties(random));
                Ioc::CLONE
            }
            8..=12 => {
                cmd.name = pool;
                let mut names = NvList::new();
                for _ in 0..=random.below(3) {
                    names.insert_flag(self.snapshot(random));
                }
                input.insert("snaps", names);
                Ioc::SNAPSHOT
            }
            13..=14 => {
                cmd.name = pool;
                let mut names = NvList::new();
                for _ in 0..=random.below(3) {
                    names.insert_flag(self.snapshot(random));
                }
                input.insert("snaps", names);
                if random.below(3) == 0 {
                    input.insert_flag("defer");
                }
                Ioc::DESTROY_SNAPS
            }
            15..=17 => {
                legacy = true;
                if random.below(3) == 0 {
                    cmd.name = self.snapshot(random);
                    cmd.defer_destroy = random.below(2) == 0;
                }
                Ioc::DESTROY
            }
            18..=19 => {
                legacy = true;
                if random.below(2) == 0 {
                    cmd.name = self.snapshot(random);
                    cmd.cookie = random.next() % 2;
                    let last = random.of(&["s", "t", "v"]);
                    let of = cmd.name.split('@').next().expect("a dataset");
                    cmd.value = format!("{of}@{last}").into_bytes();
                } else {
                    cmd.value = self.dataset(random).into_bytes();
                }
                Ioc::RENAME
            }
            20..=21 => {
                legacy = true;
                Ioc::PROMOTE
            }
            22 => {
                if random.below(2) == 0 {
                    input.insert("target", format!("{name}@{}", random.of(&["s", "t", "u"])));
                }
                Ioc::ROLLBACK
            }
            23 => {
                cmd.name = pool;
                let source = match random.below(3) {
                    0 => self.bookmark(random),
                    _ => self.snapshot(random),
                };
                input.insert(self.bookmark(random), source);
                Ioc::BOOKMARK
            }
            24 => {
                cmd.name = pool;
                input.insert_flag(self.bookmark(random));
                Ioc::DESTROY_BOOKMARKS
            }
            25 => {
                cmd.name = pool;
                let mut holds = NvList::new();
                holds.insert(self.snapshot(random), random.of(&["x", "y"]));
                input.insert("holds", holds);
                Ioc::HOLD
            }
            26 => {
                cmd.name = pool;
                let mut tags = NvList::new();
                tags.insert_flag(random.of(&["x", "y"]));
                input.insert(self.snapshot(random), tags);
                Ioc::RELEASE
            }
            27..=28 => {
                if random.below(5) == 0 {
                    cmd.name = self.snapshot(random);
                }
                input = self.properties(random);
                Ioc::SET_PROP
            }
            _ => {
                legacy = true;
                let property = random.of(&["quota", "atime", "test:note", "mountpoint", "volsize"]);
                cmd.value = property.as_bytes().to_vec();
                cmd.cookie = random.next() % 2;
                Ioc::INHERIT_PROP
            }
        };
        cmd.reply_max = if legacy { 0 } else { REPLY_BYTES };
        Request { ioc, cmd, input: (!legacy).then_some(input) }
    }

    /// Asks both, and compares what they say.
    fn step(&self, request: &Request) -> Result<(), String> {
        let [real, ours] = [&self.real, &self.ours].map(|zfs| {
            let mut cmd = request.cmd.clone();
            cmd.input = request.input.as_ref().map(|input| input.to_bytes().expect("packed"));
            let outcome = zfs.kernel().ioctl(request.ioc, &mut cmd);
            let reply = match cmd.has_reply_nvlist() {
                true => text_of(&NvList::from_bytes(cmd.reply()).expect("a list")),
                false => String::new(),
            };
            (outcome, reply, String::from_utf8_lossy(&cmd.string).into_owned())
        });
        // Of several errnos the module tells any: its order is that of a hash of Lua.
        let any = request.ioc == Ioc::DESTROY_SNAPS && real.0.is_err() && ours.0.is_err();
        if real == ours || (any && real.1 == ours.1) {
            return Ok(());
        }
        Err(format!("{request}\n  OpenZFS says {real:?}\n  embedded says {ours:?}"))
    }

    /// Compares everything there is.
    fn look(&self) -> Result<(), String> {
        let [real, ours] = [&self.real, &self.ours].map(|zfs| tree(zfs, &self.root));
        if real == ours {
            return Ok(());
        }
        let mut text = String::from("the trees differ (OpenZFS, embedded):");
        let names: std::collections::BTreeSet<_> = real.keys().chain(ours.keys()).collect();
        for name in names {
            let (theirs, mine) = (real.get(name), ours.get(name));
            if theirs != mine {
                write!(text, "\n  {name}\n    {theirs:?}\n    {mine:?}").expect("a string");
            }
        }
        Err(text)
    }
}

/// Everything at and below a dataset, by name and property.
fn tree(zfs: &Zfs, root: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(name) = open.pop() {
        describe(zfs, &name, &mut found);
        open.extend(names(zfs, Ioc::DATASET_LIST_NEXT, &name));
        for snapshot in names(zfs, Ioc::SNAPSHOT_LIST_NEXT, &name) {
            describe(zfs, &snapshot, &mut found);
            let holds = ask(zfs, Ioc::GET_HOLDS, &snapshot, Some(NvList::new()));
            let tags = holds.iter().map(|(tag, _)| tag.to_owned());
            found.insert(format!("{snapshot} holds"), sorted(tags));
        }
        let bookmarks = ask(zfs, Ioc::GET_BOOKMARKS, &name, Some(NvList::new()));
        let marks = bookmarks.iter().map(|(mark, _)| mark.to_owned());
        found.insert(format!("{name} bookmarks"), sorted(marks));
    }
    found
}

fn sorted(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.join(" ")
}

fn names(zfs: &Zfs, ioc: Ioc, of: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cookie = 0;
    loop {
        let mut cmd = Cmd::new(of);
        cmd.cookie = cookie;
        cmd.simple = true;
        match zfs.kernel().ioctl(ioc, &mut cmd) {
            Ok(()) => found.push(cmd.name),
            Err(Errno::ESRCH) => return found,
            Err(errno) => panic!("{ioc} of {of}: {errno}"),
        }
        cookie = cmd.cookie;
    }
}

fn ask(zfs: &Zfs, ioc: Ioc, name: &str, input: Option<NvList>) -> NvList {
    let mut cmd = Cmd::new(name);
    cmd.input = input.map(|input| input.to_bytes().expect("packed"));
    cmd.reply_max = REPLY_BYTES;
    match zfs.kernel().ioctl(ioc, &mut cmd) {
        Ok(()) => NvList::from_bytes(cmd.reply()).expect("a list"),
        Err(errno) => panic!("{ioc} of {name}: {errno}"),
    }
}

fn describe(zfs: &Zfs, name: &str, found: &mut BTreeMap<String, String>) {
    let list = ask(zfs, Ioc::OBJSET_STATS, name, None);
    for (property, value) in list.iter() {
        let is_space =
            property.contains("used") || property.contains("referenced") || property == "written";
        let counted = is_space && env::var("ZFSVOL_SPACE").is_ok_and(|value| value == "1");
        if counted || !OF_ITS_OWN.contains(&property) {
            found.insert(format!("{name} {property}"), value_text(value));
        }
    }
}

/// A list as text, in the order of names.
fn text_of(list: &NvList) -> String {
    let pairs = list.iter().map(|(name, value)| format!("{name}={}", value_text(value)));
    format!("{{{}}}", sorted(pairs))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::NvList(list) => text_of(list),
        Value::String(text) => format!("'{}'", text.to_string_lossy()),
        other => format!("{other:?}"),
    }
}
