//! User holds: a held snapshot cannot be destroyed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Zfs;
use super::call::{MORE_ERRORS, Operation};
use crate::error::{Error, ErrorKind, Failure, Result, quoted};
use crate::kernel::{Errno, Handle, Ioc};
use crate::name::SnapshotName;
use crate::nvlist::NvList;

const HOLD: Operation = Operation::new(Ioc::HOLD, "hold");
const RELEASE: Operation = Operation::new(Ioc::RELEASE, "release");
const GET_HOLDS: Operation = Operation::new(Ioc::GET_HOLDS, "list the holds of");
const OPEN: Operation = Operation::new(Ioc::HOLD, "open a handle for temporary holds");

/// Longest tag of a hold, in bytes. The kernel (2.1 to 2.4, `module/zfs/dsl_userhold.c`) means to refuse longer ones and lets through one of 256 bytes,
/// which it then cannot store: it panics. So tags are measured here.
pub const TAG_BYTES_MAX: usize = 255;

/// Longest tag of a temporary hold, in bytes: the kernel stores it behind an object number (`MAX_TAG_PREFIX_LEN`).
pub const TEMPORARY_TAG_BYTES_MAX: usize = 238;

/// One hold of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its tag.
    pub tag: String,
    /// When it was put.
    #[serde(serialize_with = "crate::serial::seconds")]
    pub since: SystemTime,
}

/// A hold that was to be released, and is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MissingHold {
    /// The snapshot, as it was given.
    #[serde(serialize_with = "crate::serial::word")]
    pub snapshot: SnapshotName,
    /// The tag, as it was given.
    pub tag: String,
    /// Whether the snapshot is there, and only that hold of it is not.
    pub snapshot_exists: bool,
}

impl Zfs {
    /// Holds snapshots, each with a tag, all in one transaction group or none. They must be in one pool. A snapshot can be held with
    /// many tags, and with each once.
    ///
    /// Snapshots that do not exist are left out, and returned.
    ///
    /// Issues `ZFS_IOC_HOLD` once; on disk when it returns. With a `cleanup` handle ([`Zfs::handle`]) the holds end when
    /// that is dropped or the process dies, however it dies; without, they last until they are [released](Zfs::release).
    ///
    /// # Errors
    /// With each name that failed in [`Error::failures`], and the tag in its reason:
    /// - [`ErrorKind::Exists`]: it is held with that tag.
    /// - [`ErrorKind::InvalidName`]: the tag is empty, or longer than [`TAG_BYTES_MAX`] ([`TEMPORARY_TAG_BYTES_MAX`] with `cleanup`).
    /// - [`ErrorKind::Invalid`]: a snapshot is named twice.
    /// - [`ErrorKind::Unrelated`]: they are not in one pool. [`ErrorKind::Denied`].
    #[doc(alias = "lzc_hold")]
    pub fn hold(
        &self,
        holds: &[(SnapshotName, &str)],
        cleanup: Option<&Handle>,
    ) -> Result<Vec<SnapshotName>> {
        let Some((first, _)) = holds.first() else { return Ok(Vec::new()) };
        check_tags(holds, if cleanup.is_some() { TEMPORARY_TAG_BYTES_MAX } else { TAG_BYTES_MAX })?;
        let mut tags = NvList::new();
        for (snapshot, tag) in holds {
            if tags.contains(snapshot.as_str()) {
                let of_it = holds.iter().filter(|(name, _)| name == snapshot);
                let tags: Vec<&str> = of_it.map(|(_, tag)| *tag).collect();
                let reason = "it is named twice, and one call puts one hold on each snapshot";
                let reason = format!("{}: {reason}", told(&tags));
                return Err(HOLD.error(ErrorKind::Invalid, snapshot.as_str(), reason));
            }
            tags.insert(snapshot.as_str(), *tag);
        }
        let mut input = NvList::new();
        input.insert("holds", tags);
        if let Some(handle) = cleanup {
            input.insert("cleanup_fd", handle.number());
        }
        let reply = self
            .call(HOLD, first.pool().as_str(), &input)
            .map_err(|error| error.into_batch_error(self, first.as_str(), holds.len()))
            .map_err(|error| with_tags(error, holds))?;
        missing_snapshots(&reply)
    }

    /// Releases holds, all in one transaction group or none. A snapshot marked for deferred destruction goes with its last hold.
    ///
    /// Holds that are not there (or whose snapshot is not) are left out, and returned in the order in which they were given, so that a retry is harmless.
    ///
    /// Issues `ZFS_IOC_RELEASE` once; on disk when it returns.
    ///
    /// # Errors
    /// With each snapshot that failed in [`Error::failures`], and its tags in the reason: [`ErrorKind::Unrelated`] (two pools), [`ErrorKind::Denied`].
    #[doc(alias = "lzc_release")]
    pub fn release(&self, holds: &[(SnapshotName, &str)]) -> Result<Vec<MissingHold>> {
        let Some((first, _)) = holds.first() else { return Ok(Vec::new()) };
        let mut input = NvList::new();
        for (snapshot, tag) in holds {
            let mut tags = input.get_list(snapshot.as_str()).cloned().unwrap_or_default();
            tags.insert_flag(*tag);
            input.insert(snapshot.as_str(), tags);
        }
        let reply = self
            .call(RELEASE, first.pool().as_str(), &input)
            .map_err(|error| error.into_batch_error(self, first.as_str(), holds.len()))
            .map_err(|error| with_tags(error, holds))?;
        Ok(missing_holds(&reply, holds))
    }

    /// The holds of a snapshot, by tag.
    ///
    /// Issues `ZFS_IOC_GET_HOLDS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: the snapshot does not exist.
    #[doc(alias = "lzc_get_holds")]
    pub fn holds(&self, snapshot: &SnapshotName) -> Result<Vec<Hold>> {
        let reply = self
            .call(GET_HOLDS, snapshot.as_str(), &NvList::new())
            .map_err(|error| error.into_error(self))?;
        let mut holds = Vec::with_capacity(reply.len());
        for (tag, _) in reply.iter() {
            let seconds = reply.require_u64(tag).map_err(|error| {
                GET_HOLDS.error(ErrorKind::Protocol, snapshot.as_str(), error.to_string())
            })?;
            holds.push(Hold {
                tag: tag.to_owned(),
                since: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            });
        }
        holds.sort_by(|a, b| a.tag.cmp(&b.tag));
        Ok(holds)
    }

    /// A handle of one's own to the kernel: temporary [holds](Zfs::hold) end when it is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::NoModule`] or [`ErrorKind::Denied`], as for [`Zfs::open`]; [`ErrorKind::Other`] when this process has no descriptor left.
    pub fn handle(&self) -> Result<Handle> {
        self.kernel.host().handle().map_err(|errno| {
            // Of open(2), not of an ioctl: what the door's own opening makes of it.
            let kind = match errno {
                Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => ErrorKind::NoModule,
                Errno::EACCES | Errno::EPERM => ErrorKind::Denied,
                _ => ErrorKind::Other,
            };
            Error::new(kind, OPEN.verb, errno.reason()).with_errno(errno)
        })
    }
}

/// Refuses tags the kernel cannot store.
fn check_tags(holds: &[(SnapshotName, &str)], bytes_max: usize) -> Result<()> {
    let failures: Vec<Failure> = holds
        .iter()
        .filter(|(_, tag)| tag.is_empty() || tag.len() > bytes_max)
        .map(|(snapshot, tag)| Failure {
            name: snapshot.as_str().to_owned(),
            kind: ErrorKind::InvalidName,
            errno: if tag.is_empty() { Errno::EINVAL } else { Errno::E2BIG },
            reason: format!(
                "{}: it has {} bytes, and 1 to {bytes_max} are allowed",
                told(&[tag]),
                tag.len()
            )
            .into(),
            busy: Vec::new(),
        })
        .collect();
    if failures.is_empty() {
        return Ok(());
    }
    let error =
        Error::new(ErrorKind::InvalidName, HOLD.verb, "a tag has not a length that is allowed")
            .with_failures(failures, 0);
    Err(match holds {
        [(alone, _)] => error.with_target(alone.as_str()),
        _ => error,
    })
}

/// The error with the tags of what failed: the kernel names snapshots only. All holds of a snapshot fail together.
fn with_tags(error: Error, holds: &[(SnapshotName, &str)]) -> Error {
    if error.failures().is_empty() {
        let tags: Vec<&str> = holds.iter().map(|(_, tag)| *tag).collect();
        let reason = format!("{}: {}", told(&tags), error.reason());
        return error.with_reason(reason);
    }
    let mut tags: HashMap<&str, Vec<&str>> = HashMap::new();
    for (snapshot, tag) in holds {
        tags.entry(snapshot.as_str()).or_default().push(tag);
    }
    let named = error.failures().iter().map(|failure| match tags.get(&*failure.name) {
        Some(tags) => {
            let reason = format!("{}: {}", told(tags), failure.reason);
            Failure { reason: reason.into(), ..failure.clone() }
        }
        None => failure.clone(),
    });
    let (named, omitted) = (named.collect(), error.failures_omitted());
    error.with_failures(named, omitted)
}

/// `tag 'a'`, or `tags 'a', 'b'`, each once.
fn told(tags: &[&str]) -> String {
    let mut seen = HashSet::new();
    let tags: Vec<String> =
        tags.iter().filter(|tag| seen.insert(**tag)).map(|tag| shown(tag)).collect();
    format!("{} {}", if tags.len() == 1 { "tag" } else { "tags" }, quoted(&tags))
}

/// A tag for a message, of which its beginning is enough.
fn shown(tag: &str) -> String {
    /// Tags of programs are a word and a UUID at most.
    const CHARS_MAX: usize = 80;
    match tag.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", tag.get(..end).unwrap_or(tag)),
        None => tag.to_owned(),
    }
}

/// The snapshots in the error list of a call that succeeded.
fn missing_snapshots(reply: &NvList) -> Result<Vec<SnapshotName>> {
    let names = reply.iter().map(|(name, _)| name).filter(|name| *name != MORE_ERRORS);
    names.map(|name| Ok(name.parse()?)).collect()
}

/// Which holds were not there, by the error list of a release that succeeded: a snapshot, or `snapshot#tag` (OpenZFS 2.4 `module/zfs/dsl_userhold.c`,
/// `dsl_dataset_user_release_check_one`).
fn missing_holds(reply: &NvList, holds: &[(SnapshotName, &str)]) -> Vec<MissingHold> {
    let listed: HashSet<&str> = reply.iter().map(|(name, _)| name).collect();
    let missing = holds.iter().filter_map(|(snapshot, tag)| {
        let snapshot_exists = !listed.contains(snapshot.as_str());
        let is_missing = !snapshot_exists || listed.contains(&*format!("{snapshot}#{tag}"));
        let (snapshot, tag) = (snapshot.clone(), (*tag).to_owned());
        is_missing.then_some(MissingHold { snapshot, tag, snapshot_exists })
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tags_and_many_are_cut_in_messages() {
        let long = "ü".repeat(200);
        assert_eq!(told(&["a"]), "tag 'a'");
        let cut = format!("tags 'a', 'b', '{}...' and 1 more", "ü".repeat(80));
        assert_eq!(told(&["a", "b", "a", &long, "c"]), cut);
    }

    #[test]
    fn each_missing_hold_is_told_by_snapshot_and_tag() {
        let [there, gone]: [SnapshotName; 2] =
            ["tank/a@there", "tank/a@gone"].map(|name| name.parse().unwrap());
        let holds: [(SnapshotName, &str); 4] =
            [(there.clone(), "a#b"), (gone.clone(), "x"), (there.clone(), "held"), (gone, "y")];
        let reply: NvList = [("tank/a@there#a#b", 2), ("tank/a@gone", 2)].into_iter().collect();
        let missing = missing_holds(&reply, &holds);
        let told: Vec<_> = missing.iter().map(|one| (&*one.tag, one.snapshot_exists)).collect();
        assert_eq!(told, [("a#b", true), ("x", false), ("y", false)]);
        assert_eq!(missing[0].snapshot, there);
    }
}
