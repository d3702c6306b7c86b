//! What an image has below its own layers.

use std::collections::BTreeSet;

use store::{PathInfo, StorePath};

use super::{BaseReport, ImageSpec, PackOptions, root::Root};
use crate::{
    base::{Base, BaseError, Fitted},
    oci::{ContainerConfig, Descriptor, History, ManifestType, to_canonical_json},
    rootfs::RootPath,
};

/// A base, as one image lies on it.
pub(crate) struct Below<'a> {
    pub(crate) base: Base<'a>,
    /// Its layers, the lowest first, as the manifest of the image names them.
    pub(crate) layers: Vec<Descriptor>,
    /// Whether the image is run as who the base is run as.
    inherits_user: bool,
    /// Files of the base that something which was asked for lies over.
    replaced: Vec<RootPath>,
}

impl<'a> Below<'a> {
    /// Prepares `base` for an image with the given wishes, and returns these with what the base says where they are silent.
    pub(super) fn new(
        base: Base<'a>,
        spec: &ImageSpec,
        manifest_type: ManifestType,
    ) -> Result<(Self, ImageSpec), BaseError> {
        let filled = (base.inherited).fill(spec, base.image().name(), &base.tree)?;
        let below = Self {
            layers: base.descriptors(manifest_type)?,
            inherits_user: spec.user.is_none(),
            replaced: Vec::new(),
            base,
        };
        Ok((below, filled))
    }

    /// Gives an image without a program that of the base, and puts what is generated where the base's links lead.
    pub(super) fn fit(&mut self, root: &mut Root, spec: &ImageSpec) -> Result<Fitted, BaseError> {
        if spec.entrypoint.is_none() && root.entrypoint.is_empty() {
            (self.base.inherited).program(&mut root.entrypoint, &mut root.cmd);
        }
        let mut fitted = Fitted::new(&self.base.tree, &root.tree)?;
        root.tree.clone_from(&fitted.tree);
        self.replaced = std::mem::take(&mut fitted.replaced);
        Ok(fitted)
    }

    /// Returns the objects of a closure that the base has. Digests are replaced in none of its files, so an image for which they are takes nothing from it.
    pub(super) fn shared(&self, infos: &[PathInfo], options: &PackOptions) -> BTreeSet<StorePath> {
        if options.stable_paths {
            return BTreeSet::new();
        }
        let is_there = |info: &&PathInfo| self.base.objects.get(&info.path) == Some(&info.id);
        let there = infos.iter().filter(is_there);
        there.map(|info| info.path.clone()).collect()
    }

    /// Adds what is inherited beside what the image has itself.
    pub(super) fn complete(&self, config: &mut ContainerConfig, history: &mut Vec<History>) {
        let inherited = &self.base.inherited;
        inherited.add_to(config, self.inherits_user);
        history.splice(..0, inherited.history(self.layers.len()));
    }

    /// Returns all of it that a manifest depends on.
    pub(super) fn recipe(&self) -> Vec<u8> {
        let diff_ids = to_canonical_json(&self.base.diff_ids());
        [to_canonical_json(&self.layers), diff_ids].concat()
    }

    /// Returns the figures of the base, of which the image takes the objects `shared`.
    pub(super) fn report(&self, shared: Vec<StorePath>) -> BaseReport {
        BaseReport {
            name: self.base.name().map(str::to_owned),
            digest: self.base.digest(),
            layers: self.layers.len(),
            size_bytes: self.layers.iter().map(|layer| layer.size_bytes).sum(),
            replaced: self
                .replaced
                .iter()
                .map(|path| format!("/{path}"))
                .collect(),
            shared,
        }
    }
}
