//! `pith store verify`: compares the store with what its database and its records say.

use clap::Args;
use serde::Serialize;
use store::{Finding, VerifyDepth, VerifyOptions, Watch};

use super::paths::to_paths;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{ObjectProgress, human_bytes, plural};

/// Look for damage: what is missing, changed or unknown
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 nothing found, 4 something is damaged; what it is is said on standard output.
Objects with wrong bytes are not used any more until `pith store repair` has put them right.")]
pub(super) struct VerifyArgs {
    /// Read and hash all files too, not only names, modes and records
    #[arg(long)]
    contents: bool,
    /// Store paths; all of the store when there is none
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

#[derive(Debug, Serialize)]
struct VerifyDocument {
    objects: u64,
    size_bytes: u64,
    contents: bool,
    findings: Vec<Finding>,
    /// Objects that are not used any more.
    damaged: Vec<String>,
}

/// Runs the command.
pub(super) fn verify(args: &VerifyArgs, context: &Context) -> Result<u8, CommandError> {
    let store = context.open_store()?;
    let options = VerifyOptions {
        paths: to_paths(&args.paths, &store)?,
        depth: if args.contents {
            VerifyDepth::Contents
        } else {
            VerifyDepth::Records
        },
    };
    let printer = context.printer();
    let report = {
        let progress = ObjectProgress::new(printer, "verifying");
        let watch = Watch {
            progress: &|step| progress.show(step),
            cancel: context.cancel(),
        };
        store.verify(&options, &watch)?
    };
    let found = report.findings.len();
    let is_damaged = !report.damaged.is_empty();
    if printer.is_json() {
        printer.json(&VerifyDocument {
            objects: report.objects,
            size_bytes: report.size_bytes,
            contents: args.contents,
            findings: report.findings,
            damaged: report.damaged.iter().map(ToString::to_string).collect(),
        })?;
    } else {
        let lines: String = report
            .findings
            .iter()
            .map(|finding| format!("{}: {}\n", finding.entry, finding.problem))
            .collect();
        if !lines.is_empty() {
            printer.result(&lines)?;
        }
        let objects = usize::try_from(report.objects).unwrap_or(usize::MAX);
        let size = if args.contents {
            format!(", {}", human_bytes(report.size_bytes))
        } else {
            String::new()
        };
        printer.note(&format!(
            "verified {}{size}: {}",
            plural(objects, "object"),
            if found == 0 {
                "nothing is wrong".to_owned()
            } else {
                plural(found, "finding")
            }
        ));
    }
    if found == 0 {
        return Ok(0);
    }
    if is_damaged && !printer.is_json() {
        printer.note("hint: `pith store repair` puts right what is damaged");
    }
    Ok(ExitStatus::Damaged as u8)
}
