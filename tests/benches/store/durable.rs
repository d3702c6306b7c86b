//! What it costs that nothing is lost: adds, beside the same adds by a process whose syncs do nothing.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use store::testing::open;
use store::{AddBatch, AddObject, AddSource};
use tests::Random;

use crate::report;

const ROUNDS: usize = 7;

/// Adds to a new store at `place`: `files`, a directory that lies beside it, or `objects`, made of nothing. Prints the microseconds.
pub(crate) fn add(what: &str, place: &str) {
    let place = Path::new(place);
    let store = open(&place.join("store")).unwrap();
    let parent = fs::File::open(place).unwrap();
    let tree = AddSource::Entry {
        parent: parent.as_fd(),
        name: "tree".as_ref(),
    };
    let object = |number: usize| {
        let source = AddSource::Bytes {
            bytes: format!("object {number}\n").into_bytes().into(),
            executable: false,
        };
        AddObject::new(format!("object-{number}").parse().unwrap(), source)
    };
    let objects = match what {
        "files" => vec![AddObject::new("tree-1".parse().unwrap(), tree)],
        _ => (0..1000).map(object).collect(),
    };
    let batch = AddBatch {
        objects,
        ..AddBatch::default()
    };
    let took = crate::time(|| drop(store.add(batch).unwrap()));
    println!("{}", took.as_micros());
}

fn run(what: &str, synced: bool) -> Duration {
    let place = tempfile::tempdir().unwrap();
    if what == "files" {
        make_tree(&place.path().join("tree"));
    }
    ::nix::unistd::syncfs(fs::File::open(place.path()).unwrap()).unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = if synced {
        Command::new(program)
    } else {
        let mut command = Command::new("eatmydata");
        command.arg(program);
        command
    };
    let output = command
        .args(["--add", what])
        .arg(place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    store::testing::make_writable(&place.path().join("store")).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Duration::from_micros(text.trim().parse().unwrap())
}

/// 3 000 different files of 8 KiB.
fn make_tree(tree: &Path) {
    let mut random = Random::new(1);
    for directory in 0..30 {
        let directory = tree.join(directory.to_string());
        fs::create_dir_all(&directory).unwrap();
        for file in 0..100 {
            let bytes: Vec<u8> = (0..1024)
                .flat_map(|_| random.next().to_le_bytes())
                .collect();
            fs::write(directory.join(file.to_string()), bytes).unwrap();
        }
    }
}

pub(crate) fn measure() {
    let peer = Command::new("eatmydata")
        .arg("true")
        .status()
        .is_ok_and(|status| status.success());
    for (what, name) in [
        ("files", "add 3 000 files of 8 KiB"),
        ("objects", "add 1 000 small objects"),
    ] {
        let mut times = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            times[0].push(run(what, true));
            if peer {
                times[1].push(run(what, false));
            }
        }
        let [ours, theirs] = times.map(|mut times| {
            times.sort();
            times.get(ROUNDS / 2).copied()
        });
        report(
            name,
            "1.25 x",
            ours.unwrap(),
            "the same without syncs",
            theirs,
        );
    }
}
