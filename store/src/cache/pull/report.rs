//! What a pull tells its caller.

use std::fmt;

use super::CacheError;
use crate::{Realisation, ResolvedDigest, StorePath, trust::Reason};

/// What a derivation was built to, as the policy believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRealisation {
    /// What was built.
    pub resolved: ResolvedDigest,
    /// To what. Its path may be pulled by its id without further signatures.
    pub realisation: Realisation,
}

/// Something that happens during a pull. Told from several threads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullEvent {
    /// What there is to do is known.
    Planned {
        /// Objects that are missing.
        objects: usize,
        /// Bytes of their files.
        bytes: u64,
        /// Bytes that have to come from caches, compressed. Grows when a cache fails and another one has it differently.
        fetch_bytes: u64,
    },
    /// Bytes of frames came, from a cache or from an earlier pull that was interrupted.
    Fetched {
        /// How many, compressed.
        bytes: u64,
    },
    /// An object is complete; it is valid soon.
    Complete {
        /// Which.
        path: StorePath,
    },
    /// Objects have become valid.
    Valid {
        /// How many.
        objects: usize,
    },
    /// A cache did not do what it was asked; others are asked instead.
    CacheFailed(CacheAnswer),
}

/// What one cache answered about one thing.
#[derive(Debug, Clone)]
pub struct CacheAnswer {
    /// The cache's address, without credentials.
    pub cache: String,
    /// What was asked for: a store path, a resolved digest, a plan.
    pub subject: String,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a question.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The cache has it, and it can be used.
    Usable,
    /// It cannot be used.
    Failed(CacheError),
}

impl PartialEq for CacheAnswer {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for CacheAnswer {}

impl fmt::Display for CacheAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Answer::Usable => write!(f, "`{}` has {}", self.cache, self.subject),
            Answer::Failed(error) => write!(f, "`{}`: {error}", self.cache),
        }
    }
}

/// An object that arrived without saying where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutComponent {
    /// The object.
    pub path: StorePath,
    /// Why what the cache says of it is not believed.
    pub reasons: Vec<Reason>,
}

/// What a pull did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Objects that became valid, references first.
    pub objects: Vec<StorePath>,
    /// Bytes of their files.
    pub bytes: u64,
    /// Bytes of their files that were taken from the local store.
    pub local_bytes: u64,
    /// Compressed bytes of frames that came from caches.
    pub fetched_bytes: u64,
    /// Compressed bytes of frames that an earlier pull had fetched.
    pub resumed_bytes: u64,
    /// Objects whose component was not believed.
    pub without_component: Vec<WithoutComponent>,
    /// What caches failed at, although the pull succeeded.
    pub failures: Vec<CacheAnswer>,
}

/// Prints one line for each cache below a message.
pub(super) fn list_answers(answers: &[CacheAnswer]) -> String {
    answers
        .iter()
        .map(|answer| format!("\n  {answer}"))
        .collect()
}

/// Prints reasons in one line.
pub(super) fn list_reasons(reasons: &[Reason]) -> String {
    let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
