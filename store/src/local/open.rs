//! Opens a store, and closes it.

use std::{
    fs,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::fcntl::{Flock, FlockArg};

use super::{
    Lease, LeaseError, OpenError, StoreOptions,
    access::read_only_reason,
    commit::Committer,
    directories::{self, Directories},
    lease::LeaseDirectory,
    rebuild, record,
    staging::Staging,
};
use crate::{
    db::{Database, DbError, ReadOnlyReason},
    id::StorePath,
    pool::Pool,
    space::reserve,
    sys::{
        FileError,
        change::{remove_file, rename_file, sync, sync_file_system, write_file},
        files::at,
        lock::{Lock, lock_file},
    },
};

/// The store on this disk: its directory, its database, its locks.
///
/// Shared by threads and by processes; open as often as needed. See [`crate::local`] for what holds when.
///
/// ```no_run
/// use store::{AddBatch, AddObject, AddSource, LocalStore, StoreOptions};
///
/// let store = LocalStore::open("/srv/pith".as_ref(), StoreOptions::new(|| 0))?;
/// let source = AddSource::Bytes { bytes: b"hello\n".as_slice().into(), executable: false };
/// let batch = AddBatch { objects: vec![AddObject::new("greeting".parse()?, source)], ..AddBatch::default() };
/// let infos = store.add(batch)?;
/// println!("{}", store.real_path(&infos[0].path).display());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    options: StoreOptions,
    directories: Directories,
    /// Set when nothing can be written.
    read_only: Option<ReadOnlyReason>,
    boot: String,
    database: PathBuf,
    numbers: AtomicU64,
    reader: Mutex<Database>,
    writer: Mutex<Option<Database>>,
    committer: Committer,
    /// Held shared from the first write to the end.
    writing: Mutex<Option<Lock>>,
}

impl LocalStore {
    /// Opens the store at `root`, creating what does not exist, and puts right what was interrupted.
    ///
    /// Takes less than a millisecond when nothing was. A store that this process may not write to is opened to read, as it is;
    /// what would write fails with [`DbError::ReadOnly`]. So is a store on a disk that is so full that the database cannot be opened to write. `root` should be absolute if the process changes its directory.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let database = root.join("var/db.sqlite");
        let read_only = if database.exists() {
            read_only_reason(root)
        } else {
            None
        };
        if read_only.is_some() {
            return Self::open_with(root, options, database, read_only);
        }
        if !directories::are_complete(root) {
            directories::create(root)?;
        }
        let (opening, rebuilt) = rebuild::prepare(root, &options).map_err(Box::new)?;
        let this = Self::open_with(root, options, database, None)?;
        drop(opening);
        if !this.is_read_only() {
            this.recover(rebuilt)?;
        }
        Ok(this)
    }

    /// Opens a store with a database that is created if it does not exist. Puts nothing right.
    pub(super) fn open_with(
        root: &Path,
        options: StoreOptions,
        database: PathBuf,
        read_only: Option<ReadOnlyReason>,
    ) -> Result<Self, OpenError> {
        let (reader, read_only) = match read_only {
            None => match Database::open(&database) {
                // Reading needs no room.
                Err(full @ DbError::Full { .. }) => (
                    Database::open_read_only(&database).map_err(|_| full)?,
                    Some(ReadOnlyReason::Full),
                ),
                reader => (reader?, None),
            },
            reason => (Database::open_read_only(&database)?, reason),
        };
        let directories = match &read_only {
            None => Directories::open(root)?,
            Some(_) => Directories::open_read_only(root)?,
        };
        Ok(Self {
            reader: Mutex::new(reader),
            database,
            root: root.to_owned(),
            options,
            directories,
            read_only,
            boot: boot_id(),
            numbers: AtomicU64::new(0),
            writer: Mutex::new(None),
            committer: Committer::default(),
            writing: Mutex::new(None),
        })
    }

    /// Opens the store as [`LocalStore::open`] does, to delete from it: gives up the bytes that are kept for the case that the disk is full.
    ///
    /// The collector makes the reserve again when it has ended, or else the next process that writes.
    pub fn open_to_delete(root: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        if read_only_reason(root).is_none() {
            reserve::release(root)?;
        }
        Self::open(root, options)
    }

    /// Returns the store's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where an object lies if it is valid: `<root>/store/<digest>-<name>`.
    #[must_use]
    pub fn real_path(&self, path: &StorePath) -> PathBuf {
        self.root.join("store").join(path.to_string())
    }

    /// Returns the directory in which objects lie.
    #[must_use]
    pub fn store_directory(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Returns the directory for what is known about packed layers.
    #[must_use]
    pub fn layers_dir(&self) -> PathBuf {
        self.root.join("var/layers")
    }

    /// Returns the directory for the indexes of Debian; all of it can be fetched again.
    #[must_use]
    pub fn debian_dir(&self) -> PathBuf {
        self.root.join("var/debian")
    }

    /// Returns the directory for what is remembered of sources; all of it can be made again. It need not be there.
    #[must_use]
    pub fn facts_dir(&self) -> PathBuf {
        self.root.join("var/facts")
    }

    /// Returns the directory for build logs.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("var/log")
    }

    /// Returns the directory for unfinished work, on the same file system as the rest of `var`.
    #[must_use]
    pub fn tmp_dir(&self) -> PathBuf {
        self.root.join("var/tmp")
    }

    /// Returns the hard-link pool.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.directories.pool
    }

    /// Returns the directory in which the store's own profiles lie, each in a directory of its own.
    #[must_use]
    pub fn profiles_dir(&self) -> PathBuf {
        self.root.join("var/profiles")
    }

    /// Makes a lease, which keeps what it lists until it is dropped or the process ends.
    pub fn lease(&self) -> Result<Lease, LeaseError> {
        if self.is_read_only() {
            return Ok(Lease::none());
        }
        let path = self.lease_directory();
        let meta = self.directories.meta.try_clone();
        let directory = LeaseDirectory {
            path: &path,
            turn: self.lease_lock_path(),
            meta: meta.map_err(at("open", self.meta_directory()))?,
        };
        Lease::create(directory, &self.next_name())
    }

    pub(super) fn create_staging(&self) -> Result<Staging<'_>, FileError> {
        Staging::create(
            self.directories.staging.as_fd(),
            &self.root.join("store/.staging"),
            &|| self.next_name(),
        )
    }

    /// Returns a name that no other process uses until the machine is started again.
    pub(crate) fn next_name(&self) -> String {
        // The address tells two stores of one process apart that were opened at the same root.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        format!(
            "{}.{}.{:x}.{number}",
            self.boot,
            std::process::id(),
            std::ptr::from_ref(&self.numbers).addr()
        )
    }

    /// Records, before the first write of this process and for good, that the store must be looked at if the machine goes down.
    ///
    /// After [`LocalStore::check_writable`], whose error says more.
    pub(crate) fn mark_unclean(&self) -> Result<(), FileError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if writing.is_none() {
            let lock = lock_file(&self.root.join("var/lock/writers"), FlockArg::LockShared)?;
            self.write_marker()?;
            *writing = Some(lock);
            // Without a reserve nothing is wrong until the disk is full.
            let _kept: Result<(), FileError> = reserve::keep(&self.root);
        }
        Ok(())
    }

    /// Puts the marker in place. Whoever finds it there waited until it is on disk; its text need not be, since any text but this boot's says the same
    /// after the next one.
    fn write_marker(&self) -> Result<(), FileError> {
        let _writing = lock_file(&self.root.join("var/lock/unclean"), FlockArg::LockExclusive)?;
        let marker = self.marker_path();
        if fs::read(&marker).ok().as_deref() == Some(self.boot.as_bytes()) {
            return Ok(());
        }
        // Never seen half written: that would look like another boot's.
        let unnamed = self.root.join("var/unclean.new");
        write_file(&unnamed, self.boot.as_bytes())?;
        rename_file(&unnamed, &marker)?;
        let directory = self.root.join("var");
        let opened = fs::File::open(&directory).map_err(at("open", &directory))?;
        sync(opened).map_err(at("sync", directory))
    }

    /// Ends what [`Self::mark_unclean`] began. The last writer to leave writes the database's log into the database, everything to disk, and takes the marker away.
    /// Whatever fails here leaves the marker, which costs a look at the store after the next start of the machine, and nothing else.
    pub(super) fn stop_writing(&self) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = writing.take().and_then(|lock| lock.unlock().ok()) else {
            return;
        };
        if let Ok(_last) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            let _removed: Result<(), OpenError> = self.remove_marker();
        }
    }

    /// Takes the marker away, once all that was done is on disk: a file system may keep later changes and lose earlier ones, and without a marker nobody
    /// looks for those.
    pub(super) fn remove_marker(&self) -> Result<(), OpenError> {
        self.reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .checkpoint()?;
        sync_file_system(self.store_fd()).map_err(at("sync", self.store_directory()))?;
        if self.is_split() {
            sync_file_system(self.meta_fd()).map_err(at("sync", self.meta_directory()))?;
        }
        Ok(remove_file(&self.marker_path())?)
    }

    /// There while someone writes, with the id of the boot in which they began.
    pub(super) fn marker_path(&self) -> PathBuf {
        self.root.join("var/unclean")
    }

    pub(super) fn publish_lock_path(&self) -> PathBuf {
        self.root.join("var/lock/publish")
    }

    /// Held shared by who writes into a lease, exclusive by who takes validity away; see [`super::lease`].
    pub(crate) fn lease_lock_path(&self) -> PathBuf {
        self.root.join("var/lock/leases")
    }

    /// Held by the one collector.
    pub(crate) fn collector_lock_path(&self) -> PathBuf {
        self.root.join("var/lock/gc")
    }

    pub(super) fn lease_directory(&self) -> PathBuf {
        self.root.join("var/leases")
    }

    pub(crate) fn meta_directory(&self) -> PathBuf {
        record::directory(&self.root)
    }

    pub(super) fn database_path(&self) -> &Path {
        &self.database
    }

    /// Opens the database once more, whichever file is in its place now.
    pub(crate) fn open_database(&self) -> Result<Database, DbError> {
        let _opening = rebuild::lock_database(&self.root, FlockArg::LockShared);
        Database::open(&self.database)
    }

    pub(crate) const fn options(&self) -> &StoreOptions {
        &self.options
    }

    pub(super) const fn committer(&self) -> &Committer {
        &self.committer
    }

    pub(super) const fn reader(&self) -> &Mutex<Database> {
        &self.reader
    }

    pub(super) const fn writer(&self) -> &Mutex<Option<Database>> {
        &self.writer
    }

    pub(super) const fn read_only(&self) -> Option<&ReadOnlyReason> {
        self.read_only.as_ref()
    }

    pub(super) const fn is_split(&self) -> bool {
        self.directories.split
    }

    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    pub(crate) fn store_fd(&self) -> BorrowedFd<'_> {
        self.directories.store.as_fd()
    }

    pub(super) fn staging_fd(&self) -> BorrowedFd<'_> {
        self.directories.staging.as_fd()
    }

    pub(super) fn trash_fd(&self) -> BorrowedFd<'_> {
        self.directories.trash.as_fd()
    }

    pub(crate) fn meta_fd(&self) -> BorrowedFd<'_> {
        self.directories.meta.as_fd()
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.stop_writing();
    }
}

/// The kernel's name for the time since the machine was started.
fn boot_id() -> String {
    // Without /proc all boots look the same, and then a crash of the machine is found only where a process died with it.
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let id = id.trim();
    if id.is_empty() {
        "unknown".to_owned()
    } else {
        id.to_owned()
    }
}
