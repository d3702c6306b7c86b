//! Which patches were applied to a source, and what they say of themselves. Pure, but for taking them out of archives.
//!
//! Formats: quilt's `series`, as dpkg-source(1) reads it; headers of patches by DEP-3, or free text before the first change. What a patch fixes is what its
//! header says: its name may say anything.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use store::facts::PatchFacts;

use super::digests::sha256;

/// How the collection's builder tells an archive of patches from a patch.
const SERIES_ARCHIVE: &str = ".debian.tar.";
/// The largest patch that is read.
const MAX_PATCH_BYTES: u64 = 32 << 20;
/// What all patches of one source may take; what comes later is left out.
const MAX_TOTAL_BYTES: usize = 128 << 20;
/// How much of a header is kept.
const MAX_HEADER: usize = 4 << 10;

/// The patches that one source has, by their path below `debian/patches`, with its `series`; a patch that is a source itself by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PatchTexts {
    /// What each says before its first change, with the digest of the whole.
    texts: BTreeMap<String, PatchText>,
    /// The lines of the series.
    series: Vec<String>,
    #[serde(skip)]
    total: usize,
}

/// One patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PatchText {
    sha256: String,
    header: String,
}

impl PatchTexts {
    /// Tells whether a source of this name has patches rather than software.
    pub(super) fn is_series(source: &str) -> bool {
        source.contains(SERIES_ARCHIVE)
    }

    /// Tells whether a file of an archive of patches belongs to its series.
    pub(super) fn is_patch(path: &str) -> bool {
        let below = path.strip_prefix("debian/").unwrap_or(path);
        below.starts_with("patches/")
    }

    /// Takes a file of an archive of patches if it belongs to its series.
    pub(super) fn take(&mut self, path: &str, bytes: &mut dyn Read) -> io::Result<()> {
        let below = path.strip_prefix("debian/").unwrap_or(path);
        let Some(name) = below.strip_prefix("patches/") else {
            return Ok(());
        };
        if name == "series" {
            let series = self.read(bytes)?;
            self.series = parse_series(&String::from_utf8_lossy(&series));
            return Ok(());
        }
        self.take_patch(name, bytes)
    }

    /// Takes a patch.
    pub(super) fn take_patch(&mut self, name: &str, bytes: &mut dyn Read) -> io::Result<()> {
        let patch = self.read(bytes)?;
        let text = PatchText {
            sha256: sha256(&patch),
            header: header(&String::from_utf8_lossy(&patch)),
        };
        self.texts.insert(name.to_owned(), text);
        Ok(())
    }

    fn read(&mut self, bytes: &mut dyn Read) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        bytes.take(MAX_PATCH_BYTES + 1).read_to_end(&mut read)?;
        self.total = self.total.saturating_add(read.len());
        if read.len() as u64 > MAX_PATCH_BYTES || self.total > MAX_TOTAL_BYTES {
            return Err(io::Error::other("its patches are too large"));
        }
        Ok(read)
    }

    /// Returns what was applied of a source that is the one number `source`, in order: of a series without what is skipped, or the patch itself.
    pub(super) fn applied(
        &self,
        name: &str,
        source: u32,
        skipped: &BTreeSet<String>,
    ) -> Vec<PatchFacts> {
        let facts = |name: &str, source: Option<u32>| {
            let text = self.texts.get(name)?;
            Some(PatchFacts {
                name: name.to_owned(),
                sha256: text.sha256.clone(),
                source,
                header: text.header.clone(),
                fixes: fixes(&text.header),
            })
        };
        if !Self::is_series(name) {
            return facts(name, None).into_iter().collect();
        }
        let applied = self.series.iter().filter(|name| !skipped.contains(*name));
        applied
            .filter_map(|name| facts(name, Some(source)))
            .collect()
    }
}

/// Returns the names in a series, in order.
fn parse_series(text: &str) -> Vec<String> {
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Returns what stands before the first change of a patch, without the space around it.
fn header(patch: &str) -> String {
    let is_change = |line: &str| {
        ["--- ", "diff ", "Index: ", "==="]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let mut header = String::new();
    for line in patch.lines().take_while(|line| !is_change(line)) {
        header.push_str(line.trim_end());
        header.push('\n');
        if header.len() > MAX_HEADER {
            break;
        }
    }
    let mut end = MAX_HEADER.min(header.len());
    while !header.is_char_boundary(end) {
        end -= 1;
    }
    header.truncate(end);
    header.trim().trim_end_matches("---").trim_end().to_owned()
}

/// Returns the identifiers of vulnerabilities in a text, `CVE-2023-50246`; sorted, no duplicates.
fn fixes(header: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let upper = header.to_ascii_uppercase();
    for (start, _) in upper.match_indices("CVE-") {
        let rest = upper.get(start + 4..).unwrap_or_default();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let year = digits(rest);
        let Some(number) = rest.get(year..).and_then(|rest| rest.strip_prefix('-')) else {
            continue;
        };
        let length = digits(number);
        if year == 4 && length >= 4 {
            let end = start + 4 + year + 1 + length;
            found.extend(upper.get(start..end).map(str::to_owned));
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "From: A <a@example.org>\nDescription: Fix an overflow\n CVE-2023-50246 and cve-2023-50268, not CVE-12-1.\nBug: none\n---\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-CVE-2020-11111\n+b\n";

    fn texts() -> PatchTexts {
        let mut texts = PatchTexts::default();
        let series = b"# comment\n\none.patch -p1\ntwo.patch\nsub/three.diff\nlost.patch\n";
        texts
            .take("debian/patches/series", &mut &series[..])
            .unwrap();
        for name in ["one.patch", "two.patch", "sub/three.diff", "unused.patch"] {
            let path = format!("debian/patches/{name}");
            texts.take(&path, &mut PATCH.as_bytes()).unwrap();
        }
        texts.take("debian/rules", &mut &b"#!/bin/sh"[..]).unwrap();
        texts
    }

    #[test]
    fn what_the_series_names_is_applied_in_order_but_for_what_is_skipped() {
        let skipped = BTreeSet::from(["two.patch".to_owned()]);
        let applied = texts().applied("x_1.debian.tar.xz", 3, &skipped);
        let names: Vec<_> = applied.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["one.patch", "sub/three.diff"]);
        assert!(applied.iter().all(|one| one.source == Some(3)));
    }

    #[test]
    fn a_header_ends_before_the_first_change_and_says_what_is_fixed() {
        let applied = texts().applied("x_1.debian.tar.xz", 0, &BTreeSet::new());
        let first = applied.first().unwrap();
        assert!(first.header.starts_with("From: A"), "{}", first.header);
        assert!(first.header.ends_with("Bug: none"), "{}", first.header);
        assert_eq!(first.fixes, ["CVE-2023-50246", "CVE-2023-50268"]);
    }

    #[test]
    fn a_name_fixes_nothing() {
        let mut texts = PatchTexts::default();
        let name = "CVE-2021-44444.patch";
        texts.take_patch(name, &mut &b"--- a\n+++ b\n"[..]).unwrap();
        let applied = texts.applied(name, 0, &BTreeSet::new());
        assert_eq!(applied.len(), 1);
        assert!(
            applied
                .iter()
                .all(|one| one.fixes.is_empty() && one.source.is_none())
        );
    }

    #[test]
    fn a_header_without_end_is_cut() {
        let endless = "ä".repeat(MAX_HEADER);
        assert!(header(&endless).len() <= MAX_HEADER);
        let mut texts = PatchTexts::default();
        let huge = io::repeat(b'a').take(MAX_PATCH_BYTES + 2);
        assert!(texts.take_patch("huge", &mut { huge }).is_err());
    }
}
