//! Writes files of the store to disk at times that the store did not choose, as the kernel may do with any file at any moment.
//!
//! Without it the kernel keeps most of what a short workload writes in memory until the store asks for it, and states in which a later write is on the
//! disk before an earlier one hardly come up.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::random::Random;

/// Does `work` while another thread syncs random files and directories below `root`.
pub(crate) fn stirred<T>(root: &Path, seed: u64, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(seed);
            while !done.load(Ordering::Relaxed) {
                let mut paths = Vec::new();
                list(root, &mut paths);
                for _ in 0..8 {
                    if let Some(path) = paths.get(random.below(paths.len().max(1))) {
                        // It may be gone by now.
                        let _synced = File::open(path).and_then(|file| file.sync_data());
                    }
                }
            }
        });
        // Also when the work panics: the scope waits for the thread.
        let _stop = Stop(&done);
        work()
    })
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Everything below a directory, as far as it can be listed while it changes; links are not files.
fn list(directory: &Path, paths: &mut Vec<PathBuf>) {
    paths.push(directory.to_owned());
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(&entry.path(), paths),
            Ok(kind) if kind.is_file() => paths.push(entry.path()),
            _ => {}
        }
    }
}
