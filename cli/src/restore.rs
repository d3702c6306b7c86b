//! Damaged objects, fetched or built again from their recipes.

use std::collections::BTreeMap;
use std::sync::Arc;

use recipes::build::scheduler::OnFailure;
use recipes::build::{BuildError, Builder};
use recipes::event::Event;
use recipes::lang::{Evaluator, LangError, Package};
use recipes::model::{Derivation, DerivationId};
use recipes::plan::Goal;
use store::cache::pull::{PullEvent, Puller};
use store::cache::source::Source;
use store::{LocalStore, PathInfo, Restorer, StorePath};
use thiserror::Error;

use crate::build_options::{RealiseOptions, build_options};
use crate::caches::open_caches;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{BuildProgress, PullProgress};

/// Why an object could not be made again.
#[derive(Debug, Clone, Error)]
pub(crate) enum RestoreError {
    /// Neither the project nor the collection makes something of that name.
    #[error("no recipe of this project or of the collection makes it")]
    NoRecipe,
    /// The recipes cannot be read.
    #[error("the recipes cannot be evaluated")]
    Evaluate(#[source] Arc<LangError>),
    /// Making it failed.
    #[error("it cannot be made again")]
    Build(#[source] Arc<BuildError>),
    /// The recipe makes something else by now, or not the same each time.
    #[error("its recipe makes something else, `{0}`")]
    Different(StorePath),
}

/// Gets objects again from caches, which have them by their ids, or else makes those that a recipe of the project or of the collection describes.
pub(crate) struct Recipes<'a> {
    context: &'a Context,
    store: &'a LocalStore,
    caches: Vec<Arc<Source>>,
    evaluator: Evaluator,
    builder: Builder<'a>,
}

impl<'a> Recipes<'a> {
    /// Restores objects of `store`.
    pub(crate) fn new(context: &'a Context, store: &'a LocalStore) -> Result<Self, CommandError> {
        let mut options = build_options(context, &RealiseOptions::default())?;
        // One that cannot be made keeps no other from it.
        options.on_failure = OnFailure::KeepGoing;
        Ok(Self {
            context,
            store,
            caches: open_caches(context)?,
            evaluator: context.evaluator(),
            builder: Builder::new(store, options),
        })
    }

    /// Takes from caches what they have, and returns the others. What keeps a cache from giving something is told, and no failure: recipes come next.
    fn pull<'o>(&self, objects: &'o [PathInfo]) -> Vec<&'o PathInfo> {
        let lease = match self.store.lease() {
            Ok(lease) if !self.caches.is_empty() => lease,
            _ => return objects.iter().collect(),
        };
        let policy = self.context.settings().trust.policy();
        let puller = Puller::new(self.store, &self.caches, policy, seconds_now());
        let progress = PullProgress::new(self.context.printer());
        let events = |event: PullEvent| progress.show(&event);
        let is_missing = |info: &&PathInfo| {
            let wanted = [(info.path.clone(), info.id)];
            let pulled = puller.pull(&wanted, &lease, &events, self.context.cancel());
            if let Err(error) = &pulled {
                self.context.printer().detail(&error.to_string());
            }
            pulled.is_err()
        };
        // References first, each by itself: one that no cache has keeps no other from being taken.
        objects.iter().filter(is_missing).collect()
    }

    /// Finds what makes each object: in the project first, then in the package that the object says it is of, then anywhere in the collection.
    fn find_goals(&self, objects: &[&PathInfo]) -> Result<BTreeMap<StorePath, Goal>, LangError> {
        let mut goals = BTreeMap::new();
        let project = self.context.settings().project.as_ref();
        let project = project.map(|directory| self.evaluator.evaluate_project(directory));
        if let Some(Err(error)) = &project {
            // What comes from the collection can be repaired all the same.
            self.context.printer().note(&format!("warning: {error}"));
        }
        if let Some(Ok(project)) = project {
            let images = project.images.iter().flat_map(|image| &image.packages);
            let images = images.map(|output| output.derivation().clone());
            let packages = project.packages.iter().map(derivation);
            find_among(images.chain(packages), objects, &mut goals);
        }
        for info in objects {
            // Not every component is a package that can be asked for by name.
            if let Some(component) = &info.component
                && let Ok(package) = self.evaluator.evaluate_package(&component.name)
            {
                find_among([derivation(&package)].into_iter(), objects, &mut goals);
            }
        }
        if goals.len() < objects.len() {
            let packages = self.evaluator.evaluate_collection()?.into_iter();
            let packages = packages.filter_map(|(_, package)| package.ok());
            let packages: Vec<_> = packages.map(|package| derivation(&package)).collect();
            find_among(packages.into_iter(), objects, &mut goals);
        }
        Ok(goals)
    }
}

impl Restorer for Recipes<'_> {
    type Error = RestoreError;

    fn restore(&self, objects: &[PathInfo]) -> Vec<(StorePath, RestoreError)> {
        let objects = &self.pull(objects)[..];
        if objects.is_empty() {
            return Vec::new();
        }
        let goals = match self.find_goals(objects) {
            Ok(goals) => goals,
            Err(error) => {
                let error = RestoreError::Evaluate(Arc::new(error));
                let all = objects.iter();
                return all.map(|info| (info.path.clone(), error.clone())).collect();
            }
        };
        let progress = BuildProgress::new(self.context.printer());
        let events = |event: Event| progress.show(&event);
        let mut failures = Vec::new();
        // One by one in the order given: what is made first may be needed for the next, and a failure has one cause.
        for info in objects {
            let Some(goal) = goals.get(&info.path) else {
                failures.push((info.path.clone(), RestoreError::NoRecipe));
                continue;
            };
            let goals = std::slice::from_ref(goal);
            match self.builder.realise(goals, &events, self.context.cancel()) {
                Ok(realised) => {
                    let made = realised.goals.into_iter().next().map(|one| one.path);
                    if let Some(made) = made.filter(|made| *made != info.path) {
                        failures.push((info.path.clone(), RestoreError::Different(made)));
                    }
                }
                Err(error) => {
                    let error = RestoreError::Build(Arc::new(error));
                    failures.push((info.path.clone(), error));
                }
            }
        }
        failures.retain(|(path, _)| !matches!(self.store.path_info(path), Ok(Some(_))));
        failures
    }
}

fn derivation(package: &Package) -> Arc<Derivation> {
    Arc::clone(&package.derivation)
}

/// Looks for what makes the objects that have no goal yet, among derivations and all that they need.
///
/// Names decide, and of several derivations of one name the one that stands where the object's component says.
fn find_among(
    roots: impl Iterator<Item = Arc<Derivation>>,
    objects: &[&PathInfo],
    goals: &mut BTreeMap<StorePath, Goal>,
) {
    let mut seen: BTreeMap<DerivationId, ()> = BTreeMap::new();
    let mut pending: Vec<Arc<Derivation>> = roots.collect();
    let mut by_name: BTreeMap<StorePath, Goal> = BTreeMap::new();
    let mut by_place: BTreeMap<StorePath, Goal> = BTreeMap::new();
    while let Some(derivation) = pending.pop() {
        if seen.insert(derivation.id(), ()).is_some() {
            continue;
        }
        for info in objects {
            let mut outputs = derivation.outputs().iter();
            let Some(output) = outputs.find(|output| output.store_name() == info.path.name())
            else {
                continue;
            };
            let goal = || Goal {
                derivation: Arc::clone(&derivation),
                outputs: vec![output.name().to_owned()],
            };
            let recipe = info
                .component
                .as_ref()
                .and_then(|component| component.recipe.as_ref());
            if recipe.is_some() && recipe == derivation.recipe_line().as_ref() {
                by_place.entry(info.path.clone()).or_insert_with(goal);
            }
            by_name.entry(info.path.clone()).or_insert_with(goal);
        }
        let needed = derivation.dependencies();
        pending.extend(needed.map(|input| input.derivation().clone()));
    }
    for (path, goal) in by_place.into_iter().chain(by_name) {
        goals.entry(path).or_insert(goal);
    }
}
