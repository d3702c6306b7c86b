//! Images into engines, in the quickest way that works.

use std::sync::atomic::Ordering;

use pack::Image;
use pack::oci::Digest;
use serde::Serialize;

use super::pipe::pipe;
use super::pull::{NotPulled, PULL, pull};
use super::{Engine, EngineError};
use crate::context::Context;
use crate::error::CommandError;
use crate::output::plural;

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

/// Hands the image to an engine of this machine.
///
/// Podman that cannot pull, because it is told not to or keeps its images on another machine, is handed the image through a pipe. Why it cannot is said where that
/// fails, too.
pub(crate) fn load(
    engine: Engine,
    image: &Image<'_>,
    context: &Context,
) -> Result<Loaded, CommandError> {
    if engine == Engine::Docker {
        return pipe(engine, image);
    }
    let printer = context.printer();
    let error = match pull(image) {
        Ok(pulled) => {
            let sent = plural(pulled.sent_layers, "layer");
            printer.detail(&format!("podman lacked {sent} of the image"));
            return Ok(pulled.loaded);
        }
        Err(NotPulled::Image(error)) => return Err(error),
        Err(NotPulled::Engine(error)) => error,
    };
    // Whoever interrupts this program interrupts podman with it.
    if context.cancel().load(Ordering::Relaxed) {
        return Err(CommandError::failed(error));
    }
    printer.detail(&format!("podman takes the image through a pipe: {error}"));
    pipe(engine, image).map_err(|failed| match is_about_pulling(&error) {
        true => failed.note(format!("before that, {error}")),
        false => failed,
    })
}

/// Whether podman has tried to pull, so that why it could not may be why it cannot load, either.
fn is_about_pulling(error: &EngineError) -> bool {
    match error {
        EngineError::Failed { verb, .. } | EngineError::Silent { verb, .. } => *verb == PULL,
        EngineError::Another { .. } => true,
        _ => false,
    }
}
