//! Where the files of a cache lie: a directory, an HTTP server, an S3 bucket, an OCI repository.
//!
//! **Invariant.** A range that is read has exactly the bytes of that place of the file as the server tells it, or fails: a wrong `Content-Range`, the whole
//! file in the place of a part, and a body that is too short or too long are seen. What is read is nevertheless not believed: who reads, checks digests.
//! A file that is written is there wholly or not at all, and writing it again does nothing worse. No wait is without a limit and no answer is read beyond
//! one. Credentials go to the cache's own server, and over an encrypted connection unless that was waived.
//!
//! [`open_backend`] makes a [`Backend`] of a [`CacheUrl`] and [`BackendOptions`]. Nothing is read from the environment.
//!
//! Not responsible for: retries and giving up (that is `source`), formats, or the order in which files are written.

mod address;
mod directory;
mod error;
mod exact;
mod http;
mod kind;
mod oci;
mod oci_manifest;
mod open;
mod options;
mod s3;
mod s3_settings;
mod s3_wire;
mod staging;

pub use crate::net::{Credentials, Plaintext};
pub use address::{CacheUrl, CacheUrlError};
pub(super) use directory::Directory;
pub use error::{Corruption, ErrorClass, Need};
pub use kind::FileKind;
pub use open::open_backend;
pub use options::BackendOptions;
pub use s3_settings::S3Settings;

use std::{
    fmt,
    io::Read,
    ops::Range,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use super::format::CacheName;
use crate::{
    net::NetError,
    sys::{FileError, lock::Lock},
};

/// A file of a cache that was found by listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name.
    pub name: CacheName,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written last, by the cache's clock.
    pub modified: SystemTime,
}

/// What [`Backend::keep_others_out`] gives. Ends when it is dropped, and with the process.
#[derive(Debug)]
pub struct Exclusion {
    _lock: Lock,
}

/// What a file was when it was read, for who writes it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// It was not there.
    Absent,
    /// The place gave this mark to its bytes, and gives another one to others.
    Marked(String),
    /// The place gives no marks.
    Unknown,
}

/// What became of a file that was to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It was written.
    Written,
    /// Somebody else has written or removed it since it was read.
    Overtaken,
}

/// Whether somebody else may be removing files.
#[derive(Debug)]
pub enum Collectors {
    /// Nobody is, until this is dropped.
    Excluded(Exclusion),
    /// Somebody is.
    AtWork,
    /// The place itself cannot tell.
    Unknown,
}

/// Reads and writes the files of one cache. Blocks; any number of threads may use it at once.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Where the cache is.
    fn url(&self) -> &CacheUrl;

    /// Reads a whole file. One of more than `limit` bytes is [`Corruption::TooLarge`].
    fn read(&self, name: &CacheName, limit: u64) -> Result<Vec<u8>, BackendError>;

    /// Opens a part of a file. The reader ends after exactly `range.end - range.start` bytes or fails; its errors hold a [`BackendError`], see
    /// [`BackendError::from_read`]. An empty range asks nobody.
    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError>;

    /// Tells whether a file is there.
    fn exists(&self, name: &CacheName) -> Result<bool, BackendError>;

    /// Writes a file, over an older one of that name.
    ///
    /// No reader sees a part of it. It is there for readers when [`flush`](Self::flush) has returned, at the latest; files that one thread writes appear in
    /// that order.
    fn write(&self, name: &CacheName, bytes: Bytes) -> Result<(), BackendError>;

    /// Begins a file whose name is not known yet, so that its bytes need not wait for that; `None` where files can only be written whole.
    fn begin(&self) -> Result<Option<Box<dyn Growing>>, BackendError> {
        Ok(None)
    }

    /// Reads a whole file as [`read`](Self::read) does, with what [`replace`](Self::replace) wants to know.
    fn read_marked(&self, name: &CacheName, limit: u64) -> Result<(Vec<u8>, Before), BackendError> {
        Ok((self.read(name, limit)?, Before::Unknown))
    }

    /// Writes a file as [`write`](Self::write) does, unless it is something else than before. Places that cannot tell write it all the same.
    fn replace(
        &self,
        name: &CacheName,
        bytes: Bytes,
        before: &Before,
    ) -> Result<Replaced, BackendError> {
        match before {
            Before::Absent | Before::Marked(_) | Before::Unknown => self.write(name, bytes)?,
        }
        Ok(Replaced::Written)
    }

    /// Brings to disk what is written so far, where that makes the next [`flush`](Self::flush) faster. Promises nothing.
    fn write_back(&self) {}

    /// Makes everything written before visible and durable. When it fails, it may be called again.
    fn flush(&self) -> Result<(), BackendError>;

    /// Waits until nobody else holds this, and keeps others from getting it until it is dropped; `None` where writers cannot be kept apart.
    ///
    /// For whoever reads a file, adds to it and writes it: see [`flush`](Self::flush) before it is dropped.
    fn keep_others_out(&self) -> Result<Option<Exclusion>, BackendError> {
        Ok(None)
    }

    /// Becomes the only one who may remove files, if the place can keep collectors apart. Does not wait.
    fn exclude_collectors(&self) -> Result<Collectors, BackendError> {
        Ok(Collectors::Unknown)
    }

    /// Removes a file; one that is not there is no error. It stays away when [`flush`](Self::flush) has returned, at the latest.
    fn remove(&self, name: &CacheName) -> Result<(), BackendError>;

    /// Tells of every file of a kind, in no order. Files that others write or remove meanwhile may be told of or not.
    fn list(&self, kind: FileKind, found: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError>;

    /// Returns `false` if it is known that nothing can be written, so that nobody prepares an upload in vain.
    fn is_writable(&self) -> Result<bool, BackendError>;
}

/// A file that grows before it has a name. Dropped without one, it is gone.
pub trait Growing: fmt::Debug + Send {
    /// Adds bytes at the end. After an error the file is of no more use.
    fn append(&mut self, bytes: &[u8]) -> Result<(), BackendError>;

    /// Gives the file its name: from here on it is as if [`Backend::write`] had written it.
    fn finish(self: Box<Self>, name: &CacheName) -> Result<(), BackendError>;
}

/// Why a cache did not do what it was asked. Addresses are without credentials.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The cache does not have the file.
    #[error("`{file}` is not in the cache")]
    Absent {
        /// The file's address.
        file: String,
    },
    /// The cache does not let this user do that.
    #[error("`{file}` is denied: {need}")]
    Denied {
        /// The file's address.
        file: String,
        /// What is missing.
        need: Need,
    },
    /// The server wants to be asked later.
    #[error("the server of `{file}` is busy ({code})")]
    Busy {
        /// The file's address.
        file: String,
        /// The HTTP status.
        code: u16,
        /// When, if it told.
        retry_after: Option<Duration>,
    },
    /// There was no answer, or only the beginning of one.
    #[error("cannot reach `{file}`")]
    Unreachable {
        /// The file's address.
        file: String,
        /// Why.
        #[source]
        source: NetError,
    },
    /// What came is not what was asked for.
    #[error("the cache sent something else than `{file}`: {problem}")]
    Corrupt {
        /// The file's address.
        file: String,
        /// What is wrong with it.
        problem: Corruption,
    },
    /// The server answered with a status that says nothing of the above.
    #[error("the server of `{file}` answered {code}")]
    Refused {
        /// The file's address.
        file: String,
        /// The HTTP status.
        code: u16,
    },
    /// Caches of this kind cannot do that.
    #[error("the cache `{cache}` cannot {action}")]
    Unsupported {
        /// The cache's address.
        cache: String,
        /// What was asked of it, as a verb.
        action: &'static str,
    },
    /// Credentials are at hand, but everybody on the way could read them.
    #[error("the credentials for `{cache}` are not sent over an unencrypted connection")]
    Plaintext {
        /// The cache's address.
        cache: String,
    },
    /// What is configured for the cache makes no sense.
    #[error("the settings of the cache `{cache}` do not fit: {reason}")]
    Settings {
        /// The cache's address.
        cache: String,
        /// Why not.
        reason: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}
