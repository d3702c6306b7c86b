//! The words of the OCI image specification 1.1 as types: descriptors, config, manifest, index, layout, and image names.
//!
//! Every value has one byte form: [`to_canonical_json`] sorts the keys and writes no white space, so equal values have equal digests. Pure: nothing here
//! touches a file.

mod canonical;
mod config;
mod descriptor;
mod digest;
mod manifest;
mod manifest_type;
mod name;
mod time;

use thiserror::Error;

pub use canonical::to_canonical_json;
pub use config::{
    Architecture, ContainerConfig, Empty, HealthCheck, History, ImageConfig, Platform, RootFs,
};
pub use descriptor::{Descriptor, media_type};
pub use digest::{DiffId, Digest, DigestWriter};
pub use manifest::{DockerManifest, Index, LayoutMarker, Manifest, annotation};
pub(crate) use manifest::{index_entry, or_default};
pub use manifest_type::{ManifestType, UnknownManifestType};
pub use name::ImageName;
pub use time::Timestamp;

/// What is wrong with a text that should be one of the words of this folder.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OciError {
    /// The text is no digest.
    #[error("`{text}` is not a digest of the form `sha256:<64 lower-case hexadecimal digits>`")]
    Digest {
        /// The text.
        text: String,
    },
    /// The text is no image name.
    #[error("`{text}` is not an image name: {problem}")]
    Name {
        /// The text.
        text: String,
        /// Which rule of the reference grammar it breaks.
        problem: &'static str,
    },
    /// The text is no time.
    #[error(
        "`{text}` is not a time; write it as `2026-11-22T10:00:00Z` or in whole seconds since 1970"
    )]
    Time {
        /// The text.
        text: String,
    },
    /// The text is no platform.
    #[error("`{text}` is not a platform; known are `linux/amd64` and `linux/arm64`")]
    Platform {
        /// The text.
        text: String,
    },
}
