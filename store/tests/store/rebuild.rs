//! The database made again from the records, and the roots in them.

use std::{error::Error, fs, path::Path};

use rusqlite::Connection;
use store::{
    AddBatch, AddObject, AddSource, Component, LocalStore, MemoryNode, PathInfo, Realisation,
    RebuildError, RebuildReport, ResolvedDigest, RootKind, StoreOptions, VerifyDepth,
    VerifyOptions, Watch,
    testing::{StoreDirectory, TEST_TIME, TempStore, add_tree, find_faults, memory_tree, open},
    trust::{SecretKey, SignatureSet, Signatures, SignedComponent, SignedRealisation, Statement},
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const NONE: Vec<String> = Vec::new();

/// All rows of all tables, by what identifies them and not by their numbers.
fn dump(root: &Path) -> TestResult<Vec<String>> {
    let connection = Connection::open(root.join("var/db.sqlite"))?;
    let mut lines = Vec::new();
    for query in [
        "SELECT 'object', hex(digest), hex(full), name, hex(root), self_reference, size_bytes, nodes, state, registered, component FROM object ORDER BY digest",
        "SELECT 'reference', hex(a.digest), hex(b.digest), file, offset FROM reference JOIN object a ON a.id = referrer JOIN object b ON b.id = referenced ORDER BY 2, 3",
        "SELECT 'realisation', hex(resolved), output, hex(object), sandbox, built_at, duration_ms FROM realisation ORDER BY 2, 3, 4",
        "SELECT 'signature', hex(digest), subject, key, hex(bytes) FROM signature JOIN object ON object.id = object ORDER BY 2, 3, 4, 5",
        "SELECT 'realisation_signature', hex(digest), hex(resolved), output, sandbox, built_at, duration_ms, key, hex(bytes) FROM realisation_signature JOIN object ON object.id = object ORDER BY 2, 3, 4, 5, 6, 7, 8, 9",
        "SELECT 'root', root.name, hex(digest), kind, created FROM root JOIN object ON object.id = root.object ORDER BY 2",
    ] {
        let mut statement = connection.prepare(query)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values: Vec<_> = (0..columns)
                .map(|column| row.get_ref(column).map(|value| format!("{value:?}")))
                .collect::<Result<_, _>>()?;
            lines.push(values.join(" "));
        }
    }
    // A table that is new must be made again as well.
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        [],
        |row| row.get(0),
    )?;
    assert_eq!(tables, 6, "this test does not know all tables");
    Ok(lines)
}

/// Objects of several kinds, with components, realisations, roots of all kinds, and one that is damaged.
fn fill(root: &Path) -> TestResult<Vec<PathInfo>> {
    let store = open(root)?;
    let mut infos: Vec<PathInfo> = Vec::new();
    for number in 0..24u32 {
        let below: Vec<&PathInfo> = infos.iter().rev().step_by(3).take(4).collect();
        let text: String = below
            .iter()
            .map(|info| format!("at {number} {}\n", info.path.to_logical()))
            .collect();
        let tree = memory_tree(&[
            ("share/file", MemoryNode::file(text)),
            ("number", MemoryNode::program(number.to_string())),
            ("large", MemoryNode::file(vec![1; 70_000])),
        ]);
        let info = add_tree(&store, &format!("object-{number}"), tree, &below)?;
        infos.push(info);
    }
    let component = Component {
        name: "seven".into(),
        license: Some("MIT".into()),
        ..Component::default()
    };
    store.add(AddBatch {
        objects: vec![AddObject {
            component: Some(component),
            ..AddObject::new(
                "object-0".parse()?,
                AddSource::Tree(memory_tree(&[
                    ("share/file", MemoryNode::file("")),
                    ("number", MemoryNode::program("0")),
                    ("large", MemoryNode::file(vec![1; 70_000])),
                ])),
            )
        }],
        ..AddBatch::default()
    })?;
    let realisation = |number: u8, output: &str, info: &PathInfo| Realisation {
        resolved: ResolvedDigest::from_bytes([number; 32]),
        output: output.into(),
        object: info.id,
        path: info.path.clone(),
        sandbox: "full".into(),
        built_at: u64::from(number),
        duration_ms: 3,
    };
    store.add_realisations(&[
        realisation(1, "out", &infos[3]),
        realisation(1, "dev", &infos[4]),
        realisation(2, "out", &infos[3]),
        realisation(1, "out", &infos[5]),
    ])?;
    let key = SecretKey::from_seed("key".parse()?, &[1; 32]);
    let known = store.path_info(&infos[0].path)?.ok_or("it is valid")?;
    let json = serde_json::to_string(&known.component)?;
    let signature = key.sign(&Statement::component(&known.id, &json));
    let signatures = Signatures {
        object: SignatureSet::new([key.sign(&Statement::object(&known))])?,
        component: Some(SignedComponent {
            json,
            signatures: SignatureSet::new([signature])?,
        }),
        realisations: vec![SignedRealisation::sign(realisation(9, "out", &known), &key)],
    };
    store.add_signatures(&[(known.id, signatures)])?;
    store.add_root("kept", &infos[23].path, RootKind::Explicit)?;
    store.add_root("/home/user/result", &infos[20].path, RootKind::BuildResult)?;
    store.add_root("var/profiles/default/1", &infos[7].path, RootKind::Profile)?;
    store.add_root("gone", &infos[8].path, RootKind::Explicit)?;
    store.remove_root("gone")?;
    damage(&store, &infos[10])?;
    Ok(infos)
}

fn damage(store: &LocalStore, info: &PathInfo) -> TestResult {
    let file = store.real_path(&info.path).join("number");
    fs::remove_file(&file).or_else(|_| {
        let parent = store.real_path(&info.path);
        store::testing::make_writable(&parent)?;
        fs::remove_file(&file)
    })?;
    let options = VerifyOptions {
        paths: vec![info.path.clone()],
        depth: VerifyDepth::Contents,
    };
    assert_eq!(store.verify(&options, &Watch::nobody())?.damaged.len(), 1);
    Ok(())
}

fn rebuild(root: &Path) -> Result<RebuildReport, RebuildError> {
    LocalStore::rebuild_database(root, &StoreOptions::new(|| TEST_TIME), &Watch::nobody())
}

#[test]
fn the_database_is_the_same_afterwards() -> TestResult {
    let directory = StoreDirectory::new();
    let infos = fill(directory.path())?;
    let before = dump(directory.path())?;
    let report = rebuild(directory.path())?;
    assert_eq!(dump(directory.path())?, before);
    assert_eq!(
        report,
        RebuildReport {
            objects: 24,
            realisations: 4,
            roots: 3,
            damaged: vec![infos[10].path.clone()],
            ..RebuildReport::default()
        }
    );
    for leftover in ["db.rebuilding", "db.replaced", "db.sqlite-wal"] {
        assert!(!directory.path().join("var").join(leftover).exists());
    }
    Ok(())
}

#[test]
fn whatever_becomes_of_the_file_it_is_made_again() -> TestResult {
    type Change = fn(&Path) -> std::io::Result<()>;
    let changes: [Change; 4] = [
        |file| fs::remove_file(file),
        |file| fs::write(file, "no database"),
        |file| fs::write(file, ""),
        |file| {
            let mut bytes = fs::read(file)?;
            let length = bytes.len();
            bytes[4096..].fill(0xa5);
            assert!(length > 8192);
            fs::write(file, bytes)
        },
    ];
    for change in changes {
        let directory = StoreDirectory::new();
        fill(directory.path())?;
        let before = dump(directory.path())?;
        change(&directory.path().join("var/db.sqlite"))?;
        rebuild(directory.path())?;
        assert_eq!(dump(directory.path())?, before);
        let store = open(directory.path())?;
        assert_eq!(find_faults(&store), NONE);
    }
    Ok(())
}

#[test]
fn a_log_that_was_left_beside_the_old_database_is_not_taken_for_the_new_one() -> TestResult {
    let directory = StoreDirectory::new();
    fill(directory.path())?;
    let before = dump(directory.path())?;
    // A log with committed transactions, as a process leaves it that was killed.
    let log = directory.path().join("var/db.sqlite-wal");
    let connection = Connection::open(directory.path().join("var/db.sqlite"))?;
    connection
        .execute_batch("BEGIN; DELETE FROM root; UPDATE object SET name = 'wrong'; COMMIT;")?;
    let bytes = fs::read(&log)?;
    drop(connection);
    fs::write(&log, &bytes)?;
    assert!(bytes.len() > 4096);
    rebuild(directory.path())?;
    assert_eq!(dump(directory.path())?, before);
    Ok(())
}

#[test]
fn a_database_that_is_lost_is_made_again_with_its_roots_by_the_next_who_opens_the_store()
-> TestResult {
    let directory = StoreDirectory::new();
    fill(directory.path())?;
    let before = dump(directory.path())?;
    fs::remove_file(directory.path().join("var/db.sqlite"))?;
    let store = open(directory.path())?;
    assert_eq!(dump(directory.path())?, before);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn readers_go_on_and_see_the_new_database_and_so_do_those_who_begin_to_write() -> TestResult {
    let directory = StoreDirectory::new();
    let infos = fill(directory.path())?;
    let reader = open(directory.path())?;
    let later_writer = open(directory.path())?;
    assert!(reader.path_info(&infos[0].path)?.is_some());
    rebuild(directory.path())?;
    assert!(reader.path_info(&infos[0].path)?.is_some());
    let new = add_tree(&later_writer, "new", MemoryNode::file("new"), &[])?;
    assert!(later_writer.path_info(&new.path)?.is_some());
    assert!(reader.path_info(&new.path)?.is_some());
    later_writer.add_root("new", &new.path, RootKind::Explicit)?;
    drop((reader, later_writer));
    let store = open(directory.path())?;
    assert_eq!(store.list_roots()?.len(), 4);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn who_writes_is_named_and_nothing_changes() -> TestResult {
    let directory = StoreDirectory::new();
    fill(directory.path())?;
    let writer = open(directory.path())?;
    add_tree(&writer, "new", MemoryNode::file("new"), &[])?;
    let error = rebuild(directory.path()).unwrap_err();
    let name = fs::read_to_string("/proc/self/comm")?;
    let expected = format!(
        "`{}` cannot be replaced while {} ({}) uses it to write",
        directory.path().join("var/db.sqlite").display(),
        name.trim(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    drop(writer);
    rebuild(directory.path())?;
    Ok(())
}

#[test]
fn what_has_no_record_stays_and_is_told() -> TestResult {
    let directory = StoreDirectory::new();
    let infos = {
        let store = open(directory.path())?;
        let base = add_tree(&store, "base", MemoryNode::file("base"), &[])?;
        let text = MemoryNode::file(base.path.to_logical());
        let user = add_tree(&store, "user", text, &[&base])?;
        let other = add_tree(&store, "other", MemoryNode::file("other"), &[])?;
        store.add_root("user", &user.path, RootKind::Explicit)?;
        [base, user, other]
    };
    let digest = infos[0].path.digest().to_string();
    let record = directory
        .path()
        .join("var/meta")
        .join(&digest[..2])
        .join(&digest);
    fs::remove_file(record)?;
    let report = rebuild(directory.path())?;
    let mut unrecorded = vec![infos[0].path.clone(), infos[1].path.clone()];
    unrecorded.sort();
    assert_eq!(report.unrecorded, unrecorded);
    assert_eq!(report.lost_roots, ["user"]);
    assert_eq!(report.objects, 1);
    for info in &infos {
        assert!(
            directory
                .path()
                .join("store")
                .join(info.path.to_string())
                .exists()
        );
    }
    Ok(())
}

#[test]
fn an_object_that_is_gone_is_known_as_long_as_something_refers_to_it() -> TestResult {
    let directory = StoreDirectory::new();
    let [base, user] = {
        let store = open(directory.path())?;
        let base = add_tree(&store, "base", MemoryNode::file("base"), &[])?;
        let text = MemoryNode::file(base.path.to_logical());
        let user = add_tree(&store, "user", text, &[&base])?;
        [base, user]
    };
    fs::remove_file(directory.path().join("store").join(base.path.to_string()))?;
    let report = rebuild(directory.path())?;
    assert_eq!(report.damaged, std::slice::from_ref(&base.path));
    let store = open(directory.path())?;
    assert!(store.path_info(&user.path)?.is_some());
    // It is valid again once it is added again.
    assert_eq!(
        add_tree(&store, "base", MemoryNode::file("base"), &[])?.id,
        base.id
    );
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

fn records(root: &Path) -> TestResult<usize> {
    Ok(fs::read_dir(root.join("var/meta/roots"))?.count())
}

/// Makes the next who opens the store look for what was interrupted.
fn mark_crashed(root: &Path) -> std::io::Result<()> {
    fs::write(root.join("var/unclean"), "another boot")
}

#[test]
fn each_root_has_a_record_and_a_removed_one_has_none() -> TestResult {
    let store = TempStore::new();
    let info = store.add_tree("x", MemoryNode::file("x"), &[])?;
    let long = "n/".repeat(3000);
    store.add_root(&long, &info.path, RootKind::Explicit)?;
    store.add_root("second", &info.path, RootKind::Profile)?;
    assert_eq!(records(store.root())?, 2);
    assert!(store.remove_root(&long)?);
    assert!(!store.remove_root(&long)?);
    assert_eq!(records(store.root())?, 1);
    Ok(())
}

#[test]
fn a_root_that_cannot_be_set_leaves_the_one_before() -> TestResult {
    let directory = StoreDirectory::new();
    let store = open(directory.path())?;
    let info = add_tree(&store, "x", MemoryNode::file("x"), &[])?;
    store.add_root("x", &info.path, RootKind::Explicit)?;
    let unknown = store::scratch_path(&"unknown".parse()?, "out");
    assert!(store.add_root("x", &unknown, RootKind::Explicit).is_err());
    assert!(store.add_root("y", &unknown, RootKind::Explicit).is_err());
    let before = store.list_roots()?;
    drop(store);
    mark_crashed(directory.path())?;
    let store = open(directory.path())?;
    assert_eq!(store.list_roots()?, before);
    assert_eq!(records(store.root())?, 1);
    Ok(())
}

#[test]
fn recovery_makes_rows_and_records_of_roots_agree() -> TestResult {
    let directory = StoreDirectory::new();
    let store = open(directory.path())?;
    let [old, new] = ["old", "new"].map(|text| {
        let added = add_tree(&store, text, MemoryNode::file(text), &[]);
        added.map(|info| info.path)
    });
    let (old, new) = (old?, new?);
    for name in ["replaced", "lost", "unrecorded", "foreign"] {
        store.add_root(name, &old, RootKind::Explicit)?;
    }
    store.add_root("replaced", &new, RootKind::Explicit)?;
    let database = Connection::open(store.root().join("var/db.sqlite"))?;
    // As after a crash between record and row, before this root was replaced and another was made.
    database.execute(
        "UPDATE root SET object = (SELECT id FROM object WHERE name = 'old') WHERE name = 'replaced'",
        [],
    )?;
    database.execute("DELETE FROM root WHERE name = 'lost'", [])?;
    drop(database);
    // As a store has it that was made before there were records.
    let hash = blake3_name("unrecorded");
    fs::remove_file(store.root().join("var/meta/roots").join(hash))?;
    // A record of an object that is not here.
    let foreign = store
        .root()
        .join("var/meta/roots")
        .join(blake3_name("foreign"));
    let text = fs::read_to_string(&foreign)?;
    // Records may not be written to.
    fs::remove_file(&foreign)?;
    fs::write(&foreign, text.replace("-old", "-odl"))?;
    drop(store);
    mark_crashed(directory.path())?;
    let store = open(directory.path())?;
    let roots: Vec<(String, bool)> = store
        .list_roots()?
        .into_iter()
        .map(|root| (root.name, root.path == new))
        .collect();
    let expected = [
        ("foreign", false),
        ("lost", false),
        ("replaced", true),
        ("unrecorded", false),
    ];
    assert_eq!(
        roots,
        expected.map(|(name, is_new)| (name.to_owned(), is_new))
    );
    assert_eq!(records(store.root())?, 4);
    drop(store);
    let before = dump(directory.path())?;
    rebuild(directory.path())?;
    assert_eq!(dump(directory.path())?, before);
    Ok(())
}

fn blake3_name(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex()[..32].to_owned()
}
