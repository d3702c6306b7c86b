//! Objects that are wanted again after a collector has taken their validity away.
//!
//! Whoever wants an object leases it first and asks for its state second. From then on no collector can take validity away. If the row
//! says that it is being deleted, that was decided before the lease, and one transaction settles it, against the one transaction in which the collector
//! removes row and bytes: whichever comes first wins, and the other finds nothing to do.
//!
//! * The object and its record lie at their places, or in the trash of a collector that died, and so does all that it refers to: it is valid again, and
//!   no file is written.
//! * Otherwise it becomes damaged, a state that no collector touches while the lease lives, and may be added anew.

use super::{Lease, LeaseError, LocalStore};
use crate::{
    db::{DbError, ObjectState},
    id::{PathDigest, StorePath},
    sys::FileError,
};

impl LocalStore {
    /// Protects paths, with all that they refer to, and returns those of them that are not valid, in the order given.
    ///
    /// The others stay valid until the lease is dropped. This is how to ask for paths that somebody may be deleting: a path that is about to go
    /// becomes valid again if its bytes are still there.
    pub fn hold(&self, lease: &Lease, paths: &[StorePath]) -> Result<Vec<StorePath>, LeaseError> {
        let digests: Vec<PathDigest> = paths.iter().map(|path| *path.digest()).collect();
        lease.protect(&digests)?;
        let mut missing = Vec::new();
        for path in paths {
            if self.claim::<LeaseError>(path.digest())? != Some(ObjectState::Valid) {
                missing.push(path.clone());
            }
        }
        Ok(missing)
    }

    /// Returns whether an object that is leased is valid, damaged or unknown: it is not being deleted when this returns.
    pub(super) fn claim<E: From<DbError> + From<FileError>>(
        &self,
        digest: &PathDigest,
    ) -> Result<Option<ObjectState>, E> {
        let state = self.read(|database| database.find_state(digest))?;
        let is_deleted = matches!(
            state,
            Some(ObjectState::Deleting | ObjectState::DeletingDamaged)
        );
        if !is_deleted || self.is_read_only() {
            return Ok(state);
        }
        self.revive::<E>(digest)?;
        Ok(self.read(|database| database.find_state(digest))?)
    }

    fn revive<E: From<DbError> + From<FileError>>(&self, digest: &PathDigest) -> Result<(), E> {
        self.mark_unclean()?;
        self.write(|write| {
            let closure = write.invalid_closure(digest)?;
            let Some(wanted) = closure.iter().find(|one| one.path.digest() == digest) else {
                // Its collector was faster, or somebody else has revived it.
                return Ok(());
            };
            if matches!(wanted.state, ObjectState::Valid | ObjectState::Damaged) {
                return Ok(());
            }
            for object in &closure {
                if object.state != ObjectState::Deleting || !self.take_back(&object.path)? {
                    write.set_damaged(wanted.id)?;
                    return Ok(());
                }
            }
            for object in &closure {
                write.revive(object.id)?;
            }
            Ok(())
        })
    }
}
