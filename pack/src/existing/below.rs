//! The images of this crate that an image lies on, found in the layers of its base.
//!
//! They are told by the same rule as the image's own layers: by entries, and by their order, for the highest layer of each has its bill. What an image says of
//! its base is a hint where to look and no more. A bill speaks of the layers from its own down to the next bill.
//!
//! Layers of others in a base are nobody's to describe. One that has a bill or hides one takes away all that lies below it: nothing tells what counts there.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{AnyConfig, AnyManifest, ExistingError, ExistingImage, own_layers::FoundLayer};
use crate::layer::{Below, Compression};

/// Whether somebody says what is in a layer of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseLayer {
    /// It was written by this crate, and the bill above it speaks of it.
    Described,
    /// It is of others, or of this crate without a bill above it.
    Undescribed,
}

/// An image of this crate that another one lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BelowImage {
    /// Where its bill lies, and its bytes.
    pub(crate) bill: (String, Vec<u8>),
    /// The layers that the bill speaks of, by their places; its own is the highest.
    pub(crate) layers: BTreeSet<usize>,
}

/// Returns for a layer of a base whether one of the images below speaks of it.
pub(crate) fn describe(below: &[BelowImage], layer: usize) -> BaseLayer {
    match below.iter().any(|image| image.layers.contains(&layer)) {
        true => BaseLayer::Described,
        false => BaseLayer::Undescribed,
    }
}

impl ExistingImage<'_> {
    /// Finds the images of this crate in the lowest `count` layers, the highest first. Reads those of the layers of which the image says that this crate wrote them.
    pub(crate) fn read_below(
        &self,
        manifest: &AnyManifest,
        config: &AnyConfig,
        count: usize,
    ) -> Result<Vec<BelowImage>, ExistingError> {
        let own = config.own_layers();
        let mut below: Vec<BelowImage> = Vec::new();
        let layers = manifest.layers.iter().take(count).enumerate();
        for (index, layer) in layers.rev() {
            if Compression::from_media_type(&layer.media_type).is_none() {
                continue;
            }
            let is_said = own.get(index) == Some(&true);
            if !is_said && !own.iter().take(index).any(|own| *own) {
                // Nothing below is said to be of this crate.
                break;
            }
            if !is_said {
                match self.refuse_other_bill(layer) {
                    Ok(()) => continue,
                    Err(ExistingError::ForeignBill { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
            match self.read_own_layer(layer, Below::Base)? {
                FoundLayer {
                    problem: None,
                    bill: Some(bill),
                    ..
                } => below.push(BelowImage {
                    bill,
                    layers: BTreeSet::from([index]),
                }),
                FoundLayer {
                    in_the_way: Some(_),
                    ..
                } => break,
                FoundLayer { problem: None, .. } => {
                    if let Some(image) = below.last_mut() {
                        image.layers.insert(index);
                    }
                }
                FoundLayer { .. } => {}
            }
        }
        Ok(below)
    }
}
