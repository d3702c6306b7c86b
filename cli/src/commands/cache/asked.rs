//! Which derivations a target comes to, and what they became as far as that is known here or to caches. Nothing is built.

use recipes::model::{Builder as Kind, Source as Origin};
use recipes::plan::{Goal, Graph, Lookup, Outputs, PlanError, RealisedOutput};
use store::cache::pull::Puller;
use store::{LocalStore, ResolvedDigest, StorePath};

use crate::context::Context;
use crate::error::CommandError;
use crate::realise::goals;
use crate::select::{Want, select};
use crate::selection::{SelectError, Selection};

/// One derivation below a target, or itself.
#[derive(Debug)]
pub(super) struct Asked {
    /// Its name.
    pub(super) name: String,
    /// What is asked for.
    pub(super) resolved: ResolvedDigest,
    /// Whether all of its outputs are valid here.
    pub(super) is_valid: bool,
    /// Whether it is the target.
    pub(super) is_target: bool,
    /// What its outputs became; none if nobody knows.
    pub(super) outputs: Vec<StorePath>,
}

/// What could be found out about a target.
#[derive(Debug)]
pub(super) struct Found {
    /// Derivations, inputs first.
    pub(super) asked: Vec<Asked>,
    /// The first that nobody can be asked for, as something below it is not known; then there is no target among the others.
    pub(super) unknown: Option<String>,
}

/// Finds out what is asked for.
pub(super) fn find(
    context: &Context,
    store: &LocalStore,
    target: &str,
    puller: &Puller<'_>,
) -> Result<Found, CommandError> {
    let selection = select(context, &context.evaluator(), target, Want::Objects)?;
    if let Selection::Path(path) = &selection {
        let info = store
            .path_info(path)?
            .ok_or_else(|| SelectError::NotValid(path.to_logical()))?;
        let known = store.find_realisations_of(&info.id)?;
        let asked = known.into_iter().map(|realisation| Asked {
            name: path.to_string(),
            resolved: realisation.resolved,
            is_valid: true,
            is_target: true,
            outputs: vec![path.clone()],
        });
        return Ok(Found {
            asked: asked.collect(),
            unknown: None,
        });
    }
    let goals: Vec<Goal> = goals(&[selection]);
    let graph = Graph::new(&goals).map_err(CommandError::failed)?;
    walk(store, &graph, &goals, puller).map_err(CommandError::failed)
}

fn walk(
    store: &LocalStore,
    graph: &Graph,
    goals: &[Goal],
    puller: &Puller<'_>,
) -> Result<Found, PlanError> {
    let mut lookup = Lookup::new(store, graph);
    let mut found = Found {
        asked: Vec::new(),
        unknown: None,
    };
    for (node, derivation) in graph.derivations().iter().enumerate() {
        if !lookup.is_resolvable(node)
            || matches!(derivation.builder(), Kind::Source(Origin::Local(_)))
        {
            let name = derivation.name().to_string();
            found.unknown.get_or_insert(name);
            continue;
        }
        let resolved = lookup.resolve(node)?.digest;
        let recalled = lookup.recall(node)?;
        let is_valid = recalled
            .as_ref()
            .is_some_and(|recalled| recalled.valid.iter().all(|valid| *valid));
        let outputs = recalled
            .map(|recalled| recalled.outputs)
            .or_else(|| ask(puller, derivation, &resolved));
        found.asked.push(Asked {
            name: derivation.name().to_string(),
            resolved,
            is_valid,
            is_target: goals
                .iter()
                .any(|goal| goal.derivation.id() == derivation.id()),
            outputs: outputs
                .iter()
                .flatten()
                .map(|output| output.path.clone())
                .collect(),
        });
        if let Some(outputs) = outputs {
            lookup.set(node, outputs);
        }
    }
    Ok(found)
}

/// Returns what caches that are trusted say a derivation became.
fn ask(
    puller: &Puller<'_>,
    derivation: &recipes::model::Derivation,
    resolved: &ResolvedDigest,
) -> Option<Outputs> {
    let trusted = puller.find_realisations(resolved).ok()?;
    let outputs = derivation.outputs().iter().map(|output| {
        let one = trusted
            .iter()
            .find(|one| one.realisation.output == output.name())?;
        Some(RealisedOutput::from(one.realisation.clone()))
    });
    outputs.collect()
}
