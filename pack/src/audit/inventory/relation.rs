//! In which way one component uses another.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// In which way one component uses another. Ordered from what joins them most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// It is copied in by the linker.
    Static,
    /// Its source is part of the other's.
    Vendored,
    /// It is a shared library that is loaded at start.
    Needed,
    /// It is a shared library that is loaded on demand.
    Dlopen,
    /// It runs the other: a loader or a `#!` line.
    Interpreter,
    /// The other names it, for instance to start it.
    Reference,
    /// It built the other, and is not in it.
    Build,
}

/// The text names no relation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no relation `{0}`")]
pub struct UnknownRelation(pub String);

impl Relation {
    /// Every relation, from what joins most.
    pub const ALL: [Self; 7] = [
        Self::Static,
        Self::Vendored,
        Self::Needed,
        Self::Dlopen,
        Self::Interpreter,
        Self::Reference,
        Self::Build,
    ];

    /// Returns its name, as policies have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Vendored => "vendored",
            Self::Needed => "needed",
            Self::Dlopen => "dlopen",
            Self::Interpreter => "interpreter",
            Self::Reference => "reference",
            Self::Build => "build",
        }
    }

    /// Returns it as a verb between two components: `hello links statically zlib`.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Static => "links statically",
            Self::Vendored => "has in its source",
            Self::Needed => "links dynamically",
            Self::Dlopen => "loads on demand",
            Self::Interpreter => "is run by",
            Self::Reference => "refers to",
            Self::Build => "is built by",
        }
    }

    /// Returns whether the component becomes part of the other one.
    #[must_use]
    pub const fn joins(self) -> bool {
        matches!(self, Self::Static | Self::Vendored)
    }
}

impl FromStr for Relation {
    type Err = UnknownRelation;

    fn from_str(text: &str) -> Result<Self, UnknownRelation> {
        let found = Self::ALL
            .into_iter()
            .find(|relation| relation.as_str() == text);
        found.ok_or_else(|| UnknownRelation(text.to_owned()))
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Relation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
