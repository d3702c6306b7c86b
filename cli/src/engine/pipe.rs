//! Images through a pipe, as an archive.

use std::io::Read as _;
use std::process::{Command, Output, Stdio};
use std::thread;

use pack::{Image, SinkError};

use super::load::Loaded;
use super::said::{failure, loaded_name};
use super::{Engine, EngineError};
use crate::error::CommandError;

const VERB: &str = "load";

/// Hands the image to an engine through a pipe; nothing is written to a file here.
pub(super) fn pipe(engine: Engine, image: &Image<'_>) -> Result<Loaded, CommandError> {
    let started = Command::new(engine.program())
        .arg(VERB)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|source| {
        let hint = match engine {
            Engine::Podman => "install podman, or write a file and load that where podman is",
            Engine::Docker => "install docker, or `--load podman`",
        };
        CommandError::failed(EngineError::Start { engine, source }).hint(hint)
    })?;
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    let mut stdout = child.stdout.take().expect("a pipe was asked for");
    let mut stderr = child.stderr.take().expect("a pipe was asked for");
    let (streamed, said, complained) = thread::scope(|scope| {
        // What is said is not needed where it cannot be read.
        let stdout = scope.spawn(move || {
            let mut text = Vec::new();
            drop(stdout.read_to_end(&mut text));
            text
        });
        let stderr = scope.spawn(move || {
            let mut text = Vec::new();
            drop(stderr.read_to_end(&mut text));
            text
        });
        let streamed = image.stream(&mut stdin);
        drop(stdin);
        (
            streamed,
            stdout.join().unwrap_or_default(),
            stderr.join().unwrap_or_default(),
        )
    });
    let status = child.wait().map_err(|source| {
        CommandError::failed(EngineError::Wait {
            engine,
            verb: VERB,
            source,
        })
    })?;
    match streamed {
        // An engine that takes no more has said why.
        Err(error @ SinkError::Stream(_)) if status.success() => Err(error.into()),
        Ok(_) | Err(SinkError::Stream(_)) if !status.success() => {
            let output = Output {
                status,
                stdout: said,
                stderr: complained,
            };
            Err(CommandError::failed(failure(engine, VERB, &output)))
        }
        Err(error) => Err(error.into()),
        Ok(manifest) => Ok(Loaded {
            engine: engine.to_string(),
            name: loaded_name(&said).unwrap_or_else(|| image.name().to_familiar()),
            manifest,
        }),
    }
}
