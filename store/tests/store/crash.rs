//! Processes that die in the middle, machines that go down, and many processes at once.

use std::{
    collections::BTreeSet,
    env,
    error::Error,
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use store::{
    AddBatch, AddObject, AddSource, DbError, LocalStore, MemoryNode, NewRealisation, OpenError,
    PathInfo, ResolvedDigest, StorePath, scratch_path,
    testing::{StoreDirectory, TempStore, add_tree, find_faults, memory_tree, open},
};

type TestResult = Result<(), Box<dyn Error>>;

const ROLE: &str = "STORE_TEST_ROLE";
const ROOT: &str = "STORE_TEST_ROOT";
const NONE: Vec<String> = Vec::new();

/// Runs this test program again as another process, which does what `role` says; see [`role`].
fn child(role: &str, root: &Path) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .args(["--exact", "crash::role", "--nocapture"])
        .env(ROLE, role)
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// What a child process does. Nothing when the tests run as such.
#[test]
fn role() -> TestResult {
    let (Ok(role), Ok(root)) = (env::var(ROLE), env::var(ROOT)) else {
        return Ok(());
    };
    let root = Path::new(&root);
    match role.split(' ').collect::<Vec<_>>().as_slice() {
        ["many", seed] => {
            let seed: usize = seed.parse()?;
            let store = open(root)?;
            for index in 0..40 {
                let index = (index * 7 + seed * 13) % 40;
                add_tree(
                    &store,
                    &format!("n{index}"),
                    memory_tree(&[("d/f", MemoryNode::file(index.to_string()))]),
                    &[],
                )?;
            }
        }
        ["lease"] => {
            let store = open(root)?;
            let lease = store.lease()?;
            lease.protect(&[*some_path()?.digest()])?;
            println!("leased");
            io::stdin().read_to_end(&mut Vec::new())?;
            drop(lease);
        }
        role => panic!("unknown role {role:?}"),
    }
    Ok(())
}

fn some_path() -> Result<StorePath, Box<dyn Error>> {
    Ok(scratch_path(&"x".parse()?, "out"))
}

/// A batch that uses all steps: two outputs, one referring to the other, self-references, a realisation.
fn add(store: &LocalStore) -> Result<Vec<PathInfo>, Box<dyn Error>> {
    let (out, dev) = (
        scratch_path(&"lib".parse()?, "out"),
        scratch_path(&"lib-dev".parse()?, "dev"),
    );
    let text = |path: &StorePath| MemoryNode::file(path.to_logical());
    let object = |name: &str, scratch: &StorePath, tree| -> Result<_, Box<dyn Error>> {
        Ok(AddObject {
            scratch: Some(scratch.clone()),
            ..AddObject::new(name.parse()?, AddSource::Tree(tree))
        })
    };
    let batch = AddBatch {
        objects: vec![
            object(
                "lib-dev",
                &dev,
                memory_tree(&[("pc/lib", text(&out)), ("self", text(&dev))]),
            )?,
            object(
                "lib",
                &out,
                memory_tree(&[
                    ("lib/so", text(&out)),
                    ("large", MemoryNode::file(vec![7; 300_000])),
                ]),
            )?,
        ],
        realisations: vec![NewRealisation {
            resolved: ResolvedDigest::from_bytes([9; 32]),
            output: "out".into(),
            object: 1,
            sandbox: "full".into(),
            built_at: 1,
            duration_ms: 2,
        }],
        ..AddBatch::default()
    };
    Ok(store.add(batch)?)
}

#[test]
fn processes_that_add_the_same_objects_at_once_agree() -> TestResult {
    let directory = StoreDirectory::new();
    let children: Vec<Child> = (0..6)
        .map(|seed| child(&format!("many {seed}"), directory.path()))
        .collect::<Result<_, _>>()?;
    for child in children {
        assert!(child.wait_with_output()?.status.success());
    }
    let store = open(directory.path())?;
    assert_eq!(store.find_by_prefix("")?.len(), 40);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn threads_that_add_at_once_share_commits_and_all_succeed() -> TestResult {
    let store = TempStore::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for index in 0..20 {
                    let name = format!("n{}", (index + thread) % 20);
                    store
                        .add_tree(&name, MemoryNode::file(name.clone()), &[])
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(store.find_by_prefix("")?.len(), 20);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_lease_dies_with_its_process() -> TestResult {
    let directory = StoreDirectory::new();
    let store = open(directory.path())?;
    let mut holder = child("lease", directory.path())?;
    let mut output = holder.stdout.take().ok_or("no output")?;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("leased") {
        let mut byte = [0];
        output.read_exact(&mut byte)?;
        seen.extend(byte);
    }
    assert_eq!(store.leased()?, BTreeSet::from([*some_path()?.digest()]));
    holder.kill()?;
    holder.wait()?;
    assert_eq!(store.leased()?, BTreeSet::new());
    assert_eq!(
        fs::read_dir(directory.path().join("var/leases"))?.count(),
        0
    );
    Ok(())
}

/// Cuts a file of the store off, as a disk that lies about what it has written.
fn damage(file: &Path) -> io::Result<()> {
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))?;
    fs::write(file, "cut off")?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o444))
}

/// Makes the store look as after a crash of the machine.
fn mark_crashed(root: &Path) -> io::Result<()> {
    fs::write(root.join("var/unclean"), "another boot")
}

fn with_three_objects(root: &Path) -> Result<Vec<PathInfo>, Box<dyn Error>> {
    let store = open(root)?;
    let mut infos = add(&store)?;
    let user = AddObject::new(
        "user".parse()?,
        AddSource::Tree(MemoryNode::file(infos[1].path.to_logical())),
    );
    let candidates = vec![(infos[1].path.clone(), infos[1].id)];
    infos.extend(store.add(AddBatch {
        objects: vec![user],
        candidates,
        ..AddBatch::default()
    })?);
    Ok(infos)
}

#[test]
fn a_database_that_is_lost_is_rebuilt_exactly_from_the_records() -> TestResult {
    let directory = StoreDirectory::new();
    let infos = with_three_objects(directory.path())?;
    let realisations =
        open(directory.path())?.find_realisations(&ResolvedDigest::from_bytes([9; 32]))?;
    assert_eq!(realisations.len(), 1);
    fs::remove_file(directory.path().join("var/db.sqlite"))?;
    let store = open(directory.path())?;
    for info in &infos {
        assert_eq!(store.path_info(&info.path)?.as_ref(), Some(info));
    }
    assert_eq!(
        store.find_realisations(&ResolvedDigest::from_bytes([9; 32]))?,
        realisations
    );
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn transactions_that_a_power_cut_undid_are_made_again() -> TestResult {
    let directory = StoreDirectory::new();
    let database = directory.path().join("var/db.sqlite");
    drop(open(directory.path())?);
    let before = fs::read(&database)?;
    let infos = with_three_objects(directory.path())?;
    fs::write(&database, before)?;
    mark_crashed(directory.path())?;
    let store = open(directory.path())?;
    assert_eq!(store.find_by_prefix("")?.len(), infos.len());
    assert_eq!(find_faults(&store), NONE);
    assert!(!directory.path().join("var/unclean").exists());
    Ok(())
}

#[test]
fn directories_that_a_power_cut_undid_are_made_again() -> TestResult {
    let directory = StoreDirectory::new();
    drop(open(directory.path())?);
    for name in ["store", "var/meta", "var/leases", "var/lock"] {
        fs::remove_dir_all(directory.path().join(name))?;
    }
    let store = open(directory.path())?;
    assert_eq!(add(&store)?.len(), 2);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn an_orphan_with_wrong_bytes_is_removed_and_so_is_what_refers_to_it() -> TestResult {
    let directory = StoreDirectory::new();
    let database = directory.path().join("var/db.sqlite");
    drop(open(directory.path())?);
    let before = fs::read(&database)?;
    let infos = with_three_objects(directory.path())?;
    fs::write(&database, before)?;
    mark_crashed(directory.path())?;
    damage(
        &directory
            .path()
            .join("store")
            .join(infos[1].path.to_string())
            .join("lib/so"),
    )?;
    let store = open(directory.path())?;
    assert_eq!(store.find_by_prefix("")?, []);
    assert_eq!(find_faults(&store), NONE);
    assert_eq!(add(&store)?.len(), 2);
    Ok(())
}

#[test]
fn what_was_registered_just_before_a_crash_is_hashed_again() -> TestResult {
    let directory = StoreDirectory::new();
    let infos = with_three_objects(directory.path())?;
    damage(
        &directory
            .path()
            .join("store")
            .join(infos[1].path.to_string())
            .join("lib/so"),
    )?;
    mark_crashed(directory.path())?;
    let store = open(directory.path())?;
    assert_eq!(store.path_info(&infos[1].path)?, None);
    // Adding it again puts the good bytes in place of the bad ones, and all that refers to it is whole again.
    assert_eq!(add(&store)?, infos[..2]);
    assert_eq!(store.closure(&[infos[2].path.clone()])?.infos().len(), 2);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn the_last_writer_to_leave_takes_the_marker_away() -> TestResult {
    let directory = StoreDirectory::new();
    let marker = directory.path().join("var/unclean");
    let (first, second) = (open(directory.path())?, open(directory.path())?);
    assert!(!marker.exists(), "a reader is no writer");
    for store in [&first, &second] {
        store.add(AddBatch {
            objects: vec![AddObject::new(
                "x".parse()?,
                AddSource::Tree(MemoryNode::directory()),
            )],
            ..AddBatch::default()
        })?;
    }
    drop(first);
    assert!(marker.exists());
    drop(second);
    assert!(!marker.exists());
    Ok(())
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() -> TestResult {
    let directory = StoreDirectory::new();
    drop(open(directory.path())?);
    let path = directory.path().join("var/db.sqlite");
    rusqlite::Connection::open(&path)?.pragma_update(None, "user_version", 99)?;
    let error = open(directory.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Db(DbError::NewerFormat { found: 99, .. })),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_file_that_is_no_database_of_a_store_is_left_alone() -> TestResult {
    let directory = StoreDirectory::new();
    drop(open(directory.path())?);
    let path = directory.path().join("var/db.sqlite");
    fs::write(&path, vec![b'x'; 8192])?;
    let error = open(directory.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Db(DbError::Foreign { .. })),
        "{error}"
    );
    assert_eq!(fs::read(&path)?, vec![b'x'; 8192]);
    fs::remove_file(&path)?;
    rusqlite::Connection::open(&path)?
        .execute_batch("CREATE TABLE cookies (a); PRAGMA user_version = 1")?;
    let error = open(directory.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Db(DbError::Foreign { .. })),
        "{error}"
    );
    Ok(())
}
