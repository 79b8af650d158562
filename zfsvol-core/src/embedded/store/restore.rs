//! State from what was kept of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codec::{Malformed, Reader};
use super::collect::Kept;
use super::{Key, Kind, Trouble};
use crate::embedded::data::Data;
use crate::embedded::data::stored::{KIND_DATA, Shelf};
use crate::embedded::engine::stored::{Place, TakenPool, take_dataset, take_dir, take_pool};
use crate::embedded::engine::{Env, Pool, State};
use crate::embedded::hold;

/// What is in a log.
#[derive(Debug, Default)]
pub(super) struct Found {
    values: BTreeMap<Key, FoundValue>,
}

#[derive(Debug)]
enum FoundValue {
    Packed(Box<[u8]>),
    /// The bytes of a block, which are the most of all and are not copied again.
    Data(Data),
}

impl Found {
    /// The next that was written.
    pub(super) fn add(&mut self, key: Key, value: Option<&[u8]>) {
        match (key.kind, value) {
            (_, None) => {
                self.values.remove(&key);
            }
            (Kind::Shared, Some([KIND_DATA, data @ ..])) => {
                self.values.insert(key, FoundValue::Data(data.into()));
            }
            (_, Some(value)) => {
                self.values.insert(key, FoundValue::Packed(value.into()));
            }
        }
    }

    /// The state it is, and what is kept of it.
    pub(super) fn restore(self, env: Env) -> Result<(State, Kept), Trouble> {
        let mut state = State::new(env);
        let mut kept = Kept::default();
        let mut shelf = Shelf::default();
        let mut pools = BTreeMap::new();
        // In the order of kinds: what others need comes first.
        for (key, value) in self.values {
            let damaged = |_| Trouble::Damaged(format!("the record {key:?} makes no sense"));
            if key.kind == Kind::Shared {
                kept.last = kept.last.max(key.id);
            }
            let packed = match value {
                FoundValue::Packed(packed) => packed,
                FoundValue::Data(data) => {
                    shelf.add_data(key.id, data, &kept.freed);
                    continue;
                }
            };
            take_one(key, &packed, &mut state, &mut kept, &mut shelf, &mut pools)
                .map_err(damaged)?;
        }
        put_together(&mut state, pools)?;
        // What nobody has any more, as what was shared with a dataset that is gone, is given back now with the shelf.
        Ok((state, kept))
    }
}

/// Takes what is kept under one key.
fn take_one(
    key: Key,
    packed: &[u8],
    state: &mut State,
    kept: &mut Kept,
    shelf: &mut Shelf,
    pools: &mut BTreeMap<u64, TakenPool>,
) -> Result<(), Malformed> {
    let mut input = Reader::new(packed);
    match key.kind {
        Kind::Shared => return shelf.add(key.id, packed, &kept.freed),
        Kind::History => {
            pool_of(pools, key)?.history.restore(key.id, packed);
            kept.histories.entry(key.pool).or_default().insert(key.id);
            return Ok(());
        }
        Kind::Kernel => {
            let guids = input.option(Reader::number)?;
            if let Some(guids) = guids.filter(|_| state.env.is_seeded) {
                state.env.continue_guids(guids);
            }
            kept.records.insert(key, packed.to_vec());
        }
        Kind::Pool => {
            let taken = take_pool(&state.env, &mut input)?;
            if taken.pool.guid != key.pool {
                return Err(Malformed);
            }
            pools.insert(key.pool, taken);
            kept.records.insert(key, packed.to_vec());
        }
        Kind::Dir => pool_of(pools, key)?.restore_dir(key.id, take_dir(&mut input)?),
        Kind::Dataset => {
            pool_of(pools, key)?.restore_dataset(key.id, take_dataset(shelf, &mut input)?);
        }
    }
    input.end()
}

/// The pool that a record is of.
fn pool_of(pools: &mut BTreeMap<u64, TakenPool>, key: Key) -> Result<&mut Pool, Malformed> {
    pools.get_mut(&key.pool).map(|taken| &mut taken.pool).ok_or(Malformed)
}

/// Puts every pool where it belongs.
fn put_together(state: &mut State, pools: BTreeMap<u64, TakenPool>) -> Result<(), Trouble> {
    let release = state.env.release;
    let (mut saved, mut others) = (BTreeMap::new(), Vec::new());
    for (number, mut taken) in pools {
        taken.pool.assemble().map_err(|_| does_not_fit(&taken.name))?;
        match taken.place {
            Place::Checkpoint => drop(saved.insert(number, taken)),
            _ => others.push(taken),
        }
    }
    for TakenPool { name, place, mut pool, checkpoint } in others {
        if let Some((time, number)) = checkpoint {
            let saved = saved.remove(&number).ok_or_else(|| does_not_fit(&name))?;
            pool.activity.restore_checkpoint(time, saved.pool);
        }
        if let Place::Resting { destroyed } = place {
            state.resting.restore(name, destroyed, pool);
            continue;
        }
        if let Some(feature) = pool.features.unknown_to(release) {
            return Err(Trouble::Feature { pool: name.to_string(), feature, release });
        }
        put_right(&mut pool);
        if state.pools.insert(Arc::clone(&name), pool).is_some() {
            return Err(does_not_fit(&name));
        }
    }
    match saved.into_values().next() {
        Some(saved) => Err(does_not_fit(&saved.name)),
        None => Ok(()),
    }
}

fn does_not_fit(pool: &str) -> Trouble {
    Trouble::Damaged(format!("pool '{pool}' does not fit together"))
}

/// What OpenZFS does when it imports a pool (2.3 `module/zfs/spa.c`, spa_load_impl): receives that were cut off and cannot be resumed leave
/// nothing (`dsl_destroy_inconsistent`), temporary holds end (`dsl_pool_clean_tmp_userrefs`), and so does what was done to a device for now.
fn put_right(pool: &mut Pool) {
    pool.layout.forget_what_is_temporary();
    let heads: Vec<_> = pool
        .datasets
        .iter()
        .filter(|(_, dataset)| {
            !dataset.is_snapshot() && dataset.inconsistent && dataset.transfer.resume.is_none()
        })
        .map(|(id, _)| id)
        .collect();
    for id in heads {
        if pool.check_destroy_head(id).is_ok() {
            let tx = pool.begin();
            // There is nothing to be done about one that does not go, which cannot be.
            let _ = pool.destroy_head(id, tx);
        }
    }
    hold::release_temporary(pool);
}
