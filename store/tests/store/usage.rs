//! What uses the disk, in a store with shared objects and shared files.

use std::error::Error;

use store::{
    Keeper, MemoryNode, PathInfo, RootKind,
    testing::{TempStore, memory_tree as tree},
};

type TestResult = Result<(), Box<dyn Error>>;

/// A file that takes whole blocks on every file system that tests run on.
fn file(seed: u8, size: usize) -> MemoryNode {
    MemoryNode::file(vec![seed; size])
}

const LARGE: usize = 1 << 20;
const LARGE_BYTES: u64 = 1 << 20;

/// Two applications with a library in common, and a file that is in both and in garbage.
struct Example {
    store: TempStore,
    library: PathInfo,
    one: PathInfo,
    two: PathInfo,
    garbage: PathInfo,
}

fn example() -> Result<Example, Box<dyn Error>> {
    let store = TempStore::new();
    let library = store.add_tree("library", file(1, LARGE), &[])?;
    let app = |seed: u8| {
        tree(&[
            ("bin", MemoryNode::file(library.path.to_logical())),
            ("own", file(seed, LARGE)),
            ("common", file(9, LARGE)),
        ])
    };
    let one = store.add_tree("one", app(2), &[&library])?;
    let two = store.add_tree("two", app(3), &[&library])?;
    let nodes = [("common", file(9, LARGE)), ("own", file(4, 2 * LARGE))];
    let garbage = store.add_tree("garbage", tree(&nodes), &[])?;
    store.add_root("one", &one.path, RootKind::Explicit)?;
    store.add_root("two", &two.path, RootKind::Explicit)?;
    Ok(Example {
        store,
        library,
        one,
        two,
        garbage,
    })
}

/// Asserts that bytes on disk are those of these large files, but for a few blocks of small files and directories.
#[track_caller]
fn assert_about(bytes: u64, large_files: u64) {
    let expected = large_files * LARGE_BYTES;
    assert!(
        (expected..expected + 100_000).contains(&bytes),
        "{bytes} is not about {large_files} MiB"
    );
}

#[test]
fn sizes_count_each_file_and_blocks_each_inode() -> TestResult {
    let Example {
        store,
        library,
        one,
        two,
        garbage,
    } = example()?;
    let usage = store.usage()?;
    assert_eq!(usage.objects, 4);
    let sum = [&library, &one, &two, &garbage].map(|info| info.size_bytes);
    assert_eq!(usage.size_bytes, sum.iter().sum::<u64>());
    // library, two apps' own, two of garbage, and the common one.
    assert_about(usage.disk_bytes, 6);
    assert_eq!(usage.saved_bytes, 2 * LARGE_BYTES);
    assert_eq!(usage.unkept_bytes, garbage.size_bytes);
    assert_about(usage.unkept_disk_bytes, 2);
    assert_eq!(usage.keepers.len(), 2);
    for (keeper, info) in usage.keepers.iter().zip([&one, &two]) {
        let name = info.path.name().to_string();
        let kind = RootKind::Explicit;
        assert_eq!(keeper.keeper, Keeper::Root { name, kind });
        assert_eq!(keeper.size_bytes, info.size_bytes + library.size_bytes);
        assert_eq!(keeper.unique_bytes, info.size_bytes);
        // The common file stays with the others.
        assert_about(keeper.freed_bytes, 1);
    }
    Ok(())
}

#[test]
fn what_a_root_frees_is_free_after_a_collection() -> TestResult {
    let Example { store, .. } = example()?;
    let never = std::sync::atomic::AtomicBool::new(false);
    let collect = || store.collect_garbage(&store::GcOptions::default(), &|_| {}, &never);
    let before = store.usage()?;
    collect()?;
    let after = store.usage()?;
    assert_eq!(
        after.disk_bytes,
        before.disk_bytes - before.unkept_disk_bytes
    );
    let freed = after.keepers.first().ok_or("two roots")?.freed_bytes;
    assert_about(freed, 1);
    store.remove_root("one")?;
    collect()?;
    let last = store.usage()?;
    assert_eq!(last.disk_bytes, after.disk_bytes - freed);
    // The common file is now of the last root alone, and so is the library.
    assert_about(last.keepers.first().ok_or("a root")?.freed_bytes, 3);
    assert_eq!(last.saved_bytes, 0);
    store.remove_root("two")?;
    collect()?;
    assert_eq!(store.usage()?, store::Usage::default());
    Ok(())
}

#[test]
fn a_target_has_what_others_do_not_need_and_what_they_do() -> TestResult {
    let Example {
        store,
        library,
        one,
        garbage,
        ..
    } = example()?;
    let targets = [one.path.clone(), library.path.clone(), garbage.path.clone()];
    // As whoever asks does.
    let lease = store.lease()?;
    assert_eq!(store.hold(&lease, &targets)?, []);
    let usages = store.usage_of(&targets)?;
    let numbers: Vec<_> = usages
        .iter()
        .map(|usage| {
            (
                usage.objects,
                usage.size_bytes,
                usage.unique_bytes,
                usage.shared_bytes,
            )
        })
        .collect();
    let expected = [
        (
            2,
            one.size_bytes + library.size_bytes,
            one.size_bytes,
            library.size_bytes,
        ),
        // Both roots lead to it, but through it alone: what needs it cannot be without it.
        (1, library.size_bytes, library.size_bytes, 0),
        (1, garbage.size_bytes, garbage.size_bytes, 0),
    ];
    assert_eq!(numbers, expected);
    for (usage, (disk, freed)) in usages.iter().zip([(3, 1), (1, 1), (3, 2)]) {
        assert_about(usage.disk_bytes, disk);
        assert_about(usage.freed_bytes, freed);
        assert_eq!(usage.saved_bytes, 0);
    }
    let unknown = store::scratch_path(&"unknown".parse()?, "out");
    assert!(store.usage_of(&[unknown]).is_err());
    Ok(())
}

#[test]
fn a_file_that_is_in_an_object_twice_is_saved_once() -> TestResult {
    let store = TempStore::new();
    let nodes = [("a", file(1, LARGE)), ("b", file(1, LARGE))];
    let info = store.add_tree("twice", tree(&nodes), &[])?;
    let usage = store.usage_of(std::slice::from_ref(&info.path))?.remove(0);
    assert_eq!(usage.size_bytes, 2 * LARGE_BYTES);
    assert_about(usage.disk_bytes, 1);
    assert_eq!(usage.saved_bytes, LARGE_BYTES);
    assert_about(usage.freed_bytes, 1);
    Ok(())
}
