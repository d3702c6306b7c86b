//! The generated root of an image: the few files that are not in any store object.
//!
//! `/bin/<program>` links, `/etc/{passwd,group,nsswitch.conf,hosts}`, `/tmp`, links to certificates and time zones where a package has them, what the image
//! asks for, and the bill of materials. Everything is collected in one [`RootTree`], which refuses two answers for one path.

mod accounts;
mod path;
mod programs;
mod root_set;
mod status;
mod tree;
mod user;

use std::{io, path::PathBuf};

use thiserror::Error;

pub(crate) use accounts::{
    ETC_FILES, GROUP_FILE, HOME, PASSWD_FILE, SHELL, etc_files, is_bill, is_generated,
};
pub use path::RootPath;
pub(crate) use programs::{Provided, find_programs, provides};
pub(crate) use root_set::{ROOT_DIRECTORY, merged};
pub use root_set::{RootSet, SetGroup, SetUser};
pub(crate) use status::list_architectures;
pub(crate) use tree::GENERATED;
pub use tree::{RootEntry, RootTree};
pub use user::User;

/// Where programs are looked for in an image with the directories that distributions have.
pub(crate) const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the root of an image could not be put together.
#[derive(Debug, Error)]
pub enum RootFsError {
    /// Two things want to be at one path.
    #[error("`/{path}` of the image has two owners: {first} and {second}")]
    Conflict {
        /// The path, relative to the image's root.
        path: RootPath,
        /// Who was first.
        first: String,
        /// Who came second.
        second: String,
    },
    /// A path of the image is not absolute and plain.
    #[error("`{text}` cannot be a path of an image: {problem}")]
    Path {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The text names no user.
    #[error(
        "`{text}` is not a user: it must be `uid`, `uid:gid` or a name of lower-case letters, digits, `_` and `-`"
    )]
    User {
        /// The text.
        text: String,
    },
    /// A link points into a store path that the image does not hold.
    #[error("the link `{link}` points to `{target}`, which is not in the image")]
    Dangling {
        /// The link.
        link: String,
        /// Its target.
        target: String,
    },
    /// The description of packages that lie at the root is damaged.
    #[error("`{}` is damaged: {problem}", path.display())]
    Set {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A directory of the store could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
