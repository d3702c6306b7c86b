//! From the index down: manifests, configurations, layers.

use std::{collections::BTreeSet, path::Path};

use serde::de::DeserializeOwned;

use super::{
    Mismatch, MismatchKind, Validation,
    below::Below,
    contents::Contents,
    layer::{Inside, read_layer},
};
use crate::{
    base::BaseTree,
    existing::{
        AnyConfig, AnyIndex, AnyManifest, AnyPlatform, Entry, ExistingImage, MAX_DOCUMENT_BYTES,
        Source, SourceError, blob_name, is_index,
    },
    layer::{self, Compression, Originals},
    oci::{Digest, DigestWriter, DockerManifest, LayoutMarker, annotation},
};

/// Reads the archive or layout at `path` and compares everything in it with everything that it says about itself.
///
/// Returns what it found, mismatches included; fails only where the file or directory cannot be read at all.
pub fn validate(path: &Path) -> Result<Validation, SourceError> {
    validate_image(&ExistingImage::open(path, None)?, &BTreeSet::new())
}

/// Reads all of an image wherever it is and does what [`validate`] does.
///
/// `allowed` are files and directories that belong to the image beside its packages and what every image has, as its specification says: paths without a slash first.
pub fn validate_image(
    image: &ExistingImage<'_>,
    allowed: &BTreeSet<Vec<u8>>,
) -> Result<Validation, SourceError> {
    let mut checker = Checker {
        image,
        allowed,
        found: Validation {
            manifests: Vec::new(),
            layers: 0,
            entries: 0,
            objects: 0,
            unattributed: 0,
            of_others: 0,
            base_layers: Vec::new(),
            described_base_layers: 0,
            mismatches: Vec::new(),
        },
    };
    checker.run()?;
    Ok(checker.found)
}

struct Checker<'a> {
    image: &'a ExistingImage<'a>,
    allowed: &'a BTreeSet<Vec<u8>>,
    found: Validation,
}

/// The parts of an image that docker's list repeats.
struct ImageNames {
    config: String,
    layers: Vec<String>,
}

/// A document that is to be read.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// By its name; nothing says what it should be.
    Named(&'a str),
    Manifest(&'a Entry),
    Config(&'a Entry),
}

impl Checker<'_> {
    fn run(&mut self) -> Result<(), SourceError> {
        if let Source::Archive(archive) = &self.image.source {
            for (name, problem) in &archive.index.problems {
                self.report(name, problem);
            }
        }
        if let Some(marker) = self.document::<LayoutMarker>(Wanted::Named("oci-layout"))?
            && marker.version != LayoutMarker::default().version
        {
            let problem = format!("the layout has version `{}`, not `1.0.0`", marker.version);
            self.report("oci-layout", &problem);
        }
        let mut images = Vec::new();
        // One image may have several names.
        let mut seen = BTreeSet::new();
        let index: Option<AnyIndex> = self.document(Wanted::Named("index.json"))?;
        for entry in index.into_iter().flat_map(|index| index.manifests) {
            if !self.image.is_chosen(&entry) || !seen.insert(entry.digest) {
                continue;
            }
            for entry in self.manifests_of(entry)? {
                images.extend(self.check_manifest(&entry)?);
            }
        }
        if self.found.manifests.is_empty() {
            self.report("index.json", "no image is listed");
        }
        self.check_docker(&images)
    }

    /// Returns the manifests that an entry of `index.json` leads to: itself, or those of the index that it is, one for each platform.
    fn manifests_of(&mut self, entry: Entry) -> Result<Vec<Entry>, SourceError> {
        if !is_index(&entry.media_type) {
            return Ok(vec![entry]);
        }
        let name = blob_name(&entry.digest);
        let index: Option<AnyIndex> = self.document(Wanted::Manifest(&entry))?;
        let manifests = index.map(|index| index.manifests).unwrap_or_default();
        let mut platforms = BTreeSet::new();
        for manifest in &manifests {
            match &manifest.platform {
                Some(platform) if platform.is_unknown() => {}
                Some(platform) if !platforms.insert(platform.clone()) => {
                    self.report(&name, &format!("two manifests are for `{platform}`"));
                }
                _ => {}
            }
        }
        Ok(manifests)
    }

    fn check_manifest(&mut self, entry: &Entry) -> Result<Option<ImageNames>, SourceError> {
        let name = blob_name(&entry.digest);
        if is_index(&entry.media_type) {
            self.report(&name, "it is an index inside an index");
            return Ok(None);
        }
        let Some(manifest): Option<AnyManifest> = self.document(Wanted::Manifest(entry))? else {
            return Ok(None);
        };
        if !manifest.is_image() || entry.platform.as_ref().is_some_and(AnyPlatform::is_unknown) {
            self.check_artifact(&manifest)?;
            return Ok(None);
        }
        self.found.manifests.push(entry.digest);
        let config_name = blob_name(&manifest.config.digest);
        let config: Option<AnyConfig> = self.document(Wanted::Config(&manifest.config))?;
        let config = config.as_ref();
        let is_ours = manifest.names_us(config);
        if !is_ours {
            self.found.of_others += 1;
        }
        let diff_ids = config.map(|config| &config.rootfs.diff_ids);
        if let Some(config) = config {
            self.check_config(&config_name, config, entry, manifest.layers.len());
        }
        let of_base = if is_ours {
            self.count_base(&name, &manifest, config)
        } else {
            0
        };
        let mut contents = is_ours.then(|| self.contents(&name, &manifest, config));
        if let Some(contents) = contents.as_mut().filter(|_| of_base > 0) {
            // A layer that cannot be read is damage, which is found when it is.
            contents.base = BaseTree::read(self.image, &manifest.layers[..of_base]).ok();
        }
        let mut below = Below::find(self.image, &manifest, config, of_base);
        // Where that cannot be read, which is damage, all of them are taken to be.
        let own = config.map(AnyConfig::own_layers);
        let is_own = |index| (own.as_ref()).is_none_or(|own| own.get(index) == Some(&true));
        for (index, layer) in manifest.layers.iter().enumerate() {
            let diff_id = diff_ids.and_then(|ids| ids.get(index)).copied();
            if index < of_base {
                self.found.base_layers.push(layer.digest);
                let contents = below.contents_of(index);
                if contents.is_some() {
                    self.found.described_base_layers += 1;
                }
                let inside = contents.map_or(Inside::Unread, Inside::Own);
                self.check_layer(layer, diff_id, inside)?;
                continue;
            }
            let inside = match &mut contents {
                None => Inside::Unread,
                Some(contents) if is_own(index) => Inside::Own(contents),
                Some(contents) => Inside::Foreign(contents),
            };
            self.check_layer(layer, diff_id, inside)?;
        }
        for contents in below.stack(contents) {
            let judgement = contents.judge(self.allowed);
            self.found.objects += judgement.objects;
            self.found.unattributed += judgement.unattributed;
            for (place, problem) in judgement.problems {
                self.found.mismatches.push(Mismatch {
                    place,
                    problem,
                    kind: MismatchKind::Contents,
                });
            }
        }
        Ok(Some(ImageNames {
            config: config_name,
            layers: (manifest.layers.iter())
                .map(|layer| blob_name(&layer.digest))
                .collect(),
        }))
    }

    /// Returns how many layers an image of this crate says that its base has; the highest is always its own.
    fn count_base(
        &mut self,
        name: &str,
        manifest: &AnyManifest,
        config: Option<&AnyConfig>,
    ) -> usize {
        match manifest.base_count(config) {
            Ok(count) => count,
            Err(text) => {
                let problem = format!(
                    "its annotation `{}` is `{text}`, and it has {} layers",
                    annotation::BASE_LAYERS,
                    manifest.layers.len()
                );
                self.report(name, &problem);
                0
            }
        }
    }

    /// Begins to look into an image of this crate, which says which digests were replaced.
    fn contents(
        &mut self,
        name: &str,
        manifest: &AnyManifest,
        config: Option<&AnyConfig>,
    ) -> Contents {
        let slots = manifest.fact(config, annotation::SLOTS);
        let originals = slots.and_then(|slots| Originals::parse(slots));
        if slots.is_some() && originals.is_none() {
            let problem = format!(
                "its annotation `{}` does not name the slots of store paths",
                annotation::SLOTS
            );
            self.report(name, &problem);
        }
        let is_on_base = manifest.base_count(config) != Ok(0);
        Contents::new(
            originals,
            if is_on_base {
                layer::Below::Base
            } else {
                layer::Below::Nothing
            },
        )
    }

    /// Hashes what a manifest names that is no image's: an attestation, a signature.
    fn check_artifact(&mut self, manifest: &AnyManifest) -> Result<(), SourceError> {
        let source = &self.image.source;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            let name = blob_name(&blob.digest);
            let Some(mut reader) = source.blob(blob)? else {
                self.report(&name, "it is missing");
                continue;
            };
            let mut hasher = DigestWriter::default();
            std::io::copy(&mut reader, &mut hasher).map_err(|error| source.error(&name, error))?;
            self.compare(&name, "its size", &hasher.size_bytes(), &blob.size_bytes);
            self.compare(&name, "its digest", &hasher.finish(), &blob.digest);
        }
        Ok(())
    }

    fn check_config(&mut self, name: &str, config: &AnyConfig, entry: &Entry, layers: usize) {
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
            && !platform.agrees(&config.platform)
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
        layer: &Entry,
        diff_id: Option<Digest>,
        inside: Inside<'_>,
    ) -> Result<(), SourceError> {
        let name = blob_name(&layer.digest);
        let Some(compression) = Compression::from_media_type(&layer.media_type) else {
            let problem = format!("its media type is `{}`", layer.media_type);
            self.report(&name, &problem);
            return Ok(());
        };
        let source = &self.image.source;
        let Some(blob) = source.blob(layer)? else {
            self.report(&name, "it is missing");
            return Ok(());
        };
        let found =
            read_layer(blob, compression, inside).map_err(|error| source.error(&name, error))?;
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

    /// Compares docker's list, where there is one beside an index, with the manifests.
    fn check_docker(&mut self, images: &[ImageNames]) -> Result<(), SourceError> {
        const NAME: &str = "manifest.json";
        let source = &self.image.source;
        if !source.is_layout() || source.document(NAME)?.is_none() {
            return Ok(());
        }
        let listed: Option<Vec<DockerManifest>> = self.document(Wanted::Named(NAME))?;
        for listed in listed.into_iter().flatten() {
            // Which of several images was chosen is their names in the index; docker goes by those in its list.
            if !self.image.may_be_chosen(&listed.repo_tags) {
                continue;
            }
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
        wanted: Wanted<'_>,
    ) -> Result<Option<T>, SourceError> {
        let source = &self.image.source;
        let (name, entry, reader) = match wanted {
            Wanted::Named(name) => (name.to_owned(), None, source.document(name)?),
            Wanted::Manifest(entry) => {
                let reader = source.manifest(entry)?;
                (blob_name(&entry.digest), Some(entry), reader)
            }
            Wanted::Config(entry) => (blob_name(&entry.digest), Some(entry), source.blob(entry)?),
        };
        let Some(reader) = reader else {
            self.report(&name, "it is missing");
            return Ok(None);
        };
        let bytes = source.read(&name, reader)?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            self.report(&name, "it is longer than 4 MiB");
            return Ok(None);
        }
        if let Some(entry) = entry {
            self.compare(&name, "its digest", &Digest::of(&bytes), &entry.digest);
            let size_bytes = bytes.len() as u64;
            self.compare(&name, "its size", &size_bytes, &entry.size_bytes);
        }
        match serde_json::from_slice(&bytes) {
            Ok(document) => Ok(Some(document)),
            Err(error) => {
                self.report(&name, &error.to_string());
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
            kind: MismatchKind::Damage,
        });
    }
}
