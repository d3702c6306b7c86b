//! Objects that come from a cache or a stream.

use std::{fs, path::PathBuf, sync::Arc, sync::atomic::AtomicBool, time::Duration};

use store::{
    LocalStore, MemoryNode, ObjectId, PathInfo, StorePath, Watch,
    cache::{
        backend::{BackendOptions, open_backend},
        pull::Puller,
        source::{Policy as Patience, Source},
    },
    export::{Believe, export, import},
    testing::{self, TEST_TIME, memory_tree},
    trust::{Policy, PolicyRules},
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "pull",
        prepare: |store| with_another(store, (2 << 20) + 1, write_cache),
        act: pull,
        is_done: |store| Ok(store.path_info(&wanted(store)?.0)?.is_some()),
        is_undone,
    },
    Operation {
        name: "import",
        prepare: |store| with_another(store, (1 << 20) + 1, write_stream),
        act: |store| {
            let lease = store.lease()?;
            let mut stream = fs::File::open(stream(store))?;
            import(
                store,
                &mut stream,
                Believe::Everything,
                &lease,
                &Watch::nobody(),
            )?;
            Ok(())
        },
        is_done: |store| Ok(store.path_info(&wanted(store)?.0)?.is_some()),
        is_undone,
    },
];

/// What is complete is kept, references first.
fn is_undone(store: &LocalStore) -> TestResult {
    let paths = store.find_by_prefix("")?;
    let names: Vec<&str> = paths.iter().map(|path| path.name().as_str()).collect();
    match names.as_slice() {
        [] | ["library"] => Ok(()),
        names => Err(format!("in part: {names:?}").into()),
    }
}

fn cache(store: &LocalStore) -> PathBuf {
    store.root().join("cache-of-the-test")
}

fn stream(store: &LocalStore) -> PathBuf {
    store.root().join("stream-of-the-test")
}

/// Writes something from a store that is gone afterwards: a library with files of all sizes, the largest so large that it comes in pieces, and a program that refers to it.
fn with_another(
    store: &LocalStore,
    large: usize,
    write: fn(&LocalStore, &LocalStore, &PathInfo) -> TestResult,
) -> TestResult {
    let root = store.root().join("store-of-another");
    fs::create_dir(&root)?;
    let other = testing::open(&root)?;
    let mut large = vec![0; large];
    let random: Vec<u8> = (0..large.len() as u64 / 8)
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect();
    large[..random.len()].copy_from_slice(&random);
    let tree = memory_tree(&[
        ("lib/large", MemoryNode::file(large)),
        ("lib/middle", MemoryNode::file(vec![1; 10_000])),
        ("lib/small", MemoryNode::file("small")),
        ("lib/link", MemoryNode::symlink("small")?),
    ]);
    let library = testing::add_tree(&other, "library", tree, &[])?;
    let tree = memory_tree(&[("bin", MemoryNode::program(library.path.to_logical()))]);
    let program = testing::add_tree(&other, "program", tree, &[&library])?;
    write(store, &other, &program)?;
    fs::write(
        store.root().join("wanted-by-the-test"),
        format!("{} {}", program.path, program.id),
    )?;
    drop(other);
    testing::make_writable(&root)?;
    Ok(fs::remove_dir_all(root)?)
}

fn write_cache(store: &LocalStore, other: &LocalStore, program: &PathInfo) -> TestResult {
    testing::write_cache(&cache(store), other, &[program], None)
}

fn write_stream(store: &LocalStore, other: &LocalStore, program: &PathInfo) -> TestResult {
    let mut file = fs::File::create(stream(store))?;
    let paths = std::slice::from_ref(&program.path);
    export(other, paths, &mut file, &Watch::nobody())?;
    Ok(())
}

fn wanted(store: &LocalStore) -> TestResult<(StorePath, ObjectId)> {
    let text = fs::read_to_string(store.root().join("wanted-by-the-test"))?;
    let (path, id) = text.split_once(' ').ok_or("a path and an id")?;
    Ok((path.parse()?, id.parse()?))
}

fn pull(store: &LocalStore) -> TestResult {
    let path = cache(store);
    let url = path.to_str().ok_or("a path of text")?.parse()?;
    let backend = open_backend(&url, &BackendOptions::default())?;
    let sources = [Arc::new(Source::new(backend, Patience::default()))];
    let policy = Policy::new(PolicyRules::default());
    let puller = Puller::new(store, &sources, policy, TEST_TIME).keep_frames_after(Duration::ZERO);
    let lease = store.lease()?;
    puller.pull(&[wanted(store)?], &lease, &|_| {}, &AtomicBool::new(false))?;
    Ok(())
}
