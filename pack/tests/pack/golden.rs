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
    "archive 1 gzip 0757ffd8dc362b2d",
    "archive 1 zstd cb2ed3489f0ccb84",
    "archive 1 none 339b82cdb474ba3c",
    "docker-archive 1 gzip 0757ffd8dc362b2d",
    "docker-archive 1 zstd cb2ed3489f0ccb84",
    "docker-archive 1 none 339b82cdb474ba3c",
    "oci 1 gzip fd13e04c13b7a9d4",
    "oci 1 zstd ccd5decc6fd39be2",
    "oci 1 none 2779cd09449ad447",
    "tar 1 gzip cf3a2e6d1d675bfb",
    "tar 1 zstd cf3a2e6d1d675bfb",
    "tar 1 none cf3a2e6d1d675bfb",
    "dir 1 gzip 4cf155f740e22c01",
    "dir 1 zstd 4cf155f740e22c01",
    "dir 1 none 4cf155f740e22c01",
    "bundle 1 gzip 543c27dad9075368",
    "bundle 1 zstd 543c27dad9075368",
    "bundle 1 none 543c27dad9075368",
    "squashfs 1 gzip d118e16272dd946f",
    "squashfs 1 zstd 201c040991788fb2",
    "squashfs 1 none 230de19c23d98747",
    "run 3 gzip 4813e04abee64046",
    "run 3 zstd 4da0cacbc131c9ba",
    "run 3 none a2525d2ec1d11659",
    "initramfs 1 gzip 2ff849d25191fd73",
    "initramfs 1 zstd 8d6e50bf02b1d2dd",
    "initramfs 1 none e2f7dbb6fdc51f85",
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
    assert_eq!(FORMAT_VERSION, 3, "a new version needs new digests");
    assert_eq!(pack(1)?, GOLDEN);
    Ok(())
}

#[test]
fn a_store_at_another_place_and_more_threads_give_the_same_in_every_format() -> TestResult {
    assert_eq!(pack(5)?, GOLDEN);
    Ok(())
}
