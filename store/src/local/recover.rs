//! Puts right what was interrupted. Silent, idempotent, and nearly free when there is nothing to do.
//!
//! Three things can have happened. *A process died*: its staging directory is there and nobody has it locked; the file `publish` in it names what it
//! may have renamed into place without registering it. *The machine went down while somebody was writing*: the marker `var/unclean` names
//! another boot; SQLite may have lost its last transactions, so every object without a row is looked at, and what was registered last is
//! hashed again. *The database is new* but objects are there: then it is rebuilt from the records.
//!
//! An object without a row is registered if its record is there, its bytes hash to its id, and all it refers to is valid; else it is removed. While
//! this is decided nobody may be between renaming and registering, hence the exclusive lock.

use std::{collections::BTreeSet, ffi::OsString, fs, sync::PoisonError};

use nix::fcntl::FlockArg;

use super::{
    LocalStore, OpenError, StoreEvent,
    check::check,
    record::{read_info, read_realisations},
    staging::find_stale,
};
use crate::{
    db::Durability,
    id::StorePath,
    info::PathInfo,
    sys::{
        change::remove_file,
        files::{at, list, open_directory_at, os, remove_at, seal_directory},
        lock::lock_file,
    },
};

/// Objects registered in the last seconds before a crash of the machine are hashed again: disks lie about what they have written, but
/// not for long.
const SUSPICIOUS_SECONDS: u64 = 60;

impl LocalStore {
    pub(super) fn recover(&self, fresh: bool) -> Result<(), OpenError> {
        let staging_path = self.store_directory().join(".staging");
        let stale = find_stale(self.staging_fd(), &staging_path)?;
        let crashed = self.is_marked_by_another_boot();
        if !stale.is_empty() || crashed || fresh {
            self.options().tell(StoreEvent::Recovering);
            let _deciding = lock_file(&self.publish_lock_path(), FlockArg::LockExclusive)?;
            let mut orphans: BTreeSet<StorePath> = stale
                .iter()
                .flat_map(|stale| stale.publish.iter().cloned())
                .collect();
            // Another process may have done this while we waited.
            let crashed = crashed && self.is_marked_by_another_boot();
            if crashed || fresh {
                orphans.extend(self.list_objects()?);
            }
            self.settle(orphans)?;
            self.catch_up(stale.iter().flat_map(|stale| &stale.publish))?;
            if crashed {
                self.check_last_registered()?;
                self.clear_marker()?;
            }
            for stale in &stale {
                remove_at(self.staging_fd(), &stale.name)
                    .map_err(at("remove", staging_path.join(&stale.name)))?;
            }
        }
        self.empty_trash()
    }

    fn is_marked_by_another_boot(&self) -> bool {
        fs::read(self.marker_path()).is_ok_and(|boot| boot != self.boot().as_bytes())
    }

    fn clear_marker(&self) -> Result<(), OpenError> {
        self.reader()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .checkpoint()?;
        let marker = self.marker_path();
        remove_file(&marker)?;
        Ok(())
    }

    /// The names in the store directory that are store paths.
    fn list_objects(&self) -> Result<Vec<StorePath>, OpenError> {
        let entries = list(self.store_fd()).map_err(at("list", self.store_directory()))?;
        Ok(entries
            .iter()
            .filter_map(|(name, _)| name.to_str()?.parse().ok())
            .collect())
    }

    /// Registers or removes objects that have no row.
    fn settle(&self, paths: BTreeSet<StorePath>) -> Result<(), OpenError> {
        let mut orphans: Vec<PathInfo> = Vec::new();
        for path in paths {
            if self.path_info(&path)?.is_some() {
                continue;
            }
            match read_info(self.meta_fd(), &path) {
                Some(info) if check(self.store_fd(), &info).is_ok() => orphans.push(info),
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

    fn adopt(&self, infos: &[PathInfo]) -> Result<(), OpenError> {
        for info in infos {
            // The crash may have come between rename and sealing.
            let name = info.path.to_string();
            if let Ok(directory) = open_directory_at(self.store_fd(), os(name.as_bytes())) {
                seal_directory(directory).map_err(at("change", self.real_path(&info.path)))?;
            }
        }
        let realisations: Vec<_> = infos
            .iter()
            .flat_map(|info| read_realisations(self.meta_fd(), &info.path))
            .collect();
        let signatures = self.recorded_signatures(infos.iter().map(|info| info.id));
        self.write(|write| {
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

    fn empty_trash(&self) -> Result<(), OpenError> {
        let path = self.store_directory().join(".trash");
        let names: Vec<OsString> = list(self.trash_fd())
            .map_err(at("list", &path))?
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        for name in names {
            remove_at(self.trash_fd(), &name).map_err(at("remove", path.join(&name)))?;
        }
        Ok(())
    }
}
