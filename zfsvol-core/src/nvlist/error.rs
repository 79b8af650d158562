//! What can be wrong with a packed list, with a tree that is to be packed, and with a pair.

use std::fmt;

use super::DataType;

/// Why bytes are not a packed list: what is wrong, at which byte, and inside which pair.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<DecodeFailure>);

#[derive(Clone, PartialEq, Eq)]
struct DecodeFailure {
    code: DecodeCode,
    offset: usize,
    path: Path,
}

/// The names around an error, innermost first: they are added on the way out.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    names: Vec<String>,
    /// The place in an array of lists whose name comes next.
    element: Option<usize>,
}

impl Path {
    pub(super) fn push(&mut self, name: &str) {
        self.names.push(match self.element.take() {
            Some(place) => format!("{name}[{place}]"),
            None => name.to_owned(),
        });
    }

    /// What comes next is the name of an array of lists; the failure is in the one at `place`.
    pub(super) fn element(&mut self, place: usize) {
        self.element = Some(place);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().rev().map(String::as_str)
    }
}

/// What is wrong with a packed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeCode {
    /// The bytes end before the list does.
    Truncated,
    /// The first byte names an encoding that is neither native (0) nor XDR (1).
    UnknownEncoding,
    /// The second byte of a native list names neither little (1) nor big endian (0).
    UnknownByteOrder,
    /// The list's version is not 0, the only one there is.
    UnknownVersion,
    /// A pair's type is none that a pair can have.
    UnknownType,
    /// A pair's size does not agree with what it holds.
    PairSize,
    /// A pair's name has no length, no end, or a NUL inside.
    PairName,
    /// A pair's name is not UTF-8.
    NameNotUtf8,
    /// A pair's count of elements is negative, or does not fit its type.
    ElementCount,
    /// A boolean is neither 0 nor 1.
    Boolean,
    /// A small integer does not fit its type.
    Integer,
    /// A string is not ended by a NUL inside its pair.
    StringUnterminated,
    /// A string has a NUL inside.
    StringNul,
    /// The bytes that fill up an XDR unit are not zero.
    Padding,
    /// Bytes are left over after the list.
    TrailingBytes,
    /// Lists are nested deeper than [`Limits::depth`](super::Limits::depth).
    TooDeep,
    /// There are more pairs than [`Limits::pairs`](super::Limits::pairs).
    TooManyPairs,
    /// The list is longer than [`Limits::bytes`](super::Limits::bytes).
    TooManyBytes,
}

impl DecodeCode {
    const fn message(self) -> &'static str {
        match self {
            Self::Truncated => "the packed list ends too early",
            Self::UnknownEncoding => "encoding is neither native nor xdr",
            Self::UnknownByteOrder => "byte order is neither little nor big endian",
            Self::UnknownVersion => "version of the packed list is not 0",
            Self::UnknownType => "unknown type of pair",
            Self::PairSize => "size of the pair does not match its content",
            Self::PairName => "name of the pair is not a terminated string",
            Self::NameNotUtf8 => "name of the pair is not utf-8",
            Self::ElementCount => "element count does not match the type",
            Self::Boolean => "boolean is neither 0 nor 1",
            Self::Integer => "integer is too large for its type",
            Self::StringUnterminated => "string is not terminated",
            Self::StringNul => "string has a nul inside",
            Self::Padding => "padding is not zero",
            Self::TrailingBytes => "bytes are left over after the list",
            Self::TooDeep => "lists are nested too deeply",
            Self::TooManyPairs => "too many pairs",
            Self::TooManyBytes => "packed list is too long",
        }
    }
}

impl DecodeError {
    #[cold]
    pub(super) fn new(code: DecodeCode, offset: usize) -> Self {
        Self(Box::new(DecodeFailure { code, offset, path: Path::default() }))
    }

    /// The same error, seen from the list that holds the pair `name`.
    #[cold]
    pub(super) fn inside(mut self, name: &str) -> Self {
        self.0.path.push(name);
        self
    }

    /// The same error, seen from the array of lists that holds the list.
    #[cold]
    pub(super) fn element(mut self, place: usize) -> Self {
        self.0.path.element(place);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn code(&self) -> DecodeCode {
        self.0.code
    }

    /// Where it is wrong: the number of bytes before it, counted from the start of the packed list.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The names of the pairs around it, outermost first. An element of an array of lists is written `children[2]`.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.0.path.iter()
    }

    /// Whether the bytes end before the list does, so that more bytes may help.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.0.code == DecodeCode::Truncated
    }

    /// Whether the list may be sound and one of the [`Limits`](super::Limits) refused it.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(
            self.0.code,
            DecodeCode::TooDeep | DecodeCode::TooManyPairs | DecodeCode::TooManyBytes
        )
    }
}

/// `at byte 132, in "fss" / "tank/a": string is not terminated`
impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.0.offset)?;
        write_path(f, self.path())?;
        write!(f, ": {}", self.0.code.message())
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({:?}, {self})", self.0.code)
    }
}

impl std::error::Error for DecodeError {}

/// Why a list cannot be packed: what is wrong, and with which pair.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<EncodeFailure>);

#[derive(Clone, PartialEq, Eq)]
struct EncodeFailure {
    code: EncodeCode,
    path: Path,
}

/// What keeps a list from being packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncodeCode {
    /// A name has a NUL inside, which no C string can.
    NameNul,
    /// A name is longer than [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX).
    NameTooLong,
    /// A string has a NUL inside, which no C string can.
    StringNul,
    /// A pair or the whole list would take 2 GiB or more, which the format cannot say.
    TooLong,
    /// Lists are nested deeper than [`DEPTH_MAX`](super::DEPTH_MAX).
    TooDeep,
}

impl EncodeError {
    #[cold]
    pub(super) fn new(code: EncodeCode) -> Self {
        Self(Box::new(EncodeFailure { code, path: Path::default() }))
    }

    #[cold]
    pub(super) fn inside(mut self, name: &str) -> Self {
        self.0.path.push(name);
        self
    }

    /// The same error, seen from the array of lists that holds the list.
    #[cold]
    pub(super) fn element(mut self, place: usize) -> Self {
        self.0.path.element(place);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn code(&self) -> EncodeCode {
        self.0.code
    }

    /// The names of the pairs around it, outermost first, the pair itself last.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.0.path.iter()
    }
}

/// `cannot pack the list, in "props" / "user:note": string has a nul inside`
impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot pack the list")?;
        write_path(f, self.path())?;
        f.write_str(match self.0.code {
            EncodeCode::NameNul => ": name has a nul inside",
            EncodeCode::NameTooLong => ": name is too long",
            EncodeCode::StringNul => ": string has a nul inside",
            EncodeCode::TooLong => ": packed list would be too long",
            EncodeCode::TooDeep => ": lists are nested too deeply",
        })
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodeError({:?}, {self})", self.0.code)
    }
}

impl std::error::Error for EncodeError {}

/// A pair is not what its reader needs: absent, or of another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvTypeError {
    name: String,
    expected: DataType,
    found: Option<DataType>,
}

impl NvTypeError {
    #[cold]
    pub(super) fn new(name: &str, expected: DataType, found: Option<DataType>) -> Self {
        Self { name: name.to_owned(), expected, found }
    }

    /// The name that was asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type that was asked for.
    #[must_use]
    pub fn expected(&self) -> DataType {
        self.expected
    }

    /// The type that is there, or `None` when nothing is.
    #[must_use]
    pub fn found(&self) -> Option<DataType> {
        self.found
    }
}

impl fmt::Display for NvTypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, expected, found } = self;
        match found {
            None => write!(f, "pair {name:?} ({expected}) is missing"),
            // The types agree where a string was asked for as UTF-8 and is not.
            Some(found) if found == expected => write!(f, "pair {name:?} ({found}) is not utf-8"),
            Some(found) => write!(f, "pair {name:?} is {found}, not {expected}"),
        }
    }
}

impl std::error::Error for NvTypeError {}

/// Writes `, in "fss" / "tank/a"`, or nothing at the top of the list.
pub(super) fn write_path<'a>(
    f: &mut fmt::Formatter<'_>,
    path: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    for (depth, name) in path.enumerate() {
        write!(f, "{}{name:?}", if depth == 0 { ", in " } else { " / " })?;
    }
    Ok(())
}
