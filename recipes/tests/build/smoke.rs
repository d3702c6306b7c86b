//! Smoke commands: run after a build where only the package's closure exists, and part of no digest.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use recipes::build::{BuildError, Builder, FailureKind, Origin, SmokeEnd, StepError};
use recipes::model::{Derivation, Metadata, SmokeCommand};
use tempfile::TempDir;

use crate::fixture::{Fixture, Script, TestResult, chain, local, path_of};

/// A project that holds a program, linked statically, that does what its first argument says.
fn program() -> Arc<Derivation> {
    static PROGRAM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, directory) = PROGRAM.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let (source, project) = (place.path().join("try.c"), place.path().join("project"));
        fs::create_dir(&project).expect("a directory");
        fs::write(&source, include_str!("smoke.c")).expect("a source file");
        let compiled = Command::new("cc")
            .args(["-static", "-O1", "-o"])
            .args([&project.join("try"), &source])
            .status()
            .expect("cc runs");
        assert!(compiled.success());
        (place, project)
    });
    local("program", directory, &[])
}

/// A package with the program, a library that it needs and a text, and these smoke commands.
fn package(smoke: &[SmokeCommand]) -> Arc<Derivation> {
    let program = program();
    let needed = Script::new("needed-1", "echo needed > $out").derivation();
    let unneeded = Script::new("unneeded-1", "echo unneeded > $out").derivation();
    let text = format!(
        "cat {} > /dev/null; mkdir -p $out/bin $out/share
         cp {}/try $out/bin/try; cp $out/bin/try $out/bin/other
         echo {} > $out/share/needed; echo $out > $out/share/self",
        path_of(&unneeded),
        path_of(&program),
        path_of(&needed)
    );
    let script = Script {
        inputs: &[&program, &needed, &unneeded],
        ..Script::new("tried-1", text)
    };
    script.derivation_with(Metadata {
        smoke: smoke.to_vec(),
        ..Metadata::default()
    })
}

fn command(words: &str, expected: Option<&str>) -> SmokeCommand {
    SmokeCommand {
        words: words.split(' ').map(str::to_owned).collect(),
        expected: expected.map(str::to_owned),
    }
}

fn try_says(words: &str, expected: &str) -> SmokeCommand {
    command(&format!("bin/try {words}"), Some(expected))
}

#[test]
fn commands_see_the_closure_and_what_an_image_has() -> TestResult {
    let fixture = Fixture::new();
    let plain = fixture.build(&package(&[]))?;
    let closure = fixture.store.closure(std::slice::from_ref(&plain))?;
    let [needed] = &closure
        .paths()
        .filter(|path| **path != plain)
        .collect::<Vec<_>>()[..]
    else {
        return Err("the package needs one object".into());
    };
    let home = plain.to_logical();
    let smoke = [
        try_says("say hello", "hello"),
        command("bin/try", None),
        try_says(&format!("read {}", needed.to_logical()), "needed"),
        try_says("read share/self", &home),
        try_says("called", &format!("{home}/bin/try")),
        try_says("read /etc/passwd", "nonroot:x:1000:100"),
        try_says("exists /bin/try", "yes"),
        try_says("exists /bin/sh", "none"),
        try_says("exists /usr", "none"),
        try_says("write /tmp/x", "written"),
        try_says("exists /tmp/x", "none"),
        try_says("write share/x", "refused"),
        try_says("read /proc/net/route", "Iface"),
    ];
    let other = Fixture::new();
    assert_eq!(other.build(&package(&smoke))?, plain);
    Ok(())
}

#[test]
fn other_inputs_of_the_build_are_not_there() -> TestResult {
    let fixture = Fixture::new();
    let unneeded = Script::new("unneeded-1", "echo unneeded > $out").derivation();
    let path = fixture.build(&unneeded)?.to_logical();
    fixture.build(&package(&[try_says(&format!("exists {path}"), "none")]))?;
    Ok(())
}

#[test]
fn a_command_that_fails_fails_the_build_and_nothing_is_known_of_it() -> TestResult {
    let fixture = Fixture::new();
    for (words, expected, message) in [
        (
            "bin/try exit 3",
            None,
            "the smoke command `bin/try exit 3` exited with status 3; it said:\n  no\tgood",
        ),
        (
            "bin/try crash",
            None,
            "the smoke command `bin/try crash` was killed by signal 6",
        ),
        (
            "bin/try say a",
            Some("b"),
            "the smoke command `bin/try say a` did not say `b`; it said:\n  a",
        ),
        (
            "bin/none",
            None,
            "the smoke command `bin/none` cannot be executed: No such file or directory (os error 2)",
        ),
        (
            "share/self",
            None,
            "the smoke command `share/self` cannot be executed: Permission denied (os error 13)",
        ),
    ] {
        let smoke = [command("bin/try", None), command(words, expected)];
        let failure = fixture.failure(&package(&smoke));
        assert_eq!(
            chain(&failure),
            format!("cannot build `tried-1`\n{message}")
        );
        assert!(matches!(failure.error, StepError::Smoke(_)));
        let error = BuildError::Step(Box::new(failure));
        assert_eq!(error.kind(), FailureKind::Build);
        assert_eq!(fixture.left_overs(), [""; 0]);
    }
    let built = fixture.realise(&[&package(&[command("bin/try", None)])])?;
    assert_eq!(
        built.goals[0].how,
        Origin::Built,
        "no failure was remembered"
    );
    Ok(())
}

#[test]
fn a_changed_command_builds_nothing_and_is_run_on_demand() -> TestResult {
    let fixture = Fixture::new();
    let first = package(&[command("bin/try", None)]);
    let path = fixture.build(&first)?;
    let changed = package(&[command("bin/try exit 9", None)]);
    assert_eq!(first.id(), changed.id());
    let again = fixture.realise(&[&changed])?;
    assert_ne!(again.goals[0].how, Origin::Built);
    let builder = Builder::new(&fixture.store, fixture.options.clone());
    assert_eq!(builder.smoke(&first, &path, &fixture.cancel)?, None);
    let failure = builder.smoke(&changed, &path, &fixture.cancel)?;
    assert_eq!(
        failure.map(|failure| failure.end),
        Some(SmokeEnd::Exited(9))
    );
    Ok(())
}
