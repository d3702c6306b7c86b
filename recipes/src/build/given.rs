//! What programs of a plan are built with, for whoever asks what that is.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::{Component, StorePath};

use super::component::component;
use super::recorded::Recorded;
use super::{BuildError, Builder};
use crate::model::{Builder as Kind, Derivation, OutputRef};
use crate::plan::{Goal, Graph, Lookup};

/// Something that an object was built with, as its recipe says. What that was built with is not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where it lies, whether it is still there or not.
    pub path: StorePath,
    /// What its recipe says of it.
    pub component: Component,
}

impl Builder<'_> {
    /// Returns with what the programs were built that some goals are made of, by what came out; ascending. Nothing is built; files of a project are read.
    ///
    /// What nothing records is not there: whatever this store has never built and no cache has named either.
    pub fn given(&self, goals: &[Goal]) -> Result<BTreeMap<StorePath, Vec<Given>>, BuildError> {
        let graph = Graph::new(goals)?;
        let mut lookup = Lookup::new(self.store(), &graph);
        let mut recorded = Recorded::default();
        for (node, derivation) in graph.derivations().iter().enumerate() {
            self.recall(node, derivation, &mut lookup, &mut recorded)?;
        }
        let find = |used: &OutputRef| {
            let outputs = lookup.result(graph.find(&used.derivation().id())?)?;
            let mut outputs = outputs.iter();
            outputs.find(|one| one.output == used.output())
        };
        let mut given: BTreeMap<StorePath, Vec<Given>> = BTreeMap::new();
        for (node, derivation) in graph.derivations().iter().enumerate() {
            if !matches!(derivation.builder(), Kind::Program(_)) {
                continue;
            }
            let used = given_to(derivation).filter_map(|used| {
                Some(Given {
                    path: find(used)?.path.clone(),
                    component: component(used.derivation()),
                })
            });
            let used: Vec<Given> = used.collect();
            for output in lookup.result(node).into_iter().flatten() {
                given.insert(output.path.clone(), used.clone());
            }
        }
        Ok(given)
    }
}

/// What is given to a builder and is none of its sources: programs, libraries, and the binaries that it runs in.
fn given_to(derivation: &Arc<Derivation>) -> impl Iterator<Item = &OutputRef> {
    let all = derivation.inputs().iter().chain(derivation.seed());
    all.filter(|used| {
        let builder = used.derivation().builder();
        !matches!(builder, Kind::Fetch(_) | Kind::Source(_))
    })
}
