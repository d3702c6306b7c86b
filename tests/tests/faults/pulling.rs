//! Objects that come from a cache.

use std::{fs, path::PathBuf, sync::Arc, sync::atomic::AtomicBool, time::Duration};

use store::{
    LocalStore, MemoryNode, ObjectId, StorePath,
    cache::{
        backend::{BackendOptions, open_backend},
        pull::Puller,
        source::{Policy as Patience, Source},
    },
    testing::{self, TEST_TIME, memory_tree},
    trust::{Policy, PolicyRules},
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    name: "pull",
    prepare: write_cache,
    act: pull,
    is_done: |store| Ok(store.path_info(&wanted(store)?.0)?.is_some()),
    // What is complete is kept, references first.
    is_undone: |store| {
        let paths = store.find_by_prefix("")?;
        let names: Vec<&str> = paths.iter().map(|path| path.name().as_str()).collect();
        match names.as_slice() {
            [] | ["library"] => Ok(()),
            names => Err(format!("in part: {names:?}").into()),
        }
    },
}];

fn cache(store: &LocalStore) -> PathBuf {
    store.root().join("cache-of-the-test")
}

/// Makes a cache of a library with files of all sizes and of a program that refers to it, in a store that is gone afterwards.
fn write_cache(store: &LocalStore) -> TestResult {
    let root = store.root().join("store-of-another");
    fs::create_dir(&root)?;
    let other = testing::open(&root)?;
    let mut large = vec![0; (2 << 20) + 1];
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
    testing::write_cache(&cache(store), &other, &[&program], None)?;
    fs::write(
        cache(store).join("wanted"),
        format!("{} {}", program.path, program.id),
    )?;
    drop(other);
    testing::make_writable(&root)?;
    Ok(fs::remove_dir_all(root)?)
}

fn wanted(store: &LocalStore) -> TestResult<(StorePath, ObjectId)> {
    let text = fs::read_to_string(cache(store).join("wanted"))?;
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
