//! Versions of Debian packages and their order.
//!
//! Format: deb-version(7), `[epoch:]upstream[-revision]`. The order is that of `dpkg --compare-versions`: runs of other
//! characters and runs of digits take turns; letters sort before other characters, and `~` before everything, even the
//! end.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version; compared as dpkg compares it, so two that are written differently (`1.0`, `1.00`, `0:1.0`) can be equal.
#[derive(Clone, Debug)]
pub struct DebVersion {
    text: String,
    epoch: u32,
    /// Where the upstream version begins and ends in the text.
    upstream: (usize, usize),
}

/// The text is no version of a Debian package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no version of a Debian package")]
pub struct VersionError {
    /// The text.
    pub text: String,
}

impl DebVersion {
    /// Returns the version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn upstream(&self) -> &str {
        self.text
            .get(self.upstream.0..self.upstream.1)
            .unwrap_or_default()
    }

    /// The part behind the last `-`; without one it is empty, which dpkg treats like `0`.
    fn revision(&self) -> &str {
        self.text.get(self.upstream.1 + 1..).unwrap_or_default()
    }

    /// Returns the version without its epoch, as it stands in the names of files.
    pub fn without_epoch(&self) -> &str {
        self.text.get(self.upstream.0..).unwrap_or_default()
    }
}

impl FromStr for DebVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError {
            text: text.to_owned(),
        };
        let (epoch, start) = match text.split_once(':') {
            Some((epoch, _)) if epoch.bytes().all(|b| b.is_ascii_digit()) => {
                (epoch.parse().map_err(|_| error())?, epoch.len() + 1)
            }
            Some(_) => return Err(error()),
            None => (0, 0),
        };
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.rfind('-').map_or(text.len(), |at| start + at);
        let version = Self {
            text: text.to_owned(),
            epoch,
            upstream: (start, end),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"+.~".contains(&b);
        let upstream = version.upstream();
        let upstream_ok =
            !upstream.is_empty() && upstream.bytes().all(|b| plain(b) || b"-:".contains(&b));
        let revision_ok = (end == text.len() || !version.revision().is_empty())
            && version.revision().bytes().all(plain);
        if upstream_ok && revision_ok {
            Ok(version)
        } else {
            Err(error())
        }
    }
}

impl fmt::Display for DebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Ord for DebVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare(self.upstream(), other.upstream()))
            .then_with(|| compare(self.revision(), other.revision()))
    }
}

impl PartialOrd for DebVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DebVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DebVersion {}

/// dpkg's `verrevcmp`.
fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (first, second) = (weight(a.first()), weight(b.first()));
            if first == 0 && second == 0 {
                break;
            }
            if first != second {
                return first.cmp(&second);
            }
            (a, b) = (rest(a), rest(b));
        }
        let (x, y) = (take_number(&mut a), take_number(&mut b));
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The place of a character that is no digit; digits and the end have 0.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

fn rest(bytes: &[u8]) -> &[u8] {
    bytes.get(1..).unwrap_or_default()
}

/// Takes the digits at the beginning and returns them without leading zeros.
fn take_number<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len());
    let (digits, later) = bytes.split_at(end);
    *bytes = later;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> DebVersion {
        text.parse().unwrap()
    }

    /// Each line was answered by `dpkg --compare-versions`.
    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        for (a, order, b) in [
            ("1.0", "=", "1.00"),
            ("1.0", "=", "0:1.0"),
            ("1.0", "=", "1.0-0"),
            ("1:0.1", ">", "9.9"),
            ("1.0~rc1", "<", "1.0"),
            ("1.0~rc1", ">", "1.0~~"),
            ("1.0~rc1-1", "<", "1.0-1"),
            ("1.0a", ">", "1.0"),
            ("1.0+b1", ">", "1.0a"),
            ("1.0a", "<", "1.0+"),
            ("1.2.10", ">", "1.2.9"),
            ("7.88.1-10+deb12u14", ">", "7.88.1-10+deb12u5"),
            ("2.36-9+deb12u13", ">", "2.36-9"),
            ("1.0-1.1", ">", "1.0-1"),
            ("1.0-1~", "<", "1.0-1"),
            ("1.0-1-1", ">", "1.0-1"),
            ("0.0.1~git2020-1", "<", "0.0.1-1"),
            ("5.0~r1", "<", "5.0"),
            ("1.0.", ">", "1.0"),
            ("1.0.", "<", "1.0.0a"),
            ("007", "=", "7"),
            ("2:8.39-15", ">", "8.39-15"),
        ] {
            let expected = match order {
                "<" => Ordering::Less,
                ">" => Ordering::Greater,
                _ => Ordering::Equal,
            };
            assert_eq!(version(a).cmp(&version(b)), expected, "{a} {order} {b}");
        }
    }

    #[test]
    fn what_dpkg_refuses_is_no_version() {
        for text in [
            "",
            ":1",
            "x:1",
            "1:",
            "1_0",
            "1 0",
            "-1",
            "1-",
            "4294967296:1",
            "1.0-1:2",
        ] {
            assert!(text.parse::<DebVersion>().is_err(), "{text:?}");
        }
    }

    fn any_version() -> impl Strategy<Value = DebVersion> {
        "([0-9]:)?[0-9a-c.+~]{1,6}(-[0-9a-c.+~]{1,4})?".prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in any_version(), b in any_version(), c in any_version()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            if a == b {
                prop_assert_eq!(a.cmp(&c), b.cmp(&c));
            }
        }

        #[test]
        fn a_tilde_comes_before_the_end_and_anything_else_after(a in any_version(), tail in "[a-z+.][a-z0-9]{0,3}") {
            let longer = |tail: &str| version(&format!("{a}{tail}"));
            prop_assert!(longer("~") < a);
            prop_assert!(longer("~x") < a);
            prop_assert!(longer(&tail) > a);
        }

        #[test]
        fn any_text_is_a_version_or_an_error(text in ".{0,20}") {
            if let Ok(version) = text.parse::<DebVersion>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }
    }
}
