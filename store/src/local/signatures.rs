//! Signatures that are known of objects, merged whenever they are seen.
//!
//! They are rows, and a record each beside the object's own: `<aa>/<digest>.signatures`, from which the rows are made again with the object's. The record
//! is written inside the transaction, so that two processes which add to one object do not lose each other's. Not synced: losing a signature costs
//! a question to a cache.

use std::os::fd::AsFd;

use super::{
    AddError, LocalStore,
    record::{read_signatures, stage_signatures},
};
use crate::{
    db::{Database, DbError, Durability},
    id::{ObjectId, ResolvedDigest},
    trust::{Signatures, SignedRealisation},
};

impl LocalStore {
    /// Adds signatures to those that are known of valid objects; what is known already costs a query each and no write. Tells of how many objects
    /// something was new.
    ///
    /// Nothing is verified here. Objects that are not valid are passed over, as are signatures of another component than the object has here. At most 64
    /// signatures are kept of each statement, and of 64 different facts about realisations of an object; those that are here stay.
    pub fn add_signatures(&self, new: &[(ObjectId, Signatures)]) -> Result<usize, AddError> {
        let mut unknown = Vec::new();
        for (object, signatures) in new {
            if !self.has_signatures(object, signatures)? {
                unknown.push((object, signatures));
            }
        }
        if unknown.is_empty() {
            return Ok(0);
        }
        self.check_writable()?;
        let staging = self.create_staging()?;
        self.write_with(Durability::Kill, |write| {
            let mut added = 0;
            for (object, signatures) in unknown {
                let Some(all) = write.add_signatures(object, signatures)? else {
                    continue;
                };
                stage_signatures(&staging, added, &object.path_digest(), &all, staging.path())?
                    .publish(staging.as_fd(), &self.meta_directory(), self.meta_fd())?;
                added += 1;
            }
            Ok(added)
        })
    }

    /// Returns the signatures that are known of a valid object; none for what is not valid.
    pub fn find_signatures(&self, object: &ObjectId) -> Result<Signatures, DbError> {
        self.read(|database| database.find_signatures(object))
    }

    /// Returns the signed realisations of a derivation that ended in valid objects, by object and output. Of one realisation there may be several, with
    /// different times.
    pub fn find_realisation_signatures(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<Vec<SignedRealisation>, DbError> {
        self.read(|database| database.find_realisation_signatures(resolved))
    }

    /// Returns what the record of signatures of each object says, for those that have one.
    pub(super) fn recorded_signatures(
        &self,
        objects: impl Iterator<Item = ObjectId>,
    ) -> Vec<(ObjectId, Signatures)> {
        let read = |object: ObjectId| {
            let signatures = read_signatures(self.meta_fd(), &object.path_digest())?;
            Some((object, signatures))
        };
        objects.filter_map(read).collect()
    }

    /// Tells whether nothing of these is new.
    fn has_signatures(&self, object: &ObjectId, new: &Signatures) -> Result<bool, DbError> {
        if new.is_empty() {
            return Ok(true);
        }
        let mut known = self.read(|database: &Database| database.find_signatures(object))?;
        Ok(!known.merge(new))
    }
}
