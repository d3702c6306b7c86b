//! Sizes as people type them.

use std::str::FromStr;

use thiserror::Error;

/// A number of bytes from the command line: `4096`, `64K`, `2G` and `2GiB` count in powers of 1024, `20MB` in powers of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size {
    /// The number.
    pub(crate) bytes: u64,
}

/// A word that is no size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no size; write it as `4096`, `64K`, `2G`, `2GiB` or `20MB`")]
pub(crate) struct SizeError {
    text: String,
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let end = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let parse = || {
            let number: u64 = number.parse().ok()?;
            number.checked_mul(factor(unit)?)
        };
        let bytes = parse().ok_or_else(|| SizeError {
            text: text.to_owned(),
        })?;
        Ok(Self { bytes })
    }
}

fn factor(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let (letter, rest) = unit.split_at_checked(1).unwrap_or(("", ""));
    let power = match letter {
        "" => return Some(1),
        "b" if rest.is_empty() => return Some(1),
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    match rest {
        "" | "ib" => 1024u64.checked_pow(power),
        "b" => 1000u64.checked_pow(power),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024_unless_they_end_in_b_alone() {
        let cases = [
            ("4096", 4096),
            ("7B", 7),
            ("64K", 64 << 10),
            ("2g", 2 << 30),
            ("2GiB", 2 << 30),
            ("20MB", 20_000_000),
            ("1T", 1 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(Size { bytes }), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_by_name() {
        for text in ["", "G", "1.5G", "-1", "2X", "2Gb2", "99999999999T", "é"] {
            let error = text.parse::<Size>().unwrap_err();
            assert_eq!(error.text, text);
        }
    }
}
