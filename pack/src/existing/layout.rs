//! Writing into a layout that may have other images already, of whomever.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Entry, blob_name};
use crate::{
    SinkError,
    oci::{Digest, DigestWriter, LayoutMarker, annotation, media_type, to_canonical_json},
    sink::{NewDirectory, NewFile, Place, look_at, write_file},
};

const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";

/// A layout that is being written: a new one beside its place, or one that is there.
pub(super) struct LayoutWriter {
    path: PathBuf,
    new: Option<NewDirectory>,
    /// The index, with all that its writers put into it.
    index: Value,
}

impl LayoutWriter {
    /// Begins a layout at `path`, where one, an empty directory or nothing is.
    pub(super) fn open(path: &Path) -> Result<Self, SinkError> {
        let (new, index) = match look_at(path)? {
            Place::Directory => (None, read_index(path)?),
            Place::Free => {
                let index =
                    json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": []});
                (Some(NewDirectory::beside(path)?), index)
            }
        };
        let layout = Self {
            path: path.to_path_buf(),
            new,
            index,
        };
        let blobs = layout.directory().join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(SinkError::writing(path))?;
        Ok(layout)
    }

    fn directory(&self) -> &Path {
        self.new.as_ref().map_or(&self.path, NewDirectory::path)
    }

    /// Begins a blob, if it is not there with the right contents.
    pub(super) fn begin(&self, entry: &Entry) -> Result<Option<NewFile>, SinkError> {
        let place = self.directory().join(blob_name(&entry.digest));
        match fs::symlink_metadata(&place) {
            Ok(found)
                if found.is_file()
                    && found.len() == entry.size_bytes
                    && digest_of(&place)? == entry.digest =>
            {
                Ok(None)
            }
            _ => NewFile::beside(&place).map(Some),
        }
    }

    /// Enters an image, in the place of another of its name, once all of it is there.
    pub(super) fn finish(mut self, entry: &Entry) -> Result<(), SinkError> {
        let tag = entry.annotations.get(annotation::REF_NAME);
        let entry = serde_json::to_value(entry).map_err(|source| SinkError::Document {
            path: self.path.join(INDEX),
            source,
        })?;
        if let Some(manifests) = self.index["manifests"].as_array_mut() {
            manifests.retain(|other| {
                other["annotations"][annotation::REF_NAME].as_str() != tag.map(String::as_str)
            });
            manifests.push(entry);
        }
        let marker = to_canonical_json(&LayoutMarker::default());
        write_file(&self.directory().join(MARKER), &marker)?;
        write_file(
            &self.directory().join(INDEX),
            &to_canonical_json(&self.index),
        )?;
        self.new.map_or(Ok(()), NewDirectory::finish)
    }
}

/// Hashes a file.
fn digest_of(path: &Path) -> Result<Digest, SinkError> {
    let mut hasher = DigestWriter::default();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .map_err(SinkError::reading(path))?;
    Ok(hasher.finish())
}

/// Reads the index of a directory with something in it, which must be a layout then.
fn read_index(directory: &Path) -> Result<Value, SinkError> {
    let path = directory.join(INDEX);
    let bytes = match fs::read(&path) {
        Ok(bytes) if directory.join(MARKER).is_file() => bytes,
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(SinkError::reading(path)(error));
        }
        _ => {
            return Err(SinkError::Occupied {
                path: directory.to_path_buf(),
                found: "a directory with other things in it",
                wanted: "an OCI layout",
            });
        }
    };
    let index: Value = serde_json::from_slice(&bytes).map_err(|source| SinkError::Document {
        path: path.clone(),
        source,
    })?;
    if index["manifests"].is_array() {
        return Ok(index);
    }
    Err(SinkError::Occupied {
        path,
        found: "no index of images",
        wanted: "one",
    })
}
