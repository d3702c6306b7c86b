//! Files as packages have them: programs and libraries of this machine, and small files between them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{BYTES, OBJECTS};

/// Fills `place` with a directory for each object, and returns the sum of the sizes.
pub(crate) fn make(place: &Path) -> u64 {
    let mut files: Vec<PathBuf> = [
        "/usr/bin",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/share/perl5",
        "/usr/share/doc",
    ]
    .iter()
    .flat_map(|directory| list(Path::new(directory)))
    .collect();
    // Large and small ones mixed, the same each time.
    files.sort_by_key(|path| hash_of_name(path));
    let mut sum = 0;
    for (number, file) in files.iter().enumerate() {
        let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
        if sum >= BYTES || size > 8_000_000 {
            continue;
        }
        let object = place.join(format!("part-{}", number % OBJECTS));
        let target = object.join(format!(
            "{number}-{}",
            file.file_name().unwrap().to_string_lossy()
        ));
        fs::create_dir_all(&object).unwrap();
        // Without its mode: a store has no setuid programs.
        if let Ok(bytes) = fs::read(file) {
            fs::write(target, bytes).unwrap();
            sum += size;
        }
    }
    sum
}

fn hash_of_name(path: &Path) -> u64 {
    let mut random = tests::Random::new(path.as_os_str().len() as u64);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().fold(random.next(), |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(list(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}
