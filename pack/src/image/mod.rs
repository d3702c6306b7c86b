//! Images: what one asks for ([`ImageSpec`]), and what comes of it ([`Image`]).

mod assemble;
mod below;
mod closure;
mod foreign;
#[expect(
    clippy::module_inception,
    reason = "the folder is about images, the file holds the type"
)]
mod image;
mod planning;
mod providers;
mod report;
mod root;
mod sets;
mod spec;
mod stable;
mod told;
mod words;

use store::{ClosureError, LeaseError};
use thiserror::Error;

use crate::{
    base::BaseError,
    layer::{Compression, LayerError},
    oci::ManifestType,
    rootfs::RootFsError,
    start::StartError,
};

pub(crate) use assemble::Assembled;
pub(crate) use below::Below;
pub use image::{Image, PackOptions};
pub(crate) use image::{KnownLayers, missing};
pub use report::{BaseReport, ImageReport, LayerReport, PathReport, StableReport};
pub use spec::{FileSpec, ImageSpec, Port};

/// Why an image could not be put together.
#[derive(Debug, Error)]
pub enum ImageError {
    /// There is nothing to pack.
    #[error("an image needs at least one package")]
    NoPackage,
    /// The closure could not be read from the database.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// The store could not be asked to keep the closure while it is packed.
    #[error("cannot protect the closure while it is packed")]
    Lease(#[from] LeaseError),
    /// The image cannot lie on its base.
    #[error(transparent)]
    Base(Box<BaseError>),
    /// A layer could not be planned or made.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A manifest of this type cannot have layers that are compressed so.
    #[error("manifests of type `{manifest_type}` have no layers in `{compression}`")]
    Compression {
        /// How the layers are compressed.
        compression: Compression,
        /// The type of the manifest.
        manifest_type: ManifestType,
    },
    /// The root could not be put together.
    #[error(transparent)]
    RootFs(#[from] RootFsError),
    /// The program of the image cannot be started.
    #[error("the image would not start")]
    Start(#[from] StartError),
    /// A program is for other machines than the image.
    #[error("`{path}` is for {found}, and the image is for {platform}")]
    Foreign {
        /// The program, or the package of a distribution.
        path: String,
        /// What it is for.
        found: String,
        /// What the image is for.
        platform: String,
    },
    /// A variable cannot be in an environment.
    #[error("`{name}` cannot be the name of an environment variable")]
    Variable {
        /// The name.
        name: String,
    },
    /// The text is no port.
    #[error(
        "`{text}` is not a port: it must be 1 to 65535, with `/tcp`, `/udp` or `/sctp` if needed"
    )]
    Port {
        /// The text.
        text: String,
    },
}

impl From<BaseError> for ImageError {
    fn from(error: BaseError) -> Self {
        Self::Base(Box::new(error))
    }
}
