//! Ends: whatever ends a run, nothing of it is left when it is reported.

use std::fs::{self, File};
use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, mkfifo};
use sandbox::{SandboxSpec, Status};

use crate::fixture::{Inside, TestResult};

/// Returns the command lines of all processes that hold `marker`.
fn processes_with(marker: &str) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(line) = fs::read(entry?.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.starts_with("/probe ") && line.contains(marker) {
            found.push(line);
        }
    }
    Ok(found)
}

#[test]
fn the_status_of_the_program_is_reported() -> TestResult {
    let inside = Inside::new()?;
    assert_eq!(
        inside.run(&inside.spec(&["end_with=7"]))?.0.status,
        Status::Exited(7)
    );
    assert_eq!(
        inside.run(&inside.spec(&["die_by=11"]))?.0.status,
        Status::Signaled(11)
    );
    Ok(())
}

#[test]
fn a_daemon_left_running_is_dead_on_return() -> TestResult {
    let inside = Inside::new()?;
    let marker = format!("try_write=/build/daemon-{}", std::process::id());
    inside.attempt(&[&marker, "stay_as_daemon"])?;
    assert_eq!(processes_with(&marker)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn cancel_ends_a_run_and_all_it_started() -> TestResult {
    let inside = Inside::new()?;
    let marker = format!("try_write=/build/cancel-{}", std::process::id());
    let spec = inside.spec(&["stay_as_daemon", &marker, "sleep_forever"]);
    let cancel = AtomicBool::new(false);
    let outcome = inside.launcher.run(
        &spec,
        &mut |_| cancel.store(true, Ordering::Relaxed),
        &cancel,
    )?;
    assert_eq!(outcome.status, Status::Cancelled);
    assert_eq!(processes_with(&marker)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn runs_of_many_threads_do_not_meet() -> TestResult {
    let inside = Inside::new()?;
    std::thread::scope(|scope| {
        let run = |number: i32| {
            let mut spec = inside.spec(&[&format!("end_with={number}")]);
            spec.mounts.pop();
            spec.cwd = "/".into();
            inside
                .launcher
                .run(&spec, &mut |_| {}, &AtomicBool::new(false))
                .map(|outcome| outcome.status)
        };
        let threads: Vec<_> = (0..40)
            .map(|number| (number, scope.spawn(move || run(number))))
            .collect();
        for (number, thread) in threads {
            let status = thread.join().expect("the thread does not panic")?;
            assert_eq!(status, Status::Exited(number));
        }
        Ok(())
    })
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "started by `everything_dies_with_the_caller`"]
fn victim() -> TestResult {
    let inside = Inside::new()?;
    let fifo = std::env::var("FIFO_OF_THE_VICTIM")?;
    let mut spec = inside.spec(&["hold_fifo=/fifo", "stay_as_daemon", "sleep_forever"]);
    spec.mounts.push(crate::fixture::mount(
        fifo,
        "/fifo",
        sandbox::Access::ReadWrite,
    ));
    inside.run(&spec)?;
    Ok(())
}

#[test]
fn everything_dies_with_the_caller() -> TestResult {
    let directory = tempfile::tempdir()?;
    let fifo = directory.path().join("fifo");
    mkfifo(&fifo, Mode::from_bits_truncate(0o600))?;
    let mut caller = Command::new(std::env::current_exe()?)
        .args(["--exact", "life::victim", "--ignored"])
        .env("FIFO_OF_THE_VICTIM", &fifo)
        .stdout(std::process::Stdio::null())
        .spawn()?;
    // Returns when the program inside has opened its end, and reads the end of file when its last holder is dead.
    let mut reader = File::open(&fifo)?;
    caller.kill()?;
    caller.wait()?;
    assert_eq!(reader.read(&mut [0])?, 0);
    Ok(())
}

#[test]
fn a_killed_helper_ends_no_run_and_is_replaced() -> TestResult {
    let inside = Inside::new()?;
    let helper = Pid::from_raw(inside.launcher.helper_pid().try_into()?);
    let cancel = AtomicBool::new(false);
    let mut next = None;
    let mut kill_helper_and_run_again = |_: &[u8]| {
        if next.is_none() {
            let killed = kill(helper, Signal::SIGKILL).and_then(|()| {
                waitid(Id::Pid(helper), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
            });
            let spec = inside.spec(&["end_with=5"]);
            next = Some((
                killed,
                inside
                    .launcher
                    .run(&spec, &mut |_| {}, &AtomicBool::new(false)),
            ));
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let spec = inside.spec(&["print_ids", "sleep_forever"]);
    let outcome = inside
        .launcher
        .run(&spec, &mut kill_helper_and_run_again, &cancel)?;
    assert_eq!(outcome.status, Status::Cancelled);
    let (killed, next) = next.ok_or("there was no output")?;
    killed?;
    assert_eq!(next?.status, Status::Exited(5));
    Ok(())
}

#[test]
fn a_signal_of_the_caller_reaches_the_program() -> TestResult {
    let inside = Inside::new()?;
    let spec = SandboxSpec {
        ..inside.spec(&["wait_for_signal"])
    };
    let mut output = String::new();
    let signal = std::sync::atomic::AtomicI32::new(0);
    let outcome = inside.launcher.run_with_signals(
        &spec,
        &mut |bytes| {
            output.push_str(&String::from_utf8_lossy(bytes));
            if output == "waiting\n" {
                signal.store(libc::SIGINT, Ordering::Relaxed);
            }
        },
        &AtomicBool::new(false),
        &signal,
    )?;
    assert_eq!(
        (outcome.status, output.as_str()),
        (
            Status::Exited(0),
            "waiting\nsignal 2\nwait_for_signal: ok\n"
        )
    );
    Ok(())
}
