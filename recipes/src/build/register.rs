//! Results into the store: objects and their realisations in one batch.

use std::time::Duration;

use store::{
    AddBatch, AddObject, AddSource, Component, ContainedComponent, KnownComponents, Lease,
    LocalStore, NewRealisation, ObjectId, Realisation, ResolvedDigest, StorePath,
};

use super::component::component;
use super::error::StepError;
use crate::model::Derivation;
use crate::plan::{Outputs, RealisedOutput};

/// How something was built, as it is recorded.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    /// The key; local files have none, because only reading them tells what they are.
    pub(super) resolved: Option<ResolvedDigest>,
    pub(super) sandbox: String,
    pub(super) built_at: u64,
    pub(super) duration: Duration,
    /// What the builder says is in its outputs.
    pub(super) contains: Vec<ContainedComponent>,
    /// What becomes of what is recorded of outputs that are valid already. It is kept where facts follow, which replace it as a whole.
    pub(super) known: KnownComponents,
}

impl Circumstances {
    fn duration_ms(&self) -> u64 {
        u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX)
    }
}

/// One result, in the order of the derivation's outputs.
pub(super) struct Made<'a> {
    pub(super) source: AddSource<'a>,
    pub(super) scratch: Option<StorePath>,
}

/// What outputs may and must not refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) candidates: Vec<(StorePath, ObjectId)>,
    pub(super) extra: Vec<StorePath>,
    pub(super) forbidden: Vec<StorePath>,
}

/// Records what outputs that are valid already were built from.
pub(super) fn realise(
    store: &LocalStore,
    outputs: &Outputs,
    circumstances: &Circumstances,
) -> Result<(), StepError> {
    let Some(resolved) = circumstances.resolved else {
        return Ok(());
    };
    let realisations: Vec<Realisation> = outputs
        .iter()
        .map(|output| Realisation {
            resolved,
            output: output.output.clone(),
            object: output.id,
            path: output.path.clone(),
            sandbox: circumstances.sandbox.clone(),
            built_at: circumstances.built_at,
            duration_ms: circumstances.duration_ms(),
        })
        .collect();
    Ok(store.add_realisations(&realisations)?)
}

/// What is said of outputs: by the recipe, and by the builder.
pub(super) fn built_component(derivation: &Derivation, circumstances: &Circumstances) -> Component {
    Component {
        contains: circumstances.contains.clone(),
        ..component(derivation)
    }
}

/// Adds all outputs of one derivation. They are valid, durably, when this returns.
pub(super) fn register(
    store: &LocalStore,
    derivation: &Derivation,
    made: Vec<Made<'_>>,
    rules: Rules,
    circumstances: &Circumstances,
    lease: &Lease,
) -> Result<Outputs, StepError> {
    let facts = built_component(derivation, circumstances);
    register_as(store, derivation, facts, made, rules, circumstances, lease)
}

/// Adds all outputs of one derivation with facts of which the recipe does not know all.
pub(super) fn register_as(
    store: &LocalStore,
    derivation: &Derivation,
    facts: Component,
    made: Vec<Made<'_>>,
    rules: Rules,
    circumstances: &Circumstances,
    lease: &Lease,
) -> Result<Outputs, StepError> {
    let objects = derivation
        .outputs()
        .iter()
        .zip(made)
        .map(|(output, made)| AddObject {
            name: output.store_name().clone(),
            source: made.source,
            scratch: made.scratch,
            extra_references: rules.extra.clone(),
            forbidden_references: rules.forbidden.clone(),
            component: Some(facts.clone()),
        })
        .collect();
    let realisations = circumstances.resolved.map_or(Vec::new(), |resolved| {
        let outputs = derivation.outputs().iter().enumerate();
        outputs
            .map(|(object, output)| NewRealisation {
                resolved,
                output: output.name().to_owned(),
                object,
                sandbox: circumstances.sandbox.clone(),
                built_at: circumstances.built_at,
                duration_ms: circumstances.duration_ms(),
            })
            .collect()
    });
    let batch = AddBatch {
        objects,
        candidates: rules.candidates,
        realisations,
        lease: Some(lease),
        known: circumstances.known,
        ..AddBatch::default()
    };
    let infos = store.add(batch)?;
    Ok(derivation
        .outputs()
        .iter()
        .zip(infos)
        .map(|(output, info)| RealisedOutput {
            output: output.name().to_owned(),
            path: info.path,
            id: info.id,
        })
        .collect())
}
