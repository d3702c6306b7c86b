//! Protects: adding a tree is not slower than `cp -a` of it, and a small durable add takes at most 2 ms.
//!
//! Makes 400 MB in 12 000 files, then measures in one run, several times in turn: `cp -a`, `cp -a` and `sync`, `b3sum` of all files, and the
//! add of the tree, without candidates and with 200 of them. Prints medians and ratios. Directories come from `TMPDIR`; on a busy disk
//! the figures say more about the disk than about the add.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may panic"
)]

use std::{
    fs,
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use store::{AddBatch, AddObject, AddSource, ObjectId, StorePath, scratch_path, testing};

const FILES: u64 = 12_000;
const BYTES: u64 = 400_000_000;
const DIRECTORIES: u64 = 800;
const ROUNDS: usize = 3;

fn main() {
    // `cargo test` runs benchmarks too, to see that they start.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    make_tree(&work.path().join("tree"));
    nix::unistd::syncfs(fs::File::open(work.path()).unwrap()).unwrap();

    let mut names = vec![
        "cp -a",
        "cp -a; sync",
        "b3sum",
        "add",
        "add, 200 candidates",
        "add, build output",
    ];
    let mut times = vec![Vec::new(); names.len()];
    for _ in 0..ROUNDS {
        times[0].push(copy(work.path(), false));
        times[1].push(copy(work.path(), true));
        times[2].push(b3sum(work.path()));
        times[3].push(add(work.path(), 0, false));
        times[4].push(add(work.path(), 200, false));
        times[5].push(add(work.path(), 200, true));
    }
    names.push("add of one small file");
    times.push(small_adds(200, 1));
    names.push("the same by 8 threads, each");
    times.push(small_adds(200, 8));
    names.push("open, nothing to recover");
    times.push(opens());
    for (name, times) in names.iter().zip(&mut times) {
        times.sort();
        let median = times[times.len() / 2];
        println!(
            "{name:28} median {median:10.2?}  best {:10.2?}  worst {:10.2?}",
            times[0],
            times[times.len() - 1]
        );
    }
    let ratio = |of: usize, to: usize| {
        times[of][times[of].len() / 2].as_secs_f64() / times[to][times[to].len() / 2].as_secs_f64()
    };
    println!(
        "add / cp -a         {:.2}   (200 candidates {:.2}, build output {:.2})",
        ratio(3, 0),
        ratio(4, 0),
        ratio(5, 0)
    );
    println!("add / (cp -a; sync) {:.2}", ratio(3, 1));
    println!("add / b3sum         {:.2}", ratio(3, 2));
}

/// Sizes as in a toolchain: many small files, few large ones.
fn make_tree(root: &Path) {
    let mut state = 1u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: Vec<String> = (0..4096)
        .map(|_| format!("{:x} ", random() >> (random() % 60)))
        .collect();
    let mut left = BYTES;
    for file in 0..FILES {
        let directory = root.join(format!(
            "d{}/e{}",
            file % DIRECTORIES % 40,
            file % DIRECTORIES
        ));
        fs::create_dir_all(&directory).unwrap();
        let rest = left / (FILES - file);
        let size = if file % 100 == 0 {
            rest * 60
        } else {
            rest / 3 + random() % (rest / 4 + 1)
        }
        .min(left);
        left -= size;
        let mut bytes = Vec::new();
        let binary = file % 3 == 0;
        while (bytes.len() as u64) < size {
            if binary {
                bytes.extend_from_slice(&(random() & random()).to_le_bytes());
            } else {
                bytes.extend_from_slice(words[(random() % 4096) as usize].as_bytes());
            }
        }
        fs::write(directory.join(format!("f{file}")), &bytes).unwrap();
    }
}

fn timed(run: impl FnOnce()) -> Duration {
    let started = Instant::now();
    run();
    started.elapsed()
}

fn copy(work: &Path, synced: bool) -> Duration {
    let target = work.join("copy");
    let time = timed(|| {
        assert!(
            Command::new("cp")
                .arg("-a")
                .arg(work.join("tree"))
                .arg(&target)
                .status()
                .unwrap()
                .success()
        );
        if synced {
            nix::unistd::syncfs(fs::File::open(work).unwrap()).unwrap();
        }
    });
    settle(&target);
    time
}

fn b3sum(work: &Path) -> Duration {
    timed(|| {
        let script = "find \"$0\" -type f -print0 | xargs -0 b3sum --no-names";
        let status = Command::new("sh")
            .args(["-c", script])
            .arg(work.join("tree"))
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    })
}

fn add(work: &Path, candidates: u8, output: bool) -> Duration {
    let root = work.join("root");
    let store = testing::open(&root).unwrap();
    let parent = fs::File::open(work).unwrap();
    let name = "tree".parse().unwrap();
    let scratch = output.then(|| scratch_path(&name, "out"));
    let source = AddSource::Entry {
        parent: parent.as_fd(),
        name: "tree".as_ref(),
    };
    let candidates = (0..candidates).map(|index| {
        let id = ObjectId::from_bytes(*blake3::hash(&[index]).as_bytes());
        (
            StorePath::new(id.path_digest(), "candidate".parse().unwrap()),
            id,
        )
    });
    let batch = AddBatch {
        candidates: candidates.collect(),
        objects: vec![AddObject {
            scratch,
            ..AddObject::new(name, source)
        }],
        ..AddBatch::default()
    };
    let time = timed(|| {
        store.add(batch).unwrap();
    });
    drop(store);
    testing::make_writable(&root).unwrap();
    settle(&root);
    time
}

fn small_adds(count: usize, threads: usize) -> Vec<Duration> {
    let work = testing::StoreDirectory::new();
    let store = testing::open(work.path()).unwrap();
    let run = |thread: usize| {
        let add = |index: usize| {
            let bytes = format!("{thread} {index}").into_bytes();
            let source = AddSource::Bytes {
                bytes: bytes.into(),
                executable: false,
            };
            let batch = AddBatch {
                objects: vec![AddObject::new("small".parse().unwrap(), source)],
                ..AddBatch::default()
            };
            timed(|| {
                store.add(batch).unwrap();
            })
        };
        (0..count).map(add).collect::<Vec<_>>()
    };
    let times = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    drop(store);
    times
}

fn opens() -> Vec<Duration> {
    let work = tempfile::tempdir().unwrap();
    drop(testing::open(work.path()).unwrap());
    (0..100)
        .map(|_| timed(|| drop(testing::open(work.path()).unwrap())))
        .collect()
}

/// Removes what a measurement has written, and waits until the file system has nothing left to write, for the next one's sake.
fn settle(directory: &Path) {
    fs::remove_dir_all(directory).unwrap();
    nix::unistd::syncfs(fs::File::open(directory.parent().unwrap()).unwrap()).unwrap();
}
