//! What is known of a database as it was read, and whether it can be relied on. Pure.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::vulns::{Problem, ProblemCode};

/// A database may lose this much between two looks at it: records are merged and withdrawn.
const MAX_LOSS_PERCENT: u64 = 20;

/// A database as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: DatabaseKind,
    /// BLAKE3 of a file; of a directory, that of a list of its files: for each its digest, two spaces, its path below the directory, and a line feed.
    pub digest: String,
    /// Its records; of Debian's tracker, pairs of a source package and a vulnerability.
    pub records: u64,
    /// The day on which one of its records was changed last.
    pub newest: Option<NaiveDate>,
    /// Whether that is the day on which the file was changed, because its format names none.
    pub dated_by_file: bool,
    /// How many of its records speak of each register, and each release of Debian.
    pub domains: BTreeMap<String, u64>,
    /// How many repositories and products without a register its records name.
    pub upstream: u64,
    /// Files that are no records of its format: how many, and the first one with what is wrong.
    pub unreadable: Option<Unreadable>,
}

/// What kind of database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseKind {
    /// A directory of records in OSV's format or RustSec's.
    Directory,
    /// A zip archive of records in OSV's format.
    Zip,
    /// One record in OSV's format.
    Osv,
    /// Debian's security tracker.
    DebianTracker,
}

/// Files of a database that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// How many there are.
    pub files: u64,
    /// The first one, by path.
    pub first: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a database should be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// The records that it had before, or should have.
    pub records: Option<u64>,
    /// For how many days after its newest record it is relied on; none if for ever.
    pub max_age_days: Option<u64>,
    /// Today.
    pub date: NaiveDate,
}

impl Snapshot {
    /// Returns a name for the database at a path, in digits and letters, by which a file may be called.
    #[must_use]
    pub fn key_of(path: &Path) -> String {
        let digest = blake3::hash(path.as_os_str().as_encoded_bytes());
        digest.to_hex().to_string()
    }

    /// Returns the reasons for which nothing can be concluded from what the database does not say.
    #[must_use]
    pub fn problems(&self, expected: &Expectation) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut say = |code, message| found.push(Problem { code, message });
        let place = self.path.display();
        if let Some(unreadable) = &self.unreadable {
            let Unreadable {
                files,
                first,
                reason,
            } = unreadable;
            say(
                ProblemCode::V103,
                format!(
                    "{files} files of `{place}` cannot be read, the first one is `{first}`: {reason}"
                ),
            );
        }
        if self.records == 0 {
            say(ProblemCode::V100, format!("`{place}` has no records"));
            return found;
        }
        if let Some(before) = expected.records
            && self.records.saturating_mul(100) < before.saturating_mul(100 - MAX_LOSS_PERCENT)
        {
            let now = self.records;
            say(
                ProblemCode::V101,
                format!(
                    "`{place}` has {now} records, and had {before}: more than {MAX_LOSS_PERCENT} % are gone"
                ),
            );
        }
        match (self.newest, expected.max_age_days) {
            (Some(newest), Some(limit)) => {
                let age = (expected.date - newest).num_days();
                if u64::try_from(age).is_ok_and(|age| age > limit) {
                    say(
                        ProblemCode::V102,
                        format!(
                            "the newest record of `{place}` is of {newest}, {age} days before {}: more than {limit}",
                            expected.date
                        ),
                    );
                }
            }
            (None, Some(_)) => say(
                ProblemCode::V102,
                format!("no record of `{place}` says when it was changed"),
            ),
            (_, None) => {}
        }
        found
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory of records",
            Self::Zip => "archive of OSV records",
            Self::Osv => "OSV record",
            Self::DebianTracker => "Debian's security tracker",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn codes(records: u64, newest: Option<&str>, before: Option<u64>) -> Vec<ProblemCode> {
        let snapshot = Snapshot {
            path: "db".into(),
            kind: DatabaseKind::Directory,
            digest: String::new(),
            records,
            newest: newest.map(day),
            dated_by_file: false,
            domains: BTreeMap::new(),
            upstream: 0,
            unreadable: None,
        };
        let expected = Expectation {
            records: before,
            max_age_days: Some(14),
            date: day("2026-11-22"),
        };
        let problems = snapshot.problems(&expected);
        problems.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn what_is_empty_shrunken_or_old_is_not_relied_on() {
        let fresh = Some("2026-11-20");
        for (records, newest, before, expected) in [
            (1000, fresh, None, None),
            (1000, fresh, Some(1000), None),
            (800, fresh, Some(1000), None),
            (799, fresh, Some(1000), Some(ProblemCode::V101)),
            (0, None, None, Some(ProblemCode::V100)),
            (0, None, Some(1000), Some(ProblemCode::V100)),
            (1000, Some("2026-11-08"), None, None),
            (1000, Some("2026-11-07"), None, Some(ProblemCode::V102)),
            // A record from tomorrow is no reason to distrust.
            (1000, Some("2026-11-23"), None, None),
            (1000, None, None, Some(ProblemCode::V102)),
        ] {
            let found = codes(records, newest, before);
            assert_eq!(
                found,
                Vec::from_iter(expected),
                "{records} {newest:?} {before:?}"
            );
        }
    }
}
