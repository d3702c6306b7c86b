//! What packages of others say of themselves: who made them, and where.

use serde::{Deserialize, Serialize};

/// What a package of others says of itself in the file that its package manager reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// The file in the archive that says so, for instance `numpy-2.2.0.dist-info/METADATA`.
    pub path: String,
    /// Who made it, in the order in which it names them; no duplicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makers: Vec<Maker>,
    /// Its home page, else where its sources are kept, on the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Its license, where a field says that whose values each mean one license of SPDX: of a wheel, its classifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// Who made a package, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maker {
    /// The name; of whom only an address is stated, that.
    pub name: String,
    /// Where mail is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A page on the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
