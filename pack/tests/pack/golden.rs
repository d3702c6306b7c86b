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
    "archive 1 gzip 4dcfa9d8df46ef6e",
    "archive 1 zstd f664230ca201ad84",
    "archive 1 none e18111e266cf1067",
    "docker-archive 1 gzip 4dcfa9d8df46ef6e",
    "docker-archive 1 zstd f664230ca201ad84",
    "docker-archive 1 none e18111e266cf1067",
    "oci 1 gzip 003ae836ace976ba",
    "oci 1 zstd 6a50ef07472e9e5a",
    "oci 1 none 483e6c469962409a",
    "tar 1 gzip 80bd4ed77dfc41ed",
    "tar 1 zstd 80bd4ed77dfc41ed",
    "tar 1 none 80bd4ed77dfc41ed",
    "dir 1 gzip fa77394750cca469",
    "dir 1 zstd fa77394750cca469",
    "dir 1 none fa77394750cca469",
    "bundle 1 gzip 43cd30e50990b5ba",
    "bundle 1 zstd 43cd30e50990b5ba",
    "bundle 1 none 43cd30e50990b5ba",
    "squashfs 1 gzip f7fc8ec5979236bb",
    "squashfs 1 zstd 156ff2f5a12b799a",
    "squashfs 1 none 19dc23d1ebaee9eb",
    "run 3 gzip 576a1d5c6a27af9f",
    "run 3 zstd 384d440562f29408",
    "run 3 none a284dd599b5129a6",
    "initramfs 1 gzip 11a2a92f078af70a",
    "initramfs 1 zstd cae1e7680aa2ee19",
    "initramfs 1 none bb35a75782b4be44",
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
    assert_eq!(FORMAT_VERSION, 4, "a new version needs new digests");
    assert_eq!(pack(1)?, GOLDEN);
    Ok(())
}

#[test]
fn a_store_at_another_place_and_more_threads_give_the_same_in_every_format() -> TestResult {
    assert_eq!(pack(5)?, GOLDEN);
    Ok(())
}
