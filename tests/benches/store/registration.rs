//! What the database alone costs: rows of 10 000 objects, beside the same rows in bare SQLite.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use store::testing::{StoreDirectory, open, register};
use store::{AddBatch, AddObject, AddSource, PathInfo};
use tests::Random;

use crate::{nix, report, time};

const OBJECTS: usize = 10_000;
const ROUNDS: usize = 5;

/// Objects whose facts are those of a store.
fn objects(store: &Path) -> Vec<PathInfo> {
    let store = open(store).unwrap();
    let mut random = Random::new(1);
    let object = |number: usize| {
        let name = format!("object-{number}").parse().unwrap();
        let scratch = |to| store::scratch_path(&format!("object-{to}").parse().unwrap(), "out");
        let source = AddSource::Bytes {
            bytes: format!("object {number}\n").into_bytes().into(),
            executable: false,
        };
        AddObject {
            scratch: Some(scratch(number)),
            extra_references: crate::graph::references(number, &mut random)
                .into_iter()
                .map(scratch)
                .collect(),
            ..AddObject::new(name, source)
        }
    };
    let batch = AddBatch {
        objects: (0..OBJECTS).map(object).collect(),
        ..AddBatch::default()
    };
    store.add(batch).unwrap()
}

/// The least that SQLite can do for the same rows: no checks, nothing looked up.
fn bare(path: &Path, objects: &[PathInfo]) {
    let connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .unwrap();
    connection
        .execute_batch(
            "CREATE TABLE object (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, full BLOB UNIQUE, name TEXT, root BLOB, self INTEGER, size INTEGER, nodes INTEGER, state INTEGER,
                                  registered INTEGER, component TEXT) STRICT;
             CREATE TABLE reference (referrer INTEGER, referenced INTEGER, file TEXT, offset INTEGER, PRIMARY KEY (referrer, referenced)) STRICT, WITHOUT ROWID;
             CREATE INDEX reverse ON reference (referenced, referrer);",
        )
        .unwrap();
    let rows: HashMap<_, i64> = objects.iter().map(|info| info.id).zip(0..).collect();
    let transaction = connection.unchecked_transaction().unwrap();
    {
        let mut object = transaction
            .prepare("INSERT INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, NULL)")
            .unwrap();
        let mut reference = transaction
            .prepare("INSERT INTO reference VALUES (?1, ?2, ?3, ?4)")
            .unwrap();
        for info in objects {
            let row = rows[&info.id];
            object
                .execute(params![
                    row,
                    info.path.digest().as_bytes(),
                    info.id.as_bytes(),
                    info.path.name().as_str(),
                    info.root.encode(),
                    info.self_reference,
                    info.size_bytes.cast_signed(),
                    info.nodes.cast_signed(),
                    info.registered.cast_signed(),
                ])
                .unwrap();
            for one in &info.references {
                let values = params![row, rows[&one.id], one.file, one.offset.cast_signed()];
                reference.execute(values).unwrap();
            }
        }
    }
    transaction.commit().unwrap();
}

pub(crate) fn measure() {
    let directory = StoreDirectory::new();
    let mut objects = objects(&directory.path().join("store"));
    // What refers comes after what it refers to.
    let number = |info: &PathInfo| -> usize { info.path.name().as_str()[7..].parse().unwrap() };
    objects.sort_by_key(number);
    let mut times = [const { Vec::<Duration>::new() }; 2];
    for round in 0..ROUNDS {
        let place = |what: &str| directory.path().join(format!("{what}-{round}.sqlite"));
        times[0].push(time(|| register(&place("ours"), &objects).unwrap()));
        times[1].push(time(|| bare(&place("bare"), &objects)));
    }
    let [ours, raw] = times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    });
    report(
        "register 10 000 objects",
        "2 x",
        ours,
        "the same rows in bare SQLite",
        Some(raw),
    );
    let theirs = nix::Nix::new(directory.path()).map(|peer| {
        let listing = nix::listing(0..OBJECTS, &mut Random::new(1));
        time(|| peer.load(&listing))
    });
    report(
        "register 10 000 objects",
        "-",
        ours,
        "nix-store --load-db",
        theirs,
    );
}
