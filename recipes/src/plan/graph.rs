//! The derivations below some goals, each once, inputs first. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PlanError;
use crate::model::{Derivation, DerivationId};

/// Something that is wanted.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What has to be realised.
    pub derivation: Arc<Derivation>,
    /// Names of the wanted outputs; the first one when empty.
    pub outputs: Vec<String>,
}

impl Goal {
    /// Returns the goal of having the first output.
    pub fn new(derivation: Arc<Derivation>) -> Self {
        Self {
            derivation,
            outputs: Vec::new(),
        }
    }

    /// Returns the names of the wanted outputs, never empty.
    pub fn output_names(&self) -> Vec<&str> {
        if self.outputs.is_empty() {
            vec![self.derivation.default_output().name()]
        } else {
            self.outputs.iter().map(String::as_str).collect()
        }
    }
}

/// The derivations below some goals; a node is known by its place in the list.
#[derive(Clone, Debug)]
pub struct Graph {
    derivations: Vec<Arc<Derivation>>,
    /// What each node needs; sorted, no duplicates, every one smaller than the node.
    inputs: Vec<Vec<usize>>,
    places: BTreeMap<DerivationId, usize>,
}

impl Graph {
    /// Collects everything that `goals` need, directly or not.
    pub fn new(goals: &[Goal]) -> Result<Self, PlanError> {
        let mut graph = Self {
            derivations: Vec::new(),
            inputs: Vec::new(),
            places: BTreeMap::new(),
        };
        for goal in goals {
            if let Some(output) = goal
                .outputs
                .iter()
                .find(|output| goal.derivation.find_output(output).is_none())
            {
                let (name, output) = (goal.derivation.name().to_string(), output.clone());
                return Err(PlanError::UnknownOutput { name, output });
            }
            graph.add(&goal.derivation);
        }
        Ok(graph)
    }

    /// Adds what lies below `root` in post-order, without recursion: chains may be long.
    fn add(&mut self, root: &Arc<Derivation>) {
        let needs = |derivation: &Arc<Derivation>| -> Vec<Arc<Derivation>> {
            derivation
                .dependencies()
                .map(|output| output.derivation().clone())
                .collect()
        };
        let mut open = vec![(root.clone(), needs(root))];
        while let Some((derivation, waiting)) = open.last_mut() {
            if self.places.contains_key(&derivation.id()) {
                open.pop();
            } else if let Some(next) = waiting.pop() {
                if !self.places.contains_key(&next.id()) {
                    let below = needs(&next);
                    open.push((next, below));
                }
            } else {
                let derivation = derivation.clone();
                open.pop();
                let mut inputs: Vec<usize> = derivation
                    .dependencies()
                    .filter_map(|output| self.places.get(&output.derivation().id()).copied())
                    .collect();
                inputs.sort_unstable();
                inputs.dedup();
                self.places.insert(derivation.id(), self.derivations.len());
                self.derivations.push(derivation);
                self.inputs.push(inputs);
            }
        }
    }

    /// Returns the number of derivations.
    pub fn len(&self) -> usize {
        self.derivations.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.derivations.is_empty()
    }

    /// Returns the derivations, inputs first.
    pub fn derivations(&self) -> &[Arc<Derivation>] {
        &self.derivations
    }

    /// Returns what `node` needs directly: sorted, no duplicates, all smaller than `node`; empty for no node.
    pub fn inputs(&self, node: usize) -> &[usize] {
        self.inputs.get(node).map_or(&[], Vec::as_slice)
    }

    /// Returns the node of a derivation.
    pub fn find(&self, id: &DerivationId) -> Option<usize> {
        self.places.get(id).copied()
    }
}
