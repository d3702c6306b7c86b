//! The file `var/reserve`: allocated bytes that are given up when nothing else is left, so that deleting can begin.
//!
//! SQLite needs room for its log and its index even to read, a collector for its locks. Made when there is plenty of room, given up by a collector before it
//! begins and by whoever cannot open the store for want of room, made again when there is plenty.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::errno::Errno;

use super::Free;
use crate::sys::{
    FileError,
    change::{allocate, remove_file},
    fault,
    files::at,
};

/// The smallest reserve that is worth having: the log of a large deletion.
const SMALLEST: u64 = 8 << 20;
/// The largest that is ever needed.
const LARGEST: u64 = 64 << 20;
/// The reserve is this part of what is free at most.
const PART: u64 = 16;

/// Makes the reserve of a store unless it is there or there is little room.
pub(crate) fn keep(root: &Path) -> Result<(), FileError> {
    let path = path(root);
    fault::point("inspect").map_err(at("inspect", &path))?;
    if std::fs::metadata(&path).is_ok_and(|file| file.blocks() * 512 >= SMALLEST) {
        return Ok(());
    }
    let directory = root.join("var");
    let var = File::open(&directory).map_err(at("open", &directory))?;
    let free = Free::of(&var).map_err(at("measure", &directory))?;
    let bytes = LARGEST.min(free.bytes / PART);
    if bytes < SMALLEST {
        return Ok(());
    }
    fault::point("create").map_err(at("create", &path))?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(at("create", &path))?;
    match allocate(&file, bytes) {
        Ok(()) => Ok(()),
        // A part of a reserve is no use, and a file system that cannot promise room has none.
        Err(Errno::ENOSPC | Errno::EDQUOT | Errno::EOPNOTSUPP) => remove_file(&path),
        Err(error) => {
            let _removed: Result<(), FileError> = remove_file(&path);
            Err(at("allocate", &path)(error))
        }
    }
}

/// Gives the reserve up. Tells whether there was one.
pub(crate) fn release(root: &Path) -> Result<bool, FileError> {
    match remove_file(&path(root)) {
        Ok(()) => Ok(true),
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("var/reserve")
}
