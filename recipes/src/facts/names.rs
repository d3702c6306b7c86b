//! Which files of a source are license, notice and author texts: by name, as people call them. Pure.

use store::facts::TextKind;

/// What the names of such files begin with, in upper case; `-` and `_` count as one.
const BEGINNINGS: &[(&str, TextKind)] = &[
    ("COPYING", TextKind::License),
    ("LICENSE", TextKind::License),
    ("LICENCE", TextKind::License),
    ("COPYRIGHT", TextKind::License),
    ("UNLICENSE", TextKind::License),
    ("NOTICE", TextKind::Notice),
    ("THIRD-PARTY", TextKind::Notice),
    ("THIRDPARTY", TextKind::Notice),
    ("ATTRIBUTION", TextKind::Notice),
    ("AUTHORS", TextKind::Authors),
    ("CONTRIBUTORS", TextKind::Authors),
    ("CREDITS", TextKind::Authors),
];
/// What texts for people end with, after the dot.
const TEXTS: &[&str] = &[
    "", "TXT", "MD", "RST", "HTML", "HTM", "ADOC", "TEXT", "LESSER", "LIB",
];
/// Directories of nothing but license texts (REUSE 3, "License files").
const DIRECTORIES: &[&str] = &["LICENSES", "LICENSE", "LICENCES"];

/// Returns what the file at `path` is, if it is such a text.
pub(super) fn kind_of(path: &str) -> Option<TextKind> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = name.to_ascii_uppercase().replace('_', "-");
    let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
    // `LICENSE-2.0` and `LICENSE.Apache` have no extension, `license.c` has one.
    let is_text = TEXTS.contains(&extension)
        || extension.bytes().all(|byte| byte.is_ascii_digit())
        || ["MIT", "APACHE", "BSD", "GPL", "ISC", "ZLIB"]
            .iter()
            .any(|license| extension.contains(license));
    if !is_text {
        return None;
    }
    let begins = BEGINNINGS
        .iter()
        .find(|(beginning, _)| is_beginning(stem, beginning));
    if let Some((_, kind)) = begins {
        return Some(*kind);
    }
    let is_license = stem.ends_with("-LICENSE") || stem.ends_with("-LICENCE");
    let parent = directory.rsplit('/').next().unwrap_or_default();
    let is_kept_so = DIRECTORIES.contains(&parent.to_ascii_uppercase().as_str());
    (is_license || is_kept_so).then_some(TextKind::License)
}

/// Whether a name is `word`, or goes on after it with something that is no letter: `LICENSE-MIT`, and not `LICENSED`.
fn is_beginning(name: &str, word: &str) -> bool {
    let rest = name.strip_prefix(word);
    let rest = rest.map(|rest| rest.strip_prefix('S').unwrap_or(rest));
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_known_by_their_names() {
        for (path, expected) in [
            ("COPYING", Some(TextKind::License)),
            ("sub/COPYING.LIB", Some(TextKind::License)),
            ("LICENSE-MIT", Some(TextKind::License)),
            ("License.txt", Some(TextKind::License)),
            ("LICENSE.Apache-2.0", Some(TextKind::License)),
            ("debian/copyright", Some(TextKind::License)),
            ("MIT-LICENSE.txt", Some(TextKind::License)),
            ("LICENSES/GPL-2.0-only.txt", Some(TextKind::License)),
            ("NOTICE", Some(TextKind::Notice)),
            ("third_party_notices.md", Some(TextKind::Notice)),
            ("AUTHORS", Some(TextKind::Authors)),
            ("license.c", None),
            ("licensing.md", None),
            ("copyright.rs", None),
            ("noticed", None),
            ("src/main.c", None),
        ] {
            assert_eq!(kind_of(path), expected, "{path}");
        }
    }
}
