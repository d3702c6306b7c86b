//! Puts right what was interrupted. Silent, idempotent, and nearly free when there is nothing to do.
//!
//! Four things can have happened. *A process died while it added*: its staging directory is there and nobody has it locked; the file `publish` in it names what it
//! may have renamed into place without registering it. *The machine went down while somebody was writing*: the marker `var/unclean` names
//! another boot; SQLite may have lost its last transactions, so every object without a row is looked at, and what was registered last is
//! hashed again. *A collector died*: its trash is there and nobody has it locked; rows may say that objects are being deleted, and then they are.
//! *The database was lost*: then it was made again from the records, and what could not be registered is looked at.
//!
//! An object without a row is registered if its record is there, its bytes hash to its id, and all it refers to is valid; else it is removed. While
//! this is decided nobody may be between renaming and registering, hence the exclusive lock. The machine may go down meanwhile: a marker is there until all that was
//! done is on disk.

use std::{collections::BTreeSet, fs, os::fd::AsFd, sync::PoisonError};

use nix::fcntl::FlockArg;

use super::{
    LocalStore, OpenError, StoreEvent,
    check::check,
    record::{read_info, read_realisations, remove_info, remove_signatures},
    staging::find_stale,
};
use crate::{
    db::{Database, DbError, Durability, ObjectState},
    id::StorePath,
    info::PathInfo,
    sys::{
        FileError,
        change::unlink_at,
        files::{at, list, open_directory_at, os, remove_at, seal_directory},
        lock::{Lock, lock_file},
    },
};

/// Objects registered in the last seconds before a crash of the machine are hashed again: disks lie about what they have written, but
/// not for long.
const SUSPICIOUS_SECONDS: u64 = 60;

impl LocalStore {
    pub(super) fn recover(&self, rebuilt: bool) -> Result<(), OpenError> {
        let staging_path = self.store_directory().join(".staging");
        let mut trash = self.find_loose_trash()?;
        let crashed = self.is_marked_by_another_boot();
        if self.has_died()? || crashed || rebuilt {
            self.options().tell(StoreEvent::Recovering);
            let (_deciding, crashed) = self.begin_to_recover()?;
            // Another process may have seen to them while this one waited.
            let stale = find_stale(self.staging_fd(), &staging_path)?;
            self.take_over_collectors(&mut trash)?;
            if crashed {
                self.revive_whole()?;
            }
            if crashed || trash.has_collectors() {
                self.finish_deletions::<OpenError>()?;
            }
            let mut orphans: BTreeSet<StorePath> = stale
                .iter()
                .flat_map(|stale| stale.publish.iter().cloned())
                .collect();
            if crashed || rebuilt {
                orphans.extend(self.list_objects()?);
            }
            self.settle(orphans)?;
            if crashed {
                self.remove_stray_records()?;
            }
            self.catch_up(stale.iter().flat_map(|stale| &stale.publish))?;
            self.reconcile_roots()?;
            if crashed {
                self.check_last_registered()?;
            }
            for stale in &stale {
                remove_at(self.staging_fd(), &stale.name)
                    .map_err(at("remove", staging_path.join(&stale.name)))?;
            }
            if crashed {
                self.remove_marker()?;
            }
        }
        self.empty_trash(trash)?;
        // Who opened the store may only want to read it.
        self.stop_writing();
        Ok(())
    }

    /// Tells whether a process died in the middle of a change that nobody has put right yet. This is certain as long as the publish lock is held.
    pub(super) fn has_died(&self) -> Result<bool, FileError> {
        let staging_path = self.store_directory().join(".staging");
        let stale = find_stale(self.staging_fd(), &staging_path)?;
        Ok(!stale.is_empty() || self.has_dead_collectors()?)
    }

    /// Waits until nobody is between renaming and registering. Tells whether the machine went down and nobody has seen to that yet.
    ///
    /// A marker is in place from then on, that of another boot or this one's: if the machine goes down now, the next boot looks at everything.
    fn begin_to_recover(&self) -> Result<(Lock, bool), OpenError> {
        loop {
            let crashed = self.is_marked_by_another_boot();
            if !crashed {
                self.mark_unclean()?;
            }
            let deciding = lock_file(&self.publish_lock_path(), FlockArg::LockExclusive)?;
            // Another process may have recovered while this one waited, and have taken the marker away.
            if crashed == self.is_marked_by_another_boot() {
                return Ok((deciding, crashed));
            }
        }
    }

    /// Makes objects valid again that are whole although they are being deleted or were damaged: they may have been wanted again, or added again, just before the
    /// machine went down, in a transaction that was lost.
    fn revive_whole(&self) -> Result<(), OpenError> {
        for object in self.read(Database::invalid_objects)? {
            let whole = read_info(self.meta_fd(), &object.path)
                .is_some_and(|info| check(self.store_fd(), &info).is_ok());
            if !whole {
                continue;
            }
            self.seal_again(&object.path)?;
            self.write(|write| {
                let invalid = write.invalid_closure(object.path.digest())?;
                match invalid.as_slice() {
                    // References came first.
                    [only] if only.id == object.id => write.revive(object.id),
                    _ => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// Completes what collectors that died had begun: what they have taken validity from goes.
    ///
    /// Nobody uses such objects, whether their collector lives or not, so this is right at any time.
    pub(crate) fn finish_deletions<E: From<DbError> + From<FileError>>(&self) -> Result<(), E> {
        let tombstones = self.read(Database::tombstones)?;
        if tombstones.is_empty() {
            return Ok(());
        }
        let trash = self.create_trash()?;
        let mut database = self.open_database()?;
        let result = self.remove_tombstones(&mut database, trash.as_fd(), &tombstones);
        if result.is_err() {
            // Some may lie in the trash whose rows are still there; the next who opens the store decides about them.
            trash.abandon();
        }
        result.map(drop)
    }

    fn is_marked_by_another_boot(&self) -> bool {
        fs::read(self.marker_path()).is_ok_and(|boot| boot != self.boot().as_bytes())
    }

    fn is_known_damaged(&self, path: &StorePath) -> Result<bool, DbError> {
        let state = self.read(|database| database.find_state(path.digest()))?;
        Ok(state == Some(ObjectState::Damaged))
    }

    /// The names in the store directory that are store paths.
    fn list_objects(&self) -> Result<Vec<StorePath>, OpenError> {
        let entries = list(self.store_fd()).map_err(at("list", self.store_directory()))?;
        Ok(entries
            .iter()
            .filter_map(|(name, _)| name.to_str()?.parse().ok())
            .collect())
    }

    /// Registers or removes objects that have no row, while nobody is between renaming and registering.
    pub(super) fn settle_alone(&self, paths: BTreeSet<StorePath>) -> Result<(), OpenError> {
        let _deciding = lock_file(&self.publish_lock_path(), FlockArg::LockExclusive)?;
        self.settle(paths)
    }

    /// Registers or removes objects that have no row.
    fn settle(&self, paths: BTreeSet<StorePath>) -> Result<(), OpenError> {
        if paths.is_empty() {
            return Ok(());
        }
        // What becomes valid must find what it refers to.
        let lease = self.lease()?;
        let mut orphans: Vec<PathInfo> = Vec::new();
        for path in paths {
            if self.path_info(&path)?.is_some() {
                self.seal_again(&path)?;
                continue;
            }
            match read_info(self.meta_fd(), &path) {
                Some(info) if check(self.store_fd(), &info).is_ok() => {
                    let references = info.references.iter().map(|reference| &reference.path);
                    let digests: Vec<_> = references
                        .chain([&path])
                        .map(|path| *path.digest())
                        .collect();
                    lease.protect(&digests)?;
                    orphans.push(info);
                }
                // It stays for repair, which may find most of it good.
                _ if self.is_known_damaged(&path)? => {}
                _ => {
                    self.unpool(&path)?;
                    self.discard(&path)?;
                }
            }
        }
        // References first, as they become valid; what is left refers to something that is not here.
        while !orphans.is_empty() {
            let mut ready = Vec::new();
            let mut waiting = Vec::new();
            for info in orphans {
                let mut complete = true;
                for reference in &info.references {
                    complete &= self.find_by_id(&reference.id)?.is_some();
                }
                if complete {
                    ready.push(info);
                } else {
                    waiting.push(info);
                }
            }
            if ready.is_empty() {
                for info in waiting {
                    self.discard(&info.path)?;
                }
                return Ok(());
            }
            self.adopt(&ready)?;
            orphans = waiting;
        }
        Ok(())
    }

    /// Removes records of objects that are not known and, all orphans being settled, not there either. An object and its record lie in different directories, so
    /// a power cut may undo the removal of one alone.
    fn remove_stray_records(&self) -> Result<(), OpenError> {
        for (name, digest) in self.list_records()? {
            if self
                .read(|database| database.find_state(&digest))?
                .is_none()
            {
                unlink_at(self.meta_fd(), os(name.as_bytes()))
                    .map_err(at("remove", self.meta_directory().join(name)))?;
            }
        }
        Ok(())
    }

    /// Moves what lies at the place of an object that is not valid out of the way, and removes it with its record.
    fn discard(&self, path: &StorePath) -> Result<(), OpenError> {
        let name = self.next_name();
        let moved = self.write::<_, OpenError>(|write| {
            if write.find_by_path(path)?.is_some() {
                return Ok(false);
            }
            remove_info(self.meta_fd(), path.digest())
                .and_then(|()| remove_signatures(self.meta_fd(), path.digest()))
                .map_err(at("remove the record of", self.real_path(path)))?;
            Ok(self.move_away(path, self.trash_fd(), &name)?)
        })?;
        if moved {
            remove_at(self.trash_fd(), os(name.as_bytes()))
                .map_err(at("remove", self.real_path(path)))?;
        }
        Ok(())
    }

    fn adopt(&self, infos: &[PathInfo]) -> Result<(), OpenError> {
        for info in infos {
            // The crash may have come between rename and sealing.
            self.seal_again(&info.path)?;
        }
        let realisations: Vec<_> = infos
            .iter()
            .flat_map(|info| read_realisations(self.meta_fd(), &info.path))
            .collect();
        let signatures = self.recorded_signatures(infos.iter().map(|info| info.id));
        self.write::<_, DbError>(|write| {
            for info in infos {
                write.register(info)?;
            }
            for (object, signatures) in &signatures {
                write.add_signatures(object, signatures)?;
            }
            realisations
                .iter()
                .try_for_each(|realisation| write.add_realisation(realisation))
        })?;
        Ok(())
    }

    /// Takes over components that a dead process recorded and did not register.
    fn catch_up<'a>(&self, paths: impl Iterator<Item = &'a StorePath>) -> Result<(), OpenError> {
        for path in paths {
            let (Some(info), Some(record)) =
                (self.path_info(path)?, read_info(self.meta_fd(), path))
            else {
                continue;
            };
            if record.component.is_some() && record.component != info.component {
                self.write_with(Durability::PowerCut, |write| write.register(&record))?;
            }
        }
        Ok(())
    }

    /// Takes the right to write from an object's directory, where a process died that had to change it.
    fn seal_again(&self, path: &StorePath) -> Result<(), FileError> {
        let name = path.to_string();
        match open_directory_at(self.store_fd(), os(name.as_bytes())) {
            Ok(directory) => seal_directory(directory).map_err(at("change", self.real_path(path))),
            Err(_) => Ok(()),
        }
    }

    fn check_last_registered(&self) -> Result<(), OpenError> {
        let last = {
            let database = self.reader().lock().unwrap_or_else(PoisonError::into_inner);
            database.registered_since(
                database
                    .last_registered()?
                    .saturating_sub(SUSPICIOUS_SECONDS),
            )?
        };
        for path in last {
            let Some(info) = self.path_info(&path)? else {
                continue;
            };
            if check(self.store_fd(), &info).is_err() {
                self.unpool(&path)?;
                self.write(|write| write.mark_damaged(&path))?;
                self.options().tell(StoreEvent::Damaged { path });
            }
        }
        Ok(())
    }
}
