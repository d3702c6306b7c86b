//! Files from outside: from an address and a digest to verified bytes on disk.
//!
//! **Invariant.** Nothing leaves this folder whose bytes were not hashed as they were written and found equal to the
//! digest that the recipe states. Who served them, over which way and in how many pieces never matters after that.
//!
//! * [`MirrorTable`] turns `mirror://NAME/path` into addresses; [`machine`] finds what this machine is set up to use.
//! * [`Fetcher`] transfers one file: several addresses in order, retries with growing pauses, resumption across processes.
//! * [`Glob`] is the pattern of recipes for paths.
//! * [`archive`] reads Debian's signed indexes. What has no digest beforehand, its release files, is believed for its signature.
//! * [`deb`] unpacks Debian packages into one tree.
//! * [`local`] takes the files of a project as they are now, without what is ignored and without secrets.
//!
//! Not responsible for: putting anything into the store, or deciding what has to be fetched (that is
//! [`build`](crate::build)).

pub mod archive;
pub mod deb;
mod document;
mod error;
mod fetch;
mod glob;
mod http;
mod index;
pub mod local;
pub mod machine;
mod mirrors;
mod partial;
mod retry;

pub use error::{Attempt, AttemptError, FetchError, WrongDigest};
pub use fetch::{Download, FetchOptions, FetchRequest, Fetcher};
pub use glob::{Glob, GlobError};
pub use mirrors::{Address, MirrorError, MirrorTable};
pub(crate) use partial::remove_expired;
pub use store::net::{Proxies, Timeouts};
