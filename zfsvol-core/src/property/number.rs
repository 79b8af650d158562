//! Sizes as people write them: `1.5G`.

use std::fmt;

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NumberError {
    /// It does not begin with a digit.
    NoDigits,
    /// What follows the digits is not one of the units B, K, M, G, T, P, E (alone, or as in `KB` and `KiB`).
    Unit,
    /// It is more than 64 bits hold.
    TooLarge,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDigits => "it does not begin with a digit",
            Self::Unit => "its unit is not one of B, K, M, G, T, P and E",
            Self::TooLarge => "it is more than 64 bits hold",
        })
    }
}

impl std::error::Error for NumberError {}

/// The digits behind the point that are looked at: more of them cannot change a number of bytes.
const FRACTION_DIGITS_MAX: usize = 18;

/// The number in `text`: digits, perhaps a point and more digits, perhaps a unit, which is a power of 1,024 (`K`, `KB` and `KiB` are the
/// same, in either case). The fraction that remains is dropped. What `zfs set` takes, by OpenZFS 2.4 `lib/libzfs/libzfs_util.c`,
/// zfs_nicestrtonum, but exact where that uses floating point.
pub(super) fn parse_number(text: &str) -> Result<u64, NumberError> {
    let (whole, rest) = split_digits(text);
    let (fraction, unit) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(NumberError::NoDigits);
    }
    let shift = unit_shift(unit).ok_or(NumberError::Unit)?;
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| NumberError::TooLarge)?,
    };
    // 64 bits times 2^60 and 10^18 times 2^60 both fit in 128 bits.
    let fraction: String = fraction.chars().take(FRACTION_DIGITS_MAX).collect();
    let part = match fraction.parse::<u128>() {
        Ok(digits) => (digits << shift) / 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0)),
        Err(_) => 0,
    };
    let total = (u128::from(whole) << shift) + part;
    u64::try_from(total).map_err(|_| NumberError::TooLarge)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The power of two a unit stands for.
fn unit_shift(unit: &str) -> Option<u32> {
    let shift = match unit.chars().next().map(|c| c.to_ascii_uppercase()) {
        None => return Some(0),
        Some('B') => return (unit.len() == 1).then_some(0),
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        Some('P') => 50,
        Some('E') => 60,
        Some(_) => return None,
    };
    let tail = unit.get(1..)?;
    ["", "b", "ib"].iter().any(|known| tail.eq_ignore_ascii_case(known)).then_some(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_zfs_command_takes_them() {
        for (text, number) in [
            ("0", 0),
            ("512", 512),
            ("1k", 1 << 10),
            ("1.5G", 3 << 29),
            (".5K", 512),
            ("1.", 1),
            ("2MiB", 2 << 20),
            ("2mb", 2 << 20),
            ("7B", 7),
            ("1.9", 1),
            ("15E", 15 << 60),
            ("18446744073709551615", u64::MAX),
            ("0.999999999999999999999999K", 1023),
        ] {
            assert_eq!(parse_number(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        for (text, why) in [
            ("", NumberError::NoDigits),
            (".", NumberError::NoDigits),
            ("-1", NumberError::NoDigits),
            ("x", NumberError::NoDigits),
            ("1X", NumberError::Unit),
            ("1BB", NumberError::Unit),
            ("1BiB", NumberError::Unit),
            ("1KiBs", NumberError::Unit),
            ("1 K", NumberError::Unit),
            ("1.5.5", NumberError::Unit),
            ("1Kü", NumberError::Unit),
            ("16E", NumberError::TooLarge),
            ("18446744073709551616", NumberError::TooLarge),
            ("99999999999999999999999999", NumberError::TooLarge),
        ] {
            assert_eq!(parse_number(text), Err(why), "{text}");
        }
    }
}
