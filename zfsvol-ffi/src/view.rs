//! What is lent and what is given: [`zfsvol_str`], a view of a text, and [`zfsvol_buffer`], bytes that C owns.

use std::ffi::c_char;

/// A text or path that is lent, for the length of a call or as long as the function says. Not ended by a NUL.
///
/// `{NULL, 0}` is no text, where one may be left out. `ZFSVOL_STR("...")` makes one of a literal.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// How many bytes there are.
    pub len: usize,
}

impl zfsvol_str {
    /// No text.
    pub const NONE: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// A view of `text`, which must outlive it.
    pub(crate) fn of(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr().cast(), len: bytes.len() }
    }

    pub(crate) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, Self::of)
    }
}

/// Bytes or text that the caller owns, and frees with `zfsvol_buffer_free`.
///
/// Behind the last byte is a NUL that `len` does not count, so that a text can be printed as it is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_buffer {
    /// The first byte.
    pub ptr: *mut c_char,
    /// How many bytes there are.
    pub len: usize,
}

impl zfsvol_buffer {
    /// No bytes.
    pub(crate) const NONE: Self = Self { ptr: std::ptr::null_mut(), len: 0 };

    /// Gives bytes away.
    pub(crate) fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let mut bytes: Vec<u8> = bytes.into();
        let len = bytes.len();
        bytes.push(0);
        // A boxed slice has no spare room, so that its length is enough to free it.
        Self { ptr: Box::into_raw(bytes.into_boxed_slice()).cast(), len }
    }
}

/// Frees the bytes of a buffer and makes it an empty one, so that freeing it again does nothing. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_buffer_free(buffer: *mut zfsvol_buffer) {
    boundary!(or(), |caller| {
        let out = caller.out(buffer)?;
        // SAFETY: `out` has seen that it is a place, and the caller's contract says that a buffer is there.
        let owned = unsafe { buffer.read() };
        out.set(zfsvol_buffer::NONE);
        if !owned.ptr.is_null() {
            let bytes = std::ptr::slice_from_raw_parts_mut(owned.ptr.cast::<u8>(), owned.len + 1);
            // SAFETY: made by `zfsvol_buffer::of`, of so many bytes and the NUL, and the caller's contract: not changed since.
            drop(unsafe { Box::from_raw(bytes) });
        }
    });
}
