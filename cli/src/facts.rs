//! What was observed of a closure, for every command that audits: from the store, and from caches where it is not there.

use pack::audit::Gathered;
use store::cache::pull::{PullError, PullEvent, Puller};
use store::{LocalStore, ObjectId, PathInfo, StorePath};

use crate::caches::{open_caches, tell_failures};
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::PullProgress;

/// Gathers what is recorded of some paths, with the facts that a cache has where this store has none.
pub(crate) fn gather(
    context: &Context,
    store: &LocalStore,
    infos: &[PathInfo],
) -> Result<Gathered, CommandError> {
    let load = || Gathered::of(store, infos).map_err(CommandError::failed);
    let gathered = load()?;
    match ensure(context, store, &gathered)? {
        0 => Ok(gathered),
        _ => load(),
    }
}

/// Fetches the objects of facts that are recorded and not in the store, and tells how many came.
///
/// They are asked for by their whole ids, so that it does not matter who has them. A cache that has none, or cannot be asked, is no error: what is missing is
/// undecided, and who judges says so.
pub(crate) fn ensure(
    context: &Context,
    store: &LocalStore,
    gathered: &Gathered,
) -> Result<usize, CommandError> {
    let mut missing: Vec<(StorePath, ObjectId)> = gathered
        .missing()
        .into_iter()
        .map(|facts| (facts.path.clone(), facts.id))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() || store.is_read_only() {
        return Ok(0);
    }
    let caches = open_caches(context)?;
    if caches.is_empty() {
        return Ok(0);
    }
    let lease = store.lease().map_err(CommandError::failed)?;
    let policy = context.settings().trust.policy();
    let puller = Puller::new(store, &caches, policy, seconds_now());
    let progress = PullProgress::new(context.printer());
    let show = |event: PullEvent| progress.show(&event);
    let pull = |wanted: &[_]| match puller.pull(wanted, &lease, &show, context.cancel()) {
        Ok(_) => Ok(wanted.len()),
        Err(PullError::Missing { .. }) => Ok(0),
        Err(error) => Err(CommandError::failed(error)),
    };
    let mut fetched = pull(&missing)?;
    if fetched == 0 {
        // Something is missing. What it is shows when each is asked for alone.
        for one in &missing {
            fetched += pull(std::slice::from_ref(one))?;
        }
    }
    tell_failures(context.printer(), &puller, false);
    Ok(fetched)
}
