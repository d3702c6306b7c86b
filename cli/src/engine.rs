//! Container engines of this machine, which take images from a pipe.

use std::fmt;
use std::io::{self, Read as _};
use std::process::{Command, ExitStatus as ProcessStatus, Stdio};
use std::str::FromStr;
use std::thread;

use pack::oci::Digest;
use pack::{Image, SinkError};
use serde::Serialize;
use thiserror::Error;

use crate::error::CommandError;

/// A container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Podman.
    Podman,
    /// Docker.
    Docker,
}

impl Engine {
    const fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// The text names no engine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not an engine; known are `podman` and `docker`")]
pub(crate) struct UnknownEngine {
    text: String,
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        match text {
            "podman" => Ok(Self::Podman),
            "docker" => Ok(Self::Docker),
            _ => Err(UnknownEngine {
                text: text.to_owned(),
            }),
        }
    }
}

/// Why an engine does not have an image.
#[derive(Debug, Error)]
enum EngineError {
    /// It could not be started.
    #[error("cannot start `{engine}`")]
    Start {
        engine: Engine,
        #[source]
        source: io::Error,
    },
    /// It could not be waited for.
    #[error("cannot wait for `{engine} load`")]
    Wait {
        engine: Engine,
        #[source]
        source: io::Error,
    },
    /// It did not take the image.
    #[error("`{engine} load` failed: {said}")]
    Failed { engine: Engine, said: String },
}

/// An image that an engine has taken.
#[derive(Debug, Serialize)]
pub(crate) struct Loaded {
    /// The engine.
    pub(crate) engine: String,
    /// The name by which the engine knows it.
    pub(crate) name: String,
    /// The digest of its manifest.
    pub(crate) manifest: Digest,
}

/// Hands the image to an engine through a pipe; nothing is written to a file here.
pub(crate) fn load(engine: Engine, image: &Image<'_>) -> Result<Loaded, CommandError> {
    let started = Command::new(engine.program())
        .arg("load")
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
    let waited = child.wait();
    let status =
        waited.map_err(|source| CommandError::failed(EngineError::Wait { engine, source }))?;
    match streamed {
        // An engine that takes no more has said why.
        Err(error @ SinkError::Stream(_)) if status.success() => Err(error.into()),
        Ok(_) | Err(SinkError::Stream(_)) if !status.success() => {
            let said = last_line(&complained)
                .or_else(|| last_line(&said))
                .unwrap_or_else(|| ended(status));
            Err(CommandError::failed(EngineError::Failed { engine, said }))
        }
        Err(error) => Err(error.into()),
        Ok(manifest) => Ok(Loaded {
            engine: engine.to_string(),
            name: loaded_name(&said).unwrap_or_else(|| image.name().to_familiar()),
            manifest,
        }),
    }
}

/// The name in `Loaded image: NAME`, which podman has in the plural, with commas.
fn loaded_name(said: &[u8]) -> Option<String> {
    let line = last_line(said)?;
    let (before, name) = line.split_once(": ")?;
    let name = name.split(',').next().unwrap_or(name).trim();
    (before.starts_with("Loaded image") && !name.is_empty()).then(|| name.to_owned())
}

fn last_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.to_owned())
}

fn ended(status: ProcessStatus) -> String {
    format!("it ended with {status} and said nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_print_and_parse_back() {
        for engine in [Engine::Podman, Engine::Docker] {
            assert_eq!(engine.to_string().parse(), Ok(engine));
        }
        assert!("nerdctl".parse::<Engine>().is_err());
    }

    #[test]
    fn the_name_is_what_the_engine_says_that_it_has_loaded() {
        let name = |text: &str| loaded_name(text.as_bytes());
        for text in [
            "Loaded image: a/b:1\n",
            "Loaded image(s): a/b:1,c:2\n",
            "x\nLoaded image: a/b:1\n\n",
        ] {
            assert_eq!(name(text).as_deref(), Some("a/b:1"), "{text}");
        }
        for text in ["", "a/b:1\n", "Loaded image: \n"] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
