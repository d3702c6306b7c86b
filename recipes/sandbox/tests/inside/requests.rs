//! Requests that cannot be fulfilled: each is one error that names the thing.

use std::os::unix::fs::symlink;

use sandbox::{Access, File, SandboxError, SandboxSpec, Symlink};

use crate::fixture::{Inside, TestResult, mount};

/// Returns the message of the error that `spec` must end in, with its causes.
fn error_of(inside: &Inside, spec: &SandboxSpec) -> Result<String, Box<dyn std::error::Error>> {
    let Err(error) = inside.run(spec) else {
        return Err("the run succeeded".into());
    };
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        message = format!("{message}: {source}");
        cause = source.source();
    }
    Ok(message)
}

#[test]
fn a_program_that_does_not_exist() -> TestResult {
    let inside = Inside::new()?;
    let spec = SandboxSpec {
        argv: vec!["/absent".into()],
        ..inside.spec(&[])
    };
    assert_eq!(
        error_of(&inside, &spec)?,
        "cannot execute `/absent` inside the sandbox: No such file or directory (os error 2)"
    );
    Ok(())
}

#[test]
fn a_program_that_is_not_in_the_path() -> TestResult {
    let inside = Inside::new()?;
    let mut spec = inside.spec(&[]);
    spec.argv = vec!["absent".into()];
    spec.env.insert("PATH".into(), "/build:relative:/".into());
    assert!(error_of(&inside, &spec)?.starts_with("cannot execute `absent` inside the sandbox"));
    spec.argv = vec!["probe".into()];
    inside.run(&spec)?;
    Ok(())
}

#[test]
fn no_program_at_all() -> TestResult {
    let inside = Inside::new()?;
    let spec = SandboxSpec {
        argv: vec![],
        ..inside.spec(&[])
    };
    assert!(error_of(&inside, &spec)?.starts_with("cannot execute `` inside the sandbox"));
    Ok(())
}

#[test]
fn a_source_that_does_not_exist() -> TestResult {
    let inside = Inside::new()?;
    let mut spec = inside.spec(&[]);
    spec.mounts
        .push(mount("/absent", "/input", Access::ReadOnly));
    assert_eq!(
        error_of(&inside, &spec)?,
        "cannot open `/absent` for the sandbox: No such file or directory (os error 2)"
    );
    Ok(())
}

#[test]
fn a_directory_to_start_in_that_does_not_exist() -> TestResult {
    let inside = Inside::new()?;
    let spec = SandboxSpec {
        cwd: "/absent".into(),
        ..inside.spec(&[])
    };
    assert!(error_of(&inside, &spec)?.starts_with("cannot change to `/absent` inside the sandbox"));
    Ok(())
}

#[test]
fn targets_that_are_no_place_inside() -> TestResult {
    let inside = Inside::new()?;
    for (target, reason) in [
        ("relative", "it is not absolute"),
        ("/a/../b", "it holds `.` or `..`"),
        ("/", "it is the root"),
        ("/probe/below", "a component of it is a symlink or a file"),
        ("/build", "two mounts have it"),
    ] {
        let mut spec = inside.spec(&[]);
        spec.mounts
            .push(mount(inside.build(), target, Access::ReadOnly));
        let expected = format!("`{target}` cannot be a place inside the sandbox: {reason}");
        assert_eq!(error_of(&inside, &spec)?, expected);
    }
    Ok(())
}

#[test]
fn a_symlink_planted_in_a_writable_mount_leads_nothing_elsewhere() -> TestResult {
    let inside = Inside::new()?;
    symlink("/dev", inside.build().join("planted"))?;
    let mut spec = inside.spec(&[]);
    spec.files = vec![File {
        path: "/build/planted/file".into(),
        bytes: vec![],
        mode: 0o644,
    }];
    let planted = "`/build/planted` cannot be a place inside the sandbox: a component of it is a symlink or a file";
    assert_eq!(error_of(&inside, &spec)?, planted);
    spec.files.clear();
    spec.symlinks = vec![Symlink {
        target: "x".into(),
        link: "/build/planted/link".into(),
    }];
    assert_eq!(error_of(&inside, &spec)?, planted);
    spec.symlinks.clear();
    spec.mounts.push(mount(
        inside.build(),
        "/build/planted/input",
        Access::ReadOnly,
    ));
    assert_eq!(
        error_of(&inside, &spec)?,
        planted.replace("planted`", "planted/input`")
    );
    Ok(())
}

#[test]
fn a_file_with_set_id_bits() -> TestResult {
    let inside = Inside::new()?;
    let spec = SandboxSpec {
        files: vec![File {
            path: "/file".into(),
            bytes: vec![],
            mode: 0o4755,
        }],
        ..inside.spec(&[])
    };
    assert!(error_of(&inside, &spec)?.ends_with("its mode has bits beyond rwx"));
    Ok(())
}

#[test]
fn a_helper_that_cannot_be_started() {
    let result = sandbox::Launcher::new(std::path::Path::new("/absent"));
    assert!(matches!(result, Err(SandboxError::StartHelper { .. })));
}

#[test]
fn bytes_that_are_not_text_survive_the_way() -> TestResult {
    use std::os::unix::ffi::OsStringExt;
    let inside = Inside::new()?;
    let odd = std::ffi::OsString::from_vec(vec![0xff, b'/', 0x80, b'"', b'\n']);
    let mut spec = inside.spec(&["print_environment"]);
    spec.env.insert("ODD".into(), odd);
    let mut output = Vec::new();
    let mut log = |bytes: &[u8]| output.extend_from_slice(bytes);
    inside
        .launcher
        .run(&spec, &mut log, &std::sync::atomic::AtomicBool::new(false))?;
    assert_eq!(output, b"ODD=\xff/\x80\"\n\nprint_environment: ok\n");
    Ok(())
}

#[test]
fn this_machine_lacks_nothing() -> TestResult {
    assert_eq!(sandbox::probe(&Inside::new()?.launcher)?, Vec::new());
    Ok(())
}
