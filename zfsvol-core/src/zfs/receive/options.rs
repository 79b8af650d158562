//! [`ReceiveOptions`]: how to receive, and with which properties.

use crate::error::Result;
use crate::name::SnapshotName;
use crate::nvlist::NvList;
use crate::property::PropertySet;
use crate::zfs::Key;

/// How to receive, and with which properties.
///
/// ```
/// use zfsvol_core::property::PropertySet;
/// use zfsvol_core::zfs::ReceiveOptions;
///
/// let options = ReceiveOptions::new()
///     .resumable()
///     .set(&PropertySet::new().with("readonly", true)?)
///     .exclude("mountpoint");
/// # Ok::<(), zfsvol_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReceiveOptions {
    pub(super) force: bool,
    pub(super) resumable: bool,
    pub(super) heal: bool,
    pub(super) origin: Option<SnapshotName>,
    pub(super) received: PropertySet,
    pub(super) set: PropertySet,
    excluded: Vec<String>,
    pub(super) key: Option<Key>,
}

impl Default for ReceiveOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveOptions {
    /// Nothing special.
    #[must_use]
    pub fn new() -> Self {
        Self {
            force: false,
            resumable: false,
            heal: false,
            origin: None,
            received: PropertySet::new(),
            set: PropertySet::new(),
            excluded: Vec::new(),
            key: None,
        }
    }

    /// Takes the destination back to the snapshot the increment starts from: what was written since and the snapshots after it are lost.
    /// With a full stream, the destination's whole content is.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Keeps what was received if the stream ends too early; see [`Zfs::receive_token`](crate::Zfs::receive_token). The pool needs the
    /// feature `extensible_dataset`.
    #[must_use]
    pub fn resumable(mut self) -> Self {
        self.resumable = true;
        self
    }

    /// Creates nothing: repairs damaged blocks of the snapshot, which exists, with those of the stream. OpenZFS 2.2 and newer.
    #[must_use]
    pub fn heal(mut self) -> Self {
        self.heal = true;
        self
    }

    /// Makes a new dataset as a clone of this snapshot: the one the increment starts from, or for a full stream one that it shares
    /// blocks with, of a file system for that of a file system and of a zvol for that of a zvol.
    #[must_use]
    pub fn origin(mut self, snapshot: SnapshotName) -> Self {
        self.origin = Some(snapshot);
        self
    }

    /// With these properties as received ones, as `zfs send -p` sends them: a local value takes precedence over each, and they replace all that
    /// were received before.
    #[must_use]
    pub fn received(mut self, properties: &PropertySet) -> Self {
        self.received = properties.clone();
        self
    }

    /// With these properties set locally, whatever was received (`zfs receive -o`).
    #[must_use]
    pub fn set(mut self, properties: &PropertySet) -> Self {
        self.set = properties.clone();
        self
    }

    /// With this property inherited, whatever was received (`zfs receive -x`). Properties that cannot be inherited are passed over.
    #[must_use]
    pub fn exclude(mut self, property: impl Into<String>) -> Self {
        self.excluded.push(property.into());
        self
    }

    /// Encrypts a new dataset with this key, as [`Create::key`](crate::zfs::Create::key) does: for full streams that are not raw.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// All but `begin_record` and `input_fd`, which the start of the stream gives.
    pub(super) fn to_nvlist(&self, snapshot: &SnapshotName) -> Result<NvList> {
        let mut local = self.set.to_nvlist();
        for property in &self.excluded {
            local.insert_flag(property);
        }
        let mut input = NvList::new();
        input.insert("snapname", snapshot.as_str());
        if !self.received.is_empty() {
            input.insert("props", self.received.to_nvlist());
        }
        if let Some(key) = &self.key {
            input.insert("hidden_args", key.prepare_new(&mut local)?);
        }
        if !local.is_empty() {
            input.insert("localprops", local);
        }
        if let Some(origin) = &self.origin {
            input.insert("origin", origin.as_str());
        }
        let flags = [(self.force, "force"), (self.resumable, "resumable"), (self.heal, "heal")];
        for (_, name) in flags.iter().filter(|(is_set, _)| *is_set) {
            input.insert_flag(*name);
        }
        Ok(input)
    }
}
