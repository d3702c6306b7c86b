//! What the files of one source say of licenses, gathered file by file.
//!
//! Files say the same in thousands of places: notices are told apart by their words, and each is kept once, with the number of files that have it.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use store::facts::{Class, Finding, Matcher, TextKind};

use super::copyright::{find_holders, find_license};
use super::digests::sha256;
use super::heads::{is_about_license, notice, statements, tags};
use super::license::{Match, find_licenses, is_expression, similar_license};
use super::names::kind_of;
use super::tagged::{are_explained, finer_tags};
use super::words::words;

/// The largest license text; the longest of the SPDX list has 60 kB, collections of them in one file have more.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// How much of other files is looked at.
const HEAD_BYTES: u64 = 16 << 10;
/// How many texts, notices and statements of one source are kept: a thousand times what most have.
const MAX_TEXTS: usize = 4000;
const MAX_NOTICES: usize = 4000;
const MAX_STATEMENTS: usize = 20_000;
/// What all texts of one source may take.
const MAX_TOTAL_BYTES: usize = 64 << 20;

/// A text of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceText {
    pub(super) path: String,
    pub(super) kind: TextKind,
    /// SHA-256 of its words, in hex.
    pub(super) normal: String,
    #[serde(with = "super::kept::as_text")]
    pub(super) bytes: Vec<u8>,
}

/// One thing that a source says of its license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceFinding {
    pub(super) path: String,
    pub(super) files: u64,
    pub(super) notice: String,
    pub(super) matcher: Matcher,
    pub(super) class: Class,
    pub(super) expression: Option<String>,
}

/// All that the texts of a source say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceTexts {
    /// By path; the headers of files by the first file that has each.
    pub(super) texts: Vec<SourceText>,
    /// By path and what is found.
    pub(super) findings: Vec<SourceFinding>,
    /// Statements of copyright and in how many files each stands.
    pub(super) copyrights: Vec<(String, u64)>,
    /// Whether there was more than is kept.
    pub(super) is_cut: bool,
}

/// Gathers file by file.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    texts: Vec<SourceText>,
    /// By the digest of their words, and by the tags above them that say more: see [`finer_tags`].
    notices: BTreeMap<(String, Option<String>), Notice>,
    statements: BTreeMap<String, u64>,
    total: usize,
    is_cut: bool,
    tops: BTreeSet<String>,
}

/// What several files say in the same words.
#[derive(Debug)]
struct Notice {
    path: String,
    files: u64,
    said: Said,
    /// The text, where it is not one of the files.
    text: Option<Vec<u8>>,
    /// Whether a tag above it says more, in every file that has it.
    is_explained: bool,
}

impl Notice {
    /// Adds files that say the same. Equal words may be other bytes, and which file comes first must not matter.
    fn join(&mut self, other: Self) {
        let files = self.files + other.files;
        if other.path < self.path {
            *self = other;
        }
        self.files = files;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Text,
    Tag,
    Header,
}

impl Gatherer {
    /// Looks at one file.
    pub(super) fn take(&mut self, path: &str, bytes: &mut dyn Read) -> io::Result<()> {
        let top = path.split_once('/').map_or("", |(top, _)| top);
        if self.tops.len() < 2 {
            self.tops.insert(top.to_owned());
        }
        let kind = kind_of(path);
        let limit = if kind.is_some() {
            MAX_TEXT_BYTES
        } else {
            HEAD_BYTES
        };
        let mut head = Vec::new();
        bytes.take(limit).read_to_end(&mut head)?;
        if head.iter().take(1024).any(|byte| *byte == 0) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let holders = find_holders(&text).filter(|_| is_debian(path));
        self.add_statements(holders.unwrap_or_else(|| statements(&text)));
        match kind {
            Some(kind) => self.add_text(path, kind, head, &text),
            None => self.add_head(path, &text),
        }
        Ok(())
    }

    fn add_statements(&mut self, found: Vec<String>) {
        let found: BTreeSet<String> = found.into_iter().collect();
        for statement in found {
            if self.statements.len() >= MAX_STATEMENTS && !self.statements.contains_key(&statement)
            {
                self.is_cut = true;
                continue;
            }
            *self.statements.entry(statement).or_default() += 1;
        }
    }

    fn add_text(&mut self, path: &str, kind: TextKind, bytes: Vec<u8>, text: &str) {
        if self.texts.len() >= MAX_TEXTS || !self.has_room(bytes.len()) {
            self.is_cut = true;
            return;
        }
        let normal = normal(text);
        if kind == TextKind::License {
            self.add_notice((normal.clone(), None), path, Said::Text, text.as_bytes());
        }
        let path = path.to_owned();
        self.texts.push(SourceText {
            path,
            kind,
            normal,
            bytes,
        });
    }

    fn add_head(&mut self, path: &str, head: &str) {
        let tags = tags(head);
        for tag in &tags {
            let line = format!("SPDX-License-Identifier: {tag}");
            self.add_notice((normal(&line), None), path, Said::Tag, line.as_bytes());
        }
        if let Some(notice) = notice(head) {
            let key = (normal(&notice), finer_tags(&tags));
            self.add_notice(key, path, Said::Header, notice.as_bytes());
        }
    }

    fn add_notice(&mut self, key: (String, Option<String>), path: &str, said: Said, text: &[u8]) {
        if let Some(known) = self.notices.get_mut(&key) {
            known.join(Notice {
                path: path.to_owned(),
                files: 1,
                said,
                text: Some(text.to_vec()),
                is_explained: false,
            });
            return;
        }
        if self.notices.len() >= MAX_NOTICES || !self.has_room(text.len()) {
            self.is_cut = true;
            return;
        }
        let notice = Notice {
            path: path.to_owned(),
            files: 1,
            said,
            text: Some(text.to_vec()),
            is_explained: false,
        };
        self.notices.insert(key, notice);
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.total = self.total.saturating_add(bytes);
        self.total <= MAX_TOTAL_BYTES
    }

    /// Says what was found; paths are relative to the one directory that all files lie in, if there is one.
    pub(super) fn finish(mut self) -> SourceTexts {
        let top = match (self.tops.pop_first(), self.tops.is_empty()) {
            (Some(top), true) if !top.is_empty() => format!("{top}/"),
            _ => String::new(),
        };
        let relative = |path: &str| path.strip_prefix(&top).unwrap_or(path).to_owned();
        let mut found = SourceTexts {
            copyrights: self.statements.into_iter().collect(),
            is_cut: self.is_cut,
            ..SourceTexts::default()
        };
        for text in self.texts {
            let path = relative(&text.path);
            found.texts.push(SourceText { path, ..text });
        }
        for (normal, notice) in settle(self.notices) {
            let path = relative(&notice.path);
            let bytes = notice.text.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let said = match notice.is_explained {
                true => Vec::new(),
                false => matches(notice.said, &path, &text),
            };
            for one in said {
                found.findings.push(SourceFinding {
                    path: path.clone(),
                    files: notice.files,
                    notice: normal.clone(),
                    matcher: one.0,
                    class: one.1,
                    expression: one.2,
                });
            }
            if notice.said == Said::Header {
                found.texts.push(SourceText {
                    path,
                    kind: TextKind::Header,
                    normal,
                    bytes,
                });
            }
        }
        let key = |text: &SourceText| (text.path.clone(), text.kind, text.normal.clone());
        found.texts.sort_by_cached_key(key);
        found.texts.dedup();
        found.findings.sort_by(|a, b| {
            let key = |one: &SourceFinding| {
                (
                    one.path.clone(),
                    one.notice.clone(),
                    one.matcher,
                    one.expression.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        found.findings.dedup();
        found
    }
}

/// Puts together what is said in the same words, whether a tag stands above or not: what a tag explains somewhere counts where no tag does.
fn settle(notices: BTreeMap<(String, Option<String>), Notice>) -> BTreeMap<String, Notice> {
    let mut settled: BTreeMap<String, Notice> = BTreeMap::new();
    for ((normal, tags), mut notice) in notices {
        let text = String::from_utf8_lossy(notice.text.as_deref().unwrap_or_default());
        notice.is_explained = tags.is_some_and(|tags| are_explained(&tags, &find_licenses(&text)));
        match settled.entry(normal) {
            Entry::Vacant(place) => {
                place.insert(notice);
            }
            Entry::Occupied(mut known) if known.get().is_explained == notice.is_explained => {
                known.get_mut().join(notice);
            }
            Entry::Occupied(mut known) if known.get().is_explained => {
                known.insert(notice);
            }
            Entry::Occupied(_) => {}
        }
    }
    settled
}

/// What a notice stands for.
fn matches(said: Said, path: &str, text: &str) -> Vec<(Matcher, Class, Option<String>)> {
    if said == Said::Tag {
        let tag = text.split_once(':').map_or("", |(_, tag)| tag.trim());
        return vec![if is_expression(tag) {
            (Matcher::Tag, Class::Exact, Some(tag.to_owned()))
        } else {
            (Matcher::Unknown, Class::Clue, None)
        }];
    }
    let is_debian = is_debian(path);
    if is_debian && let Some(license) = find_license(text) {
        return vec![(Matcher::Dep5, Class::Approximate, Some(license))];
    }
    let known = |one: Match| (one.matcher, one.class, Some(one.expression));
    let found: Vec<_> = find_licenses(text).into_iter().map(known).collect();
    if !found.is_empty() {
        return found;
    }
    if said == Said::Text
        && let Some(similar) = similar_license(text)
    {
        return vec![known(similar)];
    }
    // Whatever words such a file has, they are all that the package says of its license.
    if is_debian || is_about_license(text) {
        vec![(Matcher::Unknown, Class::Clue, None)]
    } else {
        Vec::new()
    }
}

/// What one file says of licenses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTexts {
    /// What is found in it.
    pub findings: Vec<Finding>,
    /// The license texts in it: place and SHA-256 of the words.
    pub texts: Vec<(String, String)>,
}

/// Returns what a file says that lies at `path` on a machine, such as the copyright file of a package of Debian: the same as was observed when the package was
/// unpacked.
#[must_use]
pub fn read_file_texts(path: &str, bytes: &[u8]) -> FileTexts {
    let mut gatherer = Gatherer::default();
    let mut bytes = bytes;
    if gatherer.take(path, &mut bytes).is_err() {
        return FileTexts::default();
    }
    let found = gatherer.finish();
    FileTexts {
        findings: found.findings.into_iter().map(|one| one.of(0)).collect(),
        texts: (found.texts.into_iter())
            .filter(|text| text.kind == TextKind::License)
            .map(|text| (text.path, text.normal))
            .collect(),
    }
}

impl SourceFinding {
    /// Returns the finding in the source of this number.
    pub(super) fn of(self, source: u32) -> Finding {
        Finding {
            source,
            path: self.path,
            files: self.files,
            notice: self.notice,
            matcher: self.matcher,
            class: self.class,
            expression: self.expression,
        }
    }
}

/// Whether a file may be one that Debian's packages have about their copyright.
fn is_debian(path: &str) -> bool {
    path == "copyright" || path.ends_with("/copyright")
}

/// The digest of a text's words.
fn normal(text: &str) -> String {
    sha256(words(text).join(" ").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "/* Copyright (c) 2020 A\n * Licensed under the Apache License, Version 2.0 (the \"License\"); you may not\n * use this file except in compliance with the License. */\n";

    fn gathered(files: &[(&str, &str)]) -> SourceTexts {
        let mut gatherer = Gatherer::default();
        for (path, text) in files {
            gatherer.take(path, &mut text.as_bytes()).unwrap();
        }
        gatherer.finish()
    }

    #[test]
    fn a_notice_counts_its_files_and_is_kept_once() {
        let other = HEADER.replace("2020 A", "2021 B").replace(" * ", " *   ");
        let texts = gathered(&[
            ("x-1/b.c", HEADER),
            ("x-1/a.c", &other),
            ("x-1/c.c", "int x;\n"),
        ]);
        let [finding] = texts.findings.as_slice() else {
            panic!("{:?}", texts.findings)
        };
        assert_eq!((finding.path.as_str(), finding.files), ("a.c", 2));
        assert_eq!(finding.expression.as_deref(), Some("Apache-2.0"));
        assert_eq!(finding.class, Class::Exact);
        let [text] = texts.texts.as_slice() else {
            panic!("{:?}", texts.texts)
        };
        assert_eq!((text.path.as_str(), text.kind), ("a.c", TextKind::Header));
        assert_eq!(text.normal, finding.notice);
        let statements: Vec<_> = texts
            .copyrights
            .iter()
            .map(|(text, _)| text.as_str())
            .collect();
        assert_eq!(statements, ["Copyright (c) 2020 A", "Copyright (c) 2021 B"]);
    }

    #[test]
    fn the_order_of_files_does_not_matter() {
        let files = [
            ("LICENSE", "Do what you want under this license.\n"),
            ("a.c", HEADER),
            ("b.rs", "// SPDX-License-Identifier: MIT OR Apache-2.0\n"),
            ("c.rs", "// SPDX-License-Identifier: GPLv2\n"),
        ];
        let mut turned = files;
        turned.reverse();
        let texts = gathered(&files);
        assert_eq!(texts, gathered(&turned));
        let found: Vec<_> = texts
            .findings
            .iter()
            .map(|one| (one.path.as_str(), one.class, one.expression.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("LICENSE", Class::Clue, None),
                ("a.c", Class::Exact, Some("Apache-2.0")),
                ("b.rs", Class::Exact, Some("MIT OR Apache-2.0")),
                ("c.rs", Class::Clue, None),
            ]
        );
    }

    #[test]
    fn a_tag_with_an_exception_is_more_exact_than_the_words_below_it() {
        const WORDS: &str = "/* This program is free software; you can redistribute it and/or modify it\n * under the terms of the GNU General Public License version 2 as published\n * by the Free Software Foundation. */\n";
        let tag = "/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */\n";
        let tagged = format!("{tag}{WORDS}");
        let behind = format!("{WORDS}int x;\n{tag}");
        let other = format!("{WORDS}int x;\n/* SPDX-License-Identifier: MIT OR ISC */\n");
        let said = |files: &[(&str, &str)]| {
            let findings = gathered(files).findings.into_iter();
            let exact = findings.filter(|one| one.class == Class::Exact);
            let said = exact.map(|one| (one.path, one.files, one.expression.unwrap_or_default()));
            said.collect::<Vec<_>>()
        };
        let find =
            |path: &str, files: u64, license: &str| (path.to_owned(), files, license.to_owned());
        let noted = "GPL-2.0-only WITH Linux-syscall-note";
        let files = [("a.h", tagged.as_str()), ("b.h", &behind)];
        assert_eq!(said(&files), [find("a.h", 2, noted)]);
        // Without that tag the same words stand alone, in whatever order files come.
        let files = [("b.h", behind.as_str()), ("c.h", WORDS), ("d.h", &other)];
        let mut turned = files;
        turned.reverse();
        let expected = [
            find("b.h", 1, noted),
            find("c.h", 2, "GPL-2.0-only"),
            find("d.h", 1, "MIT OR ISC"),
        ];
        assert_eq!(said(&files), expected);
        assert_eq!(said(&turned), expected);
        // The words themselves are kept, for who passes the file on.
        let kept = gathered(&[("a.h", &tagged)]).texts;
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn binaries_and_endless_files_are_survived() {
        let mut gatherer = Gatherer::default();
        let zeros = &mut io::repeat(0);
        gatherer.take("LICENSE", zeros).unwrap();
        let letters = &mut io::repeat(b'a');
        gatherer.take("COPYING", letters).unwrap();
        let slashes = &mut io::repeat(b'/');
        gatherer.take("main.c", slashes).unwrap();
        let texts = gatherer.finish();
        assert_eq!(texts.texts.len(), 1);
        assert_eq!(texts.findings, []);
    }

    #[test]
    fn a_machine_readable_copyright_is_a_maintainers_statement() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 2001 A\nLicense: GPL-2+\n";
        let texts = gathered(&[("debian/copyright", text), ("debian/rules", "#!/bin/sh\n")]);
        let [finding] = texts.findings.as_slice() else {
            panic!("{:?}", texts.findings)
        };
        assert_eq!(finding.matcher, Matcher::Dep5);
        assert_eq!(finding.class, Class::Approximate);
        assert_eq!(finding.expression.as_deref(), Some("GPL-2.0-or-later"));
    }
}
