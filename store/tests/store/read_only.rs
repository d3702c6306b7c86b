//! A store on a mount that cannot be written: what it answers, what it refuses, and that nothing in it changes.
//!
//! The other process of these tests runs in a user and mount namespace of its own, where the store is mounted read-only.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs::{self, Permissions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use store::{
    AddError, DbError, LocalStore, MemoryNode, OpenError, PathInfo, RootError, RootKind, StorePath,
    VerifyDepth, VerifyOptions, Watch,
    testing::{StoreDirectory, add_tree, memory_tree, open},
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const ROLE: &str = "STORE_TEST_ROLE";
const ROOT: &str = "STORE_TEST_ROOT";
const PATH: &str = "STORE_TEST_PATH";

/// Mounts the store over itself, read-only, and becomes this test program.
const MOUNT: &str = r#"mount --bind "$STORE_TEST_ROOT" "$STORE_TEST_ROOT" && mount -o remount,bind,ro "$STORE_TEST_ROOT" && exec "$@""#;

/// Starts this test program again where it cannot write to the store.
fn child(role: &str, root: &Path, path: &StorePath) -> io::Result<Child> {
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        MOUNT,
        "sh",
    ]);
    start(command, role, root, path)
}

fn start(mut command: Command, role: &str, root: &Path, path: &StorePath) -> io::Result<Child> {
    command
        .arg(env::current_exe()?)
        .args(["--exact", "read_only::role", "--nocapture"])
        .env(ROLE, role)
        .env(ROOT, root)
        .env(PATH, path.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
}

/// What the process that cannot write does. Nothing when the tests run as such.
#[test]
fn role() -> TestResult {
    let (Ok(role), Ok(root), Ok(path)) = (env::var(ROLE), env::var(ROOT), env::var(PATH)) else {
        return Ok(());
    };
    let (root, path) = (Path::new(&root), path.parse::<StorePath>()?);
    match role.as_str() {
        "read" => read(&open(root)?, &path),
        "refuse" => refuse(&open(root)?, &path),
        "follow" => follow(&open(root)?, &path),
        "unreadable" => {
            let opened = open(root);
            let unreadable = matches!(opened, Err(OpenError::Db(DbError::UnreadableLog { .. })));
            assert!(unreadable, "{opened:?}");
            Ok(())
        }
        role => panic!("unknown role {role:?}"),
    }
}

fn read(store: &LocalStore, path: &StorePath) -> TestResult {
    assert!(store.is_read_only());
    let lease = store.lease()?;
    lease.protect(&[*path.digest()])?;
    let info = store.path_info(path)?.ok_or("the object is valid")?;
    assert_eq!(store.find_by_id(&info.id)?.as_ref(), Some(&info));
    assert_eq!(store.closure(std::slice::from_ref(path))?.infos().len(), 2);
    assert_eq!(store.count_objects()?.0, 2);
    assert_eq!(store.list_roots()?.len(), 1);
    assert!(fs::read_to_string(store.real_path(path).join("program"))?.contains("/pith/store/"));
    Ok(())
}

fn refuse(store: &LocalStore, path: &StorePath) -> TestResult {
    let says = |error: &DbError| {
        let text = error.to_string();
        let place = store.root().display().to_string();
        matches!(error, DbError::ReadOnly { .. })
            && text.contains(&place)
            && text.contains("read-only")
    };
    for result in [
        add_tree(store, "new", MemoryNode::file("new"), &[]).map(drop),
        store.add_realisations(&[]),
    ] {
        let error = result.err().ok_or("it was written")?;
        assert!(
            matches!(&error, AddError::Db(error) if says(error)),
            "{error}"
        );
    }
    for result in [
        store.add_root("new", path, RootKind::Explicit),
        store.remove_root("root").map(drop),
        store.check_writable().map_err(RootError::from),
    ] {
        let error = result.err().ok_or("it was written")?;
        assert!(
            matches!(&error, RootError::Db(error) if says(error)),
            "{error}"
        );
    }
    let options = VerifyOptions {
        depth: VerifyDepth::Contents,
        ..VerifyOptions::default()
    };
    assert_eq!(store.verify(&options, &Watch::nobody())?.findings, []);
    Ok(())
}

/// Reads while somebody else writes.
#[expect(
    clippy::print_stdout,
    reason = "what it saw is told to the other process"
)]
fn follow(store: &LocalStore, path: &StorePath) -> TestResult {
    let mut lines = io::stdin().lines();
    loop {
        let valid = store.find_by_prefix("")?;
        assert!(valid.contains(path));
        // The harness of the tests writes to standard output as well.
        println!("\nsaw {}", valid.len());
        io::stdout().flush()?;
        if lines.next().transpose()?.is_none_or(|line| line == "end") {
            return Ok(());
        }
    }
}

/// Two objects, one of them a root that refers to the other.
fn prepare(root: &Path) -> TestResult<PathInfo> {
    let store = open(root)?;
    let library = add_tree(&store, "library", MemoryNode::file(vec![1; 9_000]), &[])?;
    let program = memory_tree(&[("program", MemoryNode::program(library.path.to_logical()))]);
    let program = add_tree(&store, "program", program, &[&library])?;
    store.add_root("root", &program.path, RootKind::Explicit)?;
    Ok(program)
}

/// Everything below a directory with its size and times.
fn snapshot(directory: &Path) -> io::Result<BTreeMap<PathBuf, (u64, i64, i64)>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            found.insert(
                entry.path(),
                (metadata.len(), metadata.mtime(), metadata.ctime_nsec()),
            );
            if metadata.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn succeeds(role: &str, root: &Path, path: &StorePath) -> TestResult {
    passes(child(role, root, path)?, role)
}

fn passes(child: Child, role: &str) -> TestResult {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{role}: {text}");
    assert!(text.contains("1 passed"), "{role}: {text}");
    Ok(())
}

#[test]
fn a_read_only_store_answers_and_nothing_in_it_changes() -> TestResult {
    let directory = StoreDirectory::new();
    let info = prepare(directory.path())?;
    let before = snapshot(directory.path())?;
    succeeds("read", directory.path(), &info.path)?;
    succeeds("refuse", directory.path(), &info.path)?;
    assert_eq!(snapshot(directory.path())?, before);
    Ok(())
}

#[test]
fn a_read_only_store_with_unusual_letters_in_its_path_answers() -> TestResult {
    let directory = StoreDirectory::new();
    let root = directory.path().join("ä b?c=d&e#f%25'");
    let info = prepare(&root)?;
    succeeds("read", &root, &info.path)
}

#[test]
fn a_read_only_store_that_is_open_for_writing_elsewhere_answers() -> TestResult {
    let directory = StoreDirectory::new();
    let info = prepare(directory.path())?;
    let writer = open(directory.path())?;
    writer.add_root("root", &info.path, RootKind::BuildResult)?;
    assert!(fs::metadata(directory.path().join("var/db.sqlite-wal"))?.len() > 0);
    succeeds("read", directory.path(), &info.path)?;
    succeeds("refuse", directory.path(), &info.path)
}

#[test]
fn a_reader_that_cannot_write_sees_what_others_add() -> TestResult {
    let directory = StoreDirectory::new();
    let info = prepare(directory.path())?;
    let mut reader = child("follow", directory.path(), &info.path)?;
    let mut commands = reader.stdin.take().ok_or("no input")?;
    let output = BufReader::new(reader.stdout.take().ok_or("no output")?);
    let mut seen = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("saw ")?.parse::<usize>().ok());
    assert_eq!(seen.next(), Some(2));
    // Written and closed, so that the file itself has changed; written and still open; closed again.
    let mut writer: Option<LocalStore> = None;
    for (number, stays_open) in [(3, false), (4, false), (5, true), (6, true), (7, false)] {
        let store = match writer.take() {
            Some(store) => store,
            None => open(directory.path())?,
        };
        add_tree(&store, "more", MemoryNode::file(number.to_string()), &[])?;
        if stays_open {
            writer = Some(store);
        } else {
            drop(store);
        }
        writeln!(commands, "look")?;
        assert_eq!(seen.next(), Some(number));
    }
    writeln!(commands, "end")?;
    assert_eq!(seen.count(), 0);
    assert!(reader.wait()?.success());
    Ok(())
}

#[test]
fn a_log_of_a_writer_that_died_is_read_with_its_index_and_refused_without() -> TestResult {
    let directory = StoreDirectory::new();
    let original = StoreDirectory::new();
    let info = prepare(original.path())?;
    let writer = open(original.path())?;
    writer.add_root("root", &info.path, RootKind::BuildResult)?;
    // As the disk would look if the writer's process died here.
    let status = Command::new("cp")
        .arg("-a")
        .arg(original.path().join("store"))
        .arg(original.path().join("var"))
        .arg(directory.path())
        .status()?;
    assert!(status.success());
    drop(writer);
    succeeds("read", directory.path(), &info.path)?;
    fs::remove_file(directory.path().join("var/db.sqlite-shm"))?;
    succeeds("unreadable", directory.path(), &info.path)
}

#[test]
fn a_store_whose_files_this_user_may_not_write_answers() -> TestResult {
    let directory = StoreDirectory::new();
    let info = prepare(directory.path())?;
    let database = directory.path().join("var/db.sqlite");
    fs::set_permissions(&database, Permissions::from_mode(0o444))?;
    for role in ["read", "refuse"] {
        // Whose user is not mapped has no privileges, root neither.
        let mut command = Command::new("unshare");
        command.arg("--user");
        let child = start(command, role, directory.path(), &info.path)?;
        passes(child, role)?;
    }
    Ok(())
}
