//! What one asks of a bill.

use std::{collections::BTreeMap, fmt, str::FromStr};

use store::StorePath;
use thiserror::Error;

use super::{Checksum, Party};
use crate::{
    audit::{Gathered, conclusions, inventory::Inventory, policy::Policy},
    oci::{Digest, ImageName, Timestamp},
};

/// What a bill says beside what is recorded.
#[derive(Debug, Clone, Default)]
pub struct BillOptions {
    /// When it claims to be made; the same for all, if nobody says.
    pub created: Timestamp,
    /// Who answers for the bill.
    pub author: Option<Party>,
    /// Who passes the software on.
    pub supplier: Option<Party>,
    /// Which files are listed.
    pub files: FileDetail,
    /// The licenses that somebody concluded, by store path.
    pub concluded: BTreeMap<StorePath, String>,
    /// The same of software without a store path of its own, by package URL.
    pub concluded_parts: BTreeMap<String, String>,
}

impl BillOptions {
    /// Takes over what `policy` concludes of the licenses in the closure of `requested`, as an audit by it does, and where it says nothing what this project has
    /// read in the copyright files of Debian's packages.
    pub fn conclude(&mut self, gathered: &Gathered, requested: &[StorePath], policy: &Policy) {
        let inventory = Inventory::of_closure(gathered, requested);
        for (key, license) in conclusions(&inventory, policy) {
            match StorePath::from_logical(&key) {
                Ok(path) => drop(self.concluded.insert(path, license.to_string())),
                Err(_) => drop(self.concluded_parts.insert(key, license.to_string())),
            }
        }
    }
}

/// What a bill is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// An image or a closure.
    pub kind: SubjectKind,
    /// Its name.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// Its package URL, where it has one.
    pub purl: Option<String>,
    /// Digests of the manifest, of an image.
    pub checksums: Vec<Checksum>,
    /// The image that it lies on.
    pub base: Option<SubjectBase>,
    /// The files that no store path has: path in the image and bytes.
    pub generated: Vec<(String, Vec<u8>)>,
}

/// An image on which another one lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectBase {
    /// What it is called, if it says so.
    pub name: Option<ImageName>,
    /// The digest of its manifest.
    pub digest: Digest,
}

/// What kind of thing a bill is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    /// An image.
    Image,
    /// Store paths and all that they need.
    Closure,
}

impl Subject {
    /// A closure that is called `name`.
    #[must_use]
    pub fn closure(name: &str, version: Option<&str>) -> Self {
        Self {
            kind: SubjectKind::Closure,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            purl: None,
            checksums: Vec::new(),
            base: None,
            generated: Vec::new(),
        }
    }
}

/// Which files a bill lists. Parsed from its name, and printed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileDetail {
    /// None: digests of components are over all of their files all the same.
    #[default]
    None,
    /// Those of which it is known what they were linked of. SPDX 2.3 cannot list some files of a package, and lists none.
    Linked,
    /// Every regular file.
    All,
}

/// The text is no detail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not one of `none`, `linked` and `all`")]
pub struct UnknownDetail {
    /// The text.
    pub text: String,
}

const DETAILS: [(FileDetail, &str); 3] = [
    (FileDetail::None, "none"),
    (FileDetail::Linked, "linked"),
    (FileDetail::All, "all"),
];

impl fmt::Display for FileDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut details = DETAILS.iter();
        let found = details.find(|(detail, _)| detail == self);
        f.write_str(found.map_or("", |(_, name)| name))
    }
}

impl FromStr for FileDetail {
    type Err = UnknownDetail;

    fn from_str(text: &str) -> Result<Self, UnknownDetail> {
        let mut details = DETAILS.iter();
        let found = details.find(|(_, name)| *name == text);
        let unknown = || UnknownDetail {
            text: text.to_owned(),
        };
        found.map(|(detail, _)| *detail).ok_or_else(unknown)
    }
}
