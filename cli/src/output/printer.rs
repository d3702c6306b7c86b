//! The one door to the terminal, decided once from `-q`, `-v`, `--json` and the terminal itself.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

/// Version of the shape of every `--json` document.
const JSON_VERSION: u32 = 1;

/// How much a command says on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// What is being done, one line a step.
    Normal,
    /// Every step with its reason.
    Verbose,
    /// The builders' own output too.
    Debug,
}

/// Standard output could not be written.
#[derive(Debug, Error)]
#[error("cannot write to standard output")]
pub(crate) struct OutputError(#[from] io::Error);

/// Writes results, progress and diagnostics.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    verbosity: Verbosity,
    json: bool,
    bars: MultiProgress,
    interactive: bool,
}

impl Printer {
    /// A printer for this process's standard streams.
    pub(crate) fn new(verbosity: Verbosity, json: bool) -> Self {
        let interactive = io::stderr().is_terminal() && verbosity == Verbosity::Normal;
        let target = if interactive {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            verbosity,
            json,
            bars: MultiProgress::with_draw_target(target),
            interactive,
        }
    }

    /// How much to say.
    pub(crate) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Whether results are JSON documents.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress bars are drawn.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// The bars of this process.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes results, a line each. A closed pipe (`pith … | head`) ends the program quietly, as
    /// success: the reader has what it wanted.
    pub(crate) fn result(&self, text: &str) -> Result<(), OutputError> {
        let mut output = io::stdout().lock();
        let outcome = output
            .write_all(text.as_bytes())
            .and_then(|()| {
                if text.ends_with('\n') {
                    Ok(())
                } else {
                    output.write_all(b"\n")
                }
            })
            .and_then(|()| output.flush());
        tolerate_closed_pipe(outcome)
    }

    /// Writes raw bytes to standard output.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), OutputError> {
        let mut output = io::stdout().lock();
        tolerate_closed_pipe(output.write_all(bytes).and_then(|()| output.flush()))
    }

    /// Writes one JSON document whose root is a record: `fields` and the version of its shape.
    pub(crate) fn json(&self, fields: &impl Serialize) -> Result<(), OutputError> {
        let mut document = serde_json::to_value(fields).map_err(io::Error::from)?;
        if let Value::Object(record) = &mut document {
            let own = record.insert("version".into(), json!(JSON_VERSION));
            debug_assert!(own.is_none(), "a report has no field `version` of its own");
        }
        let text = serde_json::to_string_pretty(&document).map_err(io::Error::from)?;
        self.result(&text)
    }

    /// Says `line` on standard error unless the user asked for silence.
    pub(crate) fn note(&self, line: &str) {
        self.say(Verbosity::Normal, line);
    }

    /// Says `line` on standard error when the user asked for more.
    pub(crate) fn detail(&self, line: &str) {
        self.say(Verbosity::Verbose, line);
    }

    /// Says `line` whatever the verbosity: an error or a warning.
    pub(crate) fn always(&self, line: &str) {
        self.say(Verbosity::Quiet, line);
    }

    fn say(&self, from: Verbosity, line: &str) {
        if self.verbosity < from {
            return;
        }
        self.bars.suspend(|| {
            // Nobody is left to tell when standard error is gone.
            drop(writeln!(io::stderr().lock(), "{line}"));
        });
    }
}

fn tolerate_closed_pipe(outcome: io::Result<()>) -> Result<(), OutputError> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}
