//! Collecting a cache: what goes, what stays, and what a push and a collection do to each other at every request.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt,
    io::{Cursor, Read},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use store::{
    LocalStore, MemoryNode, PathInfo, PlanDigest, Realisation, ResolvedDigest,
    cache::{
        backend::{Backend, BackendError, CacheUrl, FileKind, ListedFile},
        format::{CacheName, Claim, Condemned, DrawnId},
        gc::{CollectError, CollectReport, CollectRequest, Collector, change_pins, read_pins},
        pull::Puller,
        push::{BuildLog, PlannedHint, PushError, PushReport, PushRequest, Pusher},
        source::{Clock, Policy, Source},
        testing::find_cache_faults,
    },
    testing::{TempStore, add_tree, memory_tree, noise},
    trust,
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When everything that is there before a test was pushed, in seconds since 1970: later than the clock of any machine that runs it, by which a push
/// decides whether a collector is dead.
const BEGIN_SECONDS: u64 = 10_000_000_000;

fn begin() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(BEGIN_SECONDS)
}

type Files = BTreeMap<CacheName, (Bytes, SystemTime)>;
type Hook = Box<dyn FnOnce() + Send>;

/// A cache in memory whose clock the test moves, and whose writers cannot be kept apart.
#[derive(Debug)]
struct World {
    files: Mutex<Files>,
    now: Mutex<SystemTime>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn new(files: &Files, now: SystemTime) -> Arc<Self> {
        Arc::new(Self {
            files: Mutex::new(files.clone()),
            now: Mutex::new(now),
        })
    }

    fn now(&self) -> SystemTime {
        *lock(&self.now)
    }

    fn wait(&self, time: Duration) {
        *lock(&self.now) += time;
    }

    fn has(&self, name: &CacheName) -> bool {
        lock(&self.files).contains_key(name)
    }

    fn names(&self) -> BTreeSet<CacheName> {
        lock(&self.files).keys().cloned().collect()
    }

    /// Everything that is wrong with it now.
    fn check(&self) -> TestResult {
        let directory = tempfile::tempdir()?;
        for (name, (bytes, _)) in &*lock(&self.files) {
            let path = directory.path().join(name.to_string());
            std::fs::create_dir_all(path.parent().ok_or("every file lies in a directory")?)?;
            std::fs::write(path, bytes)?;
        }
        let faults = find_cache_faults(directory.path());
        match faults.is_empty() {
            true => Ok(()),
            false => Err(faults.join("; ").into()),
        }
    }

    fn has_objects(&self, objects: &[&PathInfo]) -> TestResult {
        for info in objects {
            for name in [
                CacheName::Object(*info.path.digest()),
                CacheName::Closure(*info.path.digest()),
            ] {
                if !self.has(&name) {
                    return Err(format!("{} has lost {name}", info.path).into());
                }
            }
        }
        Ok(())
    }
}

/// The cache as one process sees it.
struct View {
    url: CacheUrl,
    world: Arc<World>,
    asked: Arc<AtomicUsize>,
    /// What happens before the request of a number is answered.
    hook: Mutex<Option<(usize, Hook)>>,
    /// From this request on nothing is answered.
    dies_at: usize,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View {
    fn ask(&self, name: &str) -> Result<(), BackendError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut hook = lock(&self.hook);
        if hook.as_ref().is_some_and(|(at, _)| *at == number)
            && let Some((_, hook)) = hook.take()
        {
            hook();
        }
        if number >= self.dies_at {
            let file = name.to_owned();
            return Err(BackendError::Refused { file, code: 400 });
        }
        Ok(())
    }

    fn find(&self, name: &CacheName) -> Result<Bytes, BackendError> {
        self.ask(&name.to_string())?;
        let files = lock(&self.world.files);
        let found = files.get(name).map(|(bytes, _)| bytes.clone());
        found.ok_or_else(|| BackendError::Absent {
            file: name.to_string(),
        })
    }
}

impl Backend for View {
    fn url(&self) -> &CacheUrl {
        &self.url
    }

    fn read(&self, name: &CacheName, _: u64) -> Result<Vec<u8>, BackendError> {
        self.find(name).map(|bytes| bytes.to_vec())
    }

    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        let bytes = self.find(name)?;
        let end = usize::try_from(range.end)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        Ok(Box::new(Cursor::new(bytes.slice(start..end))))
    }

    fn exists(&self, name: &CacheName) -> Result<bool, BackendError> {
        match self.find(name) {
            Ok(_) => Ok(true),
            Err(BackendError::Absent { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &CacheName, bytes: Bytes) -> Result<(), BackendError> {
        self.ask(&name.to_string())?;
        let now = self.world.now();
        lock(&self.world.files).insert(name.clone(), (bytes, now));
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn remove(&self, name: &CacheName) -> Result<(), BackendError> {
        self.ask(&name.to_string())?;
        lock(&self.world.files).remove(name);
        Ok(())
    }

    fn list(&self, kind: FileKind, found: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        self.ask(kind.folder())?;
        let folder = format!("{}/", kind.folder());
        for (name, (bytes, modified)) in &*lock(&self.world.files) {
            if name.to_string().starts_with(&folder) {
                found(ListedFile {
                    name: name.clone(),
                    size_bytes: bytes.len() as u64,
                    modified: *modified,
                });
            }
        }
        Ok(())
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        Ok(true)
    }
}

/// Nobody waits.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}

    fn jitter(&self) -> u32 {
        0
    }
}

fn source_with(
    world: &Arc<World>,
    hook: Option<(usize, Hook)>,
    dies_at: usize,
) -> (Source, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let view = View {
        // Few questions to a directory come from one thread, so their order is the same in every run.
        url: "/in-memory".parse().expect("it is an address"),
        world: Arc::clone(world),
        asked: Arc::clone(&asked),
        hook: Mutex::new(hook),
        dies_at,
    };
    let source = Source::with_clock(Box::new(view), Policy::default(), Box::new(Still));
    (source, asked)
}

fn source(world: &Arc<World>) -> Source {
    source_with(world, None, usize::MAX).0
}

/// Objects that were pushed long ago and some that are pushed in the tests.
struct Setup {
    store: TempStore,
    /// Pushed long ago; nothing keeps it, and it is pushed again.
    old_program: PathInfo,
    /// Pushed long ago and kept; shares a file with what is not, whose pack is mostly dead.
    kept: PathInfo,
    /// What is pushed: needs the library of the old program, blobs of an object that nothing keeps, and some of what is kept.
    new: Vec<PathInfo>,
    files: Files,
}

fn add(
    store: &LocalStore,
    name: &str,
    files: &[(&str, Vec<u8>)],
    needs: &[&PathInfo],
) -> TestResult<PathInfo> {
    let mut tree = memory_tree(&[]);
    for (name, bytes) in files {
        tree.insert(*name, MemoryNode::file(bytes.clone()))?;
    }
    for (number, info) in needs.iter().enumerate() {
        let text = format!("needs {}", info.path.to_logical());
        tree.insert(format!("needs-{number}"), MemoryNode::file(text))?;
    }
    Ok(add_tree(store, name, tree, needs)?)
}

fn realisation(number: u8, info: &PathInfo) -> Realisation {
    Realisation {
        resolved: ResolvedDigest::from_bytes([number; 32]),
        output: "out".to_owned(),
        object: info.id,
        path: info.path.clone(),
        sandbox: "full".to_owned(),
        built_at: 1,
        duration_ms: 1,
    }
}

fn push(
    store: &LocalStore,
    cache: &Source,
    targets: &[&PathInfo],
) -> Result<PushReport, PushError> {
    let log = store.root().join("log.zst");
    let mut request = PushRequest {
        targets: targets.iter().map(|info| info.path.clone()).collect(),
        ..PushRequest::default()
    };
    for info in targets {
        for realisation in store.find_realisations_of(&info.id)? {
            let resolved = realisation.resolved;
            request.logs.push(BuildLog {
                resolved,
                path: log.clone(),
            });
            request.hints.push(PlannedHint {
                plan: PlanDigest::from_bytes(*resolved.as_bytes()),
                realisations: vec![realisation],
            });
        }
    }
    Pusher::new(store, cache).push(&request, &|_| {}, &AtomicBool::new(false))
}

impl Setup {
    fn new() -> TestResult<Self> {
        let store = TempStore::new();
        std::fs::write(store.root().join("log.zst"), [0x28, 0xb5, 0x2f, 0xfd])?;
        // Such a file has a frame of its own, and takes more of the pack than the others do.
        let large = |number| noise(number, 8000).repeat(70);
        let small = |number| noise(number, 2000);
        let library = add(&store, "library-1.0", &[("l", noise(1, 5000))], &[])?;
        let old_program = add(&store, "program-1.0", &[("p", noise(2, 500))], &[&library])?;
        let data = add(&store, "data-1.0", &[("x", large(3)), ("y", large(4))], &[])?;
        let old = [("a", small(5)), ("b", large(6))];
        let old = add(&store, "big-1.0", &old, &[])?;
        let kept = add(
            &store,
            "big-2.0",
            &[("a", small(5)), ("d", noise(8, 99))],
            &[],
        )?;
        let new = vec![
            add(&store, "program-2.0", &[("p", noise(9, 500))], &[&library])?,
            add(
                &store,
                "data-2.0",
                &[("x", small(3)), ("z", noise(10, 99))],
                &[],
            )?,
            add(
                &store,
                "big-3.0",
                &[("a", small(5)), ("e", noise(11, 99))],
                &[&kept],
            )?,
        ];
        for (number, info) in [(1, &old_program), (2, &new[0])] {
            store.add_realisations(&[realisation(number, info)])?;
        }
        // Built to something else as well, which goes as the first one does.
        store.add_realisations(&[realisation(1, &data)])?;
        let world = World::new(&Files::new(), begin());
        for object in [&old_program, &data, &old, &kept] {
            push(&store, &source(&world), &[object])?;
        }
        let files = lock(&world.files).clone();
        Ok(Self {
            store,
            old_program,
            kept,
            new,
            files,
        })
    }

    /// What the tests push.
    fn targets(&self) -> Vec<&PathInfo> {
        self.new.iter().chain([&self.old_program]).collect()
    }

    fn collect(
        &self,
        world: &Arc<World>,
        cache: &Source,
        keep: &[&PathInfo],
    ) -> Result<CollectReport, CollectError> {
        let keep = keep.iter().copied().chain([&self.kept]);
        let request = CollectRequest {
            keep: keep.map(|info| info.path.clone()).collect(),
            older_than: None,
            grace: DAY,
            dry_run: false,
        };
        Collector::new(cache, world.now()).collect(&request, &AtomicBool::new(false))
    }

    /// The cache after two days, and after four when a collection has condemned what nothing keeps.
    fn worlds(&self) -> TestResult<[Arc<World>; 2]> {
        let first = World::new(&self.files, begin() + 2 * DAY);
        let second = World::new(&self.files, begin() + 2 * DAY);
        let report = self.collect(&second, &source(&second), &[])?;
        assert!(
            report.condemned.objects >= 4 && report.repacked == 1,
            "{report:?}"
        );
        second.wait(2 * DAY);
        Ok([first, second])
    }

    /// Whatever happened before, further collections leave what was pushed, and make the rest go.
    fn settle(&self, world: &Arc<World>, pushed: &[&PathInfo]) -> TestResult {
        world.check()?;
        world.has_objects(pushed)?;
        for _ in 0..4 {
            world.wait(2 * DAY);
            self.collect(world, &source(world), pushed)?;
            world.has_objects(pushed)?;
        }
        world.check()?;
        assert!(!world.names().iter().any(|name| matches!(
            name,
            CacheName::Condemned | CacheName::Claim(_) | CacheName::Collector(_)
        )));
        Ok(())
    }
}

fn copy(world: &Arc<World>) -> Arc<World> {
    World::new(&lock(&world.files), world.now())
}

#[test]
fn a_collection_at_any_request_of_a_push_takes_nothing_from_it() -> TestResult {
    let setup = Arc::new(Setup::new()?);
    for (case, start) in setup.worlds()?.iter().enumerate() {
        let mut at = 0;
        loop {
            let world = copy(start);
            let collected = Arc::new(Mutex::new(None));
            let hook: Hook = {
                let (setup, world, collected) = (
                    Arc::clone(&setup),
                    Arc::clone(&world),
                    Arc::clone(&collected),
                );
                Box::new(move || {
                    let result = setup.collect(&world, &source(&world), &[]);
                    let result = result.map_err(|error| error.to_string());
                    let checked = world.check().map_err(|error| error.to_string());
                    *lock(&collected) = Some(result.and_then(|report| checked.map(|()| report)));
                })
            };
            let (cache, asked) = source_with(&world, Some((at, hook)), usize::MAX);
            let context = |error: String| format!("case {case}, request {at}: {error}");
            push(&setup.store, &cache, &setup.targets())
                .map_err(|error| context(error.to_string()))?;
            let Some(result) = lock(&collected).take() else {
                assert!(at > 30, "{at} of {asked:?} requests");
                break;
            };
            result.map_err(context)?;
            setup
                .settle(&world, &setup.targets())
                .map_err(|error| context(error.to_string()))?;
            at += 1;
        }
    }
    Ok(())
}

#[test]
fn a_push_at_any_request_of_a_collection_loses_nothing() -> TestResult {
    let setup = Arc::new(Setup::new()?);
    let mut waited = 0;
    for (case, start) in setup.worlds()?.iter().enumerate() {
        let mut at = 0;
        loop {
            let world = copy(start);
            let pushed = Arc::new(Mutex::new(None));
            let hook: Hook = {
                let (setup, world, pushed) =
                    (Arc::clone(&setup), Arc::clone(&world), Arc::clone(&pushed));
                Box::new(move || {
                    let before = world.check().map_err(|error| error.to_string());
                    let result = push(&setup.store, &source(&world), &setup.targets());
                    *lock(&pushed) = Some((before, result));
                })
            };
            let (cache, _) = source_with(&world, Some((at, hook)), usize::MAX);
            let context = |error: String| format!("case {case}, request {at}: {error}");
            setup
                .collect(&world, &cache, &[])
                .map_err(|error| context(error.to_string()))?;
            let Some((before, result)) = lock(&pushed).take() else {
                assert!(at > 30);
                break;
            };
            before.map_err(context)?;
            world.check().map_err(|error| context(error.to_string()))?;
            match result {
                Ok(_) => {}
                // While files are removed a push waits; here nobody goes on meanwhile.
                Err(PushError::Collected { .. }) => {
                    waited += 1;
                    push(&setup.store, &source(&world), &setup.targets())?;
                }
                Err(error) => return Err(context(error.to_string()).into()),
            }
            setup
                .settle(&world, &setup.targets())
                .map_err(|error| context(error.to_string()))?;
            at += 1;
        }
    }
    assert!(waited > 10, "{waited}");
    Ok(())
}

#[test]
fn a_collector_may_die_at_any_request() -> TestResult {
    let setup = Setup::new()?;
    for (case, start) in setup.worlds()?.iter().enumerate() {
        let mut dies_at = 0;
        loop {
            let world = copy(start);
            let (cache, asked) = source_with(&world, None, dies_at);
            let context =
                |error: &dyn fmt::Display| format!("case {case}, request {dies_at}: {error}");
            let result = setup.collect(&world, &cache, &[]);
            world.check().map_err(|error| context(&error))?;
            if asked.load(Ordering::SeqCst) <= dies_at {
                result?;
                break;
            }
            // The ticket of the dead one is there until it counts as dead.
            world.wait(HOUR);
            setup
                .collect(&world, &source(&world), &[])
                .map_err(|error| context(&error))?;
            setup.settle(&world, &[]).map_err(|error| context(&error))?;
            let names = world.names();
            let objects = names
                .iter()
                .filter(|name| matches!(name, CacheName::Object(_)));
            assert_eq!(objects.count(), 1, "{names:?}");
            dies_at += 1;
        }
        assert!(dies_at > 30);
    }
    Ok(())
}

#[test]
fn what_is_kept_can_be_pulled_and_the_rest_is_gone() -> TestResult {
    let setup = Setup::new()?;
    let world = World::new(&setup.files, begin() + 2 * DAY);
    let marked = setup.collect(&world, &source(&world), &[])?;
    assert_eq!(marked.removed.files, 0);
    assert_eq!(marked.kept_objects, 1);
    assert_eq!(marked.due_in, Some(DAY));
    // Not yet.
    world.wait(DAY - HOUR);
    let waiting = setup.collect(&world, &source(&world), &[])?;
    assert_eq!(waiting.removed.files, 0);
    assert_eq!(waiting.condemned, marked.condemned);
    assert_eq!(waiting.due_in, Some(HOUR));
    world.wait(HOUR);
    let swept = setup.collect(&world, &source(&world), &[])?;
    assert_eq!(swept.removed, marked.condemned);
    assert_eq!(swept.condemned.files, 0);
    world.check()?;
    let digest = *setup.kept.path.digest();
    let left: Vec<CacheName> = world
        .names()
        .into_iter()
        .filter(|name| !matches!(name, CacheName::Pack(_)))
        .collect();
    assert_eq!(
        left,
        [
            CacheName::Info,
            CacheName::Object(digest),
            CacheName::Closure(digest),
            CacheName::Manifest(digest),
            CacheName::NameHint("big".parse()?),
        ]
    );
    // Of the file that it shares with what is gone, the frame alone was kept.
    let packs = lock(&world.files)
        .iter()
        .filter(|(name, _)| matches!(name, CacheName::Pack(_)))
        .map(|(_, (bytes, _))| bytes.len())
        .sum::<usize>();
    assert!((2000..2500).contains(&packs), "{packs}");

    let elsewhere = TempStore::new();
    let caches = [Arc::new(source(&world))];
    let puller = Puller::new(
        &elsewhere,
        &caches,
        trust::Policy::new(trust::PolicyRules::default()),
        1,
    );
    let lease = elsewhere.lease()?;
    let wanted = [(setup.kept.path.clone(), setup.kept.id)];
    puller.pull(&wanted, &lease, &|_| {}, &AtomicBool::new(false))?;
    assert!(elsewhere.path_info(&setup.kept.path)?.is_some());
    Ok(())
}

#[test]
fn what_is_pinned_or_young_stays() -> TestResult {
    let setup = Setup::new()?;
    let world = World::new(&setup.files, begin() + 10 * DAY);
    let cache = source(&world);
    let request = |older_than| CollectRequest {
        keep: BTreeSet::new(),
        older_than,
        grace: Duration::ZERO,
        dry_run: false,
    };
    let collect = |request: &CollectRequest| {
        Collector::new(&cache, world.now()).collect(request, &AtomicBool::new(false))
    };
    // Nobody means that.
    assert!(matches!(
        collect(&request(None)),
        Err(CollectError::NothingStays { .. })
    ));
    let report = collect(&request(Some(11 * DAY)))?;
    assert_eq!(report.removed.files, 0);
    let pin = [setup.old_program.path.clone(), setup.new[0].path.clone()];
    change_pins(&cache, &pin, &[])?;
    assert_eq!(read_pins(&cache)?.paths, pin.iter().cloned().collect());
    let report = collect(&request(Some(9 * DAY)))?;
    assert_eq!(report.kept_objects, 2);
    assert_eq!(report.absent, BTreeSet::from([pin[1].clone()]));
    assert!(
        report.removed.objects == 3 && report.removed.size_bytes > 10_000,
        "{report:?}"
    );
    world.check()?;
    world.has_objects(&[&setup.old_program])?;
    // The realisation of what is gone went out of the list that both were in.
    let name = CacheName::Realisations(ResolvedDigest::from_bytes([1; 32]));
    let text = String::from_utf8(cache.read(&name, 1 << 20)?)?;
    assert!(
        text.contains("program-1.0") && !text.contains("data-1.0"),
        "{text}"
    );

    change_pins(&cache, &[], &pin)?;
    // The list that was written again is old enough as well.
    world.wait(HOUR);
    collect(&request(Some(9 * DAY)))?;
    world.check()?;
    assert_eq!(
        world.names(),
        BTreeSet::from([CacheName::Info, CacheName::Pins])
    );
    Ok(())
}

#[test]
fn a_dry_run_tells_and_changes_nothing() -> TestResult {
    let setup = Setup::new()?;
    for start in setup.worlds()? {
        let world = copy(&start);
        let before = lock(&world.files).clone();
        let request = CollectRequest {
            keep: BTreeSet::from([setup.kept.path.clone()]),
            older_than: None,
            grace: DAY,
            dry_run: true,
        };
        let told = Collector::new(&source(&world), world.now())
            .collect(&request, &AtomicBool::new(false))?;
        assert_eq!(*lock(&world.files), before);
        let mut done = setup.collect(&world, &source(&world), &[])?;
        done.repacked_bytes = 0;
        assert_eq!(told, done);
        assert!(told.removed.files + told.condemned.files > 10);
    }
    Ok(())
}

#[test]
fn two_collectors_keep_each_other_out() -> TestResult {
    let setup = Arc::new(Setup::new()?);
    let [_, start] = setup.worlds()?;
    for at in 0..40 {
        let world = copy(&start);
        let other = Arc::new(Mutex::new(None));
        let hook: Hook = {
            let (setup, world, other) =
                (Arc::clone(&setup), Arc::clone(&world), Arc::clone(&other));
            Box::new(move || *lock(&other) = Some(setup.collect(&world, &source(&world), &[])))
        };
        let (cache, _) = source_with(&world, Some((at, hook)), usize::MAX);
        let own = setup.collect(&world, &cache, &[]);
        let other = lock(&other).take().ok_or("there are as many requests")?;
        let is_out = |result: &Result<_, _>| matches!(result, Err(CollectError::AtWork { .. }));
        // The first request only finds out whether there is a cache.
        assert_eq!(
            (is_out(&own), is_out(&other)),
            (false, at > 1),
            "{at}: {own:?} {other:?}"
        );
        world.check()?;
    }
    Ok(())
}

#[test]
fn a_hostile_list_takes_nothing_that_is_needed() -> TestResult {
    let setup = Setup::new()?;
    let world = World::new(&setup.files, begin() + 10 * DAY);
    // Whoever may write may remove; but by mistake nobody does.
    let all = world.names();
    let list = Condemned::new(
        DrawnId::from_number(1),
        BEGIN_SECONDS + 5 * DAY.as_secs(),
        all.clone(),
    );
    let cache = source(&world);
    cache.write(&CacheName::Condemned, &Bytes::from(list.encode()?))?;
    let claim = Claim::new([CacheName::Object(*setup.old_program.path.digest())]);
    cache.write(
        &CacheName::Claim(DrawnId::from_number(2)),
        &Bytes::from(claim.encode()?),
    )?;
    setup.collect(&world, &cache, &[])?;
    world.check()?;
    world.has_objects(&[&setup.kept, &setup.old_program])?;

    cache.write(&CacheName::Condemned, &Bytes::from_static(b"nonsense"))?;
    push(&setup.store, &cache, &setup.targets())?;
    setup.collect(&world, &cache, &setup.targets())?;
    setup.settle(&world, &setup.targets())
}

#[test]
fn what_cannot_be_read_stops_the_collection() -> TestResult {
    let setup = Setup::new()?;
    let digest = *setup.kept.path.digest();
    for name in [
        CacheName::Object(digest),
        CacheName::Manifest(digest),
        CacheName::Closure(digest),
    ] {
        let world = World::new(&setup.files, begin() + 10 * DAY);
        let cache = source(&world);
        *lock(&world.now) = begin();
        cache.write(&name, &Bytes::from_static(b"nonsense"))?;
        *lock(&world.now) = begin() + 10 * DAY;
        let before = lock(&world.files).clone();
        let result = setup.collect(&world, &cache, &[]);
        assert!(
            matches!(result, Err(CollectError::Damaged { .. })),
            "{name}: {result:?}"
        );
        assert_eq!(*lock(&world.files), before);
    }
    let world = World::new(&setup.files, begin() + 10 * DAY);
    let cache = source(&world);
    let newer = Bytes::from_static(br#"{"version":2,"pins":[]}"#);
    cache.write(&CacheName::Pins, &newer)?;
    let result = setup.collect(&world, &cache, &[]);
    assert!(
        matches!(result, Err(CollectError::Format { .. })),
        "{result:?}"
    );
    Ok(())
}
