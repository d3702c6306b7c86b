//! Where a builder writes before the digest of its output is known.

use super::{PathDigest, StoreName, StorePath};

const CONTEXT: &str = "pith 2026-11 scratch path v1";

/// Returns the path that a builder sees as its output: a constant of the final name and the output, and of nothing else.
///
/// It does not depend on inputs, so compilers that hash their prefix stay repeatable and an input that changes without effect leaves the output's
/// bytes alone. Equal scratch paths never meet, because each build has a private store directory.
///
/// The digits have no border (no proper prefix that is also a suffix), so two occurrences never overlap and "all occurrences" means one thing.
#[must_use]
pub fn scratch_path(name: &StoreName, output: &str) -> StorePath {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for text in [name.as_str(), output] {
        hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut reader = hasher.finalize_xof();
    loop {
        let mut bytes = [0; 25];
        reader.fill(&mut bytes);
        let digest = PathDigest::from_bytes(bytes);
        if !has_border(&digest.to_digits()) {
            return StorePath::new(digest, name.clone());
        }
    }
}

fn has_border(digits: &[u8]) -> bool {
    (1..digits.len()).any(|length| digits[..length] == digits[digits.len() - length..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn occurrences_cannot_overlap(name in "[a-z][a-z0-9-]{0,20}", output in "[a-z]{1,6}") {
            let path = scratch_path(&name.parse().unwrap(), &output);
            prop_assert!(!has_border(&path.digest().to_digits()));
        }
    }

    #[test]
    fn the_scratch_path_is_a_constant_of_name_and_output() {
        let name = "hello-2.12".parse::<StoreName>().unwrap();
        assert_eq!(scratch_path(&name, "out"), scratch_path(&name, "out"));
        assert_ne!(scratch_path(&name, "out"), scratch_path(&name, "dev"));
        // Golden: a change renames what every builder sees, and so every build result that mentions it.
        assert_eq!(
            scratch_path(&name, "out").to_string(),
            "zz77w27dx0bqkgpdqmkgysbkp8f3a1rw38l65zx7-hello-2.12"
        );
    }
}
