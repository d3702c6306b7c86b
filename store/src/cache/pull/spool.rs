//! Frames of a pull that takes long, kept for the case that it does not end.
//!
//! `var/tmp/pull/<name>`: for each frame the BLAKE3 of what it holds, its length and the length of what it holds (u32 each, little-endian), and the frame. Written as frames come, locked by
//! the process that writes, and gone with the pull when that succeeds. The next pull reads what processes left that have ended; each frame is checked again as
//! if a cache had sent it. Nothing depends on it: what cannot be kept is fetched again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::caches::lock;
use crate::{
    BlobId, LocalStore,
    cache::format::{Frame, MAX_FRAME},
    sys::{
        FileError,
        change::{make_directories, remove_file, write_all},
        lock::{Lock, try_lock_file},
    },
};

/// Bytes before each frame.
const HEADER: usize = 32 + 4 + 4;
/// Frames that nobody wanted for so long are thrown away.
const MAX_AGE_SECONDS: u64 = 7 * 24 * 3600;

/// What earlier pulls left, and what this one leaves.
#[derive(Debug)]
pub(super) struct Spool {
    directory: PathBuf,
    name: String,
    own: Mutex<Own>,
    left: Vec<(PathBuf, Lock)>,
    frames: BTreeMap<BlobId, Kept>,
}

#[derive(Debug)]
enum Own {
    None,
    Open(Lock),
    /// It could not be written.
    Broken,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    file: usize,
    offset: u64,
    compressed_length: u32,
    length: u32,
}

impl Spool {
    /// Looks for what earlier pulls left.
    pub(super) fn open(store: &LocalStore, now: u64) -> Self {
        let mut spool = Self {
            directory: store.tmp_dir().join("pull"),
            name: store.next_name(),
            own: Mutex::new(Own::None),
            left: Vec::new(),
            frames: BTreeMap::new(),
        };
        let Ok(entries) = std::fs::read_dir(&spool.directory) else {
            return spool;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if let Ok(Some(file)) = try_lock_file(&path) {
                spool.adopt(path, file, now);
            }
        }
        spool
    }

    fn adopt(&mut self, path: PathBuf, file: Lock, now: u64) {
        if age(&file, now) > MAX_AGE_SECONDS {
            remove(&path);
            return;
        }
        let number = self.left.len();
        // A file that ends within a frame was being written when its process ended.
        let _ended: Option<()> = index(&file, |content, kept| {
            self.frames.insert(
                content,
                Kept {
                    file: number,
                    ..kept
                },
            );
        });
        self.left.push((path, file));
    }

    /// Returns the bytes of a frame that holds the same as this one, with what it is; unchecked.
    pub(super) fn find(&self, frame: &Frame) -> Option<(Frame, Vec<u8>)> {
        let kept = self.frames.get(&frame.content)?;
        if kept.length != frame.length {
            return None;
        }
        let (_, file) = self.left.get(kept.file)?;
        let mut bytes = vec![0; kept.compressed_length as usize];
        file.read_exact_at(&mut bytes, kept.offset).ok()?;
        let frame = Frame {
            compressed_length: kept.compressed_length,
            ..*frame
        };
        Some((frame, bytes))
    }

    /// Keeps a frame of which all that was wanted was right. Who finds it checks it.
    pub(super) fn keep(&self, frame: &Frame, bytes: &[u8]) {
        let mut own = lock(&self.own);
        if matches!(*own, Own::None) {
            *own = self.create().map_or(Own::Broken, Own::Open);
        }
        let Own::Open(file) = &*own else {
            return;
        };
        let mut entry = Vec::with_capacity(HEADER + bytes.len());
        entry.extend_from_slice(frame.content.as_bytes());
        entry.extend_from_slice(&frame.compressed_length.to_le_bytes());
        entry.extend_from_slice(&frame.length.to_le_bytes());
        entry.extend_from_slice(bytes);
        if write_all(file, &entry).is_err() {
            *own = Own::Broken;
        }
    }

    fn create(&self) -> Option<Lock> {
        make_directories(&self.directory, 0o755).ok()?;
        try_lock_file(&self.directory.join(&self.name)).ok()?
    }

    /// Throws away what is here: everything that was wanted is valid.
    pub(super) fn clear(self) {
        for (path, _file) in &self.left {
            remove(path);
        }
        if !matches!(*lock(&self.own), Own::None) {
            remove(&self.directory.join(&self.name));
        }
    }
}

fn remove(path: &Path) {
    // What stays is found by the next pull, which removes it when it is old.
    let _removed: Result<(), FileError> = remove_file(path);
}

/// How many seconds ago a file was written.
fn age(file: &File, now: u64) -> u64 {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let modified = modified.ok().and_then(|time| {
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    });
    now.saturating_sub(modified.unwrap_or(now))
}

/// Tells of each frame in a file; `None` when the file does not end with one.
fn index(file: &File, mut found: impl FnMut(BlobId, Kept)) -> Option<()> {
    let end = file.metadata().ok()?.len();
    let mut reader = BufReader::new(file);
    let mut offset = 0;
    while offset < end {
        let mut header = [0; HEADER];
        reader.read_exact(&mut header).ok()?;
        let (content, lengths) = header.split_first_chunk::<32>()?;
        let (compressed, length) = lengths.split_first_chunk::<4>()?;
        let compressed_length = u32::from_le_bytes(*compressed);
        let length = u32::from_le_bytes(length.try_into().ok()?);
        offset += HEADER as u64;
        let next = offset + u64::from(compressed_length);
        // Twice what a frame holds is more than any frame has.
        if next > end || length as usize > MAX_FRAME || compressed_length as usize > 2 * MAX_FRAME {
            return None;
        }
        let kept = Kept {
            file: 0,
            offset,
            compressed_length,
            length,
        };
        found(BlobId::from_bytes(*content), kept);
        reader.seek_relative(i64::from(compressed_length)).ok()?;
        offset = next;
    }
    reader.seek(SeekFrom::Start(0)).ok()?;
    Some(())
}
