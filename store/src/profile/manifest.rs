//! What a generation was made of: what the user asked for, and what it came to.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::ProfileError;
use crate::id::StorePath;

/// The format that is written.
const VERSION: u32 = 1;

/// The priority of a package when none is asked for.
pub const DEFAULT_PRIORITY: u32 = 5;

/// The packages of one generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The packages by their names in the profile: `zlib`, and `zlib^dev` for an output that is not the default one.
    pub packages: BTreeMap<String, InstalledPackage>,
}

/// One package of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledPackage {
    /// What the user wrote.
    pub target: String,
    /// Where it was looked up.
    pub origin: Origin,
    /// The checkout of the collection that was used; absent for the collection that the program brings along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<PathBuf>,
    /// Which output was named; the default one otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The version of the software, where its recipe has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Which of two packages with the same file wins: the one with the lower number.
    pub priority: u32,
    /// What it came to.
    pub path: StorePath,
}

/// Where a target was looked up, and will be for an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Origin {
    /// The collection.
    Collection {
        /// The package's name in it.
        package: String,
    },
    /// A project.
    Project {
        /// The package's name in it.
        package: String,
        /// The directory of its `pith.star`.
        directory: PathBuf,
    },
    /// Nowhere: the user named a store path.
    Path,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<P> {
    version: u32,
    packages: P,
}

/// As much of the file as all formats have.
#[derive(Deserialize)]
struct Format {
    version: u32,
}

impl Manifest {
    /// Returns the bytes of the file: JSON, the same for the same packages.
    pub(super) fn encode(&self) -> Result<Vec<u8>, ProfileError> {
        let document = Document {
            version: VERSION,
            packages: &self.packages,
        };
        let mut bytes = serde_json::to_vec_pretty(&document)
            .map_err(|source| ProfileError::WriteManifest { source })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses the file that lies in the generation `path`.
    pub(super) fn decode(path: &StorePath, bytes: &[u8]) -> Result<Self, ProfileError> {
        let failed = |source| ProfileError::Manifest {
            path: path.clone(),
            source,
        };
        let Format { version } = serde_json::from_slice(bytes).map_err(failed)?;
        if version > VERSION {
            return Err(ProfileError::NewerManifest {
                path: path.clone(),
                found: version,
                supported: VERSION,
            });
        }
        let Document { packages, .. } = serde_json::from_slice(bytes).map_err(failed)?;
        Ok(Self { packages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::arbitrary_store_path;
    use proptest::prelude::*;

    fn origins() -> impl Strategy<Value = Origin> {
        let text = "[a-z/ \"\\\\]{0,9}";
        prop_oneof![
            Just(Origin::Path),
            text.prop_map(|package| Origin::Collection { package }),
            (text, text).prop_map(|(package, directory)| Origin::Project {
                package,
                directory: directory.into(),
            }),
        ]
    }

    prop_compose! {
        fn packages()(
            target in ".{0,9}",
            origin in origins(),
            collection in prop::option::of("[a-z/]{0,9}"),
            output in prop::option::of("[a-z]{0,9}"),
            version in prop::option::of("[a-z0-9.]{0,9}"),
            priority in any::<u32>(),
            path in arbitrary_store_path(),
        ) -> InstalledPackage {
            let collection = collection.map(PathBuf::from);
            InstalledPackage { target, origin, collection, output, version, priority, path }
        }
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(packages in prop::collection::btree_map(".{1,9}", packages(), 0..4), path in arbitrary_store_path()) {
            let manifest = Manifest { packages };
            prop_assert_eq!(Manifest::decode(&path, &manifest.encode().unwrap()).unwrap(), manifest);
        }

        #[test]
        fn decode_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), path in arbitrary_store_path()) {
            drop(Manifest::decode(&path, &bytes));
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_its_number() {
        let path = format!("{}-profile", "0".repeat(40)).parse().unwrap();
        let error = Manifest::decode(&path, br#"{"version": 2, "elements": []}"#).unwrap_err();
        assert!(matches!(
            error,
            ProfileError::NewerManifest {
                found: 2,
                supported: 1,
                ..
            }
        ));
    }
}
