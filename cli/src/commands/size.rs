//! `pith size`: what each store object of a closure takes.

use std::cmp::Reverse;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CommandError;
use crate::output::{human_bytes, plural};
use crate::realise::realise_one;

/// Show how large a target is with all that it needs
#[derive(Debug, Args)]
pub(crate) struct SizeArgs {
    /// What to measure
    #[arg(value_name = "TARGET")]
    target: String,
}

#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    size_bytes: u64,
}

/// Objects are sorted by size, the largest first.
#[derive(Debug, Serialize)]
struct Report {
    objects: Vec<Entry>,
    size_bytes: u64,
}

/// Prints the objects of the closure, the largest first, and their sum.
pub(crate) fn size(args: &SizeArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let root = realise_one(context, &store, &args.target)?;
    let closure = store.closure(std::slice::from_ref(&*root))?;
    let mut objects: Vec<_> = closure
        .infos()
        .iter()
        .map(|info| Entry {
            path: info.path.to_logical(),
            size_bytes: info.size_bytes,
        })
        .collect();
    objects.sort_by(|a, b| (Reverse(a.size_bytes), &a.path).cmp(&(Reverse(b.size_bytes), &b.path)));
    let size_bytes = objects.iter().map(|entry| entry.size_bytes).sum();
    if context.printer().is_json() {
        context.printer().json(&Report {
            objects,
            size_bytes,
        })?;
        return Ok(());
    }
    let mut text: String = objects
        .iter()
        .map(|entry| format!("{:>10}  {}\n", human_bytes(entry.size_bytes), entry.path))
        .collect();
    let _ = writeln!(
        text,
        "{:>10}  in {}",
        human_bytes(size_bytes),
        plural(objects.len(), "store object")
    );
    context.printer().result(&text)?;
    Ok(())
}
