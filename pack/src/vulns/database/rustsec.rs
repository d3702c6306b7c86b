//! Advisories of RustSec: Markdown with TOML before it. Pure.
//!
//! Format: rustsec/advisory-db, `EXAMPLE_ADVISORY.md`: a block of TOML with `[advisory]` and `[versions]`, then a title. What is neither patched nor unaffected is
//! affected.

use std::ops::Bound;

use semver::{Comparator, Op, Prerelease, Version, VersionReq};
use serde::Deserialize;

use super::{
    Wanted,
    record::{Record, RecordError},
};
use crate::vulns::{Advisory, Affected, Ecosystem, Key, Range, Rating};

/// What a file begins with.
const FENCE: &str = "```toml";

#[derive(Deserialize)]
struct FrontMatter {
    advisory: Header,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Header {
    id: String,
    package: String,
    date: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    cvss: Option<String>,
    #[serde(default)]
    informational: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Versions {
    patched: Vec<String>,
    unaffected: Vec<String>,
}

/// Whether a file is an advisory rather than some other page.
pub(super) fn is_advisory(bytes: &[u8]) -> bool {
    bytes.starts_with(FENCE.as_bytes())
}

/// Parses an advisory.
pub(super) fn parse(bytes: &[u8], wanted: &Wanted, database: usize) -> Result<Record, RecordError> {
    let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Text)?;
    let rest = text.strip_prefix(FENCE).ok_or(RecordError::FrontMatter)?;
    let (front, page) = rest.split_once("\n```").ok_or(RecordError::FrontMatter)?;
    let FrontMatter { advisory, versions } = toml::from_str(front)?;
    let mut intervals = Vec::new();
    for text in versions.patched.iter().chain(&versions.unaffected) {
        intervals.push(interval(text)?);
    }
    let key = Key::package(Ecosystem::CratesIo, &advisory.package);
    let is_wanted = wanted.has(&key) && advisory.withdrawn.is_none();
    let title = page.lines().find_map(|line| line.strip_prefix("# "));
    let found = is_wanted.then(|| {
        let mut aliases = advisory.aliases;
        aliases.sort_unstable();
        Advisory {
            id: advisory.id,
            aliases,
            summary: title.map(|title| title.trim().to_owned()),
            rating: advisory.cvss.as_deref().and_then(Rating::of_vector),
            informational: advisory.informational,
            affected: vec![Affected {
                keys: vec![key],
                ranges: vec![Range::Outside(intervals)],
                ..Affected::default()
            }],
            database,
        }
    });
    Ok(Record {
        modified: Some(advisory.date),
        domains: vec![Ecosystem::CratesIo.to_string()],
        upstream: Vec::new(),
        advisory: found,
    })
}

/// Reads a requirement as the interval of versions between its bounds: by precedence alone, so that a prerelease is not something of its own.
fn interval(text: &str) -> Result<(Bound<Version>, Bound<Version>), RecordError> {
    let wrong = || RecordError::Requirement {
        text: text.to_owned(),
    };
    let requirement = VersionReq::parse(text).map_err(|_| wrong())?;
    let mut low = Bound::Unbounded;
    let mut high = Bound::Unbounded;
    for comparator in &requirement.comparators {
        let (from, to) = bounds(comparator).ok_or_else(wrong)?;
        if !matches!(from, Bound::Unbounded) {
            low = from;
        }
        if !matches!(to, Bound::Unbounded) {
            high = to;
        }
    }
    Ok((low, high))
}

fn bounds(comparator: &Comparator) -> Option<(Bound<Version>, Bound<Version>)> {
    use Bound::{Excluded, Included, Unbounded};
    let (major, minor, patch) = (comparator.major, comparator.minor, comparator.patch);
    let mut least = Version::new(major, minor.unwrap_or(0), patch.unwrap_or(0));
    least.pre = comparator.pre.clone();
    // The first version, with all its prereleases, that has a larger number in the last place that is given.
    let after = |major: u64, minor: u64, patch: u64| {
        let mut version = Version::new(major, minor, patch);
        version.pre = Prerelease::new("0").unwrap_or(Prerelease::EMPTY);
        version
    };
    let next = match (minor, patch) {
        (None, _) => after(major + 1, 0, 0),
        (Some(minor), None) => after(major, minor + 1, 0),
        (Some(minor), Some(patch)) => after(major, minor, patch + 1),
    };
    let is_whole = patch.is_some();
    Some(match comparator.op {
        Op::Exact if is_whole => (Included(least.clone()), Included(least)),
        Op::Exact | Op::Wildcard => (Included(least), Excluded(next)),
        Op::Greater if is_whole => (Excluded(least), Unbounded),
        Op::Greater => (Included(next), Unbounded),
        Op::GreaterEq => (Included(least), Unbounded),
        Op::Less => (Unbounded, Excluded(least)),
        Op::LessEq if is_whole => (Unbounded, Included(least)),
        Op::LessEq => (Unbounded, Excluded(next)),
        Op::Tilde => {
            let end = match minor {
                Some(minor) => after(major, minor + 1, 0),
                None => after(major + 1, 0, 0),
            };
            (Included(least), Excluded(end))
        }
        Op::Caret => {
            let end = match (major, minor, patch) {
                (0, Some(0), Some(patch)) => after(0, 0, patch + 1),
                (0, Some(minor), _) => after(0, minor + 1, 0),
                (major, ..) => after(major + 1, 0, 0),
            };
            (Included(least), Excluded(end))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulns::{
        Order, Subject, VersionRule,
        judge::{Verdict, Version as Judged, judge},
    };

    fn wanted() -> Wanted {
        Wanted::of(&[Subject {
            purl: Some("pkg:cargo/fast@1.0.0".parse().unwrap()),
            ..Subject::default()
        }])
    }

    fn text(versions: &str) -> String {
        format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"fast\"\ndate = \"2026-03-01\"\n\
             aliases = [\"CVE-2026-1\"]\ncategories = [\"memory-corruption\"]\n\
             cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n\n[versions]\n{versions}\n```\n\n# Too fast\n\nIt is.\n"
        )
    }

    #[test]
    fn what_is_neither_patched_nor_unaffected_is_affected() {
        for (versions, version, expected) in [
            ("patched = [\">= 1.2.3\"]", "1.2.2", true),
            ("patched = [\">= 1.2.3\"]", "1.2.3", false),
            ("patched = [\">= 1.2.3\"]", "1.2.3-rc.1", true),
            ("patched = [\">= 1.2.3\"]", "2.0.0-alpha", false),
            ("patched = [\"^1.2.3\", \">= 2.0.1\"]", "1.9.0", false),
            ("patched = [\"^1.2.3\", \">= 2.0.1\"]", "2.0.0", true),
            ("patched = [\"^1.2.3\", \">= 2.0.1\"]", "2.0.0-beta", true),
            ("patched = [\">= 1.2.3, < 2.0.0\"]", "2.1.0", true),
            ("patched = []", "9.0.0", true),
            ("patched = []\nunaffected = [\"< 0.5.0\"]", "0.4.9", false),
            ("patched = []\nunaffected = [\"< 0.5.0\"]", "0.5.0", true),
            ("patched = [\"~0.3.5\"]", "0.3.9", false),
            ("patched = [\"~0.3.5\"]", "0.4.0", true),
            ("patched = [\"^0.0.5\"]", "0.0.6", true),
            ("patched = [\"= 1.0.1\"]", "1.0.1", false),
            ("patched = [\"> 1.0.1\"]", "1.0.1", true),
            ("patched = [\">= 1.2\"]", "1.2.0", false),
        ] {
            let record = parse(text(versions).as_bytes(), &wanted(), 0).unwrap();
            let advisory = record.advisory.unwrap();
            let judged = Judged {
                text: Some(version),
                order: Order::SemVer,
                commit: None,
                tags: false,
            };
            let verdict = judge(&advisory.affected[0], &judged);
            let is_affected = verdict == Verdict::Affected(VersionRule::Range);
            assert_eq!(is_affected, expected, "{versions}: {version}");
        }
    }

    #[test]
    fn what_stands_before_the_page_is_read() {
        let record = parse(text("patched = []").as_bytes(), &wanted(), 2).unwrap();
        assert_eq!(record.modified.as_deref(), Some("2026-03-01"));
        let advisory = record.advisory.unwrap();
        assert_eq!(advisory.id, "RUSTSEC-2026-0001");
        assert_eq!(advisory.summary.as_deref(), Some("Too fast"));
        assert_eq!(advisory.rating.unwrap().score.unwrap().to_string(), "9.8");
        for wrong in [
            "",
            "# Page",
            "```toml\n[advisory]\n```\n",
            &text("patched = [\"new\"]"),
        ] {
            assert!(parse(wrong.as_bytes(), &wanted(), 0).is_err(), "{wrong}");
        }
    }
}
