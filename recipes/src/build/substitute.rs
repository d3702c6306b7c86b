//! Objects from elsewhere in the place of making them.

use std::fmt;
use std::sync::atomic::AtomicBool;

use crate::model::Derivation;
use store::{Lease, ObjectId, PlanDigest, Realisation, ResolvedDigest, StorePath};

/// Knows what others have built, and has the objects.
///
/// What it tells is believed: whoever implements it has checked signatures against the policy of the user. A source that cannot be asked is as good as one that
/// knows nothing; saying so to the user is the implementation's task. Errors are for what fails on this machine.
pub trait Substituter: Sync + fmt::Debug {
    /// Returns what the steps below each plan were built to, as far as somebody has put that down for the plan as a whole; in the order of `plans`.
    ///
    /// `None` where nobody has. What is returned is compared step by step with what is wanted, so it may be incomplete or out of date.
    fn find_plans(
        &self,
        plans: &[PlanDigest],
    ) -> Result<Vec<Option<Vec<Realisation>>>, SubstituteError>;

    /// Returns what each derivation was built to, in the order of `resolved`; empty where nobody has built it.
    fn find(&self, resolved: &[ResolvedDigest]) -> Result<Vec<Vec<Realisation>>, SubstituteError>;

    /// Makes objects valid, with everything that they refer to, and returns those that nobody has.
    ///
    /// What is valid already is not transferred. `lease` protects everything that came from then on. Stops soon after `cancel` is set; what came stays.
    ///
    /// # Errors
    /// When the store cannot take them, or on cancellation. A source that fails is no error.
    fn pull(
        &self,
        wanted: &[(StorePath, ObjectId)],
        lease: &Lease,
        cancel: &AtomicBool,
    ) -> Result<Vec<ObjectId>, SubstituteError>;

    /// Whether nothing may be built or transferred from elsewhere.
    fn is_exclusive(&self) -> bool;
}

/// Why objects could not be had, for a reason that lies on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SubstituteError {
    /// Somebody set `cancel`.
    #[error("interrupted")]
    Interrupted,
    /// The store does not take them.
    #[error("cannot take objects from caches into the store")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Returns one answer for each output of a derivation, in its order; `None` if one is missing.
///
/// Of several that are trusted the first is taken: the choice must be the same each time.
pub(super) fn choose(
    derivation: &Derivation,
    key: &ResolvedDigest,
    answers: impl Iterator<Item = Realisation>,
) -> Option<Vec<Realisation>> {
    let answers: Vec<Realisation> = answers.collect();
    let outputs = derivation.outputs().iter().map(|output| {
        let fits = |answer: &&Realisation| {
            answer.resolved == *key
                && answer.output == output.name()
                && answer.path
                    == StorePath::new(answer.object.path_digest(), output.store_name().clone())
        };
        answers.iter().find(fits).cloned()
    });
    outputs.collect()
}
