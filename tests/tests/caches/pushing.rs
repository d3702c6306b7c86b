//! Through every back end: what one store pushes another one pulls, what is there is not sent again, and a changed file costs its chunks.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use store::{
    LocalStore, MemoryNode, PathInfo, Realisation, ResolvedDigest,
    cache::{
        backend::{Backend, BackendOptions},
        pull::Puller,
        push::{PushReport, PushRequest, Pusher},
        source::{Policy, Source},
    },
    testing::{TempStore, add_tree, memory_tree},
    trust::{self, PolicyRules, SecretKey, TrustedKey},
};
use tests::other_servers::Registry;

use crate::{
    TestResult, noise, oci, open, s3,
    serve::Served,
    servers::{Moto, Nginx},
};

/// Opens a cache anew, as another process would.
pub(crate) type Open<'a> = &'a (dyn Fn() -> TestResult<Box<dyn Backend>> + Sync);

pub(crate) fn source(open: Open<'_>) -> TestResult<Source> {
    Ok(Source::new(open()?, Policy::default()))
}

fn key(number: u8) -> TestResult<SecretKey> {
    let name = format!("builder-{number}");
    Ok(SecretKey::from_seed(name.parse()?, &[number; 32]))
}

/// Adds a library of 6 MB, one file of it with this version, and a program that names it and was built.
pub(crate) fn add(store: &LocalStore, version: u64) -> TestResult<(PathInfo, Realisation)> {
    let mut tree = memory_tree(&[("lib/large", MemoryNode::file(noise(1, 4_000_000)))]);
    for number in 0..50 {
        let seed = if number == 25 {
            1000 + version
        } else {
            number + 10
        };
        tree.insert(
            format!("share/{number}"),
            MemoryNode::file(noise(seed, 40_000)),
        )?;
    }
    let library = add_tree(store, &format!("library-{version}"), tree, &[])?;
    let text = format!("needs {}", library.path.to_logical());
    let program = memory_tree(&[("bin/program", MemoryNode::program(text))]);
    let program = add_tree(store, &format!("program-{version}"), program, &[&library])?;
    let realisation = Realisation {
        resolved: ResolvedDigest::from_bytes([u8::try_from(version)?; 32]),
        output: "out".to_owned(),
        object: program.id,
        path: program.path.clone(),
        sandbox: "full".to_owned(),
        built_at: 1,
        duration_ms: 1,
    };
    store.add_realisations(std::slice::from_ref(&realisation))?;
    Ok((program, realisation))
}

pub(crate) fn push(
    store: &LocalStore,
    open: Open<'_>,
    builder: u8,
    target: &PathInfo,
) -> TestResult<PushReport> {
    let (cache, key) = (source(open)?, key(builder)?);
    let request = PushRequest {
        targets: vec![target.path.clone()],
        ..PushRequest::default()
    };
    let pusher = Pusher::new(store, &cache).sign_with(&key);
    Ok(pusher.push(&request, &|_| {}, &AtomicBool::new(false))?)
}

/// Pulls what a derivation was built to, into a new store.
pub(crate) fn pull(open: Open<'_>, builder: u8, realisation: &Realisation) -> TestResult {
    let elsewhere = TempStore::new();
    let caches = [Arc::new(source(open)?)];
    let policy = trust::Policy::new(PolicyRules {
        keys: vec![TrustedKey {
            key: key(builder)?.public(),
            until: None,
        }],
        ..PolicyRules::default()
    });
    let puller = Puller::new(&elsewhere, &caches, policy, 1);
    let found = puller.find_realisations(&realisation.resolved)?;
    let found: Vec<_> = found.into_iter().map(|found| found.realisation).collect();
    assert_eq!(found, std::slice::from_ref(realisation));
    let wanted_paths = [realisation.path.clone()];
    let wanted = [(realisation.path.clone(), realisation.object)];
    let lease = elsewhere.lease()?;
    puller.pull(&wanted, &lease, &|_| {}, &AtomicBool::new(false))?;
    assert_eq!(elsewhere.closure(&wanted_paths)?.infos().len(), 2);
    Ok(())
}

/// Whether two who add to one file at the same time may undo one another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Losses {
    Never,
    /// A registry writes whatever it is told last.
    Possible,
}

/// Everything.
fn shares(writer: Open<'_>, reader: Open<'_>, losses: Losses) -> TestResult {
    let store = TempStore::new();
    let (first, realisation) = add(&store, 1)?;
    let whole = push(&store, writer, 1, &first)?;
    assert_eq!((whole.new_objects, whole.packs), (2, 1));
    pull(reader, 1, &realisation)?;
    let again = push(&store, writer, 1, &first)?;
    assert_eq!((again.sent_bytes, again.new_objects), (0, 0));

    let (second, realisation) = add(&store, 2)?;
    let report = push(&store, writer, 1, &second)?;
    assert!(
        report.sent_bytes < whole.sent_bytes / 20,
        "{}",
        report.sent_bytes
    );
    pull(reader, 1, &realisation)?;

    // Several at once, on an object that is there and on one that is not.
    let (third, realisation) = add(&store, 3)?;
    let store: &LocalStore = &store;
    thread::scope(|scope| {
        let pushers = [1, 2].map(|builder| {
            let third = &third;
            scope.spawn(move || {
                push(store, writer, builder, third).map_err(|error| error.to_string())
            })
        });
        pushers
            .into_iter()
            .try_for_each(|pusher| match pusher.join() {
                Ok(result) => result.map(drop),
                Err(_) => Err("a pusher panicked".to_owned()),
            })
    })?;
    if losses == Losses::Possible {
        // Whoever was undone says it again.
        for builder in [1, 2] {
            push(store, writer, builder, &third)?;
        }
    }
    pull(reader, 1, &realisation)?;
    pull(reader, 2, &realisation)
}

#[test]
fn a_directory_and_nginx_share() -> TestResult {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755))?;
    let nginx = Nginx::start(directory.path())?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let options = BackendOptions::default();
    shares(
        &|| open(path, &options),
        &|| open(&nginx.url, &options),
        Losses::Never,
    )
}

#[test]
fn a_bucket_shares() -> TestResult {
    let moto = Moto::start()?;
    s3::make_bucket(&moto.endpoint)?;
    let url = format!("s3://bucket/cache?endpoint={}", moto.endpoint);
    let bucket = || open(&url, &s3::options());
    shares(&bucket, &bucket, Losses::Never)
}

#[test]
fn a_repository_shares() -> TestResult {
    let registry = Registry::start("")?;
    let url = format!("oci://{}/team/cache", registry.address);
    let repository = || open(&url, &oci::options());
    shares(&repository, &repository, Losses::Possible)
}

#[test]
fn a_server_shares() -> TestResult {
    let served = Served::start(|_| {})?;
    let token = served.writer.clone();
    shares(
        &|| served.client(Some(&token)),
        &|| served.client(None),
        Losses::Never,
    )
}
