//! Bills of materials as files, pith's own and those of others: what software they say there is. Pure.
//!
//! Formats: CycloneDX 1.2 to 1.7 in JSON, SPDX 2.2 and 2.3 in JSON, SPDX 3.0 in JSON-LD. Of each only what names software is read; a bill that names none is an
//! error, because it would look like software without vulnerabilities.

mod cyclonedx;
mod read;
mod spdx;
mod spdx3;

pub use read::{Bill, read_bill};

/// Why a bill of materials cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// It is no JSON, or has another shape than its format.
    #[error("it cannot be read")]
    Json(#[from] serde_json::Error),
    /// It is of no known format.
    #[error("it is no bill of materials of CycloneDX or SPDX in JSON")]
    Format,
    /// It names no software.
    #[error("it names no software")]
    Empty,
    /// Components lie too deep in each other.
    #[error("its components are more than {limit} deep")]
    Deep {
        /// How deep they may be.
        limit: usize,
    },
}
