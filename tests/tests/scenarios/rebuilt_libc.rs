//! A libc that is built anew, below real programs: what of their images has to be sent again.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use tests::{Finished, PodmanTurn, TestEnv, is_full};

/// Programs, what they are asked, and what is in their answer.
const APPS: [(&str, &[&str], &str); 4] = [
    ("jq", &["--version"], "jq-1."),
    ("curl", &["--version"], "curl 7."),
    ("nginx", &["-v"], "nginx version: nginx/1."),
    (
        "python3",
        &[
            "-c",
            "import json, ssl, sqlite3; print(json.dumps({'a': 6 * 7}))",
        ],
        "{\"a\": 42}",
    ),
];

/// A layer of an image: its digest, its bytes, and the names of what is in it.
struct Layer {
    digest: String,
    size_bytes: u64,
    names: Vec<String>,
}

/// Packs with the collection in `collection`, each store path in a layer of its own.
fn pack(env: &TestEnv, collection: &Path, app: &str, flags: &[&str]) -> Vec<Layer> {
    let collection = collection.to_str().expect("paths here are UTF-8");
    let name = image_name(app);
    let archive = format!("{app}.tar");
    let arguments = [
        "pack",
        app,
        "-q",
        "--json",
        "--collection",
        collection,
        "--layers",
        "per-path",
        "-n",
        &name,
        "-o",
        &archive,
    ];
    let report = env.pith(&[&arguments[..], flags].concat());
    let report = report.expect_success().json();
    let layers = report["image"]["layers"].as_array().expect("a list");
    layers.iter().map(layer).collect()
}

fn layer(layer: &Value) -> Layer {
    let paths = layer["paths"].as_array().expect("a list").iter();
    let names = paths.map(|path| {
        let path = path["path"].as_str().expect("a path");
        let (_, name) = path.split_once('-').expect("it has a name");
        name.to_owned()
    });
    Layer {
        digest: layer["digest"].as_str().expect("a digest").to_owned(),
        size_bytes: layer["size_bytes"].as_u64().expect("a size"),
        names: names.collect(),
    }
}

fn image_name(app: &str) -> String {
    format!("pith-test-rebuilt-{app}")
}

/// The collection with a libc that has one library more: everything above it is built anew and gets another store path.
fn with_rebuilt_libc(env: &TestEnv) {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/collection");
    let real = real.to_str().expect("paths here are UTF-8");
    env.tool("cp", &["-r", real, "rebuilt"]).expect_success();
    let script = env.path("rebuilt/glibc/assemble.sh");
    let text = fs::read_to_string(&script).expect("libc is taken apart by a script");
    let changed = text.replace(",thread_db}", "}");
    assert_ne!(text, changed);
    fs::write(script, changed).expect("it is a copy");
}

fn run(env: &TestEnv, app: &str, arguments: &[&str]) -> Finished {
    let _turn = PodmanTurn::take();
    let archive = format!("project/{app}.tar");
    env.podman(&["load", "-q", "-i", &archive]).expect_success();
    let image = image_name(app);
    let options = ["--network=none", "--read-only", "--entrypoint"];
    let program = format!("/bin/{app}");
    let said = env.podman_run(&[&options[..], &[&program, &image], arguments].concat());
    env.remove_image(&image);
    said
}

/// Builds the programs once more, which takes minutes.
#[test]
fn with_stable_paths_a_rebuilt_libc_is_all_that_is_sent_again_and_every_program_starts() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/collection");
    with_rebuilt_libc(&env);
    let rebuilt = env.path("rebuilt");
    for (app, arguments, expected) in APPS {
        let mut sent = Vec::new();
        for flags in [&[][..], &["--stable-paths"]] {
            let before = pack(&env, &ours, app, flags);
            let known: BTreeSet<String> = before.into_iter().map(|one| one.digest).collect();
            let after = pack(&env, &rebuilt, app, flags);
            let all = after.iter().map(|layer| layer.size_bytes).sum::<u64>();
            let new: Vec<&Layer> = (after.iter())
                .filter(|layer| !known.contains(&layer.digest))
                .collect();
            if !flags.is_empty() {
                let names: BTreeSet<&str> = (new.iter().flat_map(|layer| &layer.names))
                    .map(String::as_str)
                    .collect();
                assert_eq!(names, BTreeSet::from(["glibc-2.36"]), "{app}");
            }
            sent.push((new.iter().map(|layer| layer.size_bytes).sum::<u64>(), all));
        }
        let [(plain, all), (stable, _)] = sent[..] else {
            panic!("each was packed twice")
        };
        println!("{app}: of {all} bytes {plain} are sent again, with stable paths {stable}");
        assert!(stable < plain, "{app}");
        let said = run(&env, app, arguments).expect_success();
        let said = said.stdout + &said.stderr;
        assert!(said.contains(expected), "{app}: {said}");
    }
}
