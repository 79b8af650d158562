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

/// How long attributes are in file systems before version 5, and in files of newer ones that have not been changed since: `znode_phys_t`.
const OLD_BYTES: usize = 0x108;

/// Where the attributes of [`WANTED`] are in those. OpenZFS 2.3 `include/sys/zfs_znode.h`. What a symbolic link points to is behind them, or
/// in the file.
const OLD_PLACES: [usize; 10] = [72, 80, 128, 136, 96, 16, 32, 64, 88, 120];

impl Attributes {
    /// Reads a bonus buffer of a file as they were before version 5; `None` when it is too short for one.
    pub(crate) fn of_old(bonus: &[u8], order: ByteOrder) -> Option<Self> {
        let mut attributes = Self::default();
        for (wanted, at) in OLD_PLACES.into_iter().enumerate() {
            attributes.set(wanted, bonus.get(at..OLD_BYTES)?, order);
        }
        Some(attributes)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_the_old_kind_are_where_they_always_were() {
        // Each number says where it is.
        let numbers = (0..OLD_BYTES as u64).step_by(8);
        let bonus: Vec<u8> = numbers.flat_map(u64::to_be_bytes).collect();
        let found = Attributes::of_old(&bonus, ByteOrder::Big).unwrap();
        let expected = Attributes {
            mode: Some(72),
            size: Some(80),
            uid: Some(128),
            gid: Some(136),
            links: Some(96),
            modified: Some(16),
            changed: Some([32, 40]),
            generation: Some(64),
            parent: Some(88),
            flags: Some(120),
            target: None,
        };
        assert_eq!(found, expected);
        assert_eq!(Attributes::of_old(&bonus[..OLD_BYTES - 1], ByteOrder::Big), None);
    }
}
