//! Which license words stand for: what is exactly a known text is evidence, what is nearly one is for people.
//!
//! The known texts are those of the SPDX license list, which the build script turns into a table of digests, and the standard headers that the lists of
//! licenses describe in words. A text of the GNU family is found as the family (`GPL-2.0`, SPDX's old name): which versions may be chosen is said by
//! those who use it, not by the text.

mod headers;
mod matching;
mod table;
#[cfg(test)]
mod tests;

pub(super) use matching::{Match, find_licenses, is_expression, similar_license, whole_license};
