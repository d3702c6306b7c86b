//! What a store recorded, in the place of what a bill says of the same store paths.

use std::collections::{BTreeMap, BTreeSet};

use super::{Edge, Inventory, Relation, Unit, UnitKind};
use crate::audit::Gathered;

/// An edge by the keys of its ends, without how it was seen.
type Ends = (String, String, Relation);

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
        let recorded = Self::of_closure(gathered, &[]);
        let known = gathered.parts.iter();
        let known: BTreeSet<String> = known.map(|part| part.info.path.to_logical()).collect();
        // What is linked into something recorded may itself be in the image with other bytes.
        let is_only_billed = |unit: &Unit| {
            matches!(unit.kind, UnitKind::Object | UnitKind::Set) && !known.contains(&unit.key)
        };
        let is_bill = self.units.iter().any(is_only_billed);
        let mut edges: BTreeMap<Ends, String> = self.keyed_edges().collect();
        edges.extend(recorded.keyed_edges());
        let roots = self.roots.iter().filter_map(|root| self.units.get(*root));
        let roots: Vec<String> = roots.map(|unit| unit.key.clone()).collect();
        let mut units: BTreeMap<String, Unit> = BTreeMap::new();
        for unit in self.units.into_iter().chain(recorded.units) {
            if !units.get(&unit.key).is_some_and(is_only_billed) {
                units.insert(unit.key.clone(), unit);
            }
        }
        let units: Vec<Unit> = units.into_values().collect();
        let find = |key: &String| units.binary_search_by(|unit| unit.key.cmp(key)).ok();
        let edges = edges
            .into_iter()
            .filter_map(|((from, to, relation), evidence)| {
                Some(Edge {
                    from: find(&from)?,
                    to: find(&to)?,
                    relation,
                    evidence,
                })
            });
        let mut joined = Self {
            roots: roots.iter().filter_map(find).collect(),
            edges: edges.collect(),
            units: Vec::new(),
            undescribed: self.undescribed,
            is_bill,
        };
        joined.units = units;
        joined.settle();
        joined
    }

    fn keyed_edges(&self) -> impl Iterator<Item = (Ends, String)> {
        self.edges.iter().filter_map(|edge| {
            let key = |at: usize| Some(self.units.get(at)?.key.clone());
            let ends = (key(edge.from)?, key(edge.to)?, edge.relation);
            Some((ends, edge.evidence.clone()))
        })
    }
}
