//! The sandbox helper as a program of its own, for callers whose own binary cannot be executed again, such as test runners.
//!
//! Started by hand as `sandbox-helper SOURCE TARGET PROGRAM [ARGUMENT]…` it becomes a program on the host; see `execute_on_host`.

use std::ffi::OsString;
use std::process::ExitCode;

use sandbox::HostProgram;

/// The exit status for wrong usage.
const USAGE: u8 = 2;

/// The exit status when the program cannot be executed, as shells have it.
const NOT_EXECUTED: u8 = 126;

fn main() -> ExitCode {
    sandbox::helper_main_if_requested();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [source, target, argv @ ..] = arguments.as_slice() else {
        return ExitCode::from(USAGE);
    };
    let Some(program) = argv.first() else {
        return ExitCode::from(USAGE);
    };
    let spec = HostProgram {
        source: source.into(),
        target: target.into(),
        program: program.into(),
        argv: argv.to_vec(),
    };
    match sandbox::execute_on_host(&spec) {
        Ok(never) => match never {},
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            // Nobody is left to tell when standard error is gone.
            drop(std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("{text}\n"),
            ));
            ExitCode::from(NOT_EXECUTED)
        }
    }
}
