//! A server far away: every answer comes 50 ms later, and a closure of 300 objects must not feel it more than a few times.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use store::testing::{StoreDirectory, make_writable, open};
use store::{AddBatch, AddObject, AddSource, MemoryNode, scratch_path, testing::memory_tree};
use tests::Random;
use tests::http_server::{HttpServer, Reply, part_reply};

use tests::measure::report;

use crate::{median, run_self};

const OBJECTS: usize = 300;
const DELAY: Duration = Duration::from_millis(50);

/// Serves a directory.
fn serve(directory: PathBuf, delay: Duration) -> HttpServer {
    HttpServer::start(move |asked| {
        thread::sleep(delay);
        let file = directory.join(asked.path.trim_start_matches('/'));
        Some(fs::read(file).map_or_else(|_| Reply::new(404, ""), |file| part_reply(asked, &file)))
    })
}

/// Objects of some small files, each of which refers to the one before.
fn fill(store: &Path) -> (String, String) {
    let mut random = Random::new(1);
    let mut file = |bytes: usize| -> MemoryNode {
        MemoryNode::file(
            (0..bytes / 8)
                .flat_map(|_| random.next().to_le_bytes())
                .collect::<Vec<_>>(),
        )
    };
    let name = |number: usize| format!("object-{number}").parse().unwrap();
    let objects = (0..OBJECTS).map(|number| {
        let tree = memory_tree(&[("bin/program", file(60_000)), ("share/text", file(2_000))]);
        let scratch = |number: usize| scratch_path(&name(number), "out");
        AddObject {
            scratch: Some(scratch(number)),
            extra_references: number.checked_sub(1).map(scratch).into_iter().collect(),
            ..AddObject::new(name(number), AddSource::Tree(tree))
        }
    });
    let batch = AddBatch {
        objects: objects.collect(),
        ..AddBatch::default()
    };
    let last = open(store).unwrap().add(batch).unwrap().pop().unwrap();
    (last.path.to_string(), last.id.to_string())
}

pub(crate) fn measure() {
    let place = tempfile::tempdir().unwrap();
    let (store, cache) = (StoreDirectory::new(), place.path().join("cache"));
    let (path, id) = fill(store.path());
    run_self(&[
        "--push",
        store.path().to_str().unwrap(),
        cache.to_str().unwrap(),
        &path,
    ]);
    let pull = |name: &str, delay: Duration| {
        let server = serve(cache.clone(), delay);
        median(|number| {
            let into = place.path().join(format!("{name}-{number}"));
            let pulled = run_self(&[
                "--pull",
                into.to_str().unwrap(),
                &server.url(""),
                &path,
                &id,
            ]);
            make_writable(&into).unwrap();
            pulled.took
        })
    };
    let near = pull("near", Duration::ZERO);
    let far = pull("far", DELAY);
    report(
        "pull 300 objects, 50 ms for each request (goal 2 s more)",
        far,
        "without",
        Some(near),
    );
}
