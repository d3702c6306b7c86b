//! Pith's own registry, asked by many at once.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    TestResult, noise,
    serving::{Registry, Source, sha256},
};

/// Clients at once.
const CLIENTS: usize = 6;
/// How often they meet.
const ROUNDS: usize = 20;

/// Runs `client` on so many threads, each with its number; the first failure is returned.
fn at_once(client: impl Fn(usize) -> TestResult + Sync) -> TestResult {
    let failures: Vec<String> = thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(number).map_err(|error| error.to_string())))
            .collect();
        let ended = clients.into_iter().map(|client| {
            let panicked = Err("a client panicked".to_owned());
            client.join().unwrap_or(panicked)
        });
        ended.filter_map(Result::err).collect()
    });
    match failures.into_iter().next() {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

#[test]
fn a_push_asks_the_source_for_nothing() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&source, Some(directory.path()))?;
    let blob = format!("/v2/team/app/blobs/{}", sha256(b"layer"));
    let offers = || source.offers.load(Ordering::Relaxed);

    let absent = registry.ask(&format!("HEAD {blob}"))?;
    assert_eq!((absent.status, offers()), (404, 0), "nobody was asked");
    assert_eq!(registry.get(&blob)?.status, 404);
    assert_eq!(
        offers(),
        1,
        "whoever reads it may mean a name of the source"
    );
    assert_eq!(registry.get(&blob)?.status, 404);
    assert_eq!(offers(), 1, "that it has no such name is known now");
    assert_eq!(registry.push("team/app", b"layer")?.status, 201);
    assert_eq!(registry.ask(&format!("HEAD {blob}"))?.status, 200);
    Ok(())
}

#[test]
fn of_many_who_send_the_same_chunk_of_an_upload_one_is_taken() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&source, Some(directory.path()))?;
    let bytes = noise(500_000);
    let (first, second) = bytes.split_at(300_000);
    for _ in 0..ROUNDS {
        let begun = registry.ask("POST /v2/a/blobs/uploads/")?;
        let location = begun.header("location").to_owned();
        let taken = AtomicUsize::new(0);
        let start = Barrier::new(CLIENTS);
        at_once(|_| {
            let range = ("Content-Range", "0-299999");
            start.wait();
            let answer = registry.send(&format!("PATCH {location}"), &[range], first)?;
            match answer.status {
                202 => taken.fetch_add(1, Ordering::Relaxed),
                // Somebody else writes to it, or has written.
                404 | 416 => 0,
                status => return Err(format!("{status}").into()),
            };
            Ok(())
        })?;
        assert_eq!(taken.load(Ordering::Relaxed), 1);
        let kept = AtomicUsize::new(0);
        at_once(|_| {
            let end = format!("PUT {location}?digest={}", sha256(&bytes));
            let range = ("Content-Range", "300000-499999");
            start.wait();
            match registry.send(&end, &[range], second)?.status {
                201 => kept.fetch_add(1, Ordering::Relaxed),
                404 => 0,
                status => return Err(format!("{status}").into()),
            };
            Ok(())
        })?;
        assert_eq!(kept.load(Ordering::Relaxed), 1);
    }
    let blob = registry.get(&format!("/v2/a/blobs/{}", sha256(&bytes)))?;
    assert!(blob.body == bytes);
    Ok(())
}

#[test]
fn a_repository_has_its_blob_whatever_others_forget() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&source, Some(directory.path()))?;
    let bytes = noise(100_000);
    let digest = sha256(&bytes);
    at_once(|number| {
        let name = format!("team/app{number}");
        for _ in 0..ROUNDS {
            let pushed = registry.push(&name, &bytes)?.status;
            let read = registry.get(&format!("/v2/{name}/blobs/{digest}"))?;
            let forgotten = registry.ask(&format!("DELETE /v2/{name}/blobs/{digest}"))?;
            let statuses = (pushed, read.status, forgotten.status);
            if statuses != (201, 200, 202) || read.body != bytes {
                return Err(format!("{statuses:?}").into());
            }
        }
        Ok(())
    })?;
    let hex = digest.strip_prefix("sha256:").ok_or("a digest")?;
    let file = directory.path().join("blobs/sha256").join(hex);
    assert!(!file.exists(), "nobody has it");
    Ok(())
}
