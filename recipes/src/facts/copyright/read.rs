//! From the paragraphs of a copyright file to one expression.

use std::collections::{BTreeMap, BTreeSet};

use super::synopsis::expression;
use crate::debian::{Stanza, stanzas};

/// The first line of a file that a machine can read.
const FORMAT: &str = "www.debian.org/doc/packaging-manuals/copyright-format/1.0";
/// Beyond this an expression says nothing to anybody.
const MAX_LICENSES: usize = 60;

/// Returns the SPDX expression that demands all licenses of the package's files; `None` where no machine can read them.
///
/// The packaging's own license (`debian/*`) does not count: none of it is in the package.
pub(crate) fn find_license(text: &str) -> Option<String> {
    let stanzas = paragraphs(text)?;
    let texts = Texts::of(&stanzas);
    let mut licenses = BTreeSet::new();
    for stanza in stanzas.iter().filter(|stanza| is_of_package(stanza)) {
        let (synopsis, own) = split(stanza.field("License")?);
        licenses.insert(expression(synopsis, &|name| {
            // A text below the names of several is not that of one of them.
            if own.trim().is_empty() || !name.eq_ignore_ascii_case(synopsis) {
                texts.find(name)
            } else {
                Some(own)
            }
        })?);
    }
    if licenses.is_empty() || licenses.len() > MAX_LICENSES {
        return None;
    }
    let alone = licenses.len() == 1;
    let parts: Vec<String> = licenses
        .into_iter()
        .map(|license| {
            if license.contains(" OR ") && !alone {
                format!("({license})")
            } else {
                license
            }
        })
        .collect();
    Some(parts.join(" AND "))
}

/// Returns who holds the copyright of the package's files, a statement each; `None` where no machine can read them.
pub(in crate::facts) fn find_holders(text: &str) -> Option<Vec<String>> {
    let stanzas = paragraphs(text)?;
    let own = stanzas.iter().filter(|stanza| is_of_package(stanza));
    let lines = own.flat_map(|stanza| stanza.field("Copyright").unwrap_or_default().lines());
    Some(lines.filter_map(statement).collect())
}

/// One line of a field `Copyright`, which may leave the word itself out; none where it says that nobody holds any.
fn statement(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let first = words.first()?.to_lowercase();
    let names_nobody = ["none", "none,", "n/a", "no", "public", "public-domain", "."];
    if names_nobody.contains(&first.as_str()) {
        return None;
    }
    let line = words.join(" ");
    let says_so = ["copyright", "(c)", "©"]
        .iter()
        .any(|word| first.starts_with(word));
    Some(if says_so {
        line
    } else {
        format!("Copyright {line}")
    })
}

/// The paragraphs behind the first one of a file that a machine can read.
fn paragraphs(text: &str) -> Option<Vec<Stanza<'_>>> {
    let mut stanzas = stanzas(text);
    let format = stanzas.next()?.field("Format")?;
    format.contains(FORMAT).then(|| stanzas.collect())
}

/// Whether a paragraph is about files that may be in the package: not about the packaging.
fn is_of_package(stanza: &Stanza<'_>) -> bool {
    stanza.field("Files").is_some_and(|files| {
        let mut patterns = files.split_whitespace();
        !patterns.all(|pattern| pattern.starts_with("debian/"))
    })
}

/// The texts of licenses that stand in paragraphs of their own, by their names in lower case.
struct Texts<'a>(BTreeMap<String, &'a str>);

impl<'a> Texts<'a> {
    fn of(stanzas: &[Stanza<'a>]) -> Self {
        let alone = stanzas
            .iter()
            .filter(|stanza| stanza.field("Files").is_none());
        let texts = alone.filter_map(|stanza| {
            let (name, text) = split(stanza.field("License")?);
            (!text.trim().is_empty()).then(|| (name.to_lowercase(), text))
        });
        Self(texts.collect())
    }

    fn find(&self, name: &str) -> Option<&'a str> {
        self.0.get(&name.to_lowercase()).copied()
    }
}

/// The first line of a license field, and the lines below it.
fn split(field: &str) -> (&str, &str) {
    let (synopsis, text) = field.split_once('\n').unwrap_or((field, ""));
    (synopsis.trim(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paragraphs: &[&str]) -> Option<String> {
        find_license(&format!(
            "Format: https://{FORMAT}/\n\n{}",
            paragraphs.concat()
        ))
    }

    fn files(pattern: &str, license: &str) -> String {
        format!("Files: {pattern}\nCopyright: x\nLicense: {license}\n text\n\n")
    }

    #[test]
    fn the_licenses_of_all_files_are_demanded() {
        let found = of(&[
            &files("*", "Expat"),
            &files("a", "GPL-2+ or Artistic"),
            &files("b", "Odd thing"),
            &files("debian/*", "GPL-3"),
            &files("c", "Expat"),
        ]);
        assert_eq!(
            found.as_deref(),
            Some("(GPL-2.0-or-later OR Artistic-1.0-Perl) AND LicenseRef-Debian-Odd-thing AND MIT")
        );
        assert_eq!(
            of(&[&files("*", "GPL-2+ or Artistic")]).as_deref(),
            Some("GPL-2.0-or-later OR Artistic-1.0-Perl")
        );
    }

    #[test]
    fn every_line_names_a_holder_but_those_of_the_packaging() {
        let paragraphs = [
            "Files: *\nCopyright: 2001  One <one@example.org>\n © 2002 Two\n           Copyright (C) 2003 Three\nLicense: Expat\n\n",
            "Files: testdata\nCopyright: None (public-domain)\nLicense: public-domain\n\n",
            "Files: debian/*\nCopyright: 2004 Packager\nLicense: Expat\n\n",
        ];
        let text = format!("Format: https://{FORMAT}/\n\n{}", paragraphs.concat());
        assert_eq!(
            find_holders(&text).unwrap_or_default(),
            [
                "Copyright 2001 One <one@example.org>",
                "© 2002 Two",
                "Copyright (C) 2003 Three"
            ]
        );
        assert_eq!(find_holders("Copyright 2001 One\n"), None);
    }

    #[test]
    fn what_only_people_can_read_has_none() {
        assert_eq!(find_license("This is free software.\n"), None);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["Files: *\nCopyright: x\n"]), None);
    }

    #[test]
    fn a_name_of_its_own_is_what_its_whole_text_is() {
        let blessing = concat!(
            " The author disclaims copyright to this source code. In place of a legal\n",
            " notice, here is a blessing:\n .\n May you do good and not evil.\n May you find",
            " forgiveness for yourself and forgive others.\n May you share freely, never",
            " taking more than you give.\n",
        );
        let named = |name: &str| format!("Files: {name}\nCopyright: x\nLicense: {name}\n\n");
        let alone = format!("License: wish\n{blessing}\n");
        let inline = format!("Files: b\nCopyright: x\nLicense: wish\n{blessing}\n");
        let more = format!("License: wish\n{blessing} But not on Sundays.\n\n");
        assert_eq!(of(&[&named("wish"), &alone]).as_deref(), Some("blessing"));
        assert_eq!(
            of(&[&inline]).as_deref(),
            Some("blessing"),
            "below the name"
        );
        assert_eq!(
            of(&[&named("wish"), &more]).as_deref(),
            Some("LicenseRef-Debian-wish"),
            "with more words"
        );
    }
}
