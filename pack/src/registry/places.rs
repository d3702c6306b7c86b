//! Remembers in which repositories blobs are, so that a registry can take them from there.
//!
//! What is remembered may be wrong, since others remove things from registries: it is a hint for the registry, which then says that it does not have it.
//!
//! ```text
//! var/layers/v<version>/<digest of the blob>.places    {"registry.example":["team/app", …]}
//! ```

use std::collections::BTreeMap;

use crate::{
    layer::Memo,
    oci::{Digest, ImageName},
};

/// Repositories of one registry that are remembered for a blob, the last used first.
const MAX_REPOSITORIES: usize = 4;

type Places = BTreeMap<String, Vec<String>>;

/// Returns the repositories of the registry of `name` that have had a blob, without that of `name` itself.
pub(super) fn find(memo: &Memo, blob: &Digest, name: &ImageName) -> Vec<String> {
    let places: Places = memo.read(&record_name(blob)).unwrap_or_default();
    let mut found = places.get(name.registry()).cloned().unwrap_or_default();
    found.retain(|repository| repository != name.repository() && is_sane(repository));
    found
}

/// Remembers that the repository of `name` has a blob.
pub(super) fn record(memo: &Memo, blob: &Digest, name: &ImageName) {
    let record = record_name(blob);
    let mut places: Places = memo.read(&record).unwrap_or_default();
    let repositories = places.entry(name.registry().to_owned()).or_default();
    if repositories.first().map(String::as_str) == Some(name.repository()) {
        return;
    }
    repositories.retain(|repository| repository != name.repository());
    repositories.insert(0, name.repository().to_owned());
    repositories.truncate(MAX_REPOSITORIES);
    memo.write(&record, &places);
}

fn record_name(blob: &Digest) -> String {
    format!("{}.places", blob.to_hex())
}

/// Whether a text that was read is the name of a repository.
fn is_sane(repository: &str) -> bool {
    let name = format!("registry.example/{repository}").parse::<ImageName>();
    name.is_ok_and(|name| name.repository() == repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_repositories_of_the_same_registry_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let memo = Memo::new(directory.path());
        let blob = Digest::of(b"blob");
        let name = |text: &str| text.parse::<ImageName>().unwrap();
        for place in ["a.example/x", "a.example/y", "b.example/z", "a.example/x"] {
            record(&memo, &blob, &name(place));
        }
        assert_eq!(find(&memo, &blob, &name("a.example/new")), ["x", "y"]);
        assert_eq!(find(&memo, &blob, &name("a.example/x")), ["y"]);
        assert_eq!(find(&memo, &blob, &name("c.example/x")), [""; 0]);
        assert_eq!(
            find(&memo, &Digest::of(b"other"), &name("a.example/new")),
            [""; 0]
        );
        for number in 0..9 {
            record(&memo, &blob, &name(&format!("a.example/n{number}")));
        }
        assert_eq!(
            find(&memo, &blob, &name("a.example/new")),
            ["n8", "n7", "n6", "n5"]
        );
    }
}
