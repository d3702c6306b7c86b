//! What refers to a manifest, in registries that keep a list of it and in those where the writers do. OCI distribution-spec 1.1, "Referrers Tag Schema".

use bytes::Bytes;
use serde_json::{Value, json};
use store::registry::{ReferrersList, RegistryError, Repository};

use super::SignError;
use crate::{
    existing::{AnyIndex, Entry},
    oci::{Digest, media_type},
};

/// How often a list is written again that somebody else has written meanwhile.
const MAX_TRIES: usize = 8;

/// The list of what refers to a manifest.
pub(super) struct Referrers<'a> {
    pub(super) repository: &'a Repository,
    /// The whole name of the image, for errors.
    pub(super) what: &'a str,
}

impl Referrers<'_> {
    /// Returns what refers to `subject`.
    pub(super) fn list(&self, subject: Digest) -> Result<Vec<Entry>, SignError> {
        let pages = self
            .repository
            .fetch_referrers(&subject.to_string(), self.what)
            .map_err(|source| self.failed(source))?;
        let pages = pages.map(|pages| {
            let pages = pages.iter();
            pages
                .map(|page| serde_json::from_slice(page).ok())
                .collect::<Option<Vec<AnyIndex>>>()
        });
        // Who answers with something else has not understood the question.
        if let Some(Some(pages)) = pages {
            return Ok(pages.into_iter().flat_map(|page| page.manifests).collect());
        }
        let list = self.load(&tag(subject))?;
        let list: AnyIndex =
            serde_json::from_value(list).map_err(|_| self.no_list(&tag(subject)))?;
        Ok(list.manifests)
    }

    /// Writes a manifest whose subject is `subject`, and has it listed. `listed` is its descriptor.
    pub(super) fn add(
        &self,
        subject: Digest,
        listed: &Entry,
        manifest: &[u8],
    ) -> Result<(), SignError> {
        let bytes = Bytes::copy_from_slice(manifest);
        let digest = listed.digest.to_string();
        let list = self
            .repository
            .put_referrer(&listed.media_type, &bytes, &digest, self.what)
            .map_err(|source| self.failed(source))?;
        match list {
            ReferrersList::Registry => Ok(()),
            ReferrersList::Tag => self.add_to_tag(&tag(subject), listed),
        }
    }

    /// Enters a manifest into the list under a tag, and looks afterwards whether it has stayed there.
    fn add_to_tag(&self, tag: &str, listed: &Entry) -> Result<(), SignError> {
        for _ in 0..MAX_TRIES {
            let mut list = self.load(tag)?;
            match enter(&mut list, listed).ok_or_else(|| self.no_list(tag))? {
                Entered::Before => return Ok(()),
                Entered::Now => {}
            }
            let bytes = Bytes::from(list.to_string());
            let digest = Digest::of(&bytes).to_string();
            self.repository
                .put_manifest(tag, media_type::INDEX, &bytes, &digest, self.what)
                .map_err(|source| self.failed(source))?;
        }
        Err(SignError::Contended {
            name: self.what.to_owned(),
        })
    }

    /// Reads the list under a tag, with all that others wrote into it.
    fn load(&self, tag: &str) -> Result<Value, SignError> {
        match self.repository.fetch_manifest(tag, self.what) {
            Ok(found) => serde_json::from_slice(&found.bytes).map_err(|_| self.no_list(tag)),
            Err(RegistryError::Absent { .. }) => {
                Ok(json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": []}))
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    fn no_list(&self, tag: &str) -> SignError {
        SignError::List {
            name: self.what.to_owned(),
            tag: tag.to_owned(),
        }
    }

    pub(super) fn failed(&self, source: RegistryError) -> SignError {
        SignError::Registry {
            name: self.what.to_owned(),
            source,
        }
    }
}

/// The tag under which writers keep the list of what refers to a manifest.
fn tag(subject: Digest) -> String {
    format!("sha256-{}", subject.to_hex())
}

/// Whether something was in a list before it was entered.
#[derive(Debug, PartialEq, Eq)]
enum Entered {
    Before,
    Now,
}

/// Enters a manifest into a list; `None` if it is no list.
fn enter(list: &mut Value, listed: &Entry) -> Option<Entered> {
    let entries = list.get_mut("manifests")?.as_array_mut()?;
    let digest = listed.digest.to_string();
    if entries
        .iter()
        .any(|entry| entry["digest"] == digest.as_str())
    {
        return Some(Entered::Before);
    }
    entries.push(json!(listed));
    Some(Entered::Now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_holds_something_else_is_no_list() {
        let listed: Entry =
            serde_json::from_value(json!({"digest": Digest::of(b"").to_string(), "size": 0}))
                .unwrap();
        for other in [
            json!([]),
            json!("text"),
            json!(null),
            json!(1),
            json!({}),
            json!({"manifests": {}}),
        ] {
            assert_eq!(enter(&mut other.clone(), &listed), None, "{other}");
        }
        let mut list = json!({"manifests": ["what others wrote"]});
        assert_eq!(enter(&mut list, &listed), Some(Entered::Now));
        assert_eq!(enter(&mut list, &listed), Some(Entered::Before));
        assert_eq!(list["manifests"].as_array().map(Vec::len), Some(2));
    }
}
