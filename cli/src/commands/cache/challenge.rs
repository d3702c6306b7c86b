//! `pith cache challenge`: compares what several caches say that a target was built to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use store::cache::backend::CacheUrl;
use store::cache::pull::{Difference, Puller, compare_objects, find_claims};
use store::cache::source::Source;
use store::{LocalStore, ResolvedDigest, StorePath};
use thiserror::Error;

use super::asked::find;
use crate::caches::open_cache;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

/// How the local store is called among caches.
const HERE: &str = "here";
/// Files that are named of each pair that differs.
const NAMED: usize = 20;

/// Compare what caches say a target was built to
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 nobody contradicts anybody, 3 somebody built something else. Of objects that differ the
files are named; nothing is downloaded for that but lists of files.")]
pub(super) struct ChallengeArgs {
    /// A target, or a store path that is here
    #[arg(value_name = "TARGET")]
    target: String,
    /// The caches
    #[arg(
        long,
        value_name = "CACHE,CACHE",
        value_delimiter = ',',
        required = true
    )]
    caches: Vec<CacheUrl>,
}

/// They do not agree.
#[derive(Debug, Error)]
#[error("`{target}` was not built to the same everywhere")]
struct Different {
    target: String,
}

/// The target is not known well enough to ask for it.
#[derive(Debug, Error)]
#[error("nobody can be asked for `{target}`: what it needs is not known yet")]
struct Unknown {
    target: String,
}

#[derive(Debug, Serialize)]
struct Report {
    outputs: Vec<Output>,
}

/// What is said of one output of one derivation.
#[derive(Debug, Serialize)]
struct Output {
    name: String,
    resolved: ResolvedDigest,
    output: String,
    /// `same`, `different`, or `missing` where fewer than two know anything.
    answer: &'static str,
    /// Who says what, with the names of the keys under it.
    claims: BTreeMap<String, Vec<Claim>>,
    differences: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct Claim {
    path: StorePath,
    signed_by: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
struct Pair {
    first: StorePath,
    second: StorePath,
    files: Vec<File>,
}

#[derive(Debug, Serialize)]
struct File {
    file: String,
    difference: &'static str,
}

/// Asks, compares and prints.
pub(super) fn challenge(args: &ChallengeArgs, context: &Context) -> Result<(), CommandError> {
    let sources = args
        .caches
        .iter()
        .map(|url| open_cache(context, url).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    let store = context.open_store()?;
    let policy = context.settings().trust.policy();
    let puller = Puller::new(&store, &sources, policy, seconds_now());
    let found = find(context, &store, &args.target, &puller)?;
    let mut outputs = Vec::new();
    for asked in found.asked.iter().filter(|asked| asked.is_target) {
        outputs.extend(compare(&store, &sources, &asked.name, &asked.resolved)?);
    }
    if outputs.is_empty() && !found.asked.iter().any(|asked| asked.is_target) {
        let target = args.target.clone();
        return Err(CommandError::failed(Unknown { target })
            .hint("`pith build` makes it known what it needs"));
    }
    let is_different = outputs.iter().any(|one| one.answer == "different");
    let report = Report { outputs };
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        context.printer().result(&text(&report))?;
    }
    if is_different {
        let target = args.target.clone();
        return Err(CommandError::new(ExitStatus::No, Different { target }));
    }
    Ok(())
}

/// Collects what everybody says of a derivation.
fn compare(
    store: &LocalStore,
    sources: &[Arc<Source>],
    name: &str,
    resolved: &ResolvedDigest,
) -> Result<Vec<Output>, CommandError> {
    let mut outputs: BTreeMap<String, BTreeMap<String, Vec<Claim>>> = BTreeMap::new();
    let mut add = |place: &str, output: String, path: StorePath, signers: BTreeSet<String>| {
        let claims = outputs.entry(output).or_default();
        let claims = claims.entry(place.to_owned()).or_default();
        match claims.iter_mut().find(|claim| claim.path == path) {
            Some(claim) => claim.signed_by.extend(signers),
            None => claims.push(Claim {
                path,
                signed_by: signers,
            }),
        }
    };
    for known in store.find_realisations(resolved)? {
        add(HERE, known.output, known.path, BTreeSet::new());
    }
    let mut places = BTreeMap::new();
    for source in sources {
        let cache = source.url().to_string();
        for signed in find_claims(source, resolved).map_err(CommandError::failed)? {
            let signers = signed.signatures.iter().map(|one| one.name().to_string());
            let path = signed.realisation.path;
            places
                .entry(path.clone())
                .or_insert_with(|| Arc::clone(source));
            add(&cache, signed.realisation.output, path, signers.collect());
        }
    }
    let mut compared = Vec::new();
    for (output, claims) in outputs {
        let paths: BTreeSet<StorePath> = claims
            .values()
            .flatten()
            .map(|claim| claim.path.clone())
            .collect();
        compared.push(Output {
            name: name.to_owned(),
            resolved: *resolved,
            output,
            answer: match (claims.len(), paths.len()) {
                (_, 2..) => "different",
                (2.., _) => "same",
                _ => "missing",
            },
            differences: differences(&paths, &places)?,
            claims,
        });
    }
    Ok(compared)
}

/// Compares the first object that a cache has with each other one.
fn differences(
    paths: &BTreeSet<StorePath>,
    places: &BTreeMap<StorePath, Arc<Source>>,
) -> Result<Vec<Pair>, CommandError> {
    let mut known = paths
        .iter()
        .filter_map(|path| Some((&**places.get(path)?, path)));
    let Some(first) = known.next() else {
        return Ok(Vec::new());
    };
    known
        .map(|second| {
            let files = compare_objects(first, second).map_err(CommandError::failed)?;
            let files = files.into_iter().map(|(file, difference)| File {
                file,
                difference: word(difference),
            });
            Ok(Pair {
                first: first.1.clone(),
                second: second.1.clone(),
                files: files.collect(),
            })
        })
        .collect()
}

const fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::OnlyFirst => "only-first",
        Difference::OnlySecond => "only-second",
        Difference::Changed => "changed",
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.outputs {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}, output `{}`: {}",
            one.name, one.output, one.answer
        );
        for (place, claims) in &one.claims {
            for claim in claims {
                let signers: Vec<&str> = claim.signed_by.iter().map(String::as_str).collect();
                let signers = if place == HERE {
                    String::new()
                } else if signers.is_empty() {
                    ", unsigned".to_owned()
                } else {
                    format!(", signed by {}", signers.join(", "))
                };
                let _ = writeln!(text, "  {place}: {}{signers}", claim.path.to_logical());
            }
        }
        for pair in &one.differences {
            let _ = writeln!(text, "  {} and {}:", pair.first, pair.second);
            for file in pair.files.iter().take(NAMED) {
                let _ = writeln!(text, "    {}: {}", file.difference, file.file);
            }
            let rest = pair.files.len().saturating_sub(NAMED);
            if rest > 0 {
                let _ = writeln!(text, "    and {rest} more");
            }
        }
    }
    text
}
