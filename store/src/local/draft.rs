//! An object in staging: what was written, and what was found in it.

use std::collections::BTreeMap;

use crate::{
    object::ModuloNode,
    scan::{Findings, Occurrence},
    tree::{BlobDigest, EntryName, Node, SymlinkTarget},
};

/// One node in staging.
#[derive(Debug)]
pub(super) enum Draft {
    File(FileDraft),
    Symlink(SymlinkDraft),
    /// The entries, ascending by name.
    Directory(Vec<(EntryName, Self)>),
}

/// A file in staging, hashed as it was written.
#[derive(Debug)]
pub(super) struct FileDraft {
    pub(super) digest: BlobDigest,
    pub(super) executable: bool,
    pub(super) findings: Findings,
    /// Set for a file that has the object's own digits, once the other digits in it are final.
    pub(super) modulo: Option<ModuloNode>,
}

impl FileDraft {
    /// Tells whether its bytes are what they will be: there are no scratch digits in it.
    pub(super) fn is_final(&self) -> bool {
        self.findings.occurrences.is_empty()
    }

    pub(super) const fn node(&self) -> Node {
        Node::File {
            blob: self.digest.blob,
            size: self.digest.size,
            executable: self.executable,
        }
    }
}

/// A symlink in staging.
#[derive(Debug)]
pub(super) struct SymlinkDraft {
    pub(super) target: SymlinkTarget,
    pub(super) findings: Findings,
    pub(super) modulo: Option<ModuloNode>,
}

impl SymlinkDraft {
    pub(super) fn node(&self) -> Node {
        Node::Symlink {
            target: self.target.clone(),
        }
    }
}

/// First places of candidates and of scratch digests, by index.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) candidates: BTreeMap<usize, Place>,
    pub(super) scratches: BTreeMap<usize, Place>,
}

/// A place in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) offset: u64,
}

impl Evidence {
    /// Adds what was found in one file; files come in the order of their paths, so the first stays.
    pub(super) fn add(&mut self, path: &[u8], findings: &Findings) {
        let place = |offset| Place {
            file: String::from_utf8_lossy(path).into_owned(),
            offset,
        };
        for (index, offset) in &findings.candidates {
            self.candidates
                .entry(*index)
                .or_insert_with(|| place(*offset));
        }
        for Occurrence { scratch, offset } in &findings.occurrences {
            self.scratches
                .entry(*scratch)
                .or_insert_with(|| place(*offset));
        }
    }
}
