//! What a profile's launchers and `pith shell --host` start: this program, to become another one.
//!
//! It stands before everything else that `main` does: no settings, no store and no thread are needed, and starting an installed program should
//! cost next to nothing.

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::unistd::{AccessFlags, access};
use sandbox::{HostProgram, SandboxError};
use store::STORE_DIR;
use store::profile::{ProfileError, find_launch};
use thiserror::Error;

use crate::error::CommandError;
use crate::output::{Printer, Verbosity};
use crate::settings::search_path;

/// The first argument, by which launchers ask for this; the launcher's own path and the program's arguments follow.
const ARGUMENT: &str = "--launch";

/// The first argument, by which `pith shell --host` asks for a program on this machine that also sees the store; the store's directory, the program and
/// its arguments follow.
const ON_HOST: &str = "--on-host";

/// The statuses of a program that was not found and of one that was not executed, as shells and `env` have them.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTED: u8 = 126;

/// `PATH` does not lead to it.
#[derive(Debug, Error)]
#[error("there is no program `{0}` on PATH")]
struct NoProgram(String);

/// Becomes an installed program when this process was started for that; returns only to end with the status.
pub(crate) fn launch_if_requested() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let what = arguments.next()?;
    let result = if what == ARGUMENT {
        let launcher = PathBuf::from(arguments.next()?);
        launch(&launcher, arguments.collect())
    } else if what == ON_HOST {
        let store_directory = PathBuf::from(arguments.next()?);
        execute(&store_directory, arguments.collect())
    } else {
        return None;
    };
    let (status, error) = match result {
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
    let mut argv = vec![called(launcher, &launch.name, search_path().as_deref())];
    argv.extend(arguments);
    become_program(&HostProgram {
        source: launch.store_directory,
        target: STORE_DIR.into(),
        program: launch.program,
        argv,
    })
}

/// A process of this program that becomes `program`, which sees the machine as it is and the store besides.
pub(crate) fn on_host(
    store_directory: &Path,
    program: &OsStr,
    arguments: &[OsString],
) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command
        .arg(ON_HOST)
        .arg(store_directory)
        .arg(program)
        .args(arguments);
    Ok(command)
}

/// Becomes the first of `argv`, which is looked up in `PATH` where it is a name.
fn execute(store_directory: &Path, argv: Vec<OsString>) -> Result<Infallible, (u8, CommandError)> {
    let name = argv.first().cloned().unwrap_or_default();
    let program = if name.as_encoded_bytes().contains(&b'/') {
        Some(PathBuf::from(&name))
    } else {
        find_program(&name, search_path().as_deref(), store_directory)
    };
    let Some(program) = program else {
        let error = NoProgram(name.to_string_lossy().into_owned());
        return Err((NOT_FOUND, CommandError::failed(error)));
    };
    become_program(&HostProgram {
        source: store_directory.to_owned(),
        target: STORE_DIR.into(),
        program,
        argv,
    })
}

/// Looks a program up as it will be seen, where the directories of the store are not at their place yet.
fn find_program(name: &OsStr, path: Option<&OsStr>, store_directory: &Path) -> Option<PathBuf> {
    env::split_paths(path?).find_map(|directory| {
        let real = match directory.strip_prefix(STORE_DIR) {
            Ok(below) => store_directory.join(below),
            Err(_) => directory.clone(),
        };
        let real = real.join(name);
        // A link of the store leads to a place that is not there yet.
        let is_program =
            real.is_symlink() || (real.is_file() && access(&real, AccessFlags::X_OK).is_ok());
        is_program.then(|| directory.join(name))
    })
}

fn become_program(program: &HostProgram) -> Result<Infallible, (u8, CommandError)> {
    sandbox::execute_on_host(program).map_err(|error| {
        let is_forbidden = matches!(error, SandboxError::Forbidden { .. });
        let mut error = CommandError::from(error);
        if is_forbidden {
            error = error.hint("programs of a store at `/pith` need no namespace: make that directory writable for you and install them there");
        }
        (NOT_EXECUTED, error)
    })
}

/// What the program is told that it was called: its name where that leads to the launcher, as typed into a shell, else the launcher's path. So a program
/// that looks for itself finds the launcher, and messages begin with the name alone where they would without a launcher.
fn called(launcher: &Path, name: &OsStr, search_path: Option<&OsStr>) -> OsString {
    let is_program = |path: &PathBuf| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    let first = search_path.and_then(|path| {
        env::split_paths(path)
            .map(|directory| directory.join(name))
            .find(is_program)
    });
    if first.as_deref() == Some(launcher) {
        name.to_owned()
    } else {
        launcher.as_os_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_is_called_by_its_name_only_where_that_leads_to_the_launcher() {
        let place = tempfile::tempdir().unwrap();
        let program = |directory: &str, mode: u32| {
            let directory = place.path().join(directory);
            fs::create_dir(&directory).unwrap();
            let file = directory.join("tool");
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            (directory, file)
        };
        let (data, _) = program("data", 0o644);
        let (profile, launcher) = program("profile", 0o755);
        let (other, _) = program("other", 0o755);
        let name = OsStr::new("tool");
        let called = |directories: &[&PathBuf]| {
            let path = env::join_paths(directories).unwrap();
            called(&launcher, name, Some(&path))
        };
        assert_eq!(called(&[&data, &profile, &other]), name);
        assert_eq!(called(&[&other, &profile]), launcher);
        assert_eq!(called(&[&other]), launcher);
        assert_eq!(super::called(&launcher, name, None), launcher);
    }
}
