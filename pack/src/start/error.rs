//! Why an image would not start.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::layer::LayerError;

/// What is missing. Paths are those of the image.
#[derive(Debug, Error)]
pub enum StartError {
    /// A file of the store cannot be read as it is in the image.
    #[error(transparent)]
    Layer(#[from] Box<LayerError>),
    /// Nothing is at the path of the program.
    #[error("`{program}` is not in the image")]
    Missing {
        /// The path.
        program: String,
    },
    /// The program is given by name, and in no directory of `PATH`.
    #[error("no directory of PATH ({path}) has the program `{program}`")]
    NotOnPath {
        /// The name.
        program: String,
        /// The value of `PATH`.
        path: String,
    },
    /// The path of the program leads to a directory.
    #[error("`{program}` is a directory")]
    Directory {
        /// The path.
        program: String,
    },
    /// The program's file may not be executed.
    #[error("`{program}` is not executable")]
    NotExecutable {
        /// The path.
        program: String,
    },
    /// No kernel knows what to do with the file.
    #[error("`{program}` is neither an ELF program nor a script that begins with `#!`")]
    Unknown {
        /// The path.
        program: String,
    },
    /// The program is for another processor.
    #[error("`{program}` is for {found}, and the image is for {platform}")]
    Foreign {
        /// The path.
        program: String,
        /// What it is for.
        found: &'static str,
        /// What the image is for.
        platform: String,
    },
    /// What starts the program does not start.
    #[error("`{program}` needs its interpreter `{interpreter}`")]
    Interpreter {
        /// The path.
        program: String,
        /// The loader, or what stands after `#!`.
        interpreter: String,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// Scripts are interpreters of each other.
    #[error("`{program}` has more interpreters of interpreters than a kernel follows")]
    Endless {
        /// The path.
        program: String,
    },
    /// The kernel takes the number of the user or of the group for none.
    #[error("the user `{user}` has a number that is nobody's: 4294967295 means none to the kernel")]
    User {
        /// The user and the group.
        user: String,
    },
    /// The signal that ends the program is none.
    #[error("the signal `{signal}`, which is to stop the program, does not exist")]
    Signal {
        /// Its name.
        signal: String,
    },
    /// The program is to start in what is no directory.
    #[error("the working directory `{directory}` cannot be: `{file}` is a file")]
    WorkingDirectory {
        /// The directory.
        directory: String,
        /// The file in its place, or in that of one above it.
        file: String,
    },
    /// A library is in none of the places where the loader looks.
    #[error(
        "`{needed_by}` needs the library `{library}`, which is not in the image where the loader looks for it"
    )]
    Library {
        /// The name of the library.
        library: String,
        /// The program or library that asks for it.
        needed_by: String,
    },
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file on this disk.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
