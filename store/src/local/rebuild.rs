//! The database, made again from the records.
//!
//! A new file is filled beside the old one and takes its place by rename, so whatever is interrupted leaves either the old database or none; and one
//! that is missing is made again by the next who opens the store. Nobody may write meanwhile: what they write would be in the old file. Those who read
//! keep the old file, which SQLite neither writes nor cleans up any more once it has moved, and look at the new one before they write, see
//! [`LocalStore::write_with`].
//!
//! All objects are hashed, so damage that was known is known again. What is there but has no record stays where it is.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ffi::OsStr,
    fs,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use nix::fcntl::FlockArg;
use rayon::prelude::*;

use super::{
    LocalStore, OpenError, StoreEvent, StoreOptions,
    record::{self, Named},
    verify::{Problem, check_contents},
    watch::Watch,
};
use crate::{
    db::{Database, DbError, Root, Write},
    id::{PathDigest, StorePath},
    info::{PathInfo, Realisation},
    sys::{
        FileError,
        change::{remove_file, rename_file, sync},
        files::{at, list, open_directory, open_directory_at, os, seal_directory},
        lock::{Lock, find_holders, lock_file, try_lock_file},
    },
    tree::Node,
};

/// What SQLite puts beside a database, by the end of its name.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// What the records gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RebuildReport {
    /// How many objects are known.
    pub objects: u64,
    /// How many realisations.
    pub realisations: u64,
    /// How many roots.
    pub roots: u64,
    /// Objects that are known and damaged or gone, ascending.
    pub damaged: Vec<StorePath>,
    /// What lies in the store and cannot be registered, as it or something it refers to has no record; ascending.
    pub unrecorded: Vec<StorePath>,
    /// Names of roots whose objects are not known, ascending.
    pub lost_roots: Vec<String>,
}

/// Why the database could not be made again. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The new database cannot be written.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// Somebody writes to the store.
    #[error("`{}` cannot be replaced while {holders} uses it to write", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
        /// Who does, by name and process id.
        holders: String,
    },
    /// The caller wants no more.
    #[error("the database was not rebuilt")]
    Interrupted,
}

/// Whether a database that is there is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replaced,
    Kept,
}

impl LocalStore {
    /// Makes the database of a store again from its records, whatever the old one is like, and puts it in its place.
    ///
    /// The result has the objects, references, components, realisations and roots of the old one, and its damaged objects. Fails if another process
    /// writes to the store; those that begin to while this runs wait.
    pub fn rebuild_database(
        root: &Path,
        options: &StoreOptions,
        watch: &Watch<'_>,
    ) -> Result<RebuildReport, RebuildError> {
        let report = rebuild(root, options, watch, Existing::Replaced)?;
        Ok(report.unwrap_or_default())
    }

    /// Fills an empty database.
    fn fill_database(&self, watch: &Watch<'_>) -> Result<RebuildReport, RebuildError> {
        let mut records = Records::load(self)?;
        let (paths, unrecorded) = records.choose(self.list_store_paths()?);
        let sizes = paths.iter().map(|(_, size, _)| *size);
        watch.started(paths.len() as u64, sizes.fold(0, u64::saturating_add));
        let verdicts: Vec<Option<&StorePath>> = paths
            .par_iter()
            .map(|(path, _, present)| {
                let whole = *present && self.is_whole(path, watch)?;
                Ok((!whole).then_some(path))
            })
            .collect::<Result<_, RebuildError>>()?;
        if watch.is_cancelled() {
            return Err(RebuildError::Interrupted);
        }
        let roots = self.root_records()?;
        let mut report = RebuildReport {
            objects: paths.len() as u64,
            realisations: records.realisations.len() as u64,
            damaged: verdicts.into_iter().flatten().cloned().collect(),
            unrecorded,
            ..RebuildReport::default()
        };
        report.damaged.sort();
        self.write(|write| -> Result<(), RebuildError> {
            for (path, ..) in &paths {
                let Some((info, _)) = record::read_all(self.meta_fd(), path)? else {
                    continue;
                };
                write.register(&info)?;
                if let Some(signatures) = record::load_signatures(self.meta_fd(), path.digest())? {
                    write.add_signatures(&info.id, &signatures)?;
                }
            }
            let mut realisations = records.realisations.iter();
            realisations.try_for_each(|realisation| write.add_realisation(realisation))?;
            for root in roots {
                restore_root(write, root, &mut report)?;
            }
            for path in &report.damaged {
                write.mark_damaged(path)?;
            }
            Ok(())
        })?;
        Ok(report)
    }

    /// The store paths in the store directory.
    fn list_store_paths(&self) -> Result<BTreeSet<StorePath>, FileError> {
        let entries = list(self.store_fd()).map_err(at("list", self.store_directory()))?;
        Ok(entries
            .iter()
            .filter_map(|(name, _)| name.to_str()?.parse().ok())
            .collect())
    }

    /// Tells whether an object that is there is what its record says. An object that was not sealed yet is sealed.
    fn is_whole(&self, path: &StorePath, watch: &Watch<'_>) -> Result<bool, RebuildError> {
        if watch.is_cancelled() {
            return Ok(false);
        }
        let Some((info, contents)) = record::read_all(self.meta_fd(), path)? else {
            return Ok(false);
        };
        let check = |watch| check_contents(self.store_fd(), &info, contents.as_ref(), watch);
        let mut problems = check(watch);
        if problems.iter().any(Problem::is_damage) {
            // What is not read at once may be read at another time.
            problems = check(&Watch::nobody());
        }
        if matches!(info.root, Node::Directory { .. })
            && problems
                .iter()
                .any(|problem| matches!(problem, Problem::Mode { file, .. } if file == "."))
        {
            let name = path.to_string();
            let directory = open_directory_at(self.store_fd(), os(name.as_bytes()))
                .map_err(at("open", self.real_path(path)))?;
            seal_directory(directory).map_err(at("change", self.real_path(path)))?;
        }
        Ok(!problems.iter().any(Problem::is_damage))
    }
}

fn restore_root(write: &Write<'_>, root: Root, report: &mut RebuildReport) -> Result<(), DbError> {
    match write.set_root(&root) {
        Ok(()) => report.roots += 1,
        Err(DbError::NotValid { .. }) => report.lost_roots.push(root.name),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Makes sure that a store that has had a database has one, and that nobody's attempt to make one is left. Tells whether it was made now, and keeps others
/// from putting another in its place while the lock is held. The first who opens a store is alone.
pub(super) fn prepare(root: &Path, options: &StoreOptions) -> Result<(Lock, bool), RebuildError> {
    if exists(&new_path(root))
        && let Some(_nobody) = try_lock_file(&lock_path(root, "rebuild"))?
    {
        remove_new(root)?;
    }
    let mut rebuilt = false;
    loop {
        let opening = lock_database(root, FlockArg::LockShared)?;
        if exists(&database_path(root)) {
            return Ok((opening, rebuilt));
        }
        drop(opening);
        if has_records(root) {
            options.tell(StoreEvent::Rebuilding);
            rebuilt |= rebuild(root, options, &Watch::nobody(), Existing::Kept)?.is_some();
            continue;
        }
        // A file that is there but not set up yet is nothing that others should open.
        let creating = lock_database(root, FlockArg::LockExclusive)?;
        if !exists(&database_path(root)) && !has_records(root) {
            return Ok((creating, false));
        }
    }
}

/// Held shared by who opens the database, exclusive by who puts another in its place.
pub(super) fn lock_database(root: &Path, kind: FlockArg) -> Result<Lock, FileError> {
    lock_file(&lock_path(root, "database"), kind)
}

fn rebuild(
    root: &Path,
    options: &StoreOptions,
    watch: &Watch<'_>,
    existing: Existing,
) -> Result<Option<RebuildReport>, RebuildError> {
    let _rebuilding = lock_file(&lock_path(root, "rebuild"), FlockArg::LockExclusive)?;
    if existing == Existing::Kept && exists(&database_path(root)) {
        return Ok(None);
    }
    let writers = lock_path(root, "writers");
    let _alone = try_lock_file(&writers)?.ok_or_else(|| RebuildError::InUse {
        path: database_path(root),
        holders: find_holders(&writers).join(", "),
    })?;
    let _deciding = lock_file(&lock_path(root, "publish"), FlockArg::LockExclusive)?;
    remove_new(root)?;
    let store =
        LocalStore::open_with(root, options.clone(), new_path(root), None).map_err(Box::new)?;
    let report = store.fill_database(watch)?;
    store.read(Database::checkpoint)?;
    drop(store);
    swap(root)?;
    Ok(Some(report))
}

/// Puts the new database in the place of the old one.
fn swap(root: &Path) -> Result<(), FileError> {
    let (new, current) = (new_path(root), database_path(root));
    let file = fs::File::open(&new).map_err(at("open", &new))?;
    sync(file).map_err(at("sync", &new))?;
    let directory = root.join("var");
    let _nobody_opens = lock_database(root, FlockArg::LockExclusive)?;
    // The log goes with its database, and never stands beside another one: SQLite would take it for that one's.
    if exists(&current) {
        rename_file(&current, &old_path(root))?;
    }
    for companion in COMPANIONS {
        remove_if_there(&beside(&current, companion))?;
    }
    rename_file(&new, &current)?;
    sync(open_directory(&directory)?).map_err(at("sync", &directory))?;
    remove_if_there(&old_path(root))
}

fn remove_new(root: &Path) -> Result<(), FileError> {
    for companion in COMPANIONS {
        remove_if_there(&beside(&new_path(root), companion))?;
    }
    remove_if_there(&old_path(root))?;
    remove_if_there(&new_path(root))
}

fn remove_if_there(path: &Path) -> Result<(), FileError> {
    if exists(path) {
        remove_file(path)
    } else {
        Ok(())
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Tells whether objects were ever recorded.
fn has_records(root: &Path) -> bool {
    let entries = fs::read_dir(record::directory(root));
    let mut entries = entries.into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().len() == 2)
}

fn database_path(root: &Path) -> PathBuf {
    root.join("var/db.sqlite")
}

fn new_path(root: &Path) -> PathBuf {
    root.join("var/db.rebuilding")
}

fn old_path(root: &Path) -> PathBuf {
    root.join("var/db.replaced")
}

fn beside(path: &Path, companion: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(companion);
    name.into()
}

fn lock_path(root: &Path, name: &str) -> PathBuf {
    root.join("var/lock").join(name)
}

/// What all records say. Of objects only the graph: the records are read again when they are written to the database.
#[derive(Debug, Default)]
struct Records {
    objects: BTreeMap<PathDigest, Recorded>,
    realisations: Vec<Realisation>,
}

#[derive(Debug)]
struct Recorded {
    path: StorePath,
    size_bytes: u64,
    references: Vec<PathDigest>,
}

impl Recorded {
    fn of(info: &PathInfo) -> Self {
        let references = info.references.iter();
        Self {
            path: info.path.clone(),
            size_bytes: info.size_bytes,
            references: references
                .map(|reference| *reference.path.digest())
                .collect(),
        }
    }
}

impl Records {
    fn load(store: &LocalStore) -> Result<Self, FileError> {
        let path = store.meta_directory();
        let names = list(store.meta_fd()).map_err(at("list", &path))?;
        let shards: Vec<Self> = names
            .par_iter()
            .filter(|(name, _)| name.len() == 2)
            .map(|(shard, _)| Self::load_shard(store, shard))
            .collect::<Result<_, _>>()?;
        let mut all = Self::default();
        for mut shard in shards {
            all.objects.append(&mut shard.objects);
            all.realisations.append(&mut shard.realisations);
        }
        Ok(all)
    }

    fn load_shard(store: &LocalStore, shard: &OsStr) -> Result<Self, FileError> {
        let path = store.meta_directory().join(shard);
        let directory = open_directory_at(store.meta_fd(), shard).map_err(at("open", &path))?;
        let mut records = Self::default();
        for (name, _) in list(&directory).map_err(at("list", &path))? {
            let Some(text) = name.to_str() else { continue };
            let named = record::read_named(directory.as_fd(), text);
            match named.map_err(at("read", path.join(&name)))? {
                Named::Object(info) => {
                    let recorded = Recorded::of(&info);
                    records.objects.insert(*info.path.digest(), recorded);
                }
                Named::Realisation(realisation) => records.realisations.push(*realisation),
                Named::Other => {}
            }
        }
        Ok(records)
    }

    /// Chooses what to register: what is there, and what that refers to. Returns it with its size and whether it is there, what is referred to before what
    /// refers; and what is there and cannot be registered.
    fn choose(
        &mut self,
        present: BTreeSet<StorePath>,
    ) -> (Vec<(StorePath, u64, bool)>, Vec<StorePath>) {
        let mut order = Order::default();
        let mut unrecorded = Vec::new();
        for path in &present {
            let known = self
                .objects
                .get(path.digest())
                .is_some_and(|recorded| recorded.path == *path);
            if !known || !order.visit(&self.objects, *path.digest()) {
                unrecorded.push(path.clone());
            }
        }
        let chosen = order
            .done
            .iter()
            .filter_map(|digest| self.objects.get(digest));
        let chosen = chosen.map(|recorded| {
            let path = recorded.path.clone();
            let is_present = present.contains(&path);
            (path, recorded.size_bytes, is_present)
        });
        (chosen.collect(), unrecorded)
    }
}

/// Walks the graph of records depth first, references first.
#[derive(Debug, Default)]
struct Order {
    done: Vec<PathDigest>,
    /// Whether an object and all that it needs has a record. Open while it is looked at, so a circle, which the store never writes, is refused.
    complete: BTreeMap<PathDigest, bool>,
}

impl Order {
    fn visit(&mut self, objects: &BTreeMap<PathDigest, Recorded>, digest: PathDigest) -> bool {
        let mut stack: Vec<(PathDigest, usize)> = Vec::new();
        self.push(&mut stack, digest);
        while let Some((current, next)) = stack.last_mut() {
            let current = *current;
            let recorded = objects.get(&current);
            match recorded.and_then(|recorded| recorded.references.get(*next)) {
                Some(reference) => {
                    *next += 1;
                    self.push(&mut stack, *reference);
                }
                None => {
                    let complete = recorded.is_some_and(|recorded| {
                        let mut references = recorded.references.iter();
                        references.all(|below| self.complete.get(below) == Some(&true))
                    });
                    self.complete.insert(current, complete);
                    if complete {
                        self.done.push(current);
                    }
                    stack.pop();
                }
            }
        }
        self.complete.get(&digest) == Some(&true)
    }

    fn push(&mut self, stack: &mut Vec<(PathDigest, usize)>, digest: PathDigest) {
        if let Entry::Vacant(entry) = self.complete.entry(digest) {
            entry.insert(false);
            stack.push((digest, 0));
        }
    }
}
