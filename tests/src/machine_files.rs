//! Files as packages have them: programs and libraries of this machine, and small files between them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::Random;

/// Bytes of a file at most.
const LARGEST: u64 = 8_000_000;

/// Fills `place` with `objects` directories `part-<number>` of about `bytes` bytes together, and returns the sum of the sizes. What this machine does not have is
/// made up by taking its files once more with another beginning.
pub fn machine_files(place: &Path, objects: usize, bytes: u64) -> io::Result<u64> {
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
    for (number, file) in files.iter().cycle().enumerate() {
        if sum >= bytes {
            break;
        }
        let round = number / files.len();
        if fs::metadata(file).map_or(0, |metadata| metadata.len()) > LARGEST {
            continue;
        }
        let object = place.join(format!("part-{}", number % objects));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        fs::create_dir_all(&object)?;
        // Without its mode: a store has no setuid programs.
        let Ok(mut contents) = fs::read(file) else {
            continue;
        };
        if round > 0 {
            contents.splice(..0, format!("{round}\n").into_bytes());
        }
        sum += contents.len() as u64;
        fs::write(object.join(format!("{number}-{name}")), contents)?;
    }
    Ok(sum)
}

fn hash_of_name(path: &Path) -> u64 {
    let mut random = Random::new(path.as_os_str().len() as u64);
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
