//! What caches say of a target: `pith cache why-missed` and `pith cache challenge`.

use std::error::Error;
use std::fs;

use store::cache::format::{CacheName, RealisationSet};
use store::testing::{add_tree, memory_tree, open, write_cache};
use store::trust::{SecretKey, SignedRealisation};
use store::{LocalStore, MemoryNode, PathInfo, Realisation, ResolvedDigest};
use tests::TestEnv;

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const RESOLVED: ResolvedDigest = ResolvedDigest::from_bytes([7; 32]);

/// A build that differs between builders in one file.
fn build(store: &LocalStore, date: &str) -> TestResult<PathInfo> {
    let tree = memory_tree(&[
        ("bin/hello", MemoryNode::program("#!/bin/sh\n")),
        ("share/date", MemoryNode::file(date)),
    ]);
    Ok(add_tree(store, "hello-1", tree, &[])?)
}

fn realisation(info: &PathInfo) -> Realisation {
    Realisation {
        resolved: RESOLVED,
        output: "out".into(),
        object: info.id,
        path: info.path.clone(),
        sandbox: "full".into(),
        built_at: 1,
        duration_ms: 1,
    }
}

/// Puts an object into a cache of its own, signed by a key of that name.
fn publish(env: &TestEnv, store: &LocalStore, cache: &str, info: &PathInfo) -> TestResult {
    let key = SecretKey::from_seed(cache.parse()?, &[1; 32]);
    write_cache(&env.path(cache), store, &[info], Some(&key))?;
    let mut set = RealisationSet::new(RESOLVED);
    set.insert(SignedRealisation::sign(realisation(info), &key))?;
    let file = env
        .path(cache)
        .join(CacheName::Realisations(RESOLVED).to_string());
    fs::create_dir_all(file.parent().ok_or("it has a folder")?)?;
    Ok(fs::write(file, set.encode()?)?)
}

fn address(env: &TestEnv, cache: &str) -> TestResult<String> {
    let path = env.path(cache);
    Ok(path.to_str().ok_or("a path of text")?.to_owned())
}

#[test]
fn why_missed_names_the_answer_of_each_cache() -> TestResult {
    let env = TestEnv::new();
    let store = open(env.store())?;
    let info = build(&store, "today")?;
    store.add_realisations(&[realisation(&info)])?;
    publish(&env, &store, "alice", &info)?;
    write_cache(&env.path("empty"), &store, &[], None)?;
    drop(store);
    let path = info.path.to_logical();
    let (alice, empty) = (address(&env, "alice")?, address(&env, "empty")?);
    let command = [
        "cache",
        "why-missed",
        &path,
        "--cache",
        &alice,
        "--cache",
        &empty,
    ];
    let said = env.pith(&command).expect_success();
    for expected in [
        &format!("{} (is here): {RESOLVED}", info.path),
        "is not trusted: no key `alice` is trusted; 0 of 1 signatures that are needed",
        &format!(
            "{empty}: it does not have `{}`",
            CacheName::Realisations(RESOLVED)
        ),
    ] {
        assert!(said.stdout.contains(expected), "{}", said.stdout);
    }
    let key = SecretKey::from_seed("alice".parse()?, &[1; 32]).public();
    let key = key.to_string();
    let trusted = [&command[..], &["--trust", &key]].concat();
    let said = env.pith(&trusted).expect_success().stdout;
    assert!(said.contains(&format!("{path} can be taken")), "{said}");
    env.pith(&["cache", "why-missed", &path]).expect_status(1);
    Ok(())
}

#[test]
fn challenge_names_the_files_that_differ() -> TestResult {
    let env = TestEnv::new();
    let store = open(env.store())?;
    let (one, other) = (build(&store, "today")?, build(&store, "yesterday")?);
    store.add_realisations(&[realisation(&one)])?;
    publish(&env, &store, "alice", &one)?;
    publish(&env, &store, "bob", &other)?;
    publish(&env, &store, "carol", &one)?;
    drop(store);
    let path = one.path.to_logical();
    let challenge = |caches: [&str; 2]| -> TestResult<_> {
        let caches = format!(
            "{},{}",
            address(&env, caches[0])?,
            address(&env, caches[1])?
        );
        Ok(env.pith(&["cache", "challenge", &path, "--caches", &caches]))
    };
    let same = challenge(["alice", "carol"])?.expect_success();
    assert!(
        same.stdout.contains("output `out`: same"),
        "{}",
        same.stdout
    );
    let different = challenge(["alice", "bob"])?.expect_status(3);
    for expected in [
        "output `out`: different",
        "signed by bob",
        "changed: share/date",
    ] {
        assert!(different.stdout.contains(expected), "{}", different.stdout);
    }
    assert!(
        !different.stdout.contains("bin/hello"),
        "{}",
        different.stdout
    );
    Ok(())
}
