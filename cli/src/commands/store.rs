//! `pith store`: the store itself.

use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt::Write as _;
use store::PathInfo;

use crate::context::Context;
use crate::error::CommandError;
use crate::output::human_bytes;
use crate::realise::realise_one;
use crate::select::SelectError;

/// Look into the store
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Show where the store is and how much it holds
    Info,
    /// Show all that is known of store paths
    PathInfo {
        /// Store paths, or targets that are built already or will be
        #[arg(required = true, value_name = "PATH")]
        targets: Vec<String>,
    },
}

/// The report of `store info`; sizes count every object whole.
#[derive(Debug, Serialize)]
struct StoreReport {
    root: String,
    store_dir: &'static str,
    objects: u64,
    size_bytes: u64,
}

#[derive(Debug, Serialize)]
struct PathReport {
    paths: Vec<PathInfo>,
}

/// Runs the subcommand.
pub(crate) fn store(args: &StoreArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        StoreCommand::Info => info(context),
        StoreCommand::PathInfo { targets } => path_info(targets, context),
    }
}

fn info(context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let (objects, size_bytes) = store.count_objects()?;
    let report = StoreReport {
        root: store.root().to_string_lossy().into_owned(),
        store_dir: store::STORE_DIR,
        objects,
        size_bytes,
    };
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        context.printer().result(&format!(
            "store    {}\nshown as {}\nobjects  {}\nsize     {}\n",
            report.root,
            report.store_dir,
            report.objects,
            human_bytes(report.size_bytes)
        ))?;
    }
    Ok(())
}

fn path_info(targets: &[String], context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let mut paths = Vec::new();
    for target in targets {
        let path = realise_one(context, &store, target)?;
        let info = store
            .path_info(&path)?
            .ok_or_else(|| SelectError::NotValid(path.to_logical()))?;
        paths.push(info);
    }
    if context.printer().is_json() {
        context.printer().json(&PathReport { paths })?;
        return Ok(());
    }
    let text: Vec<_> = paths.iter().map(text).collect();
    context.printer().result(&text.join("\n"))?;
    Ok(())
}

fn text(info: &PathInfo) -> String {
    let mut text = format!(
        "path       {}\nid         {}\nsize       {} in {} nodes\n",
        info.path.to_logical(),
        info.id,
        human_bytes(info.size_bytes),
        info.nodes
    );
    if let Some(component) = &info.component {
        for (key, value) in [
            ("version", &component.version),
            ("license", &component.license),
            ("recipe", &component.recipe),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key:10} {value}");
            }
        }
        for source in &component.sources {
            let _ = writeln!(text, "source     {} {}", source.name, source.digest);
        }
    }
    if info.self_reference {
        text += "reference  itself\n";
    }
    for reference in &info.references {
        let _ = writeln!(
            text,
            "reference  {} in {}, at byte {}",
            reference.path, reference.file, reference.offset
        );
    }
    text
}
