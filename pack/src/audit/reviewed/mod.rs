//! What this project has read in the copyright files of packages that nearly every closure of Debian has, and that only people can read.
//!
//! Each entry of `notices.toml` is keyed by the digest of the words of a file, so that it says nothing of a file that says something else; and by the names of
//! packages, because one file speaks for all packages of a source. What somebody's own policy says of the same words goes before it.
//!
//! An entry that fits nothing is no error, as one of a policy is: the table is for every closure.

mod table;

pub(super) use table::find;
