//! The sandbox helper for the tests of this package, whose own binaries cannot be executed again.
//!
//! It does nothing when started by hand.

use std::process::ExitCode;

/// The exit status for wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    sandbox::helper_main_if_requested();
    ExitCode::from(USAGE)
}
