//! Runs an operation with faults, in processes of its own, and looks at what is left.

use std::{
    collections::HashMap,
    env,
    error::Error,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::errno::Errno;
use store::{
    LocalStore,
    faults::{self, Fault},
    testing::{StoreDirectory, find_faults, open},
};

use tests::is_full;

use crate::operations::{Operation, find};

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const ROLE: &str = "PITH_FAULTS_ROLE";
const ROOT: &str = "PITH_FAULTS_ROOT";
/// Said by a child whose operation succeeded.
const SUCCEEDED: i32 = 10;
/// Said by a child whose operation failed.
const FAILED: i32 = 11;
/// Said by a child whose operation ended before the fault came: all points have been tried.
const PAST_THE_END: i32 = 12;

/// The failures that each point is tried with, by their names.
const FAILURES: &[(&str, Fault)] = &[
    ("EIO", Fault::Fail(Errno::EIO)),
    ("ENOSPC", Fault::Fail(Errno::ENOSPC)),
    ("EMFILE", Fault::Fail(Errno::EMFILE)),
    ("EIO-from-here", Fault::FailFromHere(Errno::EIO)),
    ("die", Fault::Die),
];

/// How many of the kills are tried as the beginning of another operation; all of them with `tests/run --full`.
const KILL_STEP: usize = 11;

/// Runs an operation with every fault at every point.
pub(crate) fn run(name: &str) -> TestResult {
    run_each(name, |_| (1, 1))
}

/// Runs an operation at every point, with one fault after another in turn; with every fault at every point by `tests/run --full`. For an operation whose points take long.
pub(crate) fn run_in_turn(name: &str) -> TestResult {
    if is_full() {
        return run(name);
    }
    let kinds = FAILURES.len() as u64;
    run_each(name, |number| (number + 1, kinds))
}

/// Runs an operation with each kind of fault: from which point on, and at each how manyth, `points` says for the number of the kind.
#[expect(
    clippy::print_stdout,
    reason = "the numbers are what a reader of the log wants"
)]
fn run_each(name: &str, points: impl Fn(u64) -> (u64, u64)) -> TestResult {
    let operation = find(name)?;
    let prepared = StoreDirectory::new();
    (operation.prepare)(&open(prepared.path())?)?;
    for ((kind, _), number) in FAILURES.iter().zip(0..) {
        let tried = run_with(operation, kind, prepared.path(), points(number))?;
        println!("{name}: {tried} points with {kind}, all clean");
        if tried == 0 {
            return Err(format!("{name} has no points").into());
        }
    }
    Ok(())
}

/// Runs an operation with faults at every point, on what another one leaves that is killed at its points.
#[expect(
    clippy::print_stdout,
    reason = "the numbers are what a reader of the log wants"
)]
pub(crate) fn run_after_kills(killed: &str, name: &str) -> TestResult {
    let operation = find(name)?;
    let prepared = StoreDirectory::new();
    (operation.prepare)(&open(prepared.path())?)?;
    let step = if is_full() { 1 } else { KILL_STEP };
    let (mut kills, mut points) = (0, 0);
    for nth in (1..).step_by(step) {
        let directory = StoreDirectory::new();
        copy(prepared.path(), directory.path())?;
        if child(killed, "die", nth, directory.path())? == Some(PAST_THE_END) {
            break;
        }
        for kind in ["EIO", "die"] {
            points += run_with(operation, kind, directory.path(), (1, 1))
                .map_err(|error| format!("after {killed} died at operation {nth}: {error}"))?;
        }
        kills += 1;
    }
    println!("{name}: {points} points after {kills} kills of {killed}, all clean");
    if kills == 0 {
        return Err(format!("{killed} has no points").into());
    }
    Ok(())
}

/// Runs an operation with one kind of fault, from the `first` point on at each `step`th, and returns at how many that was.
fn run_with(
    operation: &Operation,
    kind: &str,
    prepared: &Path,
    (first, step): (u64, u64),
) -> TestResult<u64> {
    let name = operation.name;
    let mut points = 0;
    for nth in (first..).step_by(usize::try_from(step)?) {
        let directory = StoreDirectory::new();
        copy(prepared, directory.path())?;
        let code = child(name, kind, nth, directory.path())?;
        if code == Some(PAST_THE_END) {
            break;
        }
        check(operation, directory.path(), code == Some(SUCCEEDED))
            .map_err(|error| format!("{name}, {kind} at operation {nth}: {error}"))?;
        points += 1;
    }
    Ok(points)
}

/// Opens the store as the next command would, and holds it to the invariants.
fn check(operation: &Operation, root: &Path, succeeded: bool) -> TestResult {
    let store = open(root)?;
    // Leases of the dead are removed by who reads leases.
    store.leased()?;
    clean(&store, "after recovery")?;
    if !(operation.is_done)(&store)? {
        if succeeded {
            return Err("it said that it succeeded, and nothing has happened".into());
        }
        (operation.is_undone)(&store)?;
    }
    (operation.act)(&store).map_err(|error| format!("the retry failed: {error}"))?;
    if !(operation.is_done)(&store)? {
        return Err("the retry succeeded, and nothing has happened".into());
    }
    clean(&store, "after the retry")
}

fn clean(store: &LocalStore, when: &str) -> TestResult {
    let faults = find_faults(store);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("{when}: {}", faults.join("; ")).into())
    }
}

/// Runs this test program again, with one fault in one operation on one store.
fn child(name: &str, kind: &str, nth: u64, root: &Path) -> TestResult<Option<i32>> {
    let status = Command::new(env::current_exe()?)
        .args(["--exact", "role", "--nocapture"])
        .env(ROLE, format!("{name} {kind} {nth}"))
        .env(ROOT, root)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.code() {
        Some(SUCCEEDED | FAILED | PAST_THE_END) => Ok(status.code()),
        None if kind == "die" => Ok(None),
        _ => Err(
            format!("{name}, {kind} at operation {nth}: the process ended with {status}").into(),
        ),
    }
}

/// The child's part.
#[expect(clippy::exit, reason = "the exit status is what a child tells")]
pub(crate) fn role() -> TestResult {
    let (Ok(role), Ok(root)) = (env::var(ROLE), env::var(ROOT)) else {
        return Ok(());
    };
    let words: Vec<&str> = role.split(' ').collect();
    let &[name, kind, nth] = words.as_slice() else {
        return Err(format!("unknown role `{role}`").into());
    };
    let operation = find(name)?;
    let (_, fault) = FAILURES
        .iter()
        .find(|(known, _)| *known == kind)
        .ok_or("unknown fault")?;
    faults::arm(nth.parse()?, *fault);
    let result = open(Path::new(&root))
        .map_err(Into::into)
        .and_then(|store| (operation.act)(&store));
    let seen = faults::disarm();
    std::process::exit(match (seen.fired, result) {
        (false, Ok(())) => PAST_THE_END,
        (false, Err(error)) => return Err(error),
        (true, Ok(())) => SUCCEEDED,
        (true, Err(_)) => FAILED,
    })
}

/// Copies a store, modes, times and hard links included.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    copy_below(from, to, &mut HashMap::new())
}

fn copy_below(from: &Path, to: &Path, links: &mut HashMap<u64, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // Large, and made again by the next who writes.
        if entry.file_name() == "reserve" {
            continue;
        }
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let (kind, metadata) = (entry.file_type()?, entry.metadata()?);
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_dir() {
            fs::create_dir(&target)?;
            copy_below(&source, &target, links)?;
            fs::set_permissions(
                &target,
                PermissionsExt::from_mode(metadata.permissions().mode()),
            )?;
        } else if let Some(first) = links.get(&metadata.ino()) {
            fs::hard_link(first, &target)?;
        } else {
            fs::copy(&source, &target)?;
            File::open(&target)?.set_modified(metadata.modified()?)?;
            links.insert(metadata.ino(), target);
        }
    }
    Ok(())
}
