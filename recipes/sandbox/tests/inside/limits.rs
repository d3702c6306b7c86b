//! What ends a run from outside.

use std::time::Duration;

use sandbox::{Limits, SandboxSpec, Status};

use crate::fixture::{Inside, TestResult};

const MIB: u64 = 1 << 20;

fn run(attempts: &[&str], limits: Limits) -> Result<(Status, String), Box<dyn std::error::Error>> {
    let inside = Inside::new()?;
    let (outcome, output) = inside.run(&SandboxSpec {
        limits,
        ..inside.spec(attempts)
    })?;
    Ok((outcome.status, output))
}

#[test]
fn an_endless_loop_is_timed_out() -> TestResult {
    let limits = Limits {
        wall: Some(Duration::from_millis(100)),
        ..Limits::default()
    };
    assert_eq!(
        run(&["loop_forever"], limits)?,
        (Status::TimedOut, String::new())
    );
    Ok(())
}

#[test]
fn silence_ends_a_run_and_output_does_not() -> TestResult {
    let limits = Limits {
        silence: Some(Duration::from_millis(200)),
        ..Limits::default()
    };
    let (status, output) = run(&["print_ids", "sleep_forever"], limits)?;
    assert_eq!(status, Status::Silent);
    assert!(output.ends_with("print_ids: ok\n"));
    Ok(())
}

#[test]
fn a_flooded_log_is_cut_at_the_limit() -> TestResult {
    let limits = Limits {
        log_bytes: Some(MIB),
        ..Limits::default()
    };
    let (status, output) = run(&["flood"], limits)?;
    assert_eq!(status, Status::LogLimit);
    assert_eq!(output.len() as u64, MIB);
    Ok(())
}

#[test]
fn a_filled_disk_is_noticed() -> TestResult {
    let limits = Limits {
        disk_bytes: Some(16 * MIB),
        ..Limits::default()
    };
    assert_eq!(run(&["try_fill=/build"], limits)?.0, Status::DiskLimit);
    Ok(())
}

#[test]
fn one_file_larger_than_the_disk_limit_is_noticed_at_the_end() -> TestResult {
    let limits = Limits {
        disk_bytes: Some(MIB),
        ..Limits::default()
    };
    assert_eq!(
        run(&["hide_megabytes=1", "print_ids"], limits)?.0,
        Status::DiskLimit
    );
    Ok(())
}

#[test]
fn a_directory_without_permissions_hides_nothing_from_the_disk_limit() -> TestResult {
    let limits = Limits {
        disk_bytes: Some(MIB / 2 * 3),
        ..Limits::default()
    };
    let inside = Inside::new()?;
    let mut spec = inside.spec(&["hide_megabytes=1", "sleep_forever"]);
    spec.limits = Limits {
        disk_bytes: Some(MIB),
        ..limits
    };
    assert_eq!(inside.run(&spec)?.0.status, Status::DiskLimit);
    // For the temporary directory to be removable.
    std::fs::set_permissions(
        inside.build().join("hidden"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )?;
    Ok(())
}

#[test]
fn what_fits_on_the_disk_is_no_violation() -> TestResult {
    let limits = Limits {
        disk_bytes: Some(2 * MIB),
        ..Limits::default()
    };
    let inside = Inside::new()?;
    let spec = SandboxSpec {
        limits,
        ..inside.spec(&["hide_megabytes=1"])
    };
    assert_eq!(inside.run(&spec)?.0.status, Status::Exited(0));
    std::fs::set_permissions(
        inside.build().join("hidden"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )?;
    Ok(())
}

#[test]
fn a_fork_bomb_meets_its_limit() -> TestResult {
    let limits = Limits {
        processes: Some(20),
        ..Limits::default()
    };
    let (status, output) = run(&["fork_until_refused"], limits)?;
    assert_eq!(
        (status, output.as_str()),
        (Status::Exited(0), "19\nfork_until_refused: EAGAIN\n")
    );
    Ok(())
}

#[test]
fn memory_beyond_the_limit_is_refused() -> TestResult {
    let limits = Limits {
        memory_bytes: Some(64 * MIB),
        ..Limits::default()
    };
    let (status, output) = run(&["allocate=8388608", "allocate=134217728"], limits)?;
    assert_eq!(
        (status, output.as_str()),
        (Status::Exited(0), "allocate: ok\nallocate: ENOMEM\n")
    );
    Ok(())
}
