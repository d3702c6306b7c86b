//! The images whose layers lie in an image: itself, and those of this crate that it lies on.

use std::{collections::BTreeSet, ops::Range};

use store::StorePath;

use super::BytesError;
use crate::existing::{
    AnyConfig, AnyManifest, BaseLayer, BelowImage, ClaimedBill, ExistingImage, describe,
};

/// Who wrote a layer, as the image says; of those of a base, as their entries say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    Base,
    Pith,
    Other,
}

/// Where the layers of a part are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// They are the image's own.
    Top,
    /// They are those of an image that it lies on, whose configuration is not there.
    Below,
}

/// Layers that one bill speaks of, and those of others below and among them.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) place: Place,
    pub(super) layers: Range<usize>,
    /// Of each of the layers.
    pub(super) authors: Vec<Author>,
    pub(super) bill: ClaimedBill,
}

/// What is known of an image up to a layer.
#[derive(Debug, Default)]
pub(super) struct There {
    /// Everything outside of store objects.
    pub(super) others: BTreeSet<Vec<u8>>,
    /// The store paths at which there is something.
    pub(super) objects: BTreeSet<StorePath>,
}

impl Part {
    /// Returns the place of the lowest layer that is not one of a base.
    pub(super) fn first_own(&self) -> Option<usize> {
        let mut authors = self.layers.clone().zip(&self.authors);
        let found = authors.find(|(_, author)| **author != Author::Base);
        found.map(|(index, _)| index)
    }
}

/// Divides all layers of an image into parts, the lowest first.
pub(super) fn parts_of(
    image: &ExistingImage<'_>,
    manifest: &AnyManifest,
    config: &AnyConfig,
) -> Result<Vec<Part>, BytesError> {
    let base = count_base_layers(manifest, config);
    let all = manifest.layers.len();
    let below = match base < all {
        true => image.read_below(manifest, config, base)?,
        false => Vec::new(),
    };
    let mut parts = Vec::new();
    let mut start = 0;
    for one in below.iter().rev() {
        let end = one.layers.last().map_or(start, |bill| bill + 1);
        let layers = start..end;
        parts.push(Part {
            place: Place::Below,
            authors: layers.clone().map(|layer| author(&below, layer)).collect(),
            layers,
            bill: image.read_claims(&one.bill)?,
        });
        start = end;
    }
    let own = config.own_layers();
    let layers = start..all;
    let authors = layers.clone().map(|layer| match own.get(layer) {
        _ if layer < base => author(&below, layer),
        Some(true) => Author::Pith,
        _ => Author::Other,
    });
    parts.push(Part {
        place: Place::Top,
        authors: authors.collect(),
        layers,
        bill: image.read_claimed_bill(manifest)?,
    });
    Ok(parts)
}

/// Who wrote a layer of a base.
fn author(below: &[BelowImage], layer: usize) -> Author {
    match describe(below, layer) {
        BaseLayer::Described => Author::Pith,
        BaseLayer::Undescribed => Author::Base,
    }
}

/// How many of the lowest layers are somebody else's: all of an image that this crate did not make, and else what the image says. What it says too much
/// is not described, which is no good answer either; an image that has no layer of its own is not on a base.
fn count_base_layers(manifest: &AnyManifest, config: &AnyConfig) -> usize {
    match manifest.names_us(Some(config)) {
        true => manifest.base_count(Some(config)).unwrap_or(0),
        false => manifest.layers.len(),
    }
}
