//! The facts of what was built, beside the outputs.
//!
//! **Invariant.** Where a program's outputs are known for what they were built from, so are their facts: they are recorded in between, so that a process
//! which dies before leaves a build to do again and no output without facts. What an older version of this program has built gets its facts when it is next
//! asked for, as far as its sources are still here; where that version recorded nothing, nobody can say any more what it was linked of.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use store::facts::{FACTS_VERSION, Facts, FactsObject};
use store::{AddBatch, AddError, AddObject, Closure, Component, Lease, LocalStore, StorePath};

use super::debian::renew_licenses;
use super::error::StepError;
use super::perform::Job;
use super::workers::FinishedStep;
use crate::facts::{
    DOCUMENT, LinkedOutput, LinksFrom, Observed, Observer, OutputFacts, Records, copied, used,
};
use crate::model::{Builder, Derivation, DerivationId, ResolvedDerivation, Source};
use crate::plan::{Graph, Outputs, find_valid};

/// More than the version of facts takes, which they begin with.
const VERSION_BYTES: u64 = 32;

impl Job<'_> {
    /// Looks at outputs that are valid and at what they were built from, and records what is seen, and `component`, in the place of what was recorded before.
    pub(super) fn record_facts(
        &self,
        resolved: &ResolvedDerivation,
        outputs: &Outputs,
        component: &Component,
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
        let observer = Observer {
            store,
            derivation: self.derivation,
            place: &place,
        };
        let observed = observer.observe(&component.contains)?;
        let outputs = outputs.iter().map(|output| &output.path);
        let links = LinksFrom::Build(*linked);
        let said = Said::Now(component);
        add_facts(&observer, self.lease, &observed, outputs, links, said)
    }
}

impl Job<'_> {
    /// Records what a package of Debian says of itself.
    pub(super) fn record_package_facts(
        &self,
        outputs: &Outputs,
        component: &Component,
    ) -> Result<(), StepError> {
        let store = self.store();
        let place = |source: &Derivation| find_source(store, source);
        let observer = Observer {
            store,
            derivation: self.derivation,
            place: &place,
        };
        let mut observed = observer.observe(&[])?;
        for output in outputs {
            observer.add_copyright(&mut observed, &output.path)?;
        }
        let outputs = outputs.iter().map(|output| &output.path);
        let links = LinksFrom::Build(UNLINKED);
        let said = Said::Now(component);
        add_facts(&observer, self.lease, &observed, outputs, links, said)
    }
}

/// What is said of outputs beside what is observed.
#[derive(Clone, Copy)]
enum Said<'a> {
    /// What was recorded before.
    Before,
    /// This, in the place of that.
    Now(&'a Component),
}

/// Nothing of a linker.
const UNLINKED: LinkedOutput<'static> = LinkedOutput {
    records: &Records::NONE,
    scratch: &[],
};

/// Records what can still be seen of the programs in a closure that have no facts yet, or those of an older version.
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
        let behind: Vec<(&StorePath, &Component)> = outputs
            .filter_map(|output| {
                let component = closure.find(&output.path)?.component.as_ref()?;
                is_behind(store, component).then_some((&output.path, component))
            })
            .collect();
        let Some((_, component)) = behind.first() else {
            continue;
        };
        if matches!(derivation.builder(), Builder::Deb(_)) {
            renew_licenses(store, behind.iter().copied())?;
        }
        if !is_observable(derivation, &place) {
            continue;
        }
        let Some(older) = load_older(store, &behind) else {
            continue;
        };
        let observer = Observer {
            store,
            derivation,
            place: &place,
        };
        let mut observed = observer.observe(&component.contains)?;
        if matches!(derivation.builder(), Builder::Deb(_)) {
            for (path, _) in &behind {
                observer.add_copyright(&mut observed, path)?;
            }
        }
        // Sources that were read then and are gone since would be lost.
        if !older
            .values()
            .all(|older| observer.covers(&observed, older))
        {
            continue;
        }
        let links = if older.is_empty() {
            LinksFrom::Build(UNLINKED)
        } else {
            LinksFrom::Facts(&older)
        };
        let outputs = behind.iter().map(|(path, _)| *path);
        add_facts(&observer, lease, &observed, outputs, links, Said::Before)?;
    }
    Ok(())
}

/// Records of what lies in a closure what the linker copied into it and what it needs, where its facts say so and no version of this program before this one has
/// done it.
pub(super) fn record_late_links(store: &LocalStore, closure: &Closure) -> Result<(), StepError> {
    let mut found: Vec<(StorePath, Component)> = Vec::new();
    for info in closure.infos() {
        let component = info.component.as_ref();
        let Some(component) = component.filter(|of| of.linked.is_none() || of.uses.is_none())
        else {
            continue;
        };
        let document = component.facts.as_ref();
        // Facts that are not in this store, or cannot be read, are none to look at.
        let document = document.and_then(|object| fs::read(facts_file(store, object)).ok());
        let Some(facts) = document.and_then(|bytes| Facts::from_json(&bytes).ok()) else {
            continue;
        };
        let linked = Some(copied(store, &info.path, &facts).map_err(AddError::Db)?);
        let uses = Some(used(&info.path, &facts));
        // What recipes say today may have been recorded since the closure was read.
        let known = store.path_info(&info.path).map_err(AddError::Db)?;
        if let Some(component) = known.and_then(|info| info.component) {
            found.push((
                info.path.clone(),
                Component {
                    linked,
                    uses,
                    ..component
                },
            ));
        }
    }
    if !found.is_empty() {
        store.set_components(&found)?;
    }
    Ok(())
}

/// Whether an output has no facts, or those of an older version. Facts that are not in this store are none to look at.
fn is_behind(store: &LocalStore, component: &Component) -> bool {
    let Some(object) = &component.facts else {
        return true;
    };
    let mut head = Vec::new();
    let read = File::open(facts_file(store, object))
        .and_then(|file| file.take(VERSION_BYTES).read_to_end(&mut head));
    read.is_ok() && Facts::peek_version(&head).is_some_and(|version| version < FACTS_VERSION)
}

/// Reads the facts that outputs have; none where they cannot be read.
fn load_older(
    store: &LocalStore,
    outputs: &[(&StorePath, &Component)],
) -> Option<BTreeMap<StorePath, Facts>> {
    let mut older = BTreeMap::new();
    for (path, component) in outputs {
        if let Some(object) = &component.facts {
            let document = fs::read(facts_file(store, object)).ok()?;
            older.insert((*path).clone(), Facts::from_json(&document).ok()?);
        }
    }
    Some(older)
}

fn facts_file(store: &LocalStore, object: &FactsObject) -> PathBuf {
    store.real_path(&object.path).join(DOCUMENT)
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

/// Adds the objects of facts of valid outputs, and names them in what is recorded of those, of all outputs at once.
fn add_facts<'p>(
    observer: &Observer<'_>,
    lease: &Lease,
    observed: &Observed,
    outputs: impl Iterator<Item = &'p StorePath> + Clone,
    links: LinksFrom<'_>,
    said: Said<'_>,
) -> Result<(), StepError> {
    let store = observer.store;
    let made = outputs
        .clone()
        .map(|output| observer.object(observed, output, links))
        .collect::<Result<Vec<OutputFacts>, _>>()?;
    let (objects, links): (Vec<AddObject<'_>>, Vec<_>) = made
        .into_iter()
        .map(|one| (one.object, (one.linked, one.uses)))
        .unzip();
    let batch = AddBatch {
        objects,
        lease: Some(lease),
        ..AddBatch::default()
    };
    let facts = store.add(batch)?;
    let mut components: Vec<(StorePath, Component)> = Vec::with_capacity(facts.len());
    for ((output, facts), (linked, uses)) in outputs.zip(facts).zip(links) {
        let Some(info) = store.path_info(output).map_err(AddError::Db)? else {
            continue;
        };
        let facts = Some(FactsObject {
            path: facts.path,
            id: facts.id,
        });
        let component = match said {
            Said::Before => info.component.unwrap_or_default(),
            Said::Now(component) => component.clone(),
        };
        let component = Component {
            facts,
            linked: Some(linked),
            uses: Some(uses),
            ..component
        };
        components.push((output.clone(), component));
    }
    store.set_components(&components)?;
    Ok(())
}
