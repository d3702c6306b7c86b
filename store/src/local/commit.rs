//! From staging to validity: one sync and one transaction for all who wait.
//!
//! The first caller leads: it takes everything that is queued through the steps below and hands out the results. Callers that come while it works are
//! the next group, so under load the price of a flush is shared and nobody waits for more than two.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use nix::{errno::Errno, fcntl::FlockArg};

use super::{
    AddError, LocalStore, StoreEvent, record::StagedRecord, share::NewContents, staging::Staging,
};
use crate::{
    db::{DbError, Durability, Write},
    id::StorePath,
    info::{PathInfo, Realisation},
    sys::{
        change::{exchange, rename_new, sync, sync_file_system},
        files::{at, open_directory, open_directory_at, os, seal_directory, unseal},
        lock::lock_file,
    },
    tree::Node,
};

/// Directories that are synced one by one; beyond this number the whole file system is.
const DIRECTORIES_TO_SYNC: usize = 16;

/// A batch that lies complete in staging.
#[derive(Debug)]
pub(super) struct Publish {
    staging: OwnedFd,
    /// Objects to be renamed into place and registered, references first.
    pub(super) new: Vec<Item>,
    /// Objects that are valid already and get another component.
    pub(super) known: Vec<PathInfo>,
    pub(super) records: Vec<StagedRecord>,
    pub(super) realisations: Vec<Realisation>,
}

/// An object in staging.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) target: OsString,
    pub(super) info: PathInfo,
}

impl Publish {
    /// Whether it holds more than realisations, whose loss costs a build and not a byte.
    fn holds_objects(&self) -> bool {
        !self.new.is_empty() || !self.known.is_empty()
    }

    pub(super) fn new(staging: BorrowedFd<'_>) -> std::io::Result<Self> {
        Ok(Self {
            staging: staging.try_clone_to_owned()?,
            new: Vec::new(),
            known: Vec::new(),
            records: Vec::new(),
            realisations: Vec::new(),
        })
    }
}

/// The queue of batches that wait for a leader.
#[derive(Debug, Default)]
pub(super) struct Committer {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Arc<Ticket>>,
    led: bool,
}

#[derive(Debug)]
struct Ticket {
    publish: Publish,
    result: Mutex<Option<Result<(), AddError>>>,
}

impl Ticket {
    fn take(&self) -> Option<Result<(), AddError>> {
        self.result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn put(&self, result: Result<(), AddError>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

impl LocalStore {
    /// Makes a batch valid, and enters what was written for it into the pool.
    pub(super) fn publish_staged(
        &self,
        staging: Staging<'_>,
        publish: Publish,
        written: &NewContents,
    ) -> Result<(), AddError> {
        let new = publish.new.iter().map(|item| &item.info);
        let paths: Vec<&StorePath> = new.chain(&publish.known).map(|info| &info.path).collect();
        if !paths.is_empty() {
            staging.write_publish(&paths)?;
        }
        let places = publish.new.iter();
        let places: BTreeMap<OsString, StorePath> = places
            .map(|item| (item.target.clone(), item.info.path.clone()))
            .collect();
        let committed = self.commit(publish);
        if committed.is_err() {
            // Some objects may be in place without being registered, some records may say what the database does not; the next who opens the store
            // decides about them.
            staging.abandon();
            return committed;
        }
        self.enter(written, &places);
        Ok(())
    }

    pub(super) fn commit(&self, publish: Publish) -> Result<(), AddError> {
        let ticket = Arc::new(Ticket {
            publish,
            result: Mutex::new(None),
        });
        let committer = self.committer();
        let mut queue = committer
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push(Arc::clone(&ticket));
        loop {
            if let Some(result) = ticket.take() {
                return result;
            }
            if queue.led {
                queue = committer
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.led = true;
            let group = std::mem::take(&mut queue.waiting);
            drop(queue);
            self.lead(&group);
            queue = committer
                .queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            queue.led = false;
            committer.changed.notify_all();
        }
    }

    /// Takes a group through all steps and leaves a result in each ticket.
    fn lead(&self, group: &[Arc<Ticket>]) {
        if let Err(Failed {
            action,
            path,
            errno,
        }) = self.sync_staged(group)
        {
            for ticket in group {
                ticket.put(Err(at(action, path.clone())(errno).into()));
            }
            return;
        }
        // Whoever decides about unregistered objects waits until ours are registered.
        let _publishing = match lock_file(&self.publish_lock_path(), FlockArg::LockShared) {
            Ok(lock) => lock,
            Err(error) => {
                let errno = Errno::try_from(error.source).unwrap_or(Errno::EIO);
                for ticket in group {
                    ticket.put(Err(at("lock", self.publish_lock_path())(errno).into()));
                }
                return;
            }
        };
        let mut renamed = Vec::new();
        for ticket in group {
            match self.rename(&ticket.publish) {
                Ok(found) => renamed.push(Renamed { ticket, found }),
                Err(error) => ticket.put(Err(error)),
            }
        }
        if let Err(Failed {
            action,
            path,
            errno,
        }) = self.sync_renames(&renamed)
        {
            for Renamed { ticket, .. } in renamed {
                ticket.put(Err(at(action, path.clone())(errno).into()));
            }
            return;
        }
        match self.register(&renamed) {
            Ok(results) => renamed
                .iter()
                .zip(results)
                .for_each(|(renamed, result)| renamed.ticket.put(result)),
            Err(source) => {
                let source = Arc::new(source);
                for Renamed { ticket, .. } in renamed {
                    ticket.put(Err(AddError::Group {
                        source: Arc::clone(&source),
                    }));
                }
            }
        }
    }

    /// Brings all files of the group to disk before any gets its final name.
    ///
    /// A group without objects needs no sync. The record of an object that is valid already does: it is renamed over a good one.
    fn sync_staged(&self, group: &[Arc<Ticket>]) -> Result<(), Failed> {
        if !group.iter().any(|ticket| ticket.publish.holds_objects()) {
            return Ok(());
        }
        sync_file_system(self.store_fd()).map_err(|errno| Failed {
            action: "sync",
            path: self.store_directory(),
            errno,
        })?;
        if self.is_split() {
            sync_file_system(self.meta_fd()).map_err(|errno| Failed {
                action: "sync",
                path: self.meta_directory(),
                errno,
            })?;
        }
        Ok(())
    }

    /// Brings to disk what is written so far, so that the next commit has less to wait for. It promises nothing: that commit syncs all the same, and is told of what
    /// failed here, because errors are kept for each descriptor and this has one of its own.
    pub(crate) fn write_back(&self) {
        if let Ok(directory) = open_directory(&self.store_directory()) {
            let _nothing_promised: nix::Result<()> = sync_file_system(directory);
        }
    }

    /// Puts records and objects in place. Returns the objects that another process has made valid meanwhile.
    fn rename(&self, publish: &Publish) -> Result<BTreeSet<StorePath>, AddError> {
        for record in &publish.records {
            record.publish(
                publish.staging.as_fd(),
                &self.meta_directory(),
                self.meta_fd(),
            )?;
        }
        let mut found = BTreeSet::new();
        for item in &publish.new {
            if !self.rename_object(publish, item)? {
                found.insert(item.info.path.clone());
            }
        }
        Ok(found)
    }

    /// Puts an object in place. Tells whether it did: not if another process was faster, ours goes with its staging directory then.
    fn rename_object(&self, publish: &Publish, item: &Item) -> Result<bool, AddError> {
        let name: OsString = item.info.path.to_string().into();
        let path = self.real_path(&item.info.path);
        loop {
            match rename_new(
                publish.staging.as_fd(),
                &item.target,
                self.store_fd(),
                &name,
            ) {
                Ok(()) => break,
                Err(Errno::EEXIST) => {
                    if self.path_info(&item.info.path)?.is_some() {
                        return Ok(false);
                    }
                    if self.replace(publish, item)? {
                        break;
                    }
                }
                Err(error) => return Err(at("create", path)(error).into()),
            }
        }
        if matches!(item.info.root, Node::Directory { .. }) {
            let directory = open_directory_at(self.store_fd(), &name).map_err(at("open", &path))?;
            seal_directory(directory).map_err(at("change", &path))?;
        }
        Ok(true)
    }

    /// Puts an object in the place of what lies there, which goes with the staging directory. Tells whether there was anything.
    ///
    /// In one step: another process may be about to register what lies there, which is as good as ours then, and it must never find its place empty.
    fn replace(&self, publish: &Publish, item: &Item) -> Result<bool, AddError> {
        let name = item.info.path.to_string();
        let name = os(name.as_bytes());
        let failed = || at("create", self.real_path(&item.info.path));
        let swap = || exchange(publish.staging.as_fd(), &item.target, self.store_fd(), name);
        let swapped = match swap() {
            // An ordinary user may rename a directory to another parent only while it is writable.
            Err(Errno::EACCES) => unseal(self.store_fd(), name).and_then(|()| swap()),
            result => result,
        };
        match swapped {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(failed()(error).into()),
        }
    }

    /// Makes the new names survive a crash.
    fn sync_renames(&self, group: &[Renamed<'_>]) -> Result<(), Failed> {
        let tickets = || group.iter().map(|renamed| renamed.ticket);
        if !tickets().any(|ticket| ticket.publish.holds_objects()) {
            return Ok(());
        }
        let shards: BTreeSet<&str> = tickets()
            .flat_map(|ticket| {
                ticket
                    .publish
                    .records
                    .iter()
                    .map(|record| record.shard.as_str())
            })
            .collect();
        let failed = |path: PathBuf| {
            move |errno| Failed {
                action: "sync",
                path,
                errno,
            }
        };
        if shards.len() > DIRECTORIES_TO_SYNC {
            sync_file_system(self.meta_fd()).map_err(failed(self.meta_directory()))?;
        } else {
            for shard in shards {
                let path = self.meta_directory().join(shard);
                let directory = open_directory_at(self.meta_fd(), os(shard.as_bytes()))
                    .map_err(failed(path.clone()))?;
                sync(directory).map_err(failed(path))?;
            }
            sync(self.meta_fd()).map_err(failed(self.meta_directory()))?;
        }
        sync(self.store_fd()).map_err(failed(self.store_directory()))?;
        Ok(())
    }

    /// Registers the group in one transaction; a batch that is refused does not hold up the others.
    fn register(&self, group: &[Renamed<'_>]) -> Result<Vec<Result<(), AddError>>, DbError> {
        // Recovery makes a transaction again that registered objects. Not one that changed a component: it would have to compare all records.
        let changes = group
            .iter()
            .any(|renamed| !renamed.ticket.publish.known.is_empty());
        let durability = if changes {
            Durability::PowerCut
        } else {
            Durability::Kill
        };
        self.write_with(durability, |write| {
            let mut results = Vec::with_capacity(group.len());
            for Renamed { ticket, found } in group {
                results.push(write.part(|| {
                    for item in &ticket.publish.new {
                        if found.contains(&item.info.path) {
                            write.confirm(&item.info)?;
                        } else {
                            write.register(&item.info)?;
                        }
                    }
                    for info in &ticket.publish.known {
                        write.register(info)?;
                    }
                    for realisation in &ticket.publish.realisations {
                        write.add_realisation(realisation)?;
                    }
                    Ok::<(), AddError>(())
                }));
            }
            Ok(results)
        })
    }

    /// Runs one writing transaction that recovery can make again if a power cut undoes it.
    pub(crate) fn write<T, E: From<DbError>>(
        &self,
        change: impl FnOnce(&Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_with(Durability::Kill, change)
    }

    /// Runs one writing transaction.
    pub(super) fn write_with<T, E: From<DbError>>(
        &self,
        durability: Durability,
        change: impl FnOnce(&Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.check_writable()?;
        let mut writer = self.writer().lock().unwrap_or_else(PoisonError::into_inner);
        let database = match &mut *writer {
            Some(database) if !database.is_moved() => database,
            missing => missing.insert(self.open_database()?),
        };
        database.set_durability(durability)?;
        let write = database.begin(&|| self.tell_waiting())?;
        let result = change(&write)?;
        write.commit()?;
        Ok(result)
    }
}

impl LocalStore {
    /// Tells that the database is taken.
    pub(crate) fn tell_waiting(&self) {
        self.options().tell(StoreEvent::WaitingForDatabase);
    }
}

/// A batch whose objects are in place.
struct Renamed<'a> {
    ticket: &'a Arc<Ticket>,
    /// Those that others have made valid.
    found: BTreeSet<StorePath>,
}

/// A failure that a whole group shares; told to each in its own words.
struct Failed {
    action: &'static str,
    path: PathBuf,
    errno: Errno,
}
