//! Writes files of the store to disk at times that the store did not choose, as the kernel may do with any file at any moment.
//!
//! Without it the kernel keeps most of what a short workload writes in memory until the store asks for it, and states in which a later write is on the
//! disk before an earlier one hardly come up.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use store::faults::observe;

use tests::Random;

/// The operations whose order matters most: names and transactions. The others are many.
const TURNING_POINTS: &[&str] = &[
    "rename",
    "link",
    "unlink",
    "rmdir",
    "fsync",
    "syncfs",
    "db.open",
    "db.begin",
    "db.commit",
    "db.checkpoint",
];

/// SQLite's locks on these end when the process closes any descriptor of them.
const LOCKED: &[&str] = &["db.sqlite", "db.sqlite-shm"];

/// Which files are synced, until the next transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The database's log: transactions become lasting that the store did not ask to, before all else does.
    Log,
    /// Everything but that: all else becomes lasting, and transactions are lost.
    Others,
    Any,
}

struct Stirrer {
    root: PathBuf,
    random: Random,
    choice: Choice,
}

/// Does `work` and syncs random files and directories below `root` between random operations of the store.
pub(crate) fn stirred<T>(root: &Path, seed: u64, work: impl FnOnce() -> T) -> T {
    let stirrer = Mutex::new(Stirrer {
        root: root.to_owned(),
        random: Random::new(seed),
        choice: Choice::Any,
    });
    observe(Some(Arc::new(move |operation| {
        let mut stirrer = stirrer.lock().unwrap_or_else(PoisonError::into_inner);
        stirrer.before(operation);
    })));
    let done = work();
    observe(None);
    done
}

impl Stirrer {
    fn before(&mut self, operation: &str) {
        if operation == "db.begin" {
            self.choice = [Choice::Log, Choice::Others, Choice::Any][self.random.below(3)];
        }
        let one_in = if TURNING_POINTS.contains(&operation) {
            2
        } else {
            40
        };
        if self.random.below(one_in) == 0 {
            // It need not be there, or not any more.
            let _synced = File::open(self.choose()).and_then(|file| file.sync_data());
        }
    }

    fn choose(&mut self) -> PathBuf {
        let log = self.root.join("var/db.sqlite-wal");
        if self.choice == Choice::Log {
            return log;
        }
        let mut paths = Vec::new();
        list(&self.root, &mut paths);
        if self.choice == Choice::Others {
            paths.retain(|path| *path != log);
        }
        let chosen = self.random.below(paths.len());
        paths.swap_remove(chosen)
    }
}

/// A directory and all below it, as far as it can be listed while it changes; links are not files.
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
            Ok(kind) if kind.is_file() && !LOCKED.iter().any(|name| entry.file_name() == *name) => {
                paths.push(entry.path());
            }
            _ => {}
        }
    }
}
