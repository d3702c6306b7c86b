//! Binary caches as a place to have objects from.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use store::cache::pull::{PullError, PullEvent, Puller};
use store::{Lease, ObjectId, PlanDigest, Realisation, ResolvedDigest, StorePath};

use super::substitute::{SubstituteError, Substituter};

/// Questions that are under way at once: they wait for the network and cost nothing else.
const QUESTIONS: usize = 16;

/// Takes from caches what the policy of a [`Puller`] believes.
pub struct FromCaches<'a> {
    puller: &'a Puller<'a>,
    exclusive: bool,
    events: &'a (dyn Fn(PullEvent) + Sync),
}

impl fmt::Debug for FromCaches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromCaches")
            .field("puller", &self.puller)
            .field("exclusive", &self.exclusive)
            .finish_non_exhaustive()
    }
}

impl<'a> FromCaches<'a> {
    /// Takes the caches of a puller. `events` is called from several threads.
    pub fn new(puller: &'a Puller<'a>, events: &'a (dyn Fn(PullEvent) + Sync)) -> Self {
        Self {
            puller,
            exclusive: false,
            events,
        }
    }

    /// Forbids to build, or to fetch from elsewhere, what they do not have.
    #[must_use]
    pub fn exclusively(mut self) -> Self {
        self.exclusive = true;
        self
    }
}

impl Substituter for FromCaches<'_> {
    fn find_plans(
        &self,
        plans: &[PlanDigest],
    ) -> Result<Vec<Option<Vec<Realisation>>>, SubstituteError> {
        let found = in_parallel(plans, |plan| self.puller.find_plan(plan))?;
        let entries = found.into_iter().map(|found| {
            let entries: Vec<_> = found.into_iter().map(|one| one.realisation).collect();
            (!entries.is_empty()).then_some(entries)
        });
        Ok(entries.collect())
    }

    fn find(&self, resolved: &[ResolvedDigest]) -> Result<Vec<Vec<Realisation>>, SubstituteError> {
        let found = in_parallel(resolved, |resolved| self.puller.find_realisations(resolved))?;
        let entries = found.into_iter();
        Ok(entries
            .map(|found| found.into_iter().map(|one| one.realisation).collect())
            .collect())
    }

    fn pull(
        &self,
        wanted: &[(StorePath, ObjectId)],
        lease: &Lease,
        cancel: &AtomicBool,
    ) -> Result<Vec<ObjectId>, SubstituteError> {
        let pull = |wanted: &[_]| match self.puller.pull(wanted, lease, self.events, cancel) {
            Ok(_) => Ok(true),
            Err(PullError::Missing { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        };
        if pull(wanted)? {
            return Ok(Vec::new());
        }
        // Something is missing. What it is shows when each is asked for alone; what came already is valid.
        let mut absent = Vec::new();
        for one in wanted {
            if wanted.len() == 1 || !pull(std::slice::from_ref(one))? {
                absent.push(one.1);
            }
        }
        Ok(absent)
    }

    fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}

fn failed(error: PullError) -> SubstituteError {
    match error {
        PullError::Interrupted => SubstituteError::Interrupted,
        error => SubstituteError::Store(Box::new(error)),
    }
}

/// Asks about each of `items` and returns the answers in their order.
fn in_parallel<T: Sync, A: Send>(
    items: &[T],
    ask: impl Fn(&T) -> Result<A, PullError> + Sync,
) -> Result<Vec<A>, SubstituteError> {
    if let [only] = items {
        return Ok(vec![ask(only).map_err(failed)?]);
    }
    let next = AtomicUsize::new(0);
    let answers: Vec<(usize, Result<A, PullError>)> = thread::scope(|scope| {
        let work = || {
            let mut answers = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(place) else {
                    return answers;
                };
                answers.push((place, ask(item)));
            }
        };
        let threads: Vec<_> = (0..QUESTIONS.min(items.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .flat_map(|answers| answers.expect("asking does not panic"))
            .collect()
    });
    let mut sorted = answers;
    sorted.sort_unstable_by_key(|(place, _)| *place);
    sorted
        .into_iter()
        .map(|(_, answer)| answer.map_err(failed))
        .collect()
}
