//! Files with several names, of which some may lie outside of the object that is added.
//!
//! Linking to a file is possible without being allowed to read it, and who adds may be allowed to (`/etc/shadow`): a file
//! of somebody else that has names outside is refused.

use std::{
    collections::HashMap,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    sync::{Mutex, PoisonError},
};

/// The files with several names that were seen, by device and inode.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<HashMap<(u64, u64), Link>>);

#[derive(Debug)]
struct Link {
    names: u64,
    seen: u64,
    owner: u32,
    file: Vec<u8>,
}

/// A file of `owner` with names that were not seen.
#[derive(Debug)]
pub(super) struct ForeignLink {
    /// The owner.
    pub(super) owner: u32,
    /// The first of the names that were seen.
    pub(super) file: Vec<u8>,
}

impl Links {
    /// Takes one name of a file into account.
    pub(super) fn note(&self, metadata: &Metadata, path: &[u8]) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links
            .entry((metadata.dev(), metadata.ino()))
            .or_insert_with(|| Link {
                names: metadata.nlink(),
                seen: 0,
                owner: metadata.uid(),
                file: path.to_vec(),
            });
        link.seen += 1;
        if path < link.file.as_slice() {
            link.file = path.to_vec();
        }
    }

    /// Finds the first file, by name, that is not `root_owner`'s and has names that were not seen.
    pub(super) fn find_foreign(&self, root_owner: u32) -> Option<ForeignLink> {
        let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let foreign = links
            .values()
            .filter(|link| link.owner != root_owner && link.names > link.seen);
        let first = foreign.min_by(|a, b| a.file.cmp(&b.file))?;
        Some(ForeignLink {
            owner: first.owner,
            file: first.file.clone(),
        })
    }
}
