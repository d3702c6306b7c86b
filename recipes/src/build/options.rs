//! What a caller decides about building.

use std::path::PathBuf;
use std::time::Duration;

use sandbox::Level;

use super::environment::BuildLimits;
use super::scheduler::OnFailure;
use crate::source::{FetchOptions, MirrorTable};

/// How goals are realised. Nothing of this changes a result.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// A program whose `main` begins with [`sandbox::helper_main_if_requested`]; started when the first sandbox is needed.
    pub helper: PathBuf,
    /// Builders that run at once.
    pub jobs: usize,
    /// Processors that each of them is told to use.
    pub cores: usize,
    /// Transfers that run at once.
    pub transfers: usize,
    /// How often each program is run; the results must be equal.
    pub rounds: u32,
    /// Whether the directory of a failed build stays for a look at it.
    pub keep_failed: bool,
    /// What a failure means for steps that do not need the failed one.
    pub on_failure: OnFailure,
    /// Overrides the time limit of every derivation.
    pub timeout: Option<Duration>,
    /// Bounds for builders whose derivation has none.
    pub limits: BuildLimits,
    /// The weakest sandbox that is acceptable.
    pub weakest_level: Level,
    /// How files are fetched.
    pub fetch: FetchOptions,
    /// Where `mirror:` addresses lead.
    pub mirrors: MirrorTable,
    /// Returns the time in seconds since 1970. Recorded with realisations and used for nothing else.
    pub clock: fn() -> u64,
}

impl BuildOptions {
    /// Returns options for one job on one processor, without mirrors.
    pub fn new(helper: PathBuf, clock: fn() -> u64) -> Self {
        Self {
            helper,
            jobs: 1,
            cores: 1,
            transfers: 8,
            rounds: 1,
            keep_failed: false,
            on_failure: OnFailure::Stop,
            timeout: None,
            limits: BuildLimits::default(),
            weakest_level: Level::Full,
            fetch: FetchOptions::default(),
            mirrors: MirrorTable::new(),
            clock,
        }
    }
}
