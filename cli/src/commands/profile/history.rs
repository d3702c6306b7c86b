//! `pith profile history`: the generations and how each differs from the one before.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::profile::{Change, Generation, Manifest, Profile};

use super::change::{ReportedChange, line, lock};
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{human_time, plural};

const SECONDS_A_DAY: u64 = 86_400;

/// Show the generations and what each changed, or forget old ones
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Forget generations that were made more than DAYS ago; never the current one
    #[arg(long, value_name = "DAYS", conflicts_with = "keep")]
    delete_older_than: Option<u64>,
    /// Forget all but the N newest generations; never the current one
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
}

/// The generations, oldest first. `created` is in seconds since 1970.
#[derive(Debug, Serialize)]
struct Report {
    profile: String,
    generations: Vec<Listed>,
}

#[derive(Debug, Serialize)]
struct Listed {
    number: u64,
    current: bool,
    created: Option<u64>,
    path: String,
    changes: Vec<ReportedChange>,
}

/// Runs the command.
pub(super) fn history(
    args: &HistoryArgs,
    context: &Context,
    profile: &Profile<'_>,
) -> Result<(), CommandError> {
    if args.keep.is_some() || args.delete_older_than.is_some() {
        return forget(args, context, profile);
    }
    let current = profile.current()?.map(|generation| generation.number);
    let created = created(profile)?;
    let mut before = Manifest::default();
    let mut text = String::new();
    let mut generations = Vec::new();
    for generation in profile.generations()? {
        let manifest = profile.manifest(&generation)?;
        let changes = Change::between(&before, &manifest);
        let created = created.get(&generation.number).copied();
        let is_current = current == Some(generation.number);
        heading(&mut text, &generation, created, is_current);
        for change in &changes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {}", line(change));
        }
        generations.push(Listed {
            number: generation.number,
            current: is_current,
            created,
            path: generation.path.to_logical(),
            changes: changes.iter().map(ReportedChange::of).collect(),
        });
        before = manifest;
    }
    if context.printer().is_json() {
        let profile = profile.directory().to_string_lossy().into_owned();
        context.printer().json(&Report {
            profile,
            generations,
        })?;
    } else if generations.is_empty() {
        context.printer().note("the profile has no generation");
    } else {
        context.printer().result(&text)?;
    }
    Ok(())
}

fn heading(text: &mut String, generation: &Generation, created: Option<u64>, is_current: bool) {
    let mark = if is_current { " (current)" } else { "" };
    let time = created.map(|created| format!("  {}", human_time(created)));
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "generation {}{mark}{}",
        generation.number,
        time.unwrap_or_default()
    );
}

/// When each generation was made; roots remember it.
fn created(profile: &Profile<'_>) -> Result<BTreeMap<u64, u64>, CommandError> {
    let roots = profile.roots()?.into_iter();
    Ok(roots.map(|(number, root)| (number, root.created)).collect())
}

fn forget(
    args: &HistoryArgs,
    context: &Context,
    profile: &Profile<'_>,
) -> Result<(), CommandError> {
    let locked = lock(context, profile)?;
    let generations = profile.generations()?;
    let created = created(profile)?;
    let oldest_kept = args.delete_older_than.map(|days| {
        let age = days.saturating_mul(SECONDS_A_DAY);
        seconds_now().saturating_sub(age)
    });
    let is_old = |generation: &Generation| {
        let created = created.get(&generation.number).copied();
        matches!((created, oldest_kept), (Some(created), Some(oldest)) if created < oldest)
    };
    let kept = args.keep.unwrap_or(usize::MAX);
    let numbers: Vec<_> = generations
        .iter()
        .rev()
        .enumerate()
        .filter(|(age, generation)| *age >= kept || is_old(generation))
        .map(|(_, generation)| generation.number)
        .collect();
    let removed = locked.remove_generations(&numbers)?;
    let printer = context.printer();
    if printer.is_json() {
        let removed: Vec<_> = removed.iter().map(|generation| generation.number).collect();
        printer.json(&serde_json::json!({ "removed": removed }))?;
        return Ok(());
    }
    let lines: String = removed
        .iter()
        .map(|generation| format!("- generation {}\n", generation.number))
        .collect();
    if !removed.is_empty() {
        printer.result(&lines)?;
    }
    printer.note(&format!(
        "{} forgotten",
        plural(removed.len(), "generation")
    ));
    Ok(())
}
