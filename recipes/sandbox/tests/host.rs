//! Programs that see the whole host and one directory more. They hold for root and for an ordinary user alike.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A place that no machine has.
const TARGET: &str = "/pith-host-test/store";

const HELPER: &str = env!("CARGO_BIN_EXE_sandbox-helper");

/// A directory with one file, `name`, that says `text`.
fn source(text: &str) -> TestResult<TempDir> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("name"), text)?;
    Ok(directory)
}

/// A command that runs a shell script where `source` is shown at `target`.
fn script(source: &Path, target: &str, text: &str) -> Command {
    let mut command = Command::new(HELPER);
    command
        .arg(source)
        .arg(target)
        .args(["/bin/sh", "-c", text, "sh"]);
    command
}

fn output(command: &mut Command) -> TestResult<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output()?;
    if !status.success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&stderr)).into());
    }
    Ok(String::from_utf8(stdout)?)
}

#[test]
fn the_host_is_there_and_one_directory_more() -> TestResult {
    let source = source("shown")?;
    let here = tempfile::tempdir()?;
    fs::write(here.path().join("input"), "of the host")?;
    let text =
        format!("cat {TARGET}/name input; pwd > result; ls -A / > entries; echo x > /dev/null");
    let said = output(script(source.path(), TARGET, &text).current_dir(here.path()))?;
    assert_eq!(said, "shownof the host");
    let result = fs::read_to_string(here.path().join("result"))?;
    assert_eq!(Path::new(result.trim()), here.path().canonicalize()?);
    let mut host: Vec<String> = fs::read_dir("/")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<TestResult<_>>()?;
    host.push("pith-host-test".to_owned());
    host.sort();
    let entries = fs::read_to_string(here.path().join("entries"))?;
    let mut entries: Vec<_> = entries.lines().collect();
    entries.sort_unstable();
    assert_eq!(entries, host);
    Ok(())
}

#[test]
fn what_is_mounted_inside_is_not_on_the_host() -> TestResult {
    let source = source("shown")?;
    let mounts = || fs::read_to_string("/proc/self/mountinfo");
    let before = mounts()?;
    let inside = output(&mut script(
        source.path(),
        TARGET,
        "cat /proc/self/mountinfo",
    ))?;
    assert!(inside.contains(TARGET), "{inside}");
    assert_eq!(mounts()?, before);
    assert!(!Path::new(TARGET).exists());
    Ok(())
}

#[test]
fn the_process_is_the_program_itself() -> TestResult {
    let source = source("shown")?;
    let mut child = script(source.path(), TARGET, "echo $$; read line; exit $line")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    child.stdin.take().ok_or("it is piped")?.write_all(b"7\n")?;
    let Output { status, stdout, .. } = child.wait_with_output()?;
    assert_eq!(String::from_utf8(stdout)?.trim(), pid.to_string());
    assert_eq!(status.code(), Some(7));
    Ok(())
}

#[test]
fn a_closed_pipe_ends_the_program_as_it_would_without_us() -> TestResult {
    let source = source("shown")?;
    let status = script(source.path(), TARGET, "kill -PIPE $$; echo survived").status()?;
    assert_eq!(status.signal(), Some(libc::SIGPIPE));
    Ok(())
}

#[test]
fn the_user_and_the_rights_are_the_callers() -> TestResult {
    let source = source("shown")?;
    let rights = "id -u; id -g; grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status";
    let inside = output(&mut script(source.path(), TARGET, rights))?;
    let outside = output(Command::new("/bin/sh").args(["-c", rights]))?;
    assert_eq!(inside, outside);
    Ok(())
}

#[test]
fn the_directory_cannot_be_written() -> TestResult {
    let source = source("shown")?;
    let text = format!(
        "! (echo x > {TARGET}/new) 2> /dev/null && ! (echo x > {TARGET}/name) 2> /dev/null"
    );
    output(&mut script(source.path(), TARGET, &text))?;
    assert_eq!(fs::read(source.path().join("name"))?, b"shown");
    Ok(())
}

#[test]
fn a_run_inside_a_run_costs_nothing_for_the_same_directory_and_shows_another_one() -> TestResult {
    let (one, two) = (source("one")?, source("two")?);
    let namespace = "readlink /proc/self/ns/mnt";
    let nested = |inner: &Path| -> TestResult<(String, String, String)> {
        let text = format!("{namespace}; \"$@\"; cat {TARGET}/name");
        let inner_text = format!("{namespace}; cat {TARGET}/name; echo");
        let said = output(
            script(one.path(), TARGET, &text)
                .arg(HELPER)
                .arg(inner)
                .args([TARGET, "/bin/sh", "-c", &inner_text]),
        )?;
        let mut lines = said.lines().map(str::to_owned);
        let (outer, inner) = (
            lines.next().ok_or(said.clone())?,
            lines.next().ok_or(said.clone())?,
        );
        Ok((outer, inner, lines.collect::<Vec<_>>().join(" ")))
    };
    let (outer, inner, said) = nested(one.path())?;
    assert_eq!((outer, said.as_str()), (inner, "one one"));
    let (outer, inner, said) = nested(two.path())?;
    assert_ne!(outer, inner);
    assert_eq!(said, "two one");
    Ok(())
}

#[test]
fn where_the_host_has_the_directory_only_that_is_mounted() -> TestResult {
    let (shown, target) = (source("shown")?, source("of the host")?);
    let text = "cat \"$1/name\"; stat -c %d:%i /";
    let target_text = target.path().to_str().ok_or("UTF-8")?;
    let said = output(script(shown.path(), target_text, text).arg(target.path()))?;
    let root = fs::metadata("/")?;
    assert_eq!(said, format!("shown{}:{}\n", root.dev(), root.ino()));
    assert_eq!(fs::read(target.path().join("name"))?, b"of the host");
    Ok(())
}

#[test]
fn a_working_directory_without_a_name_is_kept() -> TestResult {
    let source = source("shown")?;
    let text = format!("d=$(mktemp -d) && cd \"$d\" && rmdir \"$d\" && exec {HELPER} \"$@\"");
    let said = output(
        Command::new("/bin/sh")
            .args(["-c", &text, "sh"])
            .arg(source.path())
            .args([
                TARGET,
                "/bin/sh",
                "-c",
                "stat -c %h . && cat \"$0\"/name",
                TARGET,
            ]),
    )?;
    assert_eq!(said, "0\nshown");
    Ok(())
}

#[test]
fn what_cannot_be_shown_or_executed_is_named() -> TestResult {
    let source = source("shown")?;
    for (source, program, expected) in [
        (
            source.path(),
            "/absent/program",
            "cannot execute `/absent/program`",
        ),
        (
            Path::new("/absent/source"),
            "/bin/true",
            "cannot open `/absent/source`",
        ),
    ] {
        let output = Command::new(HELPER)
            .arg(source)
            .args([TARGET, program])
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(126));
        assert!(said.starts_with(expected), "{said}");
        assert!(said.contains("No such file"), "{said}");
    }
    Ok(())
}
