//! The images of this crate that an image lies on, each judged by its own bill.

use std::collections::BTreeSet;

use super::contents::Contents;
use crate::{
    base::BaseTree,
    existing::{AnyConfig, AnyManifest, ExistingImage},
    layer,
};

/// What is found in the layers of a base that are of this crate.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// The places of the layers, and what is in them, the highest image first.
    images: Vec<(BTreeSet<usize>, Contents)>,
}

impl Below {
    /// Finds the images in the lowest `count` layers.
    pub(super) fn find(
        image: &ExistingImage<'_>,
        manifest: &AnyManifest,
        config: Option<&AnyConfig>,
        count: usize,
    ) -> Self {
        // A layer that cannot be read is damage, which is found when it is.
        let found = config.map(|config| image.read_below(manifest, config, count));
        let found = found.and_then(Result::ok).unwrap_or_default();
        let images = found.into_iter().map(|one| {
            let first = one.layers.first().copied().unwrap_or_default();
            let below = match first {
                0 => layer::Below::Nothing,
                _ => layer::Below::Base,
            };
            let mut contents = Contents::new(None, below);
            contents.is_of_base = true;
            if first > 0 {
                contents.base = BaseTree::read(image, &manifest.layers[..first]).ok();
            }
            (one.layers, contents)
        });
        Self {
            images: images.collect(),
        }
    }

    /// Returns where the entries of a layer go; nothing where no bill speaks of it.
    pub(super) fn contents_of(&mut self, layer: usize) -> Option<&mut Contents> {
        let mut images = self.images.iter_mut();
        let found = images.find(|(layers, _)| layers.contains(&layer));
        found.map(|(_, contents)| contents)
    }

    /// Returns what is in all images, the lowest first and `top` last, each knowing what lies below it.
    pub(super) fn stack(self, top: Option<Contents>) -> Vec<Contents> {
        let below = self.images.into_iter().rev().map(|(_, contents)| contents);
        let mut stack: Vec<Contents> = Vec::new();
        for mut contents in below.chain(top) {
            contents.there = stack.last().map(Contents::store_paths).unwrap_or_default();
            stack.push(contents);
        }
        stack
    }
}
