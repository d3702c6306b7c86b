//! Pushes into caches that are directories, and what is collected there.

use std::{
    path::PathBuf,
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime},
};

use store::{
    AddBatch, AddObject, AddSource, LocalStore, MemoryNode, PathInfo, PlanDigest, Realisation,
    ResolvedDigest, StorePath,
    cache::{
        backend::{BackendOptions, open_backend},
        format::CacheName,
        gc::{CollectRequest, Collector},
        push::{PlannedHint, PushRequest, Pusher},
        source::{Policy, Source},
        testing::find_cache_faults,
    },
    testing::{add_tree, memory_tree, noise},
    trust::SecretKey,
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "push",
        prepare: |store| add(store).map(drop),
        act: |store| push(store, "builder-1"),
        is_done: |store| is_whole(store, 1),
        is_undone: |store| is_consistent(store),
    },
    Operation {
        name: "push-more",
        prepare: |store| {
            add(store)?;
            push(store, "builder-1")?;
            let library = find(store, "library-1.0")?;
            let tree = memory_tree(&[("new", MemoryNode::file(text(&library)))]);
            add_tree(store, "program-2.1", tree, &[&library])?;
            Ok(())
        },
        act: |store| push(store, "builder-2"),
        is_done: |store| is_whole(store, 2),
        is_undone: |store| is_consistent(store),
    },
    Operation {
        name: "collect-cache",
        prepare: |store| {
            add(store)?;
            push(store, "builder-1")?;
            for (name, files) in [("data-1.0", &["a", "b", "c"][..]), ("data-2.0", &["a"])] {
                // Each is large enough for a frame of its own, so that its pack can be mostly dead.
                let tree = files
                    .iter()
                    .map(|file| (*file, MemoryNode::file(noise(file, 300_000))));
                add_tree(store, name, memory_tree(&tree.collect::<Vec<_>>()), &[])?;
                push_targets(store, "builder-1", name)?;
            }
            // Two days later what nothing keeps is condemned, and after two more it goes.
            collect(store, 2 * DAY)
        },
        act: |store| collect(store, 4 * DAY),
        is_done: |store| Ok(records(store)? == ["data-2.0", "library-1.0"]),
        is_undone: |store| is_consistent(store),
    },
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The names of the objects in the cache.
fn records(store: &LocalStore) -> TestResult<Vec<String>> {
    is_consistent(store)?;
    let there = |path: &StorePath| {
        let name = CacheName::Object(*path.digest());
        directory(store).join(name.to_string()).exists()
    };
    let mut names: Vec<String> = paths(store)?
        .iter()
        .filter(|path| there(path))
        .map(|path| path.name().to_string())
        .collect();
    names.sort();
    Ok(names)
}

fn open(store: &LocalStore) -> TestResult<Source> {
    let url = directory(store).to_str().ok_or("a path of text")?.parse()?;
    let backend = open_backend(&url, &BackendOptions::default())?;
    Ok(Source::new(backend, Policy::default()))
}

fn collect(store: &LocalStore, later: Duration) -> TestResult {
    let kept = ["library-1.0", "data-2.0"].map(|name| Ok(find(store, name)?.path));
    let request = CollectRequest {
        keep: kept.into_iter().collect::<TestResult<_>>()?,
        older_than: None,
        grace: DAY,
        dry_run: false,
    };
    let cache = open(store)?;
    Collector::new(&cache, SystemTime::now() + later).collect(&request, &AtomicBool::new(false))?;
    Ok(())
}

/// A library, and a program that names it and was built.
fn add(store: &LocalStore) -> TestResult<PathInfo> {
    let library = memory_tree(&[
        ("lib/l.so", MemoryNode::file(vec![7; 300_000])),
        ("empty", MemoryNode::file("")),
    ]);
    let library = add_tree(store, "library-1.0", library, &[])?;
    let program = memory_tree(&[("bin/p", MemoryNode::program(text(&library)))]);
    let batch = AddBatch {
        objects: vec![AddObject::new(
            "program-2.0".parse()?,
            AddSource::Tree(program),
        )],
        candidates: vec![(library.path.clone(), library.id)],
        ..AddBatch::default()
    };
    let program = store.add(batch)?.pop().ok_or("one object was added")?;
    store.add_realisations(&[realisation(&program)])?;
    Ok(program)
}

fn text(info: &PathInfo) -> String {
    format!("needs {}\n", info.path.to_logical())
}

fn realisation(info: &PathInfo) -> Realisation {
    Realisation {
        resolved: ResolvedDigest::from_bytes([7; 32]),
        output: "out".to_owned(),
        object: info.id,
        path: info.path.clone(),
        sandbox: "full".to_owned(),
        built_at: 1,
        duration_ms: 2,
    }
}

fn paths(store: &LocalStore) -> TestResult<Vec<StorePath>> {
    Ok(store.find_by_prefix("")?)
}

fn find(store: &LocalStore, name: &str) -> TestResult<PathInfo> {
    let found = paths(store)?
        .into_iter()
        .find(|path| path.name().as_str() == name);
    let path = found.ok_or("the object was added")?;
    Ok(store.path_info(&path)?.ok_or("it is valid")?)
}

fn directory(store: &LocalStore) -> PathBuf {
    store.root().join("cache-of-the-test")
}

fn push(store: &LocalStore, key: &str) -> TestResult {
    push_targets(store, key, "program")
}

fn push_targets(store: &LocalStore, key: &str, name: &str) -> TestResult {
    let cache = open(store)?;
    let key = SecretKey::from_seed(key.parse()?, &[key.as_bytes()[8]; 32]);
    let targets = paths(store)?;
    let programs = targets
        .iter()
        .filter(|path| path.name().as_str().starts_with(name));
    let request = PushRequest {
        targets: programs.cloned().collect(),
        hints: vec![PlannedHint {
            plan: PlanDigest::from_bytes([9; 32]),
            realisations: vec![realisation(&find(store, "program-2.0")?)],
        }],
        ..PushRequest::default()
    };
    Pusher::new(store, &cache)
        .sign_with(&key)
        .push(&request, &|_| {}, &AtomicBool::new(false))?;
    Ok(())
}

/// Whether all objects are there with all signatures.
fn is_whole(store: &LocalStore, signatures: usize) -> TestResult<bool> {
    is_consistent(store)?;
    let read = |name: CacheName| std::fs::read(directory(store).join(name.to_string())).ok();
    for path in paths(store)? {
        let Some(bytes) = read(CacheName::Object(*path.digest())) else {
            return Ok(false);
        };
        let text = String::from_utf8(bytes)?;
        let is_old = path.name().as_str() != "program-2.1";
        let wanted = if is_old { signatures } else { 1 };
        // One name of a key in each signature.
        if text.matches("\"builder-").count() < wanted {
            return Ok(false);
        }
        let is_target = path.name().as_str().starts_with("program");
        if is_target && read(CacheName::Closure(*path.digest())).is_none() {
            return Ok(false);
        }
    }
    let hint = read(CacheName::PlanHint(PlanDigest::from_bytes([9; 32])));
    let key = format!("\"builder-{signatures}:");
    Ok(hint.is_some_and(|hint| String::from_utf8_lossy(&hint).contains(&key)))
}

fn is_consistent(store: &LocalStore) -> TestResult {
    if !directory(store).exists() {
        return Ok(());
    }
    let faults = find_cache_faults(&directory(store));
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("; ").into())
    }
}
