//! What programs and libraries were linked of.
//!
//! The linker of the collection leaves a record of each link in the build directory, with a hard link to what came out, because a build renames, strips and
//! patches what it has linked. A file of an output is the result of the link whose result has the same machine code: neither strip nor patchelf changes
//! that. What a file needs at run time is read from the file itself.
//!
//! Records are a builder's. They are read by directory descriptors, in bounded amounts, and nothing is followed; a builder can only lie about itself.

mod copied;
mod inputs;
mod load;
mod needs;
mod observe;
mod record;
mod used;

pub(crate) use copied::copied;
pub(crate) use load::load;
pub(crate) use observe::LinkedOutput;
pub(super) use observe::links;
pub(crate) use record::Records;
pub(crate) use used::used;
