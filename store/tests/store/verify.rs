//! What is wrong on disk is found, and named.

use std::{
    error::Error,
    fs,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use nix::sys::{
    stat::{UtimensatFlags, utimensat},
    time::TimeSpec,
};
use store::{
    AddBatch, AddObject, AddSource, LocalStore, MemoryNode, PathInfo, Problem, Progress, RootError,
    RootKind, VerifyDepth, VerifyError, VerifyOptions, VerifyReport, Watch, scratch_path,
    testing::{TempStore, find_faults, make_writable, memory_tree, noise, open},
};

type TestResult = Result<(), Box<dyn Error>>;

const KIB: usize = 1 << 10;

/// An object of all kinds of nodes that refers to itself, with a file of several blocks.
fn with_object(store: &LocalStore) -> Result<PathInfo, Box<dyn Error>> {
    let scratch = scratch_path(&"lib".parse()?, "out");
    let tree = memory_tree(&[
        ("bin/run", MemoryNode::program(scratch.to_logical())),
        (
            "bin/so",
            MemoryNode::symlink(format!("{}/lib/so", scratch.to_logical()))?,
        ),
        ("lib/so", MemoryNode::file(vec![7; 300 * KIB])),
        ("lib/so.1", MemoryNode::symlink("so")?),
        ("share/doc", MemoryNode::file("text")),
        ("empty", MemoryNode::directory()),
    ]);
    let object = AddObject {
        scratch: Some(scratch),
        ..AddObject::new("lib".parse()?, AddSource::Tree(tree))
    };
    let mut infos = store.add(AddBatch {
        objects: vec![object],
        ..AddBatch::default()
    })?;
    Ok(infos.pop().ok_or("one object was added")?)
}

fn verify(store: &LocalStore, depth: VerifyDepth) -> Result<VerifyReport, VerifyError> {
    let options = VerifyOptions {
        depth,
        ..VerifyOptions::default()
    };
    store.verify(&options, &Watch::nobody())
}

fn contents(store: &LocalStore) -> Result<VerifyReport, VerifyError> {
    verify(store, VerifyDepth::Contents)
}

/// Changes a file of the store as nobody should.
fn tamper(path: &Path, change: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    let parent = path.parent().expect("objects lie in a directory");
    let modes: Vec<(PathBuf, fs::Permissions)> = [parent, path]
        .iter()
        .filter(|path| path.exists() && !path.is_symlink())
        .map(|path| Ok(((*path).into(), fs::metadata(path)?.permissions())))
        .collect::<std::io::Result<_>>()?;
    for (path, mode) in &modes {
        fs::set_permissions(path, PermissionsExt::from_mode(mode.mode() | 0o200))?;
    }
    change(path)?;
    for (path, mode) in modes.into_iter().rev() {
        // The change may have put a link there, whose target is nobody's business.
        if path.exists() && !path.is_symlink() {
            fs::set_permissions(&path, mode)?;
            reset_time(&path)?;
        }
    }
    Ok(())
}

fn reset_time(path: &Path) -> std::io::Result<()> {
    let time = TimeSpec::new(1, 0);
    Ok(utimensat(
        nix::fcntl::AT_FDCWD,
        path,
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )?)
}

fn flip(path: &Path, offset: u64) -> std::io::Result<()> {
    tamper(path, |path| {
        let file = fs::File::options().read(true).write(true).open(path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset)?;
        file.write_all_at(&[byte[0] ^ 1], offset)
    })
}

/// The problems of a report, each with its entry checked.
fn problems(report: &VerifyReport, info: &PathInfo) -> Vec<Problem> {
    report
        .findings
        .iter()
        .map(|finding| {
            assert_eq!(finding.entry, info.path.to_string());
            finding.problem.clone()
        })
        .collect()
}

#[test]
fn a_good_store_has_no_findings() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    store.add_tree("link", MemoryNode::symlink("x")?, &[])?;
    store.add_tree("small", MemoryNode::file(info.path.to_logical()), &[&info])?;
    store.add_tree("large", MemoryNode::program(vec![1; 5 << 20]), &[])?;
    for depth in [VerifyDepth::Records, VerifyDepth::Contents] {
        let report = verify(&store, depth)?;
        assert_eq!(report.findings, []);
        assert_eq!(report.objects, 4);
    }
    Ok(())
}

#[test]
fn a_flipped_bit_is_named_with_file_and_block_and_takes_validity_away() -> TestResult {
    for (file, offset, block) in [
        ("lib/so", 0, 0),
        ("lib/so", 131_072, 131_072),
        ("lib/so", 299_999, 262_144),
        ("share/doc", 3, 0),
        ("bin/run", 20, 0),
    ] {
        let store = TempStore::new();
        let info = with_object(&store)?;
        flip(&store.real_path(&info.path).join(file), offset)?;
        assert_eq!(verify(&store, VerifyDepth::Records)?.findings, []);
        let report = contents(&store)?;
        let found = problems(&report, &info);
        assert!(
            matches!(found.as_slice(), [Problem::Bytes { file: name, offset, .. }] if name == file && *offset == block),
            "{file} {offset}: {found:?}"
        );
        assert!(report.damaged.contains(&info.path));
        assert_eq!(store.path_info(&info.path)?, None);
        // Known from now on without reading.
        let again = verify(&store, VerifyDepth::Records)?;
        assert_eq!(problems(&again, &info), [Problem::Damaged]);
    }
    Ok(())
}

#[test]
fn a_file_that_is_cut_off_or_grown_is_found() -> TestResult {
    for (size, block) in [(0, 0), (70_000, 65_536), (300 * 1024 + 1, 262_144)] {
        let store = TempStore::new();
        let info = with_object(&store)?;
        tamper(&store.real_path(&info.path).join("lib/so"), |path| {
            fs::File::options().write(true).open(path)?.set_len(size)
        })?;
        let found = problems(&contents(&store)?, &info);
        assert!(
            matches!(found.as_slice(), [Problem::Bytes { offset, .. }] if *offset == block),
            "{size}: {found:?}"
        );
    }
    Ok(())
}

#[test]
fn every_change_of_shape_is_named() -> TestResult {
    type Change = fn(&Path) -> std::io::Result<()>;
    let cases: [(&str, Change, Problem); 7] = [
        (
            "share/doc",
            |path| fs::remove_file(path),
            Problem::Missing {
                file: "share/doc".into(),
            },
        ),
        (
            "share/more",
            |path| fs::write(path, "more"),
            Problem::Extra {
                file: "share/more".into(),
            },
        ),
        (
            "empty/more",
            |path| fs::write(path, "more"),
            Problem::Extra {
                file: "empty/more".into(),
            },
        ),
        (
            "share/doc",
            |path| {
                fs::remove_file(path)?;
                fs::create_dir(path)
            },
            Problem::Kind {
                file: "share/doc".into(),
                expected: "file",
                found: "directory",
            },
        ),
        (
            "lib/so",
            |path| {
                fs::remove_file(path)?;
                symlink("/etc/passwd", path)
            },
            Problem::Kind {
                file: "lib/so".into(),
                expected: "file",
                found: "symlink",
            },
        ),
        (
            "lib/so.1",
            |path| {
                fs::remove_file(path)?;
                symlink("os", path)?;
                reset_time(path)
            },
            Problem::Target {
                file: "lib/so.1".into(),
                expected: "so".into(),
                found: "os".into(),
            },
        ),
        (
            "empty",
            |path| fs::remove_dir(path),
            Problem::Missing {
                file: "empty".into(),
            },
        ),
    ];
    for (file, change, problem) in cases {
        let store = TempStore::new();
        let info = with_object(&store)?;
        tamper(&store.real_path(&info.path).join(file), change)?;
        let report = contents(&store)?;
        assert_eq!(problems(&report, &info), [problem]);
        assert_eq!(store.path_info(&info.path)?, None);
    }
    Ok(())
}

#[test]
fn modes_times_and_names_elsewhere_are_told_and_cost_no_validity() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let real = store.real_path(&info.path);
    fs::set_permissions(real.join("share/doc"), PermissionsExt::from_mode(0o644))?;
    let time = TimeSpec::new(2, 0);
    utimensat(
        nix::fcntl::AT_FDCWD,
        &real.join("lib/so"),
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )?;
    fs::hard_link(real.join("bin/run"), store.root().join("outside"))?;
    let file = |file: &str| file.to_owned();
    let mut expected = [
        Problem::Mode {
            file: file("share/doc"),
            expected: 0o444,
            found: 0o644,
        },
        Problem::Time {
            file: file("lib/so"),
        },
        Problem::Links {
            file: file("bin/run"),
            links: 2,
        },
    ];
    expected.sort();
    assert_eq!(problems(&contents(&store)?, &info), expected);
    assert!(store.path_info(&info.path)?.is_some());
    Ok(())
}

#[test]
fn a_lost_executable_bit_is_damage() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let program = store.real_path(&info.path).join("bin/run");
    fs::set_permissions(program, PermissionsExt::from_mode(0o444))?;
    assert_eq!(
        problems(&contents(&store)?, &info),
        [Problem::Mode {
            file: "bin/run".into(),
            expected: 0o555,
            found: 0o444
        }]
    );
    assert_eq!(store.path_info(&info.path)?, None);
    Ok(())
}

#[test]
fn an_object_that_is_gone_is_found_without_reading() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let user = store.add_tree("user", MemoryNode::file(info.path.to_logical()), &[&info])?;
    // An ordinary user may give a directory another parent only while it is writable.
    make_writable(&store.real_path(&info.path))?;
    fs::rename(store.real_path(&info.path), store.root().join("elsewhere"))?;
    let report = verify(&store, VerifyDepth::Records)?;
    assert_eq!(problems(&report, &info), [Problem::Absent]);
    assert_eq!(store.path_info(&info.path)?, None);
    // What refers to it is as good as before, and will be whole when it is back.
    assert!(store.path_info(&user.path)?.is_some());
    Ok(())
}

#[test]
fn an_object_that_was_marked_and_is_whole_is_told() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let file = store.real_path(&info.path).join("lib/so");
    flip(&file, 5)?;
    contents(&store)?;
    flip(&file, 5)?;
    assert_eq!(problems(&contents(&store)?, &info), [Problem::Whole]);
    Ok(())
}

#[test]
fn records_are_compared_with_the_database() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let digest = info.path.digest().to_string();
    let record = store
        .root()
        .join("var/meta")
        .join(&digest[..2])
        .join(&digest);
    let good = fs::read(&record)?;
    let line = good
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or("no line")?;
    let without_contents = good[..=line].to_vec();
    let mut other_time = good.clone();
    let at = String::from_utf8_lossy(&good[..line])
        .find("\"registered\":1")
        .ok_or("no time")?;
    other_time[at + 13] = b'2';
    let mut wrong_block = good.clone();
    *wrong_block.last_mut().ok_or("empty")? ^= 1;
    for (bytes, problem) in [
        (None, Problem::RecordMissing),
        (Some(other_time), Problem::RecordDifferent),
        (Some(b"{}\n".to_vec()), Problem::RecordDifferent),
        (Some(good[..40].to_vec()), Problem::RecordDifferent),
        (Some(without_contents), Problem::RecordWithoutContents),
        (Some(wrong_block), Problem::RecordWithoutContents),
    ] {
        fs::remove_file(&record)?;
        if let Some(bytes) = bytes {
            fs::write(&record, bytes)?;
        }
        for depth in [VerifyDepth::Records, VerifyDepth::Contents] {
            let report = verify(&store, depth)?;
            assert_eq!(problems(&report, &info), std::slice::from_ref(&problem));
        }
        assert!(store.path_info(&info.path)?.is_some());
        fs::write(&record, &good)?;
    }
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn without_a_list_of_files_damage_is_found_and_not_where() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let digest = info.path.digest().to_string();
    fs::remove_file(
        store
            .root()
            .join("var/meta")
            .join(&digest[..2])
            .join(&digest),
    )?;
    flip(&store.real_path(&info.path).join("lib/so"), 100_000)?;
    assert_eq!(
        problems(&contents(&store)?, &info),
        [Problem::Contents, Problem::RecordMissing]
    );
    Ok(())
}

#[test]
fn what_does_not_belong_into_the_store_is_told() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let directory = store.store_directory();
    let stray = scratch_path(&"stray".parse()?, "out").to_string();
    fs::write(directory.join(&stray), "stray")?;
    fs::write(directory.join("notes.txt"), "notes")?;
    let report = contents(&store)?;
    let found: Vec<(&str, &Problem)> = report
        .findings
        .iter()
        .map(|finding| (finding.entry.as_str(), &finding.problem))
        .collect();
    let mut expected = vec![
        (stray.as_str(), &Problem::Unregistered),
        ("notes.txt", &Problem::Foreign),
    ];
    expected.sort();
    assert_eq!(found, expected);
    // Not when only one object is asked for.
    let options = VerifyOptions {
        paths: vec![info.path.clone()],
        depth: VerifyDepth::Contents,
    };
    let one = store.verify(&options, &Watch::nobody())?;
    assert_eq!((one.objects, one.findings), (1, Vec::new()));
    Ok(())
}

#[test]
fn a_row_that_lies_about_references_is_found() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let user = store.add_tree("user", MemoryNode::file(info.path.to_logical()), &[&info])?;
    rusqlite::Connection::open(store.root().join("var/db.sqlite"))?
        .execute("DELETE FROM reference", [])?;
    let report = contents(&store)?;
    assert_eq!(
        problems(&report, &user),
        [Problem::Identity, Problem::RecordDifferent]
    );
    Ok(())
}

#[test]
fn a_path_that_is_not_registered_cannot_be_verified() -> TestResult {
    let store = TempStore::new();
    let options = VerifyOptions {
        paths: vec![scratch_path(&"x".parse()?, "out")],
        ..VerifyOptions::default()
    };
    let error = store.verify(&options, &Watch::nobody()).unwrap_err();
    assert!(matches!(error, VerifyError::Unknown { .. }), "{error}");
    Ok(())
}

#[test]
fn progress_adds_up_also_when_files_are_missing() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    tamper(&store.real_path(&info.path).join("share/doc"), |path| {
        fs::remove_file(path)
    })?;
    let started = Mutex::new(None);
    let done = AtomicU64::new(0);
    let progress = |progress| match progress {
        Progress::Started { objects, bytes } => {
            *started.lock().unwrap() = Some((objects, bytes));
        }
        Progress::Advanced { bytes } => {
            done.fetch_add(bytes, Ordering::Relaxed);
        }
    };
    let watch = Watch {
        progress: &progress,
        cancel: &AtomicBool::new(false),
    };
    let options = VerifyOptions {
        depth: VerifyDepth::Contents,
        ..VerifyOptions::default()
    };
    store.verify(&options, &watch)?;
    assert_eq!(*started.lock().unwrap(), Some((1, info.size_bytes)));
    assert_eq!(done.load(Ordering::Relaxed), info.size_bytes);
    Ok(())
}

#[test]
fn an_interrupted_verification_marks_nothing() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    flip(&store.real_path(&info.path).join("share/doc"), 0)?;
    let watch = Watch {
        progress: &|_| {},
        cancel: &AtomicBool::new(true),
    };
    let options = VerifyOptions {
        depth: VerifyDepth::Contents,
        ..VerifyOptions::default()
    };
    let error = store.verify(&options, &watch).unwrap_err();
    assert!(matches!(error, VerifyError::Interrupted));
    assert!(store.path_info(&info.path)?.is_some());
    Ok(())
}

#[test]
fn damaged_bytes_are_not_linked_to_by_the_next_add() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    flip(&store.real_path(&info.path).join("lib/so"), 70_000)?;
    contents(&store)?;
    let other = store.add_tree("other", MemoryNode::file(vec![7; 300 * KIB]), &[])?;
    assert_eq!(fs::read(store.real_path(&other.path))?, vec![7; 300 * KIB]);
    Ok(())
}

#[test]
fn roots_that_change_meanwhile_are_no_damage() -> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    let changer = open(store.root())?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            for turn in 0..200 {
                changer.add_root(
                    &format!("root-{}", turn % 3),
                    &info.path,
                    RootKind::Explicit,
                )?;
                if turn % 2 == 0 {
                    changer.remove_root(&format!("root-{}", turn % 3))?;
                }
            }
            done.store(true, Ordering::Relaxed);
            Ok::<(), RootError>(())
        });
        while !done.load(Ordering::Relaxed) && !changing.is_finished() {
            let findings = verify(&store, VerifyDepth::Records)?.findings;
            assert_eq!(findings, []);
        }
        Ok::<(), Box<dyn Error>>(changing.join().expect("it does not panic")?)
    })
}

#[test]
fn what_a_process_left_that_died_since_the_store_was_opened_is_put_right_and_no_damage()
-> TestResult {
    let store = TempStore::new();
    let info = with_object(&store)?;
    store.add_root("kept", &info.path, RootKind::Explicit)?;
    // What is left of one who died after the record of a root and before its row.
    let records = store.root().join("var/meta/roots");
    let kept = fs::read_dir(&records)?.next().ok_or("a record")??.path();
    let kept = fs::read_to_string(kept)?;
    let name = blake3::hash(b"late").to_hex()[..32].to_owned();
    fs::write(records.join(&name), kept.replace("\"kept\"", "\"late\""))?;
    let findings = verify(&store, VerifyDepth::Records)?.findings;
    let problems: Vec<&Problem> = findings.iter().map(|finding| &finding.problem).collect();
    assert_eq!(problems, [&Problem::RecordDifferent], "nobody has died");

    fs::create_dir(store.store_directory().join(".staging/gone"))?;
    assert_eq!(verify(&store, VerifyDepth::Records)?.findings, []);
    let roots: Vec<String> = store
        .list_roots()?
        .into_iter()
        .map(|root| root.name)
        .collect();
    assert_eq!(roots, ["kept", "late"]);
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

#[test]
fn many_objects_without_their_records_are_looked_at_again_one_by_one() -> TestResult {
    let store = TempStore::new();
    for number in 0..12 {
        // Large enough to be hashed by several threads.
        let tree = memory_tree(&[("file", MemoryNode::file(noise(number, 1 << 20)))]);
        let info = store.add_tree(&format!("object-{number}"), tree, &[])?;
        let digest = info.path.digest().to_string();
        let shard = store.root().join("var/meta").join(&digest[..2]);
        fs::remove_file(shard.join(&digest))?;
    }
    let report = contents(&store)?;
    let problems = report.findings.iter().map(|finding| &finding.problem);
    let missing = problems.filter(|problem| **problem == Problem::RecordMissing);
    assert_eq!(missing.count(), 12);
    assert_eq!(report.damaged.len(), 0);
    Ok(())
}
