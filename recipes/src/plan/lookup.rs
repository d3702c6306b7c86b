//! What derivations became: asked of the store from the sources upwards, one query for each.

use std::sync::Arc;

use store::LocalStore;

use super::{Graph, PlanError};
use crate::model::{Builder, Derivation, LocalSource, OutputRef, ResolvedDerivation, Source};
use store::{ObjectId, PlanDigest, Realisation, ResolvedDigest, StorePath};

/// An output and the object that it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealisedOutput {
    /// Name of the output.
    pub output: String,
    /// Where the object lies.
    pub path: StorePath,
    /// What it is.
    pub id: ObjectId,
}

impl From<Realisation> for RealisedOutput {
    fn from(realisation: Realisation) -> Self {
        Self {
            output: realisation.output,
            path: realisation.path,
            id: realisation.object,
        }
    }
}

/// All outputs of one derivation, in its order.
pub type Outputs = Vec<RealisedOutput>;

/// What the store knows about a derivation.
#[derive(Clone, Debug)]
pub enum Answer {
    /// All of its outputs are valid.
    Valid(Outputs),
    /// It was not built from these inputs, or not all of it is here any more.
    Missing(Box<ResolvedDerivation>),
    /// Only reading its files can tell.
    LocalFiles,
}

/// What a derivation was built to, whether that is still here or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// All of its outputs.
    pub outputs: Outputs,
    /// The same, with what is known of the builds.
    pub realisations: Vec<Realisation>,
    /// For each of them whether it is valid.
    pub valid: Vec<bool>,
    /// The key under which it is known.
    pub resolved: ResolvedDigest,
}

/// The results that are known of a graph, growing from its sources upwards.
#[derive(Debug)]
pub struct Lookup<'a> {
    store: &'a LocalStore,
    graph: &'a Graph,
    results: Vec<Option<Outputs>>,
}

impl<'a> Lookup<'a> {
    /// Starts without any result.
    pub fn new(store: &'a LocalStore, graph: &'a Graph) -> Self {
        Self {
            store,
            graph,
            results: vec![None; graph.len()],
        }
    }

    /// Records what a node became.
    pub fn set(&mut self, node: usize, outputs: Outputs) {
        if let Some(result) = self.results.get_mut(node) {
            *result = Some(outputs);
        }
    }

    /// Returns what a node became, if that is known.
    pub fn result(&self, node: usize) -> Option<&Outputs> {
        self.results.get(node)?.as_ref()
    }

    /// Returns whether everything that `node` needs is known.
    pub fn is_resolvable(&self, node: usize) -> bool {
        self.graph
            .inputs(node)
            .iter()
            .all(|input| self.result(*input).is_some())
    }

    /// Asks the store about a node, all of whose inputs must be known. One query; nothing is recorded.
    pub fn look(&self, node: usize) -> Result<Answer, PlanError> {
        let derivation = self
            .graph
            .derivations()
            .get(node)
            .ok_or(PlanError::NoSuchNode { node })?;
        if matches!(derivation.builder(), Builder::Source(Source::Local(_))) {
            return Ok(Answer::LocalFiles);
        }
        let resolved = self.resolve_derivation(derivation)?;
        Ok(match find_valid(self.store, derivation, &resolved)? {
            Some(outputs) => Answer::Valid(outputs),
            None => Answer::Missing(Box::new(resolved)),
        })
    }

    /// Returns what a node was built to, whether that is still here or not; `None` if that is not recorded. All of its inputs must be known. One query; nothing is
    /// recorded.
    pub fn recall(&self, node: usize) -> Result<Option<Recalled>, PlanError> {
        let derivation = self
            .graph
            .derivations()
            .get(node)
            .ok_or(PlanError::NoSuchNode { node })?;
        if matches!(derivation.builder(), Builder::Source(Source::Local(_))) {
            return Ok(None);
        }
        let resolved = self.resolve_derivation(derivation)?;
        let recorded = self
            .store
            .find_recorded_outputs(&resolved.digest)
            .map_err(|source| PlanError::Database {
                name: derivation.name().to_string(),
                source: Box::new(source),
            })?;
        let known = derivation.outputs().iter().map(|output| {
            let found = recorded.iter().find(|one| one.output == output.name())?;
            let path = StorePath::new(found.object.path_digest(), output.store_name().clone());
            Some((found.realisation(resolved.digest, path), found.is_valid))
        });
        let known: Option<Vec<_>> = known.collect();
        Ok(known.map(|known| {
            let (realisations, valid): (Vec<Realisation>, _) = known.into_iter().unzip();
            let outputs = realisations.iter().cloned().map(RealisedOutput::from);
            Recalled {
                outputs: outputs.collect(),
                realisations,
                valid,
                resolved: resolved.digest,
            }
        }))
    }

    /// Returns what is going to be built at a node, all below it by content; `None` as long as local files below it were not read.
    pub fn plan_digest(&self, node: usize) -> Option<PlanDigest> {
        let content = |local: &LocalSource| -> Option<ObjectId> {
            let is_it = |one: &Arc<Derivation>| matches!(one.builder(), Builder::Source(Source::Local(source)) if source == local);
            let place = self.graph.derivations().iter().position(is_it)?;
            Some(self.result(place)?.first()?.id)
        };
        self.graph.derivations().get(node)?.plan_digest(&content)
    }

    /// Returns whether an object is valid.
    pub fn is_valid(&self, id: &ObjectId) -> Result<bool, PlanError> {
        let found = self.store.find_by_id(id);
        let found = found.map_err(|source| PlanError::Database {
            name: id.to_string(),
            source: Box::new(source),
        })?;
        Ok(found.is_some())
    }

    /// Puts the objects in the place of the inputs of a node, all of which must be known.
    pub fn resolve(&self, node: usize) -> Result<ResolvedDerivation, PlanError> {
        let derivation = self
            .graph
            .derivations()
            .get(node)
            .ok_or(PlanError::NoSuchNode { node })?;
        self.resolve_derivation(derivation)
    }

    fn resolve_derivation(&self, derivation: &Derivation) -> Result<ResolvedDerivation, PlanError> {
        let find = |output: &OutputRef| self.find(output);
        derivation
            .resolve(&find)
            .map_err(|source| PlanError::Resolve {
                name: derivation.name().to_string(),
                source: Box::new(source),
            })
    }

    fn find(&self, output: &OutputRef) -> Option<(StorePath, ObjectId)> {
        let outputs = self.result(self.graph.find(&output.derivation().id())?)?;
        let found = outputs
            .iter()
            .find(|found| found.output == output.output())?;
        Some((found.path.clone(), found.id))
    }
}

/// Returns what a resolved derivation became, when all of its outputs are valid.
///
/// Where there are several realisations of one output, which is a conflict worth reporting, the first is taken: the choice
/// must be the same each time.
pub(crate) fn find_valid(
    store: &LocalStore,
    derivation: &Derivation,
    resolved: &ResolvedDerivation,
) -> Result<Option<Outputs>, PlanError> {
    let known = store
        .find_realisations(&resolved.digest)
        .map_err(|source| PlanError::Database {
            name: derivation.name().to_string(),
            source: Box::new(source),
        })?;
    let outputs = derivation.outputs().iter().map(|output| {
        let found = known
            .iter()
            .find(|realisation| realisation.output == output.name())?;
        Some(RealisedOutput {
            output: output.name().to_owned(),
            path: found.path.clone(),
            id: found.object,
        })
    });
    Ok(outputs.collect())
}
