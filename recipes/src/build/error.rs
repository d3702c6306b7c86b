//! Why goals are not realised: which step, in which phase, and what its log said last.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sandbox::SandboxError;
use store::{AddError, ClosureError, DbError, LeaseError, StorePath, TreeError};

use super::compare::Difference;
use super::contained::ContainedError;
use super::files::FileFailure;
use super::lint::Finding;
use super::listing::ListError;
use super::program::Failure;
use super::smoke::SmokeFailure;
use super::substitute::SubstituteError;
use crate::composition::CompositionError;
use crate::facts::ObserveError;
use crate::model::{Builder, Derivation, Location, Platform};
use crate::plan::PlanError;
use crate::source::deb::DebError;
use crate::source::local::LocalError;
use crate::source::{FetchError, GlobError};

/// Why goals were not realised.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The goals cannot be planned.
    #[error(transparent)]
    Plan(Box<PlanError>),
    /// One step failed.
    #[error(transparent)]
    Step(Box<FailedStep>),
    /// Several steps failed, independently of each other.
    #[error("{} steps failed{}", .failures.len(), step_lines(.failures))]
    Several {
        /// The failures, in the order in which they happened; at least two.
        failures: Vec<FailedStep>,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
    /// What is in use cannot be protected.
    #[error("cannot protect what is in use")]
    Lease(#[from] LeaseError),
    /// Something has to be made, and the store can only be read.
    #[error("cannot make `{name}`, which is not in the store")]
    ReadOnly {
        /// The first derivation that has to be made.
        name: String,
        /// What the store says.
        #[source]
        source: Box<DbError>,
    },
    /// What was realised is gone again, several times over.
    #[error("`{path}` was deleted by a garbage collection before it could be protected")]
    Collected {
        /// What is gone.
        path: StorePath,
    },
    /// The program of a check is not one that can be run again.
    #[error("`{name}` is not made by a builder, so there is nothing to repeat")]
    NothingToRepeat {
        /// The derivation.
        name: String,
    },
    /// A file of pith's own could not be used.
    #[error(transparent)]
    File(#[from] FileFailure),
    /// What caches have cannot be taken into the store.
    #[error(transparent)]
    Substitute(SubstituteError),
    /// The closure of the results cannot be read.
    #[error("cannot read the closure of the results")]
    Closure(#[source] Box<ClosureError>),
    /// What the recipes say of the results cannot be recorded.
    #[error("cannot record what the recipes say of the results")]
    Describe(#[source] Box<AddError>),
    /// What the results are made of cannot be recorded.
    #[error(transparent)]
    Observe(Box<StepError>),
    /// Only what caches have may be used, and they do not have everything.
    #[error("no cache has {}", names_of(.names))]
    OnlyCaches {
        /// The goals that would have to be made; never empty.
        names: Vec<String>,
    },
}

/// A step that failed, with what is left of it.
#[derive(Debug)]
pub struct FailedStep {
    /// Name of the derivation.
    pub name: String,
    /// Where its recipe makes it.
    pub location: Location,
    /// Whether it was a transfer rather than a build.
    pub is_fetch: bool,
    /// Why.
    pub error: StepError,
    /// What its builder wrote, if one ran.
    pub log: Option<LogEnd>,
    /// Where its directory was kept, if that was asked for.
    pub kept: Option<PathBuf>,
}

impl FailedStep {
    pub(super) fn new(derivation: &Derivation, failure: Failure) -> Self {
        let Failure { error, log, kept } = failure;
        Self {
            name: derivation.name().to_string(),
            location: derivation.origin().clone(),
            is_fetch: matches!(derivation.builder(), Builder::Fetch(_)),
            error,
            log,
            kept,
        }
    }
}

impl fmt::Display for FailedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} `{}`",
            if self.is_fetch { "fetch" } else { "build" },
            self.name
        )
    }
}

impl std::error::Error for FailedStep {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The end of a builder's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// Where all of it is.
    pub path: PathBuf,
    /// The last lines, at most [`TAIL_LINES`](super::TAIL_LINES).
    pub tail: Vec<String>,
    /// The phase that the builder was in.
    pub phase: Option<String>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The builder is for another machine.
    #[error("it is built on {needed} only, and this machine is {machine}")]
    OtherMachine {
        /// The platform of the derivation.
        needed: Platform,
        /// What this machine is.
        machine: String,
    },
    /// The builder did not succeed.
    #[error(transparent)]
    Builder(BuilderFailure),
    /// The sandbox could not be made.
    #[error("cannot make the sandbox")]
    Sandbox(#[source] Box<SandboxError>),
    /// A file could not be fetched.
    #[error(transparent)]
    Fetch(Box<FetchError>),
    /// Packages could not be composed.
    #[error(transparent)]
    Compose(Box<CompositionError>),
    /// Packages could not be unpacked.
    #[error(transparent)]
    Unpack(Box<DebError>),
    /// A pattern of the recipe is none.
    #[error(transparent)]
    Pattern(#[from] GlobError),
    /// Files of a project cannot be read.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Files of the collection cannot be a tree.
    #[error("the files of the recipe cannot be stored")]
    Tree(#[from] TreeError),
    /// An output is missing or cannot be taken into the store.
    #[error("output `{output}` cannot be taken into the store")]
    Output {
        /// The output.
        output: String,
        /// Why.
        #[source]
        source: ListError,
    },
    /// The builder wrote something into the store directory that is not one of its outputs.
    #[error("the builder wrote outside of its outputs: `{path}`")]
    WroteOutside {
        /// The first such path, as the builder saw it.
        path: String,
    },
    /// Outputs ask for what is not in the store.
    #[error("the outputs need what is not in the store{}", finding_lines(.findings))]
    Lint {
        /// Everything that was found, sorted; never empty.
        findings: Vec<Finding>,
    },
    /// What was built does not work where only its closure exists.
    #[error("{_0}")]
    Smoke(Box<SmokeFailure>),
    /// What the builder says about its components cannot be used.
    #[error("cannot record the components that the builder names")]
    Contained(#[from] ContainedError),
    /// What the outputs are made of cannot be recorded.
    #[error("cannot record what the outputs are made of")]
    Observe(#[source] Box<ObserveError>),
    /// Two builds of the same thing differ.
    #[error("build {round} of the same inputs has another result than the first{}", difference_lines(.differences))]
    NotReproducible {
        /// Which of the builds, from 2; 1 is the first or the one that is registered.
        round: u32,
        /// Where they differ, at most 50 per output; never empty.
        differences: Vec<Difference>,
    },
    /// The store did not take the outputs.
    #[error("cannot add the outputs to the store")]
    Add(#[source] Box<AddError>),
    /// The closure of the inputs is not complete.
    #[error("the inputs are not complete")]
    Closure(#[source] Box<ClosureError>),
    /// What is in use cannot be protected.
    #[error("cannot protect what is in use")]
    Lease(#[source] LeaseError),
    /// What it needs was found valid, and is gone again.
    #[error(
        "`{path}`, which it needs, was deleted by a garbage collection before it could be protected"
    )]
    Collected {
        /// What is gone.
        path: StorePath,
    },
    /// What caches have cannot be taken into the store.
    #[error(transparent)]
    Substitute(SubstituteError),
    /// What it became cannot be looked up.
    #[error(transparent)]
    Plan(Box<PlanError>),
    /// A file of pith's own could not be used.
    #[error(transparent)]
    File(#[from] FileFailure),
    /// The user stopped it, or another step failed.
    #[error("interrupted")]
    Interrupted,
}

/// How a builder failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderFailure {
    /// What ended it.
    pub end: BuilderEnd,
    /// The phase that it was in, if it said so.
    pub phase: Option<String>,
}

impl fmt::Display for BuilderFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.end)?;
        match &self.phase {
            Some(phase) => write!(f, " in phase `{phase}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BuilderFailure {}

/// What ended a builder that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuilderEnd {
    /// It returned this status.
    Exited(i32),
    /// It was killed by this signal.
    Signaled(i32),
    /// It ran too long.
    TimedOut(Duration),
    /// It wrote nothing for too long.
    Silent(Duration),
    /// It wrote too much to its log.
    LogLimit(u64),
    /// It wrote too much to the disk.
    DiskLimit(u64),
}

impl fmt::Display for BuilderEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "the builder exited with status {status}"),
            Self::Signaled(signal) => write!(f, "the builder was killed by signal {signal}"),
            Self::TimedOut(limit) => write!(
                f,
                "the builder was stopped after its time limit of {} s",
                limit.as_secs_f64()
            ),
            Self::Silent(limit) => write!(
                f,
                "the builder was stopped after writing nothing for {} s",
                limit.as_secs_f64()
            ),
            Self::LogLimit(limit) => write!(
                f,
                "the builder was stopped after writing {limit} bytes to its log"
            ),
            Self::DiskLimit(limit) => write!(
                f,
                "the builder was stopped after filling its {limit} bytes of disk"
            ),
        }
    }
}

/// The kinds of failure that a caller treats differently, such as by an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A builder failed, or its outputs were refused.
    Build,
    /// Fetched bytes were not what the recipe promises.
    WrongDigest,
    /// A build could not be repeated.
    NotReproducible,
    /// The user stopped it.
    Interrupted,
    /// Anything else: network, disk, database.
    Other,
}

impl From<SubstituteError> for BuildError {
    fn from(error: SubstituteError) -> Self {
        match error {
            SubstituteError::Interrupted => Self::Interrupted,
            error => Self::Substitute(error),
        }
    }
}

impl From<SubstituteError> for StepError {
    fn from(error: SubstituteError) -> Self {
        match error {
            SubstituteError::Interrupted => Self::Interrupted,
            error => Self::Substitute(error),
        }
    }
}

impl BuildError {
    /// Returns the kind of the failure, of the first one where there are several.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Step(step) => step.error.kind(),
            Self::Several { failures } => failures
                .first()
                .map_or(FailureKind::Other, |step| step.error.kind()),
            Self::Interrupted => FailureKind::Interrupted,
            Self::Plan(_)
            | Self::Lease(_)
            | Self::ReadOnly { .. }
            | Self::Collected { .. }
            | Self::NothingToRepeat { .. }
            | Self::File(_)
            | Self::Substitute(_)
            | Self::Closure(_)
            | Self::Describe(_)
            | Self::Observe(_)
            | Self::OnlyCaches { .. } => FailureKind::Other,
        }
    }

    /// Tells whether it failed only because a garbage collection was faster, so that trying again is worth it.
    pub(super) fn is_collected(&self) -> bool {
        let steps = self.failed_steps();
        let is_collected = |step: &FailedStep| matches!(step.error, StepError::Collected { .. });
        matches!(self, Self::Collected { .. })
            || (!steps.is_empty() && steps.iter().all(is_collected))
    }

    /// Returns the steps that failed, in the order in which they did.
    pub fn failed_steps(&self) -> &[FailedStep] {
        match self {
            Self::Step(step) => std::slice::from_ref(&**step),
            Self::Several { failures } => failures,
            _ => &[],
        }
    }
}

impl From<ClosureError> for BuildError {
    fn from(error: ClosureError) -> Self {
        Self::Closure(Box::new(error))
    }
}

impl From<AddError> for BuildError {
    fn from(error: AddError) -> Self {
        Self::Describe(Box::new(error))
    }
}

impl From<PlanError> for BuildError {
    fn from(error: PlanError) -> Self {
        Self::Plan(Box::new(error))
    }
}

impl From<FetchError> for StepError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Box::new(error))
    }
}

impl From<CompositionError> for StepError {
    fn from(error: CompositionError) -> Self {
        Self::Compose(Box::new(error))
    }
}

impl From<DebError> for StepError {
    fn from(error: DebError) -> Self {
        Self::Unpack(Box::new(error))
    }
}

impl From<PlanError> for StepError {
    fn from(error: PlanError) -> Self {
        Self::Plan(Box::new(error))
    }
}

impl From<ClosureError> for StepError {
    fn from(error: ClosureError) -> Self {
        Self::Closure(Box::new(error))
    }
}

impl From<SandboxError> for StepError {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(Box::new(error))
    }
}

impl From<ObserveError> for StepError {
    fn from(error: ObserveError) -> Self {
        Self::Observe(Box::new(error))
    }
}

impl From<AddError> for StepError {
    fn from(error: AddError) -> Self {
        Self::Add(Box::new(error))
    }
}

impl StepError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Builder(_)
            | Self::Output { .. }
            | Self::WroteOutside { .. }
            | Self::Lint { .. }
            | Self::Contained(_)
            | Self::Smoke(_) => FailureKind::Build,
            Self::Unpack(_) | Self::Pattern(_) => FailureKind::Build,
            Self::Add(error) => match **error {
                AddError::File(_)
                | AddError::Db(_)
                | AddError::Group { .. }
                | AddError::Lease(_)
                | AddError::NoSpace { .. } => FailureKind::Other,
                _ => FailureKind::Build,
            },
            Self::Fetch(error) => match **error {
                FetchError::WrongDigest(_) => FailureKind::WrongDigest,
                FetchError::Cancelled { .. } => FailureKind::Interrupted,
                _ => FailureKind::Other,
            },
            Self::Interrupted => FailureKind::Interrupted,
            Self::NotReproducible { .. } => FailureKind::NotReproducible,
            _ => FailureKind::Other,
        }
    }

    pub(super) fn is_interruption(&self) -> bool {
        self.kind() == FailureKind::Interrupted
            || matches!(self, Self::Unpack(error) if matches!(**error, DebError::Cancelled))
    }
}

/// How many names an error lists.
const MAX_NAMES: usize = 8;

fn names_of(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(MAX_NAMES)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn step_lines(failures: &[FailedStep]) -> String {
    failures
        .iter()
        .map(|step| format!("\n  {step}: {}", step.error))
        .collect()
}

fn finding_lines(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| format!("\n  {finding}"))
        .collect()
}

fn difference_lines(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(|difference| format!("\n  {difference}"))
        .collect()
}
