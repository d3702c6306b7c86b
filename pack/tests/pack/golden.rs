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
    "archive 1 gzip 5cb4905ed4fbf097",
    "archive 1 zstd df822514e2226aa3",
    "archive 1 none c0768c4073d3b9a8",
    "docker-archive 1 gzip 5cb4905ed4fbf097",
    "docker-archive 1 zstd df822514e2226aa3",
    "docker-archive 1 none c0768c4073d3b9a8",
    "oci 1 gzip 75964b809d5f8772",
    "oci 1 zstd 2db45ebaaf624f72",
    "oci 1 none 7064a0785688690c",
    "tar 1 gzip 1c3962496ebc0bbc",
    "tar 1 zstd 1c3962496ebc0bbc",
    "tar 1 none 1c3962496ebc0bbc",
    "dir 1 gzip 1b127ff062c1eb11",
    "dir 1 zstd 1b127ff062c1eb11",
    "dir 1 none 1b127ff062c1eb11",
    "bundle 1 gzip 17829d79405fbf01",
    "bundle 1 zstd 17829d79405fbf01",
    "bundle 1 none 17829d79405fbf01",
    "squashfs 1 gzip 41e21a07a1f55c22",
    "squashfs 1 zstd af8209fdaaca7c5b",
    "squashfs 1 none df12a3e07584d5c0",
    "run 3 gzip cde6d13dabd7b8a8",
    "run 3 zstd 0b92380220769f4e",
    "run 3 none 1965c06f715ee323",
    "initramfs 1 gzip 18d243d7786b203b",
    "initramfs 1 zstd 1fa542fc4a2d2342",
    "initramfs 1 none 4f0b3085b31acff8",
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
    assert_eq!(FORMAT_VERSION, 6, "a new version needs new digests");
    assert_eq!(pack(1)?, GOLDEN);
    Ok(())
}

#[test]
fn a_store_at_another_place_and_more_threads_give_the_same_in_every_format() -> TestResult {
    assert_eq!(pack(5)?, GOLDEN);
    Ok(())
}
