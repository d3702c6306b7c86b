//! Pushing from a store into a cache, and what is there afterwards.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::Read,
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use bytes::Bytes;
use store::{
    AddBatch, AddObject, AddSource, Component, LocalStore, MemoryNode, ObjectId, PathInfo,
    PlanDigest, ResolvedDigest,
    cache::{
        backend::{
            Backend, BackendError, BackendOptions, CacheUrl, FileKind, ListedFile, open_backend,
        },
        format::{
            CacheInfo, CacheName, ClosureIndex, ObjectRecord, PlanHint, Prefix, RealisationSet,
        },
        pull::Puller,
        push::{BuildLog, PlannedHint, PushError, PushEvent, PushReport, PushRequest, Pusher},
        source::{Policy, Source},
        testing::find_cache_faults,
    },
    facts::FactsObject,
    testing::{TempStore, memory_tree, noise},
    trust::{self, SecretKey},
};
use tempfile::TempDir;

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A cache in a directory that does not exist yet.
struct Cache {
    parent: TempDir,
}

impl Cache {
    fn new() -> TestResult<Self> {
        Ok(Self {
            parent: tempfile::tempdir()?,
        })
    }

    fn path(&self) -> std::path::PathBuf {
        self.parent.path().join("cache")
    }

    fn open(&self) -> TestResult<Source> {
        let url: CacheUrl = self.path().to_str().ok_or("a path of text")?.parse()?;
        let backend = open_backend(&url, &BackendOptions::default())?;
        Ok(Source::new(backend, Policy::default()))
    }

    fn read(&self, name: &CacheName) -> TestResult<Vec<u8>> {
        Ok(fs::read(self.path().join(name.to_string()))?)
    }

    fn record(&self, info: &PathInfo) -> TestResult<ObjectRecord> {
        let name = CacheName::Object(*info.path.digest());
        Ok(ObjectRecord::decode(&self.read(&name)?)?)
    }

    fn check(&self) -> TestResult {
        let faults = find_cache_faults(&self.path());
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("\n").into())
        }
    }
}

fn push(
    store: &LocalStore,
    cache: &Source,
    key: Option<&SecretKey>,
    targets: &[&PathInfo],
) -> Result<PushReport, PushError> {
    let request = request(targets);
    let mut pusher = Pusher::new(store, cache);
    if let Some(key) = key {
        pusher = pusher.sign_with(key);
    }
    pusher.push(&request, &|_| {}, &AtomicBool::new(false))
}

fn request(targets: &[&PathInfo]) -> PushRequest {
    PushRequest {
        targets: targets.iter().map(|info| info.path.clone()).collect(),
        ..PushRequest::default()
    }
}

fn key(name: &str) -> TestResult<SecretKey> {
    Ok(SecretKey::from_seed(
        name.parse()?,
        blake3::hash(name.as_bytes()).as_bytes(),
    ))
}

/// Bytes that do not compress, others for each seed.
/// Adds an object whose file `needs` names others.
fn add(
    store: &LocalStore,
    name: &str,
    content: MemoryNode,
    needs: &[&PathInfo],
) -> TestResult<PathInfo> {
    let text: String = needs
        .iter()
        .map(|info| info.path.to_logical() + "\n")
        .collect();
    let mut tree = memory_tree(&[("content", content)]);
    tree.insert("needs", MemoryNode::file(text))?;
    let mut object = AddObject::new(name.parse()?, AddSource::Tree(tree));
    object.component = Some(Component {
        name: name.to_owned(),
        ..Component::default()
    });
    let batch = AddBatch {
        objects: vec![object],
        candidates: needs
            .iter()
            .map(|info| (info.path.clone(), info.id))
            .collect(),
        ..AddBatch::default()
    };
    Ok(store.add(batch)?.pop().ok_or("one object was added")?)
}

/// Adds an object with what was observed of it.
fn add_with_facts(store: &LocalStore, name: &str, needs: &[&PathInfo]) -> TestResult<PathInfo> {
    let facts = add(store, &format!("{name}-facts"), MemoryNode::file(name), &[])?;
    let info = add(store, name, MemoryNode::file("x"), needs)?;
    let component = Component {
        name: name.to_owned(),
        facts: Some(FactsObject {
            path: facts.path,
            id: facts.id,
        }),
        ..Component::default()
    };
    store.set_components(&[(info.path.clone(), component)])?;
    store
        .path_info(&info.path)?
        .ok_or_else(|| "it was added".into())
}

#[test]
fn facts_go_along_and_are_asked_for_once() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let library = add_with_facts(&store, "library", &[])?;
    let program = add_with_facts(&store, "program", &[&library])?;
    let first = push(&store, &cache.open()?, None, &[&program])?;
    assert_eq!((first.objects, first.new_objects), (4, 4));
    cache.check()?;
    let source = cache.open()?;
    let again = push(&store, &source, None, &[&program])?;
    assert_eq!((again.new_objects, again.sent_bytes), (0, 0));
    // What the cache is, what goes from it, the bundle, the facts of the target.
    let requests = source.statistics().requests;
    assert!(requests <= 4, "{requests}");

    let other = TempStore::new();
    let caches = [Arc::new(cache.open()?)];
    let puller = Puller::new(&other, &caches, trust::Policy::new(Default::default()), 1);
    let lease = other.lease()?;
    let pull = |wanted: &[(store::StorePath, ObjectId)]| {
        puller.pull(wanted, &lease, &|_| {}, &AtomicBool::new(false))
    };
    // The closure comes without them, and they come by what it says.
    assert_eq!(
        pull(&[(program.path.clone(), program.id)])?.objects.len(),
        2
    );
    let facts = program.component.and_then(|component| component.facts);
    let facts = facts.ok_or("it has facts")?;
    assert_eq!(pull(&[(facts.path, facts.id)])?.objects.len(), 1);
    Ok(())
}

#[test]
fn facts_that_are_not_here_keep_nothing_from_being_pushed() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let program = add(&store, "program", MemoryNode::file("x"), &[])?;
    let component = Component {
        facts: Some(FactsObject {
            path: format!("{}-program-facts", "0".repeat(40)).parse()?,
            id: ObjectId::from_bytes([0; 32]),
        }),
        ..Component::default()
    };
    store.set_components(&[(program.path.clone(), component)])?;
    let report = push(&store, &cache.open()?, None, &[&program])?;
    assert_eq!(report.new_objects, 1);
    cache.check()
}

/// Records that an object was built.
fn built(
    store: &LocalStore,
    info: &PathInfo,
    resolved: u8,
    sandbox: &str,
) -> TestResult<store::Realisation> {
    let realisation = store::Realisation {
        resolved: ResolvedDigest::from_bytes([resolved; 32]),
        output: "out".to_owned(),
        object: info.id,
        path: info.path.clone(),
        sandbox: sandbox.to_owned(),
        built_at: 1,
        duration_ms: 2,
    };
    store.add_realisations(std::slice::from_ref(&realisation))?;
    Ok(realisation)
}

#[test]
fn everything_arrives_signed_and_in_order() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let library = add(
        &store,
        "library-1.0",
        MemoryNode::file(noise(1, 3_000_000)),
        &[],
    )?;
    let program = add(
        &store,
        "program-2.0-dev",
        MemoryNode::program("x"),
        &[&library],
    )?;
    let realisation = built(&store, &program, 7, "full")?;
    let log = store.root().join("log-of-the-test");
    fs::write(&log, "a log")?;
    let key = key("builder-1")?;
    let plan = PlanDigest::from_bytes([9; 32]);
    let request = PushRequest {
        hints: vec![PlannedHint {
            plan,
            realisations: vec![realisation.clone()],
        }],
        logs: vec![BuildLog {
            resolved: realisation.resolved,
            path: log,
        }],
        ..request(&[&program])
    };
    let events = Mutex::new(Vec::new());
    let told = |event| {
        if let Ok(mut events) = events.lock() {
            events.push(event);
        }
    };
    let source = cache.open()?;
    let report = Pusher::new(&store, &source).sign_with(&key).push(
        &request,
        &told,
        &AtomicBool::new(false),
    )?;
    cache.check()?;
    assert_eq!(
        (report.objects, report.new_objects, report.packs),
        (2, 2, 1)
    );
    assert_eq!(report.realisations, 1);
    let files: u64 = sizes(&cache.path())?.values().sum();
    assert_eq!(report.sent_bytes, files);

    check_contents(&cache, &key, [&library, &program], &realisation, plan)?;

    let events = events.into_inner()?;
    let objects: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            PushEvent::Object { path } => Some(path),
            _ => None,
        })
        .collect();
    assert_eq!(objects, [&library.path, &program.path]);
    Ok(())
}

/// The description, the signatures and the hints are those of the push, and the bundle has both objects in order.
fn check_contents(
    cache: &Cache,
    key: &SecretKey,
    [library, program]: [&PathInfo; 2],
    realisation: &store::Realisation,
    plan: PlanDigest,
) -> TestResult {
    assert_eq!(
        CacheInfo::decode(&cache.read(&CacheName::Info)?)?.keys,
        [key.public()]
    );
    let record = cache.record(program)?;
    assert_eq!(record.signatures.len(), 1);
    assert_eq!(record.component_signatures.len(), 1);
    let list = CacheName::Realisations(realisation.resolved);
    let list = RealisationSet::decode(&cache.read(&list)?, &realisation.resolved)?;
    assert_eq!(list.entries().len(), 1);
    assert_eq!(list.entries()[0].signatures.len(), 1);
    let hint = PlanHint::decode(&cache.read(&CacheName::PlanHint(plan))?, &plan)?;
    assert_eq!(hint.entries(), list.entries());
    let bundle = cache.read(&CacheName::Closure(*program.path.digest()))?;
    let Prefix::Whole(index) = ClosureIndex::parse(&bundle, program.path.digest())? else {
        return Err("the bundle is too short".into());
    };
    let paths: Vec<_> = index
        .records()
        .iter()
        .map(|record| &record.info().path)
        .collect();
    assert_eq!(paths, [&library.path, &program.path]);
    assert!(cache.path().join("n/program-dev").exists());
    assert_eq!(cache.read(&CacheName::Log(realisation.resolved))?, b"a log");
    Ok(())
}

/// The files of a directory and their sizes.
fn sizes(directory: &Path) -> TestResult<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() == ".staging" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.extend(sizes(&entry.path())?);
        } else {
            found.insert(entry.path().display().to_string(), entry.metadata()?.len());
        }
    }
    Ok(found)
}

#[test]
fn what_is_there_already_costs_four_questions() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let mut last = add(&store, "base-1", MemoryNode::file("base"), &[])?;
    for number in 0..20 {
        last = add(
            &store,
            &format!("layer-{number}"),
            MemoryNode::file("x"),
            &[&last],
        )?;
    }
    let realisation = built(&store, &last, 1, "full")?;
    let key = key("builder-1")?;
    let request = PushRequest {
        hints: vec![PlannedHint {
            plan: PlanDigest::from_bytes([9; 32]),
            realisations: vec![realisation],
        }],
        ..request(&[&last])
    };
    for with_key in [false, true] {
        let mut reports = Vec::new();
        let mut requests = 0;
        for _ in 0..2 {
            let source = cache.open()?;
            let mut pusher = Pusher::new(&store, &source);
            if with_key {
                pusher = pusher.sign_with(&key);
            }
            reports.push(pusher.push(&request, &|_| {}, &AtomicBool::new(false))?);
            requests = source.statistics().requests;
        }
        cache.check()?;
        assert!(reports[0].sent_bytes > 0);
        assert_eq!((reports[1].sent_bytes, reports[1].new_objects), (0, 0));
        // What the cache is, what goes from it, the bundle, the hint; of a bundle whose signatures matter first how long its records are.
        assert!(requests <= if with_key { 5 } else { 4 }, "{requests}");
        assert_eq!(reports[0].signed, if with_key { 21 } else { 0 });
    }
    Ok(())
}

/// An object of 40 MB in files of all sizes.
fn large(version: u64) -> TestResult<MemoryNode> {
    let mut tree = MemoryNode::directory();
    for number in 0..20 {
        tree.insert(
            format!("library/{number}.so"),
            MemoryNode::file(noise(number, 1_000_000)),
        )?;
    }
    for number in 100..300 {
        tree.insert(
            format!("share/{number}"),
            MemoryNode::file(noise(number, 40_000)),
        )?;
    }
    let mut blob = noise(1000, 12_000_000);
    if version == 1 {
        tree.insert("share/150", MemoryNode::file(noise(1, 40_001)))?;
    }
    if version == 2 {
        blob.splice(6_000_000..6_000_000, *b"inserted");
    }
    tree.insert("blob", MemoryNode::file(blob))?;
    Ok(tree)
}

#[test]
fn one_changed_file_of_forty_megabytes_sends_less_than_a_twentieth() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let first = add(&store, "large-1.0", large(0)?, &[])?;
    let whole = push(&store, &cache.open()?, None, &[&first])?.sent_bytes;
    assert!(whole >= 40_000_000);
    for version in [1, 2] {
        let next = add(&store, &format!("large-1.{version}"), large(version)?, &[])?;
        let report = push(&store, &cache.open()?, None, &[&next])?;
        cache.check()?;
        assert!(
            report.sent_bytes < whole / 20,
            "{version}: {}",
            report.sent_bytes
        );
        assert_eq!(report.new_objects, 1);
        assert!(report.reused_bytes > 27_000_000);
    }
    Ok(())
}

#[test]
fn a_pusher_adds_its_signatures_and_keeps_those_of_others() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let library = add(&store, "library-1.0", MemoryNode::file("l"), &[])?;
    let program = add(&store, "program-2.0", MemoryNode::file("p"), &[&library])?;
    built(&store, &program, 7, "full")?;
    push(&store, &cache.open()?, None, &[&program])?;
    for (count, name) in [(1, "a"), (2, "b")] {
        let report = push(&store, &cache.open()?, Some(&key(name)?), &[&program])?;
        assert_eq!(
            (report.new_objects, report.signed, report.realisations),
            (0, 2, 1)
        );
        for info in [&library, &program] {
            let record = cache.record(info)?;
            assert_eq!(
                (record.signatures.len(), record.component_signatures.len()),
                (count, count)
            );
        }
        let name = CacheName::Closure(*program.path.digest());
        let Prefix::Whole(index) = ClosureIndex::parse(&cache.read(&name)?, program.path.digest())?
        else {
            return Err("the bundle is too short".into());
        };
        assert!(
            index
                .records()
                .iter()
                .all(|record| record.signatures.len() == count)
        );
    }
    // Nobody's signature is lost to one who has none.
    assert_eq!(
        push(&store, &cache.open()?, None, &[&program])?.sent_bytes,
        0
    );
    assert_eq!(cache.record(&library)?.signatures.len(), 2);
    cache.check()
}

#[test]
fn pushers_at_once_lose_nothing_of_each_other() -> TestResult {
    let cache = Cache::new()?;
    let names = ["a", "b", "c", "d"];
    let pushed = thread::scope(|scope| {
        let pushers: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let cache = &cache;
                scope.spawn(move || -> Result<Vec<PathInfo>, String> {
                    let run = || -> TestResult<Vec<PathInfo>> {
                        let store = TempStore::new();
                        let shared =
                            add(&store, "shared-1", MemoryNode::file(noise(1, 300_000)), &[])?;
                        let own = add(
                            &store,
                            "own-1",
                            MemoryNode::file(noise(number as u64 + 2, 200_000)),
                            &[&shared],
                        )?;
                        built(&store, &shared, 1, "full")?;
                        push(&store, &cache.open()?, Some(&key(name)?), &[&own, &shared])?;
                        Ok(vec![shared, own])
                    };
                    run().map_err(|error| error.to_string())
                })
            })
            .collect();
        pushers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect::<Vec<_>>()
    });
    let pushed = pushed
        .into_iter()
        .map(|infos| infos.unwrap_or_else(|_| Err("a pusher panicked".to_owned())))
        .collect::<Result<Vec<_>, _>>()?;
    cache.check()?;
    for infos in pushed {
        assert_eq!(cache.record(&infos[0])?.signatures.len(), names.len());
        assert_eq!(cache.record(&infos[1])?.signatures.len(), 1);
    }
    let resolved = ResolvedDigest::from_bytes([1; 32]);
    let list = RealisationSet::decode(&cache.read(&CacheName::Realisations(resolved))?, &resolved)?;
    assert_eq!(list.entries()[0].signatures.len(), names.len());
    Ok(())
}

#[test]
fn builds_of_weak_sandboxes_go_along_only_when_they_are_named() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let library = add(&store, "library-1.0", MemoryNode::file("l"), &[])?;
    let program = add(&store, "program-2.0", MemoryNode::file("p"), &[&library])?;
    built(&store, &library, 7, "no-proc")?;
    let source = cache.open()?;
    let error = push(&store, &source, None, &[&program])
        .err()
        .ok_or("it was pushed")?;
    assert_eq!(
        error.to_string(),
        format!("`{}` was built in the weak sandbox `no-proc`", library.path)
    );
    assert!(!cache.path().exists());
    Pusher::new(&store, &source).allow_sandbox("no-proc").push(
        &request(&[&program]),
        &|_| {},
        &AtomicBool::new(false),
    )?;
    cache.check()
}

#[test]
fn a_damaged_object_is_named_and_nothing_leads_to_it() -> TestResult {
    for length in [1000, 3_000_000] {
        let (store, cache) = (TempStore::new(), Cache::new()?);
        let library = add(&store, "library-1.0", MemoryNode::file("l"), &[])?;
        let program = add(
            &store,
            "program-2.0",
            MemoryNode::file(noise(3, length)),
            &[&library],
        )?;
        let file = store.real_path(&program.path).join("content");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
        let mut bytes = fs::read(&file)?;
        bytes[length / 2] ^= 1;
        fs::write(&file, bytes)?;
        let error = push(&store, &cache.open()?, None, &[&program])
            .err()
            .ok_or("it was pushed")?;
        assert_eq!(
            error.to_string(),
            format!(
                "`{}` is damaged: `content` has other bytes than were recorded",
                program.path
            )
        );
        cache.check()?;
        assert!(!cache.path().join("o").exists());
    }
    Ok(())
}

#[test]
fn a_push_goes_on_where_another_ended() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let mut infos = Vec::new();
    for number in 0..3 {
        let content = MemoryNode::file(vec![number; 130 << 20]);
        let needs: Vec<&PathInfo> = infos.iter().collect();
        let info = add(&store, &format!("part{number}"), content, &needs)?;
        infos.push(info);
    }
    let last = infos.last().ok_or("there are objects")?;
    let cancel = AtomicBool::new(false);
    let source = cache.open()?;
    // After the first pack of the second object.
    let told = |event: PushEvent| {
        static IS_SECOND: AtomicBool = AtomicBool::new(false);
        match event {
            PushEvent::Object { .. } => IS_SECOND.store(true, Ordering::Relaxed),
            PushEvent::Pack { .. } if IS_SECOND.load(Ordering::Relaxed) => {
                cancel.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
    };
    let result = Pusher::new(&store, &source).push(&request(&[last]), &told, &cancel);
    assert!(matches!(result, Err(PushError::Interrupted)));
    drop(source);
    cache.check()?;
    assert!(cache.record(&infos[0]).is_ok());
    assert!(cache.record(&infos[1]).is_err());
    let report = push(&store, &cache.open()?, None, &[last])?;
    assert_eq!(report.new_objects, 2);
    cache.check()
}

#[test]
fn what_somebody_deleted_from_a_cache_comes_back() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let library = add(&store, "library-1.0", MemoryNode::file("l"), &[])?;
    let program = add(&store, "program-2.0", MemoryNode::file("p"), &[&library])?;
    push(&store, &cache.open()?, None, &[&program])?;
    let bundle = CacheName::Closure(*program.path.digest());
    for lost in [
        CacheName::Manifest(*library.path.digest()),
        CacheName::Object(*library.path.digest()),
        CacheName::Object(*program.path.digest()),
    ] {
        for name in [&bundle, &lost] {
            fs::remove_file(cache.path().join(name.to_string()))?;
        }
        push(&store, &cache.open()?, None, &[&program])?;
        cache.check()?;
        assert!(cache.read(&bundle).is_ok() && cache.read(&lost).is_ok());
    }
    // What is no bundle is replaced as well.
    fs::remove_file(cache.path().join(bundle.to_string()))?;
    fs::write(cache.path().join(bundle.to_string()), "nonsense")?;
    push(&store, &cache.open()?, Some(&key("a")?), &[&program])?;
    cache.check()
}

#[test]
fn a_cache_of_another_version_is_left_alone() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let info = add(&store, "a", MemoryNode::file("l"), &[])?;
    fs::create_dir(cache.path())?;
    let text = r#"{"version":2,"store_dir":"/pith/store","keys":[]}"#;
    fs::write(cache.path().join("cache.json"), text)?;
    let error = push(&store, &cache.open()?, None, &[&info]);
    assert!(matches!(error, Err(PushError::Format { .. })));
    assert_eq!(sizes(&cache.path())?.len(), 1);
    Ok(())
}

/// Files in memory, whose writers cannot be kept apart: the first writes are overwritten by somebody who has read before.
#[derive(Debug)]
struct Contended {
    url: CacheUrl,
    files: Mutex<BTreeMap<CacheName, Bytes>>,
    /// What the other one writes over a record, and how often.
    other: Mutex<(BTreeMap<CacheName, Bytes>, usize)>,
}

/// The same files for the push and for who looks at them.
#[derive(Debug, Clone)]
struct Shared(Arc<Contended>);

impl Contended {
    fn absent(name: &CacheName) -> BackendError {
        BackendError::Absent {
            file: name.to_string(),
        }
    }

    fn find(&self, name: &CacheName) -> Result<Bytes, BackendError> {
        let files = self.files.lock().map_err(|_| Self::absent(name))?;
        files.get(name).cloned().ok_or_else(|| Self::absent(name))
    }
}

impl Backend for Shared {
    fn url(&self) -> &CacheUrl {
        &self.0.url
    }

    fn read(&self, name: &CacheName, _: u64) -> Result<Vec<u8>, BackendError> {
        self.0.find(name).map(|bytes| bytes.to_vec())
    }

    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        let place = |at: u64| usize::try_from(at).map_err(|_| Contended::absent(name));
        let (start, end) = (place(range.start)?, place(range.end)?);
        Ok(Box::new(std::io::Cursor::new(
            self.0.find(name)?.slice(start..end),
        )))
    }

    fn exists(&self, name: &CacheName) -> Result<bool, BackendError> {
        Ok(self.0.find(name).is_ok())
    }

    fn write(&self, name: &CacheName, bytes: Bytes) -> Result<(), BackendError> {
        let (Ok(mut files), Ok(mut other)) = (self.0.files.lock(), self.0.other.lock()) else {
            return Err(Contended::absent(name));
        };
        files.insert(name.clone(), bytes);
        if other.1 > 0
            && let Some(bytes) = other.0.get(name).cloned()
        {
            other.1 -= 1;
            files.insert(name.clone(), bytes);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn remove(&self, _: &CacheName) -> Result<(), BackendError> {
        Ok(())
    }

    fn list(&self, _: FileKind, _: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        Ok(())
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        Ok(true)
    }
}

#[test]
fn whoever_is_overwritten_writes_again_and_not_for_ever() -> TestResult {
    let store = TempStore::new();
    let info = add(&store, "a", MemoryNode::file("l"), &[])?;
    let cache = Cache::new()?;
    push(&store, &cache.open()?, Some(&key("other")?), &[&info])?;
    let name = CacheName::Object(*info.path.digest());
    let theirs = Bytes::from(cache.read(&name)?);
    for (times, is_done) in [(3, true), (100, false)] {
        let contended = Shared(Arc::new(Contended {
            url: "https://cache.example".parse()?,
            files: Mutex::default(),
            other: Mutex::new((BTreeMap::from([(name.clone(), theirs.clone())]), times)),
        }));
        let source = Source::new(Box::new(contended.clone()), Policy::default());
        let result = push(&store, &source, Some(&key("own")?), &[&info]);
        if is_done {
            result?;
            let record = ObjectRecord::decode(&contended.0.find(&name)?)?;
            assert_eq!(record.signatures.len(), 2);
        } else {
            assert!(matches!(result, Err(PushError::Contended { .. })));
        }
    }
    Ok(())
}

#[test]
fn what_is_not_valid_is_not_pushed() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let id = ObjectId::from_bytes([3; 32]);
    let path = store::StorePath::new(id.path_digest(), "gone".parse()?);
    let request = PushRequest {
        targets: vec![path],
        ..PushRequest::default()
    };
    let source = cache.open()?;
    let result = Pusher::new(&store, &source).push(&request, &|_| {}, &AtomicBool::new(false));
    assert!(matches!(result, Err(PushError::Closure(_))));
    assert!(!cache.path().exists());
    Ok(())
}

#[test]
fn what_was_pushed_can_be_pulled_elsewhere() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let library = add(
        &store,
        "library-1.0",
        MemoryNode::file(noise(1, 5_000_000)),
        &[],
    )?;
    let program = add(&store, "program-2.0", MemoryNode::program("p"), &[&library])?;
    let realisation = built(&store, &program, 7, "full")?;
    let key = key("builder-1")?;
    push(&store, &cache.open()?, Some(&key), &[&program])?;

    let elsewhere = TempStore::new();
    let caches = [Arc::new(cache.open()?)];
    let policy = trust::Policy::new(trust::PolicyRules {
        keys: vec![trust::TrustedKey {
            key: key.public(),
            until: None,
        }],
        ..trust::PolicyRules::default()
    });
    let puller = Puller::new(&elsewhere, &caches, policy, 1);
    let found = puller.find_realisations(&realisation.resolved)?;
    let found: Vec<_> = found.into_iter().map(|found| found.realisation).collect();
    assert_eq!(found, std::slice::from_ref(&realisation));
    let lease = elsewhere.lease()?;
    let wanted = [(realisation.path, realisation.object)];
    puller.pull(&wanted, &lease, &|_| {}, &AtomicBool::new(false))?;
    for info in [&library, &program] {
        let pulled = elsewhere.path_info(&info.path)?.ok_or("it was pulled")?;
        assert_eq!((pulled.id, &pulled.component), (info.id, &info.component));
    }
    Ok(())
}

#[test]
fn nothing_is_prepared_for_a_cache_that_cannot_be_written() -> TestResult {
    let (store, cache) = (TempStore::new(), Cache::new()?);
    let first = add(&store, "first", MemoryNode::file("l"), &[])?;
    let second = add(&store, "second", MemoryNode::file("m"), &[])?;
    push(&store, &cache.open()?, None, &[&first])?;
    let url: CacheUrl = cache.path().to_str().ok_or("a path of text")?.parse()?;
    let read_only = ReadOnly(open_backend(&url, &BackendOptions::default())?);
    let source = Source::new(Box::new(read_only), Policy::default());
    // What is there already needs no writing.
    push(&store, &source, None, &[&first])?;
    let refused = push(&store, &source, None, &[&second])
        .err()
        .ok_or("it was pushed")?;
    assert_eq!(
        refused.to_string(),
        format!("the cache `{}` cannot be written", cache.path().display())
    );
    Ok(())
}

/// A cache that others write.
#[derive(Debug)]
struct ReadOnly(Box<dyn Backend>);

impl Backend for ReadOnly {
    fn url(&self) -> &CacheUrl {
        self.0.url()
    }

    fn read(&self, name: &CacheName, limit: u64) -> Result<Vec<u8>, BackendError> {
        self.0.read(name, limit)
    }

    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        self.0.open_range(name, range)
    }

    fn exists(&self, name: &CacheName) -> Result<bool, BackendError> {
        self.0.exists(name)
    }

    fn write(&self, name: &CacheName, _: Bytes) -> Result<(), BackendError> {
        panic!("`{name}` was written");
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn remove(&self, name: &CacheName) -> Result<(), BackendError> {
        panic!("`{name}` was removed");
    }

    fn list(&self, _: FileKind, _: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        Ok(())
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        Ok(false)
    }
}
