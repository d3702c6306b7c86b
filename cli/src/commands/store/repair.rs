//! `pith store repair`: puts right what is damaged.

use std::error::Error;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::{Finding, Mended, RepairReport, Unrepaired, VerifyDepth, VerifyOptions, Watch};

use super::paths::to_paths;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{ObjectProgress, plural};
use crate::restore::{Recipes, RestoreError};

/// Of those who need a damaged object at most so many are named.
const NAMED: usize = 5;

/// Put right what is damaged: from good copies in the store, else fetched or built again
#[derive(Debug, Args)]
#[command(after_help = "\
Without PATH and --contents it repairs what `pith store verify --contents` found before, and what is
seen without reading all files. Exit status: 0 nothing is wrong any more, 4 something still is.")]
pub(super) struct RepairArgs {
    /// Read and hash all files first, to find what is damaged
    #[arg(long)]
    contents: bool,
    /// Store paths, which are read whole first; all of the store when there is none
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RepairDocument {
    repaired: Vec<Repaired>,
    unrepaired: Vec<Left>,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Repaired {
    path: String,
    how: &'static str,
}

#[derive(Debug, Serialize)]
struct Left {
    path: String,
    reason: String,
    roots: Vec<String>,
    referrers: Vec<String>,
}

/// Runs the command.
pub(super) fn repair(args: &RepairArgs, context: &Context) -> Result<u8, CommandError> {
    let store = context.open_store()?;
    let depth = if args.contents || !args.paths.is_empty() {
        VerifyDepth::Contents
    } else {
        VerifyDepth::Records
    };
    let options = VerifyOptions {
        paths: to_paths(&args.paths, &store)?,
        depth,
    };
    let printer = context.printer();
    let restorer = Recipes::new(context, &store)?;
    let report = {
        let progress = ObjectProgress::new(printer, "verifying");
        let watch = Watch {
            progress: &|step| progress.show(step),
            cancel: context.cancel(),
        };
        store.repair(&options, &restorer, &watch)?
    };
    if printer.is_json() {
        printer.json(&document(&report))?;
    } else {
        for (path, how) in &report.mended {
            printer.note(&format!("{path}: {}", words(*how)));
        }
        let mut text = String::new();
        for left in &report.unrepaired {
            text += &describe(left);
        }
        for finding in &report.left {
            let is_told = report
                .unrepaired
                .iter()
                .any(|left| finding.entry == left.path.to_string());
            if !is_told {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{}: {}", finding.entry, finding.problem);
            }
        }
        if !text.is_empty() {
            printer.result(&text)?;
        }
        let summary = match (report.mended.len(), report.left.is_empty()) {
            (0, true) => "nothing is wrong".to_owned(),
            (count, true) => format!(
                "repaired {}; nothing is wrong any more",
                plural(count, "object")
            ),
            (count, false) => format!(
                "repaired {}; {} left",
                plural(count, "object"),
                plural(report.left.len(), "finding")
            ),
        };
        printer.note(&summary);
        if !report.unrepaired.is_empty() {
            printer.note("hint: run in the project that an object comes from, `pith store repair` finds its recipe; `pith store gc` removes what nothing needs");
        }
    }
    Ok(if report.left.is_empty() {
        0
    } else {
        ExitStatus::Damaged as u8
    })
}

const fn words(how: Mended) -> &'static str {
    match how {
        Mended::Whole => "it is whole, and valid again",
        Mended::Metadata => "modes and times are right again",
        Mended::Copied => "its wrong files are replaced by good copies",
        Mended::Restored => "it was fetched or built again",
        Mended::Recorded => "its record was written again",
        Mended::Settled => "it is registered, or gone",
    }
}

const fn name(how: Mended) -> &'static str {
    match how {
        Mended::Whole => "whole",
        Mended::Metadata => "metadata",
        Mended::Copied => "copied",
        Mended::Restored => "restored",
        Mended::Recorded => "recorded",
        Mended::Settled => "settled",
    }
}

/// The reason with all its causes, on one line.
fn reason(left: &Unrepaired<RestoreError>) -> String {
    let Some(reason) = &left.reason else {
        return "it was made again, but is not the same".to_owned();
    };
    let mut text = reason.to_string();
    let mut source = reason.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text.replace('\n', " ")
}

fn describe(left: &Unrepaired<RestoreError>) -> String {
    let mut text = format!("{}: cannot be repaired: {}\n", left.path, reason(left));
    for problem in &left.problems {
        let problem = problem.to_string().replace('\n', "\n  ");
        let _ = writeln!(text, "  {problem}");
    }
    let referrers = left.referrers.iter().map(ToString::to_string);
    let needed: Vec<String> = left.roots.iter().cloned().chain(referrers).collect();
    if needed.is_empty() {
        text += "  nothing needs it\n";
    } else {
        let named = needed.iter().take(NAMED).cloned().collect::<Vec<_>>();
        let more = needed.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let _ = writeln!(text, "  needed by {}{more}", named.join(", "));
    }
    text
}

fn document(report: &RepairReport<RestoreError>) -> RepairDocument {
    let repaired = report.mended.iter().map(|(path, how)| Repaired {
        path: path.to_string(),
        how: name(*how),
    });
    let unrepaired = report.unrepaired.iter().map(|left| Left {
        path: left.path.to_string(),
        reason: reason(left),
        roots: left.roots.clone(),
        referrers: left.referrers.iter().map(ToString::to_string).collect(),
    });
    RepairDocument {
        repaired: repaired.collect(),
        unrepaired: unrepaired.collect(),
        findings: report.left.clone(),
    }
}
