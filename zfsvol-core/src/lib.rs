//! zfsvol
