//! What a target may come to, and why it may come to nothing.

use recipes::lang::Package;
use recipes::model::{ImageDeclaration, OutputRef};
use store::StorePath;
use thiserror::Error;

/// What a target came to.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    /// An output of a package.
    Output {
        /// The package.
        package: Package,
        /// Which of its outputs.
        output: OutputRef,
    },
    /// An image that a project declares.
    Image(Box<ImageDeclaration>),
    /// A store object.
    Path(StorePath),
}

impl Selection {
    /// What an image of it is called: after the declared image, the package, or the store path's name.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Image(image) => image.name.clone(),
            Self::Output { package, .. } => package.name.clone(),
            Self::Path(path) => path.name().to_string(),
        }
    }
}

/// Why a target could not be looked up.
#[derive(Debug, Error)]
pub(crate) enum SelectError {
    /// A project has nothing of that name.
    #[error("`{file}` defines neither a package nor an image `{name}`")]
    NotInProject {
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
    /// A project has several things, none of them the one to take.
    #[error("`{file}` defines more than one thing; say which")]
    Ambiguous {
        /// The file.
        file: String,
    },
    /// A project has nothing.
    #[error("`{file}` defines neither a package nor an image")]
    EmptyProject {
        /// The file.
        file: String,
    },
    /// An image or a store path has no outputs.
    #[error("`{0}` is no package, so it has no output `{1}`")]
    NoOutputs(String, String),
    /// A store path is not there.
    #[error("`{0}` is not in the store")]
    NotValid(String),
    /// A store path or an image has no recipe.
    #[error("`{0}` is no package")]
    NoRecipe(String),
    /// An image cannot be built, only packed.
    #[error("`{0}` is an image, not a package")]
    IsImage(String),
}
