//! The steps of the protocol for one batch of candidates; see [`super`].

use std::{collections::BTreeMap, os::fd::BorrowedFd};

use nix::fcntl::FlockArg;
use rayon::prelude::*;

use super::{GcError, RootState};
use crate::{
    db::{Database, Durability, GraphObject, ObjectState, Root, Tombstone},
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
        let mut tombstones = Vec::with_capacity(candidates.len());
        let mut stale_roots = Vec::new();
        for candidate in candidates {
            let digest = candidate.path.digest();
            let named = roots.get(digest).map(Vec::as_slice).unwrap_or_default();
            if leased.contains(digest) || self.has_live_root(named)? {
                continue;
            }
            if !write.set_tombstone(candidate.id, digest)? {
                continue;
            }
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
