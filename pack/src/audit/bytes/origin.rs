//! Where bytes come from.

use std::fmt;

use serde::{Serialize, Serializer};
use store::StorePath;

/// Where an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ByteOrigin {
    /// A store path, of which it is a file, a link or a directory.
    Object(StorePath),
    /// Something that every image has, or that was asked for.
    Rule(Rule),
    /// A layer of somebody else, below the image's own; what is in it, its bill says or nobody.
    Base,
    /// A package at the root that this store does not have, so that nothing tells whether it is the package's.
    Untold,
    /// Nothing that is known.
    Unknown,
}

/// The rules that make entries of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The directories above all store paths.
    StoreDirectories,
    /// Directories above something else, `/tmp`, volumes and the working directory.
    Directories,
    /// Links to what is in the image.
    Links,
    /// Files of `/etc` that the C library reads.
    Accounts,
    /// The bill of materials.
    Bill,
    /// What the image's specification asks for.
    Asked,
}

impl Rule {
    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StoreDirectories => "store-directories",
            Self::Directories => "directories",
            Self::Links => "links",
            Self::Accounts => "accounts",
            Self::Bill => "bill-of-materials",
            Self::Asked => "asked-for",
        }
    }
}

impl fmt::Display for ByteOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(path) => f.write_str(&path.to_logical()),
            Self::Rule(rule) => write!(f, "rule:{}", rule.name()),
            Self::Base => f.write_str("base"),
            Self::Untold => f.write_str("undecided"),
            Self::Unknown => f.write_str("unattributed"),
        }
    }
}

impl Serialize for ByteOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
