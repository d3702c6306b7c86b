//! What benchmarks have in common: times, their middle, and one line for each figure.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Returns the time of one call.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Returns the one in the middle.
///
/// # Panics
///
/// If there is none.
pub fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Prints a figure, what it is measured against in the same run, and their ratio.
#[expect(
    clippy::print_stdout,
    reason = "a benchmark's result is what it prints"
)]
pub fn report(what: &str, figure: Duration, against: &str, peer: Option<Duration>) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let peer = peer.map_or_else(
        || format!("{against}: not measured"),
        |peer| {
            let ratio = figure.as_secs_f64() / peer.as_secs_f64().max(1e-9);
            format!("{against}: {:.1} ms; ratio {ratio:.2}", milliseconds(peer))
        },
    );
    println!("{what}: {:.1} ms; {peer}", milliseconds(figure));
}

/// Runs a command line of the shell, which says nothing.
///
/// # Panics
///
/// If it fails.
pub fn shell(command: &str) {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
}

/// Runs this program once more, with other arguments, and returns the numbers that it prints: what is measured has a process, and its memory, to itself.
///
/// # Panics
///
/// If it fails, or prints something else.
pub fn run_self(arguments: &[&str]) -> Vec<u64> {
    let program = std::env::current_exe().expect("this program is there");
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text.split_whitespace().map(str::parse);
    numbers
        .collect::<Result<_, _>>()
        .expect("it prints numbers")
}

/// Returns the most memory that this process has used, in bytes.
pub fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
