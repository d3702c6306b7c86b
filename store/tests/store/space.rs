//! A small disk that fills up. The store lies on a file system in memory, in a user and mount namespace of its own.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    sync::{atomic::AtomicBool, mpsc},
    thread,
};

use store::{
    AddBatch, AddError, AddObject, AddSource, DbError, GcOptions, LocalStore, MemoryNode, PathInfo,
    ReadOnlyReason, RootError, RootKind, StoreOptions,
    testing::{self, add_tree, find_faults, memory_tree, open},
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const ROLE: &str = "STORE_TEST_ROLE";
const ROOT: &str = "STORE_TEST_ROOT";
const MEBI: usize = 1 << 20;
const NONE: Vec<String> = Vec::new();

/// Mounts a file system in memory and becomes this test program.
const MOUNT: &str = r#"mount -t tmpfs -o "$0" none "$STORE_TEST_ROOT" && exec "$@""#;

/// Runs a role with the store on a file system with these options.
fn on_small_disk(role: &str, options: &str) -> TestResult {
    let directory = tempfile::tempdir()?;
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT])
        .arg(options)
        .arg(env::current_exe()?)
        .args(["--exact", "space::role", "--nocapture"])
        .env(ROLE, role)
        .env(ROOT, directory.path())
        .output()?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{role}: {text}");
    assert!(text.contains("1 passed"), "{role}: {text}");
    Ok(())
}

/// What runs on the small disk. Nothing when the tests run as such.
#[test]
fn role() -> TestResult {
    let (Ok(role), Ok(root)) = (env::var(ROLE), env::var(ROOT)) else {
        return Ok(());
    };
    let root = Path::new(&root);
    match role.as_str() {
        "too-large" => too_large(root),
        "brim" => brim(root),
        "files" => files(root),
        "reserved" => reserved(root),
        "reserve" => reserve(root),
        role => panic!("unknown role {role:?}"),
    }
}

fn add(store: &LocalStore, name: &str, size: usize) -> Result<PathInfo, AddError> {
    add_tree(store, name, MemoryNode::file(vec![1; size]), &[])
}

/// Writes until there is no room for a single byte.
fn fill(root: &Path) -> io::Result<()> {
    let mut file = File::create(root.join("filler"))?;
    for size in [MEBI, 4096, 1] {
        let block = vec![7; size];
        while file.write_all(&block).is_ok() {}
    }
    Ok(())
}

#[test]
fn an_add_that_is_larger_than_the_disk_is_refused_before_it_is_written() -> TestResult {
    on_small_disk("too-large", "size=64m")
}

fn too_large(root: &Path) -> TestResult {
    let store = open(root)?;
    add(&store, "fits", 10 * MEBI)?;
    let source = tempfile::tempdir()?;
    // Without blocks, so that it has room where the store has none.
    File::create(source.path().join("large"))?.set_len(100 << 30)?;
    let parent = File::open(source.path())?;
    let entry = || AddSource::Entry {
        parent: std::os::fd::AsFd::as_fd(&parent),
        name: ".".as_ref(),
    };
    let tree = memory_tree(&[("a/b", MemoryNode::file(vec![1; 60 * MEBI]))]);
    for (source, size) in [(entry(), 100u64 << 30), (AddSource::Tree(tree), 60 << 20)] {
        let batch = AddBatch {
            objects: vec![AddObject::new("large".parse()?, source)],
            ..AddBatch::default()
        };
        let error = store.add(batch).err().ok_or("it has no room")?;
        let AddError::NoSpace {
            needed, available, ..
        } = error
        else {
            return Err(error.into());
        };
        assert!(needed > size && needed < size + size / 40, "{needed}");
        assert!(available < 54 << 20 && available > 40 << 20, "{available}");
    }
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_disk_filled_by_others_refuses_an_add_and_takes_it_once_there_is_room() -> TestResult {
    on_small_disk("brim", "size=64m")
}

fn brim(root: &Path) -> TestResult {
    let store = open(root)?;
    let old = add(&store, "old", 100_000)?;
    fill(root)?;
    for size in [1, 100_000] {
        let error = add(&store, "new", size).err().ok_or("it has no room")?;
        assert!(matches!(error, AddError::NoSpace { .. }), "{error}");
    }
    let realised = store.add_root("old", &old.path, RootKind::Explicit);
    assert!(
        matches!(
            realised,
            Err(RootError::Db(DbError::Full { .. }) | RootError::File(_))
        ),
        "{realised:?}"
    );
    drop(store);
    // What only reads is answered still, and what writes is refused with the reason.
    let store = open(root)?;
    assert_eq!(store.path_info(&old.path)?, Some(old));
    let error = add(&store, "new", 1).err().ok_or("it has no room")?;
    assert!(
        matches!(
            error,
            AddError::NoSpace { .. }
                | AddError::Db(DbError::ReadOnly {
                    reason: ReadOnlyReason::Full,
                    ..
                })
        ),
        "{error}"
    );
    drop(store);
    fs::remove_file(root.join("filler"))?;
    let store = open(root)?;
    add(&store, "new", 100_000)?;
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_disk_without_room_for_names_says_so() -> TestResult {
    on_small_disk("files", "size=64m,nr_inodes=400")
}

fn files(root: &Path) -> TestResult {
    let store = open(root)?;
    let names: Vec<String> = (0..500).map(|number| format!("f{number}")).collect();
    let nodes: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), MemoryNode::file("x")))
        .collect();
    let error = add_tree(&store, "many", memory_tree(&nodes), &[])
        .err()
        .ok_or("it has no room")?;
    assert!(
        matches!(
            error,
            AddError::NoFiles {
                needed: 501..510,
                available: 1..400,
                ..
            }
        ),
        "{error}"
    );
    add_tree(&store, "few", memory_tree(&nodes[..50]), &[])?;
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn what_one_add_is_going_to_write_is_not_free_for_another() -> TestResult {
    on_small_disk("reserved", "size=64m")
}

/// Bytes that come when somebody says so.
struct Held {
    begun: Option<mpsc::Sender<()>>,
    go_on: mpsc::Receiver<()>,
}

impl Read for Held {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        drop(self.begun.take());
        // Ends when the other side is gone, too.
        let _told = self.go_on.recv();
        Ok(0)
    }
}

fn reserved(root: &Path) -> TestResult {
    let (store, other) = (open(root)?, open(root)?);
    let (begun, has_begun) = mpsc::channel();
    let (tell, go_on) = mpsc::channel();
    thread::scope(|scope| -> TestResult {
        let reader = Box::new(Held {
            begun: Some(begun),
            go_on,
        });
        let held = scope.spawn(|| {
            store.add(AddBatch {
                objects: vec![AddObject::new(
                    "held".parse().expect("a legal name"),
                    AddSource::Reader {
                        reader,
                        executable: false,
                    },
                )],
                declared_bytes: 40 << 20,
                ..AddBatch::default()
            })
        });
        let _begun = has_begun.recv();
        let error = add(&other, "second", 30 * MEBI)
            .err()
            .ok_or("it has no room")?;
        let AddError::NoSpace { available, .. } = error else {
            return Err(error.into());
        };
        assert!(available < 24 << 20, "{available}");
        add(&other, "small", 1000)?;
        drop(tell);
        held.join().map_err(|_| "the add panicked")??;
        Ok(())
    })?;
    add(&other, "second", 30 * MEBI)?;
    assert_eq!(fs::read_dir(root.join("var/space"))?.count(), 0);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn the_reserve_lets_a_full_store_be_collected() -> TestResult {
    on_small_disk("reserve", "size=200m")
}

fn reserve(root: &Path) -> TestResult {
    let reserve = root.join("var/reserve");
    let store = open(root)?;
    assert!(!reserve.exists(), "a reader makes none");
    let kept = add(&store, "kept", 100_000)?;
    store.add_root("kept", &kept.path, RootKind::Explicit)?;
    add(&store, "garbage", 40 * MEBI)?;
    assert!(fs::metadata(&reserve)?.blocks() * 512 >= 8 << 20);
    drop(store);
    fill(root)?;
    assert!(open(root)?.is_read_only());
    // There is no more room than before, but for what is collected.
    let collect = || -> TestResult<u64> {
        let store = LocalStore::open_to_delete(root, StoreOptions::new(|| testing::TEST_TIME))?;
        let never = AtomicBool::new(false);
        let report = store.collect_garbage(&GcOptions::default(), &|_| {}, &never)?;
        Ok(report.freed_bytes)
    };
    assert_eq!(collect()?, 40 << 20);
    assert!(!reserve.exists(), "there is no plenty of room");
    let store = open(root)?;
    assert_eq!(store.find_by_prefix("")?, [kept.path]);
    add(&store, "new", 20 * MEBI)?;
    drop(store);
    fs::remove_file(root.join("filler"))?;
    assert_eq!(collect()?, 20 << 20);
    assert!(fs::metadata(&reserve)?.blocks() * 512 >= 8 << 20);
    assert_eq!(find_faults(&open(root)?), NONE);
    Ok(())
}
