//! Digests that are replaced in everything that is in an image.

use store::PathInfo;

use super::{ImageSpec, PackOptions, root::Root};
use crate::{
    layer::{Inspector, LayerError, Memo, Rewrite, Slot, SlotMap, StoredObject},
    oci::HealthCheck,
};

/// What replaces digests outside of store objects.
pub(super) struct Stable {
    rewrite: Rewrite,
}

impl Stable {
    /// Decides, where that is wanted, which digests are replaced, and tells the objects; these and `infos` are in the same order.
    pub(super) fn new(
        options: &PackOptions,
        objects: &mut [StoredObject],
        infos: &[PathInfo],
        memo: &Memo,
    ) -> Result<Option<(Self, SlotMap)>, LayerError> {
        if !options.stable_paths {
            return Ok(None);
        }
        let map = SlotMap::new(objects, infos, &Inspector { memo })?;
        for (object, info) in objects.iter_mut().zip(infos) {
            object.slot = Some(Slot {
                path: map.in_image(&info.path).clone(),
                rewrite: map.rewrite_for(info),
            });
        }
        let rewrite = map.rewrite();
        Ok(Some((Self { rewrite }, map)))
    }

    /// Changes the generated files and how the image is run, and returns the specification with what is in the configuration as it stands there.
    pub(super) fn change(
        &self,
        root: &mut Root,
        spec: &ImageSpec,
    ) -> Result<ImageSpec, LayerError> {
        self.change_root(root)?;
        self.change_spec(spec)
    }

    fn change_root(&self, root: &mut Root) -> Result<(), LayerError> {
        root.tree.change(|path, bytes| {
            let result = self.rewrite.apply(bytes);
            result.map_err(|_| left_over(&path.to_string()))
        })?;
        for text in root.entrypoint.iter_mut().chain(&mut root.cmd) {
            self.change_text(text, "entrypoint")?;
        }
        root.env
            .values_mut()
            .try_for_each(|text| self.change_text(text, "env"))
    }

    fn change_spec(&self, spec: &ImageSpec) -> Result<ImageSpec, LayerError> {
        let mut spec = spec.clone();
        if let Some(directory) = &mut spec.working_directory {
            self.change_text(directory, "workdir")?;
        }
        if let Some(HealthCheck { test, .. }) = &mut spec.health_check {
            test.iter_mut()
                .try_for_each(|text| self.change_text(text, "health check"))?;
        }
        for text in spec
            .labels
            .values_mut()
            .chain(spec.annotations.values_mut())
        {
            self.change_text(text, "labels")?;
        }
        Ok(spec)
    }

    fn change_text(&self, text: &mut String, place: &str) -> Result<(), LayerError> {
        let mut bytes = std::mem::take(text).into_bytes();
        let result = self.rewrite.apply(&mut bytes);
        result.map_err(|_| left_over(place))?;
        // Digits are replaced by digits.
        *text = String::from_utf8(bytes).map_err(|_| left_over(place))?;
        Ok(())
    }
}

fn left_over(place: &str) -> LayerError {
    LayerError::LeftOver { path: place.into() }
}
