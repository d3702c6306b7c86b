//! The bill of materials that an image of this crate has in it, found again.

use super::{
    AnyManifest, AnyPlatform, BaseLayer, BillPackage, Depth, ExistingError, ExistingImage,
    OwnLayers, merge::merge, parse_bill,
};
use crate::oci::Digest;

/// Where an image says what it lies on: OCI image-spec 1.1, annotations.md.
const BASE: [&str; 2] = [
    "org.opencontainers.image.base.name",
    "org.opencontainers.image.base.digest",
];

/// The bill of one of the images that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBill {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The bill as it lies in the image, joined with those of images of this crate that it lies on; none where there is none.
    pub bytes: Option<Vec<u8>>,
    /// The image whose layers its own lie on, as it says itself, where the bill does not speak of all of these.
    pub base: Option<String>,
    /// The layers above those of its base, and those of a base without a name, that the bill does not speak of, the lowest first.
    pub foreign: Vec<Digest>,
}

impl ExistingImage<'_> {
    /// Reads the bills in the images of a name, for each platform or one, as their bytes, and tells as far as `depth` what these do not speak of.
    pub fn bills(
        &self,
        platform: Option<&AnyPlatform>,
        depth: Depth,
    ) -> Result<Vec<ImageBill>, ExistingError> {
        let documents = self.documents(platform)?;
        let images = documents.manifests.iter().filter(|one| {
            let platform = one.entry.platform.as_ref();
            !platform.is_some_and(AnyPlatform::is_unknown) && one.manifest.is_image()
        });
        images
            .map(|one| {
                let found = self.read_own_layers(&one.manifest, depth)?;
                let annotations = &one.manifest.annotations;
                let base = BASE.iter().find_map(|key| annotations.get(*key));
                // An image that says on what it lies, and not which layers that has, is not believed to have none of it.
                let base = base.filter(|_| found.base == 0 || !found.is_base_described());
                let layers = one.manifest.layers.iter().enumerate();
                let foreign = layers.filter(|(index, _)| match found.of_base(*index) {
                    Some(of_base) => base.is_none() && of_base == BaseLayer::Undescribed,
                    None => found.foreign.contains_key(index),
                });
                Ok(ImageBill {
                    base: base.cloned(),
                    manifest: one.entry.digest,
                    foreign: foreign.map(|(_, layer)| layer.digest).collect(),
                    bytes: self.whole_bill(&found)?,
                })
            })
            .collect()
    }

    /// Returns what the bills in images of this crate say, all platforms together, ascending by store path; empty where there is none.
    pub fn bill(&self) -> Result<Vec<BillPackage>, ExistingError> {
        let mut packages = Vec::new();
        for one in &self.documents(None)?.manifests {
            packages.extend(self.read_bill(&one.manifest)?.unwrap_or_default());
        }
        packages.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        packages.dedup_by(|next, first| next.path == first.path);
        Ok(packages)
    }

    /// Reads the bill in an image of this crate; `None` where there is none. Reads layers, the highest first, until it is found: it is in the highest one of its own.
    pub(crate) fn read_bill(
        &self,
        manifest: &AnyManifest,
    ) -> Result<Option<Vec<BillPackage>>, ExistingError> {
        let found = self.read_own_layers(manifest, Depth::ToBill)?;
        self.parse_own(&found)
    }

    /// Reads the bill that was found in the layers of an image, with those of the images below it.
    pub(crate) fn parse_own(
        &self,
        found: &OwnLayers,
    ) -> Result<Option<Vec<BillPackage>>, ExistingError> {
        let (Some((document, _)), Some(bytes)) = (&found.bill, self.whole_bill(found)?) else {
            return Ok(None);
        };
        self.understand(document, parse_bill(&bytes)).map(Some)
    }

    /// Returns the bill that was found in the layers of an image, as it lies there, or joined with those of the images below it.
    fn whole_bill(&self, found: &OwnLayers) -> Result<Option<Vec<u8>>, ExistingError> {
        let Some((document, bytes)) = &found.bill else {
            return Ok(None);
        };
        if found.below.is_empty() {
            return Ok(Some(bytes.clone()));
        }
        // Each for itself first, so that a fault is told of the document that has it.
        for (document, bytes) in found.below.iter().map(|image| &image.bill) {
            self.understand(document, parse_bill(bytes))?;
        }
        let below = found.below.iter().map(|image| image.bill.1.as_slice());
        let base = match found.is_base_described() {
            true => BaseLayer::Described,
            false => BaseLayer::Undescribed,
        };
        let merged = merge(bytes, &below.collect::<Vec<_>>(), base);
        self.understand(document, merged).map(Some)
    }

    /// Says of which document of the image it is that it cannot be read.
    pub(crate) fn understand<T>(
        &self,
        document: &str,
        read: Result<T, serde_json::Error>,
    ) -> Result<T, ExistingError> {
        read.map_err(|source| ExistingError::Document {
            image: self.name().to_owned(),
            document: document.to_owned(),
            source,
        })
    }
}
