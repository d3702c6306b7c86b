//! What hangs together: an index, its manifests, and what they name.

use super::{AnyIndex, AnyManifest, AnyPlatform, Entry, ExistingError, ExistingImage, is_index};
use crate::oci::Digest;

/// Indexes in one another.
const MAX_DEPTH: usize = 4;
/// Documents of one image.
const MAX_DOCUMENTS: usize = 1000;

/// A document with the descriptor that names it.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) entry: Entry,
    pub(crate) bytes: Vec<u8>,
}

/// A manifest, as its descriptor has it and understood.
#[derive(Debug, Clone)]
pub(crate) struct ManifestDocument {
    pub(crate) entry: Entry,
    pub(crate) manifest: AnyManifest,
}

/// The documents of an image but for its configurations.
#[derive(Debug)]
pub(crate) struct Documents {
    /// All of them, each after those that it names, each once: what the name stands for is the last.
    pub(crate) all: Vec<Document>,
    /// The manifests among them, in the same order.
    pub(crate) manifests: Vec<ManifestDocument>,
}

impl Documents {
    /// What the name stands for.
    pub(crate) fn top(&self) -> &Document {
        self.all
            .last()
            .expect("`ExistingImage::documents` begins with one")
    }

    /// Everything that manifests name, each once, layers before configurations.
    pub(crate) fn blobs(&self) -> Vec<&Entry> {
        let manifests = || self.manifests.iter().map(|one| &one.manifest);
        let layers = manifests().flat_map(|manifest| &manifest.layers);
        let configs = manifests().map(|manifest| &manifest.config);
        let mut seen = std::collections::BTreeSet::<Digest>::new();
        layers
            .chain(configs)
            .filter(|blob| seen.insert(blob.digest))
            .collect()
    }
}

impl ExistingImage<'_> {
    /// Reads the documents of the one image that there is or that was chosen; of an image for several platforms only those of `platform`, if it is given.
    pub(crate) fn documents(
        &self,
        platform: Option<&AnyPlatform>,
    ) -> Result<Documents, ExistingError> {
        let mut entry = self.entry()?;
        if let Some(wanted) = platform {
            entry = self.for_platform(entry, wanted)?;
        }
        let mut found = Documents {
            all: Vec::new(),
            manifests: Vec::new(),
        };
        self.collect(entry, 0, &mut found)?;
        Ok(found)
    }

    /// The depth is bounded, and so is the recursion.
    fn collect(
        &self,
        entry: Entry,
        depth: usize,
        found: &mut Documents,
    ) -> Result<(), ExistingError> {
        if found.all.iter().any(|one| one.entry.digest == entry.digest) {
            return Ok(());
        }
        if depth > MAX_DEPTH || found.all.len() >= MAX_DOCUMENTS {
            return Err(ExistingError::TooLarge {
                image: self.name().to_owned(),
                problem: "too many indexes and manifests hang together",
            });
        }
        let bytes = self.read_manifest(&entry)?;
        if is_index(&entry.media_type) {
            let index: AnyIndex = self.parse(&entry.digest.to_string(), &bytes)?;
            for child in index.manifests {
                self.collect(child, depth + 1, found)?;
            }
        } else {
            let manifest = self.parse(&entry.digest.to_string(), &bytes)?;
            found.manifests.push(ManifestDocument {
                entry: entry.clone(),
                manifest,
            });
        }
        found.all.push(Document { entry, bytes });
        Ok(())
    }

    /// Chooses the manifest for a platform.
    fn for_platform(&self, entry: Entry, wanted: &AnyPlatform) -> Result<Entry, ExistingError> {
        let unfit = |found: Vec<String>| ExistingError::Platform {
            image: self.name().to_owned(),
            wanted: wanted.to_string(),
            found,
        };
        let bytes = self.read_manifest(&entry)?;
        if !is_index(&entry.media_type) {
            let manifest: AnyManifest = self.parse(&entry.digest.to_string(), &bytes)?;
            let config = self.read_config(&manifest)?;
            return if config.platform.is_a(wanted) {
                Ok(entry)
            } else {
                Err(unfit(vec![config.platform.to_string()]))
            };
        }
        let index: AnyIndex = self.parse(&entry.digest.to_string(), &bytes)?;
        let of = |child: &Entry| child.platform.as_ref().is_some_and(|one| one.is_a(wanted));
        let mut children = index.manifests.into_iter();
        let mut others = Vec::new();
        match children.find(|child| {
            others.extend(child.platform.as_ref().map(ToString::to_string));
            of(child)
        }) {
            Some(mut child) => {
                // By what the image was called it is called still.
                child.annotations = entry.annotations;
                Ok(child)
            }
            None => Err(unfit(others)),
        }
    }
}
