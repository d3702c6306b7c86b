//! The JSON of Debian's security tracker, read as a stream: only what is looked for stays in memory.
//!
//! Format: source package → vulnerability → `{"description", "releases": {codename: {"status", "fixed_version", "urgency", …}}}`
//! (<https://security-tracker.debian.org/tracker/data/json>, described by google/osv.dev's importer). `fixed_version` `0` says that the release never was affected.

use std::{collections::BTreeMap, fmt, io::Read};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};

use super::{Wanted, osv::first_line};
use crate::vulns::{Advisory, Affected, Ecosystem, Event, Key, Order, Range, Rating};

/// What is taken from a tracker.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    /// Entries, each of one vulnerability in one source package.
    pub(super) records: u64,
    /// How many of them speak of each release.
    pub(super) releases: BTreeMap<String, u64>,
    /// What is about something that is looked for.
    pub(super) advisories: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    releases: BTreeMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
}

/// Reads a tracker to its end.
pub(super) fn read(
    reader: impl Read,
    wanted: &Wanted,
    database: usize,
) -> Result<Tracked, serde_json::Error> {
    let mut found = Tracked::default();
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    deserializer.deserialize_map(Packages {
        wanted,
        database,
        found: &mut found,
    })?;
    deserializer.end()?;
    Ok(found)
}

/// All source packages.
struct Packages<'a> {
    wanted: &'a Wanted,
    database: usize,
    found: &'a mut Tracked,
}

impl<'de> Visitor<'de> for Packages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of source packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let key = Key::package(Ecosystem::Debian, &name);
            map.next_value_seed(Package {
                is_wanted: self.wanted.has(&key),
                key,
                database: self.database,
                found: &mut *self.found,
            })?;
        }
        Ok(())
    }
}

/// The vulnerabilities of one source package.
struct Package<'a> {
    key: Key,
    is_wanted: bool,
    database: usize,
    found: &'a mut Tracked,
}

impl<'de> DeserializeSeed<'de> for Package<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Package<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of vulnerabilities")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(id) = map.next_key::<String>()? {
            self.found.records += 1;
            if self.is_wanted {
                let entry: Entry = map.next_value()?;
                for release in entry.releases.keys() {
                    count(&mut self.found.releases, release);
                }
                let advisory = advisory(id, &self.key, entry, self.database);
                self.found.advisories.push(advisory);
            } else {
                let entry: Named = map.next_value()?;
                for release in entry.releases.keys() {
                    count(&mut self.found.releases, release);
                }
            }
        }
        Ok(())
    }
}

/// An entry of which only the releases count.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    releases: BTreeMap<String, IgnoredAny>,
}

fn count(releases: &mut BTreeMap<String, u64>, release: &str) {
    match releases.get_mut(release) {
        Some(count) => *count += 1,
        None => {
            releases.insert(release.to_owned(), 1);
        }
    }
}

fn advisory(id: String, key: &Key, entry: Entry, database: usize) -> Advisory {
    let mut affected = Vec::with_capacity(entry.releases.len());
    for (name, release) in entry.releases {
        let mut events = vec![Event::Introduced("0".to_owned())];
        let range = match (release.status.as_str(), release.fixed_version) {
            ("resolved", Some(version)) => {
                events.push(Event::Fixed(version));
                Some(events)
            }
            ("open", _) => Some(events),
            // Nobody has looked yet whether it is affected.
            _ => None,
        };
        affected.push(Affected {
            keys: vec![key.clone()],
            release: Some(name),
            ranges: range
                .into_iter()
                .map(|events| Range::Events {
                    order: Order::Debian,
                    events,
                })
                .collect(),
            rating: release.urgency.as_deref().and_then(Rating::of_word),
            ..Affected::default()
        });
    }
    Advisory {
        id,
        aliases: Vec::new(),
        summary: first_line(entry.description.as_deref()),
        rating: None,
        informational: None,
        affected,
        database,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulns::{DebianSource, Subject};

    const TRACKER: &str = r#"{
        "curl": {
            "CVE-2026-0001": {"scope": "local", "description": "A bug in curl.", "releases": {
                "bookworm": {"status": "resolved", "repositories": {"bookworm": "7.88.1-10+deb12u14"},
                    "fixed_version": "7.88.1-10+deb12u5", "urgency": "not yet assigned"},
                "sid": {"status": "open", "repositories": {"sid": "8.5.0-1"}, "urgency": "low"}}},
            "CVE-2026-0002": {"releases": {"bookworm": {"status": "undetermined", "urgency": "x", "repositories": {}}}}
        },
        "zlib": {"CVE-2026-0003": {"releases": {"bookworm": {"status": "open", "urgency": "high", "repositories": {}}}}}
    }"#;

    fn wanted(source: &str) -> Wanted {
        Wanted::of(&[Subject {
            debian: vec![DebianSource {
                name: source.to_owned(),
                version: "1".to_owned(),
                release: "bookworm".to_owned(),
            }],
            ..Subject::default()
        }])
    }

    #[test]
    fn everything_is_counted_and_only_what_is_wanted_is_kept() {
        let found = read(TRACKER.as_bytes(), &wanted("curl"), 1).unwrap();
        assert_eq!(found.records, 3);
        let releases: Vec<_> = found.releases.into_iter().collect();
        assert_eq!(
            releases,
            [("bookworm".to_owned(), 3), ("sid".to_owned(), 1)]
        );
        let ids: Vec<_> = found.advisories.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["CVE-2026-0001", "CVE-2026-0002"]);
        let first = &found.advisories[0];
        assert_eq!(first.summary.as_deref(), Some("A bug in curl."));
        let sid = &first.affected[1];
        assert_eq!(sid.release.as_deref(), Some("sid"));
        assert_eq!(sid.rating, Rating::of_word("low"));
        // What Debian has not looked at is neither clean nor affected.
        assert_eq!(found.advisories[1].affected[0].ranges, []);
    }

    #[test]
    fn a_tracker_that_ends_too_early_is_refused() {
        for length in [0, 1, 200, TRACKER.len() - 1] {
            assert!(
                read(&TRACKER.as_bytes()[..length], &wanted("curl"), 0).is_err(),
                "{length}"
            );
        }
        assert!(read(&b"{} {}"[..], &wanted("curl"), 0).is_err());
        assert!(read(&b"{\"curl\": []}"[..], &wanted("curl"), 0).is_err());
    }
}
