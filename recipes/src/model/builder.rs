//! How a derivation's outputs come to be: by a program in the sandbox or by one of pith's own builders.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ids::{ContentDigest, SOURCE_CONTENT};
use super::{OutputRef, Platform, Text};

/// What makes the outputs of a derivation.
#[derive(Clone, Debug)]
pub enum Builder {
    /// A program that runs in the sandbox.
    Program(Program),
    /// A download whose content is known beforehand.
    Fetch(Fetch),
    /// Files that lie beside the recipe.
    Source(Source),
    /// Debian packages unpacked into one usr-merged tree.
    DebTree(DebTree),
    /// One Debian package, unpacked: a member of sets.
    Deb(Deb),
    /// Unpacked Debian packages, put together.
    DebSet(DebSet),
}

/// A program in the sandbox, with all that it may depend on.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its arguments; never empty.
    pub argv: Vec<Text>,
    /// The environment, on top of what every build has.
    pub env: BTreeMap<String, Text>,
    /// The platform that the outputs are for and that the builder runs on.
    pub platform: Platform,
    /// The object whose `usr` is mounted at `/usr`.
    pub seed: Option<OutputRef>,
    /// Inputs that no text of the derivation names; in the recipe's order.
    pub inputs: Vec<OutputRef>,
    /// Outputs to which no output of this derivation may refer, directly or not.
    pub forbidden: Vec<OutputRef>,
    /// Outputs that count as referenced although no byte names them.
    pub extra_references: Vec<OutputRef>,
}

/// A download of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Where to try, in order; `https://…`, `http://…` or `mirror://NAME/path`; never empty.
    pub urls: Vec<String>,
    /// The digest of the file's bytes.
    pub digest: ContentDigest,
    /// Whether the file becomes an executable one.
    pub executable: bool,
}

/// Files of the author, taken into the store as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files of the collection, read when the recipe was evaluated.
    Embedded(EmbeddedSource),
    /// A file or directory of a project, read when it is built.
    Local(LocalSource),
}

/// One file, or a directory's files, with their content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedSource {
    files: Vec<SourceFile>,
    content: [u8; 32],
}

/// One file of an [`EmbeddedSource`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// The path below the source, with slashes; empty when the source is this one file.
    pub path: String,
    /// Whether the file is executable.
    pub executable: bool,
    /// The content.
    pub bytes: Cow<'static, [u8]>,
}

impl EmbeddedSource {
    /// Makes a source of files, of which no two may have one path; their order does not matter.
    pub fn new(mut files: Vec<SourceFile>) -> Self {
        files.sort();
        let mut hasher = blake3::Hasher::new_derive_key(SOURCE_CONTENT);
        for file in &files {
            hasher.update(&(file.path.len() as u64).to_le_bytes());
            hasher.update(file.path.as_bytes());
            hasher.update(&[u8::from(file.executable)]);
            hasher.update(&(file.bytes.len() as u64).to_le_bytes());
            hasher.update(&file.bytes);
        }
        let content = *hasher.finalize().as_bytes();
        Self { files, content }
    }

    /// Returns the files, sorted by path, no duplicates.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Returns the digest of all paths, modes and bytes.
    pub fn content(&self) -> &[u8; 32] {
        &self.content
    }

    /// Returns the file when the source is a single one rather than a directory.
    pub fn as_single_file(&self) -> Option<&SourceFile> {
        match self.files.as_slice() {
            [file] if file.path.is_empty() => Some(file),
            _ => None,
        }
    }
}

/// A file or directory on this machine, below the directory of the project that names it.
///
/// Its content is read when it is built, so that evaluation stays independent of how much lies there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalSource {
    /// The place below the project's directory, with slashes; `.` for the directory itself.
    pub path: String,
    /// Patterns of what is left out, in the recipe's order.
    pub exclude: Vec<String>,
    /// Patterns of what may look like a secret, in the recipe's order.
    pub allow_secrets: Vec<String>,
    /// Where the project's directory is; only the derivation id covers it.
    pub project: PathBuf,
}

impl LocalSource {
    /// Returns the place on this machine.
    pub fn real_path(&self) -> PathBuf {
        if self.path == "." {
            self.project.clone()
        } else {
            self.project.join(&self.path)
        }
    }
}

/// Debian packages unpacked over each other into one tree with merged `/usr`.
#[derive(Clone, Debug)]
pub struct DebTree {
    /// The `.deb` files, in the order in which they are unpacked.
    pub debs: Vec<OutputRef>,
    /// Symbolic links to add: path in the tree → target.
    pub links: BTreeMap<String, String>,
    /// Patterns of paths that are left out.
    pub drop: Vec<String>,
    /// Patterns of paths to which the tree is restricted; everything when empty.
    pub include: Vec<String>,
}

/// One Debian package as an object: its files and what it says about itself.
#[derive(Clone, Debug)]
pub struct Deb {
    /// The `.deb` file.
    pub deb: OutputRef,
    /// Patterns of paths that are left out.
    pub drop: Vec<String>,
    /// Patterns of paths that stay although `drop` covers them.
    pub keep: Vec<String>,
}

/// Unpacked Debian packages, put together as a system would have them.
#[derive(Clone, Debug)]
pub struct DebSet {
    /// The packages, each made by [`Deb`], sorted by name.
    pub members: Vec<OutputRef>,
    /// The packages that were asked for; the first one is what runs.
    pub requested: Vec<String>,
    /// The codename of the Debian that they are from.
    pub release: String,
    /// Whether the result is one tree with all files, rather than an object that names the packages.
    pub tree: bool,
    /// The version of the rules by which it is done.
    pub rules: u32,
}
