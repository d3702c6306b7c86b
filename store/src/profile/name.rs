//! The name of a profile.

use std::{fmt, str::FromStr};

use super::ProfileError;

/// Characters of a name at most; far below what a file name may have.
const MAX_LENGTH: usize = 64;

/// The name of a profile of the store: 1 to 64 of `[A-Za-z0-9._+-]`, the first neither a dot nor a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfileName(String);

impl ProfileName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProfileName {
    /// `default`, which commands take when no other is named.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for ProfileName {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let refuse = |reason| {
            Err(ProfileError::Name {
                name: text.to_owned(),
                reason,
            })
        };
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        match text.chars().next() {
            None => refuse("it is empty"),
            Some('.' | '-') => refuse("it begins with a dot or a hyphen"),
            Some(_) if text.len() > MAX_LENGTH => refuse("it has more than 64 characters"),
            Some(_) if !text.chars().all(is_legal) => {
                refuse("it has characters other than letters, digits and `._+-`")
            }
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_or_hide_in_a_directory_are_refused() {
        for text in [
            "",
            ".",
            "..",
            ".x",
            "-x",
            "a/b",
            "a b",
            "ä",
            &"x".repeat(65),
        ] {
            assert!(text.parse::<ProfileName>().is_err(), "{text}");
        }
        for text in ["default", "c++", "py3.11", "a_b", "1"] {
            assert_eq!(text.parse::<ProfileName>().unwrap().to_string(), text);
        }
    }
}
