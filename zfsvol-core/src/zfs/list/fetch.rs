//! One dataset of a listing: what is asked of the kernel about it.

use std::collections::BTreeMap;

use super::super::Zfs;
use super::super::bookmark::Bookmark;
use super::super::call::{Operation, REPLY_BYTES_FIRST};
use super::super::property::{kind_of, may_be_overridden};
use super::{Dataset, List, Wanted};
use crate::error::{ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc, MountEntry, ObjsetStats};
use crate::name::{DatasetName, EntityName};
use crate::nvlist::NvList;
use crate::property::{DatasetKind, DatasetTypes, Properties, PropertyValue, Reading, Source, ZPL};
use crate::units::{Guid, Txg};

const STATS: Operation = Operation::new(Ioc::OBJSET_STATS, "list");
const SNAPSHOTS: Operation = Operation::new(Ioc::SNAPSHOT_LIST_NEXT, "list the snapshots of");

/// What all datasets of one listing have in common.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) zfs: Zfs,
    pub(super) list: List,
    /// Whether more than names is wanted of file systems and zvols.
    details: bool,
    mounts: BTreeMap<String, MountEntry>,
    /// By pool.
    altroots: BTreeMap<String, String>,
}

/// One dataset of the listing or of what is below, and what is known of it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    /// What is to be listed of itself.
    own: Option<Found>,
    /// Whether it is there, as far as it was asked.
    pub(super) gone: bool,
    /// Its kind, once asked for.
    kind: Option<DatasetKind>,
    /// `false` where there are surely none.
    pub(super) may_have_children: bool,
    may_have_snapshots: bool,
    /// Its snapshots and bookmarks, in the order of the listing.
    parts: Vec<Found>,
    /// What is below, once asked for.
    pub(super) below: Option<Vec<Node>>,
    asked: bool,
}

/// Something to be listed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: EntityName,
    /// `None` in a listing of names.
    details: Option<Details>,
}

#[derive(Debug)]
struct Details {
    kind: DatasetKind,
    stats: ObjsetStats,
    properties: Properties,
}

impl Found {
    pub(super) fn into_dataset(self) -> Result<Dataset> {
        let Some(Details { kind, stats, properties }) = self.details else {
            let reason = "it was listed by name alone";
            return Err(STATS.error(ErrorKind::Protocol, self.name.as_str(), reason));
        };
        let origin = match stats.origin.as_str() {
            "" => None,
            origin => Some(origin.parse()?),
        };
        Ok(Dataset {
            name: self.name,
            kind,
            guid: Guid::new(stats.guid),
            createtxg: Txg::new(stats.creation_txg),
            origin,
            properties,
        })
    }
}

impl Context {
    pub(super) fn new(zfs: &Zfs, list: &List, details: bool) -> Self {
        Self {
            zfs: zfs.clone(),
            list: list.clone(),
            details,
            mounts: BTreeMap::new(),
            altroots: BTreeMap::new(),
        }
    }

    /// Reads what concerns all datasets: mounts and altroots, if a property wanted depends on them.
    pub(super) fn prepare(&mut self, roots: &[DatasetName]) -> Result<()> {
        let overridden = match &self.list.wanted {
            Wanted::None => false,
            Wanted::Some(names) => names.iter().any(|name| may_be_overridden(name)),
            Wanted::All => true,
        };
        if overridden && self.list.types.contains(DatasetTypes::FILESYSTEM) {
            let mounts = self.zfs.kernel().host().mounts().map_err(|errno| {
                let reason = "the table of mounts cannot be read";
                STATS.error(ErrorKind::Io, "mounts", reason).with_errno(errno)
            })?;
            self.mounts.extend(mounts.into_iter().map(|mount| (mount.dataset.clone(), mount)));
        }
        if self.list.wanted.wants("mountpoint") {
            for root in roots {
                let pool = root.pool();
                if !self.altroots.contains_key(pool.as_str()) {
                    if let Some(altroot) = self.zfs.altroot(&pool)? {
                        self.altroots.insert(pool.to_string(), altroot);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether file systems and zvols must be asked for what they are. Where snapshots or bookmarks alone are wanted, or both kinds by name,
    /// they need not.
    pub(super) fn wants_stats(&self) -> bool {
        let both = DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME;
        self.list.wants_datasets() && (self.details || !self.list.types.contains(both))
    }

    /// What is asked about a dataset, or about the next one below it. Its kind, its GUID and what it is a clone of are said in any case, its
    /// properties only if they are wanted, or if they tell whether it has snapshots: most of the answer is made of them.
    pub(super) fn request(&self, name: &str) -> Cmd {
        let mut cmd = Cmd::new(name);
        let wants_properties = self.wants_stats() && self.list.wanted != Wanted::None;
        cmd.simple = !(wants_properties || self.wants(DatasetTypes::SNAPSHOT));
        cmd.reply_max = if cmd.simple { 0 } else { REPLY_BYTES_FIRST };
        cmd
    }

    fn wants(&self, kind: DatasetTypes) -> bool {
        self.list.types.contains(kind)
    }

    fn wants_zpl(&self) -> bool {
        ZPL.iter().any(|name| self.list.wanted.wants(name))
    }

    /// The properties wanted among those of the kernel's answer.
    fn properties(&self, name: &str, stats: &ObjsetStats, reply: &NvList) -> Properties {
        let (kind, head) = kind_of(stats);
        let wanted = match &self.list.wanted {
            Wanted::None => return Properties::default(),
            Wanted::Some(names) => Some(names),
            Wanted::All => None,
        };
        let pool = name.split(['/', '@']).next().unwrap_or(name);
        let reading = Reading {
            name,
            kind,
            head,
            module: self.zfs.module(),
            wanted,
            altroot: self.altroots.get(pool).map(String::as_str),
            mount: self.mounts.get(name),
        };
        reading.properties(reply)
    }

    fn add_zpl(&self, name: &str, stats: &ObjsetStats, properties: &mut Properties) -> Result<()> {
        let (kind, head) = kind_of(stats);
        if !self.wants_zpl() || head != DatasetTypes::FILESYSTEM || stats.inconsistent {
            return Ok(());
        }
        let wanted = match &self.list.wanted {
            Wanted::Some(names) => Some(names),
            Wanted::None | Wanted::All => None,
        };
        let module = self.zfs.module();
        let reading = Reading { name, kind, head, module, wanted, altroot: None, mount: None };
        reading.add_zpl(properties, &self.zfs.zpl_properties(name)?);
        Ok(())
    }
}

impl Node {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            own: None,
            gone: false,
            kind: None,
            may_have_children: true,
            may_have_snapshots: true,
            parts: Vec::new(),
            below: None,
            asked: false,
        }
    }

    /// What the kernel says of it and of its snapshots.
    pub(super) fn set_stats(&mut self, context: &Context, stats: &ObjsetStats, reply: &NvList) {
        let (kind, head) = kind_of(stats);
        self.kind = Some(kind);
        // A zvol has no children. What children use says nothing: a clone to which nothing was written uses nothing.
        self.may_have_children = head == DatasetTypes::FILESYSTEM;
        // The snapshot before the present state is one of its own, or the one it is a clone of, or there is none.
        let previous = reply.get_list("prevsnap").and_then(|list| list.get_str("value"));
        let own = |snapshot: &str| {
            snapshot.strip_prefix(self.name.as_str()).is_some_and(|rest| rest.starts_with('@'))
        };
        self.may_have_snapshots = previous.is_some_and(own);
        if context.details {
            let properties = context.properties(&self.name, stats, reply);
            self.own = details(&self.name, kind, stats, properties);
        }
    }

    /// Asks all that is wanted of this dataset, but for what is below it.
    pub(super) fn ask(&mut self, context: &Context) -> Result<()> {
        if std::mem::replace(&mut self.asked, true) {
            return Ok(());
        }
        if context.wants_stats() && self.kind.is_none() {
            self.ask_stats(context)?;
        }
        if self.gone {
            return Ok(());
        }
        if let Some(Found { details: Some(details), .. }) = &mut self.own {
            context.add_zpl(&self.name, &details.stats, &mut details.properties)?;
        }
        if context.wants(DatasetTypes::SNAPSHOT) && self.may_have_snapshots {
            self.parts = snapshots(context, &self.name)?;
        }
        if context.wants(DatasetTypes::BOOKMARK) {
            self.parts.extend(bookmarks(context, &self.name)?);
        }
        Ok(())
    }

    pub(super) fn was_asked(&self) -> bool {
        self.asked
    }

    fn ask_stats(&mut self, context: &Context) -> Result<()> {
        let mut cmd = context.request(&self.name);
        match context.zfs.call_cmd(STATS, &mut cmd) {
            Ok(reply) => self.set_stats(context, &cmd.objset_stats, &reply),
            Err(error) if error.errno() == Some(Errno::ENOENT) => self.gone = true,
            Err(error) => return Err(error.into_error(&context.zfs)),
        }
        Ok(())
    }

    /// What is to be listed of it, in order. `covered` when an earlier root has listed it.
    pub(super) fn take_found(&mut self, context: &Context, covered: bool) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        let both = DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME;
        let wanted = self.kind.map_or_else(
            || context.list.types.contains(both),
            |kind| context.list.types.contains(kind.types()),
        );
        if wanted && !covered {
            found.push(match self.own.take() {
                Some(own) => own,
                None => Found { name: self.name.parse()?, details: None },
            });
        }
        if !covered {
            found.append(&mut self.parts);
        }
        Ok(found)
    }
}

fn details(
    name: &str,
    kind: DatasetKind,
    stats: &ObjsetStats,
    properties: Properties,
) -> Option<Found> {
    let name = name.parse().ok()?;
    Some(Found { name, details: Some(Details { kind, stats: stats.clone(), properties }) })
}

/// The snapshots of a dataset, oldest first; none if it is gone.
fn snapshots(context: &Context, dataset: &str) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut cookie = 0;
    // Without properties, 2.1 says nothing of a snapshot, not even when it was made.
    let mut simple = context.list.wanted == Wanted::None && context.zfs.module().is_at_least(2, 2);
    loop {
        let mut cmd = Cmd::new(dataset);
        cmd.cookie = cookie;
        cmd.simple = simple;
        cmd.reply_max = if simple { 0 } else { REPLY_BYTES_FIRST };
        let reply = match context.zfs.call_cmd(SNAPSHOTS, &mut cmd) {
            Ok(reply) => reply,
            Err(error) if error.errno() == Some(Errno::ESRCH) => break,
            Err(error) => return Err(error.into_error(&context.zfs)),
        };
        if simple && cmd.objset_stats.guid == 0 {
            simple = false;
            continue;
        }
        cookie = cmd.cookie;
        let stats = cmd.objset_stats;
        let mut properties = context.properties(&cmd.name, &stats, &reply);
        context.add_zpl(&cmd.name, &stats, &mut properties)?;
        let kind = DatasetKind::Snapshot;
        let name = EntityName::Snapshot(cmd.name.parse()?);
        found.push(Found { name, details: Some(Details { kind, stats, properties }) });
    }
    found.sort_by(|a, b| (a.createtxg(), &a.name).cmp(&(b.createtxg(), &b.name)));
    Ok(found)
}

impl Found {
    fn createtxg(&self) -> u64 {
        self.details.as_ref().map_or(0, |details| details.stats.creation_txg)
    }
}

/// The bookmarks of a dataset, oldest first; none if it is gone.
fn bookmarks(context: &Context, dataset: &str) -> Result<Vec<Found>> {
    match context.zfs.bookmarks(&dataset.parse()?) {
        Ok(bookmarks) => Ok(bookmarks.into_iter().map(|found| bookmark(context, found)).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn bookmark(context: &Context, bookmark: Bookmark) -> Found {
    let stats = ObjsetStats {
        guid: bookmark.guid.get(),
        creation_txg: bookmark.createtxg.get(),
        ..ObjsetStats::default()
    };
    let mut properties = Properties::default();
    let creation = bookmark.creation.duration_since(std::time::UNIX_EPOCH);
    let creation = creation.map_or(0, |since| since.as_secs());
    let text = DatasetKind::Bookmark.to_string();
    for (name, value) in [
        ("type", Some(PropertyValue::Text(text))),
        ("guid", Some(bookmark.guid.get().into())),
        ("createtxg", Some(bookmark.createtxg.get().into())),
        ("creation", Some(creation.into())),
        ("ivsetguid", bookmark.ivset_guid.map(|guid| guid.get().into())),
        ("referenced", bookmark.referenced.map(Into::into)),
        ("logicalreferenced", bookmark.logical_referenced.map(Into::into)),
    ] {
        if let (true, Some(value)) = (context.list.wanted.wants(name), value) {
            properties.insert(name, value, Source::None);
        }
    }
    let kind = DatasetKind::Bookmark;
    Found {
        name: EntityName::Bookmark(bookmark.name),
        details: Some(Details { kind, stats, properties }),
    }
}
