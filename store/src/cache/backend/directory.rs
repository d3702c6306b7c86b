//! A directory, also on a disk that several machines share.
//!
//! Below the cache's directory no symlink is followed, so nothing outside it is read or written whatever others put there.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use nix::{dir::Type, errno::Errno, sys::stat::FileStat};

use super::{
    Backend, BackendError, CacheUrl, Collectors, Corruption, Exclusion, FileKind, Growing,
    ListedFile,
    address::Place,
    exact::{After, Exact},
    staging::{Draft, Staging},
};
use crate::{
    cache::format::CacheName,
    sys::{
        FileError,
        change::{sync_file_system, unlink_at},
        files::{
            at, file_type, inspect_at, list, may_write, open_directory, open_directory_at,
            open_file_at,
        },
        lock::try_lock,
    },
};

#[derive(Debug)]
pub(in crate::cache) struct Directory {
    url: CacheUrl,
    path: PathBuf,
    /// Made by the first write.
    staging: Mutex<Option<Arc<Staging>>>,
    /// Whether names are gone that may come back after a power cut.
    has_removed: AtomicBool,
}

impl Directory {
    /// Returns `None` for a cache that is no directory.
    pub(in crate::cache) fn of(url: &CacheUrl) -> Option<Self> {
        match &url.place {
            Place::Directory(path) => Some(Self::new(url.clone(), path.clone())),
            _ => None,
        }
    }

    pub(super) fn new(url: CacheUrl, path: PathBuf) -> Self {
        Self {
            url,
            path,
            staging: Mutex::default(),
            has_removed: AtomicBool::new(false),
        }
    }

    fn file(&self, name: &CacheName) -> String {
        self.real(name).display().to_string()
    }

    fn real(&self, name: &CacheName) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// Opens the directory that a file lies in and returns it with the file's own name; `None` if there is no such directory.
    fn open_parent(&self, name: &CacheName) -> Result<Option<(OwnedFd, String)>, FileError> {
        let text = name.to_string();
        let (folder, file) = text.rsplit_once('/').unwrap_or(("", &text));
        let folder = self.open_folder(folder)?;
        Ok(folder.map(|folder| (folder, file.to_owned())))
    }

    fn open_folder(&self, folder: &str) -> Result<Option<OwnedFd>, FileError> {
        let mut directory = open_directory(&self.path)?;
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            directory = match open_directory_at(&directory, OsStr::new(part)) {
                Ok(directory) => directory,
                Err(Errno::ENOENT) => return Ok(None),
                Err(error) => return Err(at("open", self.path.join(folder))(error)),
            };
        }
        Ok(Some(directory))
    }

    /// Opens a file and returns it with its size.
    pub(in crate::cache) fn open(&self, name: &CacheName) -> Result<(File, u64), BackendError> {
        let absent = || BackendError::Absent {
            file: self.file(name),
        };
        let (parent, file) = self
            .open_parent(name)
            .map_err(BackendError::from_file)?
            .ok_or_else(absent)?;
        let file = match open_file_at(&parent, OsStr::new(&file)) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Err(absent()),
            Err(error) => {
                return Err(BackendError::from_file(at("open", self.real(name))(error)));
            }
        };
        let metadata = file
            .metadata()
            .map_err(|error| BackendError::from_file(at("inspect", self.real(name))(error)))?;
        if !metadata.is_file() {
            return Err(BackendError::Corrupt {
                file: self.file(name),
                problem: Corruption::Kind,
            });
        }
        Ok((file, metadata.len()))
    }

    fn staging(&self) -> Result<Arc<Staging>, BackendError> {
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staging) = &*staging {
            return Ok(Arc::clone(staging));
        }
        let created = Arc::new(Staging::create(&self.path).map_err(BackendError::from_file)?);
        *staging = Some(Arc::clone(&created));
        Ok(created)
    }

    fn list_folder(
        &self,
        folder: &str,
        found: &mut dyn FnMut(ListedFile),
    ) -> Result<(), FileError> {
        let Some(directory) = self.open_folder(folder)? else {
            return Ok(());
        };
        let path = self.path.join(folder);
        for (entry, kind) in list(&directory).map_err(at("list", &path))? {
            let Some(entry) = entry.to_str() else {
                continue;
            };
            let name = format!("{folder}/{entry}");
            if let Ok(name) = name.parse::<CacheName>() {
                if let Some(stat) = inspect(&directory, entry, &path)? {
                    found(ListedFile {
                        name,
                        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
                        modified: modified(&stat),
                    });
                }
            } else if entry.len() == 2 && matches!(kind, Some(Type::Directory) | None) {
                self.list_folder(&name, found)?;
            }
        }
        Ok(())
    }
}

impl Backend for Directory {
    fn url(&self) -> &CacheUrl {
        &self.url
    }

    fn read(&self, name: &CacheName, limit: u64) -> Result<Vec<u8>, BackendError> {
        let (file, size) = self.open(name)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0));
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| BackendError::from_file(at("read", self.real(name))(error)))?;
        if bytes.len() as u64 > limit {
            return Err(BackendError::Corrupt {
                file: self.file(name),
                problem: Corruption::TooLarge { limit_bytes: limit },
            });
        }
        Ok(bytes)
    }

    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        if range.is_empty() {
            return Ok(Box::new(std::io::empty()));
        }
        let (mut file, size) = self.open(name)?;
        if size < range.end {
            return Err(BackendError::Corrupt {
                file: self.file(name),
                problem: Corruption::Length {
                    expected: range.end,
                    found: size,
                },
            });
        }
        file.seek(SeekFrom::Start(range.start))
            .map_err(|error| BackendError::from_file(at("read", self.real(name))(error)))?;
        let length = range.end - range.start;
        Ok(Box::new(Exact::new(
            file,
            length,
            After::Anything,
            self.file(name),
        )))
    }

    fn exists(&self, name: &CacheName) -> Result<bool, BackendError> {
        let found = self
            .open_parent(name)
            .and_then(|parent| match parent {
                Some((parent, file)) => inspect(&parent, &file, &self.path),
                None => Ok(None),
            })
            .map_err(BackendError::from_file)?;
        Ok(found.is_some())
    }

    fn write(&self, name: &CacheName, bytes: Bytes) -> Result<(), BackendError> {
        self.staging()?
            .write(name, &bytes)
            .map_err(BackendError::from_file)
    }

    fn begin(&self) -> Result<Option<Box<dyn Growing>>, BackendError> {
        let draft = Draft::create(self.staging()?).map_err(BackendError::from_file)?;
        Ok(Some(Box::new(draft)))
    }

    /// By a descriptor of its own: errors are kept for each, and those of this sync are for the flush to tell.
    fn write_back(&self) {
        if let Ok(root) = open_directory(&self.path) {
            let _nothing_promised: nix::Result<()> = sync_file_system(root);
        }
    }

    fn flush(&self) -> Result<(), BackendError> {
        let staging = self
            .staging
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(staging) = staging {
            staging.flush().map_err(BackendError::from_file)?;
        }
        if self.has_removed.swap(false, Ordering::AcqRel) {
            // One for all folders, and for the file systems whose sync of a directory says nothing about others.
            let synced = open_directory(&self.path)
                .and_then(|root| sync_file_system(root).map_err(at("sync", &self.path)));
            if let Err(error) = synced {
                self.has_removed.store(true, Ordering::Release);
                return Err(BackendError::from_file(error));
            }
        }
        Ok(())
    }

    fn keep_others_out(&self) -> Result<Option<Exclusion>, BackendError> {
        let lock = self.staging()?.lock().map_err(BackendError::from_file)?;
        Ok(Some(Exclusion { _lock: lock }))
    }

    /// A lock of the cache's directory itself, which ends with the process.
    fn exclude_collectors(&self) -> Result<Collectors, BackendError> {
        let root = open_directory(&self.path).map_err(BackendError::from_file)?;
        let lock = try_lock(root)
            .map_err(|error| BackendError::from_file(at("lock", &self.path)(error)))?;
        Ok(match lock {
            Some(lock) => Collectors::Excluded(Exclusion { _lock: lock }),
            None => Collectors::AtWork,
        })
    }

    fn remove(&self, name: &CacheName) -> Result<(), BackendError> {
        let Some((parent, file)) = self.open_parent(name).map_err(BackendError::from_file)? else {
            return Ok(());
        };
        match unlink_at(&parent, OsStr::new(&file)) {
            Ok(()) => {
                self.has_removed.store(true, Ordering::Release);
                Ok(())
            }
            Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(BackendError::from_file(at("remove", self.real(name))(
                error,
            ))),
        }
    }

    fn list(&self, kind: FileKind, found: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        self.list_folder(kind.folder(), found)
            .map_err(BackendError::from_file)
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        let mut path: &Path = &self.path;
        loop {
            match may_write(path) {
                Ok(()) => return Ok(true),
                // The first write makes the last directory of the path.
                Err(Errno::ENOENT) if path == self.path => match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => path = parent,
                    _ => path = Path::new("."),
                },
                Err(Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENOENT) => {
                    return Ok(false);
                }
                Err(error) => return Err(BackendError::from_file(at("inspect", path)(error))),
            }
        }
    }
}

impl Growing for Draft {
    fn append(&mut self, bytes: &[u8]) -> Result<(), BackendError> {
        Self::append(self, bytes).map_err(BackendError::from_file)
    }

    fn finish(self: Box<Self>, name: &CacheName) -> Result<(), BackendError> {
        (*self).name(name);
        Ok(())
    }
}

/// Returns what is known of a regular file; `None` if there is none of that name.
fn inspect(parent: &OwnedFd, name: &str, path: &Path) -> Result<Option<FileStat>, FileError> {
    match inspect_at(parent, OsStr::new(name)) {
        Ok(stat) => Ok((file_type(stat.st_mode) == Some(Type::File)).then_some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(at("inspect", path.join(name))(error)),
    }
}

fn modified(stat: &FileStat) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0))
}
