//! Roots, in the database and as records under `var/meta/roots`, from which the database can be rebuilt.
//!
//! A record is a [`Root`] in JSON, named by the first 16 bytes of the BLAKE3 digest of the root's name. It is on disk before the row is written and
//! goes after the row has gone for good: so whatever is interrupted leaves a record that the row lacks or contradicts, and recovery
//! makes the row what the record says, as long as the object is valid. A root is never lost; one that was being removed may come back.
//!
//! The lock `var/lock/roots` orders all changes of roots, of all processes. A staging directory is held meanwhile, for its presence tells the next who
//! opens the store to look at roots.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{self, BufReader, Read},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use nix::{errno::Errno, fcntl::FlockArg};

use super::{LocalStore, RootError, staging::Staging};
use crate::{
    db::{Database, Durability, Root, RootKind},
    id::StorePath,
    sys::{
        FileError,
        change::{rename_over, sync, unlink_at, write_all},
        files::{at, create_file_at, list, open_directory_at, open_file_at, os},
        lock::{Lock, lock_file},
    },
};

/// The directory of the records, in that of all records.
const DIRECTORY: &str = "roots";
/// The record in staging.
const STAGED: &str = "root";

impl LocalStore {
    /// Returns all roots, by name.
    pub fn list_roots(&self) -> Result<Vec<Root>, crate::DbError> {
        self.read(Database::list_roots)
    }

    /// Makes a valid path a root, replacing the root of that name. When it returns, no crash loses the root.
    pub fn add_root(&self, name: &str, path: &StorePath, kind: RootKind) -> Result<(), RootError> {
        let root = Root {
            name: name.to_owned(),
            path: path.clone(),
            kind,
            created: (self.options().clock)(),
        };
        self.check_writable()?;
        self.mark_unclean()?;
        let staging = self.create_staging()?;
        let _changing = self.lock_roots()?;
        if self.path_info(path)?.is_none() {
            return Err(crate::DbError::NotValid { path: path.clone() }.into());
        }
        let written = self
            .write_root_record(&staging, &root)
            .and_then(|()| Ok(self.write(|write| write.set_root(&root))?));
        if written.is_err() && self.match_record(&staging, name).is_err() {
            staging.abandon();
        }
        written
    }

    /// Removes a root. Tells whether there was one.
    pub fn remove_root(&self, name: &str) -> Result<bool, RootError> {
        self.check_writable()?;
        self.mark_unclean()?;
        let staging = self.create_staging()?;
        let _changing = self.lock_roots()?;
        let removed = self.write_with(Durability::PowerCut, |write| write.remove_root(name))?;
        if let Err(error) = self.remove_root_record(name) {
            // The record would bring the root back, so it is at least brought back at once.
            staging.abandon();
            return Err(error.into());
        }
        Ok(removed)
    }

    /// Makes rows and records say the same; see the module.
    pub(super) fn reconcile_roots(&self) -> Result<(), RootError> {
        let _changing = self.lock_roots()?;
        let mut rows: BTreeMap<String, Root> = self
            .list_roots()?
            .into_iter()
            .map(|root| (root.name.clone(), root))
            .collect();
        let mut staging = None;
        for record in self.root_records()? {
            let row = rows.remove(&record.name);
            if row.as_ref() == Some(&record) {
                continue;
            }
            if self.path_info(&record.path)?.is_some() {
                self.write_with(Durability::PowerCut, |write| write.set_root(&record))?;
            } else if let Some(row) = row {
                self.write_root_record(staging_in(self, &mut staging)?, &row)?;
            } else {
                self.remove_root_record(&record.name)?;
            }
        }
        for root in rows.values() {
            self.write_root_record(staging_in(self, &mut staging)?, root)?;
        }
        Ok(())
    }

    /// Returns the roots of all records that can be understood, by name. Fails if one cannot be read, which says nothing about it.
    pub(super) fn root_records(&self) -> Result<Vec<Root>, FileError> {
        let directory = self.root_directory()?;
        let path = self.root_records_path();
        let mut roots = Vec::new();
        for (name, _) in list(&directory).map_err(at("list", &path))? {
            let file = match open_file_at(&directory, &name) {
                Ok(file) => file,
                // The root has been removed since the directory was listed.
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(at("open", path.join(&name))(error)),
            };
            let mut bytes = Vec::new();
            BufReader::new(file)
                .read_to_end(&mut bytes)
                .map_err(at("read", path.join(&name)))?;
            let root = serde_json::from_slice::<Root>(&bytes).ok();
            roots.extend(root.filter(|root| name.to_str() == Some(&record_name(&root.name))));
        }
        roots.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(roots)
    }

    /// Returns the roots whose rows and records say different things.
    pub(crate) fn compare_roots(&self) -> Result<Vec<RootDifference>, RootError> {
        let records = self.root_records()?;
        let rows = self.list_roots()?;
        let unrecorded = rows.iter().filter(|row| {
            let mut records = records.iter();
            records.all(|record| record.name != row.name)
        });
        let different = records.iter().filter(|record| !rows.contains(record));
        let difference = |root: &Root, is_recorded| RootDifference {
            record: format!("var/meta/{DIRECTORY}/{}", record_name(&root.name)),
            is_recorded,
        };
        let mut differences: Vec<RootDifference> = unrecorded
            .map(|root| difference(root, false))
            .chain(different.map(|root| difference(root, true)))
            .collect();
        differences.sort();
        Ok(differences)
    }

    /// Writes the record of what the row of a name says, or removes it.
    fn match_record(&self, staging: &Staging<'_>, name: &str) -> Result<(), RootError> {
        let mut rows = self.list_roots()?.into_iter();
        match rows.find(|root| root.name == name) {
            Some(root) => self.write_root_record(staging, &root),
            None => Ok(self.remove_root_record(name)?),
        }
    }

    /// Puts a record in its place, over an older one, for good.
    fn write_root_record(&self, staging: &Staging<'_>, root: &Root) -> Result<(), RootError> {
        let name = record_name(&root.name);
        let path = self.root_records_path().join(&name);
        let failed = || at("write", &path);
        let json = serde_json::to_string(root)
            .map_err(|error| at("write", &path)(io::Error::from(error)))?;
        match unlink_at(staging, OsStr::new(STAGED)) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(failed()(error).into()),
        }
        let file = create_file_at(staging, OsStr::new(STAGED), false).map_err(failed())?;
        write_all(&file, format!("{json}\n").as_bytes()).map_err(at("write", &path))?;
        sync(&file).map_err(failed())?;
        let directory = self.root_directory()?;
        rename_over(
            staging.as_fd(),
            OsStr::new(STAGED),
            directory.as_fd(),
            os(name.as_bytes()),
        )
        .map_err(failed())?;
        Ok(sync(directory).map_err(failed())?)
    }

    fn remove_root_record(&self, name: &str) -> Result<(), FileError> {
        self.remove_root_records(&[name])
    }

    /// Removes the records of roots that have no rows any more, for good. Whoever calls this holds the lock.
    pub(crate) fn remove_root_records(&self, names: &[&str]) -> Result<(), FileError> {
        if names.is_empty() {
            return Ok(());
        }
        let directory = self.root_directory()?;
        for name in names {
            let record = record_name(name);
            match unlink_at(&directory, os(record.as_bytes())) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(error) => {
                    return Err(at("remove", self.root_records_path().join(record))(error));
                }
            }
        }
        sync(directory).map_err(at("sync", self.root_records_path()))
    }

    /// Waits until nobody else changes roots.
    pub(crate) fn lock_roots(&self) -> Result<Lock, FileError> {
        lock_file(&self.root().join("var/lock/roots"), FlockArg::LockExclusive)
    }

    fn root_directory(&self) -> Result<OwnedFd, FileError> {
        open_directory_at(self.meta_fd(), OsStr::new(DIRECTORY))
            .map_err(at("open", self.root_records_path()))
    }

    fn root_records_path(&self) -> PathBuf {
        self.meta_directory().join(DIRECTORY)
    }
}

/// A root whose row and record differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RootDifference {
    /// Where the record is or should be, below the store's directory.
    pub(crate) record: String,
    /// Whether there is one.
    pub(crate) is_recorded: bool,
}

/// Returns the staging directory, made when it is first needed.
fn staging_in<'a, 's>(
    store: &'s LocalStore,
    staging: &'a mut Option<Staging<'s>>,
) -> Result<&'a Staging<'s>, FileError> {
    Ok(match staging {
        Some(staging) => staging,
        empty => empty.insert(store.create_staging()?),
    })
}

/// Names may be long and have slashes; digests are neither.
pub(super) fn record_name(name: &str) -> String {
    let digest = blake3::hash(name.as_bytes()).to_hex();
    digest.as_str()[..32].to_owned()
}
