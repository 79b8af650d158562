//! The name by which programs ask for the shared library: it changes with the ABI, so that no program gets one it was not built for.

/// The number in the name; `ZFSVOL_ABI` in `src/lib.rs` is the same, and a test compares them.
const ABI: u32 = 1;

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libzfsvol.so.{ABI}");
    println!("cargo::rerun-if-changed=build.rs");
}
