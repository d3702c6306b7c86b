//! Why a request is not done, and how HTTP says that.

use std::io;

use crate::{
    cache::{backend::BackendError, format::FormatError},
    id::StorePath,
    net::chain,
    serve::Denied,
    trust::KeyName,
};

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not even looked at.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such file.
    #[error("there is no such file")]
    Absent,
    /// The path is no name of a cache's file.
    #[error("it is no name of a cache's file")]
    Name,
    /// It is none of the things that this server does.
    #[error("this server does not do that")]
    Method,
    /// A file is not what its name says.
    #[error("it is not what its name says")]
    Content(#[from] FormatError),
    /// A pack has another digest than its name.
    #[error("its name is not its digest, or it is no pack")]
    Pack,
    /// A log is no log.
    #[error("it is not compressed with zstd")]
    Log,
    /// A manifest's packs are not those that it says.
    #[error("its frame at {offset} is behind the end of the pack `{pack}`")]
    Frame {
        /// The pack.
        pack: String,
        /// Where the frame begins.
        offset: u64,
    },
    /// Something has to be there before.
    #[error("`{file}` has to be there before it")]
    Missing {
        /// The file.
        file: String,
    },
    /// What is there contradicts it.
    #[error("it contradicts what is there")]
    Conflict(#[source] FormatError),
    /// A realisation names an object otherwise than its record.
    #[error("the record of its object has the path `{path}`")]
    Path {
        /// The object's path.
        path: StorePath,
    },
    /// A signature is not the key's.
    #[error("the signature of `{name}` is wrong")]
    Signature {
        /// The key's name.
        name: KeyName,
    },
    /// No known key has signed it.
    #[error("it is not signed by a key of this server")]
    Unsigned,
    /// A key that is not known has signed it, where only known ones may.
    #[error("`{name}` is no key of this server")]
    UnknownKey {
        /// The key's name.
        name: KeyName,
    },
    /// The directory failed.
    #[error("the cache's directory failed")]
    Directory(#[from] BackendError),
}

impl Refusal {
    /// Returns the HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Name => 400,
            Self::Denied(denied) => denied.status(),
            Self::Unsigned | Self::UnknownKey { .. } => 403,
            Self::Absent => 404,
            Self::Method => 405,
            Self::Missing { .. } | Self::Conflict(_) | Self::Path { .. } => 409,
            Self::Content(_) | Self::Pack | Self::Log | Self::Frame { .. } => 422,
            Self::Signature { .. } => 422,
            Self::Directory(BackendError::Absent { .. }) => 404,
            Self::Directory(BackendError::File(error)) if is_full(&error.source) => 507,
            Self::Directory(_) => 500,
        }
    }

    /// Returns the whole of it in one line. What the directory's trouble is stays here: it names files of this machine.
    pub(super) fn public_text(&self) -> String {
        match self {
            Self::Directory(_) => self.to_string(),
            _ => self.text(),
        }
    }

    /// Returns the chain of causes in one line.
    pub(super) fn text(&self) -> String {
        chain(self).replace('\n', " ")
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
