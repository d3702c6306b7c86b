//! Patterns for paths, as recipes write them.
//!
//! `?` stands for one character and `*` for any number of them within one part of a path, `**` for any number of whole
//! parts, and `{a,b}` for either. A pattern that fits a directory covers everything below it.
//!
//! ```
//! use recipes::source::Glob;
//!
//! let glob: Glob = "usr/share/{doc,man}".parse().unwrap();
//! assert!(glob.covers("usr/share/man/man1/ls.1"));
//! assert!(!glob.covers("usr/share/mandoc"));
//! ```

use std::str::FromStr;

/// Alternatives that one pattern may have, braces multiplied.
const MAX_ALTERNATIVES: usize = 1000;

/// A pattern, ready to be compared with relative paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// One list of parts for each combination of what stands in braces.
    alternatives: Vec<Vec<String>>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// A brace is opened and not closed, or closed and not opened.
    #[error("the pattern `{pattern}` has an unmatched brace")]
    Brace {
        /// The pattern.
        pattern: String,
    },
    /// The pattern stands for more combinations than are sensible.
    #[error("the pattern `{pattern}` has more than {MAX_ALTERNATIVES} alternatives")]
    Alternatives {
        /// The pattern.
        pattern: String,
    },
    /// The pattern is empty, absolute, or has an empty part or `..`.
    #[error("the pattern `{pattern}` is no relative path")]
    Path {
        /// The pattern.
        pattern: String,
    },
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(pattern: &str) -> Result<Self, GlobError> {
        let mut alternatives = Vec::new();
        for text in expand(pattern, pattern)? {
            let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
            if parts
                .iter()
                .any(|part| matches!(part.as_str(), "" | "." | ".."))
            {
                return Err(GlobError::Path {
                    pattern: pattern.to_owned(),
                });
            }
            alternatives.push(parts);
        }
        Ok(Self { alternatives })
    }
}

impl Glob {
    /// Returns whether the pattern fits `path` or a directory above it.
    pub fn covers(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        (1..=parts.len()).any(|end| {
            parts
                .get(..end)
                .is_some_and(|head| self.matches_parts(head))
        })
    }

    /// Returns whether something below the directory `path` may be covered, or the directory itself is.
    pub fn reaches_into(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.covers(path)
            || self
                .alternatives
                .iter()
                .any(|pattern| may_lead_to(pattern, &parts))
    }

    /// Returns whether the pattern is one part only, such as `*.o`, so that it may be meant for any depth.
    pub fn is_single_part(&self) -> bool {
        self.alternatives.iter().all(|parts| parts.len() == 1)
    }

    fn matches_parts(&self, parts: &[&str]) -> bool {
        self.alternatives
            .iter()
            .any(|pattern| match_parts(pattern, parts))
    }
}

/// Expands the first brace and, by recursion, all others.
fn expand(text: &str, whole: &str) -> Result<Vec<String>, GlobError> {
    let unmatched = || GlobError::Brace {
        pattern: whole.to_owned(),
    };
    let Some(open) = text.find(['{', '}']) else {
        return Ok(vec![text.to_owned()]);
    };
    let (head, rest) = text.split_at(open);
    let Some(rest) = rest.strip_prefix('{') else {
        return Err(unmatched());
    };
    let mut depth = 0;
    let mut start = 0;
    let mut choices = Vec::new();
    for (index, character) in rest.char_indices() {
        match character {
            '{' => depth += 1,
            ',' if depth == 0 => {
                choices.push(rest.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            '}' if depth > 0 => depth -= 1,
            '}' => {
                choices.push(rest.get(start..index).unwrap_or_default());
                let tail = rest.get(index + 1..).unwrap_or_default();
                let mut all = Vec::new();
                for choice in choices {
                    all.extend(expand(&format!("{head}{choice}{tail}"), whole)?);
                    if all.len() > MAX_ALTERNATIVES {
                        return Err(GlobError::Alternatives {
                            pattern: whole.to_owned(),
                        });
                    }
                }
                return Ok(all);
            }
            _ => {}
        }
    }
    Err(unmatched())
}

/// Compares parts, with `**` for any number of them; in time proportional to the product of both lengths.
fn match_parts(pattern: &[String], parts: &[&str]) -> bool {
    let mut reachable = vec![false; parts.len() + 1];
    reachable[0] = true;
    for want in pattern {
        let mut next = vec![false; parts.len() + 1];
        for position in 0..=parts.len() {
            let from_before = position > 0 && next[position - 1];
            next[position] = if want == "**" {
                reachable[position] || from_before
            } else {
                position > 0
                    && reachable[position - 1]
                    && match_part(want.as_bytes(), parts[position - 1].as_bytes())
            };
        }
        reachable = next;
    }
    reachable[parts.len()]
}

/// Whether some longer path below `parts` could match.
fn may_lead_to(pattern: &[String], parts: &[&str]) -> bool {
    for (want, part) in pattern.iter().zip(parts) {
        if want == "**" {
            return true;
        }
        if !match_part(want.as_bytes(), part.as_bytes()) {
            return false;
        }
    }
    pattern.len() > parts.len()
}

/// Compares one part; `*` backtracks to its last occurrence only, which is enough.
fn match_part(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, next_character(text, t)),
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

/// The start of the character after the one at `from`, so that `?` is one character and not one byte.
fn next_character(text: &[u8], from: usize) -> usize {
    let mut next = from + 1;
    while text
        .get(next)
        .is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
    {
        next += 1;
    }
    next
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        pattern.parse::<Glob>().unwrap().covers(path)
    }

    #[test]
    fn patterns_cover_what_they_say() {
        for (pattern, path, expected) in [
            ("var", "var/lib/x", true),
            ("var", "usr/var", false),
            ("usr/share/*/x", "usr/share/a/x", true),
            ("usr/share/*/x", "usr/share/a/b/x", false),
            ("usr/**/x", "usr/x", true),
            ("usr/**/x", "usr/a/b/x/y", true),
            ("**/*.py[c]", "a.py[c]", true),
            ("*.la", "libz.la", true),
            ("*.la", "lib/libz.la", false),
            ("a{b,c{d,e}}f", "acef", true),
            ("a{b,c{d,e}}f", "acf", false),
            ("a{,b}", "a", true),
            ("?", "ü", true),
            ("**", "a/b", true),
        ] {
            assert_eq!(covers(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_directory_is_entered_only_when_something_below_it_may_be_covered() {
        let glob: Glob = "usr/lib/*/libz.so*".parse().unwrap();
        for (path, expected) in [
            ("usr", true),
            ("usr/lib", true),
            ("usr/lib/x", true),
            ("usr/share", false),
            ("etc", false),
        ] {
            assert_eq!(glob.reaches_into(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, expected) in [
            ("a{b", "the pattern `a{b` has an unmatched brace"),
            ("a}b", "the pattern `a}b` has an unmatched brace"),
            ("/etc", "the pattern `/etc` is no relative path"),
            ("a/../b", "the pattern `a/../b` is no relative path"),
            ("", "the pattern `` is no relative path"),
        ] {
            assert_eq!(pattern.parse::<Glob>().unwrap_err().to_string(), expected);
        }
        let bomb = "{a,b}".repeat(20);
        assert!(matches!(
            bomb.parse::<Glob>(),
            Err(GlobError::Alternatives { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_path_without_special_characters_covers_itself_and_what_is_below(
            parts in prop::collection::vec("[a-z.]{1,4}x", 1..5), below in "[a-z]{1,3}",
        ) {
            let path = parts.join("/");
            prop_assert!(covers(&path, &path));
            let child = format!("{path}/{below}");
            prop_assert!(covers(&path, &child));
            prop_assert!(!covers(&child, &path));
        }
    }
}
