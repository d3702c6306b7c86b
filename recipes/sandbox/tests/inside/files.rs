//! What of the file system is visible, and what of it can be changed.

use std::fs;
use std::os::unix::fs::symlink;

use sandbox::{Access, File, SandboxSpec, Status, Symlink};

use crate::fixture::{Inside, TestResult, mount};

#[test]
fn nothing_but_what_was_declared_is_visible() -> TestResult {
    let output = Inside::new()?.attempt(&["print_directory=/"])?;
    assert_eq!(output, "build dev probe proc\nprint_directory: ok\n");
    Ok(())
}

#[test]
fn undeclared_paths_do_not_exist() -> TestResult {
    let output = Inside::new()?.attempt(&[
        "print_file=/etc/passwd",
        "print_directory=/home",
        "print_directory=/sys",
        "print_directory=/proc/1/root",
        "print_directory=/build/../..",
    ])?;
    assert_eq!(
        output,
        "print_file: ENOENT\nprint_directory: ENOENT\nprint_directory: ENOENT\nprint_directory: EACCES\n\
         build dev probe proc\nprint_directory: ok\n"
    );
    Ok(())
}

#[test]
fn dev_holds_the_minimum() -> TestResult {
    let output = Inside::new()?.attempt(&[
        "print_directory=/dev",
        "print_directory=/dev/pts",
        "new_terminal",
    ])?;
    assert_eq!(
        output,
        "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero\nprint_directory: ok\n\
         ptmx\nprint_directory: ok\nnew_terminal: ok\n"
    );
    Ok(())
}

#[test]
fn the_root_and_dev_and_proc_are_read_only() -> TestResult {
    Inside::new()?.expect(&[
        ("try_write=/file", "EROFS"),
        ("try_write=/dev/file", "EROFS"),
        ("try_write=/proc/sys/kernel/core_pattern", "EACCES"),
        ("try_write=/proc/self/oom_score_adj", "EROFS"),
        ("try_write=/dev/shm/file", "ok"),
        ("try_write=/dev/null", "ok"),
        ("try_write=/build/file", "ok"),
    ])
}

#[test]
fn a_read_only_mount_is_read_only_with_all_that_is_mounted_below() -> TestResult {
    let inside = Inside::new()?;
    let mut spec = inside.spec(&["try_write=/host/shm/file", "try_write=/host/file"]);
    spec.mounts.push(mount("/dev", "/host", Access::ReadOnly));
    let (_, output) = inside.run(&spec)?;
    assert_eq!(output, "try_write: EROFS\ntry_write: EROFS\n");
    Ok(())
}

#[test]
fn devices_of_a_mount_do_not_open() -> TestResult {
    let inside = Inside::new()?;
    let mut spec = inside.spec(&["try_write=/host/null"]);
    spec.mounts.push(mount("/dev", "/host", Access::ReadOnly));
    let (_, output) = inside.run(&spec)?;
    assert_eq!(output, "try_write: EACCES\n");
    Ok(())
}

#[test]
fn set_id_bits_are_refused_in_every_way_to_set_them() -> TestResult {
    let inside = Inside::new()?;
    inside.expect(&[
        ("try_write=/build/file", "ok"),
        ("chmod_setuid=/build/file", "EPERM"),
        ("chmod_setgid=/build/file", "EPERM"),
        ("fchmod_setuid=/build/file", "EPERM"),
        ("fchmodat2_setuid=/build/file", "EPERM"),
        ("create_setuid=/build/other", "EPERM"),
        ("tmpfile_setuid=/build", "EPERM"),
        ("openat2_setuid=/build/other", "ENOSYS"),
        ("mknod_setuid=/build/other", "EPERM"),
        ("chmod_plain=/build/file", "ok"),
    ])
}

#[test]
fn devices_cannot_be_made() -> TestResult {
    Inside::new()?.expect(&[("mknod_device=/build/device", "EPERM")])
}

#[test]
fn extended_attributes_access_lists_and_file_capabilities_are_refused() -> TestResult {
    Inside::new()?.expect(&[
        ("try_write=/build/file", "ok"),
        ("set_attribute=/build/file", "EOPNOTSUPP"),
        ("set_access_list=/build/file", "EOPNOTSUPP"),
        ("set_file_capability=/build/file", "EOPNOTSUPP"),
    ])
}

#[test]
fn proc_shows_the_processes_of_the_sandbox_only() -> TestResult {
    let output = Inside::new()?.attempt(&["print_directory=/proc"])?;
    let processes: Vec<_> = output
        .split_whitespace()
        .filter(|name| name.parse::<u32>().is_ok())
        .collect();
    assert_eq!(processes, ["1", "2"]);
    Ok(())
}

#[test]
fn files_of_proc_that_tell_of_the_host_are_empty() -> TestResult {
    Inside::new()?.expect(&[
        ("print_file=/proc/keys", "ok"),
        ("print_file=/proc/key-users", "ok"),
        ("print_file=/proc/timer_list", "ok"),
    ])
}

#[test]
fn no_mount_is_left_on_the_host() -> TestResult {
    let inside = Inside::new()?;
    let before = fs::read_to_string("/proc/self/mountinfo")?;
    inside.expect(&[("try_write=/build/file", "ok")])?;
    assert_eq!(fs::read_to_string("/proc/self/mountinfo")?, before);
    Ok(())
}

#[test]
fn files_links_and_directories_are_made_as_specified() -> TestResult {
    let inside = Inside::new()?;
    let spec = SandboxSpec {
        files: vec![File {
            path: "/etc/hosts".into(),
            bytes: b"127.0.0.1 localhost\n".to_vec(),
            mode: 0o444,
        }],
        symlinks: vec![Symlink {
            target: "etc/hosts".into(),
            link: "/link".into(),
        }],
        directories: vec!["/a/b/c".into()],
        ..inside.spec(&[
            "print_file=/link",
            "print_directory=/a/b",
            "try_write=/etc/hosts",
        ])
    };
    let (_, output) = inside.run(&spec)?;
    assert_eq!(
        output,
        "127.0.0.1 localhost\nprint_file: ok\nc\nprint_directory: ok\ntry_write: EACCES\n"
    );
    Ok(())
}

#[test]
fn mounts_lie_in_one_another_whatever_their_order() -> TestResult {
    let inside = Inside::new()?;
    fs::create_dir_all(inside.build().join("store"))?;
    let input = inside.build().join("input");
    fs::create_dir(&input)?;
    fs::write(input.join("file"), "content\n")?;
    let mut spec = inside.spec(&[
        "print_directory=/pith/store",
        "print_file=/pith/store/one/file",
        "try_write=/pith/store/two",
        "try_write=/pith/store/one/new",
    ]);
    spec.mounts
        .insert(0, mount(&input, "/pith/store/one", Access::ReadOnly));
    spec.mounts.insert(
        1,
        mount(
            inside.build().join("store"),
            "/pith/store",
            Access::ReadWrite,
        ),
    );
    let (_, output) = inside.run(&spec)?;
    assert_eq!(
        output,
        "one\nprint_directory: ok\ncontent\nprint_file: ok\ntry_write: ok\ntry_write: EROFS\n"
    );
    Ok(())
}

#[test]
fn a_source_that_is_a_symlink_becomes_that_symlink() -> TestResult {
    let inside = Inside::new()?;
    let link = inside.build().join("link");
    symlink("/probe/elsewhere", &link)?;
    let mut spec = inside.spec(&["print_directory=/input"]);
    spec.mounts.push(mount(&link, "/input", Access::ReadOnly));
    let (outcome, output) = inside.run(&spec)?;
    assert_eq!(
        (outcome.status, output.as_str()),
        (Status::Exited(0), "print_directory: ENOTDIR\n")
    );
    Ok(())
}

#[test]
fn more_mounts_than_files_are_open_by_default_are_possible() -> TestResult {
    let inside = Inside::new()?;
    let mut spec = inside.spec(&["print_file=/pith/store/1199/file"]);
    let input = inside.build().join("input");
    fs::create_dir(&input)?;
    fs::write(input.join("file"), "content\n")?;
    for number in 0..1200 {
        let target = format!("/pith/store/{number}");
        spec.mounts.push(mount(&input, &target, Access::ReadOnly));
    }
    let (_, output) = inside.run(&spec)?;
    assert_eq!(output, "content\nprint_file: ok\n");
    Ok(())
}
