//! Derivations: fully evaluated build steps, as values.
//!
//! A derivation is closed: everything a build may depend on is in it, by digest. It has three digests (see
//! [`form`]); what people want to know about a package (license, description) is in none of them.
//!
//! Pure: no files, network, clock or environment. Knows no Starlark.

mod builder;
mod check;
mod decode;
mod derivation;
mod digests;
mod encode;
pub mod form;
mod ids;
mod image;
mod metadata;
mod output;
mod platform;
mod rewrite;
mod smoke;
mod text;

pub use builder::{
    Builder, Deb, DebSet, DebTree, EmbeddedSource, Fetch, LocalSource, Program, Source, SourceFile,
};
pub use decode::DecodeError;
pub use derivation::{DEFAULT_OUTPUT, Derivation, DerivationSpec, MAX_DEPTH};
pub use digests::ResolvedDerivation;
pub use ids::{ContentDigest, DerivationId, DigestTextError};
pub use image::{HealthCheck, ImageDeclaration, Port, Protocol};
pub use metadata::{Limits, Location, Metadata, RecipeText, RecipeTexts};
pub use output::{Output, OutputRef};
pub use platform::{Platform, UnknownPlatform};
pub use rewrite::{Replacement, RewriteError, Rewriter};
pub use smoke::SmokeCommand;
pub use text::{Piece, Text, UndeclaredInput};

/// Why there is no such derivation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A derivation needs an output.
    #[error("`{name}` has no outputs; it needs at least one")]
    NoOutputs {
        /// The derivation.
        name: String,
    },
    /// An output's name is none.
    #[error(
        "`{name}` is no name of an output: it must be lower-case letters, digits and `_`, at most 32, a letter first"
    )]
    OutputName {
        /// The name.
        name: String,
    },
    /// Two outputs have one name.
    #[error("the output `{name}` is named twice")]
    DuplicateOutput {
        /// The name.
        name: String,
    },
    /// A derivation has no output of this name.
    #[error("`{derivation}` has no output `{output}`; it has {}", known.join(", "))]
    UnknownOutput {
        /// The derivation.
        derivation: String,
        /// The name asked for.
        output: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A name cannot be that of a store object.
    #[error("`{name}` cannot be the name of a store object")]
    StoreName {
        /// The name.
        name: String,
        /// Why not.
        #[source]
        source: store::IdError,
    },
    /// The builder names no program.
    #[error("the builder is empty; its first element is the program")]
    NoProgram,
    /// A fetch names no place.
    #[error("a fetch needs at least one URL")]
    NoUrls,
    /// A text to be handed to a program holds a NUL.
    #[error("`{field}` holds a NUL character, which no argument or variable can")]
    Nul {
        /// The variable, or `builder`.
        field: String,
    },
    /// A name is not that of an environment variable.
    #[error(
        "`{name}` is no name of an environment variable: it must be letters, digits and `_`, no digit first"
    )]
    VariableName {
        /// The name.
        name: String,
    },
    /// An environment variable has the name of an output.
    #[error("the environment variable `{name}` is the output's: the build finds its path there")]
    VariableIsOutput {
        /// The name.
        name: String,
    },
    /// Files are asked for that are not below the recipe.
    #[error("`{path}` leads out of the recipe's directory")]
    PathEscape {
        /// The path.
        path: String,
    },
    /// The chain of derivations that need each other is too long.
    #[error("`{name}` stands on a chain of more than {MAX_DEPTH} derivations")]
    TooDeep {
        /// The derivation.
        name: String,
    },
}

/// Why a derivation has no resolved digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A dependency has not been realised.
    #[error("`{output:?}` is not realised")]
    NotRealised {
        /// The dependency.
        output: OutputRef,
    },
    /// Local files are read anew each time; nothing stands for them beforehand.
    #[error(
        "the local files `{path}` have no resolved digest: they are read whenever they are built"
    )]
    LocalSource {
        /// The place below the project.
        path: String,
    },
}
