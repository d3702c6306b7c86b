//! The order in which the marker of an unclean shutdown comes and goes: without it nobody looks for what a power cut undid.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    thread,
};

use store::{
    GcOptions, MemoryNode, PathInfo, RootKind,
    faults::observe,
    testing::{StoreDirectory, add_tree, find_faults, open},
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const NONE: Vec<String> = Vec::new();

/// An operation, and whether the marker was there before it.
type Operation = (&'static str, bool);

/// Returns what the store at `root` does to the disk while `work` runs in this thread.
fn operations(root: &Path, work: impl FnOnce() -> TestResult) -> TestResult<Vec<Operation>> {
    // Others observe as well.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (marker, ours, writer) = (
        root.join("var/unclean"),
        thread::current().id(),
        Arc::clone(&seen),
    );
    observe(Some(Arc::new(move |operation| {
        if thread::current().id() == ours {
            let mut seen = writer.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push((operation, marker.exists()));
        }
    })));
    let done = work();
    observe(None);
    done?;
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *seen))
}

/// Panics unless the last change before the marker went was brought to disk.
#[track_caller]
fn expect_synced_before_the_marker_goes(operations: &[Operation]) {
    let last = operations.iter().rposition(|(_, marked)| *marked);
    let (before, _) = operations.split_at(last.expect("there was a marker") + 1);
    let changed = |(operation, _): &Operation| ["rename", "unlink"].contains(operation);
    assert!(
        before.iter().filter(|one| changed(one)).count() > 1,
        "{before:?}"
    );
    assert!(
        matches!(before, [.., ("syncfs", _), ("unlink", _)]),
        "{before:?}"
    );
}

fn add(root: &Path) -> TestResult<PathInfo> {
    let tree = MemoryNode::file("some text\n");
    Ok(add_tree(&open(root)?, "text", tree, &[])?)
}

fn record(root: &Path, info: &PathInfo) -> PathBuf {
    let digest = info.path.digest().to_string();
    root.join("var/meta").join(&digest[..2]).join(digest)
}

fn mark_crashed(root: &Path) -> TestResult {
    Ok(fs::write(root.join("var/unclean"), "another boot")?)
}

#[test]
fn the_marker_is_on_disk_before_the_first_change() -> TestResult {
    let directory = StoreDirectory::new();
    let root = directory.path();
    let info = add(root)?;
    let store = open(root)?;
    let operations = operations(root, || {
        Ok(store.add_root("text", &info.path, RootKind::Explicit)?)
    })?;
    let synced = operations.iter().position(|(name, _)| *name == "fsync");
    let (before, after) = operations.split_at(synced.ok_or("nothing was synced")? + 1);
    let names: Vec<_> = before.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["lock", "lock", "write", "rename", "fsync"]);
    assert!(after.iter().all(|(_, marked)| *marked), "{after:?}");
    Ok(())
}

#[test]
fn what_was_done_is_on_disk_before_the_last_writer_takes_the_marker_away() -> TestResult {
    let directory = StoreDirectory::new();
    let root = directory.path();
    add(root)?;
    let operations = operations(root, || {
        let store = open(root)?;
        let never = AtomicBool::new(false);
        store.collect_garbage(&GcOptions::default(), &|_| {}, &never)?;
        Ok(())
    })?;
    expect_synced_before_the_marker_goes(&operations);
    Ok(())
}

#[test]
fn recovery_is_on_disk_before_the_marker_goes() -> TestResult {
    let directory = StoreDirectory::new();
    let root = directory.path();
    let database = root.join("var/db.sqlite");
    drop(open(root)?);
    let before = fs::read(&database)?;
    let info = add(root)?;
    // Renamed into place, and the machine went down: neither the bytes nor the row are on disk.
    fs::write(&database, before)?;
    fs::remove_file(root.join("store").join(info.path.to_string()))?;
    fs::write(root.join("store").join(info.path.to_string()), "")?;
    let staging = root.join("store/.staging/another.1.0");
    fs::create_dir(&staging)?;
    fs::write(staging.join("publish"), format!("{}\n", info.path))?;
    mark_crashed(root)?;
    let operations = operations(root, || {
        open(root)?;
        Ok(())
    })?;
    expect_synced_before_the_marker_goes(&operations);
    assert!(!staging.exists() && !record(root, &info).exists());
    assert_eq!(find_faults(&open(root)?), NONE);
    Ok(())
}

#[test]
fn records_whose_removal_a_power_cut_undid_are_removed_again() -> TestResult {
    let directory = StoreDirectory::new();
    let root = directory.path();
    let info = add(root)?;
    let record = record(root, &info);
    let text = fs::read(&record)?;
    let never = AtomicBool::new(false);
    open(root)?.collect_garbage(&GcOptions::default(), &|_| {}, &never)?;
    assert!(!record.exists());
    fs::write(&record, text)?;
    fs::write(record.with_extension("signatures"), "{}")?;
    mark_crashed(root)?;
    assert_eq!(find_faults(&open(root)?), NONE);
    assert_eq!(add(root)?, info);
    Ok(())
}
