//! One record as its format's parser hands it on. Pure.

use crate::vulns::{Advisory, Key};

/// What is taken from one record.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// When it was changed last, RFC 3339 or a date.
    pub(super) modified: Option<String>,
    /// The parts of the database that it counts for: registers and releases, see [`Key::domain`](crate::vulns::Key::domain).
    pub(super) domains: Vec<String>,
    /// The repositories and products that it speaks of as software without a register.
    pub(super) upstream: Vec<Key>,
    /// The record, if it is about anything that is looked for; withdrawn ones are not.
    pub(super) advisory: Option<Advisory>,
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// It is no JSON, or has another shape.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Its front matter is no TOML, or has another shape.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// It is no text.
    #[error("it is not UTF-8")]
    Text,
    /// It has no front matter.
    #[error("it has no front matter in TOML")]
    FrontMatter,
    /// A version in it is none.
    #[error("`{text}` is no requirement of a version")]
    Requirement {
        /// The text.
        text: String,
    },
}
