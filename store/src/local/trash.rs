//! Where objects lie between losing their validity and losing their bytes.
//!
//! A collector has a directory of its own below `.trash`, `collector.<name>`, locked for its life. It moves objects there inside the transaction that removes their rows, and unlinks them
//! after the commit. So an object in such a directory whose row still says that it is being deleted is whole: its collector died before the commit.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
};

use nix::{errno::Errno, fcntl::FlockArg};

use super::{LocalStore, record, staging::Staging};
use crate::{
    db::{Database, DbError, Tombstone},
    id::StorePath,
    sys::{
        FileError,
        change::{rename_new, sync_file_system, unlink_at},
        files::{
            at, is_present_at, list, open_directory_at, os, remove_at, seal_directory, unseal,
        },
        lock::{Lock, try_lock_as},
    },
};

/// What the names of collectors' directories begin with. All else below `.trash` is one object that somebody is removing or was.
const COLLECTOR: &str = "collector.";

/// Trash that nobody living sees to.
#[derive(Debug, Default)]
pub(super) struct DeadTrash {
    names: Vec<OsString>,
    /// Of collectors' directories; nobody else sees to them while this value lives.
    locks: Vec<Lock>,
}

impl DeadTrash {
    /// Tells whether there is any of a collector that died.
    pub(super) fn has_collectors(&self) -> bool {
        !self.locks.is_empty()
    }
}

impl LocalStore {
    /// Makes a directory for one collector's trash.
    pub(crate) fn create_trash(&self) -> Result<Staging<'_>, FileError> {
        let next_name = || format!("{COLLECTOR}{}", self.next_name());
        Staging::create(self.trash_fd(), &self.trash_directory(), &next_name)
    }

    /// Moves what lies at an object's place away. Tells whether there was anything.
    pub(crate) fn move_away(
        &self,
        path: &StorePath,
        trash: BorrowedFd<'_>,
        name: &str,
    ) -> Result<bool, FileError> {
        let own = path.to_string();
        let (own, name) = (os(own.as_bytes()), os(name.as_bytes()));
        let failed = || at("remove", self.real_path(path));
        let rename = || rename_new(self.store_fd(), own, trash, name);
        match rename() {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            // An ordinary user may rename a directory to another parent only while it is writable.
            Err(Errno::EACCES) => {
                unseal(self.store_fd(), own).map_err(failed())?;
                rename().map(|()| true).map_err(failed())
            }
            Err(error) => Err(failed()(error)),
        }
    }

    /// Removes rows and records of objects that are being deleted, and moves their bytes into `trash`: all or none, in one transaction. Returns what was
    /// removed, which is not what has become valid again meanwhile.
    ///
    /// `objects` must begin with what nothing refers to.
    pub(crate) fn remove_tombstones<E: From<DbError> + From<FileError>>(
        &self,
        database: &mut Database,
        trash: BorrowedFd<'_>,
        objects: &[Tombstone],
    ) -> Result<Vec<StorePath>, E> {
        let mut removed = Vec::with_capacity(objects.len());
        let write = database.begin(&|| self.tell_waiting())?;
        for object in objects {
            if !write.remove_tombstone(object.id, object.path.digest())? {
                continue;
            }
            // While the transaction is open nobody can make the object valid, so nobody puts it back.
            self.move_away(&object.path, trash, &object.path.to_string())?;
            self.move_records_away(&object.path, trash)?;
            removed.push(object.path.clone());
        }
        write.commit()?;
        Ok(removed)
    }

    fn move_records_away(&self, path: &StorePath, trash: BorrowedFd<'_>) -> Result<(), FileError> {
        let failed = || at("remove the record of", self.real_path(path));
        for (record, trashed) in records(path) {
            let record = os(record.as_bytes());
            match rename_new(self.meta_fd(), record, trash, os(trashed.as_bytes())) {
                Ok(()) | Err(Errno::ENOENT) => {}
                // Records lie on another file system. Without one the object will not come back, which costs time and no more.
                Err(Errno::EXDEV) => match unlink_at(self.meta_fd(), record) {
                    Ok(()) | Err(Errno::ENOENT) => {}
                    Err(error) => return Err(failed()(error)),
                },
                Err(error) => return Err(failed()(error)),
            }
        }
        Ok(())
    }

    /// Removes an object and its records from a collector's trash.
    pub(crate) fn remove_trashed(
        &self,
        trash: BorrowedFd<'_>,
        path: &StorePath,
    ) -> Result<(), FileError> {
        let records = records(path).map(|(_, trashed)| trashed);
        for name in records.into_iter().chain([path.to_string()]) {
            remove_at(trash, os(name.as_bytes())).map_err(at("remove", self.real_path(path)))?;
        }
        Ok(())
    }

    /// Sees to it that an object that is being deleted and its record lie at their places. Tells whether they do.
    ///
    /// Only inside a transaction in which its row says that it is being deleted.
    pub(super) fn take_back(&self, path: &StorePath) -> Result<bool, FileError> {
        let own = path.to_string();
        let own = os(own.as_bytes());
        let failed = || at("restore", self.real_path(path));
        let mut is_here = is_present_at(self.store_fd(), own).map_err(failed())?;
        if !is_here || !record::is_recorded(self.meta_fd(), path.digest()).map_err(failed())? {
            is_here = self.find_in_trash(path).map_err(failed())?;
        }
        if !is_here {
            return Ok(false);
        }
        // Moving it may have needed a directory to be writable.
        match open_directory_at(self.store_fd(), own) {
            Ok(directory) => seal_directory(directory).map_err(failed())?,
            Err(Errno::ENOTDIR | Errno::ELOOP) => {}
            Err(error) => return Err(failed()(error)),
        }
        Ok(true)
    }

    /// Moves an object and its record back from the trash. Tells whether both are in place then.
    fn find_in_trash(&self, path: &StorePath) -> nix::Result<bool> {
        let own = path.to_string();
        let own = os(own.as_bytes());
        for (name, _) in list(self.trash_fd())? {
            if !is_collector(&name) {
                continue;
            }
            let trash = match open_directory_at(self.trash_fd(), &name) {
                Ok(trash) => trash,
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(error),
            };
            take_from(trash.as_fd(), own, self.store_fd(), own)?;
            for (record, trashed) in records(path) {
                take_from(
                    trash.as_fd(),
                    os(trashed.as_bytes()),
                    self.meta_fd(),
                    os(record.as_bytes()),
                )?;
            }
        }
        Ok(is_present_at(self.store_fd(), own)?
            && record::is_recorded(self.meta_fd(), path.digest())?)
    }

    /// Tells whether a collector died whose trash nobody sees to.
    ///
    /// The lock that tells is shared, so nobody who only looks hides a dead collector from another.
    pub(super) fn has_dead_collectors(&self) -> Result<bool, FileError> {
        let dead = self.lock_collectors(FlockArg::LockSharedNonblock)?;
        Ok(!dead.is_empty())
    }

    /// Returns the trash that is no collector's.
    pub(super) fn find_loose_trash(&self) -> Result<DeadTrash, FileError> {
        let names = list(self.trash_fd()).map_err(at("list", self.trash_directory()))?;
        let names = names.into_iter().map(|(name, _)| name);
        Ok(DeadTrash {
            names: names.filter(|name| !is_collector(name)).collect(),
            locks: Vec::new(),
        })
    }

    /// Takes over the trash of collectors that died. Who calls this holds the publish lock.
    pub(super) fn take_over_collectors(&self, trash: &mut DeadTrash) -> Result<(), FileError> {
        for (name, lock) in self.lock_collectors(FlockArg::LockExclusiveNonblock)? {
            trash.names.push(name);
            trash.locks.push(lock);
        }
        Ok(())
    }

    /// Locks the directories of collectors that nobody has locked.
    fn lock_collectors(&self, kind: FlockArg) -> Result<Vec<(OsString, Lock)>, FileError> {
        let path = self.trash_directory();
        let mut locked = Vec::new();
        for (name, _) in list(self.trash_fd()).map_err(at("list", &path))? {
            if !is_collector(&name) {
                continue;
            }
            let directory = match open_directory_at(self.trash_fd(), &name) {
                Ok(directory) => directory,
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(at("open", path.join(&name))(error)),
            };
            let lock = try_lock_as(directory, kind).map_err(at("lock", path.join(&name)))?;
            locked.extend(lock.map(|lock| (name, lock)));
        }
        Ok(locked)
    }

    /// Removes what was found. Rows must not speak of it any more.
    pub(super) fn empty_trash(&self, dead: DeadTrash) -> Result<(), FileError> {
        let path = self.trash_directory();
        for name in &dead.names {
            remove_at(self.trash_fd(), name).map_err(at("remove", path.join(name)))?;
        }
        Ok(())
    }

    fn trash_directory(&self) -> PathBuf {
        self.store_directory().join(".trash")
    }
}

/// Where the records that speak of an object alone lie, and their names in a collector's trash.
fn records(path: &StorePath) -> [(String, String); 2] {
    let digest = path.digest();
    [
        (record::name(digest), format!("{digest}.record")),
        (
            record::signatures_name(digest),
            format!("{digest}.signatures"),
        ),
    ]
}

/// Moves a name back if it is there and its place is free.
fn take_from(
    trash: BorrowedFd<'_>,
    trashed: &OsStr,
    to: BorrowedFd<'_>,
    name: &OsStr,
) -> nix::Result<()> {
    match rename_new(trash, trashed, to, name) {
        // The row will say that it is valid, and may be on disk before the directory is.
        Ok(()) => sync_file_system(to),
        Err(Errno::ENOENT | Errno::EEXIST | Errno::EXDEV) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_collector(name: &OsStr) -> bool {
    name.as_bytes().starts_with(COLLECTOR.as_bytes())
}
