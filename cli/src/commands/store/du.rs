//! `pith store du`: what uses the disk, and what would be free without it.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::{KeeperUsage, LocalStore, StorePath, TargetUsage, Usage};

use super::keeper::{KeeperReport, describe};
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{human_bytes, plural};
use crate::realise::realise_one;

/// Show what uses the disk, and what would be free without each root or target
#[derive(Debug, Args)]
pub(super) struct DuArgs {
    /// Store paths, or targets that are built already or will be; without any, all that keeps objects
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// The report of `--json` without targets. Sizes count each file wherever it is; disk bytes are those of blocks, each inode once.
#[derive(Debug, Serialize)]
struct StoreReport {
    objects: u64,
    size_bytes: u64,
    disk_bytes: u64,
    saved_bytes: u64,
    unkept_bytes: u64,
    unkept_disk_bytes: u64,
    keepers: Vec<KeeperLine>,
}

/// What one keeper keeps: the one that frees most comes first.
#[derive(Debug, Serialize)]
struct KeeperLine {
    #[serde(flatten)]
    keeper: KeeperReport,
    size_bytes: u64,
    unique_bytes: u64,
    freed_bytes: u64,
}

/// The report of `--json` with targets, in their order.
#[derive(Debug, Serialize)]
struct TargetsReport {
    targets: Vec<TargetLine>,
}

#[derive(Debug, Serialize)]
struct TargetLine {
    path: String,
    objects: usize,
    size_bytes: u64,
    unique_bytes: u64,
    shared_bytes: u64,
    disk_bytes: u64,
    saved_bytes: u64,
    freed_bytes: u64,
}

/// Runs the command.
pub(super) fn du(args: &DuArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    if args.targets.is_empty() {
        return whole(&store, context);
    }
    // Held until all is known of them.
    let realised = args
        .targets
        .iter()
        .map(|target| realise_one(context, &store, target))
        .collect::<Result<Vec<_>, _>>()?;
    let paths: Vec<StorePath> = realised.iter().map(|one| StorePath::clone(one)).collect();
    let usages = store.usage_of(&paths)?;
    if context.printer().is_json() {
        let targets = usages.iter().map(TargetLine::new).collect();
        context.printer().json(&TargetsReport { targets })?;
        return Ok(());
    }
    let text: Vec<_> = usages.iter().map(target_text).collect();
    context.printer().result(&text.join("\n"))?;
    Ok(())
}

fn whole(store: &LocalStore, context: &Context) -> Result<(), CommandError> {
    let usage = store.usage()?;
    if context.printer().is_json() {
        context.printer().json(&StoreReport {
            objects: usage.objects,
            size_bytes: usage.size_bytes,
            disk_bytes: usage.disk_bytes,
            saved_bytes: usage.saved_bytes,
            unkept_bytes: usage.unkept_bytes,
            unkept_disk_bytes: usage.unkept_disk_bytes,
            keepers: usage.keepers.iter().map(KeeperLine::new).collect(),
        })?;
        return Ok(());
    }
    context.printer().result(&whole_text(&usage))?;
    Ok(())
}

fn whole_text(usage: &Usage) -> String {
    let mut text = format!(
        "objects   {}\nsize      {}\non disk   {}\nsaved     {} by sharing files\nunkept    {}, {} on disk\n",
        usage.objects,
        human_bytes(usage.size_bytes),
        human_bytes(usage.disk_bytes),
        human_bytes(usage.saved_bytes),
        human_bytes(usage.unkept_bytes),
        human_bytes(usage.unkept_disk_bytes),
    );
    if !usage.keepers.is_empty() {
        text += "\n     frees        alone           of\n";
    }
    for keeper in &usage.keepers {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>10}   {:>10}   {:>10}   {}",
            human_bytes(keeper.freed_bytes),
            human_bytes(keeper.unique_bytes),
            human_bytes(keeper.size_bytes),
            describe(&keeper.keeper)
        );
    }
    text
}

fn target_text(usage: &TargetUsage) -> String {
    format!(
        "{}\n  size      {} in {}\n  unique    {}\n  shared    {}\n  on disk   {}, {} saved by sharing files\n  frees     {}\n",
        usage.path.to_logical(),
        human_bytes(usage.size_bytes),
        plural(usage.objects, "object"),
        human_bytes(usage.unique_bytes),
        human_bytes(usage.shared_bytes),
        human_bytes(usage.disk_bytes),
        human_bytes(usage.saved_bytes),
        human_bytes(usage.freed_bytes),
    )
}

impl KeeperLine {
    fn new(usage: &KeeperUsage) -> Self {
        Self {
            keeper: KeeperReport::of(&usage.keeper),
            size_bytes: usage.size_bytes,
            unique_bytes: usage.unique_bytes,
            freed_bytes: usage.freed_bytes,
        }
    }
}

impl TargetLine {
    fn new(usage: &TargetUsage) -> Self {
        Self {
            path: usage.path.to_logical(),
            objects: usage.objects,
            size_bytes: usage.size_bytes,
            unique_bytes: usage.unique_bytes,
            shared_bytes: usage.shared_bytes,
            disk_bytes: usage.disk_bytes,
            saved_bytes: usage.saved_bytes,
            freed_bytes: usage.freed_bytes,
        }
    }
}
