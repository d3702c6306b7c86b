//! Records in OSV's format. Pure.
//!
//! Format: OSV schema 1.7, <https://ossf.github.io/osv-schema/>. From records that OSV made of the NVD's, also what these say of versions and CPE products in
//! `database_specific`, because the commits beside them cannot be compared without the repository.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Wanted,
    record::{Record, RecordError},
};
use crate::vulns::{
    Advisory, Affected, Ecosystem, Event, Key, Order, Range, Rating, UPSTREAM, debian_release_name,
};

#[derive(Deserialize)]
struct OsvRecord<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    modified: Cow<'a, str>,
    #[serde(borrow, default)]
    withdrawn: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    aliases: Option<Vec<Cow<'a, str>>>,
    /// What a distribution's record was made of.
    #[serde(borrow, default)]
    upstream: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    summary: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    details: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    severity: Option<Vec<OsvSeverity<'a>>>,
    #[serde(borrow, default)]
    affected: Option<Vec<OsvAffected<'a>>>,
    #[serde(borrow, default)]
    database_specific: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OsvSeverity<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    score: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OsvAffected<'a> {
    #[serde(borrow, default)]
    package: Option<OsvPackage<'a>>,
    #[serde(borrow, default)]
    ranges: Option<Vec<OsvRange<'a>>>,
    #[serde(borrow, default)]
    versions: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    severity: Option<Vec<OsvSeverity<'a>>>,
    #[serde(borrow, default)]
    database_specific: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ecosystem_specific: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OsvPackage<'a> {
    #[serde(borrow)]
    ecosystem: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    purl: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct OsvRange<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    repo: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    events: Vec<OsvEvent<'a>>,
    #[serde(borrow, default)]
    database_specific: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OsvEvent<'a> {
    #[serde(borrow)]
    introduced: Option<Cow<'a, str>>,
    #[serde(borrow)]
    fixed: Option<Cow<'a, str>>,
    #[serde(borrow)]
    last_affected: Option<Cow<'a, str>>,
}

/// What the NVD says of versions, in a range of commits.
#[derive(Deserialize, Default)]
#[serde(default)]
struct NvdVersions<'a> {
    #[serde(borrow)]
    versions: Option<Vec<OsvEvent<'a>>>,
    #[serde(borrow)]
    extracted_events: Option<Vec<OsvEvent<'a>>>,
}

/// What GitHub and RustSec say beside the schema.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Beside {
    severity: Option<String>,
    informational: Option<String>,
}

/// Parses a record. Its package names, versions and events are only taken over where `wanted` wants them.
pub(super) fn parse(bytes: &[u8], wanted: &Wanted, database: usize) -> Result<Record, RecordError> {
    let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Text)?;
    let record: OsvRecord<'_> = serde_json::from_str(text)?;
    let mut domains: Vec<String> = Vec::new();
    let mut upstream: Vec<Key> = Vec::new();
    let mut affected: Vec<Affected> = Vec::new();
    let mut informational = None;
    for part in record.affected.as_deref().unwrap_or_default() {
        let domain = domain_of(part);
        let keys = keys_of(part, wanted);
        if domain.as_deref() == Some(UPSTREAM) {
            upstream.extend(keys.iter().filter(|key| key.is_place()).cloned());
        }
        domains.extend(domain.filter(|domain| !domains.contains(domain)));
        if let Some(found) = affected_of(part, keys, wanted) {
            informational = informational.or_else(|| beside(part.database_specific).informational);
            affected.push(found);
        }
    }
    let is_wanted = !affected.is_empty() && record.withdrawn.is_none();
    let advisory = is_wanted.then(|| {
        let own = rating(record.severity.as_deref());
        let rating = own.or_else(|| {
            let word = beside(record.database_specific).severity;
            word.and_then(|word| Rating::of_word(&word))
        });
        let mut aliases: Vec<String> = [&record.aliases, &record.upstream]
            .into_iter()
            .flatten()
            .flatten()
            .map(|name| name.clone().into_owned())
            .collect();
        aliases.sort_unstable();
        aliases.dedup();
        Advisory {
            id: record.id.into_owned(),
            aliases,
            summary: first_line(record.summary.as_deref().or(record.details.as_deref())),
            rating,
            informational,
            affected,
            database,
        }
    });
    Ok(Record {
        modified: Some(record.modified.into_owned()),
        domains,
        upstream,
        advisory,
    })
}

/// Returns the register that a part of a record speaks of.
fn domain_of(part: &OsvAffected<'_>) -> Option<String> {
    let ranges = part.ranges.as_deref().unwrap_or_default();
    let package = part.package.as_ref();
    let domain = match package.map(|of| Ecosystem::of_osv(&of.ecosystem)) {
        Some((Ecosystem::Debian, Some(release))) => {
            format!("Debian {}", debian_release_name(release))
        }
        Some((Ecosystem::Other(name), _)) if is_upstream(&name) => UPSTREAM.to_owned(),
        Some((ecosystem, _)) => ecosystem.to_string(),
        None if ranges.iter().any(|range| range.kind == "GIT") => UPSTREAM.to_owned(),
        None => return None,
    };
    Some(domain)
}

/// What OSV calls software without a register.
fn is_upstream(ecosystem: &str) -> bool {
    matches!(ecosystem, "OSS-Fuzz" | "GIT" | "")
}

/// Returns the names of what a part of a record is about, sorted; of packages of registers, those alone that may be wanted.
fn keys_of(part: &OsvAffected<'_>, wanted: &Wanted) -> Vec<Key> {
    let ranges = part.ranges.as_deref().unwrap_or_default();
    let mut keys = Vec::new();
    if let Some(package) = &part.package {
        let (ecosystem, _) = Ecosystem::of_osv(&package.ecosystem);
        let name = ecosystem.normal_name(&package.name);
        if matches!(&ecosystem, Ecosystem::Other(name) if is_upstream(name)) {
            keys.push(Key::Generic(name.to_lowercase()));
        } else if wanted.may_have_name(&name) {
            keys.push(Key::Package { ecosystem, name });
        }
        let purl = package.purl.as_deref().and_then(|purl| purl.parse().ok());
        keys.extend(purl.as_ref().and_then(Key::of_purl));
    }
    let repositories = ranges.iter().filter_map(|range| range.repo.as_deref());
    keys.extend(repositories.filter_map(Key::of_repository));
    let raw = [part.database_specific, part.ecosystem_specific];
    let of_ranges = ranges.iter().map(|range| range.database_specific);
    for raw in raw.into_iter().chain(of_ranges).flatten() {
        keys.extend(products(raw.get()));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn affected_of(part: &OsvAffected<'_>, keys: Vec<Key>, wanted: &Wanted) -> Option<Affected> {
    let ranges = part.ranges.as_deref().unwrap_or_default();
    let mut found = Affected {
        keys,
        ..Affected::default()
    };
    if !wanted.wants(&found) {
        return None;
    }
    let mut order = Order::Upstream;
    if let Some(package) = &part.package {
        let (ecosystem, release) = Ecosystem::of_osv(&package.ecosystem);
        if !matches!(&ecosystem, Ecosystem::Other(name) if is_upstream(name)) {
            order = Order::of(&ecosystem);
        }
        if ecosystem == Ecosystem::Debian {
            found.release = release.map(debian_release_name);
        }
    }
    found.versions = (part.versions.iter().flatten())
        .map(|version| version.clone().into_owned())
        .collect();
    found.ranges = ranges
        .iter()
        .flat_map(|range| range_of(range, order))
        .collect();
    found.rating = rating(part.severity.as_deref());
    Some(found)
}

fn range_of(range: &OsvRange<'_>, order: Order) -> Vec<Range> {
    let commits = events_of(&range.events);
    match range.kind.as_ref() {
        "GIT" => {
            let mut found = Vec::new();
            if let Some(repository) = range.repo.as_deref().and_then(Key::of_repository) {
                found.push(Range::Commits {
                    repository,
                    events: commits,
                });
            }
            let of_nvd: NvdVersions<'_> = range
                .database_specific
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .unwrap_or_default();
            let versions = of_nvd.extracted_events.or(of_nvd.versions);
            if let Some(versions) = versions.filter(|versions| !versions.is_empty()) {
                found.push(Range::Events {
                    order: Order::Upstream,
                    events: events_of(&versions),
                });
            }
            found
        }
        kind => {
            let order = if kind == "SEMVER" {
                Order::SemVer
            } else {
                order
            };
            vec![Range::Events {
                order,
                events: commits,
            }]
        }
    }
}

fn events_of(events: &[OsvEvent<'_>]) -> Vec<Event> {
    let owned = |text: &Option<Cow<'_, str>>| text.as_ref().map(|text| text.clone().into_owned());
    let event = |event: &OsvEvent<'_>| {
        let introduced = owned(&event.introduced).map(Event::Introduced);
        let fixed = owned(&event.fixed).map(Event::Fixed);
        let last = owned(&event.last_affected).map(Event::LastAffected);
        // A limit narrows an enumeration of commits and says nothing of versions.
        introduced.into_iter().chain(fixed).chain(last)
    };
    events.iter().flat_map(event).collect()
}

/// Returns the products of the CPE names in some JSON, wherever they stand: no schema says where.
fn products(json: &str) -> Vec<Key> {
    let mut found = Vec::new();
    let mut rest = json;
    while let Some(at) = rest.find("\"cpe:") {
        rest = rest.get(at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        if let Some(Ok(name)) = values.next() {
            found.extend(Key::of_cpe(&name));
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    found
}

/// The worst of the vectors.
fn rating(severities: Option<&[OsvSeverity<'_>]>) -> Option<Rating> {
    let vectors = severities.into_iter().flatten();
    let vectors = vectors.filter(|one| one.kind.starts_with("CVSS_V"));
    vectors
        .filter_map(|one| Rating::of_vector(&one.score))
        .max_by(|a, b| a.score.cmp(&b.score))
}

fn beside(raw: Option<&RawValue>) -> Beside {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// The first line of a text, as long as a line of a table may be.
pub(super) fn first_line(text: Option<&str>) -> Option<String> {
    const MAX_CHARACTERS: usize = 160;
    let line = text?.trim().lines().next()?.trim();
    let line: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARACTERS)
        .collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulns::{Purl, Subject};

    fn wanted(purl: &str) -> Wanted {
        let purl: Purl = purl.parse().unwrap();
        Wanted::of(&[Subject {
            name: purl.name.clone(),
            purl: Some(purl),
            ..Subject::default()
        }])
    }

    const GHSA: &str = r#"{
        "schema_version": "1.7.5", "id": "GHSA-aaaa-bbbb-cccc", "modified": "2026-10-01T00:00:00Z",
        "published": "2026-09-01T00:00:00Z", "aliases": ["CVE-2026-0001"],
        "summary": "A crate does what it should not\nsecond line",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {"package": {"ecosystem": "crates.io", "name": "other"}, "versions": ["1.0.0"]},
            {"package": {"ecosystem": "crates.io", "name": "fast", "purl": "pkg:cargo/fast"},
             "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}]}
        ],
        "database_specific": {"severity": "HIGH", "cwe_ids": ["CWE-1"]}
    }"#;

    #[test]
    fn only_what_is_wanted_of_a_record_is_kept() {
        let record = parse(GHSA.as_bytes(), &wanted("pkg:cargo/fast@1.0.0"), 3).unwrap();
        assert_eq!(record.modified.as_deref(), Some("2026-10-01T00:00:00Z"));
        assert_eq!(record.domains, ["crates.io"]);
        let advisory = record.advisory.unwrap();
        assert_eq!(advisory.aliases, ["CVE-2026-0001"]);
        assert_eq!(
            advisory.summary.as_deref(),
            Some("A crate does what it should not")
        );
        assert_eq!(advisory.rating.unwrap().score.unwrap().to_string(), "9.8");
        assert_eq!(advisory.database, 3);
        let [affected] = advisory.affected.as_slice() else {
            panic!("{:?}", advisory.affected)
        };
        let events = vec![
            Event::Introduced("0".to_owned()),
            Event::Fixed("1.2.3".to_owned()),
        ];
        let order = Order::SemVer;
        assert_eq!(affected.ranges, [Range::Events { order, events }]);
        let record = parse(GHSA.as_bytes(), &wanted("pkg:cargo/slow@1"), 0).unwrap();
        assert_eq!(record.advisory, None);
        // The same name in another register is another package.
        let record = parse(GHSA.as_bytes(), &wanted("pkg:npm/fast@1"), 0).unwrap();
        assert_eq!(record.advisory, None);
    }

    #[test]
    fn a_withdrawn_record_is_counted_and_not_kept() {
        let text = GHSA.replacen("\"published\"", "\"withdrawn\"", 1);
        let record = parse(text.as_bytes(), &wanted("pkg:cargo/fast@1.0.0"), 0).unwrap();
        assert_eq!(record.advisory, None);
        assert_eq!(record.domains, ["crates.io"]);
    }

    #[test]
    fn what_the_nvd_says_of_versions_and_products_is_taken() {
        let text = r#"{"id": "CVE-2026-0002", "modified": "2026-01-01T00:00:00Z", "affected": [{
            "ranges": [{"type": "GIT", "repo": "https://github.com/curl/curl.git",
                "events": [{"introduced": "0"}, {"fixed": "0123456789012345678901234567890123456789"}],
                "database_specific": {"cpe": "cpe:2.3:a:haxx:curl:*:*:*:*:*:*:*:*",
                    "extracted_events": [{"introduced": "7.1"}, {"fixed": "7.88.0"}]}}],
            "versions": ["curl-7_87_0"]}]}"#;
        let curl = Subject {
            name: "curl".to_owned(),
            cpe: Some("haxx:curl".to_owned()),
            ..Subject::default()
        };
        let record = parse(text.as_bytes(), &Wanted::of(&[curl]), 0).unwrap();
        assert_eq!(record.domains, [UPSTREAM]);
        let affected = record.advisory.unwrap().affected.remove(0);
        let keys: Vec<String> = affected.keys.iter().map(ToString::to_string).collect();
        assert_eq!(keys, ["github.com/curl/curl", "cpe haxx:curl"]);
        assert_eq!(affected.ranges.len(), 2);
        assert_eq!(affected.versions, ["curl-7_87_0"]);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in ["", "{}", "[]", "{\"id\": 1}", "\u{feff}{}"] {
            assert!(
                parse(text.as_bytes(), &Wanted::default(), 0).is_err(),
                "{text}"
            );
        }
        assert!(parse(b"\xff", &Wanted::default(), 0).is_err());
    }
}
