//! What sources say, kept between builds: a pure function of a source and of the rules by which it is read.
//!
//! A file for each archive, named for its store path and the rules. All of it can be made again, so what cannot be read is as good as what is not there, and
//! what was not used for longest goes when there is too much.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use store::{LocalStore, StorePath};

use super::source::SourceScan;

/// The version of the rules. Whoever changes what is found in a source raises it.
const RULES: u32 = 5;
/// The least size of an archive of which it is worth while: reading a smaller one takes less than reading what was kept.
const MIN_BYTES: u64 = 256 << 10;
/// How many files are kept; each takes some ten kilobytes.
const MAX_FILES: usize = 4096;
/// What one file may hold.
const MAX_BYTES: u64 = 512 << 20;
const LEVEL: i32 = 3;

/// Returns what the archive at `path` says, from what was kept or by `scan`.
pub(super) fn kept<E>(
    store: &LocalStore,
    path: &StorePath,
    scan: impl FnOnce() -> Result<SourceScan, E>,
) -> Result<SourceScan, E> {
    let archive = fs::symlink_metadata(store.real_path(path));
    if !archive.is_ok_and(|archive| archive.is_file() && archive.len() >= MIN_BYTES) {
        return scan();
    }
    let directory = store.facts_dir();
    let place = directory.join(format!("{path}.{RULES}"));
    if let Some(known) = read(&place) {
        return Ok(known);
    }
    let found = scan()?;
    // Whoever cannot keep it makes it again.
    let _kept: io::Result<()> = write(store, &directory, &place, &found);
    Ok(found)
}

fn read(place: &Path) -> Option<SourceScan> {
    let file = fs::File::open(place).ok()?;
    let mut text = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(file).ok()?;
    decoder.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes it so that whoever reads it finds all of it or nothing.
fn write(store: &LocalStore, directory: &Path, place: &Path, scan: &SourceScan) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    make_room(directory)?;
    // Other users of the store may read it as well.
    let mode = fs::Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .permissions(mode)
        .tempfile_in(store.tmp_dir())?;
    let text = serde_json::to_vec(scan)?;
    file.write_all(&zstd::bulk::compress(&text, LEVEL)?)?;
    file.persist(place).map_err(|error| error.error)?;
    Ok(())
}

/// Removes the older half when there are too many files.
fn make_room(directory: &Path) -> io::Result<()> {
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    if files.len() < MAX_FILES {
        return Ok(());
    }
    files.sort_unstable();
    files.truncate(MAX_FILES / 2);
    for (_, path) in files {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Bytes in JSON, which has text only.
pub(super) mod as_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::facts) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in crate::facts) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use store::testing::TempStore;
    use store::{AddBatch, AddObject, AddSource};

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn an_archive_is_read_once_until_what_was_kept_is_damaged() -> TestResult {
        let store = TempStore::new();
        let bytes = vec![7; usize::try_from(MIN_BYTES)?];
        let source = AddSource::Bytes {
            bytes: bytes.into(),
            executable: false,
        };
        let batch = AddBatch {
            objects: vec![AddObject::new("a.tar".parse()?, source)],
            ..AddBatch::default()
        };
        let added = store.add(batch)?;
        let path = &added.first().ok_or("one was added")?.path;
        let found = SourceScan {
            files: 3,
            ..SourceScan::default()
        };
        let mut scans = 0;
        let mut look = || {
            kept(&store, path, || {
                scans += 1;
                Ok::<_, Infallible>(found.clone())
            })
        };
        assert_eq!((look()?, look()?), (found.clone(), found.clone()));
        let place = store.facts_dir().join(format!("{path}.{RULES}"));
        fs::write(place, "damaged")?;
        assert_eq!((look()?, look()?), (found.clone(), found.clone()));
        assert_eq!(scans, 2);
        Ok(())
    }
}
