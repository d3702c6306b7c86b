//! The facts of what was built, beside the outputs.
//!
//! **Invariant.** Where a program's outputs are known for what they were built from, so are their facts: they are recorded in between, so that a process
//! which dies before leaves a build to do again and no output without facts. What an older version of this program has built gets its facts when it is next
//! asked for, as far as its sources are still here; nobody can say any more what it was linked of.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::facts::FactsObject;
use store::{
    AddBatch, AddError, AddObject, Closure, Component, ContainedComponent, Lease, LocalStore,
    StorePath,
};

use super::error::StepError;
use super::perform::Job;
use super::workers::FinishedStep;
use crate::facts::{LinkedOutput, Observed, Observer, Records};
use crate::model::{Builder, Derivation, DerivationId, ResolvedDerivation, Source};
use crate::plan::{Graph, Outputs, find_valid};

impl Job<'_> {
    /// Looks at outputs that are valid and at what they were built from, and records what is seen.
    pub(super) fn record_facts(
        &self,
        resolved: &ResolvedDerivation,
        outputs: &Outputs,
        contains: &[ContainedComponent],
        linked: &LinkedOutput<'_>,
    ) -> Result<(), StepError> {
        let store = self.store();
        let place = |source: &Derivation| match source.builder() {
            // Only reading told what it is, and what has its name among the inputs is that.
            Builder::Source(Source::Local(_)) => {
                let mut inputs = resolved.inputs.iter().map(|(path, _)| path);
                inputs.find(|path| path.name() == source.name()).cloned()
            }
            _ => find_source(store, source),
        };
        let observed = Observer { store }.observe(self.derivation, contains, &place)?;
        let outputs = outputs.iter().map(|output| &output.path);
        add_facts(store, self.lease, &observed, outputs, linked)
    }
}

impl Job<'_> {
    /// Records what a package of Debian says of itself.
    pub(super) fn record_package_facts(&self, outputs: &Outputs) -> Result<(), StepError> {
        let store = self.store();
        let place = |source: &Derivation| find_source(store, source);
        let observer = Observer { store };
        let mut observed = observer.observe(self.derivation, &[], &place)?;
        for output in outputs {
            observer.add_copyright(&mut observed, &output.path)?;
        }
        let outputs = outputs.iter().map(|output| &output.path);
        add_facts(store, self.lease, &observed, outputs, &UNLINKED)
    }
}

/// Nothing of a linker.
static UNLINKED: LinkedOutput<'static> = LinkedOutput {
    records: &Records::NONE,
    scratch: &[],
};

/// Records what can still be seen of the programs in a closure that have no facts yet.
pub(super) fn record_late_facts(
    store: &LocalStore,
    graph: &Graph,
    finished: &[Option<FinishedStep>],
    closure: &Closure,
    lease: &Lease,
) -> Result<(), StepError> {
    let mut known: BTreeMap<DerivationId, &StorePath> = BTreeMap::new();
    for (derivation, step) in graph.derivations().iter().zip(finished) {
        let first = step.iter().flat_map(|step| step.outputs.first()).next();
        known.extend(first.map(|output| (derivation.id(), &output.path)));
    }
    let place = |source: &Derivation| match known.get(&source.id()) {
        Some(path) if matches!(store.path_info(path), Ok(Some(_))) => Some((*path).clone()),
        _ => find_source(store, source),
    };
    for (derivation, step) in graph.derivations().iter().zip(finished) {
        let outputs = step.iter().flat_map(|step| &step.outputs);
        let without: Vec<(&StorePath, &Component)> = outputs
            .filter_map(|output| {
                let component = closure.find(&output.path)?.component.as_ref()?;
                component
                    .facts
                    .is_none()
                    .then_some((&output.path, component))
            })
            .collect();
        let Some((_, component)) = without.first() else {
            continue;
        };
        if !is_observable(derivation, &place) {
            continue;
        }
        let observer = Observer { store };
        let mut observed = observer.observe(derivation, &component.contains, &place)?;
        if matches!(derivation.builder(), Builder::Deb(_)) {
            for (path, _) in &without {
                observer.add_copyright(&mut observed, path)?;
            }
        }
        let outputs = without.iter().map(|(path, _)| *path);
        add_facts(store, lease, &observed, outputs, &UNLINKED)?;
    }
    Ok(())
}

/// Whether a derivation is one whose facts are recorded, and all of its own sources are here.
fn is_observable(
    derivation: &Arc<Derivation>,
    place: &dyn Fn(&Derivation) -> Option<StorePath>,
) -> bool {
    let is_built = matches!(derivation.builder(), Builder::Program(_) | Builder::Deb(_));
    let mut sources = derivation.sources().into_iter();
    is_built && sources.all(|source| place(source.derivation()).is_some())
}

/// Finds what a source became that is known without its inputs.
fn find_source(store: &LocalStore, source: &Derivation) -> Option<StorePath> {
    let resolved = source.resolve(&|_| None).ok()?;
    let outputs = find_valid(store, source, &resolved).ok()??;
    outputs.into_iter().next().map(|output| output.path)
}

/// Adds the objects of facts of valid outputs, and names them in what is recorded of those.
fn add_facts<'p>(
    store: &LocalStore,
    lease: &Lease,
    observed: &Observed,
    outputs: impl Iterator<Item = &'p StorePath> + Clone,
    linked: &LinkedOutput<'_>,
) -> Result<(), StepError> {
    let observer = Observer { store };
    let objects = outputs
        .clone()
        .map(|output| observer.object(observed, output, linked))
        .collect::<Result<Vec<AddObject<'_>>, _>>()?;
    let batch = AddBatch {
        objects,
        lease: Some(lease),
        ..AddBatch::default()
    };
    let facts = store.add(batch)?;
    let mut components: Vec<(StorePath, Component)> = Vec::with_capacity(facts.len());
    for (output, facts) in outputs.zip(facts) {
        let Some(info) = store.path_info(output).map_err(AddError::Db)? else {
            continue;
        };
        let facts = Some(FactsObject {
            path: facts.path,
            id: facts.id,
        });
        let component = info.component.unwrap_or_default();
        components.push((output.clone(), Component { facts, ..component }));
    }
    store.set_components(&components)?;
    Ok(())
}
