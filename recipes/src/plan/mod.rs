//! From goals to steps: what there is to do, in which order it can be done, and why.
//!
//! **Invariant.** A step is named by its *resolved* digest, so it is known only once its inputs are: planning goes from the
//! sources upwards, and an input that became the same objects as last time ends the work there (early cutoff).
//!
//! * [`Graph`]: the derivations below some goals, each once, inputs first.
//! * [`Lookup`]: what each of them is known to have become.
//! * [`materials`]: the software itself, apart from the tools that make it.
//! * [`BuildPlan`]: the steps, with a reason each, without doing any of them.
//!
//! Not responsible for: doing anything. That is [`build`](crate::build).

mod graph;
mod lookup;
mod materials;
mod steps;

pub use graph::{Goal, Graph};
pub(crate) use lookup::find_valid;
pub use lookup::{Answer, Lookup, Outputs, RealisedOutput, Recalled};
pub use materials::{Material, MaterialRole, find_fetched, materials};
pub use steps::{BuildPlan, Reason, Step};

use crate::model::ResolveError;

/// Why goals cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The database cannot be read.
    #[error("cannot look for what `{name}` became")]
    Database {
        /// The derivation.
        name: String,
        /// Why.
        #[source]
        source: Box<store::DbError>,
    },
    /// Something that a derivation needs was not realised before it. Never happens for a graph that is walked in its order.
    #[error("cannot resolve `{name}`")]
    Resolve {
        /// The derivation.
        name: String,
        /// Why.
        #[source]
        source: Box<ResolveError>,
    },
    /// The graph has no such node.
    #[error("the plan has no step {node}")]
    NoSuchNode {
        /// Its number.
        node: usize,
    },
    /// A goal asks for an output that its derivation does not have.
    #[error("`{name}` has no output `{output}`")]
    UnknownOutput {
        /// The derivation.
        name: String,
        /// The output.
        output: String,
    },
}
