//! Which license a LICENSE file is, by its exact text.
//!
//! Two files count as the same text when they differ in nothing but case, spacing, punctuation, the title above it and the
//! lines that name the holders. A text that is not known so is not guessed at. That of a GNU license never says whether
//! later versions may be used, so it is named in a note and not taken.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{ProjectError, ProjectFiles};

/// SHA-256 of the words of each text, from where it begins.
const TEXTS: [(&str, &str); 13] = [
    (
        "MIT",
        "0cf21bdfd1964a97a8615e128534845826afbc887edc95aa5c925cbf64386b5c",
    ),
    (
        "Apache-2.0",
        "216ee63c924d9dd5815d778a8e753d27eeee9b61571c4d3f9ff5ff1d3f1e5633",
    ),
    // The same with `https` in the address at its top.
    (
        "Apache-2.0",
        "452114ac019c07b9c447f2400cb4e61f504be1f03958289bc753d5a11abef1ec",
    ),
    (
        "BSD-3-Clause",
        "9b83d3dee0616d07b82a272dd9bf5134a9f402b750f5ee6188458073b0a32ff2",
    ),
    (
        "BSD-3-Clause",
        "f6f9bc00d008c147632a66228541ffffaf059c75728471b1267497a931760379",
    ),
    (
        "BSD-2-Clause",
        "7be8178e4e9d0dea6ff4b04bd52bd086d7ea8386a5a6e09760df916bae5d42d2",
    ),
    (
        "ISC",
        "217da0747cec63a2e734185db11cbaa819bcd9e5b83cd12f812128fffe66e26a",
    ),
    (
        "Zlib",
        "1b8c5cd52eceb19ab0bc3cb40be110b1c0e7fa2671a3fe5866e59dd1502e69c7",
    ),
    (
        "MIT-0",
        "a181c333030f65ebcf2eabeca3493225b6b03fce6907bdd3e59e7a8a37180fbd",
    ),
    (
        "CC0-1.0",
        "96bdc7f63190fb4bd1ae584b890300ed7517d858b34c945642a3b9b2f1612a5f",
    ),
    (
        "Unicode-3.0",
        "2a03e7d828bf9507a5485742f2b2dd07dee0a3681b9dee9645e6951186f2faf3",
    ),
    (
        "MPL-2.0",
        "95f6a0d094cf3da6a140310541c7b576789031b600469b70877b34f97918e4c9",
    ),
    (
        "LGPL-3.0",
        "aae2b222477171fb64e298e7965e768a9a6f85320646b266c94399ac029d42be",
    ),
];

/// Where a text begins; what stands before is its title.
const BEGINNINGS: [&str; 4] = [
    "permission is hereby granted free of charge",
    "permission to use copy modify",
    "redistribution and use in source",
    "apache license version 2 0",
];
/// A beginning that comes later than this is inside of another text.
const MAX_TITLE: usize = 80;
/// What follows this in a text tells how to use it.
const END: &str = "end of terms and conditions";

/// How lines that name the holders begin.
const HOLDERS: [&str; 6] = [
    "copyright (c)",
    "copyright ©",
    "copyright 1",
    "copyright 2",
    "(c) ",
    "all rights reserved",
];

/// A license that a file was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Exactly this one.
    Known(&'static str, String),
    /// A GNU license, which leaves a question open: file and name of the text.
    Gnu(String, &'static str),
    /// A file whose text is not known.
    Unknown(String),
}

/// Returns what the license file in the project's directory is, if there is exactly one.
pub(super) fn find(files: &dyn ProjectFiles) -> Result<Option<Found>, ProjectError> {
    let is_license = |name: &String| {
        let name = name.to_ascii_uppercase();
        let stem = name.split('.').next().unwrap_or_default();
        matches!(stem, "LICENSE" | "LICENCE" | "COPYING" | "UNLICENSE")
    };
    let mut names = files.names("")?.into_iter().filter(is_license);
    let (Some(name), None) = (names.next(), names.next()) else {
        return Ok(None);
    };
    let Some(text) = files.text(&name)? else {
        return Ok(None);
    };
    Ok(Some(match recognise(&text) {
        Some(license) if license.starts_with("LGPL") => Found::Gnu(name, license),
        Some(license) => Found::Known(license, name),
        None => match gnu(&text) {
            Some(license) => Found::Gnu(name, license),
            None => Found::Unknown(name),
        },
    }))
}

/// Whether a manifest's text can be an SPDX expression, rather than prose or the name of a file.
pub(super) fn is_expression(text: &str) -> bool {
    let words = text.split_whitespace().count();
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.() :".contains(c);
    let is_operator = |word: &str| matches!(word, "AND" | "OR" | "WITH");
    let operators = text
        .split_whitespace()
        .filter(|word| is_operator(word))
        .count();
    text.chars().all(plain) && words == 2 * operators + 1 && text != "UNLICENSED"
}

/// The words of a text as they are compared.
fn words(text: &str) -> String {
    let of_holder = |line: &&str| {
        let line = line.trim().to_lowercase();
        HOLDERS.iter().any(|beginning| line.starts_with(beginning))
    };
    let kept: Vec<&str> = text.lines().filter(|line| !of_holder(line)).collect();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { ' ' };
    let plain: String = kept.join(" ").to_lowercase().chars().map(plain).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn recognise(text: &str) -> Option<&'static str> {
    let words = words(text);
    let mut body = words.as_str();
    let begins = |beginning: &&str| body.find(*beginning).filter(|at| *at < MAX_TITLE);
    if let Some(start) = BEGINNINGS.iter().find_map(begins) {
        body = body.get(start..).unwrap_or_default();
    }
    body = body.split(END).next().unwrap_or_default();
    let mut digest = String::new();
    for byte in Sha256::digest(body) {
        // Writing to a String cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    let known = TEXTS.iter().find(|(_, known)| *known == digest);
    known.map(|(license, _)| *license)
}

/// The GNU license whose title stands on top.
fn gnu(text: &str) -> Option<&'static str> {
    let words = words(text);
    let titles = [
        ("gnu affero general public license version 3", "AGPL-3.0"),
        ("gnu general public license version 3", "GPL-3.0"),
        ("gnu general public license version 2", "GPL-2.0"),
        ("gnu lesser general public license version 3", "LGPL-3.0"),
        ("gnu lesser general public license version 2 1", "LGPL-2.1"),
    ];
    let found = titles.iter().find(|(title, _)| words.starts_with(title));
    found.map(|(_, license)| *license)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const MIT: &str = "The MIT License (MIT)\n\nCopyright (c) 2020 A. Person\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\nof this software and associated documentation files (the \"Software\"), to deal\nin the Software without restriction, including without limitation the rights\nto use, copy, modify, merge, publish, distribute, sublicense, and/or sell\ncopies of the Software, and to permit persons to whom the Software is\nfurnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice shall be included in all\ncopies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR\nIMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,\nFITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE\nAUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER\nLIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,\nOUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\nSOFTWARE.\n";

    #[test]
    fn a_license_is_known_by_its_whole_text_only() {
        assert_eq!(recognise(MIT), Some("MIT"));
        assert_eq!(recognise(&MIT.replace('\n', "\r\n  ")), Some("MIT"));
        assert_eq!(recognise(&MIT.replace("to deal\nin", "to look\nat")), None);
        assert_eq!(recognise(&format!("{MIT}\nNot for evil.\n")), None);
        assert_eq!(
            recognise(include_str!("../../../LICENSE")),
            Some("Apache-2.0")
        );
    }

    #[test]
    fn a_gnu_license_leaves_a_question_open() {
        let text = "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n";
        let files = BTreeMap::from([("COPYING".to_owned(), text.to_owned())]);
        let found = find(&files).unwrap();
        assert_eq!(found, Some(Found::Gnu("COPYING".to_owned(), "GPL-3.0")));
    }

    #[test]
    fn an_expression_is_no_prose() {
        for (text, is) in [
            ("MIT", true),
            ("(MIT OR Apache-2.0)", true),
            ("GPL-2.0-only WITH Classpath-exception-2.0", true),
            ("MIT License", false),
            ("SEE LICENSE IN x", false),
            ("UNLICENSED", false),
            ("", false),
        ] {
            assert_eq!(is_expression(text), is, "{text}");
        }
    }
}
