//! Debian packages as one tree: what `apt` would put below `/usr`, without running anything.
//!
//! **Invariant.** Whatever a package contains, files appear only below the directory that the caller gave, every one by a
//! path whose directories are real, and the result depends only on the packages, the links and the patterns: not on the
//! order in which threads finish.
//!
//! A `.deb` is an `ar` archive (`ar.rs`) with a compressed tar inside (`members.rs`). Members move to where a system with a
//! merged `/usr` has them (`path.rs`); all packages are unpacked at once, and `tree.rs` refuses what two of them would
//! both write.
//!
//! Format: deb(5), "deb-2.0"; tar as in `ustar` with GNU long names and PAX records.

mod ar;
mod members;
mod open;
mod path;
mod tree;
mod unpack;

use std::io;

pub(crate) use open::open_files;
pub use open::{read_control, read_file, unpack_control};
pub(crate) use path::place as merged_place;
pub use unpack::{DebFile, unpack};

pub use super::glob::Glob;

/// Which members of packages become part of a tree, and what is added.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What is left out, with everything below it.
    pub drop: Vec<Glob>,
    /// What stays although `drop` covers it.
    pub keep: Vec<Glob>,
    /// What is taken; everything when empty.
    pub include: Vec<Glob>,
    /// Symbolic links to add or to put in the place of members: path in the tree and target.
    pub links: std::collections::BTreeMap<String, String>,
}

/// Why packages could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The file is not what deb(5) describes.
    #[error("`{deb}` is no Debian package: {problem}")]
    Format {
        /// The package.
        deb: String,
        /// What is wrong, with the member's name where there is one.
        problem: String,
    },
    /// Reading or decompressing the package failed.
    #[error("cannot read `{deb}`")]
    Read {
        /// The package.
        deb: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A member's name would lead out of the tree, or is not one.
    #[error("`{deb}` has a member with the unsafe name `{member}`")]
    UnsafeName {
        /// The package.
        deb: String,
        /// The member, escaped.
        member: String,
    },
    /// A member is neither file, directory, symbolic nor hard link.
    #[error("`{deb}` has the member `{member}`, which is a {kind}")]
    Special {
        /// The package.
        deb: String,
        /// The member.
        member: String,
        /// What it is.
        kind: &'static str,
    },
    /// A hard link names nothing that was unpacked from the same package before.
    #[error("`{deb}` has the hard link `{member}` to `{target}`, which is no file of it")]
    HardLink {
        /// The package.
        deb: String,
        /// The link.
        member: String,
        /// What it names.
        target: String,
    },
    /// Two packages, or one twice, have different things at one place.
    #[error("both `{first}` and `{second}` have `{path}`")]
    Conflict {
        /// The place in the tree.
        path: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// More came out of a package than a package may have.
    #[error("`{deb}` unpacks to more than {limit} {what}")]
    TooLarge {
        /// The package.
        deb: String,
        /// Of what too many.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// A file of the tree could not be written.
    #[error("cannot write `{path}` of the tree")]
    Write {
        /// The place in the tree.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The user stopped it.
    #[error("unpacking was interrupted")]
    Cancelled,
}
