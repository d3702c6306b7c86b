//! What is to be pushed, what happens meanwhile, and what it came to.

use std::path::PathBuf;

use crate::{PlanDigest, Realisation, ResolvedDigest, StorePath};

/// What is to be pushed. Closures are computed; the [facts](crate::facts) of what they have go along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushRequest {
    /// Paths whose closures are pushed, each with a bundle, so that it can be taken with one question.
    pub targets: Vec<StorePath>,
    /// Paths whose closures are pushed as well.
    pub others: Vec<StorePath>,
    /// What the derivations below plans were built to.
    pub hints: Vec<PlannedHint>,
    /// Logs of builds. Those of realisations that go along are pushed too.
    pub logs: Vec<BuildLog>,
}

/// What the derivations below a plan were built to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedHint {
    /// The plan.
    pub plan: PlanDigest,
    /// One for each output of each derivation, dependencies first. Their objects need not be pushed.
    pub realisations: Vec<Realisation>,
}

/// The log of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildLog {
    /// What was built.
    pub resolved: ResolvedDigest,
    /// Where its log lies, compressed with zstd. It may be absent.
    pub path: PathBuf,
}

/// What a push does. Told of from several threads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushEvent {
    /// It is known what the cache lacks.
    Surveyed {
        /// Objects of all closures.
        objects: usize,
        /// How many of them the cache lacks.
        missing: usize,
        /// The sum of the sizes of those.
        missing_bytes: u64,
        /// How many bytes of those are in files of other objects in the cache.
        reused_bytes: u64,
    },
    /// Bytes of files were read, compressed and are on their way.
    Read {
        /// How many.
        bytes: u64,
    },
    /// A pack is in the cache.
    Pack {
        /// Its size.
        bytes: u64,
        /// Whether it was there already.
        was_there: bool,
    },
    /// An object is in the cache, with all that it refers to.
    Object {
        /// Its path.
        path: StorePath,
    },
}

/// What a push came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PushReport {
    /// Objects of all closures.
    pub objects: usize,
    /// The sum of their sizes.
    pub size_bytes: u64,
    /// How many objects were new to the cache.
    pub new_objects: usize,
    /// The sum of the sizes of those.
    pub new_bytes: u64,
    /// How many bytes of the new objects were in files of other objects in the cache.
    pub reused_bytes: u64,
    /// Packs that were sent.
    pub packs: u64,
    /// Bytes of everything that was sent.
    pub sent_bytes: u64,
    /// Records of objects to which signatures were added.
    pub signed: usize,
    /// Lists of realisations that were written.
    pub realisations: usize,
}
