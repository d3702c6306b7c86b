//! Who the program in a container is.

use std::{fmt, str::FromStr};

use super::RootFsError;

/// The user of an image. The configuration always has numbers, because a name needs an `/etc/passwd` that the runtime can read, and Kubernetes refuses
/// to check a name against `runAsNonRoot`.
///
/// Parsed from `uid`, `uid:gid`, or a name: `root` is 0, `nonroot` is 65532, any other name becomes 10001. Printed as `uid:gid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl User {
    /// The user and group of an image that asks for nothing, as in distroless images.
    pub const NONROOT_ID: u32 = 65_532;
    /// The user and group that a name gets.
    pub const NAMED_ID: u32 = 10_001;

    /// A system user of a set of packages.
    pub(crate) fn system(name: &str, uid: u32, gid: u32) -> Self {
        Self {
            name: name.to_owned(),
            uid,
            gid,
        }
    }

    /// Returns the name in `/etc/passwd`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of the user.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the number of the group.
    pub const fn gid(&self) -> u32 {
        self.gid
    }
}

impl Default for User {
    fn default() -> Self {
        Self {
            name: "nonroot".to_owned(),
            uid: Self::NONROOT_ID,
            gid: Self::NONROOT_ID,
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

impl FromStr for User {
    type Err = RootFsError;

    fn from_str(text: &str) -> Result<Self, RootFsError> {
        let error = || RootFsError::User {
            text: text.to_owned(),
        };
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let (uid, gid) = text.split_once(':').unwrap_or((text, text));
            let (uid, gid) = number(uid).zip(number(gid)).ok_or_else(error)?;
            let name = match uid {
                0 => "root",
                Self::NONROOT_ID => "nonroot",
                _ => "app",
            };
            return Ok(Self {
                name: name.to_owned(),
                uid,
                gid,
            });
        }
        let is_name = (1..=32).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        let id = match text {
            "root" => 0,
            "nonroot" => Self::NONROOT_ID,
            "nobody" => 65_534,
            _ if is_name => Self::NAMED_ID,
            _ => return Err(error()),
        };
        Ok(Self {
            name: text.to_owned(),
            uid: id,
            gid: id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_always_printed_in_numbers() {
        for (text, printed) in [
            ("root", "0:0"),
            ("0", "0:0"),
            ("1000", "1000:1000"),
            ("1000:5", "1000:5"),
            ("app", "10001:10001"),
        ] {
            assert_eq!(text.parse::<User>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_would_break_a_passwd_file_is_refused() {
        for text in [
            "",
            "a:b",
            "A",
            "a b",
            "a\n",
            "1:",
            ":1",
            "1:x",
            "-1",
            "4294967296",
            "1:2:3",
        ] {
            assert!(text.parse::<User>().is_err(), "{text:?}");
        }
    }
}
