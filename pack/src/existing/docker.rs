//! Archives that have docker's `manifest.json` and no index: `docker save` before its 25th version, `podman save`, skopeo's `docker-archive:`.
//!
//! Source: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format". Layers are nearly always uncompressed there, and then their
//! digests are the diff ids; whether they really are is seen when they are read.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
};

use super::{
    MAX_DOCUMENT_BYTES, SourceError,
    archive::{ArchiveIndex, Place},
    blob_name,
    document::AnyConfig,
};
use crate::{
    layer::Compression,
    oci::{
        Descriptor, Digest, DigestWriter, DockerManifest, ImageName, Index, LayoutMarker, Manifest,
        ManifestType, index_entry, media_type, to_canonical_json,
    },
};

/// The member that lists the images.
const LIST: &str = "manifest.json";

/// Makes the documents that the archive would have as a layout, by their names there; its blobs get the names that they would have there too.
pub(super) fn to_layout(
    path: &Path,
    archive: &mut ArchiveIndex,
) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    let Some(list) = archive.find(LIST) else {
        return Err(SourceError::NoImage {
            path: path.to_path_buf(),
            missing: "neither `index.json` nor `manifest.json`",
        });
    };
    let mut reading = Reading { path, archive };
    let list: Vec<DockerManifest> = serde_json::from_slice(&reading.read(list)?)
        .map_err(|error| reading.wrong(error.to_string()))?;
    let mut documents = BTreeMap::new();
    let mut entries = Vec::new();
    for image in list {
        let manifest = reading.manifest(&image)?;
        let bytes = to_canonical_json(&manifest);
        let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
        documents.insert(blob_name(&descriptor.digest), bytes);
        let names = image.repo_tags.iter();
        let names: Vec<ImageName> = names.filter_map(|name| name.parse().ok()).collect();
        for name in &names {
            entries.push(index_entry(&descriptor, None, name));
        }
        if names.is_empty() {
            entries.push(descriptor);
        }
    }
    documents.insert(
        "index.json".to_owned(),
        to_canonical_json(&Index::new(entries)),
    );
    documents.insert(
        "oci-layout".to_owned(),
        to_canonical_json(&LayoutMarker::default()),
    );
    Ok(documents)
}

struct Reading<'a> {
    path: &'a Path,
    archive: &'a mut ArchiveIndex,
}

impl Reading<'_> {
    fn manifest(&mut self, listed: &DockerManifest) -> Result<Manifest, SourceError> {
        let place = self.find(&listed.config)?;
        let config = self.read(place)?;
        let descriptor = Descriptor::of(media_type::CONFIG, &config);
        self.archive.alias(blob_name(&descriptor.digest), place);
        let config: AnyConfig =
            serde_json::from_slice(&config).map_err(|error| self.wrong(error.to_string()))?;
        let ids = config.rootfs.diff_ids;
        if ids.len() != listed.layers.len() {
            let problem = format!("{} layers and {} diff ids", listed.layers.len(), ids.len());
            return Err(self.wrong(problem));
        }
        let layers = listed.layers.iter().zip(ids);
        let layers = layers.map(|(layer, diff_id)| self.layer(layer, diff_id));
        Ok(Manifest::new(
            ManifestType::Oci,
            descriptor,
            layers.collect::<Result<_, _>>()?,
            BTreeMap::new(),
        ))
    }

    fn layer(&mut self, name: &str, diff_id: Digest) -> Result<Descriptor, SourceError> {
        let place = self.find(name)?;
        let mut start = Vec::new();
        let error = self.unreadable();
        let opened = place.open(self.path).and_then(|file| {
            file.take(4).read_to_end(&mut start)?;
            place.open(self.path)
        });
        let mut file = opened.map_err(error)?;
        let compression = if start.starts_with(&[0x1f, 0x8b]) {
            Compression::Gzip
        } else if start == [0x28, 0xb5, 0x2f, 0xfd] {
            Compression::Zstd
        } else {
            Compression::None
        };
        let digest = if compression == Compression::None {
            diff_id
        } else {
            let mut hasher = DigestWriter::default();
            io::copy(&mut file, &mut hasher).map_err(self.unreadable())?;
            hasher.finish()
        };
        self.archive.alias(blob_name(&digest), place);
        Ok(Descriptor::new(
            compression.media_type(),
            digest,
            place.size_bytes,
        ))
    }

    fn find(&self, name: &str) -> Result<Place, SourceError> {
        let found = self.archive.find(name);
        found.ok_or_else(|| self.wrong(format!("`{}` is not there", name.escape_debug())))
    }

    fn read(&self, place: Place) -> Result<Vec<u8>, SourceError> {
        if place.size_bytes > MAX_DOCUMENT_BYTES {
            return Err(self.wrong("a document is longer than 4 MiB".to_owned()));
        }
        let mut bytes = Vec::new();
        place
            .open(self.path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(self.unreadable())?;
        Ok(bytes)
    }

    fn unreadable(&self) -> impl FnOnce(io::Error) -> SourceError + use<> {
        let path = self.path.to_path_buf();
        |source| SourceError::Read { path, source }
    }

    fn wrong(&self, problem: String) -> SourceError {
        SourceError::DockerList {
            path: self.path.to_path_buf(),
            problem,
        }
    }
}
