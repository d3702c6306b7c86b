//! The caller's own streams and process group, as `pith run` uses them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use sandbox::{Access, SandboxSpec, Status, User};

use crate::fixture::{Inside, TestResult, mount};

/// Not a test of its own: the process whose streams the tests below have connected.
#[test]
#[ignore = "started by the other tests of this file"]
fn inheritor() -> TestResult {
    let inside = Inside::new()?;
    let mut log = |bytes: &[u8]| assert!(bytes.is_empty(), "there is no log");
    let mut spec = SandboxSpec {
        stdio: sandbox::Stdio::Inherited,
        user: User::Caller,
        ..inside.spec(&["print_file=/dev/fd/0", "end_with=3"])
    };
    spec.mounts
        .push(mount("/etc/hostname", "/etc/hostname", Access::ReadWrite));
    let outcome = inside
        .launcher
        .run(&spec, &mut log, &AtomicBool::new(false))?;
    assert_eq!(outcome.status, Status::Exited(3));
    Ok(())
}

#[test]
fn inherited_streams_are_the_callers() -> TestResult {
    let mut caller = Command::new(std::env::current_exe()?)
        .args(["--exact", "caller::inheritor", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    caller
        .stdin
        .take()
        .ok_or("no input")?
        .write_all(b"said by the caller\n")?;
    let output = caller.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("said by the caller\nprint_file: ok\n"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_captured_program_reads_nothing() -> TestResult {
    Inside::new()?.expect(&[("print_file=/dev/fd/0", "ok")])
}
