//! `pith store roots`: what is kept by name.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::{RootReport, RootState};
use thiserror::Error;

use super::keeper::kind_name;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::link::plain_path;
use crate::output::human_bytes;

/// List the roots, which keep objects from being deleted
#[derive(Debug, Args)]
pub(super) struct RootsArgs {
    /// Only those that keep nothing: links that are gone or lead elsewhere
    #[arg(long)]
    stale: bool,
    /// Remove the root NAME and list nothing; a link of that name stays
    #[arg(long, value_name = "NAME", conflicts_with = "stale")]
    remove: Option<String>,
}

/// There is no such root.
#[derive(Debug, Error)]
#[error("there is no root `{name}`")]
struct NoSuchRoot {
    name: String,
}

#[derive(Debug, Serialize)]
struct Report {
    roots: Vec<Root>,
}

/// A root in a report; `alone_bytes` is the size of what nothing else keeps.
#[derive(Debug, Serialize)]
struct Root {
    name: String,
    kind: &'static str,
    path: String,
    created: u64,
    stale: bool,
    alone_bytes: u64,
}

impl Root {
    fn new(report: RootReport) -> Self {
        Self {
            name: report.root.name,
            kind: kind_name(report.root.kind),
            path: report.root.path.to_logical(),
            created: report.root.created,
            stale: report.state == RootState::Stale,
            alone_bytes: report.alone_bytes,
        }
    }
}

/// Runs the command.
pub(super) fn roots(args: &RootsArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    if let Some(name) = &args.remove {
        // A link is known by its path; where there cannot be one, none is known.
        let link = plain_path(&context.directory().join(name)).unwrap_or_default();
        if store.remove_root(name)? || store.remove_root(&link.to_string_lossy())? {
            return Ok(());
        }
        let error = NoSuchRoot { name: name.clone() };
        return Err(
            CommandError::new(ExitStatus::Failed, error).hint("`pith store roots` lists them")
        );
    }
    let mut roots: Vec<Root> = store.report_roots()?.into_iter().map(Root::new).collect();
    roots.retain(|root| root.stale || !args.stale);
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report { roots })?;
    } else if !roots.is_empty() {
        printer.result(&text(&roots))?;
    }
    Ok(())
}

fn text(roots: &[Root]) -> String {
    let mut text = String::new();
    for root in roots {
        let keeps = if root.stale {
            "stale, keeps nothing".to_owned()
        } else {
            format!("alone keeps {}", human_bytes(root.alone_bytes))
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\n  {}\n  {}; {keeps}",
            root.name, root.path, root.kind
        );
    }
    text
}
