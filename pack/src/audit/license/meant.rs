//! What somebody probably meant who did not write an SPDX expression. A guess for a person to check; never evaluated.

use super::Expression;

/// Names that many people write, in lower case without spaces, and SPDX's.
const NAMES: [(&str, &str); 22] = [
    ("apache", "Apache-2.0"),
    ("apache2", "Apache-2.0"),
    ("apache2.0", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("apachev2", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("boost", "BSL-1.0"),
    ("bsd", "BSD-3-Clause"),
    ("bsd2", "BSD-2-Clause"),
    ("bsd3", "BSD-3-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("cc0", "CC0-1.0"),
    ("expat", "MIT"),
    ("mit/x11", "MIT"),
    ("mpl", "MPL-2.0"),
    ("mpl2", "MPL-2.0"),
    ("mpl-2", "MPL-2.0"),
    ("psf", "PSF-2.0"),
    ("publicdomain", "LicenseRef-public-domain"),
    ("public-domain", "LicenseRef-public-domain"),
    ("unlicensed", "LicenseRef-unlicensed"),
];

/// Returns the expression that `text` was probably meant to be: names are put right, words that are none are left out, a comma is `AND` and a slash `OR`.
pub(super) fn what_was_meant(text: &str) -> Option<String> {
    let slashes = text
        .replace('/', " OR ")
        .replace(" | ", " OR ")
        .replace(" & ", " AND ");
    let commas = slashes.replace([',', ';'], " AND ");
    let spaced = commas.replace('(', " ( ").replace(')', " ) ");
    // Joined first: `Apache 2.0` is one name.
    let joined: String = text.split_whitespace().collect();
    if let Some(name) = find_name(&joined).filter(|_| !text.contains(['/', ',', '('])) {
        return Some(name);
    }
    let mut words: Vec<String> = Vec::new();
    for word in spaced.split_whitespace() {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "AND" | "OR" | "WITH" | "(" | ")" => words.push(upper),
            "AND/OR" => words.push("OR".to_owned()),
            _ => words.extend(find_name(word)),
        }
    }
    let meant = drop_loose_ends(&words);
    Expression::parse_quietly(&meant).map(|expression| expression.to_string())
}

/// Removes operators that have lost a side.
fn drop_loose_ends(words: &[String]) -> String {
    let is_operator = |word: &String| matches!(word.as_str(), "AND" | "OR" | "WITH");
    let mut kept: Vec<&str> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let has_left = kept
            .last()
            .is_some_and(|last| !matches!(*last, "AND" | "OR" | "WITH" | "("));
        let has_right = words
            .get(at + 1)
            .is_some_and(|next| !is_operator(next) && next != ")");
        if !is_operator(word) || (has_left && has_right) {
            kept.push(word);
        }
    }
    kept.join(" ")
}

fn find_name(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == lower) {
        return Some((*name).to_owned());
    }
    if word.starts_with("LicenseRef-") && Expression::parse_quietly(word).is_some() {
        return Some(word.to_owned());
    }
    if let Some(gnu) = find_gnu(&lower) {
        return Some(gnu);
    }
    let mut known = spdx::identifiers::LICENSES
        .iter()
        .map(|license| license.name);
    if let Some(name) = known.find(|name| name.eq_ignore_ascii_case(word)) {
        return Some(name.to_owned());
    }
    let mut exceptions = spdx::identifiers::EXCEPTIONS
        .iter()
        .map(|exception| exception.name);
    exceptions
        .find(|name| name.eq_ignore_ascii_case(word))
        .map(str::to_owned)
}

/// `gplv3+`, `gpl-3.0`, `lgpl2.1+` and `GPL-3.0+`.
fn find_gnu(lower: &str) -> Option<String> {
    let (rest, suffix) = match lower
        .strip_suffix('+')
        .or_else(|| lower.strip_suffix("-or-later"))
    {
        Some(rest) => (rest, "or-later"),
        None => (lower.strip_suffix("-only").unwrap_or(lower), "only"),
    };
    for family in ["agpl", "lgpl", "gfdl", "gpl"] {
        let Some(version) = rest.strip_prefix(family) else {
            continue;
        };
        let version = version.trim_start_matches(['-', 'v', '.']);
        let version = match version {
            "1" | "2" | "3" => format!("{version}.0"),
            "1.0" | "1.1" | "1.2" | "1.3" | "2.0" | "2.1" | "3.0" => version.to_owned(),
            _ => return None,
        };
        let name = format!("{}-{version}-{suffix}", family.to_ascii_uppercase());
        return spdx::license_id(&name).map(|id| id.name.to_owned());
    }
    None
}
