//! Bookmarks: where a snapshot was, kept after it is gone, to send increments from.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use super::snapshot::flags;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Ioc;
use crate::name::{BookmarkName, DatasetName, EntityName};
use crate::nvlist::NvList;
use crate::units::{Bytes, Guid, Txg};

const BOOKMARK: Operation = Operation::new(Ioc::BOOKMARK, "bookmark");
const GET_BOOKMARKS: Operation = Operation::new(Ioc::GET_BOOKMARKS, "list the bookmarks of");
const GET_BOOKMARK_PROPS: Operation =
    Operation::new(Ioc::GET_BOOKMARK_PROPS, "look up the bookmark");
const DESTROY_BOOKMARKS: Operation = Operation::new(Ioc::DESTROY_BOOKMARKS, "destroy");

/// A bookmark, and what is known of the snapshot it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bookmark {
    /// Its full name.
    pub name: BookmarkName,
    /// The GUID of the snapshot.
    pub guid: Guid,
    /// The transaction group the snapshot was created in.
    pub createtxg: Txg,
    /// When the snapshot was created.
    #[serde(serialize_with = "crate::serial::seconds")]
    pub creation: SystemTime,
    /// The GUID by which raw increments of an encrypted dataset are matched; `None` for others.
    pub ivset_guid: Option<Guid>,
    /// Space the snapshot referenced, where the bookmark has it (the `bookmark_written` feature).
    pub referenced: Option<Bytes>,
    /// The same before compression.
    pub logical_referenced: Option<Bytes>,
    /// For a redaction bookmark, the GUIDs of the snapshots it was redacted by. Only [`Zfs::bookmarks`] tells it: see
    /// [`Zfs::bookmark_properties`].
    pub redact_snaps: Option<Vec<Guid>>,
    /// For a redaction bookmark, whether its list of redacted blocks is complete. Only [`Zfs::bookmarks`] tells it.
    pub redact_complete: Option<bool>,
}

impl Zfs {
    /// Makes bookmarks, each of a snapshot or of another bookmark (OpenZFS 2.0 or newer), all in one transaction group or none.
    /// All must be in one pool, and each belongs to the dataset its source is of.
    ///
    /// Issues `ZFS_IOC_BOOKMARK` once; on disk when it returns. An empty list does nothing.
    ///
    /// # Errors
    /// With each name that failed in [`Error::failures`]:
    /// - [`ErrorKind::Exists`], [`ErrorKind::NotFound`] (the source), [`ErrorKind::Unrelated`] (the source is of another dataset).
    /// - [`ErrorKind::FeatureDisabled`]: the pool has not the `bookmarks` feature.
    /// - [`ErrorKind::Invalid`]: a source is a dataset. [`ErrorKind::Denied`].
    #[doc(alias = "lzc_bookmark")]
    pub fn bookmark(&self, bookmarks: &[(BookmarkName, EntityName)]) -> Result<()> {
        let Some((name, _)) = bookmarks.first() else { return Ok(()) };
        let mut input = NvList::new();
        for (bookmark, source) in bookmarks {
            input.insert(bookmark.as_str(), source.as_str());
        }
        self.call(BOOKMARK, name.pool().as_str(), &input)
            .map_err(|error| error.into_batch_error(self, name.as_str(), bookmarks.len()))?;
        Ok(())
    }

    /// The bookmarks of a dataset, oldest snapshot first.
    ///
    /// Issues `ZFS_IOC_GET_BOOKMARKS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: the dataset does not exist.
    #[doc(alias = "lzc_get_bookmarks")]
    pub fn bookmarks(&self, dataset: &DatasetName) -> Result<Vec<Bookmark>> {
        let mut input = NvList::new();
        for property in [
            "guid",
            "createtxg",
            "creation",
            "ivsetguid",
            "referenced",
            "logicalreferenced",
            "redact_snaps",
            "redact_complete",
        ] {
            input.insert_flag(property);
        }
        let reply = self
            .call(GET_BOOKMARKS, dataset.as_str(), &input)
            .map_err(|error| error.into_error(self))?;
        let mut found = Vec::with_capacity(reply.len());
        for (name, _) in reply.iter() {
            let properties =
                reply.require_list(name).map_err(|error| protocol(dataset.as_str(), &error))?;
            found.push(Bookmark::parse(dataset.bookmark(name)?, properties)?);
        }
        found.sort_by(|a, b| (a.createtxg, &a.name).cmp(&(b.createtxg, &b.name)));
        Ok(found)
    }

    /// One bookmark, without looking at the others of its dataset.
    ///
    /// [`Bookmark::redact_snaps`] and [`Bookmark::redact_complete`] are `None` even for a redaction bookmark: the ioctl takes no list of
    /// properties, and the kernel gives those two only when they are named (OpenZFS 2.1 to 2.4 `module/zfs/dsl_bookmark.c`,
    /// `dsl_bookmark_fetch_props`). [`Zfs::bookmarks`] names them.
    ///
    /// Issues `ZFS_IOC_GET_BOOKMARK_PROPS` (OpenZFS 2.0 or newer).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: it, or its dataset, does not exist.
    #[doc(alias = "lzc_get_bookmark_props")]
    pub fn bookmark_properties(&self, name: &BookmarkName) -> Result<Bookmark> {
        let reply = self
            .call(GET_BOOKMARK_PROPS, name.as_str(), &NvList::new())
            .map_err(|error| error.into_error(self))?;
        Bookmark::parse(name.clone(), &reply)
    }

    /// Destroys bookmarks, all in one transaction group or none. They must be in one pool; those that do not exist are passed over.
    ///
    /// Issues `ZFS_IOC_DESTROY_BOOKMARKS` once; on disk when it returns. An empty list does nothing.
    ///
    /// # Errors
    /// With each name that failed in [`Error::failures`]: [`ErrorKind::Unrelated`] (two pools), [`ErrorKind::Busy`]
    /// (a redaction bookmark in use by a send), [`ErrorKind::Denied`].
    #[doc(alias = "lzc_destroy_bookmarks")]
    pub fn destroy_bookmarks<'a>(
        &self,
        bookmarks: impl IntoIterator<Item = &'a BookmarkName>,
    ) -> Result<()> {
        let bookmarks: Vec<&BookmarkName> = bookmarks.into_iter().collect();
        let Some(first) = bookmarks.first() else { return Ok(()) };
        self.call(DESTROY_BOOKMARKS, first.pool().as_str(), &flags(&bookmarks))
            .map_err(|error| error.into_batch_error(self, first.as_str(), bookmarks.len()))?;
        Ok(())
    }
}

impl Bookmark {
    /// From the kernel's list: each property is a list with its `value`.
    fn parse(name: BookmarkName, properties: &NvList) -> Result<Self> {
        let number =
            |property: &str| properties.get_list(property).and_then(|list| list.get_u64("value"));
        let required = |property: &'static str| {
            number(property).ok_or_else(|| {
                GET_BOOKMARKS.error(
                    ErrorKind::Protocol,
                    name.as_str(),
                    format!("the reply has no '{property}'"),
                )
            })
        };
        let redact_snaps = properties
            .get_list("redact_snaps")
            .and_then(|list| list.get_u64s("value"))
            .map(|guids| guids.iter().copied().map(Guid::new).collect());
        Ok(Self {
            guid: Guid::new(required("guid")?),
            createtxg: Txg::new(required("createtxg")?),
            creation: SystemTime::UNIX_EPOCH + Duration::from_secs(required("creation")?),
            ivset_guid: number("ivsetguid").filter(|guid| *guid != 0).map(Guid::new),
            referenced: number("referenced").map(Bytes::new),
            logical_referenced: number("logicalreferenced").map(Bytes::new),
            redact_snaps,
            redact_complete: properties
                .get_list("redact_complete")
                .and_then(|list| list.get_bool("value")),
            name,
        })
    }
}

fn protocol(target: &str, error: &impl ToString) -> Error {
    GET_BOOKMARKS.error(ErrorKind::Protocol, target, error.to_string())
}
