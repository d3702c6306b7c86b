//! The license of a package, from its copyright file where a machine can read it.
//!
//! Format: "Machine-readable debian/copyright file", version 1.0 (DEP-5). The names of licenses there are not those of
//! SPDX, but close.

use std::collections::BTreeSet;

use crate::debian::stanzas;

/// The first line of a file that a machine can read.
const FORMAT: &str = "www.debian.org/doc/packaging-manuals/copyright-format/1.0";
/// Beyond this an expression says nothing to anybody.
const MAX_LICENSES: usize = 40;

/// Debian's short names and those of SPDX, where no rule leads from one to the other.
const NAMES: &[(&str, &str)] = &[
    ("expat", "MIT"),
    ("mit", "MIT"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("isc", "ISC"),
    ("zlib", "Zlib"),
    ("curl", "curl"),
    ("cc0", "CC0-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("mpl-1.1", "MPL-1.1"),
    ("mpl-2.0", "MPL-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2.0", "Artistic-2.0"),
    ("openssl", "OpenSSL"),
    ("python-2.0", "PSF-2.0"),
    ("psf-2", "PSF-2.0"),
    ("postgresql", "PostgreSQL"),
    ("bsl-1.0", "BSL-1.0"),
    ("unlicense", "Unlicense"),
];

/// Returns the SPDX expression that demands all licenses of the package's files; `None` where no machine can read them.
///
/// A license without a name in SPDX becomes a `LicenseRef-Debian-…`. The packaging's own license (`debian/*`) does not count:
/// none of it is in the package.
pub(crate) fn find_license(text: &str) -> Option<String> {
    let mut stanzas = stanzas(text);
    let format = stanzas.next()?.field("Format")?;
    if !format.contains(FORMAT) {
        return None;
    }
    let mut licenses = BTreeSet::new();
    for stanza in stanzas {
        let Some(files) = stanza.field("Files") else {
            continue;
        };
        if files
            .split_whitespace()
            .all(|pattern| pattern.starts_with("debian/"))
        {
            continue;
        }
        let license = stanza.field("License")?.lines().next()?;
        licenses.insert(expression(license)?);
    }
    if licenses.is_empty() || licenses.len() > MAX_LICENSES {
        return None;
    }
    let alone = licenses.len() == 1;
    let parts: Vec<String> = licenses
        .into_iter()
        .map(|license| {
            if license.contains(' ') && !alone {
                format!("({license})")
            } else {
                license
            }
        })
        .collect();
    Some(parts.join(" AND "))
}

/// Translates `GPL-2+ or Artistic, and Expat`.
fn expression(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    let mut parts: Vec<String> = Vec::new();
    let mut name: Vec<&str> = Vec::new();
    for word in words {
        let operator = match word.to_ascii_lowercase().as_str() {
            "or" | "and/or" => "OR",
            "and" => "AND",
            _ => {
                name.push(word);
                continue;
            }
        };
        parts.push(one(&std::mem::take(&mut name))?);
        parts.push(operator.to_owned());
    }
    parts.push(one(&name)?);
    let mixed = parts.iter().any(|part| part == "OR") && parts.iter().any(|part| part == "AND");
    // Which of them binds closer, the comma says, and only to people.
    (!mixed).then(|| parts.join(" "))
}

fn one(words: &[&str]) -> Option<String> {
    let (name, exception) = match words {
        [] => return None,
        [name] => (*name, ""),
        [name, with, rest @ ..] if with.eq_ignore_ascii_case("with") => {
            (*name, rest.first().copied().unwrap_or(""))
        }
        _ => return Some(reference(&words.join("-"))),
    };
    if !exception.is_empty() {
        return Some(reference(&words.join("-")));
    }
    let lower = name.to_ascii_lowercase();
    if let Some((_, spdx)) = NAMES.iter().find(|(known, _)| *known == lower) {
        return Some((*spdx).to_owned());
    }
    Some(gnu(&lower).unwrap_or_else(|| reference(name)))
}

/// `gpl-2+` is `GPL-2.0-or-later`.
fn gnu(lower: &str) -> Option<String> {
    let (version, suffix) = match lower.strip_suffix('+') {
        Some(version) => (version, "or-later"),
        None => (lower, "only"),
    };
    let (family, version) = version.split_once('-')?;
    let family = match family {
        "gpl" => "GPL",
        "lgpl" => "LGPL",
        "agpl" => "AGPL",
        "gfdl" => "GFDL",
        _ => return None,
    };
    let version = match version {
        "1" | "1.0" => "1.0",
        "2" | "2.0" => "2.0",
        "2.1" => "2.1",
        "3" | "3.0" => "3.0",
        "1.1" => "1.1",
        "1.2" => "1.2",
        "1.3" => "1.3",
        _ => return None,
    };
    Some(format!("{family}-{version}-{suffix}"))
}

fn reference(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!("LicenseRef-Debian-{}", plain.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(licenses: &[(&str, &str)]) -> Option<String> {
        let mut text = format!("Format: https://{FORMAT}/\n\n");
        for (files, license) in licenses {
            let stanza = [
                "Files: ",
                files,
                "\nCopyright: x\nLicense: ",
                license,
                "\n text\n\n",
            ];
            text.push_str(&stanza.concat());
        }
        find_license(&text)
    }

    #[test]
    fn names_become_those_of_spdx_and_all_are_demanded() {
        let found = of(&[
            ("*", "Expat"),
            ("a", "GPL-2+ or Artistic"),
            ("b", "Odd thing"),
            ("debian/*", "GPL-3"),
            ("c", "Expat"),
        ]);
        assert_eq!(
            found.as_deref(),
            Some("(GPL-2.0-or-later OR Artistic-1.0-Perl) AND LicenseRef-Debian-Odd-thing AND MIT")
        );
        assert_eq!(
            of(&[("*", "GPL-2+ or Artistic")]).as_deref(),
            Some("GPL-2.0-or-later OR Artistic-1.0-Perl")
        );
        assert_eq!(of(&[("*", "LGPL-2.1")]).as_deref(), Some("LGPL-2.1-only"));
    }

    #[test]
    fn what_only_people_can_read_has_none() {
        assert_eq!(find_license("This is free software.\n"), None);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("*", "A or B and C")]), None);
    }
}
