//! Statements about vulnerabilities in OpenVEX 0.2.0: those of others are read, and ours are written. Pure.
//!
//! Format: <https://github.com/openvex/spec>, version 0.2.0. What is written is the same for the same report: it is named for its contents, and of the day for
//! which the report is true.

mod read;
mod write;

pub use read::read_vex;
pub use write::{VexDocument, write_vex};

/// Why a VEX document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VexError {
    /// It is no JSON, or has another shape.
    #[error("it cannot be read")]
    Json(#[from] serde_json::Error),
    /// It is of another format, or of a version that is not known.
    #[error("it is `{found}`, and not OpenVEX 0.2.0")]
    Format {
        /// What it says it is.
        found: String,
    },
    /// A statement says that software is not affected, and does not say why.
    #[error("the statement on `{id}` says that it is not affected, and not why")]
    NoJustification {
        /// The vulnerability.
        id: String,
    },
    /// A statement is about no product.
    #[error("the statement on `{id}` names no product by a package URL")]
    NoProduct {
        /// The vulnerability.
        id: String,
    },
}
