//! What a digest is of, in everything that a store has.

use serde::Serialize;
use store::{LocalStore, PathInfo, StorePath, facts::SourceRole};

use super::{Background, TraceError};
use crate::{
    audit::Part,
    layer::{KnownLayer, find_known_layers},
    oci::Digest,
};

/// Something in a store, or that something in it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// What it is.
    #[serde(flatten)]
    pub kind: StoredKind,
    /// The store path that it is of; of a layer, one that an image with the layer was packed for.
    pub object: StorePath,
    /// Where that comes from.
    pub from: Background,
}

/// What a digest is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StoredKind {
    /// The contents of a file.
    File {
        /// Its path in the object; empty where the object is the file.
        file: String,
        /// Its size.
        size_bytes: u64,
    },
    /// What the object was made of.
    Source {
        /// Its name.
        name: String,
        /// What it is for.
        role: SourceRole,
    },
    /// What was applied to that.
    Patch {
        /// Its name.
        name: String,
    },
    /// A layer, as it is transferred or as a tar.
    Layer(KnownLayer),
}

/// What a store has of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StoredMatches {
    /// What was found, by store path.
    pub found: Vec<Stored>,
    /// How many objects could not be looked into, because it is not recorded which files they have.
    pub unrecorded: usize,
}

/// Looks for a SHA-256 in what is recorded of every object of a store, and among the layers that were made from it. Reads all facts, and no file.
pub fn find_stored(store: &LocalStore, digest: Digest) -> Result<StoredMatches, TraceError> {
    let wanted = digest.to_hex();
    let mut matches = StoredMatches::default();
    for path in store.find_by_prefix("")? {
        let Some(info) = store.path_info(&path)? else {
            continue;
        };
        if info.component.is_none() {
            // Facts themselves, and what somebody has added by hand.
            continue;
        }
        let part = Part::load(store, info)?;
        let kinds = kinds(&part, &wanted);
        matches.unrecorded += usize::from(part.facts.is_none());
        matches.found.extend(kinds.into_iter().map(|kind| Stored {
            from: Background::of(&part, file_of(&kind)),
            object: part.info.path.clone(),
            kind,
        }));
    }
    for layer in find_known_layers(store, digest)? {
        for path in layer.packed_for.clone() {
            let Some(info) = store.path_info(&path)? else {
                continue;
            };
            let part = Part::load(store, info)?;
            matches.found.push(Stored {
                kind: StoredKind::Layer(layer.clone()),
                from: Background::of(&part, ""),
                object: path,
            });
        }
    }
    Ok(matches)
}

fn file_of(kind: &StoredKind) -> &str {
    match kind {
        StoredKind::File { file, .. } => file,
        _ => "",
    }
}

fn kinds(part: &Part, wanted: &str) -> Vec<StoredKind> {
    let Some(facts) = &part.facts else {
        return own_file(&part.info, wanted).into_iter().collect();
    };
    let files = facts.files.iter().filter(|file| file.sha256 == wanted);
    let files = files.map(|file| StoredKind::File {
        file: file.path.clone(),
        size_bytes: file.size,
    });
    let sources = facts.sources.iter();
    let sources = sources.filter(|source| source.sha256.as_deref() == Some(wanted));
    let sources = sources.map(|source| StoredKind::Source {
        name: source.name.clone(),
        role: source.role,
    });
    let patches = facts.patches.iter().filter(|patch| patch.sha256 == wanted);
    let patches = patches.map(|patch| StoredKind::Patch {
        name: patch.name.clone(),
    });
    files.chain(sources).chain(patches).collect()
}

/// A file that was fetched has no facts: it is what it was fetched by.
fn own_file(info: &PathInfo, wanted: &str) -> Option<StoredKind> {
    let component = info.component.as_ref()?;
    let [source] = component.sources.as_slice() else {
        return None;
    };
    let is_it = source.digest.strip_prefix("sha256:") == Some(wanted);
    (is_it && source.name == info.path.name().as_str()).then(|| StoredKind::File {
        file: String::new(),
        size_bytes: info.size_bytes,
    })
}
