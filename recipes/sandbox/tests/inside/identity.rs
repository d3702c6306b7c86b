//! Who the program is and what surrounds it: ids, names, environment, privileges.

use std::os::unix::fs::MetadataExt;

use nix::sys::resource::{Resource, getrlimit};
use sandbox::User;

use crate::fixture::{Inside, TestResult, is_root};

#[test]
fn user_and_group_are_1000_and_100_whoever_calls() -> TestResult {
    let output = Inside::new()?.attempt(&["print_ids"])?;
    assert_eq!(output, "1000 1000 1000 100 100 100\nprint_ids: ok\n");
    Ok(())
}

#[test]
fn the_kernel_never_sees_root() -> TestResult {
    let inside = Inside::new()?;
    inside.expect(&[("try_write=/build/file", "ok")])?;
    let owner = std::fs::metadata(inside.build().join("file"))?.uid();
    assert_ne!(owner, 0);
    assert_eq!(owner == nix::unistd::geteuid().as_raw(), !is_root());
    Ok(())
}

#[test]
fn a_caller_who_wants_to_stay_itself_does() -> TestResult {
    let inside = Inside::new()?;
    let (_, output) = inside.run(&sandbox::SandboxSpec {
        user: User::Caller,
        ..inside.spec(&["print_ids", "try_write=/build/file", "become_root"])
    })?;
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let become_root = if uid.is_root() { "ok" } else { "EINVAL" };
    let expected = format!(
        "{uid} {uid} {uid} {gid} {gid} {gid}\nprint_ids: ok\ntry_write: ok\nbecome_root: {become_root}\n"
    );
    assert_eq!(output, expected);
    Ok(())
}

#[test]
fn root_cannot_be_become() -> TestResult {
    Inside::new()?.expect(&[("become_root", "EINVAL")])
}

#[test]
fn host_name_directory_umask_session_and_process_ids_are_fixed() -> TestResult {
    let output = Inside::new()?.attempt(&["print_place"])?;
    assert_eq!(
        output,
        "localhost /build 022 sid=1 pid=2 ppid=1 tty=0\nprint_place: ok\n"
    );
    Ok(())
}

#[test]
fn the_environment_is_what_was_given_and_nothing_else() -> TestResult {
    let inside = Inside::new()?;
    let mut spec = inside.spec(&["print_environment"]);
    spec.env.insert("HOME".into(), "/homeless".into());
    spec.env.insert("TZ".into(), "UTC".into());
    let (_, output) = inside.run(&spec)?;
    assert_eq!(output, "HOME=/homeless\nTZ=UTC\nprint_environment: ok\n");
    Ok(())
}

#[test]
fn resource_limits_are_constants() -> TestResult {
    let (_, allowed) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let output = Inside::new()?.attempt(&["print_limits"])?;
    assert_eq!(
        output,
        format!("0 {} 8388608 \nprint_limits: ok\n", allowed.min(16_384))
    );
    Ok(())
}

#[test]
fn no_file_but_the_standard_streams_is_open() -> TestResult {
    // One without close-on-exec in this process, which a careless launch would hand on.
    let leaked = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())?;
    let output = Inside::new()?.attempt(&["print_files"])?;
    drop(leaked);
    assert_eq!(output, "0 1 2 \nprint_files: ok\n");
    Ok(())
}

#[test]
fn no_capability_is_left_and_none_can_come_back() -> TestResult {
    for user in [User::Builder, User::Caller] {
        let inside = Inside::new()?;
        let (_, output) = inside.run(&sandbox::SandboxSpec {
            user,
            ..inside.spec(&["print_file=/proc/self/status"])
        })?;
        let field = |name: &str| {
            let line = output.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split('\t').nth(1))
                .map(str::to_owned)
        };
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(
                field(set).as_deref(),
                Some("0000000000000000"),
                "{set} of {user:?}"
            );
        }
        assert_eq!(field("NoNewPrivs").as_deref(), Some("1"));
        assert_eq!(field("Seccomp").as_deref(), Some("2"));
    }
    Ok(())
}

#[test]
fn the_host_name_cannot_be_changed_nor_priority_raised() -> TestResult {
    Inside::new()?.expect(&[("set_host_name", "EPERM"), ("raise_priority", "EACCES")])
}
