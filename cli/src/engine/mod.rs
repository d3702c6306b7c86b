//! Container engines of this machine, which are handed images without a file.
//!
//! Podman pulls an image from a registry that this process is meanwhile: it fetches layers and unpacks others at once, and only those that it lacks. An archive in a
//! pipe it first copies, twice, and then unpacks. Where it cannot pull, and for docker, the image goes through a pipe.

#[expect(
    clippy::module_inception,
    reason = "the folder is about engines, the file holds the type"
)]
mod engine;
mod load;
mod pipe;
mod pull;
mod pull_files;
mod said;

pub(crate) use engine::Engine;
pub(crate) use load::{Loaded, load};

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use pack::oci::Digest;
use thiserror::Error;

/// Why an engine does not have an image.
#[derive(Debug, Error)]
enum EngineError {
    /// It could not be started.
    #[error("cannot start `{engine}`")]
    Start {
        engine: Engine,
        #[source]
        source: io::Error,
    },
    /// It could not be waited for.
    #[error("cannot wait for `{engine} {verb}`")]
    Wait {
        engine: Engine,
        verb: &'static str,
        #[source]
        source: io::Error,
    },
    /// It did not take the image.
    #[error("`{engine} {verb}` failed: {said}")]
    Failed {
        engine: Engine,
        verb: &'static str,
        said: String,
    },
    /// It ended well and said nothing.
    #[error("`{engine} {verb}` failed: it ended with {status} and said nothing")]
    Silent {
        engine: Engine,
        verb: &'static str,
        status: ExitStatus,
    },
    /// What it is told could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It keeps its images on another machine.
    #[error("podman keeps its images on another machine")]
    Remote,
    /// It does not look where it is told to.
    #[error("podman does not ask the registry that it is told to ask for `{name}`")]
    Elsewhere { name: String },
    /// It has another image than the one that it was handed.
    #[error("podman says that it has pulled `{found}`, and the image is {expected}")]
    Another { expected: Digest, found: String },
}
