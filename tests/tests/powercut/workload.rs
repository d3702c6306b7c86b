//! What the store is asked to do while power may go: a list of steps, which can be done again on a store that has had them or a part of them.
//!
//! A step reports what a call promised after it has returned, and what a call takes back before it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};

use store::profile::{
    DEFAULT_PRIORITY, Generation, InstalledPackage, Manifest, Origin, Outcome, Profile, ProfileName,
};
use store::testing::memory_tree;
use store::{
    AddBatch, AddObject, AddSource, Component, GcOptions, LocalStore, MemoryNode, NewRealisation,
    PathInfo, Realisation, ResolvedDigest, RootKind, StoreOptions, StorePath, scratch_path,
};

use crate::TestResult;
use crate::ledger::{Event, Fact};

/// A step and its name.
type Step = (&'static str, fn(&mut Work<'_>) -> TestResult);

/// All steps, in order.
const STEPS: &[Step] = &[
    ("open", open),
    ("add one file", add_one_file),
    ("add two outputs", add_two_outputs),
    ("add a root", add_a_root),
    ("install into a profile", install_into_a_profile),
    ("add a large tree", add_a_large_tree),
    ("add again with a component", add_again_with_a_component),
    ("add equal files", add_equal_files),
    ("add in threads", add_in_threads),
    ("add realisations", add_realisations),
    ("replace a root", replace_a_root),
    ("switch a profile", switch_a_profile),
    ("add a closure", add_a_closure),
    ("close and open", close_and_open),
    ("remove a root", remove_a_root),
    ("forget generations", forget_generations),
    ("add with references", add_with_references),
    ("collect garbage", collect_garbage),
    ("add equal files again", add_equal_files),
    ("add while collecting", add_while_collecting),
    ("close and open again", close_and_open),
];

/// The seconds between two questions for the time. More than the time for which recovery trusts nothing, so that it hashes the last object alone and
/// what was promised before must have been kept by the order of writes.
const SECONDS_PER_TICK: u64 = 1000;
static CLOCK: AtomicU64 = AtomicU64::new(1_700_000_000);

/// Returns options with a clock that jumps.
pub(crate) fn options() -> StoreOptions {
    StoreOptions::new(|| CLOCK.fetch_add(SECONDS_PER_TICK, Ordering::Relaxed))
}

/// Lets the clock go on from the `number`-th start of the machine.
pub(crate) fn start_clock(number: u64) {
    CLOCK.fetch_add(number * 1_000_000_000, Ordering::Relaxed);
}

/// Does all steps and reports each event before it goes on.
pub(crate) fn work(root: &Path, report: &mut dyn FnMut(Event) -> TestResult) -> TestResult {
    let mut work = Work {
        root: root.to_owned(),
        store: None,
        known: BTreeMap::new(),
        report,
    };
    for (name, step) in STEPS {
        step(&mut work).map_err(|error| format!("step `{name}`: {}", chain(&*error)))?;
    }
    Ok(())
}

/// An error and its causes, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.join(": ")
}

/// The work so far.
struct Work<'a> {
    root: PathBuf,
    store: Option<LocalStore>,
    /// What was added, by name.
    known: BTreeMap<String, PathInfo>,
    report: &'a mut dyn FnMut(Event) -> TestResult,
}

impl Work<'_> {
    fn store(&self) -> &LocalStore {
        self.store.as_ref().expect("the first step opened it")
    }

    fn known(&self, name: &str) -> PathInfo {
        self.known[name].clone()
    }

    fn promise(&mut self, fact: Fact) -> TestResult {
        (self.report)(Event::Promise(fact))
    }

    /// Makes a root, which may be there already.
    fn add_root(&mut self, name: &str, of: &str, kind: RootKind) -> TestResult {
        let path = self.known(of).path;
        (self.report)(Event::WithdrawRoot(name.to_owned()))?;
        self.store().add_root(name, &path, kind)?;
        self.promise(Fact::Root(name.to_owned(), path))
    }

    /// Makes these packages those of the default profile.
    fn install(&mut self, names: &[&str]) -> TestResult {
        let package = |name: &&str| {
            let package = InstalledPackage {
                target: (*name).to_owned(),
                origin: Origin::Path,
                collection: None,
                output: None,
                version: None,
                priority: DEFAULT_PRIORITY,
                path: self.known(name).path,
            };
            ((*name).to_owned(), package)
        };
        let manifest = Manifest {
            packages: names.iter().map(package).collect(),
        };
        (self.report)(Event::WithdrawCurrent)?;
        let profile = default_profile(self.store());
        let outcome = profile.lock(&|| {})?.install(&manifest)?;
        let (Outcome::Switched(generation) | Outcome::Unchanged(Some(generation))) = outcome else {
            return Err("nothing was installed".into());
        };
        self.is_current(generation)
    }

    /// Reports what a switch of the profile returned.
    fn is_current(&mut self, generation: Generation) -> TestResult {
        let name = format!("var/profiles/default/{}", generation.number);
        self.promise(Fact::Object(generation.path.clone()))?;
        self.promise(Fact::Root(name, generation.path.clone()))?;
        self.promise(Fact::Current(generation.path))
    }

    /// Reports that all may go but what the roots and these need.
    fn withdraw_all_but(&mut self, leased: &[StorePath]) -> TestResult {
        let roots = self.store().list_roots()?.into_iter();
        let keepers: Vec<_> = roots
            .map(|root| root.path)
            .chain(leased.iter().cloned())
            .collect();
        let closure = self.store().closure(&keepers)?;
        let kept: BTreeSet<_> = closure.infos().iter().map(|info| &info.path).collect();
        for path in self.store().find_by_prefix("")? {
            if !kept.contains(&path) {
                (self.report)(Event::WithdrawObject(path))?;
            }
        }
        Ok(())
    }

    /// Reports what an add returned.
    fn added(&mut self, infos: Vec<PathInfo>) -> TestResult {
        for info in infos {
            self.promise(Fact::Object(info.path.clone()))?;
            self.known.insert(info.path.name().to_string(), info);
        }
        Ok(())
    }

    fn add(&mut self, batch: AddBatch<'_>) -> TestResult {
        let infos = self.store().add(batch)?;
        self.added(infos)
    }
}

fn object(name: &str, tree: MemoryNode) -> Result<AddObject<'static>, Box<dyn Error>> {
    Ok(AddObject::new(name.parse()?, AddSource::Tree(tree)))
}

/// A batch of one object, which may refer to others.
fn one(
    name: &str,
    tree: MemoryNode,
    candidates: &[&PathInfo],
) -> Result<AddBatch<'static>, Box<dyn Error>> {
    Ok(AddBatch {
        objects: vec![object(name, tree)?],
        candidates: candidates
            .iter()
            .map(|info| (info.path.clone(), info.id))
            .collect(),
        ..AddBatch::default()
    })
}

fn open(work: &mut Work<'_>) -> TestResult {
    work.store = Some(LocalStore::open(&work.root, options())?);
    Ok(())
}

fn add_one_file(work: &mut Work<'_>) -> TestResult {
    work.add(one("note", MemoryNode::file("a note\n"), &[])?)
}

/// Two outputs that refer to each other's paths and to their own, and what they were built from.
fn add_two_outputs(work: &mut Work<'_>) -> TestResult {
    let (out, dev) = (
        scratch_path(&"lib".parse()?, "out"),
        scratch_path(&"lib-dev".parse()?, "dev"),
    );
    let text = |path: &StorePath| MemoryNode::file(path.to_logical());
    let headers = memory_tree(&[("pc/lib", text(&out)), ("self", text(&dev))]);
    let library = memory_tree(&[
        ("lib/so", text(&out)),
        ("large", MemoryNode::file(vec![7; 300_000])),
    ]);
    let batch = AddBatch {
        objects: vec![
            AddObject {
                scratch: Some(dev),
                ..object("lib-dev", headers)?
            },
            AddObject {
                scratch: Some(out),
                ..object("lib", library)?
            },
        ],
        realisations: vec![NewRealisation {
            resolved: ResolvedDigest::from_bytes([9; 32]),
            output: "out".into(),
            object: 1,
            sandbox: "full".into(),
            built_at: 1,
            duration_ms: 2,
        }],
        ..AddBatch::default()
    };
    work.add(batch)
}

fn add_a_root(work: &mut Work<'_>) -> TestResult {
    work.add_root("main", "lib", RootKind::Explicit)
}

/// Many files of many sizes in some directories.
fn add_a_large_tree(work: &mut Work<'_>) -> TestResult {
    let library = work.known("lib");
    let mut tree = MemoryNode::directory();
    for number in 0..120_usize {
        let bytes = number.to_string().repeat(1 + number * number % 4001);
        tree.insert(
            format!("share/{}/{number}", number % 7),
            MemoryNode::file(bytes),
        )?;
    }
    tree.insert("lib", MemoryNode::symlink(library.path.to_logical())?)?;
    tree.insert("bin/app", MemoryNode::program(library.path.to_logical()))?;
    work.add(one("app", tree, &[&library])?)
}

/// The object is valid, so nothing but its record and its row is written.
fn add_again_with_a_component(work: &mut Work<'_>) -> TestResult {
    let mut batch = one("note", MemoryNode::file("a note\n"), &[])?;
    batch.objects[0].component = Some(Component {
        name: "note".into(),
        version: Some("1".into()),
        ..Component::default()
    });
    work.add(batch)
}

fn add_equal_files(work: &mut Work<'_>) -> TestResult {
    work.add(equal_files()?)
}

/// Files that are in the store already, and more than once in one batch: they share their bytes with those.
fn equal_files() -> Result<AddBatch<'static>, Box<dyn Error>> {
    let copies = |large: &str| {
        memory_tree(&[
            (large, MemoryNode::file(vec![7; 300_000])),
            ("small", MemoryNode::file(vec![8; 20_000])),
            ("again", MemoryNode::file(vec![8; 20_000])),
            ("program", MemoryNode::program(vec![8; 20_000])),
        ])
    };
    Ok(AddBatch {
        objects: vec![
            object("copies", copies("large"))?,
            object("more-copies", copies("huge"))?,
        ],
        ..AddBatch::default()
    })
}

/// Threads that wait for one another share a sync and a transaction.
fn add_in_threads(work: &mut Work<'_>) -> TestResult {
    let mut batches = Vec::new();
    for number in 0..6 {
        let tree = memory_tree(&[(
            "data",
            MemoryNode::file(vec![b'0' + number; 3000 * usize::from(number)]),
        )]);
        batches.push(one(&format!("thread-{number}"), tree, &[])?);
    }
    let store = work.store();
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = batches
            .into_iter()
            .map(|batch| scope.spawn(|| store.add(batch)))
            .collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect()
    });
    for result in results {
        work.added(result.map_err(|_| "a thread panicked")??)?;
    }
    Ok(())
}

/// Promises nothing: losing a realisation costs a build, not a byte.
fn add_realisations(work: &mut Work<'_>) -> TestResult {
    let app = work.known("app");
    work.store().add_realisations(&[Realisation {
        resolved: ResolvedDigest::from_bytes([3; 32]),
        output: "out".into(),
        object: app.id,
        path: app.path,
        sandbox: "full".into(),
        built_at: 1,
        duration_ms: 2,
    }])?;
    Ok(())
}

fn replace_a_root(work: &mut Work<'_>) -> TestResult {
    work.add_root("main", "app", RootKind::BuildResult)
}

/// More objects than directories of records that are synced one by one, each referring to the one before.
fn add_a_closure(work: &mut Work<'_>) -> TestResult {
    const OBJECTS: usize = 24;
    let scratch: Vec<_> = (0..OBJECTS)
        .map(|number| Ok(scratch_path(&format!("link-{number}").parse()?, "out")))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let mut objects = Vec::new();
    for number in 0..OBJECTS {
        let needed = number.checked_sub(1).map(|number| &scratch[number]);
        let text = needed.map_or_else(|| "the end".into(), StorePath::to_logical);
        objects.push(AddObject {
            scratch: Some(scratch[number].clone()),
            ..object(
                &format!("link-{number}"),
                memory_tree(&[("next", MemoryNode::file(text))]),
            )?
        });
    }
    work.add(AddBatch {
        objects,
        ..AddBatch::default()
    })
}

/// The last writer takes the marker of the running boot away.
fn close_and_open(work: &mut Work<'_>) -> TestResult {
    work.store = None;
    open(work)
}

fn remove_a_root(work: &mut Work<'_>) -> TestResult {
    work.add_root("second", "note", RootKind::Explicit)?;
    (work.report)(Event::WithdrawRoot("main".into()))?;
    work.store().remove_root("main")?;
    Ok(())
}

fn install_into_a_profile(work: &mut Work<'_>) -> TestResult {
    work.install(&["lib"])
}

/// To a new generation, back and forth again.
fn switch_a_profile(work: &mut Work<'_>) -> TestResult {
    work.install(&["lib", "lib-dev"])?;
    for packages in [1, 2] {
        (work.report)(Event::WithdrawCurrent)?;
        let profile = default_profile(work.store());
        let mut generations = profile.generations()?.into_iter().rev();
        let found = generations.find(|generation| {
            let manifest = profile.manifest(generation);
            manifest.is_ok_and(|manifest| manifest.packages.len() == packages)
        });
        let number = found.ok_or("it was made")?.number;
        let generation = profile.lock(&|| {})?.switch_to(number)?;
        work.is_current(generation)?;
    }
    Ok(())
}

fn forget_generations(work: &mut Work<'_>) -> TestResult {
    let profile = default_profile(work.store());
    let current = profile.current()?.ok_or("it was made")?.number;
    let mut numbers: Vec<_> = profile
        .generations()?
        .iter()
        .map(|generation| generation.number)
        .collect();
    numbers.retain(|number| *number != current);
    for number in &numbers {
        (work.report)(Event::WithdrawRoot(format!(
            "var/profiles/default/{number}"
        )))?;
    }
    default_profile(work.store())
        .lock(&|| {})?
        .remove_generations(&numbers)?;
    Ok(())
}

fn default_profile(store: &LocalStore) -> Profile<'_> {
    Profile::named(store, &ProfileName::default())
}

fn add_with_references(work: &mut Work<'_>) -> TestResult {
    let link = work.known("link-23");
    let tree = memory_tree(&[("last", MemoryNode::file(link.path.to_logical()))]);
    work.add(one("last", tree, &[&link])?)
}

/// What a root or a lease keeps stays, with what it refers to; the rest goes.
fn collect_garbage(work: &mut Work<'_>) -> TestResult {
    let link = work.known("link-3").path;
    let lease = work.store().lease()?;
    lease.protect(&[*link.digest()])?;
    work.withdraw_all_but(&[link])?;
    let gone = collect(work.store())?;
    if gone == 0 {
        return Err("nothing was collected".into());
    }
    Ok(())
}

/// Objects that are being collected are wanted again at that moment, and others are new.
fn add_while_collecting(work: &mut Work<'_>) -> TestResult {
    work.withdraw_all_but(&[])?;
    let store = work.store();
    let lease = store.lease()?;
    let tree = memory_tree(&[("late", MemoryNode::file(vec![9; 50_000]))]);
    let batches = [equal_files()?, one("late", tree, &[])?];
    let infos = thread::scope(|scope| {
        let collector = scope.spawn(|| collect(store).map_err(|error| chain(&*error)));
        let mut infos = Vec::new();
        for batch in batches {
            infos.extend(store.add(AddBatch {
                lease: Some(&lease),
                ..batch
            })?);
        }
        collector.join().map_err(|_| "the collector panicked")??;
        Ok::<_, Box<dyn Error>>(infos)
    })?;
    work.added(infos)
}

/// Returns how many objects went.
fn collect(store: &LocalStore) -> Result<usize, Box<dyn Error>> {
    let never = AtomicBool::new(false);
    let report = store.collect_garbage(&GcOptions::default(), &|_| {}, &never)?;
    Ok(report.collected.len())
}
