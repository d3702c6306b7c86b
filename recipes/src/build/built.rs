//! What derivations were built to before, without building or fetching anything.

use std::sync::Arc;

use store::ResolvedDigest;

use super::{BuildError, Builder};
use crate::model::{Builder as Kind, Derivation, Source};
use crate::plan::{Goal, Graph, Lookup, Outputs, PlanError};

/// What a derivation was built to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The key under which it is known.
    pub resolved: ResolvedDigest,
    /// Its outputs, all of them valid.
    pub outputs: Outputs,
    /// The outputs of which builds differ that are recorded.
    pub conflicts: Vec<String>,
}

impl Builder<'_> {
    /// Returns what each of `derivations` was built to, `None` where that is not known or not here any more.
    ///
    /// Files of a project are not read, so what is built from them is unknown.
    pub fn built(&self, derivations: &[Arc<Derivation>]) -> Result<Vec<Option<Built>>, BuildError> {
        let goals: Vec<Goal> = derivations.iter().cloned().map(Goal::new).collect();
        let graph = Graph::new(&goals)?;
        let mut lookup = Lookup::new(self.store(), &graph);
        let mut found = vec![None; graph.len()];
        for (node, derivation) in graph.derivations().iter().enumerate() {
            let is_local = matches!(derivation.builder(), Kind::Source(Source::Local(_)));
            if is_local || !lookup.is_resolvable(node) {
                continue;
            }
            let Some(recalled) = lookup.recall(node)? else {
                continue;
            };
            if recalled.valid.iter().all(|valid| *valid)
                && let Some(slot) = found.get_mut(node)
            {
                *slot = Some(Built {
                    resolved: recalled.resolved,
                    outputs: recalled.outputs.clone(),
                    conflicts: self.conflicts(&recalled.resolved, derivation)?,
                });
            }
            lookup.set(node, recalled.outputs);
        }
        let of = |derivation: &Arc<Derivation>| {
            let node = graph.find(&derivation.id())?;
            found.get(node).cloned().flatten()
        };
        Ok(derivations.iter().map(of).collect())
    }

    fn conflicts(
        &self,
        resolved: &ResolvedDigest,
        derivation: &Arc<Derivation>,
    ) -> Result<Vec<String>, PlanError> {
        let recorded = self.store().find_recorded_outputs(resolved);
        let recorded = recorded.map_err(|source| PlanError::Database {
            name: derivation.name().to_string(),
            source: Box::new(source),
        })?;
        let mut conflicts: Vec<String> = derivation
            .outputs()
            .iter()
            .map(|output| output.name().to_owned())
            .filter(|output| recorded.iter().filter(|one| &one.output == output).count() > 1)
            .collect();
        conflicts.sort();
        Ok(conflicts)
    }
}
