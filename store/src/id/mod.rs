//! The names of everything: digests, store paths, scratch paths. Pure.
//!
//! Invariant: a value of these types is well formed, and its `Display` and `FromStr` are inverses — one text for each
//! value, one value for each text. Nothing here touches a disk.
//!
//! ```
//! use store::{ObjectId, StoreName, StorePath};
//!
//! let id = ObjectId::from_bytes([7; 32]);
//! let path = StorePath::new(id.path_digest(), "hello-2.12".parse::<StoreName>()?);
//! assert_eq!(path.to_string().parse::<StorePath>()?, path);
//! assert!(path.to_logical().starts_with("/pith/store/"));
//! # Ok::<(), store::IdError>(())
//! ```

mod base32;
mod digest;
mod name;
mod scratch;
mod store_path;
mod text;

pub(crate) use self::name::MAX_LENGTH as MAX_NAME_LENGTH;
pub(crate) use self::text::serde_as_text;
pub use self::{
    base32::{ALPHABET, is_digit},
    digest::{BlobId, ObjectId, PackDigest, PathDigest, PlanDigest, ResolvedDigest, TreeId},
    name::StoreName,
    scratch::scratch_path,
    store_path::{STORE_DIR, StorePath},
};

/// Why a text is not the name of anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A digest does not begin with its algorithm.
    #[error("`{text}` is not a digest: it does not begin with `blake3:`")]
    Algorithm {
        /// What was given.
        text: String,
    },
    /// A digest does not have 64 lower-case hexadecimal digits.
    #[error("`{text}` is not a digest: 64 lower-case hexadecimal digits must follow `blake3:`")]
    Hexadecimal {
        /// What was given.
        text: String,
    },
    /// A path digest does not have 40 digits of the alphabet.
    #[error(
        "`{text}` is not the digest of a store path: 40 of the characters `0-9a-z` without `e`, `o`, `t`, `u` are wanted"
    )]
    Base32 {
        /// What was given.
        text: String,
    },
    /// The name part of a store path is empty or too long.
    #[error("the name `{name}` has {length} bytes; 1 to 200 are allowed")]
    NameLength {
        /// What was given.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The name part of a store path has a character that is not allowed.
    #[error(
        "the name `{name}` has the character {character:?}; only letters, digits and `+._?=-` are allowed"
    )]
    NameCharacter {
        /// What was given.
        name: String,
        /// The first offender.
        character: char,
    },
    /// The name part of a store path begins with a dot.
    #[error("the name `{name}` begins with a dot")]
    NameDot {
        /// What was given.
        name: String,
    },
    /// A store path has no `-` after its digest.
    #[error("`{text}` is not a store path: `<40 characters>-<name>` is wanted")]
    NoName {
        /// What was given.
        text: String,
    },
    /// A logical path does not lie directly in the store directory.
    #[error("`{text}` is not a store path: it does not lie directly in `/pith/store`")]
    OutsideStore {
        /// What was given.
        text: String,
    },
}
