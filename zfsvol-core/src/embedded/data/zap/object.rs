//! Objects that are ZAPs: names with numbers, in one block or many.

use std::collections::BTreeMap;

use super::fat::{self, fat_numbers};
use super::{
    FAT_BLOCK_BYTES, entries, insert, is_micro, lookup, make_room, micro, number, remove, replace,
};
use crate::embedded::data::{DatasetKey, Dnode, Objset, Txn};
use crate::kernel::Errno;
use crate::stream::ObjectType;

/// The longest ZAP of one block: `zap_micro_max_size`, 128 KiB. One with more names has leaves.
const MICRO_BYTES_MAX: usize = 128 << 10;

/// No more names than these are read of one object. A stream could bring more; nobody has a million owners with quotas.
const NAMES_MAX: usize = 1 << 20;

impl Objset {
    /// The names in a ZAP that have one number. The key is that of an encrypted dataset.
    ///
    /// # Errors
    /// `EIO` when the object is no ZAP, `EFBIG` when it has more than a million names; as [`Objset::read`].
    pub fn zap(
        &self,
        object: u64,
        key: Option<&DatasetKey>,
    ) -> Result<BTreeMap<String, u64>, Errno> {
        let dnode = self.object(object)?;
        let first = dnode.read_block(0, key)?;
        if is_micro(&first) {
            return Ok(entries(&first).collect());
        }
        if !fat::is_head(&first) {
            return Err(Errno::EIO);
        }
        let (mut found, mut outcome) = (BTreeMap::new(), Ok(()));
        dnode.blocks.for_each(|number, block| {
            if number == 0 || outcome.is_err() {
                return;
            }
            match block.plain(key) {
                Ok(leaf) => found.extend(fat::leaf_numbers(&leaf)),
                Err(errno) => outcome = Err(errno),
            }
            if found.len() > NAMES_MAX {
                outcome = Err(Errno::EFBIG);
            }
        });
        outcome.map(|()| found)
    }

    /// The number of one name in a ZAP; `None` where it is not there.
    ///
    /// # Errors
    /// As [`Self::zap`].
    pub fn zap_number(
        &self,
        object: u64,
        name: &str,
        key: Option<&DatasetKey>,
    ) -> Result<Option<u64>, Errno> {
        let first = self.object(object)?.read_block(0, key)?;
        if is_micro(&first) {
            return Ok(lookup(&first, name));
        }
        Ok(self.zap(object, key)?.get(name).copied())
    }

    /// Makes an empty ZAP with the number that the module would give it, and answers that. The salt is any number: names are hashed with it.
    ///
    /// # Errors
    /// `ENOSPC` when there is no number; as [`Objset::write`].
    pub fn make_zap(
        &mut self,
        object_type: ObjectType,
        salt: u64,
        txn: &mut Txn,
    ) -> Result<u64, Errno> {
        let object = self.next_number().ok_or(Errno::ENOSPC)?;
        let block = micro(&[], salt, 0).ok_or(Errno::EINVAL)?;
        let block_bytes = u32::try_from(block.len()).map_err(|_| Errno::EINVAL)?;
        self.claim(object, Dnode::new(object_type, block_bytes), txn)?;
        self.write(object, 0, &block, txn)?;
        Ok(object)
    }

    /// Gives a name in a ZAP a number, or takes it out with `None`. The block grows where it must, and one that cannot becomes many.
    ///
    /// # Errors
    /// `ENOSPC` for more names than are kept (100,000 at least), `EINVAL` for a name that is none; as [`Self::zap`] and [`Objset::write`].
    pub fn set_zap(
        &mut self,
        object: u64,
        name: &str,
        value: Option<u64>,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        if name.is_empty() || name.contains('\0') {
            return Err(Errno::EINVAL);
        }
        let before = self.object(object)?.read_block(0, txn.key())?.into_owned();
        let mut block = before.clone();
        let fits = match value {
            _ if !is_micro(&block) => false,
            None => {
                remove(&mut block, name);
                true
            }
            Some(value) => {
                make_room(&mut block);
                let known = replace(&mut block, name, value).is_some();
                known || insert(&mut block, name, value).is_some()
            }
        };
        if fits && block.len() <= MICRO_BYTES_MAX {
            if block.len() != before.len() {
                self.resize_zap(object, block.len(), txn)?;
            }
            return self.write(object, 0, &block, txn);
        }
        let mut all = self.zap(object, txn.key())?;
        match value {
            Some(value) => all.insert(name.to_owned(), value),
            None => all.remove(name),
        };
        let salt = if is_micro(&before) {
            number(before.get(8..).unwrap_or_default())
        } else {
            fat::salt(&before)
        };
        let blocks = fat_numbers(&all, salt.unwrap_or(1)).ok_or(Errno::ENOSPC)?;
        self.resize_zap(object, FAT_BLOCK_BYTES, txn)?;
        self.write(object, 0, &blocks, txn)
    }

    /// Empties an object, which has blocks of another size from now on.
    fn resize_zap(&mut self, object: u64, block_bytes: usize, txn: &mut Txn) -> Result<(), Errno> {
        let object_type = self.object(object)?.object_type;
        let block_bytes = u32::try_from(block_bytes).map_err(|_| Errno::EINVAL)?;
        self.free_object(object, txn)?;
        self.claim(object, Dnode::new(object_type, block_bytes), txn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::data::{ObjsetType, Policy};

    fn names(count: u64) -> BTreeMap<String, u64> {
        (0..count).map(|number| (format!("{number:x}"), number * 7 + 1)).collect()
    }

    #[test]
    fn a_zap_grows_from_one_block_to_many_and_has_all_its_names() {
        let mut txn = Txn::new(5, Policy::default());
        let mut objset = Objset::empty(ObjsetType::FileSystem);
        let object = objset.make_zap(ObjectType::OWNER_QUOTA, 8, &mut txn).unwrap();
        for (name, number) in names(2100) {
            objset.set_zap(object, &name, Some(number), &mut txn).unwrap();
        }
        assert_eq!(objset.object(object).unwrap().block_bytes as usize, FAT_BLOCK_BYTES);
        assert_eq!(objset.zap(object, None).unwrap(), names(2100));
        objset.set_zap(object, "7", None, &mut txn).unwrap();
        objset.set_zap(object, "8", Some(3), &mut txn).unwrap();
        let mut left = names(2100);
        left.remove("7");
        left.insert("8".to_owned(), 3);
        assert_eq!(objset.zap(object, None).unwrap(), left);
        assert_eq!(objset.zap_number(object, "8", None).unwrap(), Some(3));
        assert_eq!(objset.zap_number(object, "7", None).unwrap(), None);
    }

    #[test]
    fn a_hundred_thousand_names_have_room_and_too_many_are_refused() {
        assert!(fat_numbers(&names(100_000), 3).is_some());
        assert_eq!(fat_numbers(&names(400_000), 3), None);
        assert_eq!(fat_numbers(&[("x".repeat(300), 1)].into(), 3), None);
    }

    #[test]
    fn what_is_no_zap_is_said_to_be_none() {
        let mut txn = Txn::new(5, Policy::default());
        let mut objset = Objset::empty(ObjsetType::FileSystem);
        assert_eq!(objset.zap(3, None).unwrap_err(), Errno::ENOENT);
        objset.claim(3, Dnode::new(ObjectType::OWNER_QUOTA, 512), &mut txn).unwrap();
        assert_eq!(objset.zap(3, None).unwrap_err(), Errno::EIO);
        assert_eq!(objset.set_zap(3, "1", Some(1), &mut txn).unwrap_err(), Errno::EIO);
        assert_eq!(objset.set_zap(3, "", Some(1), &mut txn).unwrap_err(), Errno::EINVAL);
    }
}
