//! Where images come from.

use crate::{Image, oci::Digest, sign::Attachment};

/// What a source has under a name.
#[derive(Debug)]
pub struct Offer {
    /// One image for each platform, sorted by it. More than one make an index.
    pub images: Vec<Image<'static>>,
}

/// Why a source has no image of a name.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// It knows nothing of that name.
    #[error("{message}")]
    Unknown {
        /// Why.
        message: String,
    },
    /// It knows the name, and cannot make the image.
    #[error("{message}")]
    Failed {
        /// Why.
        message: String,
    },
}

/// Where images come from.
pub trait ImageSource: Send + Sync + 'static {
    /// Returns what there is under a name now, after building it if need be. Blocks; called by one thread at a time for each name.
    fn offer(&self, name: &str) -> Result<Offer, SourceError>;

    /// Returns the documents about the image with this manifest that the name has: bills of materials, and how it was made. Blocks; may be called by several
    /// threads at once. None, if nobody makes any.
    fn documents(&self, _name: &str, _manifest: Digest) -> Result<Vec<Attachment>, SourceError> {
        Ok(Vec::new())
    }
}
