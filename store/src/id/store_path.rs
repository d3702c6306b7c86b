//! The name of one store object.

use std::{fmt, str::FromStr};

use super::{IdError, PathDigest, StoreName, text::serde_as_text};

/// The *logical* store directory: the same on every machine, wherever the objects really lie.
pub const STORE_DIR: &str = "/pith/store";

/// The digest part and the name of one store object, without a directory: `<40 characters>-<name>`.
///
/// Ordered by digest, then by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    digest: PathDigest,
    name: StoreName,
}

impl StorePath {
    /// Joins a digest and a name.
    #[must_use]
    pub const fn new(digest: PathDigest, name: StoreName) -> Self {
        Self { digest, name }
    }

    /// Returns the digest part.
    #[must_use]
    pub const fn digest(&self) -> &PathDigest {
        &self.digest
    }

    /// Returns the name part.
    #[must_use]
    pub const fn name(&self) -> &StoreName {
        &self.name
    }

    /// Returns `/pith/store/<40 characters>-<name>`, which is what files refer to.
    #[must_use]
    pub fn to_logical(&self) -> String {
        format!("{STORE_DIR}/{self}")
    }

    /// Parses what [`Self::to_logical`] prints.
    pub fn from_logical(text: &str) -> Result<Self, IdError> {
        match text
            .strip_prefix(STORE_DIR)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            Some(path) if !path.contains('/') => path.parse(),
            _ => Err(IdError::OutsideStore {
                text: text.to_owned(),
            }),
        }
    }
}

impl FromStr for StorePath {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let no_name = || IdError::NoName {
            text: text.to_owned(),
        };
        let (digest, rest) = text.split_at_checked(40).ok_or_else(no_name)?;
        let name = rest.strip_prefix('-').ok_or_else(no_name)?;
        Ok(Self {
            digest: digest.parse()?,
            name: name.parse()?,
        })
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.digest, self.name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePath({self})")
    }
}

serde_as_text!(StorePath);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(text in "[0-9abcdfghijklmnpqrsvwxyz]{40}-[A-Za-z0-9+_?=-]{1,30}") {
            let path = text.parse::<StorePath>().unwrap();
            prop_assert_eq!(path.to_string(), text);
            prop_assert_eq!(StorePath::from_logical(&path.to_logical()), Ok(path));
        }

        #[test]
        fn whatever_parses_prints_as_it_was(text in ".{0,60}") {
            if let Ok(path) = text.parse::<StorePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }

    #[test]
    fn paths_outside_the_store_are_refused() {
        let path = format!("{}-x", "0".repeat(40));
        for text in [
            path.clone(),
            format!("/nix/store/{path}"),
            format!("/pith/store/{path}/bin"),
            format!("/pith/storex/{path}"),
            format!("/pith/store//{path}"),
        ] {
            assert!(StorePath::from_logical(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_multibyte_character_at_the_cut_is_refused() {
        assert!(
            format!("{}é-x", "0".repeat(39))
                .parse::<StorePath>()
                .is_err()
        );
    }
}
