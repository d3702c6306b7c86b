//! `-o -`: an image on standard output.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::Path;

use pack::{Format, Image, SinkError};
use thiserror::Error;

use crate::error::{CommandError, ExitStatus};

/// What stands for standard output.
const STDOUT: &str = "-";
/// How much is handed on at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Why an image cannot go to standard output.
#[derive(Debug, Error)]
enum StreamError {
    #[error("standard output is a terminal, and an image is no text")]
    Terminal,
    #[error("standard output gets the image, and what `{0}` prints too")]
    Taken(&'static str),
}

/// Whether an output is standard output.
pub(crate) fn is_stdout(output: &Path) -> bool {
    output == Path::new(STDOUT)
}

/// Refuses, before anything is built, what standard output cannot take; `taken` are the flags that print there, and whether they are given.
pub(crate) fn check_stream(
    format: Format,
    taken: &[(&'static str, bool)],
) -> Result<(), CommandError> {
    let usage = |error| CommandError::new(ExitStatus::Usage, error);
    if !format.is_stream() {
        let error = CommandError::new(ExitStatus::Usage, SinkError::NoStream { format });
        return Err(error.hint("`-o PATH` writes it; `archive`, `tar` and `initramfs` are streams"));
    }
    if let Some((flag, _)) = taken.iter().find(|(_, is_given)| *is_given) {
        return Err(usage(StreamError::Taken(flag)));
    }
    if io::stdout().is_terminal() {
        let error = usage(StreamError::Terminal);
        return Err(error.hint("`-o PATH` writes it; `| podman load` hands it on"));
    }
    Ok(())
}

/// Writes an image, with those for other platforms, to standard output.
pub(crate) fn write_stream(
    image: &Image<'_>,
    others: &[Image<'_>],
    format: Format,
) -> Result<(), CommandError> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    image.stream_as(others, format, &mut out)?;
    Ok(out.flush().map_err(SinkError::Stream)?)
}
