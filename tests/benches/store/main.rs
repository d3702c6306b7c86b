//! What a large store costs, beside `nix` on the same graph and raw limits of the same run.
//!
//! `cargo bench -p tests --bench store` makes a store of 100 000 objects with 1 000 000 references, which takes minutes, and prints a line for each figure. Debian's `nix-bin`
//! and `eatmydata` are used where they are installed. Nothing here fails on a slow machine; a regression shows as a ratio that moved.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may panic"
)]

mod durable;
mod graph;
mod nix;
mod registration;

use std::time::Duration;

use tests::measure::{self, middle, time};

/// Objects of the store.
const OBJECTS: usize = 100_000;
/// What each of them refers to.
const REFERENCES: usize = 10;
/// How often a quick thing is timed; the middle counts.
const RUNS: usize = 9;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--add") => durable::add(&arguments.next().unwrap(), &arguments.next().unwrap()),
        // `cargo test` runs benchmarks too, to see that they start.
        Some("--bench") => {
            registration::measure();
            durable::measure();
            graph::measure();
        }
        _ => {}
    }
}

/// The median over [`RUNS`] calls.
fn median(mut work: impl FnMut()) -> Duration {
    middle((0..RUNS).map(|_| time(&mut work)).collect())
}

fn println_seconds(what: &str, took: Duration) {
    println!("{what}: {:.1} s", took.as_secs_f64());
}

fn report(what: &str, goal: &str, figure: Duration, against: &str, peer: Option<Duration>) {
    measure::report(&format!("{what} (goal {goal})"), figure, against, peer);
}
