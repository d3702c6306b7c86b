//! `pith cache why-missed`: what each cache answers about a target, and what would come of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::cache::pull::{Answer, CacheAnswer, Puller};
use store::{ResolvedDigest, StorePath};
use thiserror::Error;

use super::asked::{Asked, find};
use crate::caches::open_caches;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::CommandError;

/// Show for each cache why it does not give a target
#[derive(Debug, Args)]
#[command(after_help = "\
Asks the configured caches about the target and about all that has to be built for it and is not here.
Nothing is built or downloaded.")]
pub(super) struct WhyMissedArgs {
    /// A target, or a store path that is here
    #[arg(value_name = "TARGET")]
    target: String,
}

/// There is nobody to ask.
#[derive(Debug, Error)]
#[error("no cache is configured")]
struct NoCache;

#[derive(Debug, Serialize)]
struct Report {
    caches: Vec<String>,
    /// What is wrong with caches themselves.
    unusable: Vec<Said>,
    derivations: Vec<Derivation>,
    /// What has to be known before more can be asked for.
    unknown: Option<String>,
}

#[derive(Debug, Serialize)]
struct Derivation {
    name: String,
    resolved: ResolvedDigest,
    valid: bool,
    /// Store paths that would be taken from a cache.
    available: Vec<StorePath>,
    answers: Vec<Said>,
}

#[derive(Debug, Serialize)]
struct Said {
    cache: String,
    answer: String,
}

/// Asks, and prints the answers.
pub(super) fn why_missed(args: &WhyMissedArgs, context: &Context) -> Result<(), CommandError> {
    let sources = open_caches(context)?;
    if sources.is_empty() {
        return Err(CommandError::failed(NoCache).hint(
            "`caches = [\"URL\"]` in the settings, `PITH_CACHE` or `--cache URL` names one",
        ));
    }
    let store = context.open_store()?;
    let policy = context.settings().trust.policy();
    let puller = Puller::new(&store, &sources, policy, seconds_now());
    let found = find(context, &store, &args.target, &puller)?;
    let mut derivations = Vec::new();
    for asked in found.asked {
        if asked.is_target || !asked.is_valid {
            derivations.push(explain(&puller, asked)?);
        }
    }
    let report = Report {
        caches: sources.iter().map(|one| one.url().to_string()).collect(),
        unusable: said(&puller.answers(), &BTreeSet::from(["itself".to_owned()])),
        derivations,
        unknown: found.unknown,
    };
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        context.printer().result(&text(&report))?;
    }
    Ok(())
}

fn explain(puller: &Puller<'_>, asked: Asked) -> Result<Derivation, CommandError> {
    let trusted = puller.find_realisations(&asked.resolved);
    let paths: Vec<StorePath> = trusted
        .map_err(CommandError::failed)?
        .into_iter()
        .map(|one| one.realisation.path)
        .collect();
    let available = puller
        .find_available(&paths)
        .map_err(CommandError::failed)?;
    let subjects = paths.iter().map(ToString::to_string);
    let subjects = subjects.chain([asked.resolved.to_string()]).collect();
    Ok(Derivation {
        answers: said(&puller.answers(), &subjects),
        available: available.into_iter().collect(),
        name: asked.name,
        resolved: asked.resolved,
        valid: asked.is_valid,
    })
}

/// The failures about some subjects, each once.
fn said(answers: &[CacheAnswer], subjects: &BTreeSet<String>) -> Vec<Said> {
    let mut seen = BTreeSet::new();
    let mut said = Vec::new();
    for answer in answers {
        let Answer::Failed(error) = &answer.answer else {
            continue;
        };
        if !subjects.contains(&answer.subject) {
            continue;
        }
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        if seen.insert((answer.cache.clone(), text.clone())) {
            said.push(Said {
                cache: answer.cache.clone(),
                answer: text,
            });
        }
    }
    said
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let list = |text: &mut String, said: &[Said]| {
        for Said { cache, answer } in said {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {cache}: {answer}");
        }
    };
    if !report.unusable.is_empty() {
        text.push_str("caches that cannot be used\n");
        list(&mut text, &report.unusable);
    }
    for one in &report.derivations {
        let here = if one.valid { " (is here)" } else { "" };
        let _ = writeln!(text, "{}{here}: {}", one.name, one.resolved);
        for path in &one.available {
            let _ = writeln!(text, "  {} can be taken", path.to_logical());
        }
        list(&mut text, &one.answers);
    }
    if let Some(name) = &report.unknown {
        let _ = writeln!(
            text,
            "nobody can be asked for what needs `{name}`: what that becomes is not known yet"
        );
    }
    text
}
