//! From the index down: manifests, configurations, layers.

use std::{collections::BTreeSet, io::Read, path::Path};

use serde::de::DeserializeOwned;

use super::{Mismatch, ValidateError, Validation, layer::read_layer, source::Source};
use crate::{
    layer::Compression,
    oci::{
        Descriptor, Digest, DockerManifest, ImageConfig, Index, LayoutMarker, Manifest, media_type,
    },
};

/// No document of an image is longer; registries have the same limit.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// Reads the archive or layout at `path` and compares everything in it with everything that it says about itself.
///
/// Returns what it found, mismatches included; fails only where the file or directory cannot be read at all.
pub fn validate(path: &Path) -> Result<Validation, ValidateError> {
    let mut checker = Checker {
        source: Source::open(path)?,
        found: Validation {
            manifests: Vec::new(),
            layers: 0,
            entries: 0,
            mismatches: Vec::new(),
        },
    };
    checker.run()?;
    Ok(checker.found)
}

struct Checker {
    source: Source,
    found: Validation,
}

/// The parts of an image that docker's list repeats.
struct ImageNames {
    config: String,
    layers: Vec<String>,
}

impl Checker {
    fn run(&mut self) -> Result<(), ValidateError> {
        if let Source::Archive { repeated, .. } = &self.source {
            let repeated = repeated.clone();
            for name in repeated {
                self.report(&name, "is in the archive more than once");
            }
        }
        if let Some(marker) = self.document::<LayoutMarker>("oci-layout", None)?
            && marker.version != LayoutMarker::default().version
        {
            let problem = format!("the layout has version `{}`, not `1.0.0`", marker.version);
            self.report("oci-layout", &problem);
        }
        let mut images = Vec::new();
        let index: Option<Index> = self.document("index.json", None)?;
        for entry in index.into_iter().flat_map(|index| index.manifests) {
            for entry in self.manifests_of(entry)? {
                self.found.manifests.push(entry.digest);
                images.extend(self.check_manifest(&entry)?);
            }
        }
        if self.found.manifests.is_empty() {
            self.report("index.json", "no manifest is listed");
        }
        self.check_docker(&images)
    }

    /// Returns the manifests that an entry of `index.json` leads to: itself, or those of the index that it is, one for each platform.
    fn manifests_of(&mut self, entry: Descriptor) -> Result<Vec<Descriptor>, ValidateError> {
        if entry.media_type != media_type::INDEX {
            return Ok(vec![entry]);
        }
        let name = blob_name(&entry.digest);
        let index: Option<Index> = self.document(&name, Some(&entry))?;
        let manifests = index.map(|index| index.manifests).unwrap_or_default();
        let mut platforms = BTreeSet::new();
        for manifest in &manifests {
            match &manifest.platform {
                None => self.report(&name, "a manifest has no platform"),
                Some(platform) if !platforms.insert(platform.to_string()) => {
                    self.report(&name, &format!("two manifests are for `{platform}`"));
                }
                Some(_) => {}
            }
        }
        Ok(manifests)
    }

    fn check_manifest(&mut self, entry: &Descriptor) -> Result<Option<ImageNames>, ValidateError> {
        let name = blob_name(&entry.digest);
        if entry.media_type != media_type::MANIFEST {
            let problem = format!("its media type is `{}`", entry.media_type);
            self.report(&name, &problem);
        }
        let Some(manifest): Option<Manifest> = self.document(&name, Some(entry))? else {
            return Ok(None);
        };
        if manifest.schema_version != 2 {
            self.report(&name, "its schema version is not 2");
        }
        let config_name = blob_name(&manifest.config.digest);
        let config: Option<ImageConfig> = self.document(&config_name, Some(&manifest.config))?;
        let diff_ids = config.as_ref().map(|config| &config.rootfs.diff_ids);
        if let Some(config) = &config {
            self.check_config(&config_name, config, entry, manifest.layers.len());
        }
        for (index, layer) in manifest.layers.iter().enumerate() {
            let diff_id = diff_ids.and_then(|ids| ids.get(index)).map(|id| id.0);
            self.check_layer(layer, diff_id)?;
        }
        Ok(Some(ImageNames {
            config: config_name,
            layers: (manifest.layers.iter())
                .map(|layer| blob_name(&layer.digest))
                .collect(),
        }))
    }

    fn check_config(
        &mut self,
        name: &str,
        config: &ImageConfig,
        entry: &Descriptor,
        layers: usize,
    ) {
        let ids = config.rootfs.diff_ids.len();
        if ids != layers {
            let problem = format!("it has {ids} diff ids, and the manifest {layers} layers");
            self.report(name, &problem);
        }
        let entries = (config.history.iter())
            .filter(|entry| !entry.empty_layer)
            .count();
        if !config.history.is_empty() && entries != layers {
            let problem = format!("its history is about {entries} layers, and there are {layers}");
            self.report(name, &problem);
        }
        if let Some(platform) = &entry.platform
            && *platform != config.platform
        {
            let problem = format!(
                "its platform is `{}`, and in the index `{platform}`",
                config.platform
            );
            self.report(name, &problem);
        }
    }

    fn check_layer(
        &mut self,
        layer: &Descriptor,
        diff_id: Option<Digest>,
    ) -> Result<(), ValidateError> {
        let name = blob_name(&layer.digest);
        let Some(compression) = Compression::from_media_type(&layer.media_type) else {
            let problem = format!("its media type is `{}`", layer.media_type);
            self.report(&name, &problem);
            return Ok(());
        };
        let Some(blob) = self.source.find(&name)? else {
            self.report(&name, "it is missing");
            return Ok(());
        };
        let found =
            read_layer(blob, compression).map_err(|source| self.source.error(&name, source))?;
        self.found.layers += 1;
        self.found.entries += found.entries;
        self.compare(&name, "its digest", &found.digest, &layer.digest);
        self.compare(&name, "its size", &found.size_bytes, &layer.size_bytes);
        if let Some(expected) = diff_id {
            self.compare(&name, "its diff id", &found.diff_id, &expected);
        }
        for problem in &found.problems {
            self.report(&name, problem);
        }
        Ok(())
    }

    /// Compares docker's list, where there is one, with the manifests.
    fn check_docker(&mut self, images: &[ImageNames]) -> Result<(), ValidateError> {
        const NAME: &str = "manifest.json";
        if self.source.find(NAME)?.is_none() {
            return Ok(());
        }
        let listed: Option<Vec<DockerManifest>> = self.document(NAME, None)?;
        for listed in listed.into_iter().flatten() {
            let known = images
                .iter()
                .any(|image| image.config == listed.config && image.layers == listed.layers);
            if !known {
                let problem = format!("the image with config `{}` is no manifest's", listed.config);
                self.report(NAME, &problem);
            }
        }
        Ok(())
    }

    /// Reads a document and compares it with its descriptor, if it has one. Returns `None`, and reports why, where it is not what it should be.
    fn document<T: DeserializeOwned>(
        &mut self,
        name: &str,
        descriptor: Option<&Descriptor>,
    ) -> Result<Option<T>, ValidateError> {
        let Some(reader) = self.source.find(name)? else {
            self.report(name, "it is missing");
            return Ok(None);
        };
        let mut bytes = Vec::new();
        reader
            .take(MAX_DOCUMENT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.source.error(name, source))?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            self.report(name, "it is longer than 4 MiB");
            return Ok(None);
        }
        if let Some(descriptor) = descriptor {
            self.compare(name, "its digest", &Digest::of(&bytes), &descriptor.digest);
            self.compare(
                name,
                "its size",
                &(bytes.len() as u64),
                &descriptor.size_bytes,
            );
        }
        match serde_json::from_slice(&bytes) {
            Ok(document) => Ok(Some(document)),
            Err(error) => {
                self.report(name, &error.to_string());
                Ok(None)
            }
        }
    }

    fn compare<T: PartialEq + std::fmt::Display>(
        &mut self,
        place: &str,
        what: &str,
        found: &T,
        expected: &T,
    ) {
        if found != expected {
            let problem = format!("{what} is {found}, and should be {expected}");
            self.report(place, &problem);
        }
    }

    fn report(&mut self, place: &str, problem: &str) {
        self.found.mismatches.push(Mismatch {
            place: place.to_owned(),
            problem: problem.to_owned(),
        });
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.to_hex())
}
