//! The database of a store that cannot be written.
//!
//! SQLite reads a database with a log (`-wal`) only with the index of the log (`-shm`), which it makes beside it. Where it cannot, there are
//! three cases. *The log and its index are there*, because somebody else has the database open for writing or died over it: SQLite reads both. *Neither
//! is there*: then the file holds everything, and is read as if it never changed (`immutable`). It does change if somebody who can write comes
//! later, so whoever reads asks before and after whether it is still the same file, see [`Database::is_outdated`]. *The log is there without its index*:
//! what the log says cannot be read, and what the file says without it may be old, so that is an error.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{DbError, connection::Database, migrations};
use crate::sys::fault;

/// What a file was like when it began to be read as one that does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frozen {
    path: PathBuf,
    stamp: Stamp,
}

/// Inode, size, and times of modification and change, whole seconds and nanoseconds; `None` once there is a log.
type Stamp = Option<(u64, u64, (i64, i64), (i64, i64))>;

impl Database {
    /// Opens the database without writing anything.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, DbError> {
        let open = DbError::open(path);
        fault::point("db.open").map_err(|errno| open(super::connection::refused(errno)))?;
        let stamp = stamp(path).map_err(|source| DbError::Read {
            path: path.to_owned(),
            source,
        })?;
        if stamp.is_none() && !beside(path, "-shm").exists() {
            return Err(DbError::UnreadableLog {
                path: path.to_owned(),
            });
        }
        let uri = uri(path, stamp.is_some());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags).map_err(open)?;
        let frozen = stamp.map(|stamp| Frozen {
            path: path.to_owned(),
            stamp: Some(stamp),
        });
        let database = Self::of(connection, frozen)?;
        migrations::check(database.connection(), path)?;
        Ok(database)
    }

    /// Tells whether somebody who can write has changed the file, so that it must be opened again, and what was read of it lately may be wrong.
    ///
    /// Never for a database that is open for writing, nor for one that is read with its log.
    pub(crate) fn is_outdated(&self) -> bool {
        self.frozen()
            .is_some_and(|frozen| stamp(&frozen.path).ok() != Some(frozen.stamp))
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    // Before the look at the file: a writer makes the log first.
    match fs::metadata(beside(path, "-wal")) {
        Ok(log) if log.len() > 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = fs::metadata(path)?;
    Ok(Some((
        file.ino(),
        file.len(),
        (file.mtime(), file.mtime_nsec()),
        (file.ctime(), file.ctime_nsec()),
    )))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The file as SQLite's URI; every byte that could mean something else is escaped.
fn uri(path: &Path, immutable: bool) -> String {
    let escaped = path.as_os_str().as_bytes().iter().map(|byte| match byte {
        b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
            char::from(*byte).to_string()
        }
        byte => format!("%{byte:02x}"),
    });
    let mode = if immutable { "ro&immutable=1" } else { "ro" };
    format!("file:{}?mode={mode}", escaped.collect::<String>())
}
