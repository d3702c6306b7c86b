//! The words by which files refer to a license that lies elsewhere.
//!
//! Sources: the GNU licenses, "How to Apply These Terms"; Apache-2.0, appendix; MPL-2.0, exhibit A; BSL-1.0; CC0 1.0, "recommended words".

use std::sync::LazyLock;

/// A standard header.
pub(super) struct Header {
    /// Its words.
    pub(super) words: Vec<String>,
    /// What it stands for.
    pub(super) expression: String,
}

const GNU: &[(&str, &str, &[&str])] = &[
    ("gnu general public license", "GPL", &["1", "2", "3"]),
    ("gnu library general public license", "LGPL", &["2"]),
    (
        "gnu lesser general public license",
        "LGPL",
        &["2", "2 1", "3"],
    ),
    ("gnu affero general public license", "AGPL", &["3"]),
];

/// What may stand between the version and the choice of later ones.
const LATER: &[&str] = &[
    "of the license or at your option any later version",
    "or at your option any later version",
    "of the license or any later version",
    "or any later version",
];

const OTHERS: &[(&str, &str)] = &[
    (
        "licensed under the apache license version 2 0 the license you may not use this file except in compliance with the license",
        "Apache-2.0",
    ),
    (
        "licensed under the apache license 2 0 the license you may not use this file except in compliance with the license",
        "Apache-2.0",
    ),
    (
        "this source code form is subject to the terms of the mozilla public license v 2 0",
        "MPL-2.0",
    ),
    (
        "distributed under the boost software license version 1 0",
        "BSL-1.0",
    ),
    (
        "to the extent possible under law the author s have dedicated all copyright and related and neighboring rights to this software to the public domain worldwide",
        "CC0-1.0",
    ),
];

/// All of them, the longest first.
pub(super) static HEADERS: LazyLock<Vec<Header>> = LazyLock::new(|| {
    let mut headers = Vec::new();
    let mut add = |words: &str, expression: String| {
        let words = words.split(' ').map(str::to_owned).collect();
        headers.push(Header { words, expression });
    };
    for (name, family, versions) in GNU {
        let begin = "you can redistribute it and or modify it under the terms of the";
        let published = "as published by the free software foundation";
        for version in *versions {
            let number = match version.split_once(' ') {
                Some((major, minor)) => format!("{major}.{minor}"),
                None => format!("{version}.0"),
            };
            for version in [(*version).to_owned(), format!("{version} 0")] {
                for later in LATER {
                    for either in ["either version", "version"] {
                        let words =
                            format!("{begin} {name} {published} {either} {version} {later}");
                        add(&words, format!("{family}-{number}-or-later"));
                    }
                }
                let only = format!("{family}-{number}-only");
                add(
                    &format!("{begin} {name} version {version} {published}"),
                    only.clone(),
                );
                add(
                    &format!("{begin} {name} {published} version {version} of the license"),
                    only.clone(),
                );
                add(
                    &format!("{begin} {name} {published} version {version}"),
                    only,
                );
            }
        }
    }
    for (words, expression) in OTHERS {
        add(words, (*expression).to_owned());
    }
    headers.sort_by_key(|header| std::cmp::Reverse(header.words.len()));
    headers
});
