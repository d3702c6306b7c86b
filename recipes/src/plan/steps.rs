//! The steps to some goals, as far as they can be known without doing them.

use std::sync::Arc;

use store::LocalStore;

use super::{Answer, Goal, Graph, Lookup, Outputs, PlanError};
use crate::model::{Builder, Derivation};

/// One derivation and what has to be done for it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The derivation.
    pub derivation: Arc<Derivation>,
    /// What is to do, and why.
    pub reason: Reason,
}

/// What is to do for a step, and why.
#[derive(Clone, Debug)]
pub enum Reason {
    /// Nothing: its outputs are valid.
    Valid(Outputs),
    /// A transfer: the file is not in the store.
    Fetch,
    /// A build: nothing is known to come from these inputs.
    Build,
    /// Perhaps a build: that shows when the named input is there, which may be the same as last time.
    Depends {
        /// Name of the first input that is not there yet.
        input: String,
    },
    /// Local files are read each time.
    ReadFiles,
}

/// What it takes to reach some goals.
#[derive(Clone, Debug)]
pub struct BuildPlan {
    /// The steps, inputs first.
    pub steps: Vec<Step>,
}

impl BuildPlan {
    /// Plans without doing anything. One query for each derivation whose inputs are known.
    pub fn new(store: &LocalStore, goals: &[Goal]) -> Result<Self, PlanError> {
        let graph = Graph::new(goals)?;
        let mut lookup = Lookup::new(store, &graph);
        let mut steps = Vec::with_capacity(graph.len());
        for (node, derivation) in graph.derivations().iter().enumerate() {
            let open = graph
                .inputs(node)
                .iter()
                .find(|input| lookup.result(**input).is_none());
            let reason = match open.and_then(|input| graph.derivations().get(*input)) {
                Some(input) => Reason::Depends {
                    input: input.name().to_string(),
                },
                None => match lookup.look(node)? {
                    Answer::Valid(outputs) => {
                        lookup.set(node, outputs.clone());
                        Reason::Valid(outputs)
                    }
                    Answer::LocalFiles => Reason::ReadFiles,
                    Answer::Missing(_) if matches!(derivation.builder(), Builder::Fetch(_)) => {
                        Reason::Fetch
                    }
                    Answer::Missing(_) => Reason::Build,
                },
            };
            steps.push(Step {
                derivation: derivation.clone(),
                reason,
            });
        }
        Ok(Self { steps })
    }

    /// Returns whether nothing is to be done.
    pub fn is_done(&self) -> bool {
        self.steps
            .iter()
            .all(|step| matches!(step.reason, Reason::Valid(_)))
    }
}
