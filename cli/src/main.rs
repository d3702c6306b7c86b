//! The `pith` command: parse, run, report, exit; no logic of its own.

mod args;
mod attest;
mod bill_place;
mod budget;
mod build_options;
mod caches;
mod clock;
mod commands;
mod contents;
mod context;
mod date;
mod debian;
mod debian_lock;
mod deployed;
mod documents;
mod engine;
mod error;
mod explained;
mod facts;
mod hint;
mod image;
mod inside;
mod key_file;
mod launch;
mod layers;
mod link;
mod output;
mod party;
mod planned;
mod platform;
mod program;
mod realise;
mod registry;
mod restore;
mod select;
mod selection;
mod settings;
mod shared_layers;
mod size;
mod streamed;
mod system;
mod target;
mod whole_file;

use std::env;
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::Parser as _;
use clap::error::ErrorKind;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::args::Cli;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{Printer, Verbosity};
use crate::settings::{Settings, Variables};

fn main() -> ExitCode {
    sandbox::helper_main_if_requested();
    if let Some(status) = launch::launch_if_requested() {
        return status;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error),
    };
    let verbosity = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Debug,
    };
    let printer = Printer::new(verbosity, cli.global.json);
    let cancel = Arc::new(AtomicBool::new(false));
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| run(cli, &printer, &cancel)));
    let interrupted = cancel.load(Ordering::Relaxed);
    let status = match outcome {
        Ok(Ok(status)) => return ExitCode::from(status),
        Ok(Err(error)) => {
            if interrupted {
                printer.always("error: interrupted");
                ExitStatus::Interrupted
            } else {
                printer.always(&error.render());
                error.status()
            }
        }
        // The panic hook has said where and why.
        Err(_) => {
            printer.always(
                "error: this is a bug of pith\nhint: please report it with the lines above",
            );
            ExitStatus::Bug
        }
    };
    ExitCode::from(status as u8)
}

/// Runs the command; the result is the exit status of a command that went as it should.
fn run(cli: Cli, printer: &Printer, cancel: &Arc<AtomicBool>) -> Result<u8, CommandError> {
    for signal in [SIGINT, SIGTERM] {
        // The first signal asks, the second ends the program at once.
        flag::register_conditional_shutdown(
            signal,
            i32::from(ExitStatus::Interrupted as u8),
            Arc::clone(cancel),
        )
        .and_then(|_| flag::register(signal, Arc::clone(cancel)))
        .map_err(CommandError::failed)?;
    }
    // Every command evaluates recipes; what that needs is made ready while the settings are read and the store is opened.
    thread::spawn(recipes::lang::prepare);
    let directory = env::current_dir().map_err(CommandError::failed)?;
    let settings = Settings::resolve(&cli.global, Variables::from_environment(), &directory)?;
    let context = Context::new(settings, printer.clone(), Arc::clone(cancel), directory);
    commands::run_command(cli.command, &context)
}

/// Prints what clap has to say: help and version are results, everything else is a usage error.
fn report_usage(error: &clap::Error) -> ExitCode {
    let status = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ => ExitStatus::Usage as u8,
    };
    // A closed terminal does not change the status.
    drop(error.print());
    ExitCode::from(status)
}
