//! The parts of a bill.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use store::{ObjectId, StorePath, UseKind};

use super::super::uuid::uuid;
use crate::oci::Timestamp;

/// What is in an image or a closure. Plain data: a caller may change it, and [`check`](Self::check) tells whether it still hangs together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// What it is about, for people.
    pub name: String,
    /// When it claims to be made.
    #[serde(serialize_with = "as_text")]
    pub created: Timestamp,
    /// Who answers for it, where that is known.
    pub author: Option<Party>,
    /// The root first; then store paths, each followed by what it contains; then what is linked into them and lies elsewhere. Ascending by identifier.
    pub components: Vec<BillComponent>,
    /// How they hang together; sorted, no duplicates.
    pub relations: Vec<Relation>,
    /// Files, by owner and path; as many as were asked for.
    pub files: Vec<BillFile>,
    /// Whether every regular file is among [`files`](Self::files).
    pub files_are_complete: bool,
    /// The text of each license that SPDX has no name for.
    pub texts: BTreeMap<String, String>,
}

/// A person or an organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Party {
    /// What it is called.
    pub name: String,
    /// Where it reads mail.
    pub email: Option<String>,
    /// Its home page.
    pub url: Option<String>,
}

/// One piece of software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillComponent {
    /// What names it in the bill: letters, digits and `-`; unique.
    pub id: String,
    /// How it is part of the whole.
    pub kind: ComponentKind,
    /// Its name.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// One line about it.
    pub description: Option<String>,
    /// Its home page, where that is on the web.
    pub homepage: Option<String>,
    /// Where it lies, of a store path.
    pub object: Option<(StorePath, ObjectId)>,
    /// The license that is declared for it, a strict SPDX expression.
    pub declared: Option<String>,
    /// The license under which it is passed on: what a policy concluded, else what is declared where nothing observed contradicts it.
    pub concluded: Option<String>,
    /// Where the declared license was read, if no recipe declares it.
    pub evidence: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
    /// Its CPE 2.3 name, only if somebody stated it.
    pub cpe: Option<String>,
    /// Who made it, as its package says itself.
    pub makers: Vec<Party>,
    /// Where its makers and its home page were read, if no recipe names these.
    pub makers_evidence: Option<String>,
    /// Whether it is a mere list of others, such as packages of Debian that are put together.
    pub is_set: bool,
    /// Who passes it on, where that is known.
    pub supplier: Option<Party>,
    /// The file or directory that it is delivered as.
    pub filename: Option<String>,
    /// Digests of what it is delivered as: of a file itself, of a directory those of the list of its files.
    pub checksums: Vec<Checksum>,
    /// How [`checksums`](Self::checksums) are made, where it is no single file.
    pub checksum_of: Option<String>,
    /// Whether it has something that may be executed.
    pub is_executable: bool,
    /// What it is made from.
    pub sources: Vec<BillSource>,
    /// What was changed in that, in order of application.
    pub patches: Vec<BillPatch>,
    /// Statements of copyright, sorted.
    pub copyrights: Vec<String>,
    /// Whether everything that it depends on is known.
    pub is_complete: bool,
}

/// How a component is part of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ComponentKind {
    /// It is the image that the bill is about.
    Image,
    /// It is the closure that the bill is about.
    Closure,
    /// A store path.
    Object,
    /// Software that came in a store path and was compiled or copied into it.
    Contained,
    /// Software of another store path or of the toolchain, of which something was linked in.
    Linked,
    /// The image on which the one lies that the bill is about. What is in it, its own bill says.
    Base,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Checksum {
    /// `SHA-1`, `SHA-256` or `SHA-512`.
    pub algorithm: &'static str,
    /// In hex.
    pub value: String,
}

/// An archive or tree that software was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillSource {
    /// Its file name.
    pub name: String,
    /// Where it can be fetched, best first.
    pub urls: Vec<String>,
    /// Its digests.
    pub checksums: Vec<Checksum>,
}

/// A change that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillPatch {
    /// Its file name.
    pub name: String,
    /// SHA-256 in hex.
    pub sha256: String,
    /// The vulnerabilities that its header says it fixes.
    pub fixes: Vec<String>,
}

/// How two components hang together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Relation {
    /// The identifier of one.
    pub from: String,
    /// In which way.
    pub kind: RelationKind,
    /// The identifier of the other.
    pub to: String,
    /// What shows it: a file and an offset, an archive and its members; may be empty.
    pub evidence: String,
}

/// In which way two components hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum RelationKind {
    /// The other is part of it.
    Contains,
    /// It needs the other when it runs.
    DependsOn,
    /// Something of the other was copied into it by the linker.
    StaticLink,
    /// A file of it needs one of the other when it runs.
    Uses(UseKind),
    /// It lies on the other.
    DescendantOf,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BillFile {
    /// The identifier of the component that it is of.
    pub owner: String,
    /// Its place in that, `/` between names; empty where the component is the file.
    pub path: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Whether it may be executed.
    pub is_executable: bool,
    /// SHA-1, SHA-256 and SHA-512.
    pub checksums: [Checksum; 3],
}

impl Bill {
    /// Returns the component that the bill is about.
    #[must_use]
    pub fn root(&self) -> Option<&BillComponent> {
        self.components.first()
    }

    /// Returns the identifier of the document in this format: other content, another identifier.
    pub(in super::super) fn serial(&self, format: &str) -> String {
        let mut hasher = Sha256::new();
        let written = serde_json::to_writer(HashWriter(&mut hasher), self);
        written.expect("a bill is plain data, and a hasher takes everything");
        let mut name = format.as_bytes().to_vec();
        name.extend_from_slice(&hasher.finalize());
        uuid(&name)
    }

    /// Returns the images that a component lies on.
    pub(in super::super) fn bases_of(&self, id: &str) -> impl Iterator<Item = &BillComponent> {
        let relations = self.relations_of(id).iter();
        let bases = relations.filter(|one| one.kind == RelationKind::DescendantOf);
        bases.filter_map(|one| self.components.iter().find(|other| other.id == one.to))
    }

    /// Returns the files of a component. Fast: files are sorted by owner.
    #[must_use]
    pub fn files_of(&self, id: &str) -> &[BillFile] {
        let start = self.files.partition_point(|file| file.owner.as_str() < id);
        let end = self.files.partition_point(|file| file.owner.as_str() <= id);
        &self.files[start..end]
    }

    /// Returns what goes out from a component. Fast: relations are sorted by their beginning.
    pub fn relations_of(&self, id: &str) -> &[Relation] {
        let before = |relation: &Relation| relation.from.as_str() < id;
        let start = self.relations.partition_point(before);
        let until = |relation: &Relation| relation.from.as_str() <= id;
        &self.relations[start..self.relations.partition_point(until)]
    }
}

impl BillComponent {
    /// Returns its version; of software without one, what changes with its content.
    pub(in super::super) fn any_version(&self) -> Option<String> {
        let version = self.version.clone();
        let of_object = || Some(self.object.as_ref()?.0.digest().to_string());
        let of_whole = || Some(self.checksums.first()?.value.clone());
        match self.kind {
            ComponentKind::Image | ComponentKind::Closure => version.or_else(of_whole),
            _ => version.or_else(of_object),
        }
    }
}

impl Checksum {
    pub(in super::super) fn sha256(value: impl Into<String>) -> Self {
        Self {
            algorithm: "SHA-256",
            value: value.into(),
        }
    }

    pub(in super::super) fn sha512(value: impl Into<String>) -> Self {
        Self {
            algorithm: "SHA-512",
            value: value.into(),
        }
    }
}

/// Hashes what is written.
struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn as_text<S: Serializer>(value: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
