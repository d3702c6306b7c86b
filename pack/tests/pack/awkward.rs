//! Content that formats and tools have trouble with.

use std::{error::Error, fs, os::unix::ffi::OsStrExt as _, path::Path, process::Command};

use pack::{Format, Image, validate};
use store::{MemoryNode, PathInfo, StorePath};

use crate::fixture::{Fixture, TestResult, unchecked};

/// A directory that is nested as deep as a store object may be, below the object itself.
const DEPTH: usize = 62;

fn add(
    fixture: &Fixture,
    name: &str,
    nodes: &[(Vec<u8>, MemoryNode)],
) -> Result<PathInfo, Box<dyn Error>> {
    let mut root = MemoryNode::directory();
    for (path, node) in nodes {
        root.insert(path, node.clone())?;
    }
    Ok(fixture.store.add_tree(name, root, &[])?)
}

/// Names that are long, odd or no text.
fn odd_paths() -> Vec<Vec<u8>> {
    let long = vec![b'l'; 255];
    let deep = vec![b"d".repeat(30); DEPTH - 2].join(&b'/');
    vec![
        b"a".repeat(100),
        b"b".repeat(101),
        long.clone(),
        [b"k", &long[1..], b"/", &long, b"/", &long].concat(),
        [&deep[..], b"/end"].concat(),
        b"caf\xe9".to_vec(),
        "caf\u{e9}".as_bytes().to_vec(),
        b"\xff\xfe\x01".to_vec(),
        b"new\nline".to_vec(),
        b"-rf".to_vec(),
        b" ".to_vec(),
        b"back\\slash".to_vec(),
        b"quote\"'".to_vec(),
        b"...".to_vec(),
    ]
}

#[test]
fn odd_names_are_the_same_in_every_format() -> TestResult {
    let fixture = Fixture::new()?;
    let contents = |path: &[u8]| MemoryNode::file(blake3::hash(path).as_bytes().to_vec());
    let target = vec![b't'; 4000];
    let mut nodes: Vec<_> = odd_paths()
        .into_iter()
        .map(|path| (path.clone(), contents(&path)))
        .collect();
    nodes.push((b"link".to_vec(), MemoryNode::symlink(&target)?));
    let odd = add(&fixture, "odd", &nodes)?;
    let pack = |format, name: &str| {
        let place = fixture.place(name);
        fixture.pack(&[&odd], &fixture.spec(), &unchecked(), format, &place)?;
        Ok::<_, Box<dyn Error>>(place)
    };
    for (format, name) in [(Format::Archive, "a.tar"), (Format::Oci, "oci")] {
        let found = validate(&pack(format, name)?)?;
        assert_eq!(found.mismatches, []);
        assert_eq!(found.objects, 1);
    }
    let directory = pack(Format::Directory, "dir")?;
    // GNU tar, as everybody has it.
    let tar = pack(Format::Tar, "root.tar")?;
    let unpacked = fixture.place("unpacked");
    fs::create_dir(&unpacked)?;
    let status = Command::new("tar")
        .arg("-xf")
        .arg(&tar)
        .arg("-C")
        .arg(&unpacked)
        .status()?;
    assert!(status.success());
    for root in [&directory, &unpacked] {
        let object = root.join(odd.path.to_logical().trim_start_matches('/'));
        for path in odd_paths() {
            let place = object.join(std::ffi::OsStr::from_bytes(&path));
            let found = fs::read(&place)?;
            assert_eq!(found, blake3::hash(&path).as_bytes(), "{}", place.display());
        }
        let found = fs::read_link(object.join("link"))?;
        assert_eq!(found.as_os_str().as_bytes(), target);
    }
    for root in [&directory, &unpacked] {
        store::testing::make_writable(root)?;
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_files_in_one_directory_are_all_there() -> TestResult {
    const COUNT: usize = 100_000;
    let fixture = Fixture::new()?;
    let nodes: Vec<_> = (0..COUNT)
        .map(|number| (format!("d/{number:06}").into_bytes(), MemoryNode::file("")))
        .collect();
    let many = add(&fixture, "many", &nodes)?;
    let place = fixture.place("many.tar");
    fixture.pack(
        &[&many],
        &fixture.spec(),
        &unchecked(),
        Format::Archive,
        &place,
    )?;
    let found = validate(&place)?;
    assert_eq!(found.mismatches, []);
    assert!(found.entries > COUNT as u64);
    // A directory of a squashfs has an index of its own when it is so long.
    let squashfs = fixture.place("many.squashfs");
    fixture.pack(
        &[&many],
        &fixture.spec(),
        &unchecked(),
        Format::Squashfs,
        &squashfs,
    )?;
    let listed = Command::new("unsquashfs")
        .arg("-l")
        .arg(&squashfs)
        .output()?;
    assert!(listed.status.success());
    let listed = String::from_utf8(listed.stdout)?;
    let inside = format!("{}/d/", many.path.to_logical());
    assert_eq!(
        listed.lines().filter(|line| line.contains(&inside)).count(),
        COUNT
    );
    Ok(())
}

#[test]
fn a_name_that_deletes_files_in_layers_is_refused_there_and_nowhere_else() -> TestResult {
    let fixture = Fixture::new()?;
    let nodes = [(b"d/.wh.x".to_vec(), MemoryNode::file("text"))];
    let odd = add(&fixture, "whiteout", &nodes)?;
    for (format, name) in [(Format::Archive, "a.tar"), (Format::Oci, "o")] {
        let place = fixture.place(name);
        let result = fixture.pack(&[&odd], &fixture.spec(), &unchecked(), format, &place);
        let error = result.err().ok_or("it is refused")?.to_string();
        assert!(error.contains("/d/.wh.x` cannot be in a layer"), "{error}");
        assert!(!place.exists());
    }
    let place = fixture.place("dir");
    fixture.pack(
        &[&odd],
        &fixture.spec(),
        &unchecked(),
        Format::Directory,
        &place,
    )?;
    let inner = odd.path.to_logical();
    let inner = Path::new(inner.trim_start_matches('/')).join("d/.wh.x");
    assert_eq!(fs::read(place.join(inner))?, b"text");
    store::testing::make_writable(&place)?;
    Ok(())
}

#[test]
fn an_empty_package_is_an_image_and_no_package_is_none() -> TestResult {
    let fixture = Fixture::new()?;
    let empty = add(&fixture, "empty", &[])?;
    for (format, name) in [
        (Format::Archive, "a.tar"),
        (Format::Oci, "oci"),
        (Format::Tar, "root.tar"),
        (Format::Squashfs, "squashfs"),
    ] {
        let place = fixture.place(name);
        fixture.pack(&[&empty], &fixture.spec(), &unchecked(), format, &place)?;
        if format.holds_platforms() {
            let found = validate(&place)?;
            assert_eq!((found.mismatches, found.objects), (Vec::new(), 1));
        }
    }
    let none: [StorePath; 0] = [];
    let image = Image::new(
        &fixture.store,
        &none,
        &fixture.spec(),
        &unchecked(),
        &|_| (),
    );
    let error = image.err().ok_or("there is nothing in it")?;
    assert_eq!(error.to_string(), "an image needs at least one package");
    Ok(())
}
