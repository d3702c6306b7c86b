//! Builders that fail, misbehave or attack: each ends in one clear error, and the store is as it was.

use std::time::Duration;

use recipes::build::{BuildError, BuilderEnd, BuilderFailure, FailedStep, FailureKind, StepError};

use crate::fixture::{Fixture, Script, TestResult, chain, path_of, script};

/// Builds `text` in a fixture and returns it with the failure, after checking that nothing is left.
fn fails(text: &str) -> (Fixture, FailedStep) {
    fails_in(Fixture::new(), text)
}

fn fails_in(fixture: Fixture, text: &str) -> (Fixture, FailedStep) {
    let failure = fixture.failure(&script("bad-1", text));
    assert!(
        fixture.left_overs().is_empty(),
        "{:?}",
        fixture.left_overs()
    );
    let objects =
        std::fs::read_dir(fixture.store.store_directory()).expect("the store's directory");
    let names: Vec<String> = objects
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(
        !names.iter().any(|name| name.ends_with("bad-1")),
        "{names:?}"
    );
    (fixture, failure)
}

fn end(failure: &FailedStep) -> &BuilderEnd {
    match &failure.error {
        StepError::Builder(BuilderFailure { end, .. }) => end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_shows_phase_status_and_the_last_lines() {
    let text = "echo '@pith phase check'; i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done; exit 7";
    let (fixture, failure) = fails(text);
    assert_eq!(
        chain(&failure),
        "cannot build `bad-1`\nthe builder exited with status 7 in phase `check`"
    );
    let log = failure.log.as_ref().expect("a log");
    assert_eq!(
        (log.tail.len(), log.tail[0].as_str(), log.tail[24].as_str()),
        (25, "line 15", "line 39")
    );
    assert!(log.path.starts_with(fixture.store.logs_dir()) && log.path.exists());
    assert_eq!(failure.location.to_string(), "//test/recipe.star:3:1");
    assert_eq!(
        BuildError::Step(Box::new(failure)).kind(),
        FailureKind::Build
    );
}

#[test]
fn a_failure_is_not_remembered_and_its_directory_is_kept_on_demand() -> TestResult {
    let mut fixture = Fixture::new();
    fixture.options.keep_failed = true;
    let derivation = script("bad-1", "echo work > file; exit 1");
    let kept = fixture
        .failure(&derivation)
        .kept
        .ok_or("nothing was kept")?;
    assert_eq!(std::fs::read_to_string(kept.join("build/file"))?, "work\n");
    assert!(fixture.failure(&derivation).log.is_some(), "it ran again");
    Ok(())
}

#[test]
fn an_endless_builder_is_stopped_by_its_time_limit() {
    let mut fixture = Fixture::new();
    fixture.options.timeout = Some(Duration::from_millis(300));
    let (_, failure) = fails_in(fixture, "while :; do :; done");
    assert_eq!(
        chain(&failure),
        "cannot build `bad-1`\nthe builder was stopped after its time limit of 0.3 s"
    );
}

#[test]
fn a_silent_builder_is_stopped() {
    let mut fixture = Fixture::new();
    fixture.options.limits.silence = Some(Duration::from_millis(300));
    let (_, failure) = fails_in(fixture, "sleep 1000");
    assert!(matches!(end(&failure), BuilderEnd::Silent(_)));
}

#[test]
fn a_flood_of_output_is_stopped() {
    let mut fixture = Fixture::new();
    fixture.options.limits.log_bytes = 1 << 20;
    let (_, failure) = fails_in(
        fixture,
        "while :; do echo flood flood flood flood flood flood; done",
    );
    assert_eq!(*end(&failure), BuilderEnd::LogLimit(1 << 20));
}

#[test]
fn a_full_disk_quota_is_stopped() {
    let mut fixture = Fixture::new();
    fixture.options.limits.disk_bytes = 8 << 20;
    let (_, failure) = fails_in(
        fixture,
        "i=0; while :; do dd if=/dev/zero of=$out.$i bs=65536 count=16 2>&1; i=$((i+1)); done",
    );
    // Whether the watcher or the file system is faster depends on how the quota can be had here.
    assert!(
        matches!(
            end(&failure),
            BuilderEnd::DiskLimit(_) | BuilderEnd::Exited(1)
        ),
        "{failure:?}"
    );
}

#[test]
fn a_daemon_dies_with_the_builder_before_anything_is_read() -> TestResult {
    let fixture = Fixture::new();
    let text = "mkdir $out; (while :; do echo x >> $out/grows; done) & sleep 0.2; exit 0";
    let path = fixture.build(&script("daemon-1", text))?;
    let size = || {
        std::fs::metadata(fixture.store.real_path(&path).join("grows"))
            .map(|metadata| metadata.len())
    };
    let before = size()?;
    assert!(fixture.left_overs().is_empty());
    assert_eq!(size()?, before);
    Ok(())
}

#[test]
fn a_builder_that_kills_its_parent_gains_nothing() {
    let (_, failure) = fails("kill -9 $PPID; kill -9 -1; echo > $out; exit 3");
    assert!(
        matches!(failure.error, StepError::Builder(_)),
        "{failure:?}"
    );
}

#[test]
fn set_id_bits_are_refused() {
    let (_, failure) = fails("touch $out; chmod 4755 $out");
    // The sandbox refuses the call, so the builder fails.
    assert!(
        matches!(end(&failure), BuilderEnd::Exited(_)),
        "{failure:?}"
    );
}

#[test]
fn devices_are_refused() {
    let (_, failure) = fails("mkdir $out; mknod $out/null c 1 3");
    assert!(
        matches!(end(&failure), BuilderEnd::Exited(_)),
        "{failure:?}"
    );
}

#[test]
fn a_fifo_in_an_output_is_named() {
    let (_, failure) = fails("mkdir $out; mkfifo $out/pipe");
    assert_eq!(
        chain(&failure),
        "cannot build `bad-1`\noutput `out` cannot be taken into the store\n\
         `pipe` is a fifo; only files, directories and symbolic links can be in the store"
    );
}

#[test]
fn a_missing_output_is_named() {
    let (_, failure) = fails("true");
    assert_eq!(
        chain(&failure),
        "cannot build `bad-1`\noutput `out` cannot be taken into the store\nthe builder did not create it"
    );
}

#[test]
fn writing_beside_the_outputs_is_found() {
    let (_, failure) = fails("echo > $out; echo > /pith/store/extra");
    assert_eq!(
        chain(&failure),
        "cannot build `bad-1`\nthe builder wrote outside of its outputs: `/pith/store/extra`"
    );
}

#[test]
fn an_output_that_links_to_etc_is_refused() {
    for target in ["/etc", "/etc/passwd", "../../etc"] {
        let (_, failure) = fails(&format!("ln -s {target} $out"));
        assert_eq!(
            chain(&failure),
            format!(
                "cannot build `bad-1`\nthe outputs need what is not in the store\n  \
                 `the output itself` of output `out` is a symbolic link to `{target}`, which is not in the store"
            )
        );
    }
}

#[test]
fn the_network_cannot_be_reached() {
    let (_, failure) = fails("cat /sys/class/net/eth0/address");
    assert!(
        matches!(end(&failure), BuilderEnd::Exited(1)),
        "{failure:?}"
    );
}

#[test]
fn programs_of_the_seed_are_refused_in_outputs() {
    let (_, failure) = fails(
        "mkdir $out; cp /usr/bin/cat $out/cat; printf '#!/bin/sh\\n' > $out/script; chmod +x $out/script",
    );
    let message = chain(&failure);
    assert!(
        message.contains("`cat` of output `out` has the interpreter `/lib64/ld-linux"),
        "{message}"
    );
    assert!(
        message.contains("`cat` of output `out` needs `libc.so.6`, which is in none"),
        "{message}"
    );
    assert!(
        message.contains(
            "`script` of output `out` begins with `#!/bin/sh`, which is not in the store"
        ),
        "{message}"
    );
}

#[test]
fn sources_keep_the_programs_and_scripts_that_are_among_them() -> TestResult {
    let text = "mkdir $out; cp /usr/bin/cat $out/cat; printf '#!/bin/sh\\necho hi\\n' > $out/script; chmod +x $out/script; \
                touch /build/.pith-sources";
    let fixture = Fixture::new();
    let sources = script("sources-1", text);
    fixture.build(&sources)?;
    let user = Script {
        inputs: &[&sources],
        ..Script::new("user-1", format!("{}/script > $out", path_of(&sources)))
    };
    let built = fixture.build(&user.derivation())?;
    assert_eq!(fixture.read(&built, ""), "hi\n");
    let (_, failure) = fails(&format!("{text}; ln -s /usr/bin/cat $out/link"));
    let message = chain(&failure);
    assert!(
        message.contains("`link` of output `out` is a symbolic link to `/usr/bin/cat`")
            && !message.contains("`script`"),
        "{message}"
    );
    Ok(())
}

#[test]
fn a_forbidden_reference_is_named() {
    let fixture = Fixture::new();
    let tool = script("tool-1", "echo tool > $out");
    let text = format!("echo uses {} > $out", path_of(&tool));
    let derivation = Script {
        inputs: &[&tool],
        forbidden: &[&tool],
        ..Script::new("bad-1", text)
    }
    .derivation();
    let failure = fixture.failure(&derivation);
    let message = chain(&failure);
    assert!(
        message.contains("`bad-1` must not refer to `") && message.contains("-tool-1`"),
        "{message}"
    );
    assert_eq!(
        BuildError::Step(Box::new(failure)).kind(),
        FailureKind::Build
    );
    assert!(fixture.left_overs().is_empty());
}

#[test]
fn an_output_nobody_can_read_is_read_all_the_same() -> TestResult {
    let fixture = Fixture::new();
    let path = fixture.build(&script(
        "closed-1",
        "mkdir -p $out/d; echo x > $out/d/f; chmod 0 $out/d/f; chmod 0 $out/d",
    ))?;
    assert_eq!(fixture.read(&path, "d/f"), "x\n");
    Ok(())
}
