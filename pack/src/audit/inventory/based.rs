//! What lies below an image that is only declared yet.

use super::{Inventory, keyed::Keyed};
use crate::existing::ImageFacts;

impl Inventory {
    /// Adds what an image has on which the components are put: what its bill names, and what nobody describes.
    ///
    /// What is recorded of a component goes before what that bill says of it.
    #[must_use]
    pub fn on_base(self, base: &ImageFacts) -> Self {
        let below = Keyed::from(Self::of_image(base));
        let mut joined = Keyed::from(self);
        for (key, unit) in below.units {
            joined.units.entry(key).or_insert_with(|| {
                joined.is_bill = true;
                unit
            });
        }
        for (ends, evidence) in below.edges {
            joined.edges.entry(ends).or_insert(evidence);
        }
        joined.roots.extend(below.roots);
        joined.roots.sort();
        joined.roots.dedup();
        joined.undescribed.extend(below.undescribed);
        joined.into()
    }
}
