//! Progress of a plan, told to whoever watches.
//!
//! Events are for showing only: nothing depends on somebody listening, and no result is carried by an event alone. They
//! come from several threads at once, so a listener is `&(dyn Fn(Event) + Sync)` and should return quickly.

use std::time::Duration;

use store::StorePath;

/// The number of a step inside one plan; the same in every event about that step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// Something that happened while goals were realised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The graph below the goals is known.
    Planned {
        /// Number of derivations, goals included.
        steps: usize,
    },
    /// A step needs no work: its result was valid already.
    Valid {
        /// Which step.
        step: StepId,
        /// Name of its derivation.
        name: String,
    },
    /// A step needs no work: its result came from a cache.
    Substituted {
        /// Which step.
        step: StepId,
        /// Name of its derivation.
        name: String,
    },
    /// Another process works on the same thing; this one waits for it.
    Waiting {
        /// Which step.
        step: StepId,
        /// Name of its derivation.
        name: String,
    },
    /// A transfer begins. Sent again for every further address that is tried.
    FetchStarted {
        /// Which step.
        step: StepId,
        /// Name of the file.
        name: String,
        /// The address, without credentials.
        url: String,
        /// Bytes that an earlier run already has.
        resumed_bytes: u64,
    },
    /// More bytes of a transfer have come.
    FetchProgress {
        /// Which step.
        step: StepId,
        /// Bytes on disk, resumed ones included.
        received_bytes: u64,
        /// Size of the whole file, where the server says.
        total_bytes: Option<u64>,
    },
    /// An address failed in a way that may pass; it is tried again after a pause.
    FetchRetry {
        /// Which step.
        step: StepId,
        /// The address, without credentials.
        url: String,
        /// Why it failed.
        reason: String,
        /// How long until the next try.
        pause: Duration,
    },
    /// An address was given up; the next one, if any, is tried.
    FetchGaveUp {
        /// Which step.
        step: StepId,
        /// The address, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// A builder starts.
    BuildStarted {
        /// Which step.
        step: StepId,
        /// Name of its derivation.
        name: String,
        /// Which of the rounds, from 1.
        round: u32,
    },
    /// The builder entered a phase.
    Phase {
        /// Which step.
        step: StepId,
        /// Name of the phase, as the builder gave it.
        phase: String,
    },
    /// The builder wrote a line; without its line end, invalid UTF-8 replaced.
    LogLine {
        /// Which step.
        step: StepId,
        /// The line.
        line: String,
    },
    /// A step is done and its outputs are valid.
    Finished {
        /// Which step.
        step: StepId,
        /// Name of its derivation.
        name: String,
        /// What it did.
        work: Work,
        /// Store paths of its outputs, in the derivation's order.
        paths: Vec<StorePath>,
        /// How long it took.
        duration: Duration,
    },
    /// A step failed; the error is in the result of the whole call.
    Failed {
        /// Which step.
        step: StepId,
        /// Name of its derivation.
        name: String,
    },
    /// A step is not tried because one that it needs failed, or everything stops.
    Cancelled {
        /// Which step.
        step: StepId,
        /// Name of its derivation.
        name: String,
    },
}

/// What a step had to do for its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// A file was transferred.
    Fetched,
    /// A builder ran, or pith composed the object itself.
    Built,
    /// Files of a recipe or a project were taken into the store as they are.
    Added,
    /// Another process had finished the same work when its lock was free.
    Shared,
    /// It came from a cache.
    Substituted,
}
