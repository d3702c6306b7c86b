//! What a program or library was linked of.

use serde::{Deserialize, Serialize};

/// What one ELF file was linked of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkFacts {
    /// The file, relative to the output.
    pub file: String,
    /// How it is known.
    pub linked: Linked,
    /// What is in it or needed by it, sorted.
    pub inputs: Vec<LinkInput>,
}

/// How it is known what a file was linked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linked {
    /// The linker's own record of the link that made this very file: its machine code is the same.
    Recorded,
    /// No linker recorded it: it only tells what it needs at run time; what is in it is not known.
    Unrecorded,
}

/// One thing that was linked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkInput {
    /// In which way.
    pub kind: LinkKind,
    /// The store path that has it; none for the build's own files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The component that it is of, where it came with the toolchain: `gcc-12`, `libc6-dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The file: relative to the object, or its name in the build.
    pub file: String,
    /// Of an archive, the members that were taken, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// In which way something was linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// A shared library that is loaded at start.
    Needed,
    /// Members of an archive or objects of others that are copied in.
    Static,
    /// Start files and helpers of the compiler that are in nearly every program: `crt1.o`, `libgcc.a`, `libc_nonshared.a`.
    Runtime,
    /// The loader, or what a `#!` line names.
    Interpreter,
    /// A library that the file says it loads on demand.
    Dlopen,
}
