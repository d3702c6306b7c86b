//! What it costs to share through a cache, beside `nix copy` of the same files and raw limits of the same run.
//!
//! `cargo bench -p tests --bench caches` pushes some 100 MB of this machine's programs and libraries in 30 objects to a directory and pulls them into an empty store. Debian's `nix-bin` is
//! used where it is installed. Nothing here fails on a slow machine; a regression shows as a ratio that moved.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may panic"
)]

mod delay;
mod peer;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use store::cache::backend::{BackendOptions, open_backend};
use store::cache::pull::Puller;
use store::cache::push::{PushRequest, Pusher};
use store::cache::source::{Policy as Patience, Source, Statistics};
use store::testing::{StoreDirectory, make_writable, open};
use store::trust::{Policy, PolicyRules};
use store::{AddBatch, AddObject, AddSource, LocalStore, ObjectId, StorePath, scratch_path};
use tempfile::TempDir;
use tests::machine_files;
use tests::measure::{self, middle, peak_memory, report, shell, time};

/// Objects; each refers to the one before it.
const OBJECTS: usize = 30;
/// The sum of their sizes, about.
const BYTES: u64 = 103_000_000;
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--push", store, cache, path] => one_push(store, cache, path),
        ["--pull", store, cache, path, id] => one_pull(store, cache, path, id),
        // `cargo test` runs benchmarks too, to see that they start.
        ["--bench", ..] => measure(),
        _ => {}
    }
}

fn source(cache: &str) -> Source {
    let backend = open_backend(&cache.parse().unwrap(), &BackendOptions::default()).unwrap();
    Source::new(backend, Patience::default())
}

/// Pushes in a process of its own, and prints what [`Outcome`] reads.
fn one_push(store: &str, cache: &str, path: &str) {
    let store = open(Path::new(store)).unwrap();
    let source = source(cache);
    let request = PushRequest {
        targets: vec![path.parse().unwrap()],
        ..PushRequest::default()
    };
    let start = Instant::now();
    let report = Pusher::new(&store, &source).push(&request, &|_| (), &AtomicBool::new(false));
    let took = start.elapsed();
    tell(took, &source.statistics(), report.unwrap().packs);
}

fn one_pull(store: &str, cache: &str, path: &str, id: &str) {
    let store = open(Path::new(store)).unwrap();
    let sources = [Arc::new(source(cache))];
    let wanted: [(StorePath, ObjectId); 1] = [(path.parse().unwrap(), id.parse().unwrap())];
    let lease = store.lease().unwrap();
    let start = Instant::now();
    let puller = Puller::new(&store, &sources, Policy::new(PolicyRules::default()), 1);
    let pulled = puller.pull(&wanted, &lease, &|_| (), &AtomicBool::new(false));
    let took = start.elapsed();
    pulled.unwrap();
    tell(took, &sources[0].statistics(), 0);
}

fn tell(took: Duration, statistics: &Statistics, packs: u64) {
    println!(
        "{} {} {packs} {}",
        took.as_micros(),
        statistics.requests,
        peak_memory()
    );
}

/// What a process said.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    took: Duration,
    requests: u64,
    packs: u64,
    memory_bytes: u64,
}

fn run_self(arguments: &[&str]) -> Outcome {
    let numbers = measure::run_self(arguments);
    Outcome {
        took: Duration::from_micros(numbers[0]),
        requests: numbers[1],
        packs: numbers[2],
        memory_bytes: numbers[3],
    }
}

/// The store of the one who pushes.
fn fill(store: &LocalStore, trees: &Path) -> (StorePath, ObjectId) {
    let parent = fs::File::open(trees).unwrap();
    let names: Vec<String> = (0..OBJECTS)
        .map(|number| format!("part-{number}"))
        .collect();
    let objects = names.iter().enumerate().map(|(number, name)| {
        let before = number.checked_sub(1).and_then(|before| names.get(before));
        let scratch = |name: &String| scratch_path(&name.parse().unwrap(), "out");
        let source = AddSource::Entry {
            parent: parent.as_fd(),
            name: name.as_ref(),
        };
        AddObject {
            scratch: Some(scratch(name)),
            extra_references: before.into_iter().map(scratch).collect(),
            ..AddObject::new(name.parse().unwrap(), source)
        }
    });
    let batch = AddBatch {
        objects: objects.collect(),
        ..AddBatch::default()
    };
    let last = store.add(batch).unwrap().pop().unwrap();
    (last.path, last.id)
}

/// What is pushed, from where, to where.
struct Bench {
    place: TempDir,
    store: StoreDirectory,
    path: String,
    id: String,
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let trees = place.path().join("trees");
        let bytes = machine_files(&trees, OBJECTS, BYTES).unwrap();
        println!("{OBJECTS} objects, {:.1} MB", bytes as f64 / 1e6);
        let store = StoreDirectory::new();
        let (path, id) = fill(&open(store.path()).unwrap(), &trees);
        Self {
            place,
            store,
            path: path.to_string(),
            id: id.to_string(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Each number has a cache of its own. Nothing is deleted until all is measured: for some seconds after a deletion ext4 passes over every inode that was
    /// freed, and what is measured next would pay for it.
    fn push(&self, number: usize) -> Outcome {
        let cache = self.file(&format!("cache-{number}"));
        let store = self.store.path().to_str().unwrap();
        run_self(&["--push", store, cache.to_str().unwrap(), &self.path])
    }

    fn pull(&self, number: usize) -> Outcome {
        let (store, cache) = (self.file(&format!("pulled-{number}")), self.file("cache-0"));
        run_self(&[
            "--pull",
            store.to_str().unwrap(),
            cache.to_str().unwrap(),
            &self.path,
            &self.id,
        ])
    }
}

fn measure() {
    let bench = Bench::new();
    let (pushed, packs) = measure_push(&bench);
    measure_pull(&bench, packs);
    let mut pulls = ROUNDS..;
    let mut stores = 0..ROUNDS;
    peer::measure(
        bench.place.path(),
        &bench.file("trees"),
        pushed,
        &mut || {
            let number = pulls.next().unwrap();
            stores.end = number + 1;
            bench.pull(number).took
        },
    );
    for number in stores {
        make_writable(&bench.file(&format!("pulled-{number}"))).unwrap();
    }
    drop(bench);
    delay::measure();
}

fn measure_push(bench: &Bench) -> (Duration, u64) {
    let (trees, archive) = (bench.file("trees"), bench.file("raw.tar.zst"));
    let pack = format!(
        "tar -C {} -cf - . | zstd -3 -T2 -q -f -o {}",
        trees.display(),
        archive.display()
    );
    let raw = median(|_| time(|| shell(&pack)));
    let mut last = None;
    let pushed = median(|number| last.insert(bench.push(number)).took);
    let outcome = last.unwrap();
    report("push 30 objects", pushed, "tar | zstd -3", Some(raw));
    println!(
        "  {} requests, {} packs, {} MB of memory (goal 150)",
        outcome.requests,
        outcome.packs,
        outcome.memory_bytes / 1_000_000
    );
    let again = median(|_| bench.push(0).took);
    report(
        "push again (goal 20 ms)",
        again,
        "the first push",
        Some(pushed),
    );
    (pushed, outcome.packs)
}

fn measure_pull(bench: &Bench, packs: u64) {
    let mut last = None;
    let pulled = median(|number| last.insert(bench.pull(number)).took);
    let outcome = last.unwrap();
    let raw = median(|number| {
        let target = bench.file(&format!("raw-{number}"));
        fs::create_dir(&target).unwrap();
        let (archive, target) = (bench.file("raw.tar.zst"), target.display());
        let unpack = format!(
            "zstd -dcq {} | tar -C {target} -xf - && sync -f {target}",
            archive.display()
        );
        time(|| shell(&unpack))
    });
    report(
        "pull into an empty store (goal 1.3 x)",
        pulled,
        "zstd -d | tar x, synced",
        Some(raw),
    );
    println!(
        "  {} requests (goal {}), {} MB of memory (goal 150)",
        outcome.requests,
        3 + packs,
        outcome.memory_bytes / 1_000_000
    );
    let again = median(|_| bench.pull(0).took);
    report(
        "pull again (goal 20 ms)",
        again,
        "the first pull",
        Some(pulled),
    );
}

fn median(work: impl FnMut(usize) -> Duration) -> Duration {
    middle((0..ROUNDS).map(work).collect())
}
