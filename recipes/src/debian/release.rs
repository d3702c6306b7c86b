//! Release files: which suite it is, until when it may be believed, and the digests of its indexes.
//!
//! Format: the "Release" file of the Debian repository format (wiki.debian.org/DebianRepository/Format).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::control::stanzas;
use crate::model::ContentDigest;

/// One file that a release promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its SHA-256.
    pub digest: ContentDigest,
    /// Its size.
    pub size_bytes: u64,
    /// The line of the release's text that promises it, from 1.
    pub line: usize,
}

/// What a suite's release file says. Made from text whose signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// `bookworm` or `bookworm-security`.
    pub codename: String,
    /// The moving name, `stable`.
    pub suite: String,
    /// When it was made, in seconds since 1970.
    pub date: u64,
    /// After this second it may not be used; not every suite says.
    pub valid_until: Option<u64>,
    /// Whether indexes can be had by their digest, so that a mirror that is being updated does no harm.
    pub by_hash: bool,
    files: BTreeMap<String, IndexEntry>,
}

/// Why a release file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// A field is missing or has another form.
    #[error("the release file of `{suite}` has no usable field `{field}`")]
    Field {
        /// The suite that was asked for.
        suite: String,
        /// The field.
        field: &'static str,
    },
    /// It is the release file of another suite: a mirror sent the wrong one.
    #[error("the release file of `{suite}` is that of `{found}`")]
    OtherSuite {
        /// The suite that was asked for.
        suite: String,
        /// Its own name.
        found: String,
    },
    /// It is older than it may be.
    #[error(
        "the index of `{suite}` has expired: it was valid until {valid_until}, and it is {now}"
    )]
    Expired {
        /// The suite.
        suite: String,
        /// Its last second.
        valid_until: String,
        /// What the clock says.
        now: String,
    },
    /// It promises no such file.
    #[error("the release file of `{suite}` lists no `{file}`")]
    NoFile {
        /// The suite.
        suite: String,
        /// The file that is needed.
        file: String,
    },
}

impl Release {
    /// Reads the release file of the suite called `suite`, which is valid at `now`.
    pub fn parse(suite: &str, text: &str, now: u64) -> Result<Self, ReleaseError> {
        let missing = |field| ReleaseError::Field {
            suite: suite.to_owned(),
            field,
        };
        let stanza = stanzas(text).next().ok_or_else(|| missing("Codename"))?;
        let field = |name: &'static str| stanza.field(name).ok_or_else(|| missing(name));
        let date_of = |name: &'static str| -> Result<u64, ReleaseError> {
            parse_date(field(name)?).ok_or_else(|| missing(name))
        };
        let release = Self {
            codename: field("Codename")?.to_owned(),
            suite: field("Suite")?.to_owned(),
            date: date_of("Date")?,
            valid_until: match stanza.field("Valid-Until") {
                Some(_) => Some(date_of("Valid-Until")?),
                None => None,
            },
            by_hash: stanza.field("Acquire-By-Hash") == Some("yes"),
            files: files(text, field("SHA256")?).ok_or_else(|| missing("SHA256"))?,
        };
        if suite != release.codename && suite != release.suite {
            return Err(ReleaseError::OtherSuite {
                suite: suite.to_owned(),
                found: release.codename,
            });
        }
        match release.valid_until {
            Some(valid_until) if valid_until < now => Err(ReleaseError::Expired {
                suite: suite.to_owned(),
                valid_until: date_text(valid_until),
                now: date_text(now),
            }),
            _ => Ok(release),
        }
    }

    /// Returns the promise about a file, by its path below the suite's directory.
    pub fn file(&self, path: &str) -> Result<&IndexEntry, ReleaseError> {
        self.files.get(path).ok_or_else(|| ReleaseError::NoFile {
            suite: self.codename.clone(),
            file: path.to_owned(),
        })
    }

    /// Returns when it was made, as `2026-07-11T10:16:37Z`.
    pub fn date_text(&self) -> String {
        date_text(self.date)
    }
}

/// Reads `Sat, 11 Jul 2026 10:16:37 UTC` as seconds since 1970; `None` for any other form.
fn parse_date(text: &str) -> Option<u64> {
    // The mail format that the library reads knows the zone by its older name only.
    let date = DateTime::parse_from_rfc2822(&text.replace(" UTC", " GMT")).ok()?;
    u64::try_from(date.timestamp()).ok()
}

/// Prints seconds since 1970 as `2026-07-11T10:16:37Z`.
fn date_text(seconds: u64) -> String {
    let date = i64::try_from(seconds).ok();
    let date = date.and_then(DateTime::from_timestamp_secs);
    date.unwrap_or(DateTime::<Utc>::MAX_UTC)
        .format("%FT%TZ")
        .to_string()
}

/// Reads the table of digests, which is part of `text`.
fn files(text: &str, field: &str) -> Option<BTreeMap<String, IndexEntry>> {
    let start = (field.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let first = text.get(..start)?.matches('\n').count() + 1;
    let mut files = BTreeMap::new();
    for (number, line) in field.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let mut words = line.split_whitespace();
        let entry = IndexEntry {
            digest: ContentDigest::sha256_from_hex(words.next()?).ok()?,
            size_bytes: words.next()?.parse().ok()?,
            line: first + number,
        };
        files.insert(words.next()?.to_owned(), entry);
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nValid-Until: Sat, 18 Jul 2026 10:16:37 UTC\nSHA256:\n e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages\n";

    #[test]
    fn a_release_promises_files_and_has_an_end() {
        let release = Release::parse("bookworm", TEXT, 1_784_000_000).unwrap();
        assert_eq!(release.date_text(), "2026-07-11T10:16:37Z");
        assert_eq!(
            release
                .file("main/binary-amd64/Packages")
                .unwrap()
                .size_bytes,
            0
        );
        let error = Release::parse("stable", TEXT, 1_784_369_798).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the index of `stable` has expired: it was valid until 2026-07-18T10:16:37Z, and it is 2026-07-18T10:16:38Z"
        );
    }

    #[test]
    fn a_release_of_another_suite_or_without_a_field_is_refused() {
        let error = Release::parse("trixie", TEXT, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the release file of `trixie` is that of `bookworm`"
        );
        for field in ["Suite", "Codename", "Date", "SHA256"] {
            let text = TEXT.replace(&format!("{field}:"), "X:");
            assert!(Release::parse("bookworm", &text, 0).is_err(), "{field}");
        }
        let text = TEXT.replace("Valid-Until: Sat", "Valid-Until: someday Sat");
        assert!(Release::parse("bookworm", &text, 0).is_err());
    }

    #[test]
    fn a_date_is_read_in_the_form_that_release_files_have() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", Some(0)),
            ("Sat, 11 Jul 2026 10:16:37 UTC", Some(1_783_764_997)),
            ("Sat, 11 Jul 2026 12:16:37 +0200", Some(1_783_764_997)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("", None),
            ("Sat, 11 Jul 2026 10:16:37", None),
            ("Sat, 11 Foo 2026 10:16:37 UTC", None),
            ("Sun, 11 Jul 2026 10:16:37 UTC", None),
            ("Sat, 11 Jul 2026 25:16:37 UTC", None),
            ("Sat, 11 Jul 99999999999999999 10:16:37 UTC", None),
            ("Fri, 11 Jul 1969 10:16:37 UTC", None),
        ] {
            assert_eq!(parse_date(text), seconds, "{text}");
        }
    }
}
