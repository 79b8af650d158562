//! [`Schema`]: where the attributes of a file are in its bonus buffer, as the file system itself says.
//!
//! A file system registers its attributes with number and length, and notes which of them come in which order; each bonus buffer names such a
//! layout by number. OpenZFS 2.3 `include/sys/sa_impl.h`; `module/zfs/sa.c`, `sa_attr_iter`; `module/zfs/zfs_sa.c`, `zfs_attr_table`.

use std::collections::BTreeMap;

use super::zap::{Entry, number};
use crate::nvlist::ByteOrder;

/// `SA_MAGIC`.
const MAGIC: u64 = 0x2f_505a;

/// Where the lengths of attributes begin that have no fixed one.
const LENGTHS_AT: usize = 6;

/// The attributes that are asked for, by their names.
const WANTED: [&str; 11] = [
    "ZPL_MODE",
    "ZPL_SIZE",
    "ZPL_UID",
    "ZPL_GID",
    "ZPL_LINKS",
    "ZPL_MTIME",
    "ZPL_CTIME",
    "ZPL_GEN",
    "ZPL_PARENT",
    "ZPL_FLAGS",
    "ZPL_SYMLINK",
];

/// The attributes of all files of a file system: what they are called, how long they are, how they are put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    /// By number: the place in [`WANTED`], if it is asked for, and the length, 0 where each has its own.
    registered: BTreeMap<u16, (Option<usize>, usize)>,
    layouts: BTreeMap<u64, Vec<u16>>,
}

/// What is known of a file; `None` where it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) mode: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) links: Option<u64>,
    /// Seconds since 1970.
    pub(crate) modified: Option<u64>,
    /// When anything of it was changed: seconds since 1970 and nanoseconds.
    pub(crate) changed: Option<[u64; 2]>,
    /// The transaction group in which it was made.
    pub(crate) generation: Option<u64>,
    /// The directory it is in, by its object.
    pub(crate) parent: Option<u64>,
    /// `zp_flags`.
    pub(crate) flags: Option<u64>,
    /// What a symbolic link points to.
    pub(crate) target: Option<Vec<u8>>,
}

impl Schema {
    /// Takes an entry of the object in which attributes are registered: the number in the lowest 16 bits, the length in the 16 bits from the 24th on.
    pub(crate) fn register(&mut self, entry: &Entry) {
        let Some(value) = entry.number() else { return };
        let wanted = WANTED.iter().position(|name| name.as_bytes() == entry.name);
        let length = usize::try_from(value >> 24 & 0xffff).unwrap_or_default();
        if let Ok(attribute) = u16::try_from(value & 0xffff) {
            self.registered.insert(attribute, (wanted, length));
        }
    }

    /// Takes an entry of the object in which layouts are noted, by their decimal numbers.
    pub(crate) fn lay_out(&mut self, entry: &Entry) {
        let layout = std::str::from_utf8(&entry.name).ok().and_then(|name| name.parse().ok());
        if let (Some(layout), Some(attributes)) = (layout, entry.numbers()) {
            self.layouts.insert(layout, attributes);
        }
    }

    /// Reads a bonus buffer; `None` when it is none of this file system.
    pub(crate) fn read(&self, bonus: &[u8]) -> Option<Attributes> {
        // The byte order is that of the machine that wrote it last, which need not be the one that sent it.
        let orders = [ByteOrder::Little, ByteOrder::Big];
        let order = orders.into_iter().find(|order| number(bonus, 0, 4, *order) == Some(MAGIC))?;
        let information = number(bonus, 4, 2, order)?;
        // What OpenZFS takes a layout of 0 for: `SA_LAYOUT_NUM`.
        let layout = self.layouts.get(&(information & 0x3ff).max(1))?;
        let variable = layout.iter().filter(|attribute| {
            self.registered.get(attribute).is_some_and(|(_, length)| *length == 0)
        });
        let mut at = (LENGTHS_AT + 2 * variable.count()).next_multiple_of(8);
        let mut lengths = (0..).map(|index| number(bonus, LENGTHS_AT + 2 * index, 2, order));
        let mut attributes = Attributes::default();
        for attribute in layout {
            let (wanted, length) = *self.registered.get(attribute)?;
            let length = match length {
                0 => usize::try_from(lengths.next()??).ok()?,
                fixed => fixed,
            };
            let field = bonus.get(at..at.checked_add(length)?)?;
            if let Some(wanted) = wanted {
                attributes.set(wanted, field, order);
            }
            at = at.checked_add(length)?.next_multiple_of(8);
        }
        Some(attributes)
    }
}

impl Attributes {
    /// Sets the one at this place of [`WANTED`].
    fn set(&mut self, wanted: usize, field: &[u8], byte_order: ByteOrder) {
        let value = number(field, 0, 8, byte_order);
        match wanted {
            0 => self.mode = value,
            1 => self.size = value,
            2 => self.uid = value,
            3 => self.gid = value,
            4 => self.links = value,
            5 => self.modified = value,
            6 => self.changed = value.zip(number(field, 8, 8, byte_order)).map(Into::into),
            7 => self.generation = value,
            8 => self.parent = value,
            9 => self.flags = value,
            _ => self.target = Some(field.to_vec()),
        }
    }
}
