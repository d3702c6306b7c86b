//! The files of a project as they are at one moment, by content, without what is ignored and without secrets.
//!
//! 1. [`Survey`] lists what belongs to a source, by [`LocalRules`]; one `stat` a file, and nothing but ignore files is read.
//! 2. [`Survey::contents`] hashes, on all cores, the files that are not [`KnownFiles`] by their `stat`, and refuses secrets.
//! 3. [`Survey::copy`] copies, for a store that does not have the contents: somebody may edit the files while they are read
//!    into the store, and what was copied is what is built.
//!
//! A file that changes between the steps is [`LocalError::Changed`]; the caller may start again.
//!
//! It knows no store: what an object of these contents is called, and whether it is there, is for the caller to find out.

mod contents;
mod known;
mod rules;
mod secrets;
mod stat;
mod survey;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use store::TreeError;

pub use contents::Contents;
pub(crate) use known::KNOWN_PREFIX;
pub use known::KnownFiles;
pub use rules::LocalRules;
pub use secrets::Secret;
pub use survey::Survey;

/// Why files of a project cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file cannot be read, or its copy not be written.
    #[error("cannot read the source `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A device, fifo or socket.
    #[error("the source `{}` is neither file, directory nor symbolic link", .path.display())]
    Special {
        /// The thing.
        path: PathBuf,
    },
    /// A file was written or removed between two looks at it.
    #[error("the source `{}` changed while it was read", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A name, target or depth that no object can have.
    #[error("the source `{}` cannot be in a store", .path.display())]
    Tree {
        /// The thing.
        path: PathBuf,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// A line of an ignore file is no pattern.
    #[error("line {line} of the ignore file `{}` is no pattern", .path.display())]
    Pattern {
        /// The ignore file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// Why.
        #[source]
        source: Box<ignore::Error>,
    },
    /// An ignore file lies elsewhere; git does not read such a one either.
    #[error("the ignore file `{}` is a symbolic link", .path.display())]
    IgnoreLink {
        /// The link.
        path: PathBuf,
    },
    /// Something lies in the directory, but all of it is ignored or excluded.
    #[error("nothing is left of the source `{}`: all that lies there is ignored or excluded", .directory.display())]
    Empty {
        /// The source.
        directory: PathBuf,
    },
    /// Files look like secrets.
    #[error("the source `{}` has what looks like secrets: {}", .directory.display(), secrets::list(.files))]
    Secrets {
        /// The source.
        directory: PathBuf,
        /// The files in it, with what each looks like; sorted, never empty.
        files: Vec<(String, Secret)>,
    },
}
