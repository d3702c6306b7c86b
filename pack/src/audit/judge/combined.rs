//! The license of a whole: what is linked in statically and what is vendored becomes part of it.

use std::collections::BTreeSet;

use crate::audit::{
    inventory::{Edge, Inventory},
    license::{Assessment, Expression},
};

/// Returns the license of each component together with all that is joined into it; none where one of them is not known.
pub(super) fn combine(
    inventory: &Inventory,
    assessments: &[Assessment],
) -> Vec<Option<Expression>> {
    let outgoing = inventory.outgoing();
    let effective = |unit: usize| assessments.get(unit).and_then(|one| one.effective.clone());
    (0..inventory.units.len())
        .map(|unit| {
            let parts = joined(&outgoing, unit);
            let licenses: Option<Vec<Expression>> =
                std::iter::once(unit).chain(parts).map(effective).collect();
            licenses.map(Expression::all)
        })
        .collect()
}

/// What is joined into `unit`, also through others, without itself.
fn joined(outgoing: &[Vec<&Edge>], unit: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut pending = vec![unit];
    while let Some(next) = pending.pop() {
        for edge in outgoing.get(next).into_iter().flatten() {
            if edge.relation.joins() && edge.to != unit && found.insert(edge.to) {
                pending.push(edge.to);
            }
        }
    }
    found
}
