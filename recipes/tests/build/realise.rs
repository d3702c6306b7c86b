//! What a good build becomes, and when nothing has to be built.

use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use recipes::build::{BuildError, FailureKind, Origin};
use recipes::event::Event;
use recipes::model::{Metadata, SmokeCommand};
use recipes::plan::{BuildPlan, Goal, Reason};
use store::{GcOptions, STORE_DIR};

use crate::fixture::{Fixture, Script, TestResult, chain, local, path_of, script};

#[test]
fn a_builder_finds_what_every_build_has_and_nothing_of_the_machine() -> TestResult {
    let fixture = Fixture::new();
    let text =
        "id -u; id -g; echo $HOME $TZ $LC_ALL $SOURCE_DATE_EPOCH $TMPDIR $PWD $PITH_BUILD_CORES
                umask; ls /; ls /pith/store; cat /etc/passwd";
    let path = fixture.build(&script("hello-1", &format!("{{ {text}\n}} > $out")))?;
    let scratch = store::scratch_path(&"hello-1".parse()?, "out");
    assert_eq!(
        fixture
            .read(&path, "")
            .replace(&path.to_string(), &scratch.to_string()),
        format!(
            "1000\n100\n/homeless UTC C.UTF-8 1 /build/tmp /build 1\n0022\n\
             bin\nbuild\ndev\netc\nlib\nlib64\npith\nproc\nsbin\ntmp\nusr\n{scratch}\n\
             root:x:0:0:root:/:/noshell\npith:x:1000:100:builder:/homeless:/noshell\n\
             nobody:x:65534:65534:nobody:/:/noshell\n"
        )
    );
    assert!(
        fixture.left_overs().is_empty(),
        "{:?}",
        fixture.left_overs()
    );
    Ok(())
}

#[test]
fn an_output_may_be_a_file_a_directory_or_a_link_and_may_name_its_siblings() -> TestResult {
    let fixture = Fixture::new();
    let text =
        "mkdir -p $out/bin; echo $dev > $out/bin/x; echo self $dev > $dev; ln -s $out/bin $link";
    let derivation = Script {
        outputs: &["out", "dev", "link"],
        ..Script::new("three-1", text)
    }
    .derivation();
    let done = fixture.realise(&[&derivation])?;
    let [out, dev, link] = done.goals.as_slice() else {
        panic!("{:?}", done.goals)
    };
    assert_eq!(
        [&out.path, &dev.path, &link.path].map(|path| path.name().to_string()),
        ["three-1", "three-1-dev", "three-1-link"]
    );
    assert_eq!(
        fixture.read(&out.path, "bin/x"),
        format!("{}\n", dev.path.to_logical())
    );
    assert_eq!(
        fixture.read(&dev.path, ""),
        format!("self {}\n", dev.path.to_logical())
    );
    let target = std::fs::read_link(fixture.store.real_path(&link.path))?;
    assert_eq!(
        target.to_str(),
        Some(format!("{}/bin", out.path.to_logical()).as_str())
    );
    let info = fixture.store.path_info(&out.path)?.ok_or("not valid")?;
    assert_eq!(
        info.references
            .iter()
            .map(|reference| &reference.path)
            .collect::<Vec<_>>(),
        [&dev.path]
    );
    Ok(())
}

#[test]
fn a_second_run_does_nothing() -> TestResult {
    let fixture = Fixture::new();
    let library = script("library-1", "echo library > $out");
    let text = format!("cat {} > $out", path_of(&library));
    let program = Script {
        inputs: &[&library],
        ..Script::new("program-1", text)
    }
    .derivation();
    let first = fixture.realise(&[&program])?;
    assert_eq!(
        (
            first.goals[0].how,
            fixture.read(&first.goals[0].path, "").as_str()
        ),
        (Origin::Built, "library\n")
    );
    let second = fixture.realise(&[&program])?;
    // The seed of these tests is local files, which are read each time.
    assert_eq!(
        (
            second.counts.built,
            second.counts.already_valid,
            second.counts.cutoff
        ),
        (1, 0, 2)
    );
    assert_eq!(second.goals[0].path, first.goals[0].path);
    Ok(())
}

#[test]
fn an_input_that_becomes_what_it_was_stops_the_work_there() -> TestResult {
    let fixture = Fixture::new();
    let program = |comment: &str| {
        let library = script("library-1", &format!("# {comment}\necho library > $out"));
        let text = format!("cat {} > $out", path_of(&library));
        Script {
            inputs: &[&library],
            ..Script::new("program-1", text)
        }
        .derivation()
    };
    let first = fixture.realise(&[&program("one")])?;
    let second = fixture.realise(&[&program("two")])?;
    assert_eq!(first.counts.built, 3, "seed, library, program");
    assert_eq!(second.counts.built, 2, "seed, library");
    assert_eq!(
        (second.goals[0].how, &second.goals[0].path),
        (Origin::Cutoff, &first.goals[0].path)
    );
    Ok(())
}

#[test]
fn inputs_are_read_only_and_only_what_is_declared_can_be_seen() -> TestResult {
    let fixture = Fixture::new();
    let hidden = script("hidden-1", "echo hidden > $out");
    fixture.build(&hidden)?;
    let library = script("library-1", "mkdir $out; echo library > $out/x");
    let input = path_of(&library);
    let text = format!(
        "echo x > {input}/x && exit 1; rm {input}/x && exit 2; touch {input}/y && exit 3
         mv {input} /pith/store/moved && exit 4
         ls /pith/store > $out"
    );
    let program = Script {
        inputs: &[&library],
        ..Script::new("program-1", text)
    }
    .derivation();
    let path = fixture.build(&program)?;
    assert!(!fixture.read(&path, "").contains("hidden"));
    assert_eq!(
        fixture.read(&path, "").lines().count(),
        2,
        "the input and the output"
    );
    Ok(())
}

#[test]
fn independent_steps_go_on_when_told_to() -> TestResult {
    let mut fixture = Fixture::new();
    fixture.options.on_failure = recipes::build::scheduler::OnFailure::KeepGoing;
    fixture.options.jobs = 1;
    let (one, two, good) = (
        script("one-1", "exit 1"),
        script("two-1", "exit 2"),
        script("good-1", "echo > $out"),
    );
    match fixture.realise(&[&one, &two, &good]) {
        Err(BuildError::Several { failures }) => assert_eq!(failures.len(), 2),
        other => panic!("{other:?}"),
    }
    fixture.options.on_failure = recipes::build::scheduler::OnFailure::Stop;
    assert_eq!(
        fixture.realise(&[&good])?.goals[0].how,
        Origin::Cutoff,
        "it was built"
    );
    Ok(())
}

#[test]
fn local_files_are_what_they_are_now() -> TestResult {
    let fixture = Fixture::new();
    let project = tempfile::tempdir()?;
    std::fs::create_dir(project.path().join("target"))?;
    std::fs::write(project.path().join("a.c"), "one")?;
    std::fs::write(project.path().join("target/x"), "built")?;
    let source = local("source", project.path(), &["target"]);
    let text = format!("cp -r {} $out", path_of(&source));
    let program = Script {
        inputs: &[&source],
        ..Script::new("program-1", text)
    }
    .derivation();
    let first = fixture.build(&program)?;
    assert_eq!(fixture.read(&first, "a.c"), "one");
    assert!(!fixture.store.real_path(&first).join("target").exists());
    std::fs::write(project.path().join("a.c"), "two")?;
    let second = fixture.build(&program)?;
    assert_eq!(fixture.read(&second, "a.c"), "two");
    std::fs::write(project.path().join("a.c"), "one")?;
    assert_eq!(fixture.build(&program)?, first);
    Ok(())
}

/// A clock that stands where [`LOOK`] says.
fn look() -> u64 {
    LOOK.get().copied().unwrap_or(0)
}

/// A minute after the files of the test that sets it were written.
static LOOK: OnceLock<u64> = OnceLock::new();

#[test]
fn what_is_known_of_local_files_may_be_damaged_and_their_object_collected() -> TestResult {
    let mut fixture = Fixture::new();
    let project = tempfile::tempdir()?;
    std::fs::write(project.path().join("a.c"), "one")?;
    let written = std::fs::metadata(project.path().join("a.c"))?.ctime();
    LOOK.set(u64::try_from(written)? + 60)
        .expect("set by this test alone");
    fixture.options.clock = look;
    let source = local("source", project.path(), &[]);
    let add = || -> Result<_, Box<dyn std::error::Error>> {
        Ok(fixture.realise(&[&source])?.goals[0].path.clone())
    };
    let path = add()?;
    let known = std::fs::read_dir(fixture.store.tmp_dir())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.display().to_string().contains("/source-"))
        .expect("what is known is kept");
    let whole = std::fs::read(&known)?;
    for bytes in [&whole[..whole.len() - 1], b"", b"something else"] {
        std::fs::write(&known, bytes)?;
        assert_eq!(add()?, path);
        assert_eq!(std::fs::read(&known)?, whole, "it is known again");
    }
    let collect = || {
        let stop = AtomicBool::new(false);
        fixture
            .store
            .collect_garbage(&GcOptions::default(), &|_| {}, &stop)
    };
    assert_eq!(collect()?.collected.len(), 1);
    assert_eq!(add()?, path);
    assert_eq!(fixture.read(&path, "a.c"), "one");
    Ok(())
}

#[test]
fn a_plan_says_why_without_doing_anything() -> TestResult {
    let fixture = Fixture::new();
    let library = script("library-1", "echo library > $out");
    let text = format!("cat {} > $out", path_of(&library));
    let program = Script {
        inputs: &[&library],
        ..Script::new("program-1", text)
    }
    .derivation();
    let plan = BuildPlan::new(&fixture.store, &[Goal::new(program)])?;
    let reasons: Vec<&Reason> = plan.steps.iter().map(|step| &step.reason).collect();
    assert!(
        matches!(reasons.as_slice(), [Reason::ReadFiles, Reason::Depends { input }, Reason::Depends { .. }] if input == "seed"),
        "{reasons:?}"
    );
    assert!(!plan.is_done());
    Ok(())
}

#[test]
fn two_rounds_of_a_repeatable_build_are_one() -> TestResult {
    let mut fixture = Fixture::new();
    fixture.options.rounds = 2;
    let derivation = script("same-1", "mkdir $out; echo $out > $out/x");
    fixture.build(&derivation)?;
    let rounds = fixture
        .events
        .lock()
        .unwrap()
        .iter()
        .filter(|event| matches!(event, Event::BuildStarted { name, .. } if name == "same-1"))
        .count();
    assert_eq!(rounds, 2);
    recipes::build::Builder::new(&fixture.store, fixture.options.clone()).check(
        &derivation,
        &|_| (),
        &fixture.cancel,
    )?;
    assert!(fixture.left_overs().is_empty());
    Ok(())
}

#[test]
fn a_build_that_cannot_be_repeated_names_the_file_and_the_offset() -> TestResult {
    let mut fixture = Fixture::new();
    fixture.options.rounds = 3;
    let text = "mkdir $out; { echo $out; cat /proc/sys/kernel/random/uuid; } > $out/id; echo same > $out/same";
    let failure = fixture.failure(&script("random-1", text));
    let offset = format!(
        "{STORE_DIR}/{}\n",
        store::scratch_path(&"random-1".parse()?, "out")
    )
    .len();
    let message = chain(&failure);
    let expected = "cannot build `random-1`\nbuild 2 of the same inputs has another result than the first\n  `id` of output `out` differs from byte ";
    let found: usize = message
        .strip_prefix(expected)
        .and_then(|rest| rest.strip_suffix(" on"))
        .ok_or(message.clone())?
        .parse()?;
    assert!((offset..offset + 3).contains(&found), "{message}");
    assert_eq!(
        BuildError::Step(Box::new(failure)).kind(),
        FailureKind::NotReproducible
    );
    assert!(fixture.left_overs().is_empty());
    Ok(())
}

#[test]
fn a_registered_build_is_compared_with_a_new_one() -> TestResult {
    let fixture = Fixture::new();
    let derivation = script(
        "random-1",
        "mkdir $out; echo $out > $out/self; cat /proc/sys/kernel/random/uuid > $out/id",
    );
    fixture.build(&derivation)?;
    let builder = recipes::build::Builder::new(&fixture.store, fixture.options.clone());
    let error = builder
        .check(&derivation, &|_| (), &fixture.cancel)
        .unwrap_err();
    let message = chain(&error);
    assert!(
        message.contains("`id` of output `out` differs from byte") && !message.contains("`self`"),
        "{message}"
    );
    Ok(())
}

#[test]
fn the_log_is_kept_whole_and_told_line_by_line() -> TestResult {
    let fixture = Fixture::new();
    let derivation = script(
        "talks-1",
        "echo one; echo '@pith phase check'; echo two >&2; echo > $out",
    );
    let done = fixture.realise(&[&derivation])?;
    let resolved = done.goals[0].resolved.ok_or("no key")?;
    let log = recipes::build::read_log(&fixture.store.logs_dir(), &resolved)?.ok_or("no log")?;
    assert_eq!(
        std::io::read_to_string(log)?,
        "one\n@pith phase check\ntwo\n"
    );
    let told: Vec<String> = fixture
        .events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::LogLine { line, .. } => Some(line.clone()),
            Event::Phase { phase, .. } => Some(format!("phase {phase}")),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["one", "phase check", "two"]);
    Ok(())
}

#[test]
fn a_chain_of_trivial_builds_is_quick() -> TestResult {
    let fixture = Fixture::new();
    let mut last = script("link-0", "echo 0 > $out");
    for number in 1..30 {
        let text = format!("cat {} > $out", path_of(&last));
        let name = format!("link-{number}");
        last = Script {
            inputs: &[&last],
            ..Script::new(&name, text)
        }
        .derivation();
    }
    fixture.build(&last)?;
    let started = Instant::now();
    fixture.build(&last)?;
    // Far above what it takes, but far below one process for each.
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    Ok(())
}

#[test]
fn new_facts_about_an_old_result_are_recorded_without_a_build() -> TestResult {
    let fixture = Fixture::new();
    let made = |license: &str| {
        let library = script("library-1", "echo library > $out");
        let text = format!("echo {} > $out", path_of(&library));
        let program = Script {
            inputs: &[&library],
            ..Script::new("program-1", text)
        };
        program.derivation_with(Metadata {
            license: Some(license.to_owned()),
            ..Metadata::default()
        })
    };
    let path = fixture.build(&made("MIT"))?;
    let license = || -> Result<_, Box<dyn std::error::Error>> {
        let info = fixture.store.path_info(&path)?.ok_or("not valid")?;
        Ok(info.component.ok_or("no component")?.license)
    };
    assert_eq!(license()?.as_deref(), Some("MIT"));
    let again = fixture.realise(&[&made("Zlib")])?;
    assert_eq!(
        (again.goals[0].how, &again.goals[0].path),
        (Origin::Cutoff, &path)
    );
    assert_eq!(license()?.as_deref(), Some("Zlib"));
    let report = fixture
        .store
        .verify(&store::VerifyOptions::default(), &store::Watch::nobody())?;
    assert_eq!(report.findings, []);
    Ok(())
}

#[test]
fn a_build_that_ends_in_the_same_bits_renews_all_that_is_said_of_them_or_nothing() -> TestResult {
    let fixture = Fixture::new();
    let made = |homepage: &str, smoke: &str| {
        let line = format!(r#"{{"name":"a","purl":"pkg:npm/a@1","homepage":"{homepage}"}}"#);
        // What is not in the result still makes another derivation, as a newer builder is one.
        let text = format!("echo '{line}' > /build/.pith-components; echo same > $out");
        let smoke = SmokeCommand {
            words: vec![smoke.to_owned()],
            expected: None,
        };
        Script::new("program-1", text).derivation_with(Metadata {
            license: Some("MIT".to_owned()),
            smoke: Some(smoke)
                .filter(|smoke| !smoke.words[0].is_empty())
                .into_iter()
                .collect(),
            ..Metadata::default()
        })
    };
    let path = fixture.build(&made("https://old.example", ""))?;
    let component = || -> Result<_, Box<dyn std::error::Error>> {
        let info = fixture.store.path_info(&path)?.ok_or("not valid")?;
        Ok(info.component.ok_or("no component")?)
    };
    let old = component()?;
    assert!(old.facts.is_some(), "{old:?}");
    // A build that comes to nothing takes nothing away.
    fixture.failure(&made("https://new.example", "bin/none"));
    assert_eq!(component()?, old);
    let again = fixture.realise(&[&made("https://new.example", "")])?;
    assert_eq!(
        (again.goals[0].how, &again.goals[0].path),
        (Origin::Built, &path)
    );
    let new = component()?;
    assert_eq!(
        new.contains[0].homepage.as_deref(),
        Some("https://new.example")
    );
    assert!(new.facts.is_some(), "{new:?}");
    let report = fixture
        .store
        .verify(&store::VerifyOptions::default(), &store::Watch::nobody())?;
    assert_eq!(report.findings, []);
    Ok(())
}
