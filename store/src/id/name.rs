//! The name part of a store path.

use std::{fmt, str::FromStr};

use super::{IdError, text::serde_as_text};

/// Bytes of a name at most: with the digest and a dash before it, and room for a suffix, a file name (255) holds it.
pub(crate) const MAX_LENGTH: usize = 200;

/// The name part of a store path: 1 to 200 of `A-Z a-z 0-9 + . _ ? = -`, not beginning with a dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(String);

impl StoreName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let name = || text.to_owned();
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(IdError::NameLength {
                name: name(),
                length: text.len(),
            });
        }
        if text.starts_with('.') {
            return Err(IdError::NameDot { name: name() });
        }
        match text
            .chars()
            .find(|character| !character.is_ascii_alphanumeric() && !"+._?=-".contains(*character))
        {
            Some(character) => Err(IdError::NameCharacter {
                name: name(),
                character,
            }),
            None => Ok(Self(name())),
        }
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreName({})", self.0)
    }
}

impl AsRef<str> for StoreName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

serde_as_text!(StoreName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_legal_name_prints_as_it_was(text in "[A-Za-z0-9+_?=-][A-Za-z0-9+._?=-]{0,199}") {
            prop_assert_eq!(text.parse::<StoreName>().unwrap().to_string(), text);
        }

        #[test]
        fn no_name_can_leave_a_directory(text in ".{0,12}") {
            if let Ok(name) = text.parse::<StoreName>() {
                prop_assert!(!name.as_str().contains('/') && !name.as_str().starts_with('.'));
            }
        }
    }

    #[test]
    fn illegal_names_are_refused() {
        for text in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a b",
            "a\0",
            "é",
            "a\n",
            &"a".repeat(201),
        ] {
            assert!(text.parse::<StoreName>().is_err(), "{text:?}");
        }
        assert!("a".repeat(200).parse::<StoreName>().is_ok());
    }
}
