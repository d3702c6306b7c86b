//! What a profile's launchers start: this program, to become the program that the launcher stands for.
//!
//! It stands before everything else that `main` does: no settings, no store and no thread are needed, and starting an installed program should
//! cost next to nothing.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sandbox::{HostProgram, SandboxError};
use store::STORE_DIR;
use store::profile::{ProfileError, find_launch};

use crate::error::CommandError;
use crate::output::{Printer, Verbosity};

/// The first argument, by which launchers ask for this; the launcher's own path and the program's arguments follow.
const ARGUMENT: &str = "--launch";

/// The statuses of a program that was not found and of one that was not executed, as shells and `env` have them.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTED: u8 = 126;

/// Becomes an installed program when this process was started for that; returns only to end with the status.
pub(crate) fn launch_if_requested() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let launcher = PathBuf::from(arguments.next()?);
    let (status, error) = match launch(&launcher, arguments.collect()) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    Printer::new(Verbosity::Quiet, false).always(&error.render());
    Some(ExitCode::from(status))
}

fn launch(launcher: &Path, arguments: Vec<OsString>) -> Result<Infallible, (u8, CommandError)> {
    let launch = find_launch(launcher).map_err(|error| {
        let status = match error {
            ProfileError::NoProgram { .. } => NOT_FOUND,
            _ => NOT_EXECUTED,
        };
        (status, CommandError::from(error))
    })?;
    let mut argv = vec![launch.name];
    argv.extend(arguments);
    let program = HostProgram {
        source: launch.store_directory,
        target: STORE_DIR.into(),
        program: launch.program,
        argv,
    };
    sandbox::execute_on_host(&program).map_err(|error| {
        let is_forbidden = matches!(error, SandboxError::Forbidden { .. });
        let mut error = CommandError::from(error);
        if is_forbidden {
            error = error.hint("programs of a store at `/pith` need no namespace: make that directory writable for you and install them there");
        }
        (NOT_EXECUTED, error)
    })
}
