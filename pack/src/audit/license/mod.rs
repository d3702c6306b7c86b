//! Licenses: expressions, what they ask for, and whether what is declared covers what was found. Pure.

mod assess;
mod category;
mod choice;
mod covers;
mod expression;
mod meant;
mod scope;

use meant::what_was_meant;
use thiserror::Error;

pub use assess::{
    Assessment, Basis, Concluded, Detected, Evidence, Meaning, assess, meaning_of_place,
};
pub use category::{Category, UnknownCategory};
pub use choice::{Choice, Chosen, choose};
pub use covers::{Statement, covers};
pub use expression::{Expression, Term};
pub use scope::is_shipped;

/// Why a text is no license expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LicenseError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is longer than any should be.
    #[error("it has {bytes} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// SPDX has given the name up, because it does not say whether later versions may be used.
    #[error("`{name}` is a name that SPDX has given up")]
    Deprecated {
        /// The name.
        name: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// A word is no name of SPDX.
    #[error("SPDX knows no `{name}`")]
    Unknown {
        /// The word.
        name: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// The words do not make an expression.
    #[error("`{text}` is no expression: {problem}, at column {column}")]
    Grammar {
        /// The whole text.
        text: String,
        /// Where.
        column: usize,
        /// What is wrong.
        problem: String,
        /// What was probably meant.
        meant: Option<String>,
    },
}

impl LicenseError {
    /// Returns the expression that was probably meant: for a person to check.
    #[must_use]
    pub fn meant(&self) -> Option<&str> {
        match self {
            Self::Empty | Self::TooLong { .. } => None,
            Self::Deprecated { meant, .. }
            | Self::Unknown { meant, .. }
            | Self::Grammar { meant, .. } => meant.as_deref(),
        }
    }
}
