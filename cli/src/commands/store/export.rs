//! `pith store export` and `pith store import`: closures as streams.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use serde::Serialize;
use store::Watch;
use store::export::{Believe, ExportError, ImportError, Imported, export, import};
use thiserror::Error;

use super::paths::to_paths;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{ObjectProgress, human_bytes, plural};

/// Write store paths with all that they refer to to standard output, for another machine
#[derive(Debug, Args)]
#[command(after_help = "\
`pith store export PATH > FILE` here and `pith store import < FILE` there. The stream is checked at the
end, so one that was cut is noticed; which builders to believe is for the importing side to say.")]
pub(super) struct ExportArgs {
    /// Store paths
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
}

/// Take the objects of an exported stream from standard input
#[derive(Debug, Args)]
#[command(after_help = "\
Objects are checked against their store paths, so nothing can pass for what it is not. What derivations
they were built from, their licenses and the like are taken over only if a trusted key has signed that.
Exit status: 0 all is here, 4 the stream is damaged; what was whole before that is kept.")]
pub(super) struct ImportArgs {
    /// Believe all that the stream says: it comes from somebody you trust
    #[arg(long)]
    trusted: bool,
}

/// The wrong end of a stream is a terminal.
#[derive(Debug, Error)]
enum StreamError {
    #[error("an exported stream is nothing to look at")]
    Output,
    #[error("standard input is a terminal and not an exported stream")]
    Input,
}

#[derive(Debug, Serialize)]
struct ImportDocument {
    paths: Vec<String>,
    imported: Vec<String>,
    known: usize,
    without_component: Vec<String>,
    unbelieved_realisations: usize,
}

/// Runs `pith store export`.
pub(super) fn run_export(args: &ExportArgs, context: &Context) -> Result<(), CommandError> {
    let mut output = io::stdout();
    if output.is_terminal() {
        return Err(CommandError::new(ExitStatus::Usage, StreamError::Output)
            .hint("`pith store export PATH > FILE` writes it into a file"));
    }
    let store = context.open_store()?;
    let paths = to_paths(&args.paths, &store)?;
    let printer = context.printer();
    let exported = {
        let progress = ObjectProgress::new(printer, "exporting");
        let watch = Watch {
            progress: &|step| progress.show(step),
            cancel: context.cancel(),
        };
        let mut output = io::BufWriter::new(output.lock());
        export(&store, &paths, &mut output, &watch)?
    };
    output
        .flush()
        .map_err(|error| CommandError::from(ExportError::Write(error)))?;
    printer.note(&format!(
        "exported {}, {}",
        plural(exported.objects.len(), "object"),
        human_bytes(exported.stream_bytes)
    ));
    Ok(())
}

/// Runs `pith store import`.
pub(super) fn run_import(args: &ImportArgs, context: &Context) -> Result<(), CommandError> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(CommandError::new(ExitStatus::Usage, StreamError::Input)
            .hint("`pith store import < FILE` reads a file"));
    }
    let store = context.open_store()?;
    let policy = context.settings().trust.policy();
    let believe = if args.trusted {
        Believe::Everything
    } else {
        Believe::Signed {
            policy: &policy,
            now: seconds_now(),
        }
    };
    let lease = store.lease()?;
    let printer = context.printer();
    let imported = {
        let progress = ObjectProgress::new(printer, "importing");
        let watch = Watch {
            progress: &|step| progress.show(step),
            cancel: context.cancel(),
        };
        import(&store, &mut input.lock(), believe, &lease, &watch)?
    };
    let Imported {
        roots,
        objects,
        known,
        without_component,
        unbelieved_realisations,
    } = imported;
    let paths = |paths: &[store::StorePath]| {
        paths
            .iter()
            .map(store::StorePath::to_logical)
            .collect::<Vec<_>>()
    };
    if printer.is_json() {
        printer.json(&ImportDocument {
            paths: paths(&roots),
            imported: paths(&objects),
            known,
            without_component: paths(&without_component),
            unbelieved_realisations,
        })?;
        return Ok(());
    }
    printer.result(&(paths(&roots).join("\n") + "\n"))?;
    printer.note(&format!(
        "imported {}; {known} here before",
        plural(objects.len(), "object")
    ));
    if !without_component.is_empty() || unbelieved_realisations > 0 {
        printer.note(&format!(
            "not believed: where {} comes from, and {} of builds",
            plural(without_component.len(), "object"),
            plural(unbelieved_realisations, "result")
        ));
        printer.note("hint: `--trusted` believes the stream, `[trust]` in the settings names keys");
    }
    Ok(())
}

impl From<ExportError> for CommandError {
    fn from(error: ExportError) -> Self {
        match &error {
            ExportError::Damaged { .. } | ExportError::Record { .. } => {
                Self::new(ExitStatus::Damaged, error)
                    .hint("`pith store repair` puts right what is damaged")
            }
            ExportError::Interrupted => Self::new(ExitStatus::Interrupted, error),
            _ => Self::failed(error),
        }
    }
}

impl From<ImportError> for CommandError {
    fn from(error: ImportError) -> Self {
        match &error {
            ImportError::Truncated { .. }
            | ImportError::Frame { .. }
            | ImportError::Digest
            | ImportError::Trailing
            | ImportError::Malformed { .. }
            | ImportError::Format(_)
            | ImportError::Trees { .. }
            | ImportError::Object { .. } => Self::new(ExitStatus::Damaged, error),
            ImportError::Interrupted => Self::new(ExitStatus::Interrupted, error),
            _ => Self::failed(error),
        }
    }
}
