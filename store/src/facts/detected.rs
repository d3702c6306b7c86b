//! What the sources say of licenses and copyright. Detection never concludes: a finding is evidence or a clue.

use serde::{Deserialize, Serialize};

/// A text of a source that has to be kept or shown: its bytes are in the object of facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextFacts {
    /// SHA-256 of its bytes, in hex: its name in the directory `texts`.
    pub sha256: String,
    /// SHA-256 of its words alone, in hex: equal for texts that differ in case, spacing and comment characters only.
    pub normal: String,
    /// What it is.
    pub kind: TextKind,
    /// The source, by its place in [`Facts::sources`](super::Facts).
    pub source: u32,
    /// The file, relative to the source's top directory.
    pub path: String,
    /// Its size, in bytes.
    pub size: u64,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// The file that a license is in: `COPYING`, `LICENSE.txt`, Debian's `copyright`.
    License,
    /// A file that must be passed on: `NOTICE`.
    Notice,
    /// The comment at the head of a source file; kept once for all files that have the same words.
    Header,
    /// Who wrote it: `AUTHORS`.
    Authors,
}

/// One thing that a source says of its license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The source, by its place in [`Facts::sources`](super::Facts).
    pub source: u32,
    /// The first file that says it, relative to the source's top directory.
    pub path: String,
    /// How many files say it in the same words.
    pub files: u64,
    /// SHA-256 of the words, in hex: [`TextFacts::normal`] of the text, by which a policy clarifies it.
    pub notice: String,
    /// How it was found.
    pub matcher: Matcher,
    /// What it is worth.
    pub class: Class,
    /// The SPDX expression that the words stand for; none if they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

/// How a finding was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matcher {
    /// An `SPDX-License-Identifier`.
    Tag,
    /// The words are those of a license's text.
    Text,
    /// The words are those of a license's standard header.
    Header,
    /// A machine-readable `debian/copyright`.
    Dep5,
    /// The words are like those of a license's text.
    Similar,
    /// There are words as of a license, which are not known.
    Unknown,
}

/// What a finding is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Evidence: the words are exactly those of the license.
    Exact,
    /// Somebody's statement about others' software, or words that are nearly the license's: for a person to look at.
    Approximate,
    /// Words that may mean something.
    Clue,
}

/// A statement of copyright.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyrightFacts {
    /// The source, by its place in [`Facts::sources`](super::Facts).
    pub source: u32,
    /// The line, with one space between words.
    pub statement: String,
    /// How many files have it.
    pub files: u64,
}
