//! An image to a file or a directory, as it is.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::json;

use super::{
    AnyPlatform, Documents, Entry, ExistingError, ExistingImage, blob_name, layout::LayoutWriter,
};
use crate::{
    Event, SinkError,
    oci::{Digest, DockerManifest, ImageName, LayoutMarker, annotation, to_canonical_json},
    sink::{Archive, NewFile},
};

/// What a copy of an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// An archive, which replaces a regular file.
    Archive,
    /// An OCI layout; in one that is there, the image is put beside the others.
    Layout,
}

/// What came of copying an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// The digest of its manifest, or of the index of several.
    pub manifest_digest: Digest,
}

impl ExistingImage<'_> {
    /// Writes the image, or what of it is for `platform`, to `path`. `name` is what it is called there.
    pub fn copy(
        &self,
        platform: Option<&AnyPlatform>,
        kind: FileKind,
        name: &ImageName,
        path: &Path,
    ) -> Result<Copied, ExistingError> {
        let documents = self.documents(platform)?;
        let entry = named(&documents.top().entry, name);
        match kind {
            FileKind::Archive => self.write_archive(&documents, &entry, name, path)?,
            FileKind::Layout => self.write_layout(&documents, &entry, path)?,
        }
        (self.events)(Event::Written { path });
        Ok(Copied {
            path: path.to_path_buf(),
            manifest_digest: entry.digest,
        })
    }

    fn write_archive(
        &self,
        documents: &Documents,
        entry: &Entry,
        name: &ImageName,
        path: &Path,
    ) -> Result<(), ExistingError> {
        let mut new = NewFile::beside(path)?;
        let target = new.target().to_path_buf();
        let mut archive = Archive::begin(new.file(), &target)?;
        for blob in self.told(documents, path) {
            archive.begin_file(&blob_name(&blob.digest), blob.size_bytes)?;
            self.read_blob::<ExistingError>(blob, &mut |bytes| {
                archive.append(bytes)?;
                self.tell_written(bytes);
                Ok(())
            })?;
            archive.end_file(blob.size_bytes)?;
        }
        for document in &documents.all {
            archive.append_file(&blob_name(&document.entry.digest), &document.bytes)?;
        }
        let index = json!({"schemaVersion": 2, "mediaType": crate::oci::media_type::INDEX, "manifests": [entry]});
        archive.append_file("index.json", &to_canonical_json(&index))?;
        // Of several images with one name, docker's list would mean the last one, whatever it runs on.
        if let ([only], [_]) = (documents.manifests.as_slice(), documents.all.as_slice())
            && only.manifest.is_image()
        {
            let docker = vec![DockerManifest {
                config: blob_name(&only.manifest.config.digest),
                repo_tags: vec![name.to_familiar()],
                layers: (only.manifest.layers.iter())
                    .map(|layer| blob_name(&layer.digest))
                    .collect(),
            }];
            archive.append_file("manifest.json", &to_canonical_json(&docker))?;
        }
        archive.append_file("oci-layout", &to_canonical_json(&LayoutMarker::default()))?;
        archive.end()?;
        Ok(new.finish()?)
    }

    /// Returns the blobs, which are about to be copied.
    fn told<'d>(&self, documents: &'d Documents, path: &Path) -> Vec<&'d Entry> {
        let blobs = documents.blobs();
        self.tell_copying(&path.display().to_string(), &blobs);
        blobs
    }

    fn tell_written(&self, bytes: &[u8]) {
        (self.events)(Event::Sent {
            bytes: bytes.len() as u64,
        });
    }

    fn write_layout(
        &self,
        documents: &Documents,
        entry: &Entry,
        path: &Path,
    ) -> Result<(), ExistingError> {
        let layout = LayoutWriter::open(path)?;
        for blob in self.told(documents, path) {
            let Some(mut new) = layout.begin(blob)? else {
                let bytes = blob.size_bytes;
                (self.events)(Event::Present { bytes });
                continue;
            };
            self.read_blob::<ExistingError>(blob, &mut |bytes| {
                let written = new.file().write_all(bytes);
                written.map_err(SinkError::writing(path))?;
                self.tell_written(bytes);
                Ok(())
            })?;
            new.finish()?;
        }
        for document in &documents.all {
            if let Some(mut new) = layout.begin(&document.entry)? {
                let written = new.file().write_all(&document.bytes);
                written.map_err(SinkError::writing(path))?;
                new.finish()?;
            }
        }
        Ok(layout.finish(entry)?)
    }
}

/// Gives an image its name, and no other.
fn named(entry: &Entry, name: &ImageName) -> Entry {
    let mut entry = entry.clone();
    entry.annotations.extend([
        (annotation::REF_NAME.to_owned(), name.tag().to_owned()),
        (annotation::CONTAINERD_NAME.to_owned(), name.to_string()),
    ]);
    entry
}
