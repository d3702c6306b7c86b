//! Makes selections valid, with progress to the printer.

use std::ops::Deref;

use recipes::build::{BuildError, Builder, FromCaches, Origin, Realisations};
use recipes::event::Event;
use recipes::model::Builder as Kind;
use recipes::plan::Goal;
use store::cache::pull::{PullEvent, Puller, forget_misses};
use store::{Lease, LocalStore, StorePath};

use crate::build_options::{RealiseOptions, build_options};
use crate::caches::{open_caches, tell_failures};
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, build_failed};
use crate::output::{BuildProgress, Done, PullProgress};
use crate::select::{Want, select};
use crate::selection::{SelectError, Selection};
use crate::settings::CacheUse;

/// What became valid.
#[derive(Debug)]
pub(crate) struct Realised {
    /// One store path for each selection, in order.
    pub(crate) paths: Vec<StorePath>,
    /// What it took.
    pub(crate) done: Done,
    /// Keep the paths while they live.
    leases: Vec<Lease>,
}

/// Makes every selection valid. An image selects all of its packages, in its order.
pub(crate) fn realise(
    context: &Context,
    store: &LocalStore,
    selections: &[Selection],
    options: &RealiseOptions,
) -> Result<Realised, CommandError> {
    let goals = goals(selections);
    let progress = BuildProgress::new(context.printer());
    let events = |event: Event| progress.show(&event);
    let mut built = Vec::new();
    let mut leases = Vec::new();
    if !goals.is_empty() {
        let sources = open_caches(context)?;
        if context.settings().caches.mode == CacheUse::Only && !store.is_read_only() {
            // Who has nothing else wants to know what is there now, and not what was there some minutes ago.
            for source in &sources {
                forget_misses(store, &source.url().to_string()).map_err(CommandError::failed)?;
            }
        }
        let pulling = PullProgress::new(context.printer());
        let show = |event: PullEvent| pulling.show(&event);
        let policy = context.settings().trust.policy();
        let puller = Puller::new(store, &sources, policy, seconds_now());
        let caches = FromCaches::new(&puller, &show);
        let caches = match context.settings().caches.mode {
            CacheUse::Only => caches.exclusively(),
            CacheUse::First | CacheUse::Never => caches,
        };
        let mut builder = Builder::new(store, build_options(context, options)?);
        if !sources.is_empty() || context.settings().caches.mode == CacheUse::Only {
            builder = builder.with_caches(&caches);
        }
        let failed = |error| build_failed(error, &goals);
        let Realisations {
            goals: realised,
            lease: taken,
            ..
        } = {
            let realised = builder.realise(&goals, &events, context.cancel());
            let is_needed = matches!(&realised, Err(BuildError::OnlyCaches { .. }));
            tell_failures(context.printer(), &puller, is_needed);
            realised.map_err(failed)?
        };
        leases.push(taken);
        for (goal, one) in goals.iter().zip(&realised) {
            let fresh = matches!(one.how, Origin::Built | Origin::Fetched);
            if options.rounds > 1 && !fresh && matches!(goal.derivation.builder(), Kind::Program(_))
            {
                builder
                    .check(&goal.derivation, &events, context.cancel())
                    .map_err(failed)?;
            }
        }
        built.extend(realised.into_iter().map(|one| one.path));
    }
    let mut built = built.into_iter();
    let mut paths = Vec::new();
    for selection in selections {
        match selection {
            Selection::Output { .. } => paths.extend(built.next()),
            Selection::Image(image) => paths.extend(built.by_ref().take(image.packages.len())),
            Selection::Path(path) => {
                let lease = store.lease()?;
                if !store.hold(&lease, std::slice::from_ref(path))?.is_empty() {
                    return Err(SelectError::NotValid(path.to_logical()).into());
                }
                leases.push(lease);
                paths.push(path.clone());
            }
        }
    }
    Ok(Realised {
        paths,
        done: progress.done(),
        leases,
    })
}

/// One valid store path, kept while this lives.
#[derive(Debug)]
pub(crate) struct RealisedOne {
    path: StorePath,
    _leases: Vec<Lease>,
}

impl Deref for RealisedOne {
    type Target = StorePath;

    fn deref(&self) -> &StorePath {
        &self.path
    }
}

/// Makes the one target valid that a command is about.
pub(crate) fn realise_one(
    context: &Context,
    store: &LocalStore,
    target: &str,
) -> Result<RealisedOne, CommandError> {
    let selection = select(context, &context.evaluator(), target, Want::Objects)?;
    let realised = realise(context, store, &[selection], &RealiseOptions::default())?;
    let path = realised.paths.into_iter().next();
    Ok(RealisedOne {
        path: path.ok_or_else(|| SelectError::NotValid(target.into()))?,
        _leases: realised.leases,
    })
}

/// What a builder shall make of the selections that have recipes.
pub(crate) fn goals(selections: &[Selection]) -> Vec<Goal> {
    let goal = |output: &recipes::model::OutputRef| Goal {
        derivation: output.derivation().clone(),
        outputs: vec![output.output().to_owned()],
    };
    selections
        .iter()
        .flat_map(|selection| match selection {
            Selection::Output { output, .. } => vec![goal(output)],
            Selection::Image(image) => image.packages.iter().map(goal).collect(),
            Selection::Path(_) => Vec::new(),
        })
        .collect()
}
