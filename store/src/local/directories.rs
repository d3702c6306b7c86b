//! The directories of a store, held open.

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

use super::{OpenError, record};
use crate::{
    pool::Pool,
    sys::{
        FileError,
        change::make_directories,
        files::{at, open_directory},
    },
};

/// Directories of a store that others may read.
const SHARED: &[&str] = &[
    "store",
    "var",
    "var/meta",
    "var/meta/roots",
    "var/leases",
    "var/log",
    "var/tmp",
    "var/layers",
    "var/lock",
    "var/profiles",
    "var/space",
];
/// Directories of a store that hold what is unfinished.
const PRIVATE: &[&str] = &["store/.staging", "store/.trash"];

/// The directories that the store reads and writes by descriptor.
#[derive(Debug)]
pub(super) struct Directories {
    pub(super) store: OwnedFd,
    pub(super) staging: OwnedFd,
    pub(super) trash: OwnedFd,
    pub(super) meta: OwnedFd,
    pub(super) pool: Pool,
    /// Records lie on another file system than objects.
    pub(super) split: bool,
}

impl Directories {
    /// Opens the directories of a store that can be written.
    pub(super) fn open(root: &Path) -> Result<Self, OpenError> {
        let open = |name: &str| open_directory(&root.join(name));
        let store = open("store")?;
        let (staging, trash) = (open("store/.staging")?, open("store/.trash")?);
        let meta = open("var/meta")?;
        if device(&store, root)? != device(&staging, root)? {
            return Err(OpenError::TwoFileSystems {
                store: root.join("store"),
                staging: root.join("store/.staging"),
            });
        }
        let pool = Pool::open(store.as_fd(), &root.join("store"))?;
        Ok(Self {
            split: device(&store, root)? != device(&meta, root)?,
            store,
            staging,
            trash,
            meta,
            pool,
        })
    }

    /// Opens the directories of a store that cannot be written.
    ///
    /// Those of unfinished work are not opened, for they are private to who writes; in their place is something that nothing can lie below.
    pub(super) fn open_read_only(root: &Path) -> Result<Self, OpenError> {
        let nothing = || {
            let path = Path::new("/dev/null");
            File::open(path)
                .map(OwnedFd::from)
                .map_err(at("open", path))
        };
        Ok(Self {
            store: open_directory(&root.join("store"))?,
            staging: nothing()?,
            trash: nothing()?,
            meta: open_directory(&record::directory(root))?,
            pool: Pool::at(
                open_directory(&root.join("store/.pool")).or_else(|_| nothing())?,
                root.join("store/.pool"),
            ),
            split: false,
        })
    }
}

fn device(directory: &OwnedFd, root: &Path) -> Result<u64, FileError> {
    let failed = || at("inspect", root);
    let file = File::from(directory.try_clone().map_err(failed())?);
    Ok(file.metadata().map_err(failed())?.dev())
}

/// Tells whether a store has all of its directories. A power cut may have left the database without those that were made before it.
pub(super) fn are_complete(root: &Path) -> bool {
    SHARED
        .iter()
        .chain(PRIVATE)
        .all(|name| root.join(name).is_dir())
}

/// Makes the directories of a store that do not exist.
pub(super) fn create(root: &Path) -> Result<(), FileError> {
    make_directories(root, 0o755)?;
    for name in SHARED {
        make_directories(&root.join(name), 0o755)?;
    }
    for name in PRIVATE {
        make_directories(&root.join(name), 0o700)?;
    }
    Ok(())
}
