//! One large graph, in a store of ours and in one of the peer.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use store::testing::{StoreDirectory, open};
use store::{
    AddBatch, AddObject, AddSource, GcMode, GcOptions, LocalStore, PathInfo, RootKind, StorePath,
};
use tests::Random;

use crate::{OBJECTS, REFERENCES, median, nix, report, time};

/// Objects added at once.
const BATCH: usize = 5_000;
/// Size of the closure that is asked for.
const CLOSURE: usize = 10_000;
/// References lead at most so far back.
const WINDOW: usize = 2_000;
/// About the size of a record of ten references.
const RECORD_BYTES: usize = 2_000;

/// Returns what an object refers to, by number: the one before it, so that closures are exactly as large as one wants, and some others.
pub(crate) fn references(object: usize, random: &mut Random) -> Vec<usize> {
    let near = object.min(WINDOW);
    let mut numbers: Vec<usize> = (1..REFERENCES)
        .filter(|_| near > 0)
        .map(|_| object - 1 - random.below(near))
        .collect();
    numbers.extend(object.checked_sub(1));
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Fills a store and returns the paths by number.
fn fill(store: &LocalStore) -> Vec<StorePath> {
    let mut random = Random::new(1);
    let mut known: Vec<PathInfo> = Vec::with_capacity(OBJECTS);
    while known.len() < OBJECTS {
        let first = known.len();
        let count = BATCH.min(OBJECTS - first);
        let mut objects = Vec::with_capacity(count);
        for number in first..first + count {
            let bytes = format!("object {number}\n").into_bytes();
            let source = AddSource::Bytes {
                bytes: bytes.into(),
                executable: false,
            };
            let name = format!("object-{number}").parse().unwrap();
            let scratch = store::scratch_path(&name, "out");
            let path = |to: usize| match known.get(to) {
                Some(info) => info.path.clone(),
                None => store::scratch_path(&format!("object-{to}").parse().unwrap(), "out"),
            };
            objects.push(AddObject {
                scratch: Some(scratch),
                extra_references: references(number, &mut random)
                    .into_iter()
                    .map(path)
                    .collect(),
                ..AddObject::new(name, source)
            });
        }
        let recent = known.iter().rev().take(WINDOW + 1);
        let batch = AddBatch {
            objects,
            candidates: recent.map(|info| (info.path.clone(), info.id)).collect(),
            ..AddBatch::default()
        };
        known.extend(store.add(batch).unwrap());
    }
    known.into_iter().map(|info| info.path).collect()
}

pub(crate) fn measure() {
    let directory = StoreDirectory::new();
    let store = open(directory.path()).unwrap();
    let mut paths = Vec::new();
    let filled = time(|| paths = fill(&store));
    println!(
        "{OBJECTS} objects with {} references added in {:.1} s",
        OBJECTS * REFERENCES,
        filled.as_secs_f64()
    );
    let peer = nix::Nix::with_graph(directory.path());
    questions(directory.path(), &store, &paths, peer.as_ref());
    store
        .add_root("half", &paths[OBJECTS / 2 - 1], RootKind::Explicit)
        .unwrap();
    if let Some(peer) = &peer {
        peer.keep(OBJECTS / 2 - 1);
    }
    collections(&store, &paths, peer.as_ref());
}

fn questions(root: &Path, store: &LocalStore, paths: &[StorePath], peer: Option<&nix::Nix>) {
    let roots = [paths[CLOSURE - 1].clone()];
    let ours = median(|| assert_eq!(store.closure_paths(&roots).unwrap().len(), CLOSURE));
    let theirs = peer.map(|peer| median(|| peer.closure(CLOSURE - 1)));
    report(
        "paths of a closure of 10 000",
        "40 ms",
        ours,
        "nix-store -qR",
        theirs,
    );
    let ours = median(|| assert_eq!(store.closure(&roots).unwrap().infos().len(), CLOSURE));
    let theirs = peer.map(|peer| median(|| peer.closure(CLOSURE - 1)));
    report(
        "closure of 10 000, with all facts",
        "-",
        ours,
        "nix-store -qR",
        theirs,
    );

    let ours = median(|| drop(open(root).unwrap()));
    report(
        "open the store",
        "5 ms",
        ours,
        "start of a process",
        Some(start_of_a_process()),
    );

    let path = paths[OBJECTS - 1].to_string();
    let ours = median(|| drop(store.path_info(&paths[OBJECTS - 1]).unwrap().unwrap()));
    report(
        "path info, in a process that runs",
        "5 ms",
        ours,
        "start of a process",
        Some(start_of_a_process()),
    );
    let ours = median(|| {
        run(
            &[
                "store",
                "path-info",
                &format!("{}/{path}", store::STORE_DIR),
            ],
            root,
        );
    });
    let theirs = peer.map(|peer| median(|| peer.path_info(OBJECTS - 1)));
    report(
        "pith store path-info",
        "5 ms",
        ours,
        "nix path-info",
        theirs,
    );
}

fn collections(store: &LocalStore, paths: &[StorePath], peer: Option<&nix::Nix>) {
    let never = AtomicBool::new(false);
    let dry = GcOptions {
        mode: GcMode::DryRun,
        ..GcOptions::default()
    };
    let ours = median(|| {
        let report = store.collect_garbage(&dry, &|_| (), &never).unwrap();
        assert_eq!(report.dead, OBJECTS as u64 / 2);
    });
    let theirs = peer.map(|peer| time(|| peer.print_dead()));
    report(
        "dry run of a collection: read, mark, order",
        "1 s, mark 0.5 s",
        ours,
        "nix-store --gc --print-dead",
        theirs,
    );

    tell_memory(store.root());

    let objects_alone = remove_files(&paths[OBJECTS / 2..], false);
    let with_records = remove_files(&paths[OBJECTS / 2..], true);
    sync(store.root());
    let ours = time(|| {
        let report = store
            .collect_garbage(&GcOptions::default(), &|_| (), &never)
            .unwrap();
        assert_eq!(report.dead, OBJECTS as u64 / 2);
    });
    report(
        "collect 50 000 objects of one file",
        "2 x",
        ours,
        "rm -rf of the same files and their records",
        Some(with_records),
    );
    report(
        "collect 50 000 objects of one file",
        "2 x",
        ours,
        "rm -rf of the same files alone",
        Some(objects_alone),
    );
    let theirs = peer.map(|peer| time(|| peer.collect()));
    report(
        "collect 50 000 objects of one file",
        "-",
        ours,
        "nix-store --gc",
        theirs,
    );
}

fn sync(path: &Path) {
    ::nix::unistd::syncfs(fs::File::open(path).unwrap()).unwrap();
}

fn start_of_a_process() -> Duration {
    median(|| assert!(Command::new("true").status().unwrap().success()))
}

fn run(arguments: &[&str], root: &Path) {
    let output = Command::new(tests::binary())
        .args(arguments)
        .env("PITH_ROOT", root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Prints what a process of its own needs to see what nothing keeps; Debian's `time` measures it.
fn tell_memory(root: &Path) {
    let output = Command::new("/usr/bin/time")
        .args(["-f", "%M"])
        .arg(tests::binary())
        .args(["store", "gc", "--dry-run", "-q", "--json"])
        .env("PITH_ROOT", root)
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    let kilobytes: Option<u64> = text
        .ok()
        .and_then(|text| text.trim().lines().last()?.parse().ok());
    match kilobytes {
        Some(kilobytes) => println!(
            "memory of the dry run (goal 200 MB): {} MB",
            kilobytes / 1000
        ),
        None => println!("memory of the dry run: not measured"),
    }
}

/// Times `rm -rf` of one file for each object, in one directory, and of a record for each in the directories of records.
fn remove_files(paths: &[StorePath], with_records: bool) -> Duration {
    let copy = StoreDirectory::new();
    for path in paths {
        fs::write(copy.path().join(path.to_string()), format!("{path}\n")).unwrap();
        if with_records {
            let digest = path.digest().to_string();
            let directory = copy.path().join("meta").join(&digest[..2]);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(&digest), vec![b'r'; RECORD_BYTES]).unwrap();
        }
    }
    sync(copy.path());
    time(|| {
        let mut command = Command::new("rm");
        assert!(
            command
                .arg("-rf")
                .arg(copy.path())
                .status()
                .unwrap()
                .success()
        );
    })
}
