//! `pith store gc`: deletes what nothing keeps, or says why something stays.

use std::fmt::Write as _;
use std::fs;

use clap::Args;
use serde::Serialize;
use store::{GcMode, GcOptions, GcReport, KeeperSize, LocalStore, StorePath};
use thiserror::Error;

use super::keeper::{KeeperReport, describe};
use super::paths::to_paths;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{GcProgress, human_bytes, plural};
use crate::selection::SelectError;
use crate::size::Size;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// Delete what no root and no running program keeps
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Stop when SIZE is free (`2G`, `500MB`), beginning with what is old, large and quick to get back
    #[arg(long, value_name = "SIZE")]
    free: Option<Size>,
    /// Keep what was used in the last DAYS days
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u64>,
    /// Delete nothing, and say what keeps PATH
    #[arg(long, value_name = "PATH", conflicts_with_all = ["dry_run", "free", "older_than"])]
    why: Option<String>,
}

/// Nothing keeps a path.
#[derive(Debug, Error)]
#[error("nothing keeps `{path}`")]
struct NotKept {
    path: String,
}

/// The report of `--json`: objects in the order in which they went.
#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    alive: u64,
    alive_bytes: u64,
    dead: u64,
    dead_bytes: u64,
    freed_bytes: u64,
    collected: Vec<Object>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keepers: Vec<KeeperReport>,
}

#[derive(Debug, Serialize)]
struct Object {
    path: String,
    size_bytes: u64,
}

/// The report of `--why --json`.
#[derive(Debug, Serialize)]
struct WhyReport {
    keeper: KeeperReport,
    chain: Vec<String>,
}

/// Runs the command.
pub(super) fn gc(args: &GcArgs, context: &Context) -> Result<(), CommandError> {
    if let Some(path) = &args.why {
        return why(path, context, &context.open_store()?);
    }
    let store = if args.dry_run {
        context.open_store()?
    } else {
        context.open_store_to_delete()?
    };
    let options = GcOptions {
        mode: if args.dry_run {
            GcMode::DryRun
        } else {
            GcMode::Delete
        },
        free_bytes: args.free.map(|size| size.bytes),
        keep_seconds: args
            .older_than
            .map(|days| days.saturating_mul(SECONDS_A_DAY)),
    };
    let progress = GcProgress::new(context.printer());
    let report = store.collect_garbage(
        &options,
        &|event| {
            if !args.dry_run {
                progress.show(&event);
            }
        },
        context.cancel(),
    );
    progress.finish();
    report_collection(args, context, &report?)
}

fn report_collection(
    args: &GcArgs,
    context: &Context,
    report: &GcReport,
) -> Result<(), CommandError> {
    let printer = context.printer();
    if printer.is_json() {
        let objects = report.collected.iter().map(|object| Object {
            path: object.path.to_logical(),
            size_bytes: object.size_bytes,
        });
        printer.json(&Report {
            dry_run: args.dry_run,
            alive: report.alive,
            alive_bytes: report.alive_bytes,
            dead: report.dead,
            dead_bytes: report.dead_bytes,
            freed_bytes: report.freed_bytes,
            collected: objects.collect(),
            keepers: report.keepers.iter().map(KeeperReport::of_size).collect(),
        })?;
        return Ok(());
    }
    let mut text = String::new();
    if args.dry_run {
        for object in &report.collected {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{}  {}",
                object.path.to_logical(),
                human_bytes(object.size_bytes)
            );
        }
    }
    let _ = writeln!(
        text,
        "{} {}, {}; {} stay, {}",
        if args.dry_run {
            "would delete"
        } else {
            "deleted"
        },
        plural(report.collected.len(), "object"),
        human_bytes(report.freed_bytes),
        report.alive + report.dead - report.collected.len() as u64,
        human_bytes(report.alive_bytes + report.dead_bytes - report.freed_bytes),
    );
    if let Some(wanted) = args.free.filter(|wanted| wanted.bytes > report.freed_bytes) {
        text += &missing(wanted.bytes - report.freed_bytes, &report.keepers);
    }
    printer.result(&text)?;
    Ok(())
}

/// Says what keeps the rest of what should be free.
fn missing(bytes: u64, keepers: &[KeeperSize]) -> String {
    let mut text = format!("{} are still missing", human_bytes(bytes));
    let mut keepers = keepers
        .iter()
        .filter(|kept| kept.alone_bytes > 0)
        .peekable();
    if keepers.peek().is_some() {
        text += "; most is kept by";
    }
    text.push('\n');
    for kept in keepers {
        let _ = writeln!(
            text,
            "  {}: {} that nothing else keeps",
            describe(&kept.keeper),
            human_bytes(kept.alone_bytes)
        );
    }
    text
}

fn why(text: &str, context: &Context, store: &LocalStore) -> Result<(), CommandError> {
    let path = store_path(text, context, store)?;
    let Some(why) = store.why_alive(&path)? else {
        let error = NotKept {
            path: path.to_logical(),
        };
        return Err(
            CommandError::new(ExitStatus::No, error).hint("the next `pith store gc` deletes it")
        );
    };
    let chain: Vec<String> = why.chain.iter().map(StorePath::to_logical).collect();
    if context.printer().is_json() {
        context.printer().json(&WhyReport {
            keeper: KeeperReport::of(&why.keeper),
            chain,
        })?;
        return Ok(());
    }
    let mut text = describe(&why.keeper) + "\n";
    for (depth, path) in chain.iter().enumerate() {
        let _ = writeln!(text, "{:width$}{path}", "", width = 2 * (depth + 1));
    }
    context.printer().result(&text)?;
    Ok(())
}

/// The store path that a text names; a link to an object stands for it.
fn store_path(
    text: &str,
    context: &Context,
    store: &LocalStore,
) -> Result<StorePath, CommandError> {
    let target = fs::read_link(context.directory().join(text));
    let target = target
        .ok()
        .and_then(|target| target.into_os_string().into_string().ok());
    let text = target.unwrap_or_else(|| text.to_owned());
    let path = to_paths(std::slice::from_ref(&text), store)?.pop();
    path.ok_or_else(|| SelectError::NotValid(text).into())
}
