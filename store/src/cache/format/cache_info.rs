//! `cache.json`: what a cache is.

use serde::{Deserialize, Serialize};

use super::{FormatError, MAX_JSON, VERSION, json};
use crate::{STORE_DIR, trust::PublicKey};

const WHAT: &str = "description of the cache";

/// What a cache says of itself. That it is of this version and of this store directory is checked when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheInfo {
    /// The keys that it offers, in the order of its owner. Nothing is trusted because a cache offers it.
    pub keys: Vec<PublicKey>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u64,
    store_dir: String,
    keys: Vec<PublicKey>,
}

impl CacheInfo {
    /// Parses `cache.json`. Fails with [`FormatError::Version`] or [`FormatError::StoreDir`] for a cache that cannot be used here.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let wire: Wire = json::parse(WHAT, bytes, MAX_JSON)?;
        if wire.store_dir != STORE_DIR {
            return Err(FormatError::StoreDir {
                found: wire.store_dir,
            });
        }
        Ok(Self { keys: wire.keys })
    }

    /// Prints `cache.json`. Fails only for thousands of keys.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let wire = Wire {
            version: VERSION,
            store_dir: STORE_DIR.to_owned(),
            keys: self.keys.clone(),
        };
        json::print(WHAT, &wire, MAX_JSON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::SecretKey;
    use proptest::prelude::*;

    fn example() -> CacheInfo {
        let key = |seed| SecretKey::from_seed("example-1".parse().unwrap(), &[seed; 32]).public();
        CacheInfo {
            keys: vec![key(2), key(1)],
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_passes_for_the_same(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = example().encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(info) = CacheInfo::decode(&bytes) {
                prop_assert_eq!(CacheInfo::decode(&info.encode().unwrap()).unwrap(), info);
            }
        }
    }

    #[test]
    fn decode_inverts_encode() {
        for info in [CacheInfo::default(), example()] {
            assert_eq!(CacheInfo::decode(&info.encode().unwrap()).unwrap(), info);
        }
    }

    #[test]
    fn other_versions_and_store_directories_are_told_apart_from_damage() {
        let later = r#"{"version":2,"roots":[]}"#;
        assert!(matches!(
            CacheInfo::decode(later.as_bytes()),
            Err(FormatError::Version { found: 2, .. })
        ));
        let foreign = r#"{"version":1,"store_dir":"/nix/store","keys":[]}"#;
        assert!(matches!(
            CacheInfo::decode(foreign.as_bytes()),
            Err(FormatError::StoreDir { found }) if found == "/nix/store"
        ));
        for damaged in [
            "",
            "[1]",
            "[1,\"/pith/store\",[]]",
            "{}",
            r#"{"version":1}"#,
            r#"{"version":"1","store_dir":"/pith/store","keys":[]}"#,
            r#"{"version":1,"version":1,"store_dir":"/pith/store","keys":[]}"#,
            r#"{"version":1,"store_dir":"/pith/store","keys":["x"]}"#,
            r#"{"version":1,"store_dir":"/pith/store","keys":[]}{}"#,
            "\u{feff}{\"version\":1,\"store_dir\":\"/pith/store\",\"keys\":[]}",
        ] {
            assert!(
                matches!(
                    CacheInfo::decode(damaged.as_bytes()),
                    Err(FormatError::Json { .. } | FormatError::Malformed { .. })
                ),
                "{damaged}"
            );
        }
    }

    #[test]
    fn keys_of_later_minor_additions_are_ignored() {
        let text =
            r#" {"keys":[],"motd":{"a":[1e999,null]},"store_dir":"/pith/store","version":1} "#;
        assert_eq!(
            CacheInfo::decode(text.as_bytes()).unwrap(),
            CacheInfo::default()
        );
    }

    #[test]
    fn more_than_a_mebibyte_is_refused() {
        let mut bytes = CacheInfo::default().encode().unwrap();
        bytes.resize(MAX_JSON + 1, b' ');
        assert!(matches!(
            CacheInfo::decode(&bytes),
            Err(FormatError::TooLarge { .. })
        ));
    }
}
