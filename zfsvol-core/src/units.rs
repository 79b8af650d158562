//! Quantities as types: [`Bytes`], [`Guid`], [`Txg`], so that a size is never taken for a GUID.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of bytes.
///
/// `Display` prints it as `zfs list` does: three significant digits and a binary unit (`1.50M`);
/// [`Bytes::get`] gives the exact number.
///
/// ```
/// use zfsvol_core::Bytes;
///
/// assert_eq!(Bytes::from_mib(64).get(), 67_108_864);
/// assert_eq!(Bytes::from_kib(1536).to_string(), "1.50M");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(u64);

impl Bytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many KiB (1,024 bytes); saturates at `u64::MAX` bytes.
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// This many MiB (1,048,576 bytes); saturates at `u64::MAX` bytes.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// This many GiB (1,073,741,824 bytes); saturates at `u64::MAX` bytes.
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "K", "M", "G", "T", "P", "E"];
        let shift = (63 - (self.0 | 1).leading_zeros()) / 10;
        let unit = UNITS.get(shift as usize).copied().unwrap_or("E");
        if shift == 0 {
            return write!(f, "{}{unit}", self.0);
        }
        let whole = self.0 >> (shift * 10);
        // Hundredths of the unit, cut off as zfs_nicenum does; 128 bits hold the product.
        let hundredths = (u128::from(self.0) * 100) >> (shift * 10);
        let fraction = hundredths % 100;
        match whole {
            0..=9 if fraction != 0 => write!(f, "{whole}.{fraction:02}{unit}"),
            10..=99 if fraction >= 10 => write!(f, "{whole}.{}{unit}", fraction / 10),
            _ => write!(f, "{whole}{unit}"),
        }
    }
}

impl From<u64> for Bytes {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

/// The GUID of a snapshot, bookmark, dataset, pool or vdev: it stays with a snapshot through send and receive, so it,
/// and not the name, says whether two snapshots hold the same data.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Guid(u64);

impl Guid {
    /// This GUID.
    pub const fn new(guid: u64) -> Self {
        Self(guid)
    }

    /// The number, as the `guid` property shows it.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u64> for Guid {
    fn from(guid: u64) -> Self {
        Self(guid)
    }
}

/// The number of a transaction group of one pool. It only grows, so it orders what happened in a pool;
/// between pools it says nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Txg(u64);

impl Txg {
    /// This transaction group.
    pub const fn new(txg: u64) -> Self {
        Self(txg)
    }

    /// The number, as the `createtxg` property shows it.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Txg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u64> for Txg {
    fn from(txg: u64) -> Self {
        Self(txg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_print_with_three_digits_and_a_binary_unit() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (1023, "1023B"),
            (1024, "1K"),
            (1536, "1.50K"),
            (24_576, "24K"),
            (25_088, "24.5K"),
            (1_048_576, "1M"),
            (67_108_864, "64M"),
            (999 << 20, "999M"),
            (1 << 63, "8E"),
            (u64::MAX, "15.9E"),
        ] {
            assert_eq!(Bytes::new(bytes).to_string(), text, "{bytes}");
        }
    }

    #[test]
    fn units_saturate_instead_of_wrapping() {
        assert_eq!(Bytes::from_gib(u64::MAX).get(), u64::MAX);
    }
}
