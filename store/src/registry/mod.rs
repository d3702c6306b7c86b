//! OCI registries: who asks, blobs, manifests. OCI distribution-spec 1.1.
//!
//! [`Repository`] is one repository of a registry, used by any number of threads at once. The binary cache keeps files in one; images are pushed to one and
//! read from one.
//!
//! **Invariant.** Nothing a registry says is believed that can be checked: digests that it names are compared with those of the bytes, and how far an upload
//! has come is asked for before it goes on. Credentials go to the registry's own server and to where it says one logs in, and over an encrypted connection
//! unless that was waived. No wait is without a limit.
//!
//! Not responsible for: what blobs and manifests mean, and which of them belong together.

mod answer;
mod blobs;
mod digest;
mod error;
mod login;
mod manifests;
mod options;
mod read;
mod referrers;
mod repository;
mod retry;
mod upload;

use std::time::Duration;

use crate::net::NetError;

pub use blobs::Begun;
pub(crate) use digest::sha256;
pub(crate) use login::Scope;
pub use options::{RegistryOptions, RegistryProfile};
pub use read::{BlobReader, FetchedManifest};
pub use referrers::ReferrersList;
pub use repository::{Repository, is_on_this_machine};
pub use upload::Upload;

/// Why a registry did not do what it was asked. `what` is the image or the file that it was about, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry does not have it.
    #[error("`{what}` is not in the registry")]
    Absent {
        /// What was asked for.
        what: String,
    },
    /// The registry wants to know who asks (401).
    #[error("`{what}` is denied: the registry wants credentials{}", scheme.as_ref().map_or_else(String::new, |scheme| format!(" ({scheme})")))]
    LogIn {
        /// What was asked for.
        what: String,
        /// How one says so, as the registry names it: `Bearer`, `Basic` ….
        scheme: Option<String>,
    },
    /// The registry does not let this user do that (403).
    #[error("`{what}` is denied: {}", message.as_deref().unwrap_or("the registry does not allow it"))]
    Forbidden {
        /// What was asked for.
        what: String,
        /// What the registry says about it.
        message: Option<String>,
    },
    /// The registry takes nothing that large (413).
    #[error("the registry of `{what}` takes nothing that large (413)")]
    TooLarge {
        /// What was sent.
        what: String,
    },
    /// The registry wants to be asked later.
    #[error("the registry of `{what}` is busy ({code})")]
    Busy {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        code: u16,
        /// When, if it told.
        retry_after: Option<Duration>,
    },
    /// There was no answer, or only the beginning of one.
    #[error("cannot reach the registry of `{what}`")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// Why.
        #[source]
        source: NetError,
    },
    /// The registry answered with a status that says nothing of the above.
    #[error("the registry of `{what}` answered {code}{}", message.as_ref().map_or_else(String::new, |message| format!(": {message}")))]
    Refused {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        code: u16,
        /// What the registry says about it.
        message: Option<String>,
    },
    /// The answer is none to the question.
    #[error("the answer of the registry of `{what}` {problem}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What the registry has, or says it has, is something else.
    #[error(
        "the registry of `{what}` has something else\n  expected: {expected}\n  found:    {found}"
    )]
    Digest {
        /// What was sent or asked for.
        what: String,
        /// The digest of what was sent or asked for.
        expected: String,
        /// The digest that the registry names, or that of what came.
        found: String,
    },
    /// The registry has forgotten a part of an upload, which has to begin again.
    #[error("the registry of `{what}` has lost an upload")]
    Lost {
        /// What was sent.
        what: String,
    },
    /// Credentials are at hand, but everybody on the way could read them.
    #[error("the credentials for `{registry}` are not sent over an unencrypted connection")]
    Plaintext {
        /// The registry.
        registry: String,
    },
    /// What is known of the registry makes no sense.
    #[error("the settings of the registry `{registry}` do not fit: {reason}")]
    Settings {
        /// The registry.
        registry: String,
        /// Why not.
        reason: &'static str,
    },
}
