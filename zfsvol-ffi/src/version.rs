//! Which library it is.

use crate::view::zfsvol_str;

/// The version of the ABI that this header is of: compare it with `zfsvol_abi()` before anything else.
///
/// It grows when something that a compiled program relies on is changed or taken away. What is only added leaves it as it is.
pub const ZFSVOL_ABI: u32 = 1;

/// The version of the ABI that the loaded library has: `ZFSVOL_ABI` of its header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_abi() -> u32 {
    boundary!(or 0, |_caller| ZFSVOL_ABI)
}

/// The version of the library, `0.1.0`. Lasts as long as the program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_version() -> zfsvol_str {
    boundary!(or zfsvol_str::NONE, |_caller| zfsvol_str::of(env!("CARGO_PKG_VERSION")))
}
