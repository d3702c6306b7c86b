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
    let mut stanzas = stanzas(text);
    let format = stanzas.next()?.field("Format")?;
    if !format.contains(FORMAT) {
        return None;
    }
    let stanzas: Vec<Stanza<'_>> = stanzas.collect();
    let texts = Texts::of(&stanzas);
    let mut licenses = BTreeSet::new();
    for stanza in &stanzas {
        let Some(files) = stanza.field("Files") else {
            continue;
        };
        if files
            .split_whitespace()
            .all(|pattern| pattern.starts_with("debian/"))
        {
            continue;
        }
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
