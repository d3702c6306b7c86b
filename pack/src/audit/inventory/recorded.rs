//! What a store recorded, in the place of what a bill says of the same store paths.

use std::collections::BTreeSet;

use super::{Inventory, Unit, UnitKind, keyed::Keyed};
use crate::audit::Gathered;

impl Inventory {
    /// Puts what is recorded of some of the store paths of an image in the place of what its bill says of them.
    ///
    /// It is up to the caller that the image has the very bytes of these paths. Where all of them are recorded, nothing is from the bill any more but what was asked
    /// for, and which bytes nobody describes.
    #[must_use]
    pub fn with_recorded(self, gathered: &Gathered) -> Self {
        if gathered.parts.is_empty() {
            return self;
        }
        let recorded = Keyed::from(Self::of_closure(gathered, &[]));
        let mut joined = Keyed::from(self);
        let known = gathered.parts.iter();
        let known: BTreeSet<String> = known.map(|part| part.info.path.to_logical()).collect();
        // What is linked into something recorded may itself be in the image with other bytes.
        let is_only_billed = |unit: &Unit| {
            matches!(unit.kind, UnitKind::Object | UnitKind::Set) && !known.contains(&unit.key)
        };
        joined.is_bill = joined.units.values().any(is_only_billed);
        joined.edges.extend(recorded.edges);
        for (key, unit) in recorded.units {
            if !joined.units.get(&key).is_some_and(is_only_billed) {
                joined.units.insert(key, unit);
            }
        }
        joined.into()
    }
}
