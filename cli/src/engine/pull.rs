//! Images into podman by a pull from this process.

use std::process::{Child, Command, Output, Stdio};

use pack::Image;
use pack::serve::{Loopback, LoopbackError};

use super::load::Loaded;
use super::pull_files::PullFiles;
use super::said::{failure, last_line};
use super::{Engine, EngineError};
use crate::error::CommandError;

const ENGINE: Engine = Engine::Podman;
/// What podman is asked to do.
pub(super) const PULL: &str = "pull";
const INFO: &str = "info";

/// An image that podman has pulled.
pub(super) struct Pulled {
    pub(super) loaded: Loaded,
    /// How many layers it did not have.
    pub(super) sent_layers: usize,
}

/// Why podman did not pull an image.
pub(super) enum NotPulled {
    /// The image cannot be made, in whichever way it is handed on.
    Image(CommandError),
    /// Podman does not take it like that.
    Engine(EngineError),
}

impl From<EngineError> for NotPulled {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<LoopbackError> for NotPulled {
    fn from(error: LoopbackError) -> Self {
        Self::Image(match error {
            LoopbackError::Image(error) => error.into(),
            LoopbackError::Layer(error) => error.into(),
            error => CommandError::failed(error),
        })
    }
}

/// Has podman pull the image under its name from a registry that this process is meanwhile.
///
/// Podman is asked first whether it would: a name may stand for an image in the internet, which it must never fetch instead. Where there is no podman, nothing else is
/// done.
pub(super) fn pull(image: &Image<'_>) -> Result<Pulled, NotPulled> {
    // Nothing listens there; podman is only asked whether it would ask there.
    let files = PullFiles::new(image.name(), ([127, 0, 0, 1], 1).into())?;
    let mut command = files.command();
    let asking = start(command.args([INFO, "--format", "json"]))?;
    // What takes long of serving is that layers were never made before; podman looks for its answer meanwhile.
    let made = image.manifest_digest();
    let answer = end(asking, INFO)?;
    let info = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    files.check(&info)?;
    made.map_err(LoopbackError::from)?;
    image.serve_while(|loopback| pull_from(image, loopback))?
}

fn pull_from(image: &Image<'_>, loopback: &Loopback) -> Result<Pulled, NotPulled> {
    let name = image.name();
    let files = PullFiles::new(name, loopback.address)?;
    let login = files.write_login(loopback.address, &loopback.token)?;
    let platform = image.platform();
    let (system, processor) = match platform.to_string().split_once('/') {
        Some((system, processor)) => (system.to_owned(), processor.to_owned()),
        None => (platform.os.clone(), String::new()),
    };
    let mut command = files.command();
    command.args([PULL, "--quiet", "--authfile"]).arg(login);
    // An image for another machine is no mistake.
    command.args(["--os", &system, "--arch", &processor]);
    command.arg(name.to_string());
    let output = end(start(&mut command)?, PULL)?;
    let id = last_line(&output.stdout).unwrap_or_default();
    if id != loopback.config.to_hex() {
        return Err(NotPulled::Engine(EngineError::Another {
            expected: loopback.config,
            found: id,
        }));
    }
    Ok(Pulled {
        loaded: Loaded {
            engine: ENGINE.to_string(),
            name: name.to_string(),
            manifest: loopback.manifest,
        },
        sent_layers: loopback.sent_layers(),
    })
}

/// Starts podman.
fn start(command: &mut Command) -> Result<Child, EngineError> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let started = command.stderr(Stdio::piped()).spawn();
    started.map_err(|source| EngineError::Start {
        engine: ENGINE,
        source,
    })
}

/// Waits until podman has ended.
fn end(started: Child, verb: &'static str) -> Result<Output, EngineError> {
    let ended = started.wait_with_output();
    let output = ended.map_err(|source| EngineError::Wait {
        engine: ENGINE,
        verb,
        source,
    })?;
    match output.status.success() {
        true => Ok(output),
        false => Err(failure(ENGINE, verb, &output)),
    }
}
