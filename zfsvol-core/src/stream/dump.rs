//! Records for people to read: in the words and numbers of `zstream dump`, so that the two can be compared.

use std::fmt;

use super::{Begin, CryptParams, Record};

/// One line, or for a begin record one line a field. Numbers are decimal, but features, GUIDs and checksums, which are
/// hexadecimal; the length of all that follows is printed as -1.
///
/// ```
/// use zfsvol_core::stream::{Free, Record};
///
/// let free = Record::Free(Free { object: 2, offset: 512, length: u64::MAX, ..Free::default() });
/// assert_eq!(free.to_string(), "FREE object = 2 offset = 512 length = -1");
/// ```
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = self.payload_bytes();
        match self {
            Self::Begin(begin) => write_begin(f, begin),
            Self::Object(r) => write!(
                f,
                "OBJECT object = {} type = {} bonustype = {} blksz = {} bonuslen = {} dn_slots = {} \
                 raw_bonuslen = {} flags = {} maxblkid = {} indblkshift = {} nlevels = {} nblkptr = {}",
                r.object,
                r.object_type.0,
                r.bonus_type.0,
                r.block_bytes,
                r.bonus_bytes,
                r.slots,
                r.raw_bonus_bytes,
                r.flags,
                r.last_block,
                r.indirect_shift,
                r.levels,
                r.block_pointers
            ),
            Self::FreeObjects(r) => {
                write!(f, "FREEOBJECTS firstobj = {} numobjs = {}", r.first, r.count)
            }
            Self::Write(r) => write!(
                f,
                "WRITE object = {} type = {} checksum type = {} compression type = {} flags = {} \
                 offset = {} logical_size = {} compressed_size = {} payload_size = {payload} \
                 props = {:x} {}",
                r.object,
                r.object_type.0,
                r.checksum_type,
                r.compression.0,
                r.flags,
                r.offset,
                r.logical_bytes,
                r.compressed_bytes,
                r.key.properties,
                r.crypt
            ),
            Self::Free(r) => {
                write!(f, "FREE object = {} offset = {} length = ", r.object, r.offset)?;
                match r.length {
                    u64::MAX => f.write_str("-1"),
                    length => write!(f, "{length}"),
                }
            }
            Self::End(r) => write!(f, "END checksum = {}", r.checksum),
            Self::WriteByref(r) => write!(
                f,
                "WRITE_BYREF object = {} checksum type = {} props = {:x} offset = {} length = {} \
                 toguid = {:x} refguid = {:x} refobject = {} refoffset = {}",
                r.object,
                r.checksum_type,
                r.key.properties,
                r.offset,
                r.length,
                r.to_guid.get(),
                r.ref_guid.get(),
                r.ref_object,
                r.ref_offset
            ),
            Self::Spill(r) => write!(
                f,
                "SPILL block for object = {} length = {} flags = {} compression type = {} \
                 compressed_size = {} payload_size = {payload} {}",
                r.object, r.length, r.flags, r.compression.0, r.compressed_bytes, r.crypt
            ),
            Self::WriteEmbedded(r) => write!(
                f,
                "WRITE_EMBEDDED object = {} offset = {} length = {} toguid = {:x} comp = {} \
                 etype = {} lsize = {} psize = {}",
                r.object,
                r.offset,
                r.length,
                r.to_guid.get(),
                r.compression.0,
                r.embedded_type,
                r.logical_bytes,
                r.physical_bytes
            ),
            Self::ObjectRange(r) => write!(
                f,
                "OBJECT_RANGE firstobj = {} numslots = {} flags = {} {}",
                r.first, r.slots, r.flags, r.crypt
            ),
            Self::Redact(r) => write!(
                f,
                "REDACT object = {} offset = {} length = {}",
                r.object, r.offset, r.length
            ),
        }
    }
}

fn write_begin(f: &mut fmt::Formatter<'_>, begin: &Begin) -> fmt::Result {
    writeln!(f, "BEGIN record")?;
    writeln!(f, "\thdrtype = {}", begin.version_info & 0b11)?;
    writeln!(f, "\tfeatures = {:x}", begin.features().bits())?;
    writeln!(f, "\tmagic = {:x}", begin.magic)?;
    writeln!(f, "\tcreation_time = {:x}", begin.creation_time)?;
    writeln!(f, "\ttype = {}", begin.objset_type)?;
    writeln!(f, "\tflags = 0x{:x}", begin.flags.bits())?;
    writeln!(f, "\ttoguid = {:x}", begin.to_guid.get())?;
    writeln!(f, "\tfromguid = {:x}", begin.from_guid.get())?;
    writeln!(f, "\ttoname = {}", begin.to_name)?;
    write!(f, "\tpayloadlen = {}", begin.payload_bytes)
}

/// `salt = .. iv = .. mac = ..`, in hexadecimal.
impl fmt::Display for CryptParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in
            [("salt = ", self.salt.as_slice()), (" iv = ", &self.iv), (" mac = ", &self.mac)]
        {
            f.write_str(name)?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}
