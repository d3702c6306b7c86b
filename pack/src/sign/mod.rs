//! Signatures of images: made, kept where cosign looks for them, and verified.
//!
//! In a registry, a signature is a manifest that names the image as its subject (OCI image-spec 1.1); beside a file, it is a bundle of its own. An image for several
//! platforms is signed as one, and each of its manifests too, because whoever pulls one knows only that.
//! For readers of before 2025, a signature can also stand under a tag that is made of the image's digest.
//!
//! Not responsible for: which keys are to be trusted.

mod attestation;
mod bundle;
mod file;
mod image;
mod key;
mod legacy;
mod referrer;
mod referrers;
mod secret_key;
mod simple;

use std::{io, path::PathBuf};

use store::registry::RegistryError;
use thiserror::Error;

use crate::{ImageError, existing::ExistingError};

pub(crate) use attestation::documents_about;
pub use attestation::{Attachment, AttestationCheck, WrongAttestation};
pub use bundle::Unsigned;
pub(crate) use bundle::{sign as sign_digest, verify as verify_digest};
pub use file::SOURCES;
pub use image::{SignatureCheck, SignatureForms, Signed, sign_bundle, verify_bundle};
pub use key::ImageKey;
pub(crate) use referrer::AttachedDocument;
pub use secret_key::ImageSecretKey;

/// Why an image could not be signed, or its signatures not be read.
#[derive(Debug, Error)]
pub enum SignError {
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] ExistingError),
    /// The image that is to be described could not be made.
    #[error(transparent)]
    Made(Box<ImageError>),
    /// What is to be attached cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The registry did not do what it was asked.
    #[error("cannot keep or read signatures of `{name}`")]
    Registry {
        /// The whole name.
        name: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The tag under which signatures are listed is something else.
    #[error("`{tag}` in the repository of `{name}` is no list of what refers to an image")]
    List {
        /// The whole name.
        name: String,
        /// The tag.
        tag: String,
    },
    /// Others change the list all the time.
    #[error(
        "the list of signatures of `{name}` is changed by others faster than it can be added to"
    )]
    Contended {
        /// The whole name.
        name: String,
    },
}

/// Why a text is no key by which images could be signed. Holds no part of it.
#[derive(Debug, Error)]
pub enum SecretKeyError {
    /// Its owner's password is needed.
    #[error("the secret key is encrypted")]
    Encrypted,
    /// The text is something else, or a key of another kind.
    #[error("this is no secret key in PEM of a kind that is known: ed25519, or ECDSA on P-256")]
    Kind,
    /// The system has no randomness for a new key.
    #[error("the system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
}

impl From<ImageError> for SignError {
    fn from(error: ImageError) -> Self {
        Self::Made(Box::new(error))
    }
}
