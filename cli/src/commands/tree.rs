//! `pith tree`: the runtime closure of a target, as a tree.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::{Closure, StorePath};

use crate::context::Context;
use crate::error::CommandError;
use crate::output::human_bytes;
use crate::realise::realise_one;

/// Show what a target needs at run time
#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// What to show
    #[arg(value_name = "TARGET")]
    target: String,
}

/// One store object and what it refers to, both by store path.
#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    size_bytes: u64,
    references: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    root: String,
    objects: Vec<Entry>,
}

/// Prints the tree; a path that was shown before is shown again without what is below it.
pub(crate) fn tree(args: &TreeArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let root = realise_one(context, &store, &args.target)?;
    let closure = store.closure(std::slice::from_ref(&*root))?;
    if context.printer().is_json() {
        let objects = closure.infos().iter().map(|info| Entry {
            path: info.path.to_logical(),
            size_bytes: info.size_bytes,
            references: info
                .references
                .iter()
                .map(|reference| reference.path.to_logical())
                .collect(),
        });
        context.printer().json(&Report {
            root: root.to_logical(),
            objects: objects.collect(),
        })?;
    } else {
        context.printer().result(&draw(&closure, &root))?;
    }
    Ok(())
}

/// Draws the closure below `root` with an explicit stack: a chain of references has no bound.
fn draw(closure: &Closure, root: &StorePath) -> String {
    let mut text = String::new();
    let mut shown = BTreeSet::new();
    let mut pending = vec![(root.clone(), String::new(), String::new())];
    while let Some((path, first, indent)) = pending.pop() {
        let Some(info) = closure.find(&path) else {
            continue;
        };
        let again = !shown.insert(path.clone()) && !info.references.is_empty();
        let mark = if again { " [shown above]" } else { "" };
        let _ = writeln!(
            text,
            "{first}{} ({}){mark}",
            path.to_logical(),
            human_bytes(info.size_bytes)
        );
        if again {
            continue;
        }
        for (index, reference) in info.references.iter().enumerate().rev() {
            let last = index + 1 == info.references.len();
            let (corner, below) = if last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            pending.push((
                reference.path.clone(),
                format!("{indent}{corner}"),
                format!("{indent}{below}"),
            ));
        }
    }
    text
}
