//! The table, and looking things up in it.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::audit::license::{Expression, LicenseError};

/// What somebody has read.
#[derive(Debug)]
pub(in crate::audit) struct Reviewed {
    /// The license.
    pub(in crate::audit) expression: Expression,
    /// Why, and where it was read.
    pub(in crate::audit) reason: String,
}

/// The words of a file, and a package that it speaks for.
type Key = (String, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    notice: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sha256: String,
    packages: Vec<String>,
    license: String,
    reason: String,
    /// The version of the source package in which it was read.
    seen: String,
}

#[derive(Debug, thiserror::Error)]
enum TableError {
    #[error(transparent)]
    Shape(#[from] toml::de::Error),
    #[error("`{0}` is no license")]
    License(String, #[source] LicenseError),
    #[error("`{0}` is spoken of twice")]
    Twice(String),
}

/// A test reads it, so that nothing is lost here.
static TABLE: LazyLock<BTreeMap<Key, Reviewed>> =
    LazyLock::new(|| read(include_str!("notices.toml")).unwrap_or_default());

/// Returns what the project has read in words, by their digest, about a package of Debian.
pub(in crate::audit) fn find(notice: &str, package: &str) -> Option<&'static Reviewed> {
    TABLE.get(&(notice.to_owned(), package.to_owned()))
}

fn read(text: &str) -> Result<BTreeMap<Key, Reviewed>, TableError> {
    let document: Document = toml::from_str(text)?;
    let mut table = BTreeMap::new();
    for entry in document.notice {
        for package in entry.packages {
            let expression = Expression::parse(&entry.license)
                .map_err(|error| TableError::License(entry.license.clone(), error))?;
            let reason = format!("{}; read in {}", entry.reason, entry.seen);
            let key = (entry.sha256.clone(), package.clone());
            if (table.insert(key, Reviewed { expression, reason })).is_some() {
                return Err(TableError::Twice(package));
            }
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::license::Category;

    const BUILT_IN: &str = include_str!("../policy/default.toml");

    #[test]
    fn the_table_is_read_whole() -> Result<(), TableError> {
        let table = read(include_str!("notices.toml"))?;
        assert_eq!(table.len(), TABLE.len());
        assert!(!table.is_empty());
        for ((notice, package), reviewed) in &table {
            assert_eq!(notice.len(), 64, "{package}");
            assert!(notice.bytes().all(|byte| byte.is_ascii_hexdigit()));
            for term in reviewed.expression.terms() {
                // What SPDX has no name for, the built-in policy speaks of by ours.
                let named = format!("\"{}\"", term.as_str());
                let is_known = Category::of(term).is_some() || BUILT_IN.contains(&named);
                assert!(is_known, "{package}: `{}` has no category", term.as_str());
            }
        }
        Ok(())
    }

    #[test]
    fn words_speak_for_the_packages_named_alone() -> Result<(), TableError> {
        let entry = "[[notice]]\nsha256 = 'aa'\npackages = ['libc6']\nlicense = 'MIT'\nreason = 'r'\nseen = 'glibc 2'\n";
        let table = read(entry)?;
        let found = table.get(&("aa".to_owned(), "libc6".to_owned()));
        assert_eq!(
            found.map(|one| one.reason.as_str()),
            Some("r; read in glibc 2")
        );
        assert!(!table.contains_key(&("aa".to_owned(), "libc-bin".to_owned())));
        for (text, problem) in [
            (entry.replace("MIT", "GPL"), "`GPL` is no license"),
            (format!("{entry}{entry}"), "`libc6` is spoken of twice"),
        ] {
            let refused = read(&text).map_err(|error| error.to_string());
            assert_eq!(refused.err().as_deref(), Some(problem));
        }
        Ok(())
    }
}
