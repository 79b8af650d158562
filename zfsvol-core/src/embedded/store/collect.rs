//! What was changed, as it is to be written.

use std::collections::{BTreeMap, BTreeSet};

use super::codec::{Malformed, Writer};
use super::{Batch, Change, Key, Kind, Value};
use crate::embedded::data::Freed;
use crate::embedded::data::stored::{KIND_DATA, Keeper, NewValue};
use crate::embedded::engine::stored::{Place, put_dataset, put_dir, put_pool};
use crate::embedded::engine::{Dataset, Dir, Id, Pool, State};

/// What is kept already, as far as it takes to see what is not.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The last number given to what datasets share.
    pub(super) last: u64,
    pub(super) freed: Freed,
    /// The records of the kernel and of pools.
    pub(super) records: BTreeMap<Key, Vec<u8>>,
    /// Where the records of histories begin, by pool.
    pub(super) histories: BTreeMap<u64, BTreeSet<u64>>,
}

impl Kept {
    /// All that was changed since the last time.
    pub(super) fn collect(&mut self, state: &mut State) -> Result<Batch, Malformed> {
        let State {
            env,
            pools,
            resting,
            // These end with the process.
            mounts: _,
            devices: _,
            handles: _,
            events: _,
            last_pools: _,
        } = state;
        let Self { last, freed, records, histories } = self;
        let keeper = Keeper { last, freed, new: Vec::new() };
        let new = BTreeMap::new();
        let mut collector = Collector { keeper, old: records, new, histories, batch: Batch::new() };
        let guids = env.is_seeded.then(|| env.guids_at());
        let kernel = packed(|out| out.option(guids, Writer::number))?;
        collector.new.insert(Key::new(Kind::Kernel, 0, 0), kernel);
        // Of one that is read only, what it was before rests, and is the same.
        for (name, pool) in pools.iter_mut().filter(|(_, pool)| !pool.is_read_only()) {
            collector.add(name, Place::Imported, pool)?;
        }
        for (name, destroyed, pool) in resting.iter_mut() {
            collector.add(name, Place::Resting { destroyed }, pool)?;
        }
        let Collector { keeper, new, mut batch, .. } = collector;
        for (number, value) in keeper.new {
            let value = match value {
                NewValue::Packed(out) => Value::Packed(out.finish()?),
                NewValue::Data(data) => Value::Data(KIND_DATA, data),
            };
            batch.push(Change::Put(Key::new(Kind::Shared, 0, number), value));
        }
        // After that which counts for new: nobody has these any more.
        for number in freed.take() {
            batch.push(Change::Remove(Key::new(Kind::Shared, 0, number)));
        }
        for key in records.keys().filter(|key| !new.contains_key(key)) {
            batch.push(Change::RemovePool(key.pool));
            histories.remove(&key.pool);
        }
        for (key, record) in &new {
            if records.get(key) != Some(record) {
                batch.push(Change::Put(*key, Value::Packed(record.clone())));
            }
        }
        *records = new;
        Ok(batch)
    }
}

/// Puts a batch together.
struct Collector<'a> {
    keeper: Keeper<'a>,
    /// The records of pools as they are kept, and as they are.
    old: &'a BTreeMap<Key, Vec<u8>>,
    new: BTreeMap<Key, Vec<u8>>,
    histories: &'a mut BTreeMap<u64, BTreeSet<u64>>,
    batch: Batch,
}

impl Collector<'_> {
    /// What was changed of a pool; all of it if nothing is kept yet.
    fn add(&mut self, name: &str, place: Place, pool: &mut Pool) -> Result<(), Malformed> {
        pool.seal_changed().map_err(|_| Malformed)?;
        if self.record(name, place, pool)? {
            self.add_all(pool)?;
            // All of it is written.
            pool.dirs.take_changed().for_each(drop);
            pool.datasets.take_changed().for_each(drop);
        } else {
            for (id, dir) in pool.dirs.take_changed() {
                self.add_dir(pool.guid, id, dir)?;
            }
            for (id, dataset) in pool.datasets.take_changed() {
                self.add_dataset(pool.guid, id, dataset)?;
            }
        }
        self.add_history(pool);
        let Some(saved) = pool.activity.checkpointed() else { return Ok(()) };
        // It never changes.
        let name = saved.dir(saved.root).map_err(|_| Malformed)?.name.clone();
        if self.record(&name, Place::Checkpoint, saved)? {
            self.add_all(saved)?;
        }
        self.add_history(saved);
        Ok(())
    }

    /// The record of a pool itself. Answers whether nothing is kept of it yet.
    fn record(&mut self, name: &str, place: Place, pool: &Pool) -> Result<bool, Malformed> {
        let key = Key::new(Kind::Pool, pool.guid, 0);
        self.new.insert(key, packed(|out| put_pool(name, place, pool, out))?);
        Ok(!self.old.contains_key(&key))
    }

    fn add_all(&mut self, pool: &Pool) -> Result<(), Malformed> {
        for (id, dir) in pool.dirs.iter() {
            self.add_dir(pool.guid, id, Some(dir))?;
        }
        for (id, dataset) in pool.datasets.iter() {
            self.add_dataset(pool.guid, id, Some(dataset))?;
        }
        Ok(())
    }

    fn add_dir(&mut self, pool: u64, id: Id, dir: Option<&Dir>) -> Result<(), Malformed> {
        let record = dir.map(|dir| packed(|out| put_dir(dir, out))).transpose()?;
        self.batch.push(change(Key::new(Kind::Dir, pool, id), record));
        Ok(())
    }

    fn add_dataset(
        &mut self,
        pool: u64,
        id: Id,
        dataset: Option<&Dataset>,
    ) -> Result<(), Malformed> {
        let put = |dataset| packed(|out| put_dataset(dataset, &mut self.keeper, out));
        let record = dataset.map(put).transpose()?;
        self.batch.push(change(Key::new(Kind::Dataset, pool, id), record));
        Ok(())
    }

    /// The records of a history that are new, and those that made room for them.
    fn add_history(&mut self, pool: &Pool) {
        let kept = self.histories.entry(pool.guid).or_default();
        let (_, kept_end) = pool.history.ends();
        let next = kept.last().map_or(0, |last| last.saturating_add(1));
        for (begin, record) in pool.history.records_from(next) {
            let key = Key::new(Kind::History, pool.guid, begin);
            self.batch.push(Change::Put(key, Value::Packed(record.to_vec())));
            kept.insert(begin);
        }
        while let Some(begin) = kept.range(kept_end..pool.history.oldest()).next().copied() {
            kept.remove(&begin);
            self.batch.push(Change::Remove(Key::new(Kind::History, pool.guid, begin)));
        }
    }
}

fn packed(put: impl FnOnce(&mut Writer)) -> Result<Vec<u8>, Malformed> {
    let mut out = Writer::new();
    put(&mut out);
    out.finish()
}

/// A record that is there, or not any more.
fn change(key: Key, record: Option<Vec<u8>>) -> Change {
    match record {
        Some(record) => Change::Put(key, Value::Packed(record)),
        None => Change::Remove(key),
    }
}
