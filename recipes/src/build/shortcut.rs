//! Goals that are valid need nothing of what they were built from.
//!
//! Which objects the inputs were is recorded for a long time after they are gone; so the keys of all derivations can be computed without the compilers,
//! sources and downloads that a garbage collection removes first. If the goals turn out to be valid, nothing is to be done.

use std::collections::BTreeSet;

use store::LocalStore;

use super::workers::FinishedStep;
use super::{BuildError, Origin};
use crate::event::{Event, StepId};
use crate::plan::{Goal, Graph, Lookup};

/// Returns the steps of a graph all of whose goals are valid; `None` if one is not, or if only reading local files can tell.
///
/// A step whose outputs are not valid has no part in the result. Costs a query for each derivation.
pub(super) fn find_valid_goals(
    store: &LocalStore,
    graph: &Graph,
    goals: &[Goal],
    events: &(dyn Fn(Event) + Sync),
) -> Result<Option<Vec<Option<FinishedStep>>>, BuildError> {
    let wanted: BTreeSet<usize> = goals
        .iter()
        .filter_map(|goal| graph.find(&goal.derivation.id()))
        .collect();
    let mut lookup = Lookup::new(store, graph);
    let mut steps = Vec::with_capacity(graph.len());
    for node in 0..graph.len() {
        let Some((outputs, resolved, all_valid)) = lookup.recall(node)? else {
            return Ok(None);
        };
        if !all_valid && wanted.contains(&node) {
            return Ok(None);
        }
        steps.push(all_valid.then(|| FinishedStep {
            outputs: outputs.clone(),
            resolved: Some(resolved),
            origin: Origin::AlreadyValid,
        }));
        lookup.set(node, outputs);
    }
    for (node, derivation) in graph.derivations().iter().enumerate() {
        if steps.get(node).is_some_and(Option::is_some) {
            events(Event::Valid {
                step: StepId(node),
                name: derivation.name().to_string(),
            });
        }
    }
    Ok(Some(steps))
}
