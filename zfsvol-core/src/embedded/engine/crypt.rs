//! [`Crypt`]: how a dataset is encrypted, and [`Keystore`]: the keys that are loaded.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::pool::Pool;
use super::{Id, Result};
use crate::embedded::data::{DatasetKey, KEY_BYTES, Txn, WrappedKey};
use crate::kernel::Errno;

/// The user's key, which opens the keys of datasets.
pub(in crate::embedded) type UserKey = Zeroizing<[u8; KEY_BYTES]>;

/// The key of an encrypted dataset (`dsl_crypto_key_phys_t`), and whose wrapping key opens it. A clone has the key of its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Crypt {
    /// The directory of its encryption root: its own, or one above.
    pub(in crate::embedded) root: Id,
    /// The key, as it is kept.
    pub(in crate::embedded) wrapped: WrappedKey,
    /// What is said of the user's key that wraps it.
    pub(in crate::embedded) format: KeyFormat,
}

/// How a user's key was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct KeyFormat {
    /// `zfs_keyformat_t`.
    pub(in crate::embedded) keyformat: u64,
    /// Of a passphrase.
    pub(in crate::embedded) salt: u64,
    /// Of a passphrase.
    pub(in crate::embedded) iterations: u64,
}

/// How a dataset that is still to be made will be encrypted.
#[derive(Debug)]
pub(in crate::embedded) struct NewCrypt {
    /// Its `root` is 0 where it is to be an encryption root itself.
    pub(in crate::embedded) crypt: Crypt,
    /// The user's key of such a one.
    pub(in crate::embedded) user_key: Option<UserKey>,
    /// What its first blocks are enciphered with.
    pub(in crate::embedded) key: Arc<DatasetKey>,
}

/// The users' keys that are loaded, by encryption root (`spa_keystore_t`). They are never written down.
#[derive(Clone, Default)]
pub(in crate::embedded) struct Keystore(BTreeMap<Id, Arc<Loaded>>);

struct Loaded {
    user_key: UserKey,
    /// What it has opened, by the GUID of the key.
    opened: Mutex<BTreeMap<u64, Arc<DatasetKey>>>,
}

impl Loaded {
    fn opened(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<DatasetKey>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keystore {
    pub(in crate::embedded) fn contains(&self, root: Id) -> bool {
        self.0.contains_key(&root)
    }

    /// Whether it was not loaded before; if it was, that one stays.
    pub(in crate::embedded) fn insert(&mut self, root: Id, user_key: UserKey) -> bool {
        let new = !self.contains(root);
        if new {
            self.0.insert(root, Arc::new(Loaded { user_key, opened: Mutex::default() }));
        }
        new
    }

    pub(in crate::embedded) fn remove(&mut self, root: Id) {
        self.0.remove(&root);
    }

    /// Keeps a key at hand that the key of an encryption root opens.
    fn keep_opened(&self, root: Id, key: Arc<DatasetKey>) {
        if let Some(loaded) = self.0.get(&root) {
            loaded.opened().insert(key.guid(), key);
        }
    }

    /// The key of an encryption root.
    pub(in crate::embedded) fn get(&self, root: Id) -> Option<&UserKey> {
        self.0.get(&root).map(|loaded| &loaded.user_key)
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Pool {
    /// A dataset that was just made is encrypted.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn encrypt(&mut self, dir: Id, new: NewCrypt) -> Result<()> {
        let mut crypt = new.crypt;
        if let Some(user_key) = new.user_key {
            crypt.root = dir;
            self.keys.insert(dir, user_key);
        }
        self.keys.keep_opened(crypt.root, new.key);
        self.dir_mut(dir)?.crypt = Some(Box::new(crypt));
        Ok(())
    }

    /// Whether the data of a directory's dataset can be read: it is not encrypted, or its key is loaded.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn is_key_loaded(&self, dir: Id) -> Result<bool> {
        let crypt = self.dir(dir)?.crypt.as_ref();
        Ok(crypt.is_none_or(|crypt| self.keys.contains(crypt.root)))
    }

    /// What the blocks of a directory's dataset are enciphered with; `None` where it is not encrypted. `spa_keystore_dsl_key_hold_dd`.
    ///
    /// # Errors
    /// `EACCES` when its key is not loaded, or another.
    pub(in crate::embedded) fn data_key(&self, dir: Id) -> Result<Option<Arc<DatasetKey>>> {
        let Some(crypt) = &self.dir(dir)?.crypt else { return Ok(None) };
        let loaded = self.keys.0.get(&crypt.root).ok_or(Errno::EACCES)?;
        let mut opened = loaded.opened();
        if let Some(key) = opened.get(&crypt.wrapped.guid) {
            return Ok(Some(Arc::clone(key)));
        }
        let random = |bytes: &mut [u8]| self.env.random(bytes);
        let key = Arc::new(crypt.wrapped.unwrap(&loaded.user_key, &random)?);
        opened.insert(crypt.wrapped.guid, Arc::clone(&key));
        Ok(Some(key))
    }

    /// A change to the content of a dataset that is neither locked nor comes of a raw stream.
    ///
    /// # Errors
    /// As [`Self::data_key`].
    pub(in crate::embedded) fn txn(&self, id: Id, txg: u64) -> Result<Txn> {
        let key = self.data_key(self.dataset(id)?.dir)?;
        Ok(Txn::new(txg, self.policy(id)?).with_key(key))
    }

    /// Vouches for what has changed in a dataset, as long as its key is there: before it is a snapshot, is sent or kept, and before the key goes.
    /// See [`crate::embedded::data::Objset::seal`].
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn seal(&mut self, id: Id) -> Result<()> {
        let dataset = self.dataset(id)?;
        if dataset.content.objset.is_sealed() {
            return Ok(());
        }
        match self.data_key(dataset.dir)? {
            Some(key) => self.dataset_mut(id)?.content.objset.seal(&key),
            None => Ok(()),
        }
    }

    /// Vouches for all that has changed since it was kept last, so that nothing is written to a directory that needs its key to be complete, or
    /// is plain text of what is encrypted.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub(in crate::embedded) fn seal_changed(&mut self) -> Result<()> {
        self.datasets.changed().into_iter().try_for_each(|id| self.seal(id))
    }

    /// Has the key of an encryption root no more; what is changed under it is sealed.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub(in crate::embedded) fn forget_key(&mut self, root: Id) -> Result<()> {
        if self.keys.contains(root) {
            for dir in self.with_root(root, root)? {
                self.seal(self.dir(dir)?.head)?;
            }
            self.keys.remove(root);
        }
        Ok(())
    }

    /// Forgets every key, as when the pool is exported. What could not be sealed, which cannot be, is when the key comes back.
    pub(in crate::embedded) fn unload_keys(&mut self) {
        let roots: Vec<Id> = self.keys.0.keys().copied().collect();
        for root in roots {
            if self.forget_key(root).is_err() {
                self.keys.remove(root);
            }
        }
    }

    /// The directories that have the key of an encryption root, from one down, clones elsewhere included, and what is being received: the way of
    /// `spa_keystore_change_key_sync_impl`.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn with_root(&self, dir: Id, root: Id) -> Result<Vec<Id>> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut open = vec![(dir, false)];
        while let Some((id, is_clone)) = open.pop() {
            let place = self.dir(id)?;
            let Some(crypt) = &place.crypt else { continue };
            if !is_clone && (crypt.root != root || place.origin.is_some()) || !seen.insert(id) {
                continue;
            }
            found.push(id);
            open.extend(place.children_after(0).map(|child| (child, false)));
            for snapshot in self.head(place.head)?.snapshots_after(0) {
                for clone in &self.snapshot(snapshot)?.clones {
                    open.push((self.dataset(*clone)?.dir, true));
                }
            }
        }
        Ok(found)
    }

    /// Gives what has the key of one encryption root that of another, from a directory down, and what it is wrapped with, if that changes too.
    ///
    /// # Errors
    /// `EACCES` when it is to be wrapped anew and cannot be opened.
    pub(in crate::embedded) fn change_crypt_root(
        &mut self,
        dir: Id,
        from: Id,
        to: Id,
        rewrap: Option<(&UserKey, KeyFormat)>,
    ) -> Result<()> {
        let dirs = self.with_root(dir, from)?;
        let mut wrapped = BTreeMap::new();
        for dir in &dirs {
            self.seal(self.dir(*dir)?.head)?;
            let Some((user_key, _)) = rewrap else { continue };
            let Some(key) = self.data_key(*dir)? else { continue };
            if let Entry::Vacant(place) = wrapped.entry(key.guid()) {
                let random = |bytes: &mut [u8]| self.env.random(bytes);
                place.insert(key.wrap(user_key, &random)?);
            }
        }
        for dir in dirs {
            let Some(crypt) = &mut self.dir_mut(dir)?.crypt else { continue };
            crypt.root = to;
            if let (Some((_, format)), Some(wrapped)) = (rewrap, wrapped.get(&crypt.wrapped.guid)) {
                crypt.wrapped = *wrapped;
                crypt.format = format;
            }
        }
        Ok(())
    }

    /// Puts a key in place that a raw stream has brought, wrapped anew perhaps; clones share it.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn replace_wrapped(
        &mut self,
        dir: Id,
        wrapped: WrappedKey,
        format: KeyFormat,
    ) -> Result<()> {
        let Some(root) = self.dir(dir)?.crypt.as_ref().map(|crypt| crypt.root) else {
            return Ok(());
        };
        let mut dirs = self.with_root(dir, root)?;
        dirs.push(dir);
        for dir in dirs {
            if let Some(crypt) = &mut self.dir_mut(dir)?.crypt {
                if crypt.wrapped.guid == wrapped.guid {
                    crypt.wrapped = wrapped;
                    crypt.format = format;
                }
            }
        }
        Ok(())
    }
}
