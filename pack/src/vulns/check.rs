//! The judgement: components × records → findings. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use rayon::prelude::*;

use super::{
    Claim, Coverage, Database, Ecosystem, Expectation, Finding, Fix, Key, Match, NameRule, Outcome,
    Problem, ProblemCode, Rating, Report, Severity, Status, Subject, Summary, UPSTREAM,
    VersionRule, Waiver,
    group::{Hit, by_vulnerability, ids},
    judge::{Verdict, Version, fixed_in, has_tags, judge},
    subject::Known,
};

/// Databases that together name so many repositories and products without a register are taken for what is known of all such software: OSV's own has some
/// thousands, a choice of records has few.
const WHOLE_UPSTREAM: u64 = 1000;

/// What is demanded, and what is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Today.
    pub date: NaiveDate,
    /// For how many days a database is relied on; none means for ever.
    pub max_age_days: Option<u64>,
    /// The records that each database had before, in the databases' order; missing ones are not known.
    pub remembered: Vec<Option<u64>>,
    /// From which severity on a vulnerability is denied; none means all. One whose severity no record says is always denied.
    pub fail_on: Option<Severity>,
    /// Registers of which no database needs to speak.
    pub not_covered: BTreeSet<String>,
    /// What is there beside the components and nobody has described, such as the layers of a base image.
    pub undescribed: BTreeSet<String>,
    /// What is stated of vulnerabilities; the first one that applies counts.
    pub waivers: Vec<Waiver>,
}

/// Judges software by databases that were loaded for it.
#[must_use]
pub fn check(subjects: &[Subject], database: &Database, options: &Options) -> Report {
    let mut index: HashMap<&Key, Vec<(usize, usize)>> = HashMap::new();
    for (at, advisory) in database.advisories.iter().enumerate() {
        for (part, affected) in advisory.affected.iter().enumerate() {
            for key in &affected.keys {
                index.entry(key).or_default().push((at, part));
            }
        }
    }
    let judged: Vec<Vec<(Finding, Option<usize>)>> = subjects
        .par_iter()
        .map(|subject| judge_subject(subject, database, &index, options))
        .collect();
    let mut applied = BTreeSet::new();
    let mut findings = Vec::new();
    for (finding, waiver) in judged.into_iter().flatten() {
        applied.extend(waiver);
        findings.push(finding);
    }
    findings.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    let (coverage, unidentified) = coverage(subjects, database);
    let mut undecided = database_problems(database, options);
    let is_named =
        |known: &Known<'_>| known.rule != NameRule::Name && index.contains_key(&known.key);
    undecided.extend(uncovered(subjects, database, &is_named, options));
    undecided.extend(options.undescribed.iter().map(|what| Problem {
        code: ProblemCode::V106,
        message: format!("no bill of materials says what is in {what}"),
    }));
    let is_open = |status: &Status| findings.iter().any(|finding| finding.status == *status);
    let outcome = if is_open(&Status::Denied) {
        Outcome::Denied
    } else if !undecided.is_empty() || is_open(&Status::Undecided) {
        Outcome::Undecided
    } else {
        Outcome::Clean
    };
    let mut warnings = waiver_problems(options, &applied);
    if let Some(names) = listed(unidentified.iter().map(String::as_str)) {
        warnings.push(Problem {
            code: ProblemCode::V114,
            message: format!(
                "no database can know what has no package URL and no CPE name: {names}"
            ),
        });
    }
    Report {
        date: options.date,
        outcome,
        databases: database.snapshots.clone(),
        components: subjects.len(),
        summary: Summary::of(&findings),
        findings,
        undecided,
        warnings,
        coverage,
        unidentified,
    }
}

fn sort_key(finding: &Finding) -> impl Ord + '_ {
    let severity = finding
        .rating
        .as_ref()
        .map(|rating| (rating.severity, rating.score));
    (
        std::mem::discriminant(&finding.status) != std::mem::discriminant(&Status::Denied),
        finding.status.word() != "undecided",
        finding.status.word() != "tolerated",
        finding.status.word() == "clue",
        // What nobody has rated may be the worst.
        std::cmp::Reverse(severity.map_or((1, None), |severity| (0, Some(severity)))),
        &finding.id,
        &finding.component,
        &finding.version,
        &finding.places,
    )
}

/// Returns what was found for one component, each with the waiver that was applied to it.
fn judge_subject(
    subject: &Subject,
    database: &Database,
    index: &HashMap<&Key, Vec<(usize, usize)>>,
    options: &Options,
) -> Vec<(Finding, Option<usize>)> {
    let known = subject.known();
    let commit = subject.commit();
    let mut hits: BTreeMap<(usize, usize), Hit<'_>> = BTreeMap::new();
    for name in &known {
        for &(at, part) in index.get(&name.key).into_iter().flatten() {
            let Some(advisory) = database.advisories.get(at) else {
                continue;
            };
            let Some(affected) = advisory.affected.get(part) else {
                continue;
            };
            if is_of_another_release(affected.release.as_deref(), name) {
                continue;
            }
            let version = Version {
                text: name.version,
                order: name.order,
                commit,
                tags: has_tags(&name.key),
            };
            let hit = Hit {
                advisory,
                affected,
                known: name,
                verdict: judge(affected, &version),
            };
            let best = hits.entry((at, part)).or_insert(hit);
            if name.rule < best.known.rule {
                *best = hit;
            }
        }
    }
    by_vulnerability(hits.into_values().collect())
        .into_iter()
        .filter_map(|group| conclude(subject, &group, options))
        .collect()
}

fn is_of_another_release(release: Option<&str>, known: &Known<'_>) -> bool {
    release.is_some_and(|release| known.release.is_some_and(|own| own != release))
}

/// Comes to a conclusion on one vulnerability; none if it is not there.
fn conclude(
    subject: &Subject,
    group: &[Hit<'_>],
    options: &Options,
) -> Option<(Finding, Option<usize>)> {
    let is_sure = |hit: &&Hit<'_>| hit.known.rule != NameRule::Name;
    let says =
        |wanted: fn(Verdict) -> bool| group.iter().filter(is_sure).find(|hit| wanted(hit.verdict));
    let affected = says(|verdict| matches!(verdict, Verdict::Affected(_)));
    let not_comparable = says(|verdict| verdict == Verdict::NotComparable);
    let clean = says(|verdict| matches!(verdict, Verdict::NotAffected(_)));
    let revision = group.iter().find(|hit| {
        hit.known.rule == NameRule::DebianSource && matches!(hit.verdict, Verdict::NotAffected(_))
    });
    let ids = ids(group);
    let mut waiver = None;
    let status = if affected.is_some() || not_comparable.is_some() && revision.is_none() {
        let rating = worst_rating(group);
        let informational = group
            .iter()
            .find_map(|hit| hit.advisory.informational.clone());
        let of_revision = |hit: &Hit<'_>| {
            let mut sources = subject.debian.iter();
            sources.find(|source| source.key() == hit.known.key)
        };
        if let (Some(_), Some(source)) = (affected, revision.and_then(of_revision)) {
            Status::Fixed {
                by: Fix::DebianRevision {
                    source: source.name.clone(),
                    version: source.version.clone(),
                },
            }
        } else if let Some(patch) = subject.patch_for(&ids) {
            Status::Fixed {
                by: Fix::Patch(patch.clone()),
            }
        } else if let Some((index, stated)) = find_waiver(&ids, subject, options) {
            waiver = Some(index);
            stated
        } else if let Some(kind) = informational {
            Status::Informational { kind }
        } else if affected.is_none() {
            Status::Undecided
        } else if is_denied(rating.as_ref(), options) {
            Status::Denied
        } else {
            Status::Tolerated
        }
    } else if clean.is_some()
        || group
            .iter()
            .all(|hit| matches!(hit.verdict, Verdict::NotAffected(_)))
    {
        return None;
    } else {
        Status::Clue
    };
    Some((finding(subject, group, &ids, status), waiver))
}

fn is_denied(rating: Option<&Rating>, options: &Options) -> bool {
    match (rating, options.fail_on) {
        (Some(rating), Some(least)) => rating.severity >= least,
        _ => true,
    }
}

fn worst_rating(group: &[Hit<'_>]) -> Option<Rating> {
    let ratings = group
        .iter()
        .flat_map(|hit| [&hit.affected.rating, &hit.advisory.rating]);
    let ratings: Vec<&Rating> = ratings.flatten().collect();
    // A vector tells more than a word.
    let scored = ratings.iter().filter(|rating| rating.score.is_some());
    let worst = scored.max_by_key(|rating| rating.score);
    worst
        .or_else(|| ratings.iter().max_by_key(|rating| rating.severity))
        .map(|rating| (*rating).clone())
}

fn find_waiver(ids: &[&str], subject: &Subject, options: &Options) -> Option<(usize, Status)> {
    let mut waivers = options.waivers.iter().enumerate();
    let (index, waiver) = waivers
        .find(|(_, waiver)| !waiver.is_over(options.date) && waiver.is_about(ids, subject))?;
    let stated = Status::Stated {
        claim: waiver.claim,
        reason: waiver.reason.clone(),
        origin: waiver.origin.clone(),
        until: waiver.until,
    };
    Some((index, stated))
}

fn finding(subject: &Subject, group: &[Hit<'_>], ids: &[&str], status: Status) -> Finding {
    let speaks = |hit: &&Hit<'_>| !matches!(hit.verdict, Verdict::NotAffected(_));
    let mut matches: Vec<Match> = group.iter().map(describe).collect();
    matches.sort_unstable();
    matches.dedup();
    let mut fixed: Vec<String> = group
        .iter()
        .filter(speaks)
        .flat_map(|hit| fixed_in(hit.affected))
        .collect();
    fixed.sort_unstable();
    fixed.dedup();
    let (id, aliases) = ids
        .split_first()
        .map_or(("", ids), |(id, rest)| (*id, rest));
    Finding {
        id: id.to_owned(),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        component: subject.name.clone(),
        version: subject.version.clone(),
        purl: subject.purl.clone(),
        cpe: subject.cpe.clone(),
        status,
        rating: worst_rating(group),
        summary: group.iter().find_map(|hit| hit.advisory.summary.clone()),
        fixed_in: fixed,
        matches,
        places: subject.places.clone(),
    }
}

fn describe(hit: &Hit<'_>) -> Match {
    Match {
        record: hit.advisory.id.clone(),
        database: hit.advisory.database,
        name: hit.known.key.to_string(),
        name_rule: hit.known.rule,
        version_rule: match hit.verdict {
            Verdict::Affected(rule) | Verdict::NotAffected(rule) => rule,
            Verdict::NotComparable | Verdict::NothingToCompare => VersionRule::None,
        },
    }
}

fn domain_of(known: &Known<'_>) -> String {
    match (&known.key, known.release) {
        (
            Key::Package {
                ecosystem: Ecosystem::Debian,
                ..
            },
            Some(release),
        ) => format!("Debian {release}"),
        (key, _) => key.domain(),
    }
}

/// Returns how well each register is known, and the components that are in none.
fn coverage(subjects: &[Subject], database: &Database) -> (Vec<Coverage>, Vec<String>) {
    let mut components: BTreeMap<String, u64> = BTreeMap::new();
    let mut unidentified = BTreeSet::new();
    for subject in subjects {
        let known = subject.known();
        if known.is_empty() {
            unidentified.insert(subject.name.clone());
        }
        let domains: BTreeSet<String> = known.iter().map(domain_of).collect();
        for domain in domains {
            *components.entry(domain).or_default() += 1;
        }
    }
    let records = |domain: &str| {
        let counts = database
            .snapshots
            .iter()
            .filter_map(|of| of.domains.get(domain));
        counts.sum()
    };
    let coverage = components.into_iter().map(|(domain, components)| Coverage {
        records: records(&domain),
        domain,
        components,
    });
    (coverage.collect(), unidentified.into_iter().collect())
}

/// Says which components no database could have spoken of under any of their names.
///
/// A register is known where records speak of it, for databases have all of one. Software without a register has none that anybody lists: it is known where a
/// record names it, or where records name so much that they are not a choice.
fn uncovered(
    subjects: &[Subject],
    database: &Database,
    is_named: &dyn Fn(&Known<'_>) -> bool,
    options: &Options,
) -> Vec<Problem> {
    let snapshots = &database.snapshots;
    let upstream: u64 = snapshots.iter().map(|of| of.upstream).sum();
    let is_covered = |known: &Known<'_>| {
        let domain = domain_of(known);
        let has_records = || {
            let mut counts = snapshots.iter().filter_map(|of| of.domains.get(&domain));
            counts.any(|count| *count > 0)
        };
        options.not_covered.contains(&domain)
            || match domain.as_str() {
                UPSTREAM => upstream >= WHOLE_UPSTREAM || is_named(known),
                _ => has_records(),
            }
    };
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for subject in subjects {
        let known = subject.known();
        if !known.is_empty() && !known.iter().any(is_covered) {
            let domains: BTreeSet<String> = known.iter().map(domain_of).collect();
            let domains: Vec<String> = domains.into_iter().collect();
            missing
                .entry(domains.join(" or "))
                .or_default()
                .push(&subject.name);
        }
    }
    let problem = |(domain, mut names): (String, Vec<&str>)| {
        names.sort_unstable();
        names.dedup();
        let names = listed(names.into_iter()).unwrap_or_default();
        let message = if domain == UPSTREAM && upstream > 0 {
            format!(
                "the records of {UPSTREAM} name {upstream} repositories and products, too few to be all, and none of {names}"
            )
        } else {
            format!("no record speaks of {domain}, and so none of {names}")
        };
        Problem {
            code: ProblemCode::V104,
            message,
        }
    };
    missing.into_iter().map(problem).collect()
}

/// The first few of some names, and how many there are beside them; none if there is none at all.
fn listed<'a>(mut names: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    const SHOWN: usize = 5;
    let first: Vec<String> = names
        .by_ref()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let text = first.join(", ");
    match names.len() {
        _ if text.is_empty() => None,
        0 => Some(text),
        1 => Some(format!("{text} and 1 other")),
        more => Some(format!("{text} and {more} others")),
    }
}

fn database_problems(database: &Database, options: &Options) -> Vec<Problem> {
    if database.snapshots.is_empty() {
        return vec![Problem {
            code: ProblemCode::V100,
            message: "there is no database".to_owned(),
        }];
    }
    let problems = database
        .snapshots
        .iter()
        .enumerate()
        .flat_map(|(index, snapshot)| {
            snapshot.problems(&Expectation {
                records: options.remembered.get(index).copied().flatten(),
                max_age_days: options.max_age_days,
                date: options.date,
            })
        });
    problems.collect()
}

fn waiver_problems(options: &Options, applied: &BTreeSet<usize>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (index, waiver) in options.waivers.iter().enumerate() {
        let ids = waiver.ids.join(", ");
        let what = match waiver.claim {
            Claim::NotAffected(_) => "that it does no harm",
            Claim::Fixed => "that it was fixed",
        };
        if let (true, Some(until)) = (waiver.is_over(options.date), waiver.until) {
            found.push(Problem {
                code: ProblemCode::V112,
                message: format!(
                    "what `{}` states of {ids}, {what}, was for days until {until}",
                    waiver.origin
                ),
            });
        } else if waiver.must_apply && !applied.contains(&index) {
            found.push(Problem {
                code: ProblemCode::V113,
                message: format!(
                    "what `{}` states of {ids}, {what}, applies to nothing",
                    waiver.origin
                ),
            });
        }
    }
    found
}
