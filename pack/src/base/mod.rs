//! Base images: what lies below an image's own layers.
//!
//! The layers of a [`Base`] come first, as they are; its configuration is inherited where the specification is silent; and what this crate generates goes
//! where the base's own links lead, so that no directory of ours ever lies over a link of the base. Nothing is unpacked: of each layer only the entries are
//! kept, once, in memory; a store remembers them, so that a base is read once.
//!
//! What the specification asks for goes over a file of the base, and is listed ([`BaseReport::replaced`](crate::BaseReport)); what an image has by itself
//! does not. Directories of the base that ours have something in are written again as they were, because engines make parents of their own kind otherwise.
//!
//! Store objects that a base of this crate has are not brought again. They count by their contents, and not by what the base says of them.
//!
//! Not responsible for: what else is in a base. Who it is from and what it is made of, the base's own maker says.

mod accounts;
mod fit;
mod inherit;
mod load;
mod objects;
mod packed;
mod rebase;
mod refit;
mod tree;

use thiserror::Error;

use crate::{
    existing::ExistingError,
    oci::ManifestType,
    rootfs::{RootFsError, RootPath},
};

pub(crate) use accounts::Accounts;
pub(crate) use fit::{EXTENDED, Fitted};
pub(crate) use inherit::Inherited;
pub use load::Base;
use objects::{BaseObjects, find_objects, recall_objects};
pub(crate) use tree::{BaseEntry, BaseTree};

/// Why an image cannot lie on a base.
#[derive(Debug, Error)]
pub enum BaseError {
    /// The base cannot be read, or not understood.
    #[error("cannot use the base image")]
    Existing(#[from] ExistingError),
    /// What stands for the base is no image.
    #[error("`{base}` is not an image that others can lie on")]
    NoImage {
        /// The base.
        base: String,
    },
    /// The documents of the base contradict one another.
    #[error("`{base}` has {layers} layers, and its configuration the digests of {diff_ids}")]
    Layers {
        /// The base.
        base: String,
        /// The layers of its manifest.
        layers: usize,
        /// The digests in its configuration.
        diff_ids: usize,
    },
    /// A manifest of the wanted type cannot have the layers of the base.
    #[error(
        "manifests of type `{manifest_type}` cannot have the layers of `{base}`, which are `{media_type}`"
    )]
    MediaType {
        /// The base.
        base: String,
        /// The type of the manifest.
        manifest_type: ManifestType,
        /// What the layers are.
        media_type: String,
    },
    /// Something of the image has no place on the base.
    #[error("`/{path}` of {owner} has no place on the base: {problem}")]
    Conflict {
        /// The path, relative to the image's root.
        path: RootPath,
        /// Whose it is.
        owner: String,
        /// What the base has in its way.
        problem: &'static str,
    },
    /// Something generated cannot be put together again.
    #[error(transparent)]
    Root(#[from] RootFsError),
    /// The base is run as somebody whom it does not know.
    #[error("the user `{user}` of `{base}` is not in its `/etc/passwd` or `/etc/group`")]
    User {
        /// The base.
        base: String,
        /// The user.
        user: String,
    },
    /// Packages of a distribution bring a root file system of their own.
    #[error("packages of a distribution lie at the root of an image, where the base lies")]
    Distribution,
}
