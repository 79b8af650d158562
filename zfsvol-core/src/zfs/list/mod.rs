//! List datasets, snapshots and bookmarks: in a stable order, with the properties wanted, for the fewest objsets opened.
//!
//! Nearly all the time of a listing is the kernel finding and opening each dataset anew, once per ioctl that names it; what is asked of it
//! hardly counts. So the fewest such looks decide, and DESIGN.md has the figures:
//!
//! | step | looks per dataset | where |
//! |---|---|---|
//! | names of children, by a channel program | 1 at the parent for each child, none where the parent is mounted | `children.rs` |
//! | the same by `ZFS_IOC_DATASET_LIST_NEXT`, where programs are not allowed or would run long | 1 at the parent and 1 at the child, which gives its properties, and whether it is a zvol, below which nothing is | `children.rs` |
//! | that there is nothing below a file system | 1 | `children.rs` |
//! | properties, by `ZFS_IOC_OBJSET_STATS`; they say whether there are snapshots at all | 1 | `fetch.rs` |
//! | snapshots, by `ZFS_IOC_SNAPSHOT_LIST_NEXT` | 1 at the dataset and 1 at the snapshot | `fetch.rs` |

mod children;
mod fetch;
mod walker;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use serde::Serialize;

use super::Zfs;
use crate::error::Result;
use crate::name::{DatasetName, EntityName, SnapshotName};
use crate::property::{DatasetKind, DatasetTypes, Properties};
use crate::units::{Guid, Txg};
use walker::Walker;

/// What to list: from where, how deep, which kinds, with which properties.
///
/// ```
/// # use zfsvol_core::property::PropertySet;
/// use zfsvol_core::property::DatasetTypes;
/// use zfsvol_core::zfs::List;
/// use zfsvol_core::Zfs;
///
/// let zfs = Zfs::embedded();
/// # zfs.create_filesystem(&"tank/data".parse()?, &PropertySet::new())?;
/// let below = List::from("tank/data".parse()?)
///     .types(DatasetTypes::FILESYSTEM | DatasetTypes::SNAPSHOT)
///     .properties(["used", "com.example:owner"]);
/// for dataset in zfs.list(&below) {
///     let dataset = dataset?;
///     println!("{} {:?}", dataset.name, dataset.properties.bytes("used"));
/// }
/// # Ok::<(), zfsvol_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct List {
    roots: Option<Vec<DatasetName>>,
    depth: Option<usize>,
    types: DatasetTypes,
    wanted: Wanted,
    threads: Option<NonZeroUsize>,
}

/// Which properties to bring.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    None,
    Some(BTreeSet<String>),
    All,
}

impl Wanted {
    fn wants(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Some(names) => names.contains(name),
            Self::All => true,
        }
    }
}

impl List {
    /// The file systems and zvols of all imported pools, at every depth, without properties.
    #[must_use]
    pub fn all_pools() -> Self {
        Self {
            roots: None,
            depth: None,
            types: DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME,
            wanted: Wanted::None,
            threads: None,
        }
    }

    /// That dataset and the file systems and zvols below it, at every depth, without properties.
    #[must_use]
    pub fn from(root: DatasetName) -> Self {
        Self::from_roots([root])
    }

    /// Those datasets and the file systems and zvols below each, without properties. What is below two of them is listed once.
    #[must_use]
    pub fn from_roots(roots: impl IntoIterator<Item = DatasetName>) -> Self {
        let mut roots: Vec<DatasetName> = roots.into_iter().collect();
        roots.sort_by(|a, b| by_components(a.as_str(), b.as_str()));
        roots.dedup();
        Self { roots: Some(roots), ..Self::all_pools() }
    }

    /// Only so many levels below each root: 0 for the roots alone, with their snapshots and bookmarks if those are wanted.
    #[must_use]
    pub fn depth(mut self, levels: usize) -> Self {
        self.depth = Some(levels);
        self
    }

    /// Only these kinds, in place of file systems and zvols. [`DatasetTypes::POOL`] lists nothing.
    #[must_use]
    pub fn types(mut self, types: DatasetTypes) -> Self {
        self.types = types;
        self
    }

    /// With these properties, native or user, as far as each dataset has them.
    #[must_use]
    pub fn properties<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.wanted = Wanted::Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// With all properties, as [`Zfs::properties`] has them. Takes one more ioctl a file system than naming those wanted.
    #[must_use]
    pub fn all_properties(mut self) -> Self {
        self.wanted = Wanted::All;
        self
    }

    /// Asks the kernel from so many threads, in place of one a processor and at most [`Self::THREADS_MAX`].
    #[must_use]
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// More threads than this gain nothing: they wait for one lock of the pool.
    pub const THREADS_MAX: usize = 4;

    fn thread_count(&self) -> usize {
        self.threads.map_or_else(|| processors().min(Self::THREADS_MAX), NonZeroUsize::get)
    }

    fn wants_datasets(&self) -> bool {
        self.types.intersects(DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME)
    }
}

/// How many processors this process may use. Asked once: to find out takes longer than an ioctl, since control groups are looked at.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

/// A file system, zvol, snapshot or bookmark, as a listing gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dataset {
    /// Its full name.
    pub name: EntityName,
    /// What it is.
    #[serde(serialize_with = "crate::serial::word")]
    pub kind: DatasetKind,
    /// Its GUID. A bookmark has that of its snapshot.
    pub guid: Guid,
    /// The transaction group it was created in. A bookmark has that of its snapshot.
    pub createtxg: Txg,
    /// The snapshot it is a clone of.
    pub origin: Option<SnapshotName>,
    /// The properties wanted, as far as it has them.
    pub properties: Properties,
}

/// The datasets of a listing, one after the other. Made by [`Zfs::list`].
///
/// It holds the names of the siblings at each level it is in, and the properties of at most 64 datasets ahead, besides the snapshots of those; not the
/// whole listing.
#[derive(Debug)]
pub struct Listing(Walker);

impl Iterator for Listing {
    type Item = Result<Dataset>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.and_then(fetch::Found::into_dataset))
    }
}

/// The names of a listing, one after the other. Made by [`Zfs::list_names`].
#[derive(Debug)]
pub struct Names(Walker);

impl Iterator for Names {
    type Item = Result<EntityName>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|found| found.name))
    }
}

impl Zfs {
    /// Lists datasets, snapshots and bookmarks, with the properties wanted.
    ///
    /// The order is stable: a dataset, then its snapshots from the oldest to the newest, then its bookmarks likewise, then what is below it,
    /// by name. What is created or destroyed meanwhile may be listed or not; nothing is listed twice.
    ///
    /// Issues, for each dataset, `ZFS_IOC_OBJSET_STATS` and at most one each of `ZFS_IOC_OBJSET_ZPLPROPS` (when a property such as `casesensitivity`
    /// is wanted) and `ZFS_IOC_GET_BOOKMARKS`; `ZFS_IOC_SNAPSHOT_LIST_NEXT` for each snapshot; and for what is below datasets
    /// `ZFS_IOC_CHANNEL_PROGRAM` (a program that only reads), or `ZFS_IOC_DATASET_LIST_NEXT` where the caller may not run programs.
    /// Several threads do so at once, a little ahead of the iterator.
    ///
    /// # Errors
    /// Each item may be an error, after which the listing ends:
    /// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): there is no such root.
    /// - [`ErrorKind::Denied`](crate::ErrorKind::Denied), [`ErrorKind::Io`](crate::ErrorKind::Io), [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt),
    ///   [`ErrorKind::PoolSuspended`](crate::ErrorKind::PoolSuspended): a dataset cannot be read.
    pub fn list(&self, what: &List) -> Listing {
        Listing(Walker::new(self, what, true))
    }

    /// The whole of a listing, in memory.
    ///
    /// # Errors
    /// As [`Zfs::list`].
    pub fn list_all(&self, what: &List) -> Result<Vec<Dataset>> {
        self.list(what).collect()
    }

    /// Lists names alone, in the same order, for less: of each dataset the kernel is asked at most what is below it, and nothing of those at the
    /// lowest level that [`List::depth`] leaves. Where only one of file systems and zvols is wanted, each must be looked at.
    /// Properties that `what` wants are left out.
    ///
    /// # Errors
    /// As [`Zfs::list`].
    pub fn list_names(&self, what: &List) -> Names {
        let names = List { wanted: Wanted::None, ..what.clone() };
        Names(Walker::new(self, &names, false))
    }
}

/// Names in the order of a listing: by their components, so that what is below a dataset comes right after it. As plain text, `a-b` would
/// come between `a` and `a/b`.
fn by_components(a: &str, b: &str) -> std::cmp::Ordering {
    a.split('/').cmp(b.split('/'))
}
