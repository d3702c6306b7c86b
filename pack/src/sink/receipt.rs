//! Remembers outputs, so that writing the same image to the same file again costs one `stat`.
//!
//! A receipt says: this file held exactly this image when it had this device, inode, size, time of modification and time of change. The time of change
//! is set by the kernel at every write, rename, link and change of metadata, and no program can set it; so while all of them are the same, the file is.
//! What this cannot see is a disk that changes bytes by itself; [`validate`](crate::validate()) does.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Format, SinkError, Written, place::NewFile};
use crate::{Image, layer::Memo, oci::Digest};

/// The state of a file, as far as `stat` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    image: String,
    manifest: Option<Digest>,
    state: State,
}

/// The receipt for one image in one file, or for one image on several platforms.
pub(super) struct Receipts<'a> {
    memo: &'a Memo,
    file: PathBuf,
    name: String,
    recipe: String,
}

impl<'a> Receipts<'a> {
    /// Looks for the receipt of `target`; `format` is part of what the file has to be.
    pub(super) fn new(
        image: &'a Image<'_>,
        others: &[Image<'_>],
        target: &Path,
        format: Format,
    ) -> Self {
        let file = absolute(target);
        let key = blake3::hash(file.as_os_str().as_bytes()).to_hex();
        let mut recipe = format!("{format}-{}:{}", format.version(), image.recipe().to_hex());
        for other in others {
            recipe.push('+');
            recipe.push_str(&other.recipe().to_hex());
        }
        Self {
            memo: &image.memo,
            name: format!("{key}.output"),
            recipe,
            file,
        }
    }

    /// Returns what was written, if the file still is what the receipt says.
    pub(super) fn find(&self, target: &Path) -> Option<Written> {
        let receipt: Receipt = self.memo.read(&self.name)?;
        let holds = receipt.image == self.recipe && Some(receipt.state) == state_of(&self.file);
        holds.then(|| Written {
            path: target.to_path_buf(),
            manifest_digest: receipt.manifest,
            encoded_bytes: 0,
            unchanged: true,
        })
    }

    /// Gives a new file its name, `target`, remembers it, and returns what was written.
    pub(super) fn finish(
        &self,
        new: NewFile,
        target: &Path,
        manifest: Option<Digest>,
        encoded_bytes: u64,
    ) -> Result<Written, SinkError> {
        new.finish()?;
        self.record(manifest);
        Ok(Written {
            path: target.to_path_buf(),
            manifest_digest: manifest,
            encoded_bytes,
            unchanged: false,
        })
    }

    /// Remembers that the file has just been written.
    fn record(&self, manifest: Option<Digest>) {
        let Some(state) = state_of(&self.file) else {
            return;
        };
        self.memo.write(
            &self.name,
            &Receipt {
                image: self.recipe.clone(),
                manifest,
                state,
            },
        );
    }
}

fn state_of(file: &Path) -> Option<State> {
    let found = fs::symlink_metadata(file)
        .ok()
        .filter(fs::Metadata::is_file)?;
    Some(State {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// Returns the path of the file itself: links followed where it exists, else its name in its real directory.
fn absolute(target: &Path) -> PathBuf {
    fs::canonicalize(target).unwrap_or_else(|_| {
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_path_buf());
        target
            .file_name()
            .map_or_else(|| parent.clone(), |name| parent.join(name))
    })
}
