//! What is damaged becomes whole again, or is named with what needs it.

use std::{
    convert::Infallible,
    error::Error,
    fs,
    io::{Read, Seek},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use rusqlite::Connection;
use store::{
    AddBatch, AddObject, AddSource, LocalStore, MemoryNode, Mended, NoRestorer, PathInfo, Problem,
    Realisation, RepairReport, ResolvedDigest, Restorer, RootKind, StorePath, VerifyDepth,
    VerifyOptions, Watch, scratch_path,
    testing::{TempStore, add_tree, find_faults, make_writable, memory_tree},
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const NONE: Vec<String> = Vec::new();
const LARGE: usize = 300 << 10;

fn tree(scratch: &StorePath) -> TestResult<MemoryNode> {
    Ok(memory_tree(&[
        ("bin/run", MemoryNode::program(scratch.to_logical())),
        (
            "bin/so",
            MemoryNode::symlink(format!("{}/lib/so", scratch.to_logical()))?,
        ),
        ("lib/so", MemoryNode::file(vec![7; LARGE])),
        ("lib/so.1", MemoryNode::symlink("so")?),
        ("share/doc", MemoryNode::file("text")),
        ("empty", MemoryNode::directory()),
    ]))
}

/// An object that refers to itself, with all kinds of nodes.
fn add_lib(store: &LocalStore) -> TestResult<PathInfo> {
    let scratch = scratch_path(&"lib".parse()?, "out");
    let object = AddObject {
        scratch: Some(scratch.clone()),
        ..AddObject::new("lib".parse()?, AddSource::Tree(tree(&scratch)?))
    };
    let mut infos = store.add(AddBatch {
        objects: vec![object],
        ..AddBatch::default()
    })?;
    Ok(infos.pop().ok_or("one object was added")?)
}

/// Files of the same bytes as some of [`add_lib`]'s, in inodes of their own.
fn add_copies(store: &LocalStore, info: &PathInfo) -> TestResult<PathInfo> {
    let so = store.real_path(&info.path).join("lib/so");
    // Out of the pool, so that the copy is no link to it.
    store.unpool(&info.path)?;
    let tree = memory_tree(&[
        ("deep/er/copy", MemoryNode::file(fs::read(so)?)),
        ("text", MemoryNode::file("text")),
    ]);
    let copies = add_tree(store, "copies", tree, &[])?;
    let copy = store.real_path(&copies.path).join("deep/er/copy");
    let own = store.real_path(&info.path).join("lib/so");
    assert_ne!(fs::metadata(copy)?.ino(), fs::metadata(own)?.ino());
    Ok(copies)
}

/// Changes files of an object, and makes it look as if nobody had.
fn tamper(
    store: &LocalStore,
    info: &PathInfo,
    change: impl FnOnce(&Path) -> std::io::Result<()>,
) -> TestResult {
    let root = store.real_path(&info.path);
    make_writable(&root)?;
    change(&root).and_then(|()| seal(&root)).map_err(Into::into)
}

fn seal(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            seal(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            fs::File::open(entry.path())?
                .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1))?;
        }
    }
    let opened = fs::File::open(directory)?;
    opened.set_permissions(PermissionsExt::from_mode(0o555))?;
    opened.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1))
}

fn flip(file: &Path, offset: u64) -> std::io::Result<()> {
    let mode = fs::metadata(file)?.permissions();
    fs::set_permissions(file, PermissionsExt::from_mode(0o644))?;
    let opened = fs::File::options().read(true).write(true).open(file)?;
    let mut byte = [0];
    opened.read_exact_at(&mut byte, offset)?;
    opened.write_all_at(&[byte[0] ^ 1], offset)?;
    fs::set_permissions(file, mode)
}

const CONTENTS: VerifyOptions = VerifyOptions {
    paths: Vec::new(),
    depth: VerifyDepth::Contents,
};

fn repair(store: &LocalStore) -> TestResult<RepairReport<Infallible>> {
    Ok(store.repair(&CONTENTS, &NoRestorer, &Watch::nobody())?)
}

fn expect_whole(store: &LocalStore) -> TestResult {
    assert_eq!(store.verify(&CONTENTS, &Watch::nobody())?.findings, []);
    assert_eq!(find_faults(store), NONE);
    Ok(())
}

#[test]
fn a_good_store_is_left_as_it_is() -> TestResult {
    let store = TempStore::new();
    add_lib(&store)?;
    let report = repair(&store)?;
    assert!(report.mended.is_empty() && report.left.is_empty() && report.unrepaired.is_empty());
    Ok(())
}

#[test]
fn wrong_bytes_are_replaced_by_the_same_bytes_of_another_object() -> TestResult {
    type Change = fn(&Path) -> std::io::Result<()>;
    let changes: [Change; 8] = [
        |root| flip(&root.join("lib/so"), 70_000),
        |root| fs::remove_file(root.join("share/doc")),
        |root| fs::write(root.join("share/more"), "more"),
        |root| {
            fs::remove_file(root.join("lib/so.1"))?;
            symlink("/etc/passwd", root.join("lib/so.1"))
        },
        |root| fs::remove_dir(root.join("empty")),
        |root| {
            fs::remove_file(root.join("share/doc"))?;
            fs::create_dir(root.join("share/doc"))
        },
        |root| fs::rename(root.join("share"), root.join("lib/share")),
        |root| {
            fs::remove_file(root.join("lib/so"))?;
            symlink("/etc/passwd", root.join("lib/so"))
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let store = TempStore::new();
        let info = add_lib(&store)?;
        add_copies(&store, &info)?;
        let user = store.add_tree("user", MemoryNode::file(info.path.to_logical()), &[&info])?;
        tamper(&store, &info, change)?;
        let report = repair(&store)?;
        assert_eq!(
            report.mended.get(&info.path),
            Some(&Mended::Copied),
            "{number}"
        );
        assert_eq!(report.left, [], "{number}");
        assert_eq!(store.path_info(&info.path)?, Some(info));
        assert_eq!(store.closure(&[user.path])?.infos().len(), 2);
        expect_whole(&store)?;
    }
    Ok(())
}

#[test]
fn an_object_that_is_gone_is_made_again_if_all_its_files_are_elsewhere() -> TestResult {
    let store = TempStore::new();
    let lib = store.add_tree("x", memory_tree(&[("a/b", MemoryNode::file("text"))]), &[])?;
    let file = store.add_tree("y", MemoryNode::file("text"), &[])?;
    for info in [&lib, &file] {
        let real = store.real_path(&info.path);
        if real.is_dir() {
            make_writable(&real)?;
            fs::remove_dir_all(&real)?;
        } else {
            fs::remove_file(&real)?;
        }
        let report = repair(&store)?;
        assert_eq!(report.mended.get(&info.path), Some(&Mended::Copied));
        expect_whole(&store)?;
    }
    Ok(())
}

#[test]
fn who_reads_the_old_files_is_not_disturbed() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    add_copies(&store, &info)?;
    let mut reader = fs::File::open(store.real_path(&info.path).join("share/doc"))?;
    tamper(&store, &info, |root| flip(&root.join("lib/so"), 1))?;
    repair(&store)?;
    let mut text = String::new();
    reader.rewind()?;
    reader.read_to_string(&mut text)?;
    assert_eq!(text, "text");
    expect_whole(&store)
}

#[test]
fn modes_and_times_are_set_and_a_whole_object_is_valid_again() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    let real = store.real_path(&info.path);
    fs::set_permissions(real.join("bin/run"), PermissionsExt::from_mode(0o644))?;
    fs::set_permissions(real.join("share/doc"), PermissionsExt::from_mode(0o777))?;
    fs::set_permissions(real.join("lib"), PermissionsExt::from_mode(0o755))?;
    fs::set_permissions(&real, PermissionsExt::from_mode(0o755))?;
    let touched = fs::File::open(real.join("lib/so"))?;
    touched.set_modified(std::time::SystemTime::UNIX_EPOCH)?;
    let report = repair(&store)?;
    assert_eq!(report.mended.get(&info.path), Some(&Mended::Metadata));
    assert_eq!(report.left, []);
    expect_whole(&store)?;
    // Damaged, and then put right by somebody else.
    tamper(&store, &info, |root| flip(&root.join("lib/so"), 9))?;
    store.verify(&CONTENTS, &Watch::nobody())?;
    assert_eq!(store.path_info(&info.path)?, None);
    tamper(&store, &info, |root| flip(&root.join("lib/so"), 9))?;
    let report = repair(&store)?;
    assert_eq!(report.mended.get(&info.path), Some(&Mended::Whole));
    assert_eq!(store.path_info(&info.path)?, Some(info));
    expect_whole(&store)
}

#[test]
fn a_name_outside_of_the_store_loses_its_file() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    let outside = store.root().join("outside");
    fs::hard_link(store.real_path(&info.path).join("share/doc"), &outside)?;
    let report = repair(&store)?;
    assert_eq!(report.mended.get(&info.path), Some(&Mended::Copied));
    assert_eq!(fs::metadata(&outside)?.nlink(), 1);
    expect_whole(&store)
}

#[test]
fn records_are_written_again_whatever_became_of_them() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    store.add_root("lib", &info.path, RootKind::Explicit)?;
    store.add_realisations(&[Realisation {
        resolved: ResolvedDigest::from_bytes([1; 32]),
        output: "out".into(),
        object: info.id,
        path: info.path.clone(),
        sandbox: "full".into(),
        built_at: 1,
        duration_ms: 2,
    }])?;
    let digest = info.path.digest().to_string();
    let shard = store.root().join("var/meta").join(&digest[..2]);
    let records: Vec<_> = fs::read_dir(&shard)?
        .chain(fs::read_dir(store.root().join("var/meta/roots"))?)
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    assert_eq!(records.len(), 3);
    for record in &records {
        let good = fs::read(record)?;
        for bad in [
            None,
            Some(b"{}\n".to_vec()),
            Some(good[..good.len() / 2].to_vec()),
        ] {
            fs::remove_file(record)?;
            if let Some(bad) = bad {
                fs::write(record, bad)?;
            }
            assert!(
                !store
                    .verify(&CONTENTS, &Watch::nobody())?
                    .findings
                    .is_empty()
            );
            assert_eq!(repair(&store)?.left, [], "{}", record.display());
            assert_eq!(fs::read(record)?, good, "{}", record.display());
        }
    }
    expect_whole(&store)
}

#[test]
fn a_record_is_not_written_over_by_a_row_that_is_wrong() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    let user = store.add_tree("user", MemoryNode::file(info.path.to_logical()), &[&info])?;
    let digest = user.path.digest().to_string();
    let record = store
        .root()
        .join("var/meta")
        .join(&digest[..2])
        .join(&digest);
    let good = fs::read(&record)?;
    Connection::open(store.root().join("var/db.sqlite"))?.execute("DELETE FROM reference", [])?;
    let report = repair(&store)?;
    assert_eq!(report.unrepaired.len(), 1);
    assert!(report.unrepaired[0].problems.contains(&Problem::Identity));
    assert_eq!(fs::read(&record)?, good);
    Ok(())
}

#[test]
fn what_nobody_registered_is_registered_or_removed() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    Connection::open(store.root().join("var/db.sqlite"))?.execute("DELETE FROM object", [])?;
    let stray = scratch_path(&"stray".parse()?, "out").to_string();
    fs::write(store.store_directory().join(&stray), "stray")?;
    fs::write(store.store_directory().join("notes.txt"), "notes")?;
    let report = repair(&store)?;
    assert_eq!(store.path_info(&info.path)?, Some(info));
    assert!(!store.store_directory().join(stray).exists());
    assert_eq!(report.left.len(), 1);
    assert_eq!(report.left[0].problem, Problem::Foreign);
    assert_eq!(
        fs::read(store.store_directory().join("notes.txt"))?,
        b"notes"
    );
    Ok(())
}

#[test]
fn what_cannot_be_repaired_is_named_with_what_needs_it() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    let user = store.add_tree("user", MemoryNode::file(info.path.to_logical()), &[&info])?;
    let app = store.add_tree("app", MemoryNode::file(user.path.to_logical()), &[&user])?;
    store.add_root("kept", &app.path, RootKind::Explicit)?;
    tamper(&store, &info, |root| flip(&root.join("lib/so"), 200_000))?;
    for _ in 0..2 {
        let report = repair(&store)?;
        let [unrepaired] = report.unrepaired.as_slice() else {
            panic!("{report:?}");
        };
        assert_eq!(unrepaired.path, info.path);
        assert_eq!(unrepaired.roots, ["kept"]);
        assert_eq!(unrepaired.referrers, std::slice::from_ref(&user.path));
        assert!(
            matches!(
                unrepaired.problems.as_slice(),
                [Problem::Bytes {
                    offset: 196_608,
                    ..
                }]
            ),
            "{unrepaired:?}"
        );
        assert_eq!(report.left.len(), 2, "wrong bytes, and known to be damaged");
    }
    Ok(())
}

/// Adds the library again, whatever is asked for.
struct Rebuild<'a>(&'a LocalStore);

impl Restorer for Rebuild<'_> {
    type Error = std::fmt::Error;

    fn restore(&self, objects: &[PathInfo]) -> Vec<(StorePath, std::fmt::Error)> {
        add_lib(self.0).expect("it can be added");
        let others = objects
            .iter()
            .filter(|info| info.path.name().as_str() != "lib");
        others
            .map(|info| (info.path.clone(), std::fmt::Error))
            .collect()
    }
}

#[test]
fn what_others_restore_repairs_what_shares_its_bytes_too() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    // These share one inode, and with it the wrong byte.
    let other = store.add_tree("other", MemoryNode::file(vec![7; LARGE]), &[])?;
    let hopeless = store.add_tree("hopeless", MemoryNode::file("once"), &[])?;
    let so = store.real_path(&info.path).join("lib/so");
    assert_eq!(
        fs::metadata(&so)?.ino(),
        fs::metadata(store.real_path(&other.path))?.ino()
    );
    tamper(&store, &info, |root| flip(&root.join("lib/so"), 5))?;
    fs::remove_file(store.real_path(&hopeless.path))?;
    let report = store.repair(&CONTENTS, &Rebuild(&store), &Watch::nobody())?;
    assert_eq!(report.mended.get(&info.path), Some(&Mended::Restored));
    assert_eq!(report.mended.get(&other.path), Some(&Mended::Copied));
    let left: Vec<_> = report
        .unrepaired
        .iter()
        .map(|one| (&one.path, one.reason))
        .collect();
    assert_eq!(left, [(&hopeless.path, Some(std::fmt::Error))]);
    assert_eq!(fs::read(store.real_path(&other.path))?, vec![7; LARGE]);
    assert_eq!(fs::read(&so)?, vec![7; LARGE]);
    Ok(())
}

#[test]
fn a_wrong_entry_of_the_pool_is_not_what_a_file_is_repaired_with() -> TestResult {
    let store = TempStore::new();
    let info = add_lib(&store)?;
    add_copies(&store, &info)?;
    // The entry of the copy rots, and the copy with it; a third is good.
    let third = store.add_tree("third", MemoryNode::file(vec![7; LARGE]), &[])?;
    let real = store.real_path(&third.path);
    let bytes = fs::read(&real)?;
    fs::remove_file(&real)?;
    fs::write(&real, bytes)?;
    fs::set_permissions(&real, PermissionsExt::from_mode(0o444))?;
    for entry in store.pool().entries()? {
        let file = store
            .store_directory()
            .join(".pool")
            .join(entry.key.to_string());
        flip(&file, 3)?;
        fs::File::open(&file)?
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1))?;
    }
    tamper(&store, &info, |root| flip(&root.join("lib/so"), 5))?;
    let report = repair(&store)?;
    assert_eq!(report.left, []);
    assert_eq!(report.mended.get(&info.path), Some(&Mended::Copied));
    expect_whole(&store)
}

#[test]
fn damaged_objects_that_need_each_other_become_valid_in_order() -> TestResult {
    let store = TempStore::new();
    let base = store.add_tree("base", MemoryNode::file("base"), &[])?;
    let text = base.path.to_logical();
    let user = store.add_tree("user", MemoryNode::file(text.clone()), &[&base])?;
    store.add_tree(
        "copies",
        memory_tree(&[
            ("a", MemoryNode::file("base")),
            ("b", MemoryNode::file(text)),
        ]),
        &[],
    )?;
    for info in [&base, &user] {
        fs::remove_file(store.real_path(&info.path))?;
    }
    let report = repair(&store)?;
    assert_eq!(report.mended.len(), 2);
    assert_eq!(store.closure(&[user.path])?.infos().len(), 2);
    expect_whole(&store)
}
