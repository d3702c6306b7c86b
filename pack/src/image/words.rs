//! The same image in OCI's words and in docker's: configuration and layers are the same bytes.

use super::{Assembled, Image, ImageError};
use crate::{
    layer::LayerDigests,
    oci::{Digest, ManifestType},
};

impl Image<'_> {
    /// Returns the configuration and the manifest in these words, for layers of its own that are all known; `None` where nothing can be said in them.
    pub(crate) fn assemble_as(
        &self,
        manifest_type: ManifestType,
        layers: &[LayerDigests],
    ) -> Option<Assembled> {
        // What lies below is described in the words that were chosen when it was read.
        if self.below.is_some() && manifest_type != self.manifest_type() {
            return None;
        }
        let layer_type = self.options.compression.media_type_in(manifest_type)?;
        Some(Assembled::new(
            self.config(),
            &self.annotations,
            manifest_type,
            layer_type,
            layers,
            self.below.as_ref(),
        ))
    }

    /// Returns the image in the words, OCI's or docker's, in which its manifest has this digest; `None` if it is another image. Costs what
    /// [`manifest_digest`](Self::manifest_digest) does.
    pub fn with_manifest(mut self, manifest: Digest) -> Result<Option<Self>, ImageError> {
        let layers = self.known_layers()?;
        for manifest_type in [ManifestType::Oci, ManifestType::Docker] {
            let assembled = self.assemble_as(manifest_type, &layers);
            if assembled.is_some_and(|it| it.manifest_descriptor.digest == manifest) {
                self.options.manifest_type = manifest_type;
                return Ok(Some(self));
            }
        }
        Ok(None)
    }
}
