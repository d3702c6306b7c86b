//! Images that exist already: in an archive, a layout or a registry.
//!
//! [`ExistingImage`] sees them alike, whoever made them. It is shown, copied to a file, a directory or a registry, and validated
//! ([`validate`](crate::validate())). Whatever is copied keeps its bytes, and so its digest; each blob is hashed on its way, and nothing appears in its place
//! unless all of it is what it should be.
//!
//! Archives are those of this crate, of `docker save`, `podman save` and skopeo. Docker's own kind has no manifest: one is made that names its configuration
//! and its layers as they are, always the same one.
//!
//! Not responsible for: who a user is in a registry, and whether what an image says about itself is true, beyond its digests.

mod archive;
mod below;
mod bill;
mod claims;
mod copy;
mod diff;
mod docker;
mod document;
mod documents;
mod files;
mod given;
mod image;
mod inspect;
mod layer_reader;
mod layout;
mod merge;
mod overlay;
mod own_layers;
mod packages;
mod push;
mod rebased;
mod reference;
mod source;
mod texts;

use std::{io, path::PathBuf};

use store::{StorePath, registry::RegistryError};
use thiserror::Error;

use crate::{SinkError, layer::TarError, oci::Digest};

pub use below::BaseLayer;
pub(crate) use below::{BelowImage, describe};
pub use bill::ImageBill;
pub use copy::{Copied, FileKind};
pub use diff::{ChangeKind, ConfigChange, FileChange, ImageDiff, PackageChange, PackageSide};
pub(crate) use document::{AnyConfig, AnyIndex, AnyManifest, Entry, is_index};
pub use document::{AnyPlatform, RunFacts};
pub(crate) use documents::{Documents, ManifestDocument};
pub use image::ExistingImage;
pub(crate) use image::tag_of;
pub use inspect::{ArtifactFacts, ImageFacts, Inspection, LayerFacts};
pub(crate) use overlay::{Files, clean, join, put_on, split};
pub use own_layers::Depth;
use own_layers::OwnLayers;
pub(crate) use own_layers::{ClaimedBill, is_ours};
pub use packages::{BillLink, BillPackage, BillPart, BillUse};
pub(crate) use packages::{listed_files, packages_of, parse_bill};
pub(crate) use rebased::Rebased;
pub use reference::ImageReference;
pub(crate) use source::{Source, blob_name};

/// No document of an image is longer; registries have the same limit.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// The text names no platform.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a platform of the form `os/architecture` or `os/architecture/variant`")]
pub struct PlatformError {
    /// The text.
    pub text: String,
}

/// Why an image cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The image could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The archive, the file in the layout, or the blob in the registry.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no archive.
    #[error("`{}` is not an archive", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TarError,
    },
    /// The archive or the directory holds no image.
    #[error("`{}` holds no image: there is {missing} in it", path.display())]
    NoImage {
        /// The archive or the directory.
        path: PathBuf,
        /// What is not there.
        missing: &'static str,
    },
    /// Docker's list in an archive names something that makes no image.
    #[error("`manifest.json` of `{}` makes no image: {problem}", path.display())]
    DockerList {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The registry did not do what it was asked.
    #[error("cannot read `{name}`")]
    Registry {
        /// The whole name.
        name: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
}

/// Why an image cannot be shown or copied.
#[derive(Debug, Error)]
pub enum ExistingError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// A document of it cannot be understood.
    #[error("`{document}` of `{image}` is no document of an image that is understood")]
    Document {
        /// The image.
        image: String,
        /// The document.
        document: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A document of it is longer than any should be, or too many hang together.
    #[error("`{image}` is too large to be an image: {problem}")]
    TooLarge {
        /// The image.
        image: String,
        /// What there is too much of.
        problem: &'static str,
    },
    /// Something that a document names is not there.
    #[error("`{image}` lacks `{what}`")]
    Missing {
        /// The image.
        image: String,
        /// What is not there.
        what: String,
    },
    /// There is not one image, but none or several.
    #[error("`{image}` holds {}", if tags.is_empty() { "no image of that tag".to_owned() } else { format!("several images: {}", tags.join(", ")) })]
    Choice {
        /// The archive or layout.
        image: String,
        /// The tags of the images that are there.
        tags: Vec<String>,
    },
    /// The image is not for the platform.
    #[error("`{image}` is not for `{wanted}`, but for {}", found.join(", "))]
    Platform {
        /// The image.
        image: String,
        /// What was asked for.
        wanted: String,
        /// What it is for.
        found: Vec<String>,
    },
    /// The image is for several platforms, and one has to be chosen.
    #[error("`{image}` is for several platforms: {}", found.join(", "))]
    Platforms {
        /// The image.
        image: String,
        /// What it is for.
        found: Vec<String>,
    },
    /// The layers of one image are not the lowest ones of the other.
    #[error("the layers of `{base}` are not the lowest ones of `{image}`")]
    NotItsBase {
        /// The image.
        image: String,
        /// What should be its base.
        base: String,
    },
    /// The image was fitted to its base, and does not fit on the other.
    #[error("`{image}` does not fit on the new base: of `/{path}`, {problem}")]
    Unfit {
        /// The image.
        image: String,
        /// What does not fit.
        path: String,
        /// Why.
        problem: &'static str,
    },
    /// The image was packed without an object that its base has, and the other base does not have it.
    #[error(
        "`{image}` needs `/pith/store/{path}`, which it takes from its base, and `{base}` does not have it"
    )]
    NotInBase {
        /// The image.
        image: String,
        /// What should be its base.
        base: String,
        /// The object.
        path: StorePath,
    },
    /// Something is not what its digest says.
    #[error(
        "`{image}` is damaged\n  expected: {expected}, {expected_bytes} bytes\n  found:    {found}, {found_bytes} bytes"
    )]
    Damaged {
        /// The image.
        image: String,
        /// The digest by which it is named.
        expected: Digest,
        /// The size by which it is named.
        expected_bytes: u64,
        /// The digest of its bytes.
        found: Digest,
        /// Their number.
        found_bytes: u64,
    },
    /// A layer cannot be read.
    #[error("the layer `{layer}` of `{image}` cannot be read")]
    Layer {
        /// The image.
        image: String,
        /// The layer.
        layer: Digest,
        /// Why.
        #[source]
        source: TarError,
    },
    /// A layer is of a kind that is not known.
    #[error("a layer of `{image}` is of the kind `{media_type}`, which is not known")]
    LayerType {
        /// The image.
        image: String,
        /// The kind.
        media_type: String,
    },
    /// A bill of materials is not that of the image.
    #[error(
        "`{document}` is not the bill of materials of `{image}`\n  expected: one of {expected}\n  found:    {}",
        if found.is_empty() { "one of no image".to_owned() } else { format!("one of sha256:{}", found.join(", sha256:")) }
    )]
    OtherBill {
        /// The image.
        image: String,
        /// The bill.
        document: String,
        /// The digest of the image's manifest.
        expected: Digest,
        /// The SHA-256 digests that the bill names.
        found: Vec<String>,
    },
    /// A layer that somebody put on an image has a bill of materials, or takes away the one that is there.
    #[error(
        "`/{path}` in the layer `{layer}` of `{image}` is in the way of the bill of materials, and pith did not write that layer"
    )]
    ForeignBill {
        /// The image.
        image: String,
        /// The layer.
        layer: Digest,
        /// The path in it.
        path: String,
    },
    /// The copy could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The registry that the copy goes to did not do what it was asked.
    #[error("cannot push `{name}`")]
    Push {
        /// The whole name.
        name: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
}
