// Part of the build script: the texts of the SPDX license list as digests, so that the program need not carry five megabytes of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::Digest as _;

use crate::words::{START_WORDS, find, matching_words, shingles, start_of};

/// Entries of the list that are no text of a license.
const NO_TEXTS: &[&str] = &["NOASSERTION", "any-OSI", "any-OSI-perl-modules"];
/// What the identifiers have that SPDX has given up for `GPL-2.0-only WITH …`. Their texts are those of the exceptions alone, which stand behind the words
/// of other versions too.
const WITH_EXCEPTION: &str = "-with-";
/// Where the terms of some texts end; what follows are instructions, or another license.
const ENDS: &[(&str, &str)] = &[
    (
        "LGPL-3.0",
        "gnu general public license version 3 29 june 2007",
    ),
    ("", "end of terms and conditions"),
];
/// The fewest words by which a text is told from ordinary sentences.
const LEAST_WORDS: usize = 15;
/// The longest line that is a title.
const TITLE_WORDS: usize = 12;
/// How many numbers of a text are kept to find similar ones.
const SKETCH_SIZE: usize = 48;

/// Returns the table as Rust.
pub(crate) fn table() -> String {
    let mut patterns: BTreeMap<(u64, usize, Vec<u8>), &str> = BTreeMap::new();
    let mut sketches: BTreeMap<Vec<u32>, &str> = BTreeMap::new();
    for (license, text) in spdx::text::LICENSE_TEXTS {
        if NO_TEXTS.contains(license) || license.contains(WITH_EXCEPTION) {
            continue;
        }
        let terms = terms(license, text);
        let sketch = shingles(&terms, SKETCH_SIZE);
        if sketch.len() == SKETCH_SIZE {
            keep(&mut sketches, sketch, license);
        }
        if terms.len() < LEAST_WORDS.max(START_WORDS) {
            continue;
        }
        if let Some(start) = start_of(&terms) {
            let digest = sha2::Sha256::digest(terms.join(" ").as_bytes());
            let digest = digest.iter().take(16).copied().collect();
            keep(&mut patterns, (start, terms.len(), digest), license);
        }
    }
    let mut table = String::new();
    let mut line = |text: String| {
        table.push_str(&text);
        table.push('\n');
    };
    line("/// The known texts.".to_owned());
    line("static PATTERNS: &[Pattern] = &[".to_owned());
    for ((start, words, digest), license) in patterns {
        line(format!(
            "    Pattern {{ start: {start}, words: {words}, digest: {digest:?}, license: {license:?} }},"
        ));
    }
    line("];".to_owned());
    line("/// How many numbers of each text are kept.".to_owned());
    line(format!(
        "pub(super) const SKETCH_SIZE: usize = {SKETCH_SIZE};"
    ));
    line("/// The least numbers of each text, ascending.".to_owned());
    line("pub(super) static SKETCHES: &[(&str, [u32; SKETCH_SIZE])] = &[".to_owned());
    for (sketch, license) in sketches {
        let mut numbers = String::new();
        for number in sketch {
            // Writing to a String cannot fail.
            let _ = write!(numbers, "{number}, ");
        }
        line(format!("    ({license:?}, [{numbers}]),"));
    }
    line("];".to_owned());
    table
}

/// Of several identifiers of one text the shortest: of the GNU licenses that is the family, which is all that the text tells.
fn keep<K: Ord>(table: &mut BTreeMap<K, &'static str>, key: K, license: &'static str) {
    let known = table.entry(key).or_insert(license);
    if (license.len(), license) < (known.len(), *known) {
        *known = license;
    }
}

/// Returns the words of the terms: without title and appendix.
fn terms(license: &str, text: &str) -> Vec<String> {
    let text = text.trim_start();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let is_title = first.split_whitespace().count() <= TITLE_WORDS && !rest.trim().is_empty();
    let mut words = matching_words(if is_title { rest } else { text });
    for (only, end) in ENDS {
        if !only.is_empty() && *only != license && !license.starts_with(&format!("{only}-")) {
            continue;
        }
        let end: Vec<&str> = end.split(' ').collect();
        if let Some(place) = find(&words, &end, 1) {
            words.truncate(place);
        }
    }
    words
}
