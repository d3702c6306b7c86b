//! What a pull does with good caches.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    slice::from_ref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::fixture::*;
use crate::{
    MemoryNode,
    cache::{
        backend::{BackendOptions, open_backend},
        format::{CacheName, PlanHint},
        pull::{Answer, CacheError, PullError, PullEvent, Puller, forget_misses},
        source::{Policy as Patience, Source},
    },
    testing::{TEST_TIME, TempStore, add_tree, find_faults, noise},
    trust::SignedRealisation,
};

#[test]
fn a_closure_arrives_whole() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.program])?;
    let (here, source) = (TempStore::new(), cache.source()?);
    let pulled = pull(&here, from_ref(&source), &example.program)?;
    assert_eq!(
        pulled.objects,
        [example.library.path.clone(), example.program.path.clone()]
    );
    let found = here.path_info(&example.program.path)?.ok_or("valid")?;
    assert_eq!(found.id, example.program.id);
    assert!(found.self_reference);
    assert_eq!(find_faults(&here), [""; 0]);
    // `cache.json`, the beginning of the bundle, the rest of it, and each pack once.
    let packs = u64::try_from(cache.packs()?.len())?;
    assert_eq!(source.statistics().requests, 3 + packs);
    Ok(())
}

#[test]
fn what_is_valid_costs_no_request() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.program])?;
    let source = cache.source()?;
    let pulled = pull(&example.store, from_ref(&source), &example.program)?;
    assert!(pulled.objects.is_empty());
    assert_eq!(source.statistics().requests, 0);
    Ok(())
}

#[test]
fn files_that_are_here_are_linked_and_not_fetched() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.library])?;
    let here = TempStore::new();
    // The same contents in an object of another name, executable or not.
    let same = crate::testing::memory_tree(&[
        ("a", MemoryNode::file(noise("middle", 300_000))),
        ("b", MemoryNode::program(noise("twin", 9000))),
    ]);
    here.add_tree("other", same, &[])?;
    let pulled = pull(&here, &[cache.source()?], &example.library)?;
    assert_eq!(pulled.local_bytes, 300_000 + 9000);
    assert_eq!(find_faults(&here), [""; 0]);
    Ok(())
}

#[test]
fn of_a_large_file_only_the_chunks_are_fetched_that_an_older_version_lacks() -> TestResult {
    let example = example()?;
    let newer = example
        .store
        .add_tree("library-2", library_tree("2")?, &[])?;
    let cache = Cache::of(&example.store, &[&example.library, &newer])?;
    let here = TempStore::new();
    let source = cache.source()?;
    pull(&here, from_ref(&source), &example.library)?;
    let pulled = pull(&here, &[source], &newer)?;
    assert_eq!(pulled.objects, from_ref(&newer.path));
    // One chunk changed; the rest of the file is cut from the older one, and `one` is copied.
    assert!(
        pulled.fetched_bytes < 2 << 20 && pulled.fetched_bytes > 0,
        "{pulled:?}"
    );
    assert_eq!(find_faults(&here), [""; 0]);
    Ok(())
}

#[test]
fn objects_that_nobody_pushed_a_bundle_of_are_found_one_by_one() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.program])?;
    std::fs::remove_file(cache.file(&CacheName::Closure(*example.program.path.digest())))?;
    let here = TempStore::new();
    let pulled = pull(&here, &[cache.source()?], &example.program)?;
    assert_eq!(pulled.objects.len(), 2);
    assert_eq!(find_faults(&here), [""; 0]);
    Ok(())
}

#[test]
fn what_one_cache_lacks_is_taken_from_another() -> TestResult {
    let example = example()?;
    let good = Cache::of(&example.store, &[&example.program])?;
    let empty = Cache::new()?;
    let here = TempStore::new();
    let sources = [empty.source()?, good.source()?];
    let pulled = pull(&here, &sources, &example.program)?;
    assert_eq!(pulled.objects.len(), 2);
    Ok(())
}

#[test]
fn a_cache_that_says_nothing_is_not_waited_for_when_another_has_everything() -> TestResult {
    let example = example()?;
    let key = key(1);
    let plan = crate::PlanDigest::from_bytes([3; 32]);
    let good = Cache::of(&example.store, &[&example.program])?;
    let told = SignedRealisation::sign(realisation(&example.program), &key);
    let hint = PlanHint::new(plan, vec![told])?;
    good.write(&CacheName::PlanHint(plan), &hint.encode()?)?;
    // It takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/cache", silent.local_addr()?).parse()?;
    let backend = open_backend(&url, &BackendOptions::default())?;
    let silent_source = Arc::new(Source::new(backend, Patience::default()));
    let here = TempStore::new();
    let sources = [Arc::clone(&silent_source), good.source()?];
    let puller = Puller::new(&here, &sources, trusting(&[&key], 1), TEST_TIME);
    let found = puller.find_plan(&plan)?;
    assert_eq!(found.len(), 1);
    let wanted = [(example.program.path.clone(), example.program.id)];
    assert_eq!(pull_by(&puller, &here, &wanted)?.objects.len(), 2);
    // Whoever had waited would know by now that it does not answer.
    assert_eq!(silent_source.statistics().failures, BTreeMap::new());
    Ok(())
}

#[test]
fn what_no_cache_has_is_told_with_the_answer_of_each() -> TestResult {
    let example = example()?;
    let caches = [Cache::new()?, Cache::new()?];
    let here = TempStore::new();
    let sources = [caches[0].source()?, caches[1].source()?];
    let Err(PullError::Missing { path, answers }) = pull(&here, &sources, &example.program) else {
        return Err("it is nowhere".into());
    };
    assert_eq!(path, example.program.path);
    for cache in &sources {
        let of_cache = answers
            .iter()
            .filter(|answer| answer.cache == cache.url().to_string());
        assert!(of_cache.clone().count() > 0);
        for answer in of_cache {
            assert!(
                matches!(&answer.answer, Answer::Failed(CacheError::Absent { .. })),
                "{answer}"
            );
        }
    }
    Ok(())
}

#[test]
fn only_absence_is_remembered_and_a_push_ends_that() -> TestResult {
    let example = example()?;
    let cache = Cache::new()?;
    let here = TempStore::new();
    assert!(pull(&here, &[cache.source()?], &example.program).is_err());
    cache.publish(&example.store, &[&example.program], None)?;
    let again = cache.source()?;
    assert!(pull(&here, from_ref(&again), &example.program).is_err());
    // Nothing but `cache.json` was asked for.
    assert_eq!(again.statistics().requests, 1);
    forget_misses(&here, &again.url().to_string())?;
    pull(&here, &[again], &example.program)?;
    Ok(())
}

#[test]
fn a_damaged_file_is_not_remembered_as_absent() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.program])?;
    for name in [
        CacheName::Closure(*example.program.path.digest()),
        CacheName::Object(*example.program.path.digest()),
    ] {
        cache.write(&name, b"damaged")?;
    }
    let here = TempStore::new();
    assert!(pull(&here, &[cache.source()?], &example.program).is_err());
    cache.publish(&example.store, &[&example.program], None)?;
    pull(&here, &[cache.source()?], &example.program)?;
    Ok(())
}

#[test]
fn a_pull_that_was_interrupted_goes_on_where_it_was() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.library])?;
    let here = TempStore::new();
    let wanted = [(example.library.path.clone(), example.library.id)];
    let (cancel, frames) = (AtomicBool::new(false), AtomicUsize::new(0));
    let source = cache.source()?;
    let sources = [source.clone()];
    let puller =
        Puller::new(&here, &sources, trusting(&[], 1), TEST_TIME).keep_frames_after(Duration::ZERO);
    let lease = here.lease()?;
    let count = |event| {
        if matches!(event, PullEvent::Fetched { .. }) && frames.fetch_add(1, Ordering::Relaxed) >= 3
        {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let interrupted = puller.pull(&wanted, &lease, &count, &cancel);
    assert!(matches!(interrupted, Err(PullError::Interrupted)));
    assert!(here.path_info(&example.library.path)?.is_none());
    assert_eq!(find_faults(&here).len(), 1, "the lease");
    drop(lease);
    let pulled = pull(&here, &[cache.source()?], &example.library)?;
    assert!(pulled.resumed_bytes > 0, "{pulled:?}");
    assert_eq!(find_faults(&here), [""; 0]);
    let whole = pulled.resumed_bytes + pulled.fetched_bytes;
    let packs: u64 = cache
        .packs()?
        .iter()
        .map(|pack| cache.read(pack).map_or(0, |bytes| bytes.len() as u64 - 8))
        .sum();
    assert_eq!(whole, packs);
    // Nothing is kept once all is here.
    assert_eq!(std::fs::read_dir(here.tmp_dir().join("pull"))?.count(), 0);
    Ok(())
}

#[test]
fn frames_that_were_kept_are_checked_again() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.library])?;
    let here = TempStore::new();
    let wanted = [(example.library.path.clone(), example.library.id)];
    let cancel = AtomicBool::new(false);
    let sources = [cache.source()?];
    let puller =
        Puller::new(&here, &sources, trusting(&[], 1), TEST_TIME).keep_frames_after(Duration::ZERO);
    let stop = |event| {
        if matches!(event, PullEvent::Fetched { .. }) {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    assert!(
        puller
            .pull(&wanted, &here.lease()?, &stop, &cancel)
            .is_err()
    );
    for kept in std::fs::read_dir(here.tmp_dir().join("pull"))? {
        let path = kept?.path();
        let mut bytes = std::fs::read(&path)?;
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bytes.extend(b"the beginning of another");
        std::fs::write(&path, bytes)?;
    }
    pull(&here, &[cache.source()?], &example.library)?;
    assert_eq!(find_faults(&here), [""; 0]);
    Ok(())
}

#[test]
fn it_is_known_without_a_download_what_a_cache_has() -> TestResult {
    let example = example()?;
    let cache = Cache::of(&example.store, &[&example.program])?;
    let here = TempStore::new();
    let sources = [cache.source()?];
    let puller = Puller::new(&here, &sources, trusting(&[], 1), TEST_TIME);
    let other = add_tree(&here, "other-1", MemoryNode::file("other"), &[])?;
    // The library was pushed because the program needs it.
    let there = [example.program.path.clone(), example.library.path.clone()];
    let mut paths = there.to_vec();
    paths.push(other.path);
    assert_eq!(puller.find_available(&paths)?, there.into());
    Ok(())
}
