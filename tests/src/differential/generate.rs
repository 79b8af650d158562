//! [`Generator`]: random steps, from a seed. Names come from a small set, so that they collide; some arguments are wrong.

use zfsvol_core::kernel::Ioc;
use zfsvol_core::nvlist::{NvList, Value};

use super::step::{Receive, Request, Send, Step, ask, list};

/// What each lap begins with: file systems, and zvols with something in them.
const BEGIN: [&str; 6] = ["R/a", "R/a/a", "R/b", "R/a/b", "R/c", "R/b/a"];
/// The names of datasets. Those with `v` are mostly zvols, those with `e` mostly encrypted.
const DATASETS: [&str; 16] = [
    "R/a", "R/b", "R/c", "R/a/a", "R/a/b", "R/b/a", "R/a/a/a", "R/d", "R/v", "R/w", "R/a/v", "R/e",
    "R/e/a", "R/e/v", "R/f", "R",
];
const ZVOLS: [&str; 6] = ["R/v", "R/w", "R/a/v", "R/e/v", "R/v", "R/v"];
const SNAPSHOTS: [&str; 4] = ["s", "t", "u", "s"];
const BOOKMARKS: [&str; 2] = ["m", "n"];
const TAGS: [&str; 2] = ["x", "y"];
/// Streams that are kept.
const SLOTS: usize = 4;
/// What a zvol has where nothing else is said.
const VOLSIZE: u64 = 8 << 20;
/// Names that nothing has, or can have.
const BAD_NAMES: [&str; 14] = [
    "",
    "R/",
    "R/a/",
    "R//a",
    "R/a@",
    "R/a@s@t",
    "R/a@s/b",
    "R/a#m#n",
    "R/a%b",
    "R/.",
    "R/a b",
    "1R",
    "R/a/%recv",
    "nosuch/a",
];

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

    fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())].clone()
    }

    /// Once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Makes the steps of a lap, one after the other.
pub(super) struct Generator {
    random: Random,
    made: usize,
}

/// Makes a step of one kind.
type Make = fn(&mut Generator) -> Step;

/// Which steps there are, and how often each.
const KINDS: &[(usize, Make)] = &[
    (10, Generator::create),
    (3, Generator::create_encrypted),
    (7, Generator::clone),
    (10, Generator::snapshot),
    (3, Generator::snapshot_tree),
    (4, Generator::destroy_snapshots),
    (1, Generator::destroy_snapshots_of_tree),
    (6, Generator::destroy),
    (1, Generator::destroy_tree),
    (4, Generator::rename),
    (3, Generator::rename_snapshot),
    (4, Generator::promote),
    (3, Generator::rollback),
    (4, Generator::bookmark),
    (1, Generator::destroy_bookmarks),
    (3, Generator::hold),
    (3, Generator::release),
    (2, Generator::keep),
    (1, Generator::close),
    (8, Generator::set),
    (3, Generator::inherit),
    (2, Generator::set_pool),
    (2, Generator::owner_quota),
    (2, Generator::load_key),
    (2, Generator::unload_key),
    (2, Generator::change_key),
    (9, Generator::write),
    (2, Generator::read),
    (2, Generator::redact),
    (8, Generator::send),
    (9, Generator::receive),
    (2, Generator::resume),
    (1, Generator::abort),
    (2, Generator::look),
    (1, Generator::list),
    (1, Generator::wrong),
];

impl Generator {
    pub(super) fn new(seed: u64, lap: u64) -> Self {
        Self { random: Random(seed.wrapping_mul(0x1_0000_0001) ^ (lap << 32)), made: 0 }
    }

    /// The next step.
    pub(super) fn step(&mut self) -> Step {
        self.made += 1;
        // Something to begin with; what is asked then often exists.
        match self.made {
            made if made <= BEGIN.len() => {
                let input = list([("type", Value::Int32(2))]);
                return Step::Ask(ask(Ioc::CREATE, BEGIN[made - 1]).input(input));
            }
            made if made <= BEGIN.len() + 3 => {
                let props = list([("volsize", Value::Uint64(VOLSIZE))]);
                let input = list([("type", Value::Int32(3)), ("props", Value::NvList(props))]);
                return Step::Ask(ask(Ioc::CREATE, ZVOLS[made - 1 - BEGIN.len()]).input(input));
            }
            _ => {}
        }
        let all: usize = KINDS.iter().map(|(weight, _)| weight).sum();
        let mut place = self.random.below(all);
        for (weight, make) in KINDS {
            if place < *weight {
                return make(self);
            }
            place -= weight;
        }
        unreachable!("the weights add up")
    }

    fn dataset(&mut self) -> String {
        match self.random.once_in(60) {
            true => self.random.of(&BAD_NAMES).to_owned(),
            false => self.random.of(&DATASETS).to_owned(),
        }
    }

    fn snapshot_name(&mut self) -> String {
        let dataset = self.dataset();
        format!("{dataset}@{}", self.random.of(&SNAPSHOTS))
    }

    /// Of a zvol, half of the time: those have something in them.
    fn full_snapshot_name(&mut self) -> String {
        if self.random.once_in(2) {
            return self.snapshot_name();
        }
        format!("{}@{}", self.random.of(&ZVOLS), self.random.of(&SNAPSHOTS))
    }

    fn bookmark_name(&mut self) -> String {
        let dataset = self.dataset();
        format!("{dataset}#{}", self.random.of(&BOOKMARKS))
    }

    fn properties(&mut self, most: usize) -> NvList {
        let mut properties = NvList::new();
        for _ in 0..self.random.below(most + 1) {
            let (name, value) = self.property();
            properties.insert(name, value);
        }
        properties
    }

    fn property(&mut self) -> (String, Value) {
        let random = &mut self.random;
        let sizes = [0_u64, 512, 777, 10 << 20, 1 << 40, 64 << 20];
        // None that is less than what a new clone can use: the module opens and closes the devices of zvols at its own pace, which makes them a ZIL.
        let quotas = [0_u64, 10 << 20, 1 << 40, 64 << 20];
        let numbers: &[(&str, &[u64])] = &[
            ("quota", &quotas),
            ("reservation", &sizes),
            ("refquota", &quotas),
            ("refreservation", &sizes),
            ("compression", &[2, 15, 1, 3, 0, 16, 99]),
            ("readonly", &[0, 1, 2]),
            ("recordsize", &[512, 128 << 10, 1 << 20, 32 << 20, 777]),
            ("atime", &[0, 1]),
            ("relatime", &[0, 1]),
            ("volsize", &[1 << 20, 8 << 20, 16 << 20, 777, 0]),
            ("volblocksize", &[4096, 16384, 512, 777, 1 << 20]),
            ("snapshot_limit", &[u64::MAX, 5, 0]),
            ("filesystem_limit", &[u64::MAX, 5, 0]),
            ("copies", &[1, 2, 4]),
            ("checksum", &[1, 2, 7, 8, 99]),
            ("dedup", &[2, 0]),
            ("sync", &[0, 1, 2, 3]),
            ("logbias", &[0, 1]),
            ("primarycache", &[0, 1, 2]),
            ("secondarycache", &[0, 2]),
            ("canmount", &[0, 1, 2, 3]),
            ("exec", &[0, 1]),
            ("setuid", &[0, 1]),
            ("devices", &[0, 1]),
            ("xattr", &[0, 1, 2]),
            ("snapdir", &[0, 1]),
            ("redundant_metadata", &[0, 1, 2]),
            ("special_small_blocks", &[0, 4096, 777]),
            ("dnodesize", &[0, 1, 1024, 16384]),
            ("nbmand", &[0, 1]),
            ("zoned", &[0]),
            ("aclmode", &[0, 3]),
            ("aclinherit", &[0, 4]),
            ("acltype", &[0, 1]),
            ("casesensitivity", &[0, 1]),
            ("utf8only", &[0, 1]),
            ("normalization", &[0, 0x10]),
            ("version", &[5, 4, 1, 99]),
            ("encryption", &[2, 1]),
            ("keyformat", &[1, 3]),
            ("prefetch", &[0, 2]),
            ("snapdev", &[0]),
            ("vscan", &[0, 1]),
            ("overlay", &[0, 1]),
        ];
        let texts: &[(&str, &[&str])] = &[
            ("test:note", &["one", "two", ""]),
            ("test:other", &["x"]),
            ("mountpoint", &["/x", "none", "legacy", "/y/z", "x"]),
            ("keylocation", &["none", "prompt", "file:///k", "k"]),
            ("sharenfs", &["on", "off", "rw"]),
            ("mlslabel", &["none"]),
            ("context", &["none", "\"x\""]),
        ];
        match random.below(10) {
            // What is not there, is read only, or has the wrong type. Never a text for a read-only property that is one (`origin`, `name`):
            // the module would take it, and its sync thread fall over a default there is not.
            0 => {
                let names = [
                    "nosuch",
                    "used",
                    "type",
                    "Upper:case",
                    "guid",
                    "copies",
                    "origin",
                    "name",
                    "creation",
                    "userused@0",
                    "test:bad name",
                    ":",
                    "mounted",
                    "quota",
                ];
                let name = random.of(&names);
                let is_text = ["type", "origin", "name"].contains(&name);
                let value = match is_text || random.once_in(2) {
                    true => Value::Uint64(random.of(&[1, 2])),
                    false => Value::from("1"),
                };
                (name.to_owned(), value)
            }
            1..=3 => {
                let (name, values) = random.of(texts);
                (name.to_owned(), Value::from(random.of(values)))
            }
            _ => {
                let (name, values) = random.of(numbers);
                (name.to_owned(), Value::Uint64(random.of(values)))
            }
        }
    }

    /// Properties as the library takes them, for a receive.
    fn own_properties(&mut self) -> Vec<(String, String)> {
        let pairs = [
            ("compression", "gzip"),
            ("compression", "lz4"),
            ("readonly", "on"),
            ("test:note", "came"),
            ("quota", "10485760"),
            ("mountpoint", "/r"),
            ("atime", "off"),
            ("copies", "2"),
            ("refreservation", "none"),
        ];
        (0..self.random.below(3))
            .map(|_| self.random.of(&pairs))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn names(&mut self, most: usize, name: fn(&mut Self) -> String) -> NvList {
        let mut names = NvList::new();
        for _ in 0..=self.random.below(most) {
            names.insert_flag(name(self));
        }
        names
    }

    fn create(&mut self) -> Step {
        let mut name = self.dataset();
        let is_zvol = self.random.once_in(3) || name.ends_with('v');
        if is_zvol && self.random.once_in(2) {
            name = self.random.of(&ZVOLS).to_owned();
        }
        let mut properties = self.properties(2);
        if is_zvol && !properties.contains("volsize") && !self.random.once_in(8) {
            properties.insert("volsize", VOLSIZE);
        }
        let kind = if self.random.once_in(50) { 1 } else { 2 + i32::from(is_zvol) };
        let mut input = list([("type", Value::Int32(kind))]);
        if is_zvol || !self.random.once_in(10) {
            input.insert("props", properties);
        }
        Step::Ask(ask(Ioc::CREATE, name).input(input))
    }

    /// The key that consists of one byte, as it is handed to the kernel.
    fn key(&mut self) -> Value {
        let byte = self.random.of(&[1_u8, 1, 1, 2]);
        let bytes = if self.random.once_in(20) { 16 } else { 32 };
        Value::NvList(list([("wkeydata", Value::Uint8Array(vec![byte; bytes]))]))
    }

    fn create_encrypted(&mut self) -> Step {
        let name = self.random.of(&["R/e", "R/e", "R/e/a", "R/e/v", "R/f"]);
        let mut properties = self.properties(1);
        if !self.random.once_in(8) {
            properties.insert("encryption", self.random.of(&[1_u64, 8, 3, 2]));
        }
        if !self.random.once_in(8) {
            properties.insert("keyformat", self.random.of(&[1_u64, 1, 1, 0]));
        }
        if !self.random.once_in(4) {
            properties.insert("keylocation", self.random.of(&["prompt", "prompt", "none"]));
        }
        let is_zvol = name.ends_with('v');
        if is_zvol {
            properties.insert("volsize", VOLSIZE);
        }
        let kind = if is_zvol { 3 } else { 2 };
        let mut input = list([("type", Value::Int32(kind)), ("props", Value::NvList(properties))]);
        if !self.random.once_in(5) {
            input.insert("hidden_args", self.key());
        }
        Step::Ask(ask(Ioc::CREATE, name).input(input))
    }

    fn clone(&mut self) -> Step {
        // Not of the root, as in `send`.
        let of = self.full_snapshot_name();
        let of = if of.starts_with("R@") { "R/v@s".to_owned() } else { of };
        let mut input = list([("origin", Value::from(of))]);
        if !self.random.once_in(3) {
            input.insert("props", self.properties(1));
        }
        Step::Ask(ask(Ioc::CLONE, self.dataset()).input(input))
    }

    fn snapshot(&mut self) -> Step {
        let mut input = list([("snaps", Value::NvList(self.names(3, Self::full_snapshot_name)))]);
        if self.random.once_in(5) {
            input.insert("props", self.properties(1));
        }
        Step::Ask(ask(Ioc::SNAPSHOT, "R").input(input))
    }

    fn snapshot_tree(&mut self) -> Step {
        Step::SnapshotTree(self.dataset(), self.random.of(&SNAPSHOTS).into())
    }

    fn destroy_snapshots(&mut self) -> Step {
        let mut input = list([("snaps", Value::NvList(self.names(3, Self::snapshot_name)))]);
        if self.random.once_in(3) {
            input.insert_flag("defer");
        }
        Step::Ask(ask(Ioc::DESTROY_SNAPS, "R").input(input))
    }

    fn destroy_snapshots_of_tree(&mut self) -> Step {
        Step::DestroySnapshots(self.dataset(), self.random.of(&SNAPSHOTS).into())
    }

    fn destroy(&mut self) -> Step {
        if self.random.once_in(3) {
            let request = ask(Ioc::DESTROY, self.snapshot_name());
            return Step::Ask(if self.random.once_in(2) { request.defer() } else { request });
        }
        Step::Ask(ask(Ioc::DESTROY, self.dataset()))
    }

    fn destroy_tree(&mut self) -> Step {
        Step::DestroyTree(self.random.of(&["R/a", "R/b", "R/e", "R/c", "R/v", "R/a/a"]).into())
    }

    fn rename(&mut self) -> Step {
        Step::Ask(ask(Ioc::RENAME, self.dataset()).value(self.dataset()))
    }

    fn rename_snapshot(&mut self) -> Step {
        let from = self.snapshot_name();
        let dataset = match self.random.once_in(10) {
            true => self.dataset(),
            false => from.split('@').next().unwrap_or_default().to_owned(),
        };
        let to = format!("{dataset}@{}", self.random.of(&["s", "t", "v"]));
        Step::Ask(ask(Ioc::RENAME, from).value(to).cookie(self.random.next() % 2))
    }

    fn promote(&mut self) -> Step {
        Step::Ask(ask(Ioc::PROMOTE, self.dataset()))
    }

    fn rollback(&mut self) -> Step {
        let name = self.dataset();
        let mut input = NvList::new();
        if self.random.once_in(2) {
            input.insert("target", format!("{name}@{}", self.random.of(&SNAPSHOTS)));
        }
        Step::Ask(ask(Ioc::ROLLBACK, name).input(input))
    }

    fn bookmark(&mut self) -> Step {
        let mut input = NvList::new();
        for _ in 0..=self.random.below(2) {
            let source = match self.random.once_in(3) {
                true => self.bookmark_name(),
                false => self.full_snapshot_name(),
            };
            // Mostly of the same dataset: others are refused.
            let bookmark = match self.random.once_in(5) {
                true => self.bookmark_name(),
                false => {
                    let of = source.split(['@', '#']).next().unwrap_or_default();
                    format!("{of}#{}", self.random.of(&BOOKMARKS))
                }
            };
            input.insert(bookmark, source);
        }
        Step::Ask(ask(Ioc::BOOKMARK, "R").input(input))
    }

    fn destroy_bookmarks(&mut self) -> Step {
        Step::Ask(ask(Ioc::DESTROY_BOOKMARKS, "R").input(self.names(2, Self::bookmark_name)))
    }

    fn hold(&mut self) -> Step {
        let mut holds = NvList::new();
        for _ in 0..=self.random.below(3) {
            let tag = match self.random.once_in(30) {
                true => self.random.of(&["", "long"]).to_owned(),
                false => self.random.of(&TAGS).to_owned(),
            };
            holds.insert(
                self.full_snapshot_name(),
                if tag == "long" { "l".repeat(300) } else { tag },
            );
        }
        Step::Ask(ask(Ioc::HOLD, "R").input(list([("holds", Value::NvList(holds))])))
    }

    fn release(&mut self) -> Step {
        let mut input = NvList::new();
        for _ in 0..=self.random.below(3) {
            let mut tags = NvList::new();
            tags.insert_flag(self.random.of(&TAGS));
            if self.random.once_in(4) {
                tags.insert_flag(self.random.of(&["y", "kept", "z"]));
            }
            input.insert(self.full_snapshot_name(), tags);
        }
        Step::Ask(ask(Ioc::RELEASE, "R").input(input))
    }

    fn keep(&mut self) -> Step {
        Step::Keep {
            snapshot: self.full_snapshot_name(),
            tag: self.random.of(&["kept", "kept", "x"]).into(),
            handle: self.random.below(2),
        }
    }

    fn close(&mut self) -> Step {
        Step::Close(self.random.below(2))
    }

    fn set(&mut self) -> Step {
        let name = match self.random.once_in(5) {
            true => self.snapshot_name(),
            false => self.dataset(),
        };
        let request = ask(Ioc::SET_PROP, name).input(self.properties(3));
        // As if they had been received.
        Step::Ask(if self.random.once_in(8) { request.cookie(1) } else { request })
    }

    fn inherit(&mut self) -> Step {
        let (property, _) = self.property();
        let name = match self.random.once_in(6) {
            true => self.snapshot_name(),
            false => self.dataset(),
        };
        // Those that are often set, half of the time.
        let property = match self.random.once_in(2) {
            true => {
                self.random.of(&["quota", "atime", "test:note", "mountpoint", "compression"]).into()
            }
            false => property,
        };
        Step::Ask(ask(Ioc::INHERIT_PROP, name).value(property).cookie(self.random.next() % 2))
    }

    fn set_pool(&mut self) -> Step {
        let properties = [
            ("comment", Value::from("x")),
            ("comment", Value::from("")),
            ("comment", Value::from("c".repeat(40))),
            ("autoexpand", Value::Uint64(1)),
            ("autoexpand", Value::Uint64(2)),
            ("autoreplace", Value::Uint64(1)),
            ("autotrim", Value::Uint64(1)),
            ("delegation", Value::Uint64(0)),
            ("failmode", Value::Uint64(1)),
            ("failmode", Value::Uint64(9)),
            ("listsnapshots", Value::Uint64(1)),
            ("bootfs", Value::from("R/a")),
            ("bootfs", Value::from("R/v")),
            ("bootfs", Value::from("")),
            ("size", Value::Uint64(1)),
            ("nosuch", Value::Uint64(1)),
            ("test:pool", Value::from("x")),
            ("test:pool", Value::from("")),
            ("version", Value::Uint64(5000)),
            ("version", Value::Uint64(1)),
            ("feature@nosuch:x", Value::Uint64(0)),
            ("feature@encryption", Value::Uint64(0)),
            ("feature@encryption", Value::from("enabled")),
            ("cachefile", Value::from("none")),
            ("altroot", Value::from("/x")),
            ("readonly", Value::Uint64(1)),
        ];
        let (name, value) = self.random.of(&properties);
        Step::Ask(ask(Ioc::POOL_SET_PROPS, "R").input(list([(name, value)])))
    }

    fn owner_quota(&mut self) -> Step {
        let prefixes = ["userquota@", "groupquota@", "userobjquota@", "projectquota@", "userused@"];
        let place = self.random.below(prefixes.len());
        let number = self.random.of(&[1, 3, 7, 9, 0][..]);
        // Mostly the number that belongs to the name: `zfs_userquota_prop_t`.
        let number = match self.random.once_in(10) {
            true => number,
            false => [1, 3, 7, 9, 0][place],
        };
        let quota = self.random.of(&[0_u64, 1 << 20, 1 << 40]);
        let value = match self.random.once_in(10) {
            true => Value::Uint64(quota),
            false => Value::Uint64Array(vec![number, 1000, quota]),
        };
        let name = format!("{}3e8-", prefixes[place]);
        Step::Ask(ask(Ioc::SET_PROP, self.dataset()).input(list([(name.as_str(), value)])))
    }

    fn encrypted(&mut self) -> String {
        match self.random.once_in(4) {
            true => self.dataset(),
            false => self.random.of(&["R/e", "R/e", "R/e/a", "R/f"]).to_owned(),
        }
    }

    fn load_key(&mut self) -> Step {
        let mut input = list([("hidden_args", self.key())]);
        if self.random.once_in(3) {
            input.insert_flag("noop");
        }
        Step::Ask(ask(Ioc::LOAD_KEY, self.encrypted()).input(input))
    }

    fn unload_key(&mut self) -> Step {
        Step::Ask(ask(Ioc::UNLOAD_KEY, self.encrypted()).input(NvList::new()))
    }

    fn change_key(&mut self) -> Step {
        let command = self.random.of(&[2_u64, 2, 3, 0, 4, 99]);
        let mut input = list([("crypt_cmd", Value::Uint64(command))]);
        if !self.random.once_in(3) {
            input.insert("hidden_args", self.key());
        }
        if !self.random.once_in(3) {
            let mut properties = self.properties(1);
            properties.insert("keyformat", 1_u64);
            properties.insert("keylocation", self.random.of(&["prompt", "prompt", "none"]));
            input.insert("props", properties);
        }
        Step::Ask(ask(Ioc::CHANGE_KEY, self.encrypted()).input(input))
    }

    fn zvol(&mut self) -> String {
        match self.random.once_in(5) {
            true => self.dataset(),
            false => self.random.of(&ZVOLS).to_owned(),
        }
    }

    fn write(&mut self) -> Step {
        let blocks = 1 + self.random.below(32);
        Step::Write {
            zvol: self.zvol(),
            offset: self.random.next() % 220 * 4096,
            bytes: blocks * 4096,
            seed: self.random.next() % 6,
        }
    }

    fn read(&mut self) -> Step {
        Step::Read(self.zvol())
    }

    fn redact(&mut self) -> Step {
        let what = self.full_snapshot_name();
        let by = self.names(2, Self::full_snapshot_name);
        let input = list([
            ("bookname", Value::from(self.random.of(&["m", "n", "r"]))),
            ("snapnv", Value::NvList(by)),
        ]);
        Step::Ask(ask(Ioc::REDACT, what).input(input))
    }

    fn send(&mut self) -> Step {
        let mut what = match self.random.once_in(12) {
            true => self.dataset(),
            false => self.full_snapshot_name(),
        };
        // The module makes the root of a pool before the pool has its features: it is another file system there.
        if what == "R" || what.starts_with("R@") {
            what = "R/v@s".to_owned();
        }
        let of = what.split('@').next().unwrap_or_default().to_owned();
        let since = match self.random.below(8) {
            0..=2 => String::new(),
            3..=5 => format!("{of}@{}", self.random.of(&SNAPSHOTS)),
            6 => format!("{of}#{}", self.random.of(&BOOKMARKS)),
            _ => self.full_snapshot_name(),
        };
        let redacted_by = match self.random.once_in(10) {
            true => format!("{of}#{}", self.random.of(&["m", "n", "r"])),
            false => String::new(),
        };
        let flags = self.random.of(&[0_u32, 0, 2, 7, 6, 8]);
        Step::Send(Send { what, since, flags, redacted_by, slot: self.random.below(SLOTS) })
    }

    fn receive(&mut self) -> Step {
        let to = match self.random.once_in(3) {
            true => self.random.of(&["R/r@s", "R/b/r@t", "R/e/r@s"]).to_owned(),
            false => self.snapshot_name(),
        };
        let origin = match self.random.once_in(6) {
            true => self.full_snapshot_name(),
            false => String::new(),
        };
        let cut = match self.random.once_in(3) {
            true => (self.random.next() % 1000, self.random.of(&[0_usize, 0, 8, 311, 400])),
            false => (0, 0),
        };
        Step::Receive(Receive {
            slot: self.random.below(SLOTS),
            to,
            force: self.random.once_in(3),
            resumable: self.random.once_in(2),
            origin,
            cut,
            received: self.own_properties(),
            set: self.own_properties(),
            key: self.random.once_in(12).then_some(1),
        })
    }

    fn receiving(&mut self) -> String {
        match self.random.once_in(2) {
            true => self.random.of(&["R/r", "R/b/r", "R/e/r"]).to_owned(),
            false => self.dataset(),
        }
    }

    fn resume(&mut self) -> Step {
        Step::Resume { of: self.receiving(), slot: self.random.below(SLOTS) }
    }

    fn abort(&mut self) -> Step {
        Step::Abort(self.receiving())
    }

    /// What only reads: of names that there are, and of others.
    fn look(&mut self) -> Step {
        let request = match self.random.below(11) {
            0 => ask(Ioc::OBJSET_STATS, self.snapshot_name()),
            1 => ask(Ioc::OBJSET_RECVD_PROPS, self.snapshot_name()),
            2 => ask(Ioc::GET_HOLDS, self.snapshot_name()),
            3 => ask(Ioc::GET_BOOKMARKS, self.dataset()).input(NvList::new()),
            4 => ask(Ioc::GET_BOOKMARK_PROPS, self.bookmark_name()),
            5 => {
                let name = self.full_snapshot_name();
                let of = name.split('@').next().unwrap_or_default().to_owned();
                let first = format!("{of}@{}", self.random.of(&SNAPSHOTS));
                ask(Ioc::SPACE_SNAPS, name).input(list([("firstsnap", Value::from(first))]))
            }
            6 => {
                let since = self.full_snapshot_name();
                ask(Ioc::SPACE_WRITTEN, self.dataset()).value(since)
            }
            7 => {
                let mut input = NvList::new();
                if self.random.once_in(2) {
                    input.insert("from", self.full_snapshot_name());
                }
                ask(Ioc::SEND_SPACE, self.full_snapshot_name()).input(input)
            }
            8 => {
                let name = match self.random.once_in(3) {
                    true => self.dataset(),
                    false => self.snapshot_name(),
                };
                // Where the root directory of a file system can be, and what is no file.
                let objects = [0, 1, 2, 32, 33, 34, 35, 36, 37, 64, 96, 1 << 40];
                ask(Ioc::OBJ_TO_PATH, name).object(self.random.of(&objects))
            }
            9 => {
                let name = match self.random.once_in(3) {
                    true => self.dataset(),
                    false => self.snapshot_name(),
                };
                ask(Ioc::OBJSET_ZPLPROPS, name)
            }
            _ => {
                let name = self.random.of(&["R/a", "R/b", "R/c", "R/nosuch"]);
                ask(Ioc::USERSPACE_ONE, name).objset_type(self.random.next() % 14)
            }
        };
        Step::Ask(request)
    }

    fn list(&mut self) -> Step {
        Step::List(self.random.of(&["R", "R/a", "R/b", "R/nosuch"]).into())
    }

    /// A request with a key there is not, without one there must be, or with one of another type.
    fn wrong(&mut self) -> Step {
        let iocs = [
            Ioc::CREATE,
            Ioc::CLONE,
            Ioc::SNAPSHOT,
            Ioc::DESTROY_SNAPS,
            Ioc::ROLLBACK,
            Ioc::BOOKMARK,
            Ioc::DESTROY_BOOKMARKS,
            Ioc::HOLD,
            Ioc::RELEASE,
            Ioc::LOAD_KEY,
            Ioc::CHANGE_KEY,
            Ioc::SET_PROP,
            Ioc::REDACT,
            Ioc::POOL_SYNC,
            Ioc::SEND_NEW,
        ];
        let ioc = self.random.of(&iocs);
        let empty = Value::NvList(NvList::new());
        let inputs = [
            NvList::new(),
            list([("nosuch", Value::Boolean)]),
            list([("type", Value::Uint64(2))]),
            list([("snaps", empty.clone())]),
            list([("holds", empty.clone())]),
            list([("props", empty.clone()), ("snaps", empty.clone())]),
            list([("optional", empty)]),
            list([("target", Value::Uint64(1))]),
            list([("R/a@s", Value::Uint64(1))]),
        ];
        let name = if self.random.once_in(2) { "R".to_owned() } else { self.dataset() };
        let input = self.random.of(&inputs);
        Step::Ask(Request { input: Some(input), ..ask(ioc, name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_lap_are_a_sequence() {
        let steps = |seed, lap| {
            let mut generator = Generator::new(seed, lap);
            (0..200).map(|_| generator.step()).collect::<Vec<_>>()
        };
        assert_eq!(steps(1, 2), steps(1, 2));
        assert_ne!(steps(1, 2), steps(1, 3));
        assert_ne!(steps(1, 2), steps(2, 2));
    }

    #[test]
    fn every_kind_of_step_comes_up() {
        let mut generator = Generator::new(1, 0);
        let kinds: std::collections::BTreeSet<&str> =
            (0..3000).map(|_| generator.step().kind()).collect();
        for kind in
            ["hold", "receive", "resume", "destroy tree", "ZFS_IOC_REDACT", "ZFS_IOC_CHANGE_KEY"]
        {
            assert!(kinds.contains(kind), "{kind}");
        }
    }
}
