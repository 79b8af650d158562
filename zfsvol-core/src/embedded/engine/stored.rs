//! Pools, directories and datasets as they are kept in a directory: each is one record, written whole when it was changed.
//!
//! **Who adds a field** to one of these has nothing to remember: they are taken apart here field by field, so nothing compiles until the new one
//! is written and read, or said to be over with the process (`field: _`). What grows without end (a history, say) should not be in the record of
//! a pool, which is written with every change: give it records of its own, with a [`Kind`](crate::embedded::store::Kind) of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bookmark::{Bookmark, BookmarkSpace};
use super::content::{Content, Zpl};
use super::crypt::{Crypt, KeyFormat};
use super::dataset::{Dataset, Head, Hold, Role, Snapshot};
use super::dir::{Breakdown, Dir};
use super::entries::Entries;
use super::pool::Pool;
use super::props::{PropValue, Props, Slot};
use super::space::{Deadlist, Space};
use super::transfer::{Resume, Transfer};
use super::{Env, Id};
use crate::embedded::activity::Activity;
use crate::embedded::data::stored::{Keeper, Shelf, put_objset, take_objset};
use crate::embedded::data::{Suite, WrappedKey};
use crate::embedded::feature::Enabled;
use crate::embedded::history::History;
use crate::embedded::import::Import;
use crate::embedded::send::{Redaction, RedactionList};
use crate::embedded::store::codec::{Malformed, Reader, Writer};
use crate::embedded::vdev::Layout;
use crate::stream::SendFlags;

type Result<T> = std::result::Result<T, Malformed>;

/// Where a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Place {
    Imported,
    /// It was exported, or destroyed as the how-manieth.
    Resting {
        destroyed: Option<u64>,
    },
    /// It is what another was when its checkpoint was made.
    Checkpoint,
}

/// A pool that was read.
pub(in crate::embedded) struct TakenPool {
    pub(in crate::embedded) name: Arc<str>,
    pub(in crate::embedded) place: Place,
    pub(in crate::embedded) pool: Pool,
    /// When its checkpoint was made, and the number of the pool that it is.
    pub(in crate::embedded) checkpoint: Option<(u64, u64)>,
}

/// A pool without what it has many of.
pub(in crate::embedded) fn put_pool(name: &str, place: Place, pool: &Pool, out: &mut Writer) {
    let Pool {
        env: _,
        guid,
        txg,
        features,
        props,
        layout,
        root,
        // Records of their own.
        dirs: _,
        datasets: _,
        next_id,
        // As after a reboot.
        keys: _,
        activity,
        history,
        import,
    } = pool;
    out.text(name);
    let (place, destroyed) = match place {
        Place::Imported => (0_u8, None),
        Place::Resting { destroyed } => (1, destroyed),
        Place::Checkpoint => (2, None),
    };
    out.number(place);
    out.option(destroyed, Writer::number);
    out.number(*guid);
    out.number(*txg);
    features.put(out);
    out.list(props.iter(), |out, (name, value)| {
        out.text(name);
        put_value(out, value);
    });
    layout.put(out);
    out.number(*root);
    out.number(*next_id);
    activity.put(out);
    // Its records are records of their own.
    let (end, kept_end) = history.ends();
    out.number(end);
    out.number(kept_end);
    import.put(out);
}

/// The same, read: a pool that has no directories, datasets and history yet.
pub(in crate::embedded) fn take_pool(env: &Arc<Env>, input: &mut Reader<'_>) -> Result<TakenPool> {
    let name = input.text()?.into();
    let place = match (input.number()?, input.option(Reader::number)?) {
        (0, None) => Place::Imported,
        (1, destroyed) => Place::Resting { destroyed },
        (2, None) => Place::Checkpoint,
        _ => return Err(Malformed),
    };
    let mut pool = Pool {
        env: Arc::clone(env),
        guid: input.number()?,
        txg: input.number()?,
        features: Enabled::take(input)?,
        props: input.list(|input| Ok((input.text()?.to_owned(), take_value(input)?)))?,
        layout: Layout::take(input)?,
        root: input.number()?,
        dirs: Entries::new(env.is_kept),
        datasets: Entries::new(env.is_kept),
        next_id: input.number()?,
        keys: Default::default(),
        activity: Activity::default(),
        history: History::default(),
        import: Import::default(),
    };
    let checkpoint;
    (pool.activity, checkpoint) = Activity::take(input)?;
    pool.history = History::restored((input.number()?, input.number()?));
    pool.import = Import::take(input)?;
    Ok(TakenPool { name, place, pool, checkpoint })
}

pub(in crate::embedded) fn put_dir(dir: &Dir, out: &mut Writer) {
    let Dir {
        parent,
        name,
        head,
        // Each says itself where it is.
        children: _,
        order: _,
        props,
        origin,
        origin_txg,
        used,
        breakdown,
        quota,
        reservation,
        filesystems,
        snapshots,
        counted,
        snapshots_changed: (seconds, nanoseconds),
        crypt,
    } = dir;
    out.option(*parent, Writer::number);
    out.text(name);
    out.number(*head);
    put_props(out, props);
    out.option(*origin, Writer::number);
    out.number(*origin_txg);
    put_space(out, used);
    let Breakdown { head, snapshots: of_snapshots, children, children_reserved, reserved } =
        breakdown;
    for bytes in [head, of_snapshots, children, children_reserved, reserved] {
        out.signed(*bytes);
    }
    out.number(*quota);
    out.signed(*reservation);
    out.number(*filesystems);
    out.number(*snapshots);
    out.flag(*counted);
    out.number(*seconds);
    out.number(*nanoseconds);
    out.option(crypt.as_deref(), put_crypt);
}

/// The same, read: a directory that has no children yet.
pub(in crate::embedded) fn take_dir(input: &mut Reader<'_>) -> Result<Dir> {
    let parent = input.option(Reader::number)?;
    let name = input.text()?.into();
    let head = input.number()?;
    Ok(Dir {
        parent,
        name,
        head,
        children: BTreeMap::new(),
        order: BTreeSet::new(),
        props: take_props(input)?,
        origin: input.option(Reader::number)?,
        origin_txg: input.number()?,
        used: take_space(input)?,
        breakdown: Breakdown {
            head: input.signed()?,
            snapshots: input.signed()?,
            children: input.signed()?,
            children_reserved: input.signed()?,
            reserved: input.signed()?,
        },
        quota: input.number()?,
        reservation: input.signed()?,
        filesystems: input.number()?,
        snapshots: input.number()?,
        counted: input.flag()?,
        snapshots_changed: (input.number()?, input.small()?),
        crypt: input.option(take_crypt)?.map(Box::new),
    })
}

fn put_crypt(out: &mut Writer, crypt: &Crypt) {
    let Crypt { root, wrapped, format } = crypt;
    let WrappedKey { suite, guid, version, master, hmac, iv, mac } = wrapped;
    let KeyFormat { keyformat, salt, iterations } = *format;
    for number in [*root, suite.number(), *guid, *version, keyformat, salt, iterations] {
        out.number(number);
    }
    for bytes in [&master[..], hmac, iv, mac] {
        out.raw(bytes);
    }
}

fn take_crypt(input: &mut Reader<'_>) -> Result<Crypt> {
    let root = input.number()?;
    let suite = Suite::from_number(input.number()?).ok_or(Malformed)?;
    let (guid, version) = (input.number()?, input.number()?);
    let format = KeyFormat {
        keyformat: input.number()?,
        salt: input.number()?,
        iterations: input.number()?,
    };
    let wrapped = WrappedKey {
        suite,
        guid,
        version,
        master: input.array()?,
        hmac: input.array()?,
        iv: input.array()?,
        mac: input.array()?,
    };
    Ok(Crypt { root, wrapped, format })
}

pub(in crate::embedded) fn put_dataset(
    dataset: &Dataset,
    keeper: &mut Keeper<'_>,
    out: &mut Writer,
) {
    let Dataset {
        dir,
        guid,
        creation_txg,
        creation_time,
        prev,
        prev_txg,
        referenced,
        unique,
        deadlist,
        content,
        inconsistent,
        // Nobody uses it after a restart.
        long_holds: _,
        transfer,
        role,
    } = dataset;
    out.number(*dir);
    out.number(*guid);
    out.number(*creation_txg);
    out.number(*creation_time);
    out.option(*prev, Writer::number);
    out.number(*prev_txg);
    put_space(out, referenced);
    out.signed(*unique);
    let Deadlist { by_birth, total: _ } = deadlist;
    out.list(by_birth.iter(), |out, (birth, space)| {
        out.number(*birth);
        put_space(out, space);
    });
    put_content(content, keeper, out);
    out.flag(*inconsistent);
    put_transfer(transfer, out);
    match role {
        Role::Head(head) => {
            out.flag(true);
            put_head(head, out);
        }
        Role::Snapshot(snapshot) => {
            out.flag(false);
            put_snapshot(snapshot, out);
        }
    }
}

/// The same, read: a head has no snapshots yet.
pub(in crate::embedded) fn take_dataset(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Dataset> {
    Ok(Dataset {
        dir: input.number()?,
        guid: input.number()?,
        creation_txg: input.number()?,
        creation_time: input.number()?,
        prev: input.option(Reader::number)?,
        prev_txg: input.number()?,
        referenced: take_space(input)?,
        unique: input.signed()?,
        deadlist: {
            let mut deadlist = Deadlist::default();
            let sums: Vec<(u64, Space)> =
                input.list(|input| Ok((input.number()?, take_space(input)?)))?;
            sums.into_iter().for_each(|(birth, space)| deadlist.insert(birth, space));
            deadlist
        },
        content: take_content(shelf, input)?,
        inconsistent: input.flag()?,
        long_holds: 0,
        transfer: take_transfer(input)?,
        role: match input.flag()? {
            true => Role::Head(Box::new(take_head(input)?)),
            false => Role::Snapshot(Box::new(take_snapshot(input)?)),
        },
    })
}

fn put_content(content: &Content, keeper: &mut Keeper<'_>, out: &mut Writer) {
    let Content { objset, zpl, uncounted } = content;
    put_objset(objset, keeper, out);
    out.option(*zpl, |out, zpl| {
        let Zpl { version, normalization, utf8only, casesensitivity } = zpl;
        for number in [version, normalization, utf8only, casesensitivity] {
            out.number(number);
        }
    });
    out.flag(*uncounted);
}

fn take_content(shelf: &Shelf, input: &mut Reader<'_>) -> Result<Content> {
    Ok(Content {
        objset: take_objset(shelf, input)?,
        zpl: input.option(|input| {
            Ok(Zpl {
                version: input.number()?,
                normalization: input.number()?,
                utf8only: input.number()?,
                casesensitivity: input.number()?,
            })
        })?,
        uncounted: input.flag()?,
    })
}

fn put_transfer(transfer: &Transfer, out: &mut Writer) {
    let Transfer {
        // Nobody is, after a restart.
        receiving: _,
        resume,
        redact_snapshots,
    } = transfer;
    out.option(resume.as_deref(), |out, resume| {
        let Resume {
            to_guid,
            to_name,
            from_guid,
            object,
            offset,
            bytes,
            flags,
            from_redact_snapshots,
        } = resume;
        out.text(to_name);
        for number in [to_guid, from_guid, object, offset, bytes] {
            out.number(*number);
        }
        out.number(flags.bits());
        out.option(from_redact_snapshots.as_deref(), put_numbers);
    });
    out.option(redact_snapshots.as_deref(), put_numbers);
}

fn take_transfer(input: &mut Reader<'_>) -> Result<Transfer> {
    let resume = input.option(|input| {
        Ok(Resume {
            to_name: input.text()?.to_owned(),
            to_guid: input.number()?,
            from_guid: input.number()?,
            object: input.number()?,
            offset: input.number()?,
            bytes: input.number()?,
            flags: SendFlags::from_bits(input.small()?).ok_or(Malformed)?,
            from_redact_snapshots: input.option(take_numbers)?,
        })
    })?;
    Ok(Transfer {
        receiving: false,
        resume: resume.map(Box::new),
        redact_snapshots: input.option(take_numbers)?.map(Into::into),
    })
}

fn put_head(head: &Head, out: &mut Writer) {
    let Head {
        // Each says itself whose it is.
        snapshots: _,
        order: _,
        bookmarks,
        had_bookmarks,
        refquota,
        refreservation,
    } = head;
    out.list(bookmarks.iter(), |out, (name, bookmark)| {
        out.text(name);
        put_bookmark(bookmark, out);
    });
    out.flag(*had_bookmarks);
    out.number(*refquota);
    out.signed(*refreservation);
}

fn take_head(input: &mut Reader<'_>) -> Result<Head> {
    Ok(Head {
        snapshots: BTreeMap::new(),
        order: BTreeSet::new(),
        bookmarks: input.list(|input| Ok((input.text()?.into(), take_bookmark(input)?)))?,
        had_bookmarks: input.flag()?,
        refquota: input.number()?,
        refreservation: input.signed()?,
    })
}

fn put_bookmark(bookmark: &Bookmark, out: &mut Writer) {
    let Bookmark { guid, creation_txg, creation_time, ivset_guid, space, redaction } = bookmark;
    for number in [guid, creation_txg, creation_time, ivset_guid] {
        out.number(*number);
    }
    out.option(*space, |out, BookmarkSpace { referenced, freed }| {
        put_space(out, &referenced);
        put_space(out, &freed);
    });
    out.option(redaction.as_deref(), |out, RedactionList { snapshots, blocks }| {
        put_numbers(out, snapshots);
        out.list(blocks.iter(), |out, Redaction { object, first, count, block_bytes }| {
            out.number(*object);
            out.number(*first);
            out.number(*count);
            out.number(*block_bytes);
        });
    });
}

fn take_bookmark(input: &mut Reader<'_>) -> Result<Bookmark> {
    Ok(Bookmark {
        guid: input.number()?,
        creation_txg: input.number()?,
        creation_time: input.number()?,
        ivset_guid: input.number()?,
        space: input.option(|input| {
            Ok(BookmarkSpace { referenced: take_space(input)?, freed: take_space(input)? })
        })?,
        redaction: input
            .option(|input| {
                Ok(RedactionList {
                    snapshots: take_numbers(input)?,
                    blocks: input.list(|input| {
                        Ok(Redaction {
                            object: input.number()?,
                            first: input.number()?,
                            count: input.number()?,
                            block_bytes: input.small()?,
                        })
                    })?,
                })
            })?
            .map(Arc::new),
    })
}

fn put_snapshot(snapshot: &Snapshot, out: &mut Writer) {
    let Snapshot { name, next, clones, holds, defer_destroy, props, ivset_guid } = snapshot;
    out.text(name);
    out.number(*next);
    out.list(clones.iter(), |out, clone| out.number(*clone));
    out.list(holds.iter(), |out, (tag, Hold { time, temporary })| {
        out.text(tag);
        out.number(*time);
        out.flag(*temporary);
    });
    out.flag(*defer_destroy);
    put_props(out, props);
    out.number(*ivset_guid);
}

fn take_snapshot(input: &mut Reader<'_>) -> Result<Snapshot> {
    Ok(Snapshot {
        name: input.text()?.into(),
        next: input.number()?,
        clones: input.list(Reader::number)?,
        holds: input.list(|input| {
            let tag = input.text()?.into();
            Ok((tag, Hold { time: input.number()?, temporary: input.flag()? }))
        })?,
        defer_destroy: input.flag()?,
        props: take_props(input)?,
        ivset_guid: input.number()?,
    })
}

fn put_props(out: &mut Writer, props: &Props) {
    let Props { slots, has_received } = props;
    out.list(slots.iter(), |out, (name, Slot { local, received, hidden })| {
        out.text(name.as_str());
        out.option(local.as_ref(), put_value);
        out.option(received.as_ref(), put_value);
        out.flag(*hidden);
    });
    out.flag(*has_received);
}

fn take_props(input: &mut Reader<'_>) -> Result<Props> {
    Ok(Props {
        slots: input.list(|input| {
            let name = super::props::Name::new(input.text()?);
            let (local, received) = (input.option(take_value)?, input.option(take_value)?);
            Ok((name, Slot { local, received, hidden: input.flag()? }))
        })?,
        has_received: input.flag()?,
    })
}

fn put_value(out: &mut Writer, value: &PropValue) {
    match value {
        PropValue::Number(number) => {
            out.flag(true);
            out.number(*number);
        }
        PropValue::Text(text) => {
            out.flag(false);
            out.text(text);
        }
    }
}

fn take_value(input: &mut Reader<'_>) -> Result<PropValue> {
    match input.flag()? {
        true => input.number().map(PropValue::Number),
        false => Ok(PropValue::Text(input.text()?.into())),
    }
}

fn put_space(out: &mut Writer, space: &Space) {
    let Space { used, compressed, uncompressed } = *space;
    for bytes in [used, compressed, uncompressed] {
        out.signed(bytes);
    }
}

fn take_space(input: &mut Reader<'_>) -> Result<Space> {
    Ok(Space { used: input.signed()?, compressed: input.signed()?, uncompressed: input.signed()? })
}

fn put_numbers(out: &mut Writer, numbers: &[u64]) {
    out.list(numbers.iter(), |out, number| out.number(*number));
}

fn take_numbers(input: &mut Reader<'_>) -> Result<Vec<u64>> {
    input.list(Reader::number)
}

impl Pool {
    /// Adds a directory that was read.
    pub(in crate::embedded) fn restore_dir(&mut self, id: Id, dir: Dir) {
        self.dirs.restore(id, dir);
    }

    /// Adds a dataset that was read.
    pub(in crate::embedded) fn restore_dataset(&mut self, id: Id, dataset: Dataset) {
        self.datasets.restore(id, dataset);
    }

    /// Puts together what was read in pieces: directories below directories, snapshots of heads.
    ///
    /// # Errors
    /// [`Malformed`] when the pieces do not belong together: something refers to what is not there, or to itself.
    pub(in crate::embedded) fn assemble(&mut self) -> Result<()> {
        self.check_references()?;
        let dirs: Vec<(Id, Option<Id>, Arc<str>)> =
            self.dirs.iter().map(|(id, dir)| (id, dir.parent, Arc::clone(&dir.name))).collect();
        let count = dirs.len();
        for (id, parent, name) in dirs {
            if let Some(parent) = parent {
                self.dirs.restored(parent).ok_or(Malformed)?.add_child(name, id);
            }
        }
        // From the root everything is reached, and nothing twice: so nothing is below itself.
        if self.tree(self.root).map_err(|_| Malformed)?.len() != count {
            return Err(Malformed);
        }
        let snapshots: Vec<(Id, Id, Arc<str>)> = self
            .datasets
            .iter()
            .filter_map(|(id, dataset)| {
                Some((id, dataset.dir, Arc::clone(&dataset.as_snapshot()?.name)))
            })
            .collect();
        for (id, dir, name) in snapshots {
            let head = self.dir(dir).map_err(|_| Malformed)?.head;
            match self.datasets.restored(head).map(|head| &mut head.role) {
                Some(Role::Head(head)) => head.add_snapshot(name, id),
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }

    /// That what is referred to is there, and that going from one snapshot to that before it comes to an end.
    fn check_references(&self) -> Result<()> {
        let check = |is_so: bool| if is_so { Ok(()) } else { Err(Malformed) };
        let is_snapshot = |id| self.datasets.get(id).is_some_and(Dataset::is_snapshot);
        for (id, dir) in self.dirs.iter() {
            let head = self.datasets.get(dir.head).ok_or(Malformed)?;
            check(!head.is_snapshot() && head.dir == id)?;
            check(dir.parent.is_none() == (id == self.root) && id <= self.next_id)?;
            check(dir.origin.is_none_or(is_snapshot))?;
            let crypt = dir.crypt.as_ref();
            check(crypt.is_none_or(|crypt| self.dirs.get(crypt.root).is_some()))?;
        }
        for (id, dataset) in self.datasets.iter() {
            check(self.dirs.get(dataset.dir).is_some() && id <= self.next_id)?;
            check(dataset.prev.is_none_or(is_snapshot))?;
            if let Some(snapshot) = dataset.as_snapshot() {
                // A number is never used again, so the older one is the smaller one.
                check(dataset.prev.is_none_or(|prev| prev < id))?;
                check(self.datasets.get(snapshot.next).is_some())?;
                check(snapshot.clones.iter().all(|id| self.datasets.get(*id).is_some()))?;
            }
        }
        Ok(())
    }
}
