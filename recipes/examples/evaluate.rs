//! Evaluates packages of the collection and prints how long it took: `cargo run --release --example evaluate -- jq`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::error::Error;
use std::time::Instant;

use recipes::lang::{Collection, Evaluator, prepare};

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    prepare();
    println!("prepared: {:?}", start.elapsed());
    let evaluator =
        Evaluator::new(Collection::embedded(), None).with_events(|event| eprintln!("{event:?}"));
    for name in std::env::args().skip(1) {
        let start = Instant::now();
        match evaluator.evaluate_package(&name) {
            Ok(package) => println!("{name}: {} {:?}", package.derivation.id(), start.elapsed()),
            Err(error) => println!("{error}\nhint: {:?}", error.hint()),
        }
    }
    let start = Instant::now();
    let all = Evaluator::new(Collection::embedded(), None).evaluate_collection()?;
    for (name, package) in &all {
        match package {
            Ok(package) => println!("{name} {}", package.derivation.name()),
            Err(error) => println!("{error}\nhint: {:?}", error.hint()),
        }
    }
    println!("{} packages: {:?}", all.len(), start.elapsed());
    Ok(())
}
