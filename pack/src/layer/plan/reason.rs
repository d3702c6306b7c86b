//! Why a layer is what it is.

use std::fmt;

/// Why the paths of a layer are together. Printed for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerReason {
    /// The layer was published before, in this image or another one.
    Published,
    /// The layer is much like one that the image had before.
    Kept,
    /// The rule with this name wants it.
    Rule(String),
    /// All is of this origin.
    Origin(String),
    /// It is cheapest to fetch what these many origins have together.
    Merged(usize),
    /// Only one layer is wanted.
    Single,
    /// A layer for each path is wanted; this is one, or what is left over.
    PerPath,
}

impl fmt::Display for LayerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published => f.write_str("published before"),
            Self::Kept => f.write_str("kept from the last plan"),
            Self::Rule(name) => write!(f, "rule `{name}`"),
            Self::Origin(origin) => write!(f, "all of `{origin}`"),
            Self::Merged(origins) => write!(f, "{origins} origins that cost least together"),
            Self::Single => f.write_str("all in one layer"),
            Self::PerPath => f.write_str("a layer for each path"),
        }
    }
}
