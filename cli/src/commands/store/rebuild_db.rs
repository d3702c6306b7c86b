//! `pith store rebuild-db`: makes the database again from the records.

use std::fmt::Write as _;

use serde::Serialize;
use store::{LocalStore, RebuildReport, StorePath, Watch};

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{ObjectProgress, plural};

#[derive(Debug, Serialize)]
struct RebuildDocument {
    objects: u64,
    realisations: u64,
    roots: u64,
    damaged: Vec<String>,
    unrecorded: Vec<String>,
    lost_roots: Vec<String>,
}

/// Runs the command.
pub(super) fn rebuild_db(context: &Context) -> Result<u8, CommandError> {
    let printer = context.printer();
    let report = {
        let progress = ObjectProgress::new(printer, "reading");
        let watch = Watch {
            progress: &|step| progress.show(step),
            cancel: context.cancel(),
        };
        let root = &context.settings().store_root;
        LocalStore::rebuild_database(root, &context.store_options(), &watch)?
    };
    let RebuildReport {
        objects,
        realisations,
        roots,
        damaged,
        unrecorded,
        lost_roots,
    } = report;
    let is_complete = damaged.is_empty() && unrecorded.is_empty() && lost_roots.is_empty();
    let names = |paths: &[StorePath]| paths.iter().map(ToString::to_string).collect();
    let document = RebuildDocument {
        objects,
        realisations,
        roots,
        damaged: names(&damaged),
        unrecorded: names(&unrecorded),
        lost_roots,
    };
    if printer.is_json() {
        printer.json(&document)?;
    } else {
        let mut text = String::new();
        for (list, what) in [
            (&document.damaged, "is damaged"),
            (&document.unrecorded, "is there, but has no usable record"),
            (
                &document.lost_roots,
                "was a root, but of nothing that is known",
            ),
        ] {
            for name in list {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{name}: {what}");
            }
        }
        if !text.is_empty() {
            printer.result(&text)?;
        }
        let count = |count: u64, noun| plural(usize::try_from(count).unwrap_or(usize::MAX), noun);
        printer.note(&format!(
            "the database has {}, {} and {}",
            count(objects, "object"),
            count(realisations, "realisation"),
            count(roots, "root")
        ));
        if !document.damaged.is_empty() {
            printer.note("hint: `pith store repair` puts right what is damaged");
        }
    }
    Ok(if is_complete {
        0
    } else {
        ExitStatus::Damaged as u8
    })
}
