//! The C ABI of zfsvol. Nothing is exported yet: the operation set is reachable from Rust, as `zfsvol_core`.
