//! What nobody needs any more out of a cache.
//!
//! Invariant: **whoever meets a name in the cache finds all that it leads to**, while files go, whoever dies when, and whoever pushes meanwhile; and no push that has succeeded lacks a file
//! that it found there and relied on. Readers are asked nothing and wait for nothing.
//!
//! Objects stay that are named by the caller or pinned in the cache (`gc/pins`), that were written or claimed a short time ago, and the closures of all these; an object of [facts](crate::facts) belongs to the closure of the object whose facts it has. With them stay their manifests,
//! bundles, realisations and hints, and the packs that those manifests lead to. The rest goes in two steps, each of them mostly a command of its own:
//!
//! 1. **Mark.** What has nothing to stay for, and has been there for a grace period, is written into `gc/condemned`. Nothing is removed.
//! 2. **Sweep**, when the list is a grace period old. The list is written again, saying that removing has begun; *then* all claims (`gc/claim-…`) are read, and what is there is looked at
//!    anew; then everything goes that is on the list, not claimed, not written since, and that nothing leads to which stays. At last the list goes.
//!
//! A **push** relies on files that it finds: on records, so that it need not send objects, and on packs that have its blobs already. It reads the list before it looks at anything else, and
//! passes a *gate* before it writes manifests, records or bundles that lead to what it relies on. At the gate it reads the list again, unless there was none in the last ten minutes. What of it the push relies on, it writes into a claim, and
//! reads the list once more; only if that is the one that it knew, and nobody had begun to remove, does it go on. Else it begins anew, when the removing is over.
//!
//! Why that suffices, for a file *F* that a push relies on when it writes a name that leads there:
//!
//! * *F is on no list at the gate.* Then it goes a grace period after that was seen at the earliest, when the push has written the name and *F* is found again; the push is that slow between a
//!   gate and the writing behind it at most if its machine sleeps. That *F* went between the moment it was found and the gate is excluded too: the push has read the list before, there was
//!   none, and a whole grace period did not pass; or there was one, and then it would not be the same.
//! * *F is on a list at the gate.* The push writes its claim, then reads that nobody removes. A collector writes that it removes, then reads the claims. Whichever of the two writes came
//!   second, its writer sees the other's: either the collector leaves *F* alone, or the push begins anew. This needs a cache where what one has written is what all read from then on, lists
//!   included: directories are such, and S3.
//! * *F is new*, written by the push itself: then it is on no list, and is put on none for a grace period.
//!
//! Claims stay when the push is over, and count as use of what they name. So what somebody has just pushed again in vain is kept as if he had sent it.
//!
//! Within a sweep files go in the reverse order of a push: hints, realisations, logs and bundles; records, those that refer before what they refer to; manifests; packs. Each step is durable
//! before the next. A collector that dies leaves a list that says that removing has begun, and the next one goes on. In a directory a lock tells pushes that it is dead; elsewhere they believe it
//! after [three quarters of an hour](is_given_up), and no collector removes for longer than a quarter of one. Two collectors keep each other out by the lock, or by files `gc/collector-…` of which each
//! writes its own before it looks for others'.
//!
//! **Repacking**: live frames of packs that are mostly dead are copied into new packs, then the manifests and bundles are written that lead there, and the old packs are condemned like
//! everything else. Who still has an old manifest in his hands finds them for a grace period more.
//!
//! Not responsible for stores: what is in one says nothing about what has to be in a cache.

mod collector;
mod inventory;
mod pins;
mod plan;
mod repack;
mod request;
mod sweep;
mod turn;

pub use self::{
    collector::Collector,
    pins::{change_pins, read_pins},
    request::{Amount, CollectReport, CollectRequest},
    turn::is_given_up,
};

use super::{format::FormatError, source::SourceError};

/// Why a cache is not collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Files of this cache cannot be listed, or nobody could be kept from relying on them.
    #[error("the cache `{cache}` cannot be collected: {reason}")]
    Unsupported {
        /// Its address.
        cache: String,
        /// Why.
        reason: &'static str,
    },
    /// There is no cache.
    #[error("there is no cache at `{cache}`")]
    Absent {
        /// The address.
        cache: String,
    },
    /// Everything would go.
    #[error("nothing says what stays in `{cache}`")]
    NothingStays {
        /// Its address.
        cache: String,
    },
    /// Somebody else collects it.
    #[error("the cache `{cache}` is being collected by somebody else")]
    AtWork {
        /// Its address.
        cache: String,
    },
    /// A file that has to stay cannot be read, so that nobody knows what it needs.
    #[error("`{file}` has to stay, but it is damaged")]
    Damaged {
        /// The file's address.
        file: String,
    },
    /// The cache did not do what it was asked.
    #[error(transparent)]
    Cache(#[from] SourceError),
    /// A file of the cache is of another version or store directory, or cannot be written.
    #[error("`{file}` cannot be used")]
    Format {
        /// The file's address.
        file: String,
        /// Why.
        #[source]
        source: FormatError,
    },
    /// No random number could be had.
    #[error("no name can be drawn for a file")]
    Draw(#[source] std::io::Error),
    /// Others keep changing the pins.
    #[error("others keep changing `{file}`")]
    Contended {
        /// The file's address.
        file: String,
    },
    /// There was more to remove than may be removed at once; what is left goes with the next collection.
    #[error("the cache `{cache}` took too long to remove everything; the next collection goes on")]
    TooLong {
        /// Its address.
        cache: String,
    },
    /// The caller wants no more.
    #[error("the collection was interrupted")]
    Interrupted,
}
