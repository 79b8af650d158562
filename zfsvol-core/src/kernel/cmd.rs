//! [`Cmd`]: one request to a kernel and its answer, with no pointer in sight.

use std::borrow::Cow;

use super::ioc::Ioc;
use super::layout::BEGIN_RECORD_BYTES;
use super::policy;
use crate::errno::Errno;
use crate::nvlist::NvList;

/// One request and, after the call, its answer: what `zfs_cmd_t` carries, as plain values.
///
/// The fields have the names they have in `zfs_cmd_t` less the `zc_`, and an operation uses few of them: those of the libzfs_core
/// set only [`Cmd::name`], [`Cmd::input`] and the reply. The door to `/dev/zfs` turns a `Cmd` into the C struct; a kernel in the process reads
/// and answers it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cmd {
    /// Pool, dataset, snapshot or bookmark. `DATASET_LIST_NEXT` and the like answer here.
    pub name: String,
    /// The packed nvlist of arguments (`zc_nvlist_src`).
    pub input: Option<Vec<u8>>,
    /// A second packed nvlist: a pool's configuration (`zc_nvlist_conf`).
    pub conf: Option<Vec<u8>>,
    /// Most bytes the reply may have; 0 when none is wanted. A reply that is larger gives `ENOMEM`.
    pub reply_max: usize,
    /// A text, both ways (`zc_value`, up to 8,191 bytes).
    pub value: Vec<u8>,
    /// A short text, both ways (`zc_string`, up to 255 bytes).
    pub string: Vec<u8>,
    /// Most bytes of pool history to read; 0 for none.
    pub history_max: usize,
    /// Where in the pool's history to read, and how far it got.
    pub history_offset: u64,
    /// A GUID, or flags of `EVENTS_NEXT`.
    pub guid: u64,
    /// A cursor, a count, a file descriptor: each operation has its own use.
    pub cookie: u64,
    /// A type of objset, or of quota.
    pub objset_type: u64,
    /// Used by `USERSPACE_ONE` and others.
    pub perm_action: u64,
    /// An object number, or flags.
    pub obj: u64,
    /// The BEGIN record of a stream, for the legacy receive.
    pub begin_record: Option<Box<[u8; BEGIN_RECORD_BYTES]>>,
    /// Destroy the snapshot when its last hold and clone are gone.
    pub defer_destroy: bool,
    /// Flags of the operation.
    pub flags: u32,
    /// The descriptor of a [`Handle`](super::Handle), for operations that end when it is closed.
    pub cleanup_fd: i32,
    /// Names only, no statistics.
    pub simple: bool,
    /// Object number of the snapshot to send.
    pub sendobj: u64,
    /// Object number of the snapshot to send from.
    pub fromobj: u64,
    /// Of the snapshot to send from.
    pub createtxg: u64,
    /// A user namespace.
    pub zoneid: u64,
    /// Answer: what is known of a dataset without its properties.
    pub objset_stats: ObjsetStats,
    /// Answer of `OBJ_TO_STATS`.
    pub stat: ObjectStat,

    /// Answer: what was written to the reply buffer, nvlist or not.
    pub(super) reply: Vec<u8>,
    /// Answer: the size of the reply, or the size it would have had.
    pub(super) reply_size: u64,
    /// Answer: whether there is a packed nvlist in the reply.
    pub(super) reply_filled: bool,
    /// Answer: packed history records.
    pub(super) history: Vec<u8>,
    /// Answer: how many bytes of history there are.
    pub(super) history_len: u64,
    /// Answer: why a wrapper around the kernel refused, in words.
    pub(super) refusal: Option<Cow<'static, str>>,
}

/// What the kernel says of every dataset it names: `dmu_objset_stats_t`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjsetStats {
    /// Clones of this snapshot.
    pub num_clones: u64,
    /// The transaction group it was created in.
    pub creation_txg: u64,
    /// Its GUID.
    pub guid: u64,
    /// `dmu_objset_type_t`: 2 for a file system, [`Self::ZVOL`] for a zvol.
    pub objset_type: u32,
    /// A snapshot.
    pub is_snapshot: bool,
    /// A receive into it is not finished.
    pub inconsistent: bool,
    /// Received from a redacted stream.
    pub redacted: bool,
    /// The snapshot it is a clone of; empty if none.
    pub origin: String,
}

impl ObjsetStats {
    /// [`Self::objset_type`] of a zvol: `DMU_OST_ZVOL` of OpenZFS `include/sys/fs/zfs.h`.
    pub const ZVOL: u32 = 3;
}

/// What `zfs diff` asks about one object: `zfs_stat_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectStat {
    /// Generation: an object number used again has another.
    pub generation: u64,
    /// Type and permissions, as in `st_mode`.
    pub mode: u64,
    /// Hard links.
    pub links: u64,
    /// Time of the last change: seconds and nanoseconds.
    pub ctime: [u64; 2],
}

impl Cmd {
    /// A request about `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The bytes the kernel wrote to the reply buffer. Empty when it wrote none.
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// Whether [`Self::reply`] holds a packed nvlist.
    pub fn has_reply_nvlist(&self) -> bool {
        self.reply_filled && !self.reply.is_empty()
    }

    /// The size the kernel gave for the reply: after `ENOMEM` the size it needs, if it says so.
    pub fn reply_size(&self) -> u64 {
        self.reply_size
    }

    /// Answers with a packed nvlist, as `put_nvlist` of the module does.
    ///
    /// # Errors
    /// `ENOMEM` when it is longer than [`Self::reply_max`]; the size needed is then in [`Self::reply_size`].
    pub fn put_reply(&mut self, packed: &[u8]) -> Result<(), Errno> {
        self.put_reply_bytes(packed)?;
        self.reply_filled = true;
        Ok(())
    }

    /// Answers with bytes that are no nvlist (`USERSPACE_MANY`, `ERROR_LOG`).
    ///
    /// # Errors
    /// As [`Self::put_reply`].
    pub fn put_reply_bytes(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.reply_size = bytes.len() as u64;
        self.reply_filled = false;
        self.reply.clear();
        if bytes.len() > self.reply_max {
            return Err(Errno::ENOMEM);
        }
        self.reply.extend_from_slice(bytes);
        Ok(())
    }

    /// Answers that a door does not let the request through, and why: an errno alone would read as if OpenZFS had refused.
    ///
    /// `reason` goes into the message of the [`Error`](crate::Error), after "cannot snapshot 'tank/a': ".
    ///
    /// ```
    /// # use zfsvol_core::kernel::{Cmd, Errno};
    /// # let mut cmd = Cmd::new("tank");
    /// let outcome: Result<(), Errno> = Err(cmd.refuse(Errno::EPERM, "snapshots are taken at night only"));
    /// assert_eq!(cmd.refusal(), Some("snapshots are taken at night only"));
    /// ```
    pub fn refuse(&mut self, errno: Errno, reason: impl Into<Cow<'static, str>>) -> Errno {
        self.refusal = Some(reason.into());
        errno
    }

    /// Why a door refused, if it was a door and not OpenZFS.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Every pool, dataset, snapshot and bookmark that the request is about: [`Self::name`] first, then those in its texts and lists.
    ///
    /// For policy and audit. A list that cannot be unpacked has no names: the kernel refuses it.
    pub fn names(&self, ioc: Ioc) -> Vec<String> {
        let input = self.input.as_deref().and_then(|packed| NvList::from_bytes(packed).ok());
        policy::names(ioc, self, input.as_ref())
    }

    /// The packed history records the kernel wrote.
    pub fn history(&self) -> &[u8] {
        &self.history
    }

    /// Answers with packed history records, at most [`Self::history_max`] bytes of them.
    ///
    /// # Errors
    /// `ENOMEM` when there are more.
    pub fn put_history(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.len() > self.history_max {
            return Err(Errno::ENOMEM);
        }
        self.history = bytes.to_vec();
        self.history_len = bytes.len() as u64;
        Ok(())
    }
}
