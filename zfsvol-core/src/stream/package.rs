//! [`Package`]: what the head of a package says of the streams in it. [`split`] and [`join`].

use std::io::{Read, Write as Output};

use serde::Serialize;

use super::{
    Begin, End, Frame, HeaderType, Part, Problem, Record, STREAM_MAGIC, Source, StreamError,
    StreamFeatures, StreamName, StreamReader, StreamWriter,
};
use crate::nvlist::{Encoding, NvList, NvTypeError, Value};
use crate::units::Guid;

/// What is in a package, as `zfs send -R`, `-I`, `-p`, `-h` and `-b` make it.
///
/// All of it comes from the sending machine: names are hints, and properties wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Package {
    /// The snapshot the increments start from, without its dataset: `monday`.
    pub from_snapshot: Option<String>,
    /// The snapshot that is sent, without its dataset.
    pub to_snapshot: String,
    /// Whether the receiver is to make the datasets below as they are in the package: renamed and destroyed too (`-R`).
    pub recursive: bool,
    /// Whether the streams are raw.
    pub raw: bool,
    /// The datasets, parents before children.
    pub datasets: Vec<PackagedDataset>,
}

/// Things by their names, in the order of the package.
pub type Named<T> = Vec<(String, T)>;

/// A dataset in a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PackagedDataset {
    /// Its GUID on the sending side.
    pub guid: Guid,
    /// Its name on the sending side.
    pub name: String,
    /// The GUID of its parent's snapshot that the increments start from; 0 where there is none.
    pub parent_from_snapshot: Guid,
    /// The snapshot it is a clone of.
    pub origin: Option<Guid>,
    /// Its properties, if they come along.
    pub properties: Option<Named<PackagedValue>>,
    /// Whether it has an encryption key of its own.
    pub is_encryption_root: bool,
    /// Its snapshots, from the oldest to the newest.
    pub snapshots: Named<Guid>,
    /// The properties of its snapshots.
    pub snapshot_properties: Named<Named<PackagedValue>>,
    /// The tags of the holds of its snapshots, with the time each was made, if holds come along.
    pub holds: Option<Named<Named<u64>>>,
}

/// The value of a property in a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PackagedValue {
    /// A number: a size, a switch, the number of a word.
    Number(u64),
    /// A text.
    Text(String),
}

impl Package {
    /// Reads the list behind the begin of a package.
    ///
    /// # Errors
    ///
    /// When the list lacks what every package has, or has it in another type.
    pub fn from_list(list: &NvList) -> Result<Self, NvTypeError> {
        let mut datasets = Vec::new();
        if list.contains("fss") {
            for (guid, value) in list.require_list("fss")? {
                let Value::NvList(dataset) = value else { continue };
                datasets.push(PackagedDataset::from_list(guid, dataset)?);
            }
        }
        Ok(Self {
            from_snapshot: list.get_str("fromsnap").map(str::to_owned),
            to_snapshot: list.require_str("tosnap")?.to_owned(),
            recursive: !list.get_flag("not_recursive"),
            raw: list.get_flag("raw"),
            datasets,
        })
    }

    /// The list, in the order in which OpenZFS makes it: OpenZFS 2.3 `lib/libzfs/libzfs_sendrecv.c`, `send_prelim_records`.
    #[must_use]
    pub fn to_list(&self) -> NvList {
        let mut list = NvList::new();
        if let Some(name) = &self.from_snapshot {
            list.insert("fromsnap", name.as_str());
        }
        list.insert("tosnap", self.to_snapshot.as_str());
        if !self.recursive {
            list.insert_flag("not_recursive");
        }
        if self.raw {
            list.insert_flag("raw");
        }
        let named = self.datasets.iter().map(|dataset| {
            (format!("0x{:x}", dataset.guid.get()), Value::NvList(dataset.to_list()))
        });
        list.insert("fss", named.collect::<NvList>());
        list
    }

    /// A package of streams of one dataset, each an increment of the one before, as `zfs send -I` would make it, with no properties.
    ///
    /// What is not in the streams is made up: the dataset's GUID is that of its first snapshot.
    ///
    /// # Errors
    ///
    /// When there is no stream, or one does not continue the one before; the number of the first that does not.
    pub fn of_increments(streams: &[Begin]) -> Result<Self, usize> {
        let first = streams.first().ok_or(0_usize)?;
        let breaks = streams.windows(2).position(|pair| match pair {
            [before, after] => before.to_guid != after.from_guid,
            _ => false,
        });
        if let Some(at) = breaks {
            return Err(at + 1);
        }
        let parts = |begin: &Begin| {
            let name = begin.to_name.to_string();
            let (dataset, snapshot) = name.split_once('@').unwrap_or((&name, ""));
            (dataset.to_owned(), snapshot.to_owned())
        };
        let snapshots = streams.iter().map(|begin| (parts(begin).1, begin.to_guid)).collect();
        let last = streams.last().unwrap_or(first);
        let dataset = PackagedDataset {
            guid: first.to_guid,
            name: parts(first).0,
            snapshots,
            // `zfs receive` aborts where a snapshot has no list of its own, and is content with an empty one: OpenZFS 2.3
            // `lib/libzfs/libzfs_sendrecv.c`, `zfs_receive_one`.
            snapshot_properties: streams.iter().map(|begin| (parts(begin).1, Vec::new())).collect(),
            ..PackagedDataset::default()
        };
        Ok(Self {
            to_snapshot: parts(last).1,
            raw: last.features().contains(StreamFeatures::RAW),
            datasets: vec![dataset],
            ..Self::default()
        })
    }
}

impl PackagedDataset {
    fn from_list(guid: &str, list: &NvList) -> Result<Self, NvTypeError> {
        let guid = u64::from_str_radix(guid.trim_start_matches("0x"), 16).unwrap_or_default();
        let snapshots =
            list.require_list("snaps")?.iter().filter_map(|(name, value)| match value {
                Value::Uint64(guid) => Some((name.to_owned(), Guid::new(*guid))),
                _ => None,
            });
        Ok(Self {
            guid: Guid::new(guid),
            name: list.require_str("name")?.to_owned(),
            parent_from_snapshot: Guid::new(list.get_u64("parentfromsnap").unwrap_or_default()),
            origin: list.get_u64("origin").map(Guid::new),
            properties: list.get_list("props").map(values),
            is_encryption_root: list.get_flag("is_encroot"),
            snapshots: snapshots.collect(),
            snapshot_properties: list
                .get_list("snapprops")
                .map(|list| by_snapshot(list, values))
                .unwrap_or_default(),
            holds: list.get_list("snapholds").map(|list| by_snapshot(list, tags)),
        })
    }

    fn to_list(&self) -> NvList {
        let mut list = NvList::new();
        list.insert("name", self.name.as_str());
        list.insert("parentfromsnap", self.parent_from_snapshot.get());
        if let Some(origin) = self.origin {
            list.insert("origin", origin.get());
        }
        if let Some(properties) = &self.properties {
            list.insert("props", values_list(properties));
        }
        if self.is_encryption_root {
            list.insert_flag("is_encroot");
        }
        let snapshots = self.snapshots.iter();
        let snapshots = snapshots.map(|(name, guid)| (name.as_str(), Value::Uint64(guid.get())));
        list.insert("snaps", snapshots.collect::<NvList>());
        let properties = self.snapshot_properties.iter();
        let properties =
            properties.map(|(name, of)| (name.as_str(), Value::NvList(values_list(of))));
        list.insert("snapprops", properties.collect::<NvList>());
        if let Some(holds) = &self.holds {
            let tags = |tags: &[(String, u64)]| -> NvList {
                tags.iter().map(|(tag, time)| (tag.as_str(), Value::Uint64(*time))).collect()
            };
            let holds = holds.iter().map(|(name, of)| (name.as_str(), Value::NvList(tags(of))));
            list.insert("snapholds", holds.collect::<NvList>());
        }
        list
    }
}

fn by_snapshot<T>(list: &NvList, read: fn(&NvList) -> Named<T>) -> Named<Named<T>> {
    let lists = list.iter().filter_map(|(name, value)| match value {
        Value::NvList(list) => Some((name.to_owned(), read(list))),
        _ => None,
    });
    lists.collect()
}

/// What is neither text nor number is no value of a property, and left out.
fn values(list: &NvList) -> Named<PackagedValue> {
    let values = list.iter().filter_map(|(name, value)| match value {
        Value::Uint64(number) => Some((name.to_owned(), PackagedValue::Number(*number))),
        Value::String(text) => {
            let text = String::from_utf8_lossy(text.as_bytes()).into_owned();
            Some((name.to_owned(), PackagedValue::Text(text)))
        }
        _ => None,
    });
    values.collect()
}

fn tags(list: &NvList) -> Named<u64> {
    let tags = list.iter().filter_map(|(tag, value)| match value {
        Value::Uint64(time) => Some((tag.to_owned(), *time)),
        _ => None,
    });
    tags.collect()
}

fn values_list(values: &[(String, PackagedValue)]) -> NvList {
    let pairs = values.iter().map(|(name, value)| {
        let value = match value {
            PackagedValue::Number(number) => Value::Uint64(*number),
            PackagedValue::Text(text) => Value::from(text.as_str()),
        };
        (name.as_str(), value)
    });
    pairs.collect()
}

impl Frame<'_> {
    /// What is in the package that this record begins; `None` for any other record, and for a package that says nothing of it, as
    /// `zfs send -I` without `-R` and `-p` makes it.
    ///
    /// # Errors
    ///
    /// When the list that follows cannot be read.
    pub fn package(&self) -> Result<Option<Package>, StreamError> {
        match self.record {
            Record::Begin(_) if self.part == Part::PackageHead && !self.payload.is_empty() => {
                let package = Package::from_list(&self.begin_list()?);
                package.map(Some).map_err(|error| self.error(Problem::Payload(error.to_string())))
            }
            _ => Ok(None),
        }
    }
}

/// Takes a package apart: writes each of its streams to what `open` answers for it. A stream by itself is written as it is.
///
/// Each is then a stream by itself, and can be received without the others, given what it starts from. Answers what the package said
/// of them. Takes the memory of a reader, whatever the number of streams.
///
/// # Errors
///
/// What is wrong with the input, or that an output cannot be opened or written.
pub fn split<S: Source, W: Output>(
    reader: &mut StreamReader<S>,
    mut open: impl FnMut(&Begin) -> std::io::Result<W>,
) -> Result<Option<Package>, StreamError> {
    let mut package = None;
    let mut writer: Option<StreamWriter<W>> = None;
    while let Some(frame) = reader.next_frame()? {
        match frame.part {
            Part::PackageHead => package = frame.package()?.or(package),
            Part::PackageEnd => {}
            Part::Stream => {
                let mut current = match (frame.record, writer.take()) {
                    (Record::Begin(begin), _) => {
                        let output =
                            open(begin).map_err(|error| frame.error(Problem::Io(error)))?;
                        StreamWriter::new(output)
                    }
                    (_, Some(current)) => current,
                    // There is no record of a stream before its begin.
                    (_, None) => continue,
                };
                current.copy(&frame)?;
                if matches!(frame.record, Record::End(_)) {
                    current.finish()?;
                } else {
                    writer = Some(current);
                }
            }
        }
    }
    Ok(package)
}

/// Puts streams together into one package, which `zfs receive` takes in one go.
///
/// `name` is the snapshot that the package is of; the streams come in the order in which they are to be received. Takes the memory of a
/// reader. Increments of one dataset need no `package`; [`Package::of_increments`] makes one from their begins.
///
/// # Errors
///
/// What is wrong with a stream, that one of them is a package itself, or that the output cannot be written.
pub fn join<R: Read, W: Output>(
    package: Option<&Package>,
    name: &StreamName,
    streams: impl IntoIterator<Item = R>,
    output: W,
) -> Result<W, StreamError> {
    let mut writer = StreamWriter::new(output);
    let error = |reason: String| StreamError::new((0, 0), None, Problem::Payload(reason));
    let list = package.map(|package| package.to_list().encode(Encoding::Xdr)).transpose();
    let list = list.map_err(|e| error(e.to_string()))?.unwrap_or_default();
    let length = u32::try_from(list.len()).unwrap_or(u32::MAX);
    if length > super::BEGIN_PAYLOAD_BYTES_MAX {
        return Err(error("what is in the package takes more than 64 MiB to say".to_owned()));
    }
    let mut begin =
        Begin { magic: STREAM_MAGIC, to_name: *name, payload_bytes: length, ..Begin::default() };
    let mut datasets = package.into_iter().flat_map(|package| &package.datasets);
    let holds = if datasets.any(|dataset| dataset.holds.is_some()) {
        StreamFeatures::HOLDS
    } else {
        StreamFeatures::empty()
    };
    begin.set_version(HeaderType::Compound, holds);
    writer.write(&Record::Begin(begin), &list)?;
    writer.write(&Record::End(End::default()), &[])?;
    for stream in streams {
        let mut reader = StreamReader::new(stream);
        while let Some(frame) = reader.next_frame()? {
            if frame.part != Part::Stream {
                let reason = "a package goes into no other: split it first";
                return Err(frame.error(Problem::Unsupported(reason)));
            }
            writer.copy(&frame)?;
        }
    }
    writer.write(&Record::End(End::default()), &[])?;
    writer.finish()
}
