//! What this machine lacks for a full sandbox, found by trying.

use std::sync::atomic::AtomicBool;

use crate::error::{SandboxError, StepError};
use crate::launcher::Launcher;
use crate::missing::Missing;
use crate::spec::SandboxSpec;

/// A program that no sandbox holds: all that is tried is everything before its start.
const ABSENT: &str = "/absent";

/// Tries to build a sandbox and returns what stands in the way of a full one; nothing when it can be had.
///
/// Errors: what went wrong otherwise, such as a helper that does not start.
pub fn probe(launcher: &Launcher) -> Result<Vec<Missing>, SandboxError> {
    let spec = SandboxSpec {
        argv: vec![ABSENT.into()],
        cwd: "/".into(),
        ..SandboxSpec::default()
    };
    match launcher.run(&spec, &mut |_| {}, &AtomicBool::new(false)) {
        Ok(_) | Err(SandboxError::Step(StepError::Execute { .. })) => Ok(Vec::new()),
        Err(SandboxError::Forbidden { missing, .. }) => Ok(vec![missing]),
        Err(error) => Err(error),
    }
}
