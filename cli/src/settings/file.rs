//! A settings file: `pith.toml` of a project, `pith/config.toml` of a user or of the system.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use thiserror::Error;

use super::cache_table::CacheTable;
use super::documents::DocumentsTable;
use super::registries::RegistryTables;
use super::trust::TrustTable;

/// What one settings file may say. Unknown keys are errors, so that a typing mistake is seen.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SettingsFile {
    /// The directory of the store.
    pub(crate) store: Option<PathBuf>,
    /// A checkout of the collection.
    pub(crate) collection: Option<PathBuf>,
    /// How many builds run at once.
    pub(crate) jobs: Option<usize>,
    /// How many processors one build may use.
    pub(crate) cores: Option<usize>,
    /// Use only what is on this machine.
    pub(crate) offline: Option<bool>,
    /// Base URLs for `mirror://NAME/…`, tried in order.
    #[serde(default)]
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    /// Caches to take from, in order.
    #[serde(default)]
    pub(super) caches: Vec<CacheTable>,
    /// The file of the key that signs what is pushed.
    pub(crate) signing_key: Option<PathBuf>,
    /// Where packages of Debian come from.
    #[serde(default)]
    pub(crate) debian: DebianTable,
    /// What is known of registries that images are pushed to, by host and port.
    #[serde(default, rename = "registry")]
    pub(super) registries: RegistryTables,
    /// Who answers for bills of materials.
    #[serde(default, rename = "sbom")]
    pub(super) documents: DocumentsTable,
    /// Whose signatures are believed.
    #[serde(default)]
    pub(crate) trust: TrustTable,
    /// What may be shipped; the audit reads it, from the text.
    #[serde(default)]
    audit: Elsewhere,
}

/// A table that something else reads.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Elsewhere;

impl<'de> Deserialize<'de> for Elsewhere {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Where packages of Debian come from.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DebianTable {
    /// Suites as `MIRROR/SUITE`, in place of Debian 12 with updates and security.
    pub(crate) suites: Option<Vec<String>>,
    /// A file with the OpenPGP keys that sign them, in place of Debian's; relative to the working directory.
    pub(crate) keyring: Option<PathBuf>,
}

/// Why a settings file could not be used.
#[derive(Debug, Error)]
pub(crate) enum SettingsFileError {
    /// The file is there but cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what `pith` understands.
    #[error("`{}` is not a valid settings file", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
}

impl SettingsFile {
    /// Reads `path`; an absent file is an empty one.
    pub(crate) fn load(path: &Path) -> Result<Self, SettingsFileError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(SettingsFileError::Read {
                    path: path.into(),
                    source,
                });
            }
        };
        toml::from_str(&text).map_err(|source| SettingsFileError::Parse {
            path: path.into(),
            source: Box::new(source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_file_is_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = SettingsFile::load(&directory.path().join("none.toml")).unwrap();
        assert_eq!(file, SettingsFile::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pith.toml");
        fs::write(&path, "jobs = 2\ncoers = 3\n").unwrap();
        let error = SettingsFile::load(&path).unwrap_err();
        let SettingsFileError::Parse { source, .. } = error else {
            panic!("{error:?}")
        };
        let text = source.to_string();
        assert!(text.contains("line 2") && text.contains("coers"), "{text}");
    }
}
