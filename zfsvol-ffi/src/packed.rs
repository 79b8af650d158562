//! Lists as bytes: packed as libnvpair does it, and as JSON.

use zfsvol_core::nvlist::{ByteOrder, Encoding, NvList};

use crate::error::{Fault, zfsvol_error};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};

/// The list as JSON: an object whose keys are `name:type`, so that nothing is lost. Free it with `zfsvol_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_to_json(
    list: *const zfsvol_nvlist,
    json: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(json)?;
        let json = serde_json::to_vec(caller.get(list)?)
            .map_err(|error| Fault::invalid("write the nvlist as JSON", error.to_string()))?;
        out.bytes(json);
    })
}

/// The list that a JSON text of `zfsvol_nvlist_to_json` stands for. `INVALID` when it stands for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_from_json(
    json: zfsvol_str,
    list: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(list)?;
        let read: NvList = serde_json::from_slice(caller.bytes(json.ptr.cast(), json.len)?)
            .map_err(|error| Fault::invalid("read the JSON as an nvlist", error.to_string()))?;
        out.give(read);
    })
}

/// How a list is packed: a `ZFSVOL_ENCODING_...`.
pub type zfsvol_encoding = u32;

/// As the kernel of this machine reads it in an ioctl.
pub const ZFSVOL_ENCODING_NATIVE: zfsvol_encoding = 0;
/// As streams and labels have it, the same on every machine.
pub const ZFSVOL_ENCODING_XDR: zfsvol_encoding = 1;
/// As the kernel of a machine reads it whose numbers begin with the least significant byte.
pub const ZFSVOL_ENCODING_NATIVE_LITTLE: zfsvol_encoding = 2;
/// The same of one whose numbers begin with the most significant byte.
pub const ZFSVOL_ENCODING_NATIVE_BIG: zfsvol_encoding = 3;

/// The list packed, byte for byte as libnvpair does it. Free it with `zfsvol_buffer_free`.
///
/// Fails with `INVALID` when a name or string has a NUL in it, `TOO_LARGE` when it is nested too deep or too long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_pack(
    list: *const zfsvol_nvlist,
    encoding: zfsvol_encoding,
    packed: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(packed)?;
        let encoding = match encoding {
            ZFSVOL_ENCODING_NATIVE => Encoding::Native(ByteOrder::HOST),
            ZFSVOL_ENCODING_XDR => Encoding::Xdr,
            ZFSVOL_ENCODING_NATIVE_LITTLE => Encoding::Native(ByteOrder::Little),
            ZFSVOL_ENCODING_NATIVE_BIG => Encoding::Native(ByteOrder::Big),
            other => return Err(Fault::unknown("encoding", other)),
        };
        let bytes = caller.get(list)?.encode(encoding).map_err(zfsvol_core::Error::from)?;
        out.bytes(bytes);
    })
}

/// The list that is packed in `packed`, in either encoding and byte order. Takes anything: what is no list is refused, in time and memory in
/// proportion to its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_unpack(
    packed: *const u8,
    len: usize,
    list: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(list)?;
        let read = NvList::from_bytes(caller.bytes(packed, len)?)
            .map_err(|error| Fault::invalid("unpack the nvlist", error.to_string()))?;
        out.give(read);
    })
}
