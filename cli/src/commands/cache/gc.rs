//! `pith cache gc`: what nobody needs any more goes out of a cache.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;
use store::cache::backend::CacheUrl;
use store::cache::gc::{
    Amount, CollectError, CollectReport, CollectRequest, Collector, change_pins,
};
use store::cache::pull::Puller;
use store::cache::source::Source;
use store::{LocalStore, StorePath};
use thiserror::Error;

use super::asked::find;
use crate::caches::open_cache;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{human_bytes, plural};
use crate::select::{Want, select};
use crate::selection::Selection;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Delete from a cache what nothing in it needs
#[derive(Debug, Args)]
#[command(after_help = "\
Files go in two steps. What nothing keeps is condemned first; a collection that runs a grace
period later deletes it, unless somebody has pushed what needs it. Pushes may go on meanwhile.
Directories and S3 buckets can be collected.")]
pub(super) struct GcArgs {
    /// A directory, or an address: s3://…
    #[arg(value_name = "CACHE")]
    cache: CacheUrl,
    /// Keep TARGET and all that it needs: a package or a store path
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    keep: Vec<String>,
    /// Keep TARGET in this and every later collection; the cache remembers it
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    pin: Vec<String>,
    /// Forget that TARGET was pinned
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    unpin: Vec<String>,
    /// Keep what was pushed in the last DAYS days, and all that it needs
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Condemn nothing younger, and delete nothing that was condemned later; longer than a push takes. 0 only when nobody pushes
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    grace: u32,
    /// Only say what would happen
    #[arg(long, conflicts_with_all = ["pin", "unpin"])]
    dry_run: bool,
}

/// What a target is cannot be known without building it.
#[derive(Debug, Error)]
#[error("it is not known what `{0}` was built to")]
struct NotBuilt(String);

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    cache: String,
    dry_run: bool,
    kept_objects: usize,
    absent: BTreeSet<StorePath>,
    removed: Files,
    condemned: Files,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_in_seconds: Option<u64>,
    repacked_packs: usize,
    repacked_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Files {
    objects: usize,
    packs: usize,
    files: usize,
    size_bytes: u64,
}

impl From<Amount> for Files {
    fn from(amount: Amount) -> Self {
        Self {
            objects: amount.objects,
            packs: amount.packs,
            files: amount.files,
            size_bytes: amount.size_bytes,
        }
    }
}

/// Changes the pins, and collects.
pub(super) fn gc(args: &GcArgs, context: &Context) -> Result<(), CommandError> {
    let cache = Arc::new(open_cache(context, &args.cache)?);
    let keep = paths(&args.keep, &cache, context)?;
    let pin = paths(&args.pin, &cache, context)?;
    let unpin = paths(&args.unpin, &cache, context)?;
    let failed = |error| failed(error, &args.cache);
    if !pin.is_empty() || !unpin.is_empty() {
        change_pins(&cache, &pin, &unpin).map_err(failed)?;
    }
    let request = CollectRequest {
        keep: keep.into_iter().collect(),
        older_than: args.older_than.map(|days| days * 24 * HOUR),
        grace: args.grace * HOUR,
        dry_run: args.dry_run,
    };
    let collector = Collector::new(&cache, SystemTime::now());
    let report = collector
        .collect(&request, context.cancel())
        .map_err(failed)?;
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&json(args, report))?;
    } else {
        printer.result(&text(args, &report))?;
    }
    Ok(())
}

/// Returns the store paths of targets. Nothing is built for that.
fn paths(
    targets: &[String],
    cache: &Arc<Source>,
    context: &Context,
) -> Result<Vec<StorePath>, CommandError> {
    let mut paths = Vec::new();
    if targets.is_empty() {
        return Ok(paths);
    }
    let store = context.open_store()?;
    for target in targets {
        paths.extend(paths_of(target, cache, context, &store)?);
    }
    Ok(paths)
}

fn paths_of(
    target: &str,
    cache: &Arc<Source>,
    context: &Context,
    store: &LocalStore,
) -> Result<Vec<StorePath>, CommandError> {
    if let Selection::Path(path) = select(context, &context.evaluator(), target, Want::Objects)? {
        return Ok(vec![path]);
    }
    let sources = [Arc::clone(cache)];
    let policy = context.settings().trust.policy();
    let puller = Puller::new(store, &sources, policy, seconds_now());
    let found = find(context, store, target, &puller)?;
    let targets = found.asked.into_iter().filter(|asked| asked.is_target);
    let outputs: Vec<Vec<StorePath>> = targets.map(|asked| asked.outputs).collect();
    if outputs.is_empty() || outputs.iter().any(Vec::is_empty) {
        return Err(CommandError::failed(NotBuilt(target.to_owned())).hint(
            "build it first, or name its store path; a key that you trust must have signed what only the cache knows",
        ));
    }
    Ok(outputs.concat())
}

fn failed(error: CollectError, url: &CacheUrl) -> CommandError {
    let hint = match &error {
        CollectError::Unsupported { .. } if url.scheme() == "oci" => {
            "push what is needed into another repository, and delete this one"
        }
        CollectError::Unsupported { .. } => {
            "collect the directory or the bucket that the server takes its files from"
        }
        CollectError::NothingStays { .. } => {
            "`--keep TARGET`, `--pin TARGET` or `--older-than DAYS` says it"
        }
        CollectError::AtWork { .. } if url.scheme() != "file" => {
            "a collector that was killed counts as dead after 45 minutes"
        }
        CollectError::Damaged { .. } => {
            "`pith cache push` of the object puts it right where the file is removed; nothing was deleted"
        }
        CollectError::Interrupted => {
            return CommandError::new(ExitStatus::Interrupted, error);
        }
        _ => return CommandError::failed(error),
    };
    CommandError::failed(error).hint(hint)
}

fn json(args: &GcArgs, report: CollectReport) -> Report {
    Report {
        cache: args.cache.to_string(),
        dry_run: args.dry_run,
        kept_objects: report.kept_objects,
        absent: report.absent,
        removed: report.removed.into(),
        condemned: report.condemned.into(),
        due_in_seconds: report.due_in.map(|due| due.as_secs()),
        repacked_packs: report.repacked,
        repacked_bytes: report.repacked_bytes,
    }
}

fn text(args: &GcArgs, report: &CollectReport) -> String {
    let freed = match args.dry_run {
        true => "would free",
        false => "freed",
    };
    // Writing to a String cannot fail.
    let mut text = String::new();
    for path in &report.absent {
        let _ = writeln!(text, "{path} is to stay, but is not in the cache");
    }
    let _ = writeln!(
        text,
        "{freed} {} ({}); {} stay in {}",
        human_bytes(report.removed.size_bytes),
        counted(&report.removed),
        plural(report.kept_objects, "object"),
        args.cache
    );
    if report.repacked > 0 {
        let packs = plural(report.repacked, "mostly dead pack");
        let _ = match args.dry_run {
            true => writeln!(text, "would copy what lives in {packs}"),
            false => writeln!(
                text,
                "copied what lives in {packs}: {}",
                human_bytes(report.repacked_bytes)
            ),
        };
    }
    if let Some(due) = report.due_in {
        let hours = due.as_secs().div_ceil(HOUR.as_secs());
        let hours = plural(usize::try_from(hours).unwrap_or(usize::MAX), "hour");
        let _ = writeln!(
            text,
            "{} ({}) go with a collection after {hours}, unless what is pushed till then needs them",
            human_bytes(report.condemned.size_bytes),
            counted(&report.condemned),
        );
    }
    text
}

fn counted(amount: &Amount) -> String {
    format!(
        "{}, {}, {}",
        plural(amount.objects, "object"),
        plural(amount.packs, "pack"),
        plural(amount.files, "file")
    )
}
