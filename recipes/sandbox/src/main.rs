//! The sandbox helper as a program of its own, for callers whose own binary cannot be executed again, such as test runners.
//!
//! It does nothing when started by hand.

use std::process::ExitCode;

/// The exit status for wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    sandbox::helper_main_if_requested();
    ExitCode::from(USAGE)
}
