//! The license of a package of Debian, from its copyright file where a machine can read it.
//!
//! Format: "Machine-readable debian/copyright file", version 1.0 (DEP-5). It is a maintainer's statement about the software of others, so that what comes out
//! is weak evidence; and it is never less than the file says: a license without a name in SPDX becomes a `LicenseRef-Debian-…` that no list allows by chance.
//!
//! * `read`: paragraphs, what each demands, and whose work it is. Pure.
//! * `synopsis`: the first line of a license field, `GPL-2+ or Artistic, and Expat`. Pure.
//! * `short_names`: the names of one license. Pure.

mod read;
mod short_names;
mod synopsis;

pub(super) use read::find_holders;
pub(crate) use read::find_license;
