//! An inventory by names rather than places, so that more can be put into it.

use std::collections::BTreeMap;

use super::{Edge, Inventory, Relation, Undescribed, Unit};

/// An edge by the keys of its ends, without how it was seen.
pub(super) type Ends = (String, String, Relation);

/// An inventory in which components and edges are found by their keys.
pub(super) struct Keyed {
    pub(super) roots: Vec<String>,
    pub(super) units: BTreeMap<String, Unit>,
    /// How each edge was seen.
    pub(super) edges: BTreeMap<Ends, String>,
    pub(super) undescribed: Vec<Undescribed>,
    pub(super) is_bill: bool,
}

impl From<Inventory> for Keyed {
    fn from(inventory: Inventory) -> Self {
        let key = |at: usize| Some(inventory.units.get(at)?.key.clone());
        let edges = inventory.edges.iter().filter_map(|edge| {
            let ends = (key(edge.from)?, key(edge.to)?, edge.relation);
            Some((ends, edge.evidence.clone()))
        });
        Self {
            roots: inventory.roots.iter().copied().filter_map(key).collect(),
            edges: edges.collect(),
            units: (inventory.units.into_iter())
                .map(|unit| (unit.key.clone(), unit))
                .collect(),
            undescribed: inventory.undescribed,
            is_bill: inventory.is_bill,
        }
    }
}

impl From<Keyed> for Inventory {
    /// Edges of which an end is not there are left out.
    fn from(keyed: Keyed) -> Self {
        let units: Vec<Unit> = keyed.units.into_values().collect();
        let find = |key: &String| units.binary_search_by(|unit| unit.key.cmp(key)).ok();
        let edges = keyed.edges.into_iter();
        let edges = edges.filter_map(|((from, to, relation), evidence)| {
            Some(Edge {
                from: find(&from)?,
                to: find(&to)?,
                relation,
                evidence,
            })
        });
        let mut inventory = Self {
            roots: keyed.roots.iter().filter_map(find).collect(),
            edges: edges.collect(),
            units: Vec::new(),
            undescribed: keyed.undescribed,
            is_bill: keyed.is_bill,
        };
        inventory.units = units;
        inventory.settle();
        inventory
    }
}
