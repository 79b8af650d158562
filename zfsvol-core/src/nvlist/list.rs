//! The list itself: ordered pairs, found by name.

use super::index::Index;
use super::{DataType, NvString, NvTypeError, Value};

/// Names may not repeat (`NV_UNIQUE_NAME`).
pub(super) const UNIQUE_NAME: u32 = 1;
/// Names may repeat, with values of different types (`NV_UNIQUE_NAME_TYPE`).
pub(super) const UNIQUE_NAME_TYPE: u32 = 2;

/// From this many pairs on, names are found through a hash table. Below it, looking at each is quicker and smaller.
const INDEXED_FROM: usize = 16;

/// An ordered list of named, typed values: the shape of every request to OpenZFS and of every reply.
///
/// Pairs keep the order in which they were inserted, and that is the order in which they are packed. A list normally
/// refuses to hold a name twice ([`insert`](Self::insert) replaces); lists made by
/// [`with_duplicates`](Self::with_duplicates) allow it.
///
/// Finding, inserting and removing take the same time in long lists as in short ones.
///
/// Two lists are equal when they have the same pairs in the same order and the same rule about names.
///
/// # Example
///
/// ```
/// use zfsvol_core::nvlist::NvList;
///
/// let mut request = NvList::new();
/// request.insert("guid", 17_u64).insert("name", "tank/home").insert_flag("defer");
///
/// assert_eq!(request.get_u64("guid"), Some(17));
/// assert!(request.get_flag("defer"));
/// assert_eq!(NvList::from_bytes(&request.to_bytes()?)?, request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct NvList {
    slots: Vec<Slot>,
    /// Present from [`INDEXED_FROM`] pairs on; a list without it has no empty slots.
    index: Option<Box<Index>>,
    /// `NV_UNIQUE_NAME` and its sibling, as packed.
    nvflag: u8,
    /// Whether some name may be in the list more than once.
    repeats: bool,
}

/// A pair, or the hole it left.
pub(super) type Slot = Option<Pair>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) name: Box<str>,
    pub(super) value: Value,
}

impl NvList {
    /// An empty list in which names are unique, as OpenZFS's `fnvlist_alloc` makes it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_nvflag(UNIQUE_NAME)
    }

    /// An empty list in which names may repeat (`nvlist_alloc` with flag 0). [`insert`](Self::insert) appends, the
    /// getters find the pair inserted last, and [`iter`](Self::iter) shows all.
    #[must_use]
    pub fn with_duplicates() -> Self {
        Self::with_nvflag(0)
    }

    /// An empty list in which a name may repeat with a value of another type (`NV_UNIQUE_NAME_TYPE`).
    #[must_use]
    pub fn with_unique_name_and_type() -> Self {
        Self::with_nvflag(UNIQUE_NAME_TYPE)
    }

    /// An empty list with the flags of a packed one; OpenZFS ignores the bits it does not know, and so do we.
    pub(super) fn with_nvflag(nvflag: u32) -> Self {
        let known = nvflag & (UNIQUE_NAME | UNIQUE_NAME_TYPE);
        let nvflag = u8::try_from(known).unwrap_or_default();
        Self { slots: Vec::new(), index: None, nvflag, repeats: false }
    }

    /// The rule about names as OpenZFS numbers it: 1 is `NV_UNIQUE_NAME`, 2 `NV_UNIQUE_NAME_TYPE`, 0 no rule.
    #[must_use]
    pub fn nvflag(&self) -> u32 {
        u32::from(self.nvflag)
    }

    /// Adds a pair at the end of the list, after removing what the list's rule about names does not allow beside it:
    /// normally every pair of that name, so that a replaced pair moves to the end, as in OpenZFS's own lists.
    ///
    /// A name or string that holds a NUL byte is refused when the list is encoded.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        if self.nvflag() & UNIQUE_NAME != 0 {
            self.remove(&name);
        } else if self.nvflag() & UNIQUE_NAME_TYPE != 0 {
            self.remove_typed(&name, value.data_type());
        }
        self.append(name.into_boxed_str(), value);
        self
    }

    /// Adds a pair that has a name and no value, [`Value::Boolean`].
    pub fn insert_flag(&mut self, name: impl Into<String>) -> &mut Self {
        self.insert(name, Value::Boolean)
    }

    /// Removes every pair of this name and answers the value that [`get`](Self::get) would have found.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.place_of(name)?;
        let found = self.vacate(place);
        if self.repeats {
            self.vacate_all(name);
        }
        self.close_holes();
        found.map(|pair| pair.value)
    }

    /// The value of this name, or `None`. Where a name repeats it is the one inserted last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let place = self.place_of(name)?;
        self.slots.get(place)?.as_ref().map(|pair| &pair.value)
    }

    /// The value of this name, to be changed in place.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let place = self.place_of(name)?;
        self.slots.get_mut(place)?.as_mut().map(|pair| &mut pair.value)
    }

    /// Whether a pair has this name, whatever its type.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.place_of(name).is_some()
    }

    /// How many pairs there are, not counting those of lists inside.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.index.as_ref().map_or(0, |index| index.holes)
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pairs, in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { slots: self.slots.iter(), left: self.len() }
    }

    /// Adds a pair at the end and removes nothing: what decoding does, since OpenZFS keeps and lists again even the
    /// pairs of a list that breaks its own rule about names.
    pub(super) fn append(&mut self, name: Box<str>, value: Value) {
        let place = self.slots.len();
        let before = match &mut self.index {
            Some(index) => index.put(&name, place, &self.slots),
            None => self.slots.iter().rposition(|slot| is_named(slot, &name)),
        };
        self.repeats |= before.is_some();
        self.slots.push(Some(Pair { name, value }));
        if self.index.is_none() && self.slots.len() >= INDEXED_FROM {
            self.index = Some(Box::new(Index::new(&self.slots)));
        }
    }

    /// Whether some name may be in the list more than once.
    pub(super) fn may_repeat(&self) -> bool {
        self.repeats
    }

    /// The same pairs under another rule about names.
    pub(super) fn ruled_by(mut self, nvflag: u32) -> Self {
        self.nvflag = Self::with_nvflag(nvflag).nvflag;
        self
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(name, &self.slots),
            None => self.slots.iter().rposition(|slot| is_named(slot, name)),
        }
    }

    /// Removes the last pair of this name and type. Not quick where an index must be made anew, which no list of
    /// OpenZFS needs: none has repeated names and is changed.
    fn remove_typed(&mut self, name: &str, kind: DataType) {
        if self.place_of(name).is_none() {
            return;
        }
        let same = |slot: &Slot| {
            slot.as_ref().is_some_and(|pair| *pair.name == *name && pair.value.data_type() == kind)
        };
        if let Some(place) = self.slots.iter().rposition(same) {
            self.slots.remove(place);
            if let Some(index) = &mut self.index {
                index.rebuild(&self.slots);
            }
        }
    }

    /// Takes the pair out of its slot. An indexed list keeps the hole for now, since the places behind it are known.
    fn vacate(&mut self, place: usize) -> Option<Pair> {
        let Some(index) = &mut self.index else {
            return (place < self.slots.len()).then(|| self.slots.remove(place)).flatten();
        };
        let pair = self.slots.get_mut(place)?.take()?;
        index.forget(&pair.name, place);
        index.holes += 1;
        Some(pair)
    }

    /// Takes out what other pairs of this name there are, once the index has forgotten it.
    fn vacate_all(&mut self, name: &str) {
        match &mut self.index {
            None => self.slots.retain(|slot| !is_named(slot, name)),
            Some(index) => {
                for slot in self.slots.iter_mut().filter(|slot| is_named(slot, name)) {
                    *slot = None;
                    index.holes += 1;
                }
            }
        }
    }

    /// Drops the holes once they are half of the slots, so that each removal pays for one move.
    fn close_holes(&mut self) {
        if let Some(index) = &mut self.index {
            if index.holes * 2 > self.slots.len() {
                self.slots.retain(Option::is_some);
                index.holes = 0;
                index.rebuild(&self.slots);
            }
        }
    }
}

fn is_named(slot: &Slot, name: &str) -> bool {
    slot.as_ref().is_some_and(|pair| *pair.name == *name)
}

/// One getter and its demanding sibling per type: `get_` answers `None` both for what is absent and for what is of
/// another type, `require_` tells the two apart in its error.
macro_rules! getters {
    ($($(#[$doc:meta])* $get:ident, $require:ident, $kind:ident => $answer:ty, $pattern:pat => $found:expr;)+) => {
        /// Typed access. The type must be the pair's own: nothing is converted.
        impl NvList {$(
            $(#[$doc])*
            #[must_use]
            pub fn $get(&self, name: &str) -> Option<$answer> {
                match self.get(name)? {
                    $pattern => $found,
                    _ => None,
                }
            }

            #[doc = concat!("As [`", stringify!($get), "`](Self::", stringify!($get), "), and says what is wrong otherwise.")]
            ///
            /// # Errors
            ///
            /// When there is no pair of this name, or its value cannot be read so; the error names both.
            pub fn $require(&self, name: &str) -> Result<$answer, NvTypeError> {
                self.$get(name).ok_or_else(|| self.mismatch(name, DataType::$kind))
            }
        )+}
    };
}

getters! {
    /// The value of a `uint64`.
    get_u64, require_u64, Uint64 => u64, Value::Uint64(n) => Some(*n);
    /// The value of an `int64`.
    get_i64, require_i64, Int64 => i64, Value::Int64(n) => Some(*n);
    /// The value of a `uint32`.
    get_u32, require_u32, Uint32 => u32, Value::Uint32(n) => Some(*n);
    /// The value of an `int32`: what the kernel answers errno values in.
    get_i32, require_i32, Int32 => i32, Value::Int32(n) => Some(*n);
    /// The value of a `boolean_value`. For a pair without value see [`get_flag`](Self::get_flag).
    get_bool, require_bool, BooleanValue => bool, Value::BooleanValue(b) => Some(*b);
    /// The value of a `string`, when it is UTF-8. See [`get_string`](Self::get_string) for the rest.
    get_str, require_str, String => &str, Value::String(s) => s.as_str();
    /// The value of a `string`, of whatever bytes.
    get_string, require_string, String => &NvString, Value::String(s) => Some(s);
    /// The list inside an `nvlist`.
    get_list, require_list, NvList => &NvList, Value::NvList(list) => Some(list);
    /// The lists inside an `nvlist_array`.
    get_lists, require_lists, NvListArray => &[NvList], Value::NvListArray(lists) => Some(lists);
    /// The numbers of a `uint64_array`.
    get_u64s, require_u64s, Uint64Array => &[u64], Value::Uint64Array(a) => Some(a);
    /// The bytes of a `byte_array` or of a `uint8_array`.
    get_bytes, require_bytes, ByteArray => &[u8], Value::ByteArray(a) | Value::Uint8Array(a) => Some(a);
    /// The strings of a `string_array`.
    get_strs, require_strs, StringArray => &[NvString], Value::StringArray(a) => Some(a);
}

impl NvList {
    /// Whether there is a pair of this name that has no value ([`Value::Boolean`]).
    #[must_use]
    pub fn get_flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean))
    }

    #[cold]
    fn mismatch(&self, name: &str, expected: DataType) -> NvTypeError {
        NvTypeError::new(name, expected, self.get(name).map(Value::data_type))
    }
}

impl Default for NvList {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for NvList {
    fn eq(&self, other: &Self) -> bool {
        self.nvflag == other.nvflag && self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for NvList {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut list = Self::new();
        list.extend(pairs);
        list
    }
}

impl<N: Into<String>, V: Into<Value>> Extend<(N, V)> for NvList {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        for (name, value) in pairs {
            self.insert(name, value);
        }
    }
}

/// The pairs of a list, in their order. Made by [`NvList::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    slots: std::slice::Iter<'a, Slot>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.slots.by_ref().flatten().next()?;
        self.left = self.left.saturating_sub(1);
        Some((&pair.name, &pair.value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a NvList {
    type Item = (&'a str, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The pairs of a list, taken out of it in their order.
#[derive(Debug)]
pub struct IntoIter {
    slots: std::vec::IntoIter<Slot>,
    left: usize,
}

impl Iterator for IntoIter {
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.slots.by_ref().flatten().next()?;
        self.left = self.left.saturating_sub(1);
        Some((pair.name.into_string(), pair.value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for IntoIter {}

impl IntoIterator for NvList {
    type Item = (String, Value);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        let left = self.len();
        IntoIter { slots: self.slots.into_iter(), left }
    }
}
