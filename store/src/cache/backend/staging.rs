//! Files of a directory that are not yet where readers look.
//!
//! Every writer has a subdirectory of `.staging` of its own, with a lock in it that ends with its process; whoever writes next removes those that nobody has
//! locked. A flush brings all files to disk with one `syncfs`, and only then renames them into place. So a file that a reader finds is whole, also after a
//! power cut, and no name costs a sync of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::{errno::Errno, fcntl::FlockArg};

use crate::{
    cache::format::CacheName,
    sys::{
        FileError,
        change::{
            make_shared_directory_at, remove_directory_at, rename_over, sync, sync_file_system,
            unlink_at, write_all,
        },
        files::{
            at, create_directory_at, create_file_at, list, open_directory, open_directory_at,
            remove_at, reopen_file_at,
        },
        lock::{Lock, lock_directory, lock_file, try_lock},
    },
};

/// Begins with a dot, as no name of a cache's file does.
const STAGING: &str = ".staging";
const LOCK: &str = "lock";
/// Directories that are synced one by one; beyond this number the whole file system is. Each sync waits for the disk, also where the one before has brought everything there.
const DIRECTORIES_TO_SYNC: usize = 3;
/// How often others may take a new directory for a stale one.
const MAX_TRIES: usize = 100;

/// The files that one process has written and not yet put in place; dropped, they are removed.
#[derive(Debug)]
pub(super) struct Staging {
    root: OwnedFd,
    root_path: PathBuf,
    /// `.staging`.
    parent: OwnedFd,
    name: OsString,
    path: PathBuf,
    directory: OwnedFd,
    next: AtomicU64,
    state: Mutex<State>,
    _lock: Lock,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they were written.
    pending: VecDeque<Pending>,
    /// Directories with new names in them that are not on disk, by their path in the cache.
    unsynced: BTreeMap<String, OwnedFd>,
}

#[derive(Debug)]
struct Pending {
    temporary: OsString,
    name: String,
}

impl Staging {
    /// Makes the directory of the cache, if only that is missing, and a place for this process's files; clears up after dead ones.
    pub(super) fn create(root_path: &Path) -> Result<Self, FileError> {
        let root = open_or_make(root_path)?;
        let parent_path = root_path.join(STAGING);
        make_if_missing(&root, STAGING).map_err(at("create", &parent_path))?;
        let parent =
            open_directory_at(&root, OsStr::new(STAGING)).map_err(at("open", &parent_path))?;
        remove_stale(&parent, &parent_path)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let name = unique_name(&parent_path)?;
            let path = parent_path.join(&name);
            // Until the lock is held the directory looks stale, and another process may remove it, even before it is opened.
            let directory = match create_directory_at(&parent, OsStr::new(&name)) {
                Ok(directory) => directory,
                Err(Errno::ENOENT) if tries < MAX_TRIES => continue,
                Err(error) => return Err(at("create", &path)(error)),
            };
            let lock = match lock_file(&path.join(LOCK), FlockArg::LockExclusive) {
                Ok(lock) => lock,
                Err(error)
                    if error.source.raw_os_error() == Some(Errno::ENOENT as i32)
                        && tries < MAX_TRIES =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if lock.metadata().map_err(at("inspect", &path))?.nlink() > 0 {
                return Ok(Self {
                    root,
                    root_path: root_path.to_path_buf(),
                    parent,
                    name: name.into(),
                    path,
                    directory,
                    next: AtomicU64::new(0),
                    state: Mutex::default(),
                    _lock: lock,
                });
            }
        }
    }

    /// Writes a file beside the cache; [`flush`](Self::flush) puts it into place.
    pub(super) fn write(self: &Arc<Self>, name: &CacheName, bytes: &[u8]) -> Result<(), FileError> {
        let mut draft = Draft::create(Arc::clone(self))?;
        draft.append(bytes)?;
        draft.name(name);
        Ok(())
    }

    /// Waits for the lock of all who add to files of this cache: the directory of everybody's staged files, since what is in there is cleared away.
    pub(super) fn lock(&self) -> Result<Lock, FileError> {
        let path = self.root_path.join(STAGING);
        lock_directory(&path)
    }

    /// Brings all files that were written to disk and into place, in the order in which they were written. What failed is tried again by the next call.
    pub(super) fn flush(&self) -> Result<(), FileError> {
        let mut state = self.state();
        if !state.pending.is_empty() {
            sync_file_system(&self.directory).map_err(at("sync", &self.path))?;
        }
        while let Some(pending) = state.pending.pop_front() {
            if let Err(error) = self.publish(&pending, &mut state.unsynced) {
                state.pending.push_front(pending);
                return Err(error);
            }
        }
        if state.unsynced.len() > DIRECTORIES_TO_SYNC {
            sync_file_system(&self.directory).map_err(at("sync", &self.root_path))?;
            state.unsynced.clear();
        }
        while let Some((path, directory)) = state.unsynced.pop_first() {
            if let Err(error) = sync(&directory) {
                let error = at("sync", self.root_path.join(&path))(error);
                state.unsynced.insert(path, directory);
                return Err(error);
            }
        }
        Ok(())
    }

    fn publish(
        &self,
        pending: &Pending,
        unsynced: &mut BTreeMap<String, OwnedFd>,
    ) -> Result<(), FileError> {
        let (folder, file) = pending.name.rsplit_once('/').unwrap_or(("", &pending.name));
        if !unsynced.contains_key(folder) {
            self.open_folder(folder, unsynced)?;
        }
        let directory = unsynced.get(folder).map_or(self.root.as_fd(), AsFd::as_fd);
        rename_over(
            self.directory.as_fd(),
            &pending.temporary,
            directory,
            OsStr::new(file),
        )
        .map_err(at("rename", self.root_path.join(&pending.name)))
    }

    /// Opens a folder of the cache, making what is missing, and notes what has to be synced.
    fn open_folder(
        &self,
        folder: &str,
        unsynced: &mut BTreeMap<String, OwnedFd>,
    ) -> Result<(), FileError> {
        let mut directory =
            open_directory_at(&self.root, OsStr::new(".")).map_err(at("open", &self.root_path))?;
        let mut path = String::new();
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            let real = self.root_path.join(&path).join(part);
            let is_new = make_if_missing(&directory, part).map_err(at("create", &real))?;
            let next = open_directory_at(&directory, OsStr::new(part)).map_err(at("open", real))?;
            if is_new {
                unsynced.insert(path.clone(), directory);
            }
            directory = next;
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
        }
        unsynced.insert(path, directory);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file beside the cache that has no name yet.
#[derive(Debug)]
pub(super) struct Draft {
    staging: Arc<Staging>,
    temporary: OsString,
    file: File,
    has_name: bool,
}

impl Draft {
    pub(super) fn create(staging: Arc<Staging>) -> Result<Self, FileError> {
        let temporary = OsString::from(staging.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = create_file_at(&staging.directory, &temporary, false)
            .map_err(at("create", staging.path.join(&temporary)))?;
        Ok(Self {
            staging,
            temporary,
            file,
            has_name: false,
        })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        write_all(&self.file, bytes).map_err(at("write", self.staging.path.join(&self.temporary)))
    }

    /// [`Staging::flush`] puts the file into place.
    pub(super) fn name(mut self, name: &CacheName) {
        self.has_name = true;
        self.staging.state().pending.push_back(Pending {
            temporary: std::mem::take(&mut self.temporary),
            name: name.to_string(),
        });
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.has_name {
            // On a full disk the next writer needs the room. What stays goes with the directory.
            let _removed: nix::Result<()> = unlink_at(&self.staging.directory, &self.temporary);
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next process that writes.
        let _removed: nix::Result<()> = remove_at(&self.parent, &self.name);
    }
}

fn open_or_make(path: &Path) -> Result<OwnedFd, FileError> {
    let error = match open_directory(path) {
        Ok(directory) => return Ok(directory),
        Err(error) => error,
    };
    let is_absent = error.source.raw_os_error() == Some(Errno::ENOENT as i32);
    let (true, Some(parent), Some(name)) = (is_absent, path.parent(), path.file_name()) else {
        return Err(error);
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let parent = open_directory(parent)?;
    match make_shared_directory_at(&parent, name) {
        Ok(()) | Err(Errno::EEXIST) => open_directory(path),
        Err(error) => Err(at("create", path)(error)),
    }
}

/// Returns whether the directory had to be made.
fn make_if_missing(parent: &OwnedFd, name: &str) -> nix::Result<bool> {
    match make_shared_directory_at(parent, OsStr::new(name)) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what processes left that died. What belongs to other users stays for them.
fn remove_stale(parent: &OwnedFd, parent_path: &Path) -> Result<(), FileError> {
    for (name, _) in list(parent).map_err(at("list", parent_path))? {
        let Ok(directory) = open_directory_at(parent, &name) else {
            continue;
        };
        match reopen_file_at(&directory, OsStr::new(LOCK)) {
            Ok(lock) => {
                if let Ok(Some(_lock)) = try_lock(lock.into()) {
                    let _removed: nix::Result<()> = remove_at(parent, &name);
                }
            }
            // Its process is between the two steps of making it, or was there. An empty directory is easily made again.
            Err(Errno::ENOENT) => {
                let _removed: nix::Result<()> = remove_directory_at(parent, &name);
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// A name that no process on any machine takes as well.
fn unique_name(parent_path: &Path) -> Result<String, FileError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| at("name", parent_path)(std::io::Error::from(error)))?;
    let mut name = String::with_capacity(32);
    for byte in random {
        write!(name, "{byte:02x}").expect("a string takes everything");
    }
    Ok(name)
}
