//! Comparing words with the known texts. Pure.

use std::ops::Range;

use sha2::Digest as _;
use store::facts::{Class, Matcher};

use super::headers::HEADERS;
use super::table::{BY_START, SKETCH_SIZE, SKETCHES};
use crate::facts::words::{find, matching_words, shingles, start_of};

/// What stands at the end of the terms of a license; what comes behind tells how to use it.
const END: [&str; 5] = ["end", "of", "terms", "and", "conditions"];
/// How many words behind the end only tell how to use a license.
const APPENDIX_WORDS: usize = 450;
/// Words that turn what a standard text says.
const TURNS: &[&str] = &[
    "exception",
    "exceptions",
    "alternatively",
    "alternative",
    "dual",
    "dually",
    // As libgcc had it before its exception had a name: "unlimited permission to link".
    "unlimited",
];
/// The share of sequences of words that two texts must have in common to be called similar, in hundredths.
const SIMILAR_PERCENT: usize = 70;

/// A license that words stand for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::facts) struct Match {
    pub(in crate::facts) expression: String,
    pub(in crate::facts) matcher: Matcher,
    pub(in crate::facts) class: Class,
}

/// Returns the known texts and standard headers that stand in a text word by word; sorted, no duplicates. Where they overlap, the longest.
///
/// They are exact, unless other words of the text turn them: an exception, or a choice.
pub(in crate::facts) fn find_licenses(text: &str) -> Vec<Match> {
    let words = matching_words(text);
    let mut found = texts_in(&words);
    headers_in(&words, &mut found);
    let is_inside = |place: usize| found.iter().any(|(range, ..)| range.contains(&place));
    let is_turned = words
        .iter()
        .enumerate()
        .any(|(place, word)| TURNS.contains(&word.as_str()) && !is_inside(place));
    let class = if is_turned {
        Class::Approximate
    } else {
        Class::Exact
    };
    let mut matches: Vec<Match> = found
        .into_iter()
        .map(|(_, expression, matcher)| Match {
            expression,
            matcher,
            class,
        })
        .collect();
    matches.sort();
    matches.dedup();
    matches
}

/// Returns the license whose text a text is from its first word to its last; none where it has other words as well.
pub(in crate::facts) fn whole_license(text: &str) -> Option<String> {
    let words = matching_words(text);
    match texts_in(&words).as_slice() {
        [(range, license, _)] if *range == (0..words.len()) => Some(license.clone()),
        _ => None,
    }
}

type Found = Vec<(Range<usize>, String, Matcher)>;

/// Finds the texts of licenses.
fn texts_in(words: &[String]) -> Found {
    let mut candidates: Vec<(Range<usize>, &'static str)> = Vec::new();
    for place in 0..words.len() {
        let rest = words.get(place..).unwrap_or_default();
        let Some(patterns) = start_of(rest).and_then(|start| BY_START.get(&start)) else {
            continue;
        };
        let is_it = |count: usize, digest: &[u8; 16]| {
            let Some(words) = rest.get(..count) else {
                return false;
            };
            let found = sha2::Sha256::digest(words.join(" ").as_bytes());
            found.starts_with(digest)
        };
        let found = patterns
            .iter()
            .find(|pattern| is_it(pattern.words, &pattern.digest));
        if let Some(pattern) = found {
            candidates.push((place..place + pattern.words, pattern.license));
        }
    }
    candidates.sort_by_key(|(range, _)| (std::cmp::Reverse(range.len()), range.start));
    let mut found: Found = Vec::new();
    for (range, license) in candidates {
        if !overlaps(&found, &range) {
            found.push((range, license.to_owned(), Matcher::Text));
        }
    }
    found
}

/// Finds standard headers, but for those by which a license tells how to use it.
fn headers_in(words: &[String], found: &mut Found) {
    let mut appendices = Vec::new();
    let mut from = 0;
    while let Some(end) = find(words, &END, from) {
        from = end + END.len();
        appendices.push(from..from + APPENDIX_WORDS);
    }
    for header in HEADERS.iter() {
        let phrase: Vec<&str> = header.words.iter().map(String::as_str).collect();
        let mut from = 0;
        while let Some(place) = find(words, &phrase, from) {
            let range = place..place + phrase.len();
            from = range.end;
            let next = words.get(range.end).map(String::as_str);
            // `version 2` is not all that is said where it goes on with a choice.
            let is_whole = next != Some("or") && next != Some("0");
            let is_explained = appendices.iter().any(|appendix| appendix.contains(&place));
            if is_whole && !is_explained && !overlaps(found, &range) {
                found.push((range, header.expression.clone(), Matcher::Header));
            }
        }
    }
}

fn overlaps(found: &Found, range: &Range<usize>) -> bool {
    let mut ranges = found.iter().map(|(known, ..)| known);
    ranges.any(|known| known.start < range.end && range.start < known.end)
}

/// Returns the license whose text has the most sequences of words in common with a text, if those are most of them. For people: never evidence.
pub(in crate::facts) fn similar_license(text: &str) -> Option<Match> {
    let sketch = shingles(&matching_words(text), SKETCH_SIZE);
    if sketch.len() < SKETCH_SIZE {
        return None;
    }
    let common = |known: &[u32]| {
        // Of the least numbers of both, how many are in both: an estimate of the share of all.
        let mut both: Vec<u32> = known.iter().chain(&sketch).copied().collect();
        both.sort_unstable();
        both.dedup();
        both.truncate(SKETCH_SIZE);
        let is_shared = |number: &&u32| {
            known.binary_search(number).is_ok() && sketch.binary_search(number).is_ok()
        };
        both.iter().filter(is_shared).count()
    };
    let best = SKETCHES
        .iter()
        .map(|(license, known)| (common(known), *license))
        .max_by_key(|(common, license)| (*common, std::cmp::Reverse(*license)));
    let (common, license) = best?;
    (common * 100 >= SIMILAR_PERCENT * SKETCH_SIZE).then(|| Match {
        expression: license.to_owned(),
        matcher: Matcher::Similar,
        class: Class::Approximate,
    })
}

/// Tells whether a text is an expression of SPDX, old names of licenses included.
pub(in crate::facts) fn is_expression(text: &str) -> bool {
    let mode = spdx::ParseMode {
        allow_deprecated: true,
        ..spdx::ParseMode::STRICT
    };
    spdx::Expression::parse_mode(text, mode).is_ok()
}
