//! From derivations to valid store objects: who builds what when, in which surroundings, and what is accepted.
//!
//! **Invariant.** An output is registered only when its builder succeeded, all of its processes were dead before anything
//! was read, every declared output is there and nothing else, and the lint found nothing. Whatever fails or is killed in
//! between leaves no realisation, and at most a directory that the next command removes; a package that fails its smoke commands also
//! leaves objects that nothing refers to, for the next collection.
//!
//! * [`Builder`]: the public door. [`Builder::realise`] walks a plan with a [`scheduler`] and a thread for each step.
//! * Inside, one step goes: lock the resolved digest → look again → fetch, unpack, read files, or run the program in its
//!   sandbox → check → add to the store → smoke commands → realisation.
//!
//! Not responsible for: what a derivation is ([`model`](crate::model)), what has to be done ([`plan`](crate::plan)), the
//! sandbox itself (crate `sandbox`) or how objects become valid (crate `store`).

mod built;
mod compare;
mod component;
mod contained;
mod debian;
mod environment;
mod error;
mod files;
mod from_caches;
mod given;
mod kept;
mod lint;
mod listing;
mod local_files;
mod lock;
mod log;
mod observed;
mod options;
mod perform;
mod private;
mod program;
mod prospect;
mod realise;
mod recorded;
mod register;
pub mod scheduler;
mod smoke;
mod space;
mod substitute;
mod workers;

pub use built::Built;
pub use compare::{Difference, How};
pub use contained::ContainedError;
pub use environment::BuildLimits;
pub use error::{
    BuildError, BuilderEnd, BuilderFailure, FailedStep, FailureKind, LogEnd, StepError,
};
pub use files::FileFailure;
pub use from_caches::FromCaches;
pub use given::Given;
pub use kept::{FailedDirectory, find_failed};
pub use lint::{Finding, Problem};
pub use listing::ListError;
pub use log::{Line, TAIL_LINES, log_path, read_log};
pub use options::BuildOptions;
pub use realise::{Builder, Counts, Origin, Realisations, Realised};
pub use recorded::{Plans, Recorded};
pub use smoke::{SmokeEnd, SmokeFailure};
pub use substitute::{SubstituteError, Substituter};
