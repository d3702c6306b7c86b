//! `pith store path-info`: all that is known of store paths.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::facts::Facts;
use store::{LocalStore, PathInfo, StorePath};

use crate::context::Context;
use crate::error::CommandError;
use crate::facts::gather;
use crate::output::{human_bytes, plural};
use crate::realise::realise_one;
use crate::selection::SelectError;

/// Show all that is known of store paths
#[derive(Debug, Args)]
pub(super) struct PathInfoArgs {
    /// Store paths, or targets that are built already or will be
    #[arg(required = true, value_name = "PATH")]
    targets: Vec<String>,
    /// Show the paths of everything that they need, one a line; with --json, all that is known of those too
    #[arg(short, long)]
    recursive: bool,
}

#[derive(Debug, Serialize)]
struct PathReport {
    paths: Vec<PathInfo>,
}

/// Runs the command.
pub(super) fn path_info(args: &PathInfoArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    if args.recursive {
        return closure(args, context, &store);
    }
    let mut paths = Vec::new();
    for target in &args.targets {
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
    let mut text: Vec<String> = Vec::with_capacity(paths.len());
    for info in &paths {
        let gathered = gather(context, &store, std::slice::from_ref(info))?;
        let facts = gathered.parts.first().and_then(|part| part.facts.as_ref());
        text.push(describe(info, facts));
    }
    context.printer().result(&text.join("\n"))?;
    Ok(())
}

fn closure(args: &PathInfoArgs, context: &Context, store: &LocalStore) -> Result<(), CommandError> {
    let mut held = Vec::new();
    for target in &args.targets {
        held.push(realise_one(context, store, target)?);
    }
    let roots: Vec<StorePath> = held.iter().map(|path| (**path).clone()).collect();
    if context.printer().is_json() {
        let paths = store.closure(&roots)?.infos().to_vec();
        context.printer().json(&PathReport { paths })?;
        return Ok(());
    }
    let paths = store.closure_paths(&roots)?;
    let lines: String = paths.iter().map(|path| path.to_logical() + "\n").collect();
    context.printer().result(&lines)?;
    Ok(())
}

fn describe(info: &PathInfo, facts: Option<&Facts>) -> String {
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
    if let Some(facts) = facts {
        let _ = writeln!(text, "facts      {}", summary(facts));
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

/// How much was observed when the path was registered.
fn summary(facts: &Facts) -> String {
    let counts = [
        (facts.sources.len(), "source"),
        (facts.patches.len(), "patch file"),
        (facts.texts.len(), "text"),
        (facts.findings.len(), "finding"),
        (facts.links.len(), "link"),
        (facts.files.len(), "file"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| plural(*count, what)).collect();
    counts.join(", ")
}
