//! What every format holds, to the byte: a change of it needs another version of the format.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    num::NonZero,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use pack::{Compression, FileSpec, Format, ImageSpec, PackOptions, layer::FORMAT_VERSION};

use crate::{
    fixture::{Fixture, TestResult},
    start::startable,
};

/// In an image for the user who packs it, it says who that is.
const OF_THE_CALLER: &str = "config.json";

/// The digest of a file, or of all that a directory has: names, modes, targets and contents.
fn digest(place: &Path) -> Result<String, Box<dyn Error>> {
    if place.is_file() {
        return Ok(blake3::hash(&fs::read(place)?).to_hex().to_string());
    }
    let mut hasher = blake3::Hasher::new();
    let mut pending = vec![place.to_path_buf()];
    let mut entries = BTreeMap::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let found = path.symlink_metadata()?;
            let contents = if found.is_dir() {
                pending.push(path.clone());
                Vec::new()
            } else if found.is_symlink() {
                fs::read_link(&path)?.as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&path)?
            };
            let name = path.strip_prefix(place)?.as_os_str().as_bytes().to_vec();
            entries.insert(name, (found.mode(), contents));
        }
    }
    entries.remove(OF_THE_CALLER.as_bytes());
    for (name, (mode, contents)) in &entries {
        for bytes in [name, contents] {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        hasher.update(&mode.to_le_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

const GOLDEN: [&str; 27] = [
    "archive 1 gzip 8e003a9b5e942e96",
    "archive 1 zstd e4fb4b096bc04a5c",
    "archive 1 none 3bfad4ae8bb56f17",
    "docker-archive 1 gzip 8e003a9b5e942e96",
    "docker-archive 1 zstd e4fb4b096bc04a5c",
    "docker-archive 1 none 3bfad4ae8bb56f17",
    "oci 1 gzip 15d0f43900460d0c",
    "oci 1 zstd 2eabc03fb2dee259",
    "oci 1 none afc1be771b79e459",
    "tar 1 gzip b7a11140bcd6234c",
    "tar 1 zstd b7a11140bcd6234c",
    "tar 1 none b7a11140bcd6234c",
    "dir 1 gzip 0bf3e721d7000aae",
    "dir 1 zstd 0bf3e721d7000aae",
    "dir 1 none 0bf3e721d7000aae",
    "bundle 1 gzip 2bc13a155eea2f44",
    "bundle 1 zstd 2bc13a155eea2f44",
    "bundle 1 none 2bc13a155eea2f44",
    "squashfs 1 gzip c239c8e8365980a7",
    "squashfs 1 zstd 633f576cbe21e2a4",
    "squashfs 1 none 0ab9dce41616fad2",
    "run 3 gzip 5bc3e72cfe5f33bc",
    "run 3 zstd 3c31e747fdc2561f",
    "run 3 none 64ecae7df4c2b8ee",
    "initramfs 1 gzip f34729b7b6fc53e4",
    "initramfs 1 zstd 1dcb436d99437322",
    "initramfs 1 none 447f1f53f0d1a72b",
];

/// An image that says something about everything that outputs are made of.
fn spec(fixture: &Fixture) -> Result<ImageSpec, Box<dyn Error>> {
    let mut spec = fixture.spec();
    spec.cmd = vec!["it's".to_owned(), "two words".to_owned()];
    spec.env
        .insert("GREETING".to_owned(), "a \"$b\"".to_owned());
    spec.working_directory = Some("/srv/work".to_owned());
    spec.volumes.insert("/var/lib/data".to_owned());
    spec.ports.insert("8080".parse()?);
    let file = FileSpec {
        contents: b"own\n".to_vec(),
        executable: true,
    };
    spec.files.insert("/opt/own".to_owned(), file);
    Ok(spec)
}

const FORMATS: [Format; 9] = [
    Format::Archive,
    Format::DockerArchive,
    Format::Oci,
    Format::Tar,
    Format::Directory,
    Format::Bundle,
    Format::Squashfs,
    Format::Run,
    Format::Initramfs,
];

/// Packs the same in every format and compression, in a store of its own: format, version, compression, and the beginning of the digest.
fn pack(threads: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let (fixture, app) = startable()?;
    let spec = spec(&fixture)?;
    let mut packed = Vec::new();
    for format in FORMATS {
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            let options = PackOptions {
                compression,
                threads: NonZero::new(threads),
                ..PackOptions::default()
            };
            let place = fixture.place(&format!("{format}-{compression}"));
            let roots = [&app, &fixture.certificates];
            let written = fixture.pack(&roots, &spec, &options, format, &place)?;
            assert!(!written.unchanged);
            let again = fixture.pack(&roots, &spec, &options, format, &place)?;
            assert!(again.unchanged, "{format}");
            let version = format.version();
            let digest = digest(&place)?;
            packed.push(format!(
                "{format} {version} {compression} {}",
                &digest[..16]
            ));
        }
    }
    Ok(packed)
}

/// The bytes of all formats are a contract: a change here is a change of what the same command gives, and comes with another version of the format.
#[test]
fn golden_digests_hold_for_the_version_of_each_format() -> TestResult {
    assert_eq!(FORMAT_VERSION, 5, "a new version needs new digests");
    assert_eq!(pack(1)?, GOLDEN);
    Ok(())
}

#[test]
fn a_store_at_another_place_and_more_threads_give_the_same_in_every_format() -> TestResult {
    assert_eq!(pack(5)?, GOLDEN);
    Ok(())
}
