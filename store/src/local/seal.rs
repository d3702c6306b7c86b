//! From what was found in a batch to the order of its objects and to their references. Pure.

use std::collections::BTreeMap;

use super::{
    AddBatch, AddError, AddObject,
    draft::{Draft, Evidence, Place},
};
use crate::{
    id::{ObjectId, PathDigest, StorePath},
    info::Reference,
    scan::{Needles, scan_bytes},
    sys::files::join,
};

/// What a batch may refer to, by the indices that needles use.
#[derive(Debug)]
pub(super) struct Targets {
    /// Valid paths.
    pub(super) candidates: Vec<(StorePath, ObjectId)>,
    /// Scratch paths and the index of the object that each stands for.
    pub(super) scratches: Vec<(StorePath, usize)>,
}

impl Targets {
    pub(super) fn of(batch: &AddBatch<'_>) -> Self {
        let mut candidates = batch.candidates.clone();
        candidates.sort();
        candidates.dedup_by(|a, b| a.0.digest() == b.0.digest());
        let scratches = batch.objects.iter().enumerate();
        let scratches = scratches
            .filter_map(|(index, object)| object.scratch.clone().map(|scratch| (scratch, index)));
        Self {
            candidates,
            scratches: scratches.collect(),
        }
    }

    pub(super) fn needles(&self) -> Needles {
        let digests = |paths: &mut dyn Iterator<Item = &StorePath>| {
            paths
                .map(|path| *path.digest())
                .collect::<Vec<PathDigest>>()
        };
        Needles::new(
            &digests(&mut self.candidates.iter().map(|(path, _)| path)),
            &digests(&mut self.scratches.iter().map(|(path, _)| path)),
        )
    }

    /// Returns the index of the scratch digest that stands for an object.
    pub(super) fn scratch_of(&self, object: usize) -> Option<usize> {
        self.scratches
            .iter()
            .position(|(_, owner)| *owner == object)
    }

    /// Collects what was found in an object, in the order of its paths.
    ///
    /// Fails for the first thing that cannot be replaced.
    pub(super) fn evidence(
        &self,
        object: &AddObject<'_>,
        draft: &Draft,
        needles: &Needles,
    ) -> Result<Evidence, AddError> {
        let mut evidence = Evidence::default();
        if !needles.is_empty() {
            self.gather(object, draft, &[], needles, &mut evidence)?;
        }
        Ok(evidence)
    }

    fn gather(
        &self,
        object: &AddObject<'_>,
        draft: &Draft,
        path: &[u8],
        needles: &Needles,
        evidence: &mut Evidence,
    ) -> Result<(), AddError> {
        let findings = match draft {
            Draft::File(file) => &file.findings,
            Draft::Symlink(link) => &link.findings,
            Draft::Directory(entries) => {
                for (name, draft) in entries {
                    let below = join(path, name.as_bytes());
                    let mut in_name = scan_bytes(needles, name.as_bytes());
                    if let Some(scratch) = scratch_in(&in_name) {
                        return Err(AddError::ResidueInName {
                            name: object.name.clone(),
                            file: String::from_utf8_lossy(&below).into_owned(),
                            scratch: self.scratches[scratch].0.clone(),
                        });
                    }
                    in_name
                        .candidates
                        .values_mut()
                        .for_each(|offset| *offset = 0);
                    evidence.add(&below, &in_name);
                    self.gather(object, draft, &below, needles, evidence)?;
                }
                return Ok(());
            }
        };
        if let Some(residue) = &findings.residue {
            return Err(AddError::Residue {
                name: object.name.clone(),
                file: if path.is_empty() {
                    ".".to_owned()
                } else {
                    String::from_utf8_lossy(path).into_owned()
                },
                offset: residue.offset,
                scratch: self.scratches[residue.scratch].0.clone(),
                form: residue.form,
            });
        }
        evidence.add(path, findings);
        Ok(())
    }

    /// Returns the objects of a batch that an object refers to, itself excluded.
    fn siblings(
        &self,
        index: usize,
        object: &AddObject<'_>,
        evidence: &Evidence,
    ) -> BTreeMap<usize, Place> {
        let found = evidence
            .scratches
            .iter()
            .map(|(scratch, place)| (self.scratches[*scratch].1, place.clone()));
        let mut siblings: BTreeMap<usize, Place> = found.collect();
        for extra in &object.extra_references {
            if let Some((_, owner)) = self.scratches.iter().find(|(scratch, _)| scratch == extra) {
                siblings.entry(*owner).or_insert_with(no_place);
            }
        }
        siblings.remove(&index);
        siblings
    }

    /// Returns the objects of a batch so that each stands after those that it refers to.
    pub(super) fn order(
        &self,
        batch: &AddBatch<'_>,
        evidence: &[Evidence],
    ) -> Result<Vec<usize>, AddError> {
        let edges: Vec<Vec<usize>> = batch
            .objects
            .iter()
            .zip(evidence)
            .enumerate()
            .map(|(index, (object, evidence))| {
                self.siblings(index, object, evidence).into_keys().collect()
            })
            .collect();
        let mut order = Vec::with_capacity(edges.len());
        let mut done = vec![false; edges.len()];
        while order.len() < edges.len() {
            let ready = (0..edges.len())
                .find(|index| !done[*index] && edges[*index].iter().all(|below| done[*below]));
            match ready {
                Some(index) => {
                    done[index] = true;
                    order.push(index);
                }
                None => {
                    return Err(AddError::Cycle {
                        names: circle(batch, &edges, &done),
                    });
                }
            }
        }
        Ok(order)
    }

    /// Returns the references of an object, ascending by path, once those before it in the order have their ids.
    ///
    /// `find` looks up a valid path that is not among the candidates.
    pub(super) fn references(
        &self,
        index: usize,
        object: &AddObject<'_>,
        evidence: &Evidence,
        sealed: &BTreeMap<usize, (StorePath, ObjectId)>,
        find: &dyn Fn(&StorePath) -> Result<Option<ObjectId>, AddError>,
    ) -> Result<Vec<Reference>, AddError> {
        let mut references: BTreeMap<StorePath, Reference> = BTreeMap::new();
        let mut add = |path: &StorePath, id: ObjectId, place: Place| {
            let reference = Reference {
                path: path.clone(),
                id,
                file: place.file,
                offset: place.offset,
            };
            references.entry(path.clone()).or_insert(reference);
        };
        for (candidate, place) in &evidence.candidates {
            let (path, id) = &self.candidates[*candidate];
            self.forbid(object, path, place)?;
            add(path, *id, place.clone());
        }
        for (sibling, place) in self.siblings(index, object, evidence) {
            if let Some((scratch, _)) = self.scratches.iter().find(|(_, owner)| *owner == sibling) {
                self.forbid(object, scratch, &place)?;
            }
            if let Some((path, id)) = sealed.get(&sibling) {
                add(path, *id, place);
            }
        }
        for extra in &object.extra_references {
            if self.scratches.iter().any(|(scratch, _)| scratch == extra) {
                continue;
            }
            let known = self
                .candidates
                .iter()
                .find(|(path, _)| path == extra)
                .map(|(_, id)| *id);
            let id = match known {
                Some(id) => Some(id),
                None => find(extra)?,
            };
            let id = id.ok_or_else(|| AddError::UnknownReference {
                name: object.name.clone(),
                reference: extra.clone(),
            })?;
            add(extra, id, no_place());
        }
        Ok(references.into_values().collect())
    }

    fn forbid(
        &self,
        object: &AddObject<'_>,
        path: &StorePath,
        place: &Place,
    ) -> Result<(), AddError> {
        if !object.forbidden_references.contains(path) {
            return Ok(());
        }
        Err(AddError::Forbidden {
            name: object.name.clone(),
            reference: path.clone(),
            file: if place.file.is_empty() {
                ".".to_owned()
            } else {
                place.file.clone()
            },
            offset: place.offset,
        })
    }
}

fn no_place() -> Place {
    Place {
        file: String::new(),
        offset: 0,
    }
}

fn scratch_in(findings: &crate::scan::Findings) -> Option<usize> {
    let whole = findings
        .occurrences
        .first()
        .map(|occurrence| occurrence.scratch);
    whole.or(findings.residue.map(|residue| residue.scratch))
}

/// Follows edges among objects that are not done until one comes again.
fn circle(batch: &AddBatch<'_>, edges: &[Vec<usize>], done: &[bool]) -> Vec<crate::StoreName> {
    let mut walk: Vec<usize> = Vec::new();
    let mut next = done.iter().position(|done| !done);
    while let Some(index) = next {
        if let Some(start) = walk.iter().position(|seen| *seen == index) {
            walk.drain(..start);
            walk.push(index);
            break;
        }
        walk.push(index);
        next = edges[index].iter().copied().find(|below| !done[*below]);
    }
    walk.iter()
        .map(|index| batch.objects[*index].name.clone())
        .collect()
}
