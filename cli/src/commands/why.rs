//! `pith why`: the chain of references by which one store object needs another.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::realise::realise_one;

/// Show why one target needs another
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// What needs
    #[arg(value_name = "A")]
    from: String,
    /// What is needed
    #[arg(value_name = "B")]
    to: String,
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
    let store = context.open_store()?;
    let from = realise_one(context, &store, &args.from)?;
    let to = realise_one(context, &store, &args.to)?;
    let closure = store.closure(std::slice::from_ref(&*from))?;
    let Some(references) = closure.why(&from, &to) else {
        let error = NotNeeded {
            from: from.to_logical(),
            to: to.to_logical(),
        };
        return Err(CommandError::new(ExitStatus::No, error));
    };
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
