//! Why a request is not done, in the words of the distribution specification.

use store::{net::chain, serve::Denied};

use super::{depot_error::DepotError, route::NoRoute, source::SourceError};
use crate::layer::LayerError;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub enum RegistryRefusal {
    /// It is not even looked at.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The path is none of the specification.
    #[error("there is nothing at this path")]
    Path,
    /// The name of the repository is none.
    #[error("the name is none of a repository")]
    Name,
    /// The tag is none.
    #[error("the tag is none")]
    Tag,
    /// The digest is none, or is of another algorithm than sha256 and sha512.
    #[error("the digest is none of sha256 or sha512")]
    Digest,
    /// The registry does not do that.
    #[error("this registry does not do that")]
    Method,
    /// Nothing is taken from clients.
    #[error(
        "this registry takes nothing; `pith serve --registry --allow-push DIR` makes one that does"
    )]
    NoPush,
    /// There is no such manifest.
    #[error("there is no manifest `{reference}` of `{name}`")]
    NoManifest {
        /// The repository.
        name: String,
        /// Its tag or digest.
        reference: String,
    },
    /// There is no such blob.
    #[error("there is no blob `{digest}` in `{name}`")]
    NoBlob {
        /// The repository.
        name: String,
        /// The digest.
        digest: String,
    },
    /// There is no such upload.
    #[error("there is no such upload")]
    NoUpload,
    /// A chunk does not begin where the last one ended.
    #[error("the chunk begins at {found}, and the upload is at {expected}")]
    Chunk {
        /// Where the upload is.
        expected: u64,
        /// Where the chunk begins.
        found: String,
    },
    /// What came has another digest.
    #[error("the digest is wrong\n  expected: {expected}\n  found:    {found}")]
    WrongDigest {
        /// The digest that was said.
        expected: String,
        /// The digest of the bytes.
        found: String,
    },
    /// A manifest is none.
    #[error("it is no manifest: {message}")]
    Manifest {
        /// Why.
        message: String,
    },
    /// A manifest names what is not there.
    #[error("the manifest names `{digest}`, which is not in `{name}`")]
    MissingBlob {
        /// The repository.
        name: String,
        /// The digest.
        digest: String,
    },
    /// The images of a name cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The directory of what was pushed failed.
    #[error("the registry's directory failed")]
    Depot(#[from] DepotError),
}

impl From<NoRoute> for RegistryRefusal {
    fn from(error: NoRoute) -> Self {
        match error {
            NoRoute::Unknown => Self::Path,
            NoRoute::Name => Self::Name,
            NoRoute::Reference => Self::Tag,
            NoRoute::Digest => Self::Digest,
        }
    }
}

impl From<LayerError> for RegistryRefusal {
    fn from(error: LayerError) -> Self {
        let message = chain(&error);
        Self::Source(SourceError::Failed { message })
    }
}

impl RegistryRefusal {
    /// Returns the HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Denied(denied) => denied.status(),
            Self::Path | Self::NoManifest { .. } | Self::NoBlob { .. } | Self::NoUpload => 404,
            Self::Name | Self::Tag | Self::Digest | Self::WrongDigest { .. } => 400,
            Self::Manifest { .. } => 400,
            Self::MissingBlob { .. } => 404,
            Self::Method | Self::NoPush => 405,
            Self::Chunk { .. } => 416,
            Self::Source(SourceError::Unknown { .. }) => 404,
            // Not one that clients try again: what cannot be built now cannot be built in a second.
            Self::Source(SourceError::Failed { .. }) => 422,
            Self::Depot(error) => error.status(),
        }
    }

    /// Returns the code of the specification.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(Denied::NoToken | Denied::WrongToken) => "UNAUTHORIZED",
            Self::Denied(Denied::Scope) => "DENIED",
            Self::Denied(Denied::Rate { .. }) => "TOOMANYREQUESTS",
            Self::Denied(Denied::TooLarge { .. } | Denied::NoLength) => "SIZE_INVALID",
            Self::Denied(_) => "UNAVAILABLE",
            Self::Path | Self::Method | Self::NoPush => "UNSUPPORTED",
            Self::Name => "NAME_INVALID",
            Self::Tag | Self::Manifest { .. } => "MANIFEST_INVALID",
            Self::Digest | Self::WrongDigest { .. } => "DIGEST_INVALID",
            Self::NoManifest { .. } => "MANIFEST_UNKNOWN",
            Self::NoBlob { .. } => "BLOB_UNKNOWN",
            Self::NoUpload => "BLOB_UPLOAD_UNKNOWN",
            Self::Chunk { .. } => "BLOB_UPLOAD_INVALID",
            Self::MissingBlob { .. } => "MANIFEST_BLOB_UNKNOWN",
            Self::Source(SourceError::Unknown { .. }) => "NAME_UNKNOWN",
            Self::Source(SourceError::Failed { .. }) | Self::Depot(_) => "UNKNOWN",
        }
    }

    /// Returns after how many seconds the same request makes sense again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Denied(denied) => denied.retry_after(),
            _ => None,
        }
    }

    /// Returns the body: what a client may know. What the trouble of the directory is stays here: it names files of this machine.
    pub(super) fn body(&self) -> Vec<u8> {
        let message = match self {
            Self::Depot(_) => self.to_string(),
            _ => chain(self),
        };
        let error = serde_json::json!({ "code": self.code(), "message": message });
        serde_json::json!({ "errors": [error] })
            .to_string()
            .into_bytes()
    }
}
