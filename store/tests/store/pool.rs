//! Files of the same bytes are one inode, and nothing else about them changes.

use std::{
    error::Error,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use store::{
    AddBatch, AddObject, AddSource, Collected, MemoryNode, PathInfo, PoolKey,
    pool::MIN_BYTES,
    scratch_path,
    testing::{StoreDirectory, TempStore, find_faults, memory_tree as tree, open},
};

type TestResult = Result<(), Box<dyn Error>>;

const NONE: Vec<String> = Vec::new();

/// Bytes of a file that is written whole, and of one that is written in blocks.
const SIZES: [usize; 2] = [9_000, 500_000];

fn bytes(seed: u8, size: usize) -> Vec<u8> {
    (0..size)
        .map(|index| seed.wrapping_add((index % 251).to_le_bytes()[0]))
        .collect()
}

fn inode(store: &TempStore, info: &PathInfo, file: &str) -> io::Result<u64> {
    Ok(fs::metadata(store.real_path(&info.path).join(file))?.ino())
}

fn entry(store: &TempStore, bytes: &[u8]) -> PathBuf {
    let blob = store::BlobId::from_bytes(*blake3::hash(bytes).as_bytes());
    let key = PoolKey {
        blob,
        executable: false,
    };
    store.store_directory().join(".pool").join(key.to_string())
}

/// Writes into a file of the store as root or its owner can, in place.
fn overwrite(file: &Path, bytes: &[u8], hidden: bool) -> io::Result<()> {
    let time = fs::metadata(file)?.modified()?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))?;
    fs::write(file, bytes)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o444))?;
    if hidden {
        fs::File::open(file)?.set_modified(time)?;
    }
    Ok(())
}

#[test]
fn objects_share_the_inodes_of_equal_files_and_of_no_others() -> TestResult {
    for size in SIZES {
        let store = TempStore::new();
        let large = bytes(1, size);
        let files = |other: u8| {
            tree(&[
                ("d/common", MemoryNode::file(large.clone())),
                ("program", MemoryNode::program(large.clone())),
                ("again", MemoryNode::file(large.clone())),
                ("other", MemoryNode::file(bytes(other, size))),
                ("small", MemoryNode::file("small")),
            ])
        };
        let one = store.add_tree("one", files(2), &[])?;
        let two = store.add_tree("two", files(3), &[])?;
        let common = inode(&store, &one, "d/common")?;
        for (info, file, shared) in [
            (&one, "again", true),
            (&two, "d/common", true),
            (&two, "again", true),
            (&one, "program", false),
            (&two, "other", false),
        ] {
            assert_eq!(inode(&store, info, file)? == common, shared, "{file}");
        }
        for (file, shared) in [("program", true), ("other", false), ("small", false)] {
            let same = inode(&store, &one, file)? == inode(&store, &two, file)?;
            assert_eq!(same, shared, "{file}");
        }
        // Four names in objects and one in the pool.
        assert_eq!(fs::metadata(entry(&store, &large))?.nlink(), 5);
        assert_eq!(find_faults(&store), NONE);
    }
    Ok(())
}

#[test]
fn a_file_from_disk_is_linked_as_one_from_memory() -> TestResult {
    use std::os::fd::AsFd;
    let store = TempStore::new();
    let directory = tempfile::tempdir()?;
    let parent = fs::File::open(directory.path())?;
    for size in SIZES {
        let name = format!("file-{size}");
        fs::write(directory.path().join(&name), bytes(1, size))?;
        let memory = store.add_tree("memory", MemoryNode::file(bytes(1, size)), &[])?;
        let source = AddSource::Entry {
            parent: parent.as_fd(),
            name: name.as_ref(),
        };
        let disk = store.add(AddBatch {
            objects: vec![AddObject::new("disk".parse()?, source)],
            ..AddBatch::default()
        })?;
        let inode =
            |info: &PathInfo| fs::metadata(store.real_path(&info.path)).map(|file| file.ino());
        assert_eq!(inode(&memory)?, inode(&disk[0])?);
        assert_eq!(
            fs::read(store.real_path(&disk[0].path))?,
            bytes(1, size),
            "{size}"
        );
    }
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn equal_files_that_name_their_own_object_are_one_inode_and_not_in_the_pool() -> TestResult {
    let store = TempStore::new();
    let scratch = scratch_path(&"git".parse()?, "out");
    let mut program = scratch.to_logical().into_bytes();
    program.extend(bytes(1, 9_000));
    let files = tree(&[
        ("bin/git", MemoryNode::program(program.clone())),
        ("libexec/git-add", MemoryNode::program(program)),
    ]);
    let info = store
        .add(AddBatch {
            objects: vec![AddObject {
                scratch: Some(scratch),
                ..AddObject::new("git".parse()?, AddSource::Tree(files))
            }],
            ..AddBatch::default()
        })?
        .remove(0);
    assert_eq!(
        inode(&store, &info, "bin/git")?,
        inode(&store, &info, "libexec/git-add")?
    );
    assert_eq!(store.pool().entries()?, []);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn nothing_links_to_an_entry_that_was_written_to() -> TestResult {
    for size in SIZES {
        let store = TempStore::new();
        let large = bytes(1, size);
        store.add_tree("one", MemoryNode::file(large.clone()), &[])?;
        overwrite(&entry(&store, &large), &bytes(9, size), false)?;
        let two = store.add_tree("two", MemoryNode::file(large.clone()), &[])?;
        assert_eq!(fs::read(store.real_path(&two.path))?, large);
        assert_eq!(fs::read(entry(&store, &large))?, large);
    }
    Ok(())
}

#[test]
fn a_damaged_object_is_added_again_from_its_bytes_once_its_files_are_out_of_the_pool() -> TestResult
{
    let store = TempStore::new();
    let large = bytes(1, 9_000);
    let one = store.add_tree("one", MemoryNode::file(large.clone()), &[])?;
    overwrite(&store.real_path(&one.path), &bytes(9, 9_000), true)?;
    assert!(entry(&store, &large).exists());
    store.unpool(&one.path)?;
    assert!(!entry(&store, &large).exists());
    let two = store.add_tree("two", MemoryNode::file(large.clone()), &[])?;
    assert_eq!(fs::read(store.real_path(&two.path))?, large);
    let blob = store::BlobId::from_bytes(*blake3::hash(&large).as_bytes());
    assert!(store.pool().discard(blob, false)?);
    assert!(!store.pool().discard(blob, false)?);
    assert_eq!(fs::read(store.real_path(&two.path))?, large);
    Ok(())
}

#[test]
fn what_a_crash_has_damaged_is_taken_out_of_the_pool() -> TestResult {
    let directory = StoreDirectory::new();
    let large = bytes(1, 9_000);
    let info = store::testing::add_tree(
        &open(directory.path())?,
        "one",
        tree(&[("file", MemoryNode::file(large.clone()))]),
        &[],
    )?;
    let file = directory
        .path()
        .join("store")
        .join(info.path.to_string())
        .join("file");
    overwrite(&file, &bytes(9, 9_000), true)?;
    fs::write(directory.path().join("var/unclean"), "another boot")?;
    let store = open(directory.path())?;
    assert_eq!(store.path_info(&info.path)?, None);
    assert_eq!(store.pool().entries()?, []);
    let files = tree(&[("file", MemoryNode::file(large))]);
    let again = store::testing::add_tree(&store, "one", files, &[])?;
    assert_eq!(again.path, info.path);
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn collecting_removes_the_entries_that_no_object_uses() -> TestResult {
    let store = TempStore::new();
    let one = store.add_tree("one", MemoryNode::file(bytes(1, 9_000)), &[])?;
    store.add_tree("two", MemoryNode::program(bytes(2, 9_000)), &[])?;
    assert_eq!(store.pool().entries()?.len(), 2);
    assert_eq!(store.pool().collect()?, Collected::default());
    let taken = fs::metadata(store.real_path(&one.path))?.blocks() * 512;
    fs::remove_file(store.real_path(&one.path))?;
    let collected = Collected {
        entries: 1,
        disk_bytes: taken,
    };
    assert_eq!(store.pool().collect()?, collected);
    assert_eq!(store.pool().entries()?.len(), 1);
    Ok(())
}

#[test]
fn a_store_without_a_pool_gets_one() -> TestResult {
    let directory = StoreDirectory::new();
    drop(open(directory.path())?);
    fs::remove_dir(directory.path().join("store/.pool"))?;
    let store = open(directory.path())?;
    store::testing::add_tree(&store, "one", MemoryNode::file(bytes(1, 9_000)), &[])?;
    assert_eq!(store.pool().entries()?.len(), 1);
    Ok(())
}

/// Few contents, of sizes on both sides of the pool's bound, so that many are equal.
fn arbitrary_file() -> impl Strategy<Value = (u8, usize, bool)> {
    let bound = 8 << 10;
    let size = prop_oneof![
        Just(0),
        Just(bound - 1),
        Just(bound),
        Just(bound + 1),
        Just(200_000)
    ];
    (0..3u8, size, any::<bool>())
}

fn arbitrary_files() -> impl Strategy<Value = Vec<(String, MemoryNode)>> {
    let file = ("[a-c]{1,2}(/[d-f])?", arbitrary_file());
    prop::collection::vec(file, 1..8).prop_map(|files| {
        let nodes = files.into_iter().map(|(path, (seed, size, executable))| {
            let bytes = bytes(seed, size);
            (path, MemoryNode::File { bytes, executable })
        });
        nodes.collect()
    })
}

/// Leaves out what lies below another file.
fn to_tree(files: &[(String, MemoryNode)]) -> (MemoryNode, Vec<(String, MemoryNode)>) {
    let mut node = MemoryNode::directory();
    let mut taken: Vec<(String, MemoryNode)> = Vec::new();
    for (path, file) in files {
        let clashes = taken.iter().any(|(other, _)| {
            other == path
                || other.starts_with(&format!("{path}/"))
                || path.starts_with(&format!("{other}/"))
        });
        if !clashes && node.insert(path, file.clone()).is_ok() {
            taken.push((path.clone(), file.clone()));
        }
    }
    (node, taken)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn objects_with_common_files_have_their_contents_and_digests_and_share_inodes(
        one in arbitrary_files(),
        two in arbitrary_files(),
    ) {
        let shared = TempStore::new();
        let mut files = Vec::new();
        for (name, (node, paths)) in [("one", to_tree(&one)), ("two", to_tree(&two))] {
            let alone = TempStore::new();
            let info = shared.add_tree(name, node.clone(), &[]).unwrap();
            prop_assert_eq!(&info, &alone.add_tree(name, node, &[]).unwrap());
            for (path, file) in paths {
                let real = shared.real_path(&info.path).join(path);
                let MemoryNode::File { bytes, executable } = file else { continue };
                prop_assert_eq!(&fs::read(&real).unwrap(), &bytes);
                let metadata = fs::metadata(&real).unwrap();
                let mode = if executable { 0o555 } else { 0o444 };
                prop_assert_eq!((metadata.permissions().mode() & 0o7777, metadata.mtime()), (mode, 1));
                files.push((metadata.ino(), bytes, executable));
            }
        }
        for (inode, bytes, executable) in &files {
            for (other, other_bytes, other_executable) in &files {
                let equal = bytes == other_bytes && executable == other_executable && bytes.len() as u64 >= MIN_BYTES;
                if equal {
                    prop_assert_eq!(inode, other);
                } else if (bytes, executable) != (other_bytes, other_executable) {
                    prop_assert_ne!(inode, other);
                }
            }
        }
        prop_assert_eq!(find_faults(&shared), NONE);
    }
}
