//! Keys, signatures, and what is believed because of them. Pure, but for [`SecretKey::generate`].
//!
//! Invariant: only a [`Statement`] is ever signed or verified, so that a signature made for one purpose never serves another; a secret key is never
//! printed by `Debug`, never part of an error, and overwritten in memory when dropped.
//!
//! ```
//! use store::trust::{SecretKey, Statement};
//! use store::ObjectId;
//!
//! let key = SecretKey::from_seed("example-1".parse()?, &[7; 32]);
//! let statement = Statement::component(&ObjectId::from_bytes([1; 32]), r#"{"name":"hello"}"#);
//! let signature = key.sign(&statement);
//! assert!(key.public().verifies(&statement, &signature));
//! # Ok::<(), store::cache::trust::TrustError>(())
//! ```
//!
//! Signatures are ed25519 (RFC 8032), verified strictly: no keys or commitments of small order, one encoding for each number and point.

mod date;
mod encoding;
mod key;
mod known;
mod pem;
mod policy;
mod signature;
mod signed;
mod statement;

pub use self::{
    date::Date,
    key::{KeyName, PublicKey, SecretKey},
    known::{Signatures, SignedComponent},
    pem::decode_pem,
    policy::{Group, Policy, PolicyRules, Reason, Revocation, TrustedKey, Verdict},
    signature::{MAX_SIGNATURES, Signature, SignatureSet},
    signed::SignedRealisation,
    statement::Statement,
};

/// Why a text is no key, no signature or no day. Holds no part of a key but the name before its colon, since the rest may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The text is no public key in PEM of a kind that is known.
    #[error("this is not a public key in PEM of a kind that is known")]
    Pem,
    /// A name is empty or too long.
    #[error("a key's name has {length} bytes; 1 to 64 are allowed")]
    NameLength {
        /// Its length in bytes.
        length: usize,
    },
    /// A name has a character that is not allowed.
    #[error(
        "a key's name has the character {character:?}; only letters, digits and `._-` are allowed"
    )]
    NameCharacter {
        /// The first offender.
        character: char,
    },
    /// Nothing separates a name from what follows.
    #[error("the text is no {wanted}: `<name>:<base64>` is wanted")]
    NoName {
        /// What the text should be.
        wanted: &'static str,
    },
    /// What follows the name is not the one canonical base64 of anything.
    #[error("the {wanted} `{name}` is not written in base64")]
    Base64 {
        /// What the text should be.
        wanted: &'static str,
        /// Its name.
        name: KeyName,
    },
    /// What follows the name has the wrong length.
    #[error("the {wanted} `{name}` has {found} bytes, but a {wanted} has {expected}")]
    Length {
        /// What the text should be.
        wanted: &'static str,
        /// Its name.
        name: KeyName,
        /// How many bytes it must have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The bytes are no public key that is safe to use.
    #[error("the public key `{name}` is not one that a secret key can have")]
    NotAKey {
        /// Its name.
        name: KeyName,
    },
    /// The two halves of a secret key do not belong together.
    #[error("the secret key `{name}` is damaged: its halves do not belong together")]
    Halves {
        /// Its name.
        name: KeyName,
    },
    /// One statement has more signatures than anybody needs.
    #[error("there are {count} signatures of one statement; at most {MAX_SIGNATURES} are allowed")]
    TooManySignatures {
        /// How many.
        count: usize,
    },
    /// A text is no day.
    #[error("`{text}` is no day from 1970-01-01 to 9999-12-31, written `YYYY-MM-DD`")]
    Date {
        /// What was given.
        text: String,
    },
    /// The system has no randomness for a new key.
    #[error("the system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
}
