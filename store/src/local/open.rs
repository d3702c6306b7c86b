//! Opens a store, and closes it.

use std::{
    fs,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::fcntl::{Flock, FlockArg};

use super::{
    Lease, LeaseError, OpenError, StoreOptions, commit::Committer, record, staging::Staging,
};
use crate::{
    db::Database,
    id::StorePath,
    pool::Pool,
    sys::{
        FileError,
        change::{make_directories, remove_file, write_file},
        files::{at, open_directory},
        lock::{Lock, lock_file},
    },
};

/// Directories of a store that others may read.
const SHARED: &[&str] = &[
    "store",
    "var",
    "var/meta",
    "var/leases",
    "var/log",
    "var/tmp",
    "var/layers",
    "var/lock",
    "var/profiles",
];
/// Directories of a store that hold what is unfinished.
const PRIVATE: &[&str] = &["store/.staging", "store/.trash"];

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
    store: OwnedFd,
    staging: OwnedFd,
    trash: OwnedFd,
    meta: OwnedFd,
    pool: Pool,
    /// Records lie on another file system than objects.
    split: bool,
    boot: String,
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
    /// Takes less than a millisecond when nothing was. `root` should be absolute if the process changes its directory.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let fresh = !root.join("var/db.sqlite").exists();
        // A power cut may have left the database without the directories that were made before it.
        if fresh || !has_directories(root) {
            create_directories(root)?;
        }
        let open = |name: &str| open_directory(&root.join(name));
        let (store, staging, trash, meta) = (
            open("store")?,
            open("store/.staging")?,
            open("store/.trash")?,
            open("var/meta")?,
        );
        let device = |fd: &OwnedFd, name: &str| -> Result<u64, FileError> {
            let failed = || at("inspect", root.join(name));
            let file = fs::File::from(fd.try_clone().map_err(failed())?);
            Ok(file.metadata().map_err(failed())?.dev())
        };
        if device(&store, "store")? != device(&staging, "store/.staging")? {
            return Err(OpenError::TwoFileSystems {
                store: root.join("store"),
                staging: root.join("store/.staging"),
            });
        }
        let split = device(&store, "store")? != device(&meta, "var/meta")?;
        let pool = Pool::open(store.as_fd(), &root.join("store"))?;
        let this = Self {
            reader: Mutex::new(Database::open(&root.join("var/db.sqlite"))?),
            root: root.to_owned(),
            options,
            store,
            staging,
            trash,
            meta,
            pool,
            split,
            boot: boot_id(),
            numbers: AtomicU64::new(0),
            writer: Mutex::new(None),
            committer: Committer::default(),
            writing: Mutex::new(None),
        };
        this.recover(fresh)?;
        Ok(this)
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
        &self.pool
    }

    /// Returns the directory in which the store's own profiles lie, each in a directory of its own.
    #[must_use]
    pub fn profiles_dir(&self) -> PathBuf {
        self.root.join("var/profiles")
    }

    /// Makes a lease, which keeps what it lists until it is dropped or the process ends.
    pub fn lease(&self) -> Result<Lease, LeaseError> {
        Lease::create(&self.lease_directory(), &self.next_name())
    }

    pub(super) fn create_staging(&self) -> Result<Staging<'_>, FileError> {
        Staging::create(
            self.staging.as_fd(),
            &self.root.join("store/.staging"),
            &self.next_name(),
        )
    }

    /// Returns a name that no other process uses until the machine is started again.
    pub(super) fn next_name(&self) -> String {
        // The address tells two stores of one process apart that were opened at the same root.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        format!(
            "{}.{}.{:x}.{number}",
            self.boot,
            std::process::id(),
            std::ptr::from_ref(&self.numbers).addr()
        )
    }

    /// Records, before the first write of this process, that the store must be looked at if the machine goes down.
    pub(super) fn mark_unclean(&self) -> Result<(), FileError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if writing.is_none() {
            let lock = lock_file(&self.root.join("var/lock/writers"), FlockArg::LockShared)?;
            let marker = self.marker_path();
            if fs::read(&marker).ok().as_deref() != Some(self.boot.as_bytes()) {
                write_file(&marker, self.boot.as_bytes())?;
            }
            *writing = Some(lock);
        }
        Ok(())
    }

    /// There while someone writes, with the id of the boot in which they began.
    pub(super) fn marker_path(&self) -> PathBuf {
        self.root.join("var/unclean")
    }

    pub(super) fn publish_lock_path(&self) -> PathBuf {
        self.root.join("var/lock/publish")
    }

    pub(super) fn lease_directory(&self) -> PathBuf {
        self.root.join("var/leases")
    }

    pub(super) fn meta_directory(&self) -> PathBuf {
        record::directory(&self.root)
    }

    pub(super) fn database_path(&self) -> PathBuf {
        self.root.join("var/db.sqlite")
    }

    pub(super) const fn options(&self) -> &StoreOptions {
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

    pub(super) const fn is_split(&self) -> bool {
        self.split
    }

    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    pub(crate) fn store_fd(&self) -> BorrowedFd<'_> {
        self.store.as_fd()
    }

    pub(super) fn staging_fd(&self) -> BorrowedFd<'_> {
        self.staging.as_fd()
    }

    pub(super) fn trash_fd(&self) -> BorrowedFd<'_> {
        self.trash.as_fd()
    }

    pub(super) fn meta_fd(&self) -> BorrowedFd<'_> {
        self.meta.as_fd()
    }
}

impl Drop for LocalStore {
    /// The last writer to leave writes the database's log into the database and takes the marker away. Whatever fails here leaves the marker,
    /// which costs a look at the store after the next start of the machine, and nothing else.
    fn drop(&mut self) {
        let writing = self
            .writing
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(file) = writing.and_then(|lock| lock.unlock().ok()) else {
            return;
        };
        let Ok(_last) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            return;
        };
        let reader = self
            .reader
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if reader.checkpoint().is_ok() {
            let _removed: Result<(), FileError> = remove_file(&self.root.join("var/unclean"));
        }
    }
}

fn has_directories(root: &Path) -> bool {
    let mut names = SHARED.iter().chain(PRIVATE);
    names.all(|name| root.join(name).is_dir())
}

fn create_directories(root: &Path) -> Result<(), FileError> {
    make_directories(root, 0o755)?;
    for name in SHARED {
        make_directories(&root.join(name), 0o755)?;
    }
    for name in PRIVATE {
        make_directories(&root.join(name), 0o700)?;
    }
    Ok(())
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
