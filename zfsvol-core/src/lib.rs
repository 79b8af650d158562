//! zfsvol
pub mod nvlist;
