//! What goes out of a directory and out of a bucket, and who keeps it there.

use std::{
    collections::BTreeSet,
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime},
};

use store::{
    PathInfo,
    cache::{
        backend::BackendOptions,
        format::CacheName,
        gc::{CollectError, CollectReport, CollectRequest, Collector},
        testing::find_cache_faults,
    },
    testing::TempStore,
};
use tests::{http_server::FileTree, other_servers::Registry};

use crate::{
    TestResult, oci, open,
    pushing::{Open, add, pull, push, source},
    s3,
    serve::Served,
    servers::Moto,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Collects some days from now; only what is kept stays then.
fn collect(cache: Open<'_>, keep: &PathInfo, days: u32) -> TestResult<CollectReport> {
    let request = CollectRequest {
        keep: BTreeSet::from([keep.path.clone()]),
        older_than: None,
        grace: DAY,
        dry_run: false,
    };
    let collector_cache = source(cache)?;
    let collector = Collector::new(&collector_cache, SystemTime::now() + days * DAY);
    Ok(collector.collect(&request, &AtomicBool::new(false))?)
}

/// Pushes two versions that share most of their bytes, and keeps the second; `writer` and `owner` lead to the same cache.
fn goes(writer: Open<'_>, owner: Open<'_>) -> TestResult {
    let store = TempStore::new();
    let (first, first_built) = add(&store, 1)?;
    let (second, second_built) = add(&store, 2)?;
    push(&store, writer, 1, &first)?;
    push(&store, writer, 1, &second)?;
    let marked = collect(owner, &second, 2)?;
    assert_eq!((marked.removed.files, marked.condemned.objects), (0, 2));
    // What is condemned can still be taken.
    pull(writer, 1, &first_built)?;
    let swept = collect(owner, &second, 4)?;
    assert_eq!(swept.removed.objects, 2);
    assert_eq!(swept.kept_objects, 2);
    pull(writer, 1, &second_built)?;
    assert!(!source(writer)?.exists(&CacheName::Object(*first.path.digest()))?);

    // Pushed again after it was condemned again, it stays: also what the push found and did not send.
    push(&store, writer, 1, &first)?;
    collect(owner, &second, 6)?;
    let again = push(&store, writer, 1, &first)?;
    assert_eq!((again.new_objects, again.packs), (0, 0));
    let swept = collect(owner, &second, 8)?;
    assert_eq!(swept.removed.files, 0);
    pull(writer, 1, &first_built)?;
    pull(writer, 1, &second_built)
}

#[test]
fn out_of_a_directory_goes_what_nothing_keeps() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    let cache = || open(path, &BackendOptions::default());
    goes(&cache, &cache)?;
    assert_eq!(find_cache_faults(directory.path()), [""; 0]);
    Ok(())
}

#[test]
fn out_of_a_bucket_goes_what_nothing_keeps() -> TestResult {
    let moto = Moto::start()?;
    s3::make_bucket(&moto.endpoint)?;
    let url = format!("s3://bucket/cache?endpoint={}", moto.endpoint);
    let bucket = || open(&url, &s3::options());
    goes(&bucket, &bucket)
}

#[test]
fn whoever_pushes_through_a_server_is_seen_by_a_collector_of_its_directory() -> TestResult {
    let served = Served::start(|_| {})?;
    let token = served.writer.clone();
    let path = served.cache();
    let path = path.to_str().ok_or("a path of text")?;
    goes(&|| served.client(Some(&token)), &|| {
        open(path, &BackendOptions::default())
    })
}

#[test]
fn a_cache_that_cannot_be_listed_is_not_collected() -> TestResult {
    let store = TempStore::new();
    let (object, _) = add(&store, 1)?;
    let tree = FileTree::start(None);
    let web = || open(&tree.url("/cache"), &BackendOptions::default());
    let registry = Registry::start("")?;
    let url = format!("oci://{}/team/cache", registry.address);
    let repository = || open(&url, &oci::options());
    let caches: [Open<'_>; 2] = [&web, &repository];
    for cache in caches {
        push(&store, cache, 1, &object)?;
        let error = collect(cache, &object, 2).expect_err("it cannot be done");
        let error: &CollectError = error.downcast_ref().ok_or("it is an error of that kind")?;
        assert!(matches!(error, CollectError::Unsupported { .. }), "{error}");
    }
    Ok(())
}
