//! What whole commands cost, each beside a peer or a raw limit of the same run.
//!
//! `cargo bench -p tests` prints a line for each: the figure, what it is measured against and the
//! ratio. Nothing here fails on a slow machine; a regression shows as a ratio that moved.

mod fixtures;

use std::process::Command;
use std::time::Duration;

use fixtures::Bench;
use tests::measure;

fn main() {
    let bench = Bench::new();
    build_again(&bench);
    evaluate_everything(&bench);
    trivial_builds(&bench);
    pack_again(&bench);
}

/// Protects "a build with nothing to do is instant": `pith build jq` when it is built already.
fn build_again(bench: &Bench) {
    bench.pith(&["build", "jq"]);
    let again = bench.median(|| bench.pith(&["build", "jq"]));
    let process = bench.median(|| run(&mut Command::new("true")));
    report(
        "build jq, nothing to do (goal 15 ms)",
        again,
        "start of a process",
        process,
    );
}

/// Protects "evaluation is free": metadata of the whole collection.
fn evaluate_everything(bench: &Bench) {
    let all = bench.median(|| bench.pith(&["search", "", "--json"]));
    let one = bench.median(|| bench.pith(&["show", "hello", "--json"]));
    report(
        "evaluate the whole collection (goal 1 s)",
        all,
        "evaluate hello",
        one,
    );
}

/// Protects the cost of one build: sandbox, output and durable registration.
fn trivial_builds(bench: &Bench) {
    let fork = bench.once(|| (0..100).for_each(|_| run(&mut Command::new("true"))));
    let chain = bench.trivial("chain", "1");
    report(
        "100 trivial builds, each needs the one before (goal 0.8 s)",
        chain,
        "100 processes",
        fork,
    );
    let parallel = bench.trivial("parallel", "4");
    report(
        "100 trivial builds, independent (goal 0.5 s)",
        parallel,
        "100 processes",
        fork,
    );
}

/// Protects "a repeated pack does nothing", and the speed of a first one.
fn pack_again(bench: &Bench) {
    let output = bench.path("curl.tar");
    let output = output.to_str().expect("temporary paths are UTF-8");
    bench.pith(&["build", "curl"]);
    let pack = ["pack", "curl", "-o", output];
    let cold = bench.once(|| bench.pith(&pack));
    let again = bench.median(|| bench.pith(&pack));
    let raw = bench.tar_closure("curl", "zstd -3 -T2");
    report(
        "pack curl, cold",
        cold,
        "tar of the same closure through zstd -3",
        raw,
    );
    let gzip = bench.tar_closure("curl", "gzip -6");
    report(
        "pack curl, cold",
        cold,
        "tar of the same closure through gzip -6",
        gzip,
    );
    report("pack curl, again (goal 15 ms)", again, "cold", cold);
}

fn run(command: &mut Command) {
    let status = command.status().expect("the program is installed");
    assert!(status.success(), "{command:?}");
}

fn report(what: &str, figure: Duration, against: &str, peer: Duration) {
    measure::report(what, figure, against, Some(peer));
}
