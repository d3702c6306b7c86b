//! Whether a version is affected by what a record says. Pure.

use std::{cmp::Ordering, ops::RangeBounds as _};

use super::{
    Affected, Event, Key, Order, Range, VersionRule,
    order::{semantic, version_of_tag},
};

/// What is known of the version of a component, under one of its names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<'a> {
    /// The version.
    pub(super) text: Option<&'a str>,
    /// How versions of that name are compared.
    pub(super) order: Order,
    /// The commit of the source, where the recipe names it.
    pub(super) commit: Option<&'a str>,
    /// Whether what the record lists are names of tags.
    pub(super) tags: bool,
}

/// What a record says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is affected.
    Affected(VersionRule),
    /// It is not.
    NotAffected(VersionRule),
    /// It has no version, or one that cannot be compared with those of the record.
    NotComparable,
    /// The record has only commits, or nothing at all, to compare with.
    NothingToCompare,
}

/// Judges a version.
pub(super) fn judge(affected: &Affected, version: &Version<'_>) -> Verdict {
    if affected.versions.is_empty() && affected.ranges.is_empty() {
        return Verdict::NothingToCompare;
    }
    let commits = affected.ranges.iter().find_map(|range| match range {
        Range::Commits { events, .. } => at_commit(events, version.commit?),
        _ => None,
    });
    if let Some(verdict) = commits {
        return verdict;
    }
    let comparable = affected
        .ranges
        .iter()
        .filter(|range| !matches!(range, Range::Commits { .. }));
    let comparable: Vec<&Range> = comparable.collect();
    let only_commits = comparable.is_empty() && affected.versions.is_empty();
    if only_commits {
        return Verdict::NothingToCompare;
    }
    let is_commit = |listed: &String| Some(listed.as_str()) == version.commit;
    if affected.versions.iter().any(is_commit) {
        return Verdict::Affected(VersionRule::Commit);
    }
    let Some(text) = version.text else {
        return Verdict::NotComparable;
    };
    if is_listed(affected, text, version) {
        return Verdict::Affected(VersionRule::Listed);
    }
    let mut all_compared = true;
    for range in &comparable {
        match is_within(range, text, version.order) {
            Some(true) => return Verdict::Affected(VersionRule::Range),
            Some(false) => {}
            None => all_compared = false,
        }
    }
    if !all_compared {
        return Verdict::NotComparable;
    }
    Verdict::NotAffected(if comparable.is_empty() {
        VersionRule::Listed
    } else {
        VersionRule::Range
    })
}

fn is_listed(affected: &Affected, text: &str, version: &Version<'_>) -> bool {
    affected.versions.iter().any(|listed| {
        let listed_version = if version.tags {
            version_of_tag(listed)
        } else {
            listed
        };
        listed == text || version.order.compare(listed_version, text) == Some(Ordering::Equal)
    })
}

/// Of commits only equality can be told without the repository's history.
fn at_commit(events: &[Event], commit: &str) -> Option<Verdict> {
    events.iter().find_map(|event| match event {
        Event::Introduced(at) | Event::LastAffected(at) if at == commit => {
            Some(Verdict::Affected(VersionRule::Commit))
        }
        Event::Fixed(at) if at == commit => Some(Verdict::NotAffected(VersionRule::Commit)),
        _ => None,
    })
}

/// Whether the version lies in the range; none if it cannot be told.
fn is_within(range: &Range, text: &str, own: Order) -> Option<bool> {
    match range {
        Range::Events { order, events } => {
            let is_file = own == Order::DebianFile && *order == Order::Debian;
            is_between(events, text, if is_file { own } else { *order })
        }
        Range::Outside(intervals) => {
            let version = semantic(text)?;
            let is_in = |interval: &&(_, _)| bounds_contain(interval, &version);
            Some(!intervals.iter().any(|interval| is_in(&interval)))
        }
        Range::Commits { .. } => Some(false),
    }
}

/// As `(Bound, Bound)::contains` by precedence: what stands behind `+` does not count.
fn bounds_contain(
    interval: &(
        std::ops::Bound<semver::Version>,
        std::ops::Bound<semver::Version>,
    ),
    version: &semver::Version,
) -> bool {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let above = match interval.start_bound() {
        Included(low) => version.cmp_precedence(low).is_ge(),
        Excluded(low) => version.cmp_precedence(low).is_gt(),
        Unbounded => true,
    };
    let below = match interval.end_bound() {
        Included(high) => version.cmp_precedence(high).is_le(),
        Excluded(high) => version.cmp_precedence(high).is_lt(),
        Unbounded => true,
    };
    above && below
}

/// OSV 1.7, "Evaluation": the last event at or before the version decides.
fn is_between(events: &[Event], text: &str, order: Order) -> Option<bool> {
    // What is no version at all lies nowhere, not even behind the very first one.
    order.compare(text, text)?;
    let mut last: Option<(&Event, &str)> = None;
    let mut affected = false;
    for event in events {
        let (at, applies) = match event {
            Event::Introduced(at) if at == "0" => ("0", true),
            Event::Introduced(at) | Event::Fixed(at) => {
                (at.as_str(), order.compare(text, at)?.is_ge())
            }
            Event::LastAffected(at) => (at.as_str(), order.compare(text, at)?.is_gt()),
        };
        let is_later = match last {
            None => true,
            Some((_, "0")) => true,
            Some(_) if at == "0" => false,
            Some((_, before)) => order.compare(at, before)?.is_ge(),
        };
        if applies && is_later {
            affected = matches!(event, Event::Introduced(_));
            last = Some((event, at));
        }
    }
    Some(affected)
}

/// Returns the versions in which the vulnerability is gone, as the record writes them; those of a range of commits are none.
pub(super) fn fixed_in(affected: &Affected) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for range in &affected.ranges {
        match range {
            Range::Events { events, .. } => {
                found.extend(events.iter().filter_map(|event| match event {
                    Event::Fixed(at) => Some(at.clone()),
                    _ => None,
                }));
            }
            Range::Outside(intervals) => {
                found.extend(intervals.iter().filter_map(|(low, _)| match low {
                    std::ops::Bound::Included(low) => Some(low.to_string()),
                    _ => None,
                }));
            }
            Range::Commits { .. } => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a record's package is a repository, whose versions are names of tags.
pub(super) fn has_tags(key: &Key) -> bool {
    matches!(key, Key::Repository(_) | Key::Generic(_) | Key::Cpe { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        let event = |part: &str| {
            let (kind, at) = part.split_at(1);
            match kind {
                "+" => Event::Introduced(at.to_owned()),
                "-" => Event::Fixed(at.to_owned()),
                _ => Event::LastAffected(at.to_owned()),
            }
        };
        text.split(' ').map(event).collect()
    }

    fn range(order: Order, text: &str) -> Affected {
        Affected {
            ranges: vec![Range::Events {
                order,
                events: events(text),
            }],
            ..Affected::default()
        }
    }

    fn judged(affected: &Affected, order: Order, text: &str) -> Verdict {
        judge(
            affected,
            &Version {
                text: Some(text),
                order,
                commit: None,
                tags: false,
            },
        )
    }

    #[test]
    fn the_last_event_before_a_version_decides() {
        let inside = Verdict::Affected(VersionRule::Range);
        let outside = Verdict::NotAffected(VersionRule::Range);
        for (order, text, version, expected) in [
            (Order::SemVer, "+0 -1.2.0", "1.1.9", inside),
            (Order::SemVer, "+0 -1.2.0", "1.2.0", outside),
            (Order::SemVer, "+0 -1.2.0", "1.2.0-rc.1", inside),
            (
                Order::SemVer,
                "+1.0.0 -1.2.0 +2.0.0 -2.1.0",
                "0.9.0",
                outside,
            ),
            (
                Order::SemVer,
                "+1.0.0 -1.2.0 +2.0.0 -2.1.0",
                "1.5.0",
                outside,
            ),
            (
                Order::SemVer,
                "+1.0.0 -1.2.0 +2.0.0 -2.1.0",
                "2.0.0",
                inside,
            ),
            // The order in which a record writes its events says nothing.
            (
                Order::SemVer,
                "-2.1.0 +2.0.0 -1.2.0 +1.0.0",
                "2.0.5",
                inside,
            ),
            (Order::SemVer, "-1.2.0 +0", "1.1.0", inside),
            (Order::SemVer, "-1.2.0 +0", "1.3.0", outside),
            (Order::SemVer, "+0 =1.2.0", "1.2.0", inside),
            (Order::SemVer, "+0 =1.2.0", "1.2.1", outside),
            (Order::SemVer, "+0", "9.9.9", inside),
            (Order::Pep440, "+0 -2.0", "2.0rc1", inside),
            (Order::Pep440, "+0 -2.0", "2.0.post1", outside),
            (
                Order::Debian,
                "+0 -7.88.1-10+deb12u5",
                "7.88.1-10+deb12u14",
                outside,
            ),
            (Order::Debian, "+0 -7.88.1-10+deb12u5", "7.88.1-10", inside),
            (Order::Debian, "+0 -0", "7.88.1-10", outside),
            (Order::Upstream, "+1.1.1 -1.1.1k", "1.1.1j", inside),
            (Order::Upstream, "+1.1.1 -1.1.1k", "1.1.1k", outside),
        ] {
            assert_eq!(
                judged(&range(order, text), order, version),
                expected,
                "{text}: {version}"
            );
        }
    }

    #[test]
    fn what_cannot_be_compared_is_never_called_clean() {
        let affected = range(Order::SemVer, "+0 -1.2.0");
        assert_eq!(
            judged(&affected, Order::SemVer, "trunk"),
            Verdict::NotComparable
        );
        let affected = range(Order::SemVer, "+0 -next");
        assert_eq!(
            judged(&affected, Order::SemVer, "1.0.0"),
            Verdict::NotComparable
        );
        let affected = range(Order::Unknown, "+0 -1.2.0");
        assert_eq!(
            judged(&affected, Order::Unknown, "1.0.0"),
            Verdict::NotComparable
        );
        let no_version = Version {
            text: None,
            order: Order::SemVer,
            commit: None,
            tags: false,
        };
        let affected = range(Order::SemVer, "+0 -1.2.0");
        assert_eq!(judge(&affected, &no_version), Verdict::NotComparable);
        assert_eq!(
            judge(&Affected::default(), &no_version),
            Verdict::NothingToCompare
        );
    }

    #[test]
    fn listed_versions_are_equal_by_their_order_not_by_their_letters() {
        let mut affected = Affected {
            versions: vec!["1.0".to_owned(), "curl-7_88_1".to_owned()],
            ..Affected::default()
        };
        let listed = Verdict::Affected(VersionRule::Listed);
        assert_eq!(judged(&affected, Order::Pep440, "1.0.0"), listed);
        let tag = Version {
            text: Some("7.88.1"),
            order: Order::Upstream,
            commit: None,
            tags: true,
        };
        assert_eq!(judge(&affected, &tag), listed);
        affected.versions.pop();
        assert_eq!(
            judge(&affected, &tag),
            Verdict::NotAffected(VersionRule::Listed)
        );
    }

    #[test]
    fn of_commits_only_equal_ones_are_told() {
        let affected = Affected {
            ranges: vec![Range::Commits {
                repository: Key::Repository("github.com/a/b".to_owned()),
                events: events("+aaaa -bbbb"),
            }],
            ..Affected::default()
        };
        let at = |commit| {
            let version = Version {
                text: Some("1.0"),
                order: Order::Upstream,
                commit,
                tags: true,
            };
            judge(&affected, &version)
        };
        assert_eq!(at(Some("aaaa")), Verdict::Affected(VersionRule::Commit));
        assert_eq!(at(Some("bbbb")), Verdict::NotAffected(VersionRule::Commit));
        assert_eq!(at(Some("cccc")), Verdict::NothingToCompare);
        assert_eq!(at(None), Verdict::NothingToCompare);
    }

    #[test]
    fn a_listed_commit_is_affected_whatever_the_version_is_called() {
        let affected = Affected {
            versions: vec!["aaaa".to_owned(), "v0.9".to_owned()],
            ..Affected::default()
        };
        let at = |text, commit| {
            let version = Version {
                text,
                order: Order::Upstream,
                commit,
                tags: true,
            };
            judge(&affected, &version)
        };
        let by_commit = Verdict::Affected(VersionRule::Commit);
        assert_eq!(at(Some("1.0"), Some("aaaa")), by_commit);
        assert_eq!(at(None, Some("aaaa")), by_commit);
        assert_eq!(
            at(Some("1.0"), Some("bbbb")),
            Verdict::NotAffected(VersionRule::Listed)
        );
        assert_eq!(at(None, Some("bbbb")), Verdict::NotComparable);
    }
}
