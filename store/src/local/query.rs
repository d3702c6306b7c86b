//! Questions to the store.

use std::{collections::BTreeSet, sync::PoisonError};

use super::{
    LeaseError, LocalStore,
    lease::{Leased, read_leases},
};
use crate::{
    closure::{Closure, ClosureError},
    db::{Database, DbError},
    id::{ObjectId, PathDigest, ResolvedDigest, StorePath, is_digit},
    info::{PathInfo, Realisation, RecordedOutput},
    sys::FileError,
};

/// How often a question is asked of a database that changes meanwhile. Each change is the end of a process that wrote.
const READS: usize = 100;

impl LocalStore {
    /// Returns what is known about a valid path; `None` if it is not valid here.
    pub fn path_info(&self, path: &StorePath) -> Result<Option<PathInfo>, DbError> {
        self.read(|database| database.find_by_path(path))
    }

    /// Returns what is known about a valid object.
    pub fn find_by_id(&self, id: &ObjectId) -> Result<Option<PathInfo>, DbError> {
        self.read(|database| database.find_by_id(id))
    }

    /// Returns the valid paths whose digests begin with these digits, ascending. Empty for what no digest begins with.
    pub fn find_by_prefix(&self, digest_prefix: &str) -> Result<Vec<StorePath>, DbError> {
        let bound = |fill: &str| {
            let digits = digest_prefix
                .chars()
                .chain(fill.chars().cycle())
                .take(40)
                .collect::<String>();
            digits.parse::<PathDigest>().ok()
        };
        let legal = digest_prefix.len() <= 40 && digest_prefix.bytes().all(is_digit);
        match (bound("0"), bound("z")) {
            (Some(from), Some(to)) if legal => {
                self.read(|database| database.find_range(&from, &to))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Returns the paths of objects that were found damaged and have not been repaired, ascending. They are not valid.
    pub fn list_damaged(&self) -> Result<Vec<StorePath>, DbError> {
        self.read(Database::list_damaged)
    }

    /// Returns how many objects are valid and the sum of their sizes in bytes, each counted whole.
    pub fn count_objects(&self) -> Result<(u64, u64), DbError> {
        self.read(Database::count_objects)
    }

    /// Returns everything that the roots need, references first.
    pub fn closure(&self, roots: &[StorePath]) -> Result<Closure, ClosureError> {
        let mut infos = self.read(|database| database.load_closure(roots))?;
        Closure::collect(roots, |path| Ok(infos.remove(path)))
    }

    /// Returns the paths of everything that the roots need, themselves included, ascending. What [`closure`](Self::closure) tells beside the paths takes several times as long.
    pub fn closure_paths(&self, roots: &[StorePath]) -> Result<Vec<StorePath>, ClosureError> {
        let paths = self.read(|database| database.closure_paths(roots))?;
        let is_whole = |paths: &Vec<StorePath>| {
            let is_there = |root: &StorePath| paths.binary_search(root).is_ok();
            roots.iter().all(is_there)
        };
        match paths.filter(is_whole) {
            Some(paths) => Ok(paths),
            // It says which is not valid, and who needs it.
            None => Ok(self.closure(roots)?.paths().cloned().collect()),
        }
    }

    /// Returns what a derivation was built to, whether the objects are still here or not. Valid ones come first, then by output and by object.
    pub fn find_recorded_outputs(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<Vec<RecordedOutput>, DbError> {
        self.read(|database| database.find_recorded_outputs(resolved))
    }

    /// Returns what a derivation was built to, by output and then by object; only objects that are valid.
    pub fn find_realisations(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<Vec<Realisation>, DbError> {
        self.read(|database| database.find_realisations(resolved))
    }

    /// Returns which derivations were built to a valid object, by what was built and output.
    pub fn find_realisations_of(&self, object: &ObjectId) -> Result<Vec<Realisation>, DbError> {
        self.read(|database| database.find_realisations_of(object))
    }

    /// Returns the digests that living processes hold leases on, and removes the leases of dead ones.
    pub fn leased(&self) -> Result<BTreeSet<PathDigest>, LeaseError> {
        let leases = self.read_leases()?;
        Ok(leases.into_iter().flat_map(|lease| lease.digests).collect())
    }

    /// Returns what each living process leases, and removes the leases of dead ones.
    pub(crate) fn read_leases(&self) -> Result<Vec<Leased>, FileError> {
        read_leases(&self.lease_directory())
    }

    /// Asks the database. Where it is read as a file that does not change and has changed, it is opened and asked again.
    pub(crate) fn read<T, E: From<DbError>>(
        &self,
        question: impl Fn(&Database) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut database = self.reader().lock().unwrap_or_else(PoisonError::into_inner);
        if database.is_moved() {
            *database = self.open_database()?;
        }
        for _ in 0..READS {
            let answer = question(&database);
            if !database.is_outdated() {
                return answer;
            }
            *database = Database::open_read_only(self.database_path())?;
        }
        Err(E::from(DbError::Changing {
            root: self.root().to_owned(),
        }))
    }
}
