//! `pith why`: the chain of references by which one store object needs another.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::PathInfo;
use thiserror::Error;

use super::why_license::why_license;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::realise::realise_one;
use crate::registry::RegistryArgs;

/// Show why one target needs another
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// What needs; for a license also an image: an archive, a layout directory, or a name in a registry
    #[arg(value_name = "A")]
    from: String,
    /// What is needed: a target, of which any output may be meant; or `license:GPL-3.0-only`, a license that an audit finds
    #[arg(value_name = "B")]
    to: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// There is no chain.
#[derive(Debug, Error)]
#[error("`{from}` does not need `{to}`")]
struct NotNeeded {
    from: String,
    to: String,
}

/// One step of the chain: `path` refers to `reference` in `file`, at the byte `offset`.
#[derive(Debug, Serialize)]
struct Step {
    path: String,
    reference: String,
    file: String,
    offset: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    chain: Vec<Step>,
}

/// Prints the shortest chain with the file and offset of each reference; exit status 3 when there is none.
pub(crate) fn why(args: &WhyArgs, context: &Context) -> Result<(), CommandError> {
    if let Some(license) = args.to.strip_prefix("license:") {
        return why_license(&args.from, license, &args.registry, context);
    }
    let store = context.open_store()?;
    let from = realise_one(context, &store, &args.from)?;
    let closure = store.closure(std::slice::from_ref(&*from))?;
    // Whatever of the package is needed is meant, which may be another output than the default one.
    let mut chains: Vec<_> = closure
        .infos()
        .iter()
        .filter(|info| info.path != *from && is_called(info, &args.to))
        .filter_map(|info| closure.why(&from, &info.path))
        .collect();
    chains.sort_by_key(Vec::len);
    let mut chain = chains.into_iter().next();
    if chain.is_none() {
        let to = realise_one(context, &store, &args.to)?;
        chain = closure.why(&from, &to);
        if chain.is_none() {
            let error = NotNeeded {
                from: from.to_logical(),
                to: to.to_logical(),
            };
            return Err(CommandError::new(ExitStatus::No, error)
                .hint(format!("`pith tree {}` shows all that it needs", args.from)));
        }
    }
    let references = chain.unwrap_or_default();
    let mut chain = Vec::new();
    let mut path = (*from).clone();
    for reference in references {
        chain.push(Step {
            path: path.to_logical(),
            reference: reference.path.to_logical(),
            file: reference.file.clone(),
            offset: reference.offset,
        });
        path = reference.path.clone();
    }
    if context.printer().is_json() {
        context.printer().json(&Report { chain })?;
    } else {
        context
            .printer()
            .result(&text(&path.to_logical(), &chain))?;
    }
    Ok(())
}

/// Whether the object belongs to the package `name`.
fn is_called(info: &PathInfo, name: &str) -> bool {
    let component = info.component.as_ref();
    component.is_some_and(|component| component.name == name)
}

fn text(last: &str, chain: &[Step]) -> String {
    let mut text = String::new();
    for step in chain {
        let file = if step.file.is_empty() {
            "the file itself"
        } else {
            &step.file
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\n  in {file}, at byte {}", step.path, step.offset);
    }
    text + last + "\n"
}
