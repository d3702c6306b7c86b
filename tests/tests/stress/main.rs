//! Many processes work on one store while they are killed at random, and the store stays whole.
//!
//! Adders, users, rooters, collectors and verifiers run as processes of their own; see [`roles`]. They draw their objects from a small [`universe`], so they
//! meet all the time: the same object is added by one, used by a second, collected by a third and revived by a fourth. After a random number of finished
//! operations a random process is ended with `SIGKILL` and started again. Each process checks what it was promised while it works:
//!
//! * what it holds a lease on stays valid with its whole closure, and its bytes are the right ones;
//! * no operation fails, whatever the others do;
//! * nothing that is verified is found damaged.
//!
//! In the end every root that was acknowledged is there with its closure, every valid object hashes to its id, and after one collection nothing lies in the
//! store that no root keeps. The numbers of operations and kills are printed.

mod harness;
mod roles;
mod universe;

use std::error::Error;

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// What this test program does as a child process. Nothing when the tests run as such.
#[test]
fn role() -> TestResult {
    roles::role()
}

#[test]
fn a_store_stays_whole_while_processes_are_killed() -> TestResult {
    harness::run(0x5eed_0008)
}
