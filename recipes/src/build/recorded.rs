//! What everything below some goals was built to, for whoever shares it with others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use store::{Closure, PlanDigest, Realisation, ResolvedDigest, StorePath};

use super::{BuildError, Builder};
use crate::model::{Builder as Kind, Derivation};
use crate::plan::{Goal, Graph, Lookup, RealisedOutput};

/// What everything below some goals was built to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// By plan what it and everything below it was built to, dependencies first. Complete, or not there.
    pub plans: BTreeMap<PlanDigest, Vec<Realisation>>,
    /// All objects that are valid: results, and what they were built with.
    pub objects: BTreeSet<StorePath>,
    /// Which derivations were built, as far as that is known.
    pub resolved: BTreeSet<ResolvedDigest>,
}

/// For which derivations a whole plan is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plans {
    /// Those of the goals and of all programs that their closures hold, so that each of those can be had by itself.
    Closures,
    /// Those of everything that is built on the way.
    All,
}

/// One node of the graph.
#[derive(Default)]
pub(super) struct Known {
    realisations: Vec<Realisation>,
    /// Whether the facts about all of its outputs are known.
    is_whole: bool,
}

impl Builder<'_> {
    /// Returns what is recorded of some goals and everything below them, whether the objects are still here or not. Nothing is built; files of a project are read.
    pub fn recorded(&self, goals: &[Goal], plans: Plans) -> Result<Recorded, BuildError> {
        let graph = Graph::new(goals)?;
        let mut lookup = Lookup::new(self.store(), &graph);
        let mut known: Vec<Known> = Vec::with_capacity(graph.len());
        let mut recorded = Recorded::default();
        for (node, derivation) in graph.derivations().iter().enumerate() {
            known.push(self.recall(node, derivation, &mut lookup, &mut recorded)?);
        }
        let mut wanted: BTreeSet<usize> = goals
            .iter()
            .filter_map(|goal| graph.find(&goal.derivation.id()))
            .collect();
        let closure = self.closure_of(&wanted, &lookup)?;
        for (node, derivation) in graph.derivations().iter().enumerate() {
            let mut outputs = lookup.result(node).into_iter().flatten();
            let is_there = |output: &RealisedOutput| closure.find(&output.path).is_some();
            if matches!(derivation.builder(), Kind::Program(_))
                && (plans == Plans::All || outputs.any(is_there))
            {
                wanted.insert(node);
            }
        }
        for node in wanted {
            if let (Some(plan), Some(realisations)) =
                (lookup.plan_digest(node), below(node, &graph, &known))
            {
                recorded.plans.insert(plan, realisations);
            }
        }
        Ok(recorded)
    }

    /// Returns all that the valid outputs of some nodes refer to.
    fn closure_of(
        &self,
        nodes: &BTreeSet<usize>,
        lookup: &Lookup<'_>,
    ) -> Result<Closure, BuildError> {
        let outputs = nodes.iter().flat_map(|node| lookup.result(*node));
        let mut valid = Vec::new();
        for output in outputs.flatten() {
            if lookup.is_valid(&output.id)? {
                valid.push(output.path.clone());
            }
        }
        Ok(self.store().closure(&valid)?)
    }

    /// Looks up one node, all of whose inputs were looked up.
    pub(super) fn recall(
        &self,
        node: usize,
        derivation: &Arc<Derivation>,
        lookup: &mut Lookup<'_>,
        recorded: &mut Recorded,
    ) -> Result<Known, BuildError> {
        if !lookup.is_resolvable(node) {
            return Ok(Known::default());
        }
        let is_source = matches!(derivation.builder(), Kind::Source(_));
        let Some(recalled) = lookup.recall(node)? else {
            if !is_source {
                return Ok(Known::default());
            }
            // Nothing else tells which objects the files of a project are; others find that out in the same way.
            let outputs = self.add_local_files(derivation)?;
            recorded
                .objects
                .extend(outputs.iter().map(|output| output.path.clone()));
            lookup.set(node, outputs);
            return Ok(Known {
                realisations: Vec::new(),
                is_whole: true,
            });
        };
        let valid = recalled.outputs.iter().zip(&recalled.valid);
        recorded.objects.extend(
            valid
                .filter(|(_, valid)| **valid)
                .map(|(output, _)| output.path.clone()),
        );
        recorded.resolved.insert(recalled.resolved);
        let known = Known {
            is_whole: true,
            realisations: recalled.realisations,
        };
        lookup.set(node, recalled.outputs);
        Ok(known)
    }
}

/// Returns what a node and everything below it was built to, in the order of the graph; `None` if something is not known.
fn below(node: usize, graph: &Graph, known: &[Known]) -> Option<Vec<Realisation>> {
    let mut nodes = BTreeSet::new();
    let mut pending = vec![node];
    while let Some(node) = pending.pop() {
        if nodes.insert(node) {
            pending.extend(graph.inputs(node));
        }
    }
    let mut realisations = Vec::new();
    for node in nodes {
        let known = known.get(node).filter(|known| known.is_whole)?;
        realisations.extend(known.realisations.iter().cloned());
    }
    Some(realisations)
}
