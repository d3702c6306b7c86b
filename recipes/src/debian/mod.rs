//! Debian's archive as values: versions, signed indexes, the resolution of dependencies, and the lock file that pins its result.
//!
//! **Invariant.** Nothing is taken from an index whose release file was not signed by a key of the caller's keyring, was
//! not in date, or did not promise the index's digest; and the same indexes and the same request always resolve to the
//! same bytes of a [`Lock`].
//!
//! The way from names to packages: a [`Release`] is read out of a signed `InRelease` by [`Keyring::verify`]; it promises
//! the digests of indexes; several of them make a [`Universe`]; [`resolve`] chooses packages from it for a [`Request`];
//! the [`Lock`] that results is all that later steps need; a [`LockFile`] keeps those of several architectures.
//!
//! Pure: knows no network, no store and no clock. Fetching is in [`source`](crate::source), making objects in
//! [`build`](crate::build).

mod companions;
mod control;
mod lock;
mod lock_error;
mod lock_file;
mod packages;
mod prune;
mod relation;
mod release;
mod resolve;
mod signature;
mod source_package;
mod source_version;
mod universe;

pub use lock::{Lock, LockedPackage, LockedSuite};
pub use lock_error::LockError;
pub use lock_file::LockFile;
pub use packages::{SetError, SetOptions, set_of, tree_of};
pub use prune::default_prune;
pub use release::{IndexEntry, Release, ReleaseError};
pub use resolve::{Request, ResolutionError, resolve};
pub use signature::{Keyring, SignatureError};
pub use source_package::{
    SourceFile, SourceName, SourcePackage, built_using, find_sources, source_of, source_package,
};
pub use store::{DebVersion, VersionError};
pub use universe::{IndexError, IndexText, Universe};

pub(crate) use control::{Stanza, stanzas};
pub(crate) use source_version::{keep_source_version, with_source_version};

/// Whether a text can name a package (Debian Policy 5.6.1).
pub use relation::is_name;
