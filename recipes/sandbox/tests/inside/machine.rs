//! Machines and containers that forbid a part, imitated by a user namespace in which the part is switched off.

use std::process::Command;

use sandbox::{Level, Missing, SandboxError, SandboxSpec, Status};

use crate::fixture::{Inside, TestResult};

/// Runs the ignored test `name` of this file as root of a new user namespace that has one user, after the shell command `prepare`.
fn run_on_a_machine(prepare: &str, name: &str) -> TestResult {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--", "sh", "-ec"])
        .arg(format!(
            "{prepare}; exec \"$0\" --exact \"machine::{name}\" --ignored"
        ))
        .arg(std::env::current_exe()?)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn in_a_container_with_one_user_all_works() -> TestResult {
    run_on_a_machine("true", "a_run_is_full")
}

#[test]
#[ignore = "started by `in_a_container_with_one_user_all_works`"]
fn a_run_is_full() -> TestResult {
    let inside = Inside::new()?;
    let (outcome, output) = inside.run(&inside.spec(&["print_ids", "try_write=/build/file"]))?;
    assert_eq!(
        (outcome.status, outcome.level),
        (Status::Exited(0), Level::Full)
    );
    assert_eq!(
        output,
        "1000 1000 1000 100 100 100\nprint_ids: ok\ntry_write: ok\n"
    );
    Ok(())
}

#[test]
fn where_proc_is_masked_the_error_says_so_and_a_weaker_level_works() -> TestResult {
    run_on_a_machine("mount -t tmpfs none /proc/sys", "a_fresh_proc_is_refused")
}

#[test]
#[ignore = "started by `where_proc_is_masked_the_error_says_so_and_a_weaker_level_works`"]
fn a_fresh_proc_is_refused() -> TestResult {
    let inside = Inside::new()?;
    let spec = inside.spec(&["print_directory=/proc"]);
    let refused = inside.launcher.run(&spec, &mut |_| {}, &false.into());
    assert!(
        matches!(
            refused,
            Err(SandboxError::Forbidden {
                missing: Missing::FreshProc,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(sandbox::probe(&inside.launcher)?, [Missing::FreshProc]);
    let (outcome, output) = inside.run(&SandboxSpec {
        weakest_level: Level::NoProc,
        ..spec
    })?;
    assert_eq!(
        (outcome.level, output.as_str()),
        (Level::NoProc, "\nprint_directory: ok\n")
    );
    Ok(())
}

#[test]
fn where_user_namespaces_are_off_the_error_names_the_knob() -> TestResult {
    run_on_a_machine(
        "echo 0 > /proc/sys/user/max_user_namespaces",
        "a_user_namespace_is_refused",
    )
}

#[test]
#[ignore = "started by `where_user_namespaces_are_off_the_error_names_the_knob`"]
fn a_user_namespace_is_refused() -> TestResult {
    let inside = Inside::new()?;
    let knob = "user.max_user_namespaces".to_owned();
    assert_eq!(
        sandbox::probe(&inside.launcher)?,
        [Missing::NamespaceLimit { knob }]
    );
    let error = inside
        .launcher
        .run(&inside.spec(&[]), &mut |_| {}, &false.into())
        .expect_err("it is refused");
    assert_eq!(
        error.to_string(),
        "cannot make a full sandbox here: namespaces are switched off: `user.max_user_namespaces` is 0"
    );
    Ok(())
}
