//! The steps of the protocol for one batch of candidates; see [`super`].

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    os::fd::BorrowedFd,
};

use nix::fcntl::FlockArg;
use rayon::prelude::*;

use super::{GcError, RootState};
use crate::{
    db::{
        Database, DbError, Durability, GraphObject, ObjectState, Root, Tombstone, Write, is_facts,
    },
    id::{PathDigest, StorePath},
    local::LocalStore,
    sys::{FileError, lock::lock_file},
};

impl LocalStore {
    /// Takes validity from those candidates that nothing keeps, durably.
    pub(super) fn set_tombstones(
        &self,
        database: &mut Database,
        candidates: &[&GraphObject],
    ) -> Result<Vec<Tombstone>, GcError> {
        database.set_durability(Durability::PowerCut)?;
        let _changing = self.lock_roots()?;
        let write = database.begin(&|| self.tell_waiting())?;
        // Nobody writes into a lease from before the leases are read until the tombstones can be seen.
        let turn = lock_file(&self.lease_lock_path(), FlockArg::LockExclusive)?;
        let leased = self.leased()?;
        let mut roots: BTreeMap<PathDigest, Vec<Root>> = BTreeMap::new();
        for root in write.list_roots()? {
            roots.entry(*root.path.digest()).or_default().push(root);
        }
        let mut facts = FactsKept::of(&write, candidates)?;
        let mut tombstones = Vec::with_capacity(candidates.len());
        let mut stale_roots = Vec::new();
        for candidate in candidates {
            let digest = candidate.path.digest();
            let named = roots.get(digest).map(Vec::as_slice).unwrap_or_default();
            if leased.contains(digest) || self.has_live_root(named)? || facts.is_kept(digest) {
                continue;
            }
            if !write.set_tombstone(candidate.id, digest)? {
                continue;
            }
            facts.forget(candidate.id);
            for stale in named {
                write.remove_root(&stale.name)?;
                stale_roots.push(stale.name.as_str());
            }
            tombstones.push(Tombstone {
                id: candidate.id,
                path: candidate.path.clone(),
                // What it was before makes no difference for removing it.
                state: ObjectState::Deleting,
            });
        }
        write.commit()?;
        drop(turn);
        self.remove_root_records(&stale_roots)?;
        database.set_durability(Durability::Kill)?;
        Ok(tombstones)
    }

    fn has_live_root(&self, roots: &[Root]) -> Result<bool, GcError> {
        for root in roots {
            if self.root_state(root)? == RootState::Live {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes objects from a collector's trash, on all cores.
    pub(super) fn unlink_all(
        &self,
        trash: BorrowedFd<'_>,
        paths: &[StorePath],
    ) -> Result<(), FileError> {
        paths
            .par_iter()
            .try_for_each(|path| self.remove_trashed(trash, path))
    }
}

/// The objects of facts that stay because of whose facts they are. Inside of the transaction that decides.
#[derive(Debug, Default)]
struct FactsKept {
    /// The rows of those whose facts an object has.
    owners: HashMap<PathDigest, Vec<i64>>,
    /// The rows that have gone in this batch.
    gone: HashSet<i64>,
}

impl FactsKept {
    fn of(write: &Write<'_>, candidates: &[&GraphObject]) -> Result<Self, DbError> {
        // Asking reads all components, so it is done only where the answer matters.
        if !candidates.iter().any(|candidate| is_facts(&candidate.path)) {
            return Ok(Self::default());
        }
        Ok(Self {
            owners: write.facts_owners()?,
            gone: HashSet::new(),
        })
    }

    fn is_kept(&self, digest: &PathDigest) -> bool {
        let mut owners = self.owners.get(digest).into_iter().flatten();
        owners.any(|owner| !self.gone.contains(owner))
    }

    fn forget(&mut self, owner: i64) {
        self.gone.insert(owner);
    }
}
