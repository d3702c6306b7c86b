//! The files of an output.

use serde::{Deserialize, Serialize};

/// One regular file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Relative to the output, `/` between names; empty where the output is the file. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Whether it may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// SHA-256 in hex.
    pub sha256: String,
    /// SHA-1 in hex, which SPDX 2.3 asks for.
    pub sha1: String,
    /// SHA-512 in hex, which BSI TR-03183-2 asks for.
    pub sha512: String,
}
