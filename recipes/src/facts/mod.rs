//! What is observed of an output when it is registered, and how that becomes its object of [facts](store::facts).
//!
//! A recipe declares; here is looked: at the archives and trees that went into a build, at the patches that were applied to them, at what the linker
//! recorded, and at the files that came out. Nothing here is part of an identity, and nothing concludes: who judges is `pack`.
//!
//! **Invariant.** Facts depend on the derivation, its sources, the records of its builder and its outputs, and on nothing else: no time, no machine, no order of
//! threads. What comes out of archives and from builders is hostile until proven otherwise: it is read in bounded amounts, no link is followed, and what
//! cannot be read is said to be unread rather than an error.
//!
//! * `observe`: the public door, from a build to objects to add.
//! * `ingredients`: which sources a derivation has, and what each is for. Pure.
//! * `archive` reads the members of archives and trees.
//! * `kept`: what was read of an archive, for the next build.
//! * `files`: the digests of an output's files.
//! * `texts`: what the files of a source say of licenses, by `names`, `heads`, `words` and `license`. Pure.
//! * `tagged`: what a file's tag says more exactly than the words below it. Pure.
//! * `copyright`: the license that a package of Debian says that it has. Pure.
//! * `stated`: what packages of others say of their makers.
//! * `links`: what programs and libraries were linked of.
//! * `toolchain`: which packages of the seed brought what a result has of the toolchain. Pure.
//! * `patches`: which patches were applied, and what they say of themselves. Pure.

mod archive;
mod copyright;
mod digests;
mod error;
mod files;
mod heads;
mod ingredients;
mod kept;
mod license;
mod links;
mod names;
mod observe;
mod patches;
mod source;
mod stated;
mod tagged;
mod texts;
mod toolchain;
mod words;

pub(crate) use copyright::find_license;
pub use error::ObserveError;
pub(crate) use links::{LinkedOutput, Records, copied, load as load_links, used};
pub(crate) use observe::{DOCUMENT, LinksFrom, Observed, Observer, OutputFacts};
pub use texts::{FileTexts, read_file_texts};
