//! `pith size`: what each store object of a closure adds to an image.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::{Closure, StorePath};

use crate::budget::{by_size, check_budget};
use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{human_bytes, plural};
use crate::realise::realise;
use crate::select::{Want, select_all};
use crate::size::Size;

/// Show how large targets are with all that they need
///
/// For each store object: its own size, and what would go with it if it were not needed.
#[derive(Debug, Args)]
pub(crate) struct SizeArgs {
    /// What to measure together; an image stands for its packages
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// Fail with exit status 3 when it is more than SIZE, such as 20MB
    #[arg(long, value_name = "SIZE")]
    budget: Option<Size>,
}

#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    size_bytes: u64,
    /// Its size and that of all that nothing else needs.
    adds_bytes: u64,
}

/// Objects are sorted by size, the largest first.
#[derive(Debug, Serialize)]
struct Report {
    objects: Vec<Entry>,
    size_bytes: u64,
    budget_bytes: Option<u64>,
}

/// Prints the objects of the closure, the largest first, and their sum.
pub(crate) fn size(args: &SizeArgs, context: &Context) -> Result<(), CommandError> {
    let evaluator = context.evaluator();
    let selections = select_all(context, &evaluator, &args.targets, Want::Image)?;
    let store = context.open_store()?;
    let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
    let closure = store.closure(&realised.paths)?;
    let objects: Vec<_> = by_size(&closure)
        .into_iter()
        .map(|info| Entry {
            path: info.path.to_logical(),
            size_bytes: info.size_bytes,
            adds_bytes: closure.size_bytes() - size_without(&closure, &realised.paths, &info.path),
        })
        .collect();
    let report = Report {
        size_bytes: closure.size_bytes(),
        budget_bytes: args.budget.map(|budget| budget.bytes),
        objects,
    };
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        context.printer().result(&text(&report))?;
    }
    match args.budget {
        Some(budget) => check_budget(&closure, budget),
        None => Ok(()),
    }
}

/// The size of what the roots need when nothing needs `left_out`.
fn size_without(closure: &Closure, roots: &[StorePath], left_out: &StorePath) -> u64 {
    let mut seen: BTreeSet<&StorePath> = BTreeSet::new();
    let mut pending: Vec<&StorePath> = roots.iter().collect();
    let mut size_bytes = 0;
    while let Some(path) = pending.pop() {
        if path == left_out || !seen.insert(path) {
            continue;
        }
        if let Some(info) = closure.find(path) {
            size_bytes += info.size_bytes;
            pending.extend(info.references.iter().map(|reference| &reference.path));
        }
    }
    size_bytes
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for entry in &report.objects {
        let adds = if entry.adds_bytes == entry.size_bytes {
            String::new()
        } else {
            format!("  (adds {})", human_bytes(entry.adds_bytes))
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>10}  {}{adds}",
            human_bytes(entry.size_bytes),
            entry.path
        );
    }
    let _ = writeln!(
        text,
        "{:>10}  in {}",
        human_bytes(report.size_bytes),
        plural(report.objects.len(), "store object")
    );
    text
}
