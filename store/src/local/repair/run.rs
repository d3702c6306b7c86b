//! All that is damaged, in an order in which it can become valid.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    error::Error,
};

use super::RepairError;
use crate::{
    db::{Database, ObjectState, StoredObject},
    id::StorePath,
    info::PathInfo,
    local::{
        AddError, Finding, Lease, LeaseError, LocalStore, Problem, VerifyOptions, Watch,
        record::read_contents, verify::check_contents,
    },
};

/// Gets objects from elsewhere: from a cache, or by building them again.
pub trait Restorer {
    /// Why it cannot get one.
    type Error: Error;

    /// Makes as many of these objects valid as it can, through [`LocalStore::add`], and returns the others, each with the reason.
    ///
    /// None of them is valid; what is referred to stands before what refers to it. An object that it makes but not with the same bytes need not be told of.
    fn restore(&self, objects: &[PathInfo]) -> Vec<(StorePath, Self::Error)>;
}

/// Knows nobody who has an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRestorer;

impl Restorer for NoRestorer {
    type Error = Infallible;

    fn restore(&self, _objects: &[PathInfo]) -> Vec<(StorePath, Infallible)> {
        Vec::new()
    }
}

/// What made an object whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mended {
    /// Nothing was wrong with it any more.
    Whole,
    /// Modes or times were set.
    Metadata,
    /// Its own good files, and files of the same bytes from elsewhere in the store.
    Copied,
    /// Somebody else had it.
    Restored,
    /// Its record was written again.
    Recorded,
    /// It was there, and is registered now, or is gone, as it was not what its record says.
    Settled,
}

/// A damaged object that nothing helped.
#[derive(Debug)]
pub struct Unrepaired<E> {
    /// The object.
    pub path: StorePath,
    /// Where it comes from.
    pub component: Option<crate::Component>,
    /// The names of the roots that need it, ascending.
    pub roots: Vec<String>,
    /// The valid objects that refer to it, ascending.
    pub referrers: Vec<StorePath>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Why the restorer could not help, if it says so.
    pub reason: Option<E>,
}

/// What was put right, and what was not.
#[derive(Debug)]
pub struct RepairReport<E> {
    /// What was done, by object.
    pub mended: BTreeMap<StorePath, Mended>,
    /// Objects that are still damaged.
    pub unrepaired: Vec<Unrepaired<E>>,
    /// Everything that is still wrong, objects that are still damaged included.
    pub left: Vec<Finding>,
}

impl LocalStore {
    /// Repairs what is wrong with these objects, or with all, as far as it is known or is seen at that depth.
    ///
    /// `restorer` is asked once for everything that cannot be repaired from what is here.
    pub fn repair<R: Restorer>(
        &self,
        options: &VerifyOptions,
        restorer: &R,
        watch: &Watch<'_>,
    ) -> Result<RepairReport<R::Error>, RepairError> {
        self.check_writable()?;
        self.mark_unclean()?;
        let before = self.verify(options, watch)?;
        if before.findings.is_empty() {
            return Ok(RepairReport {
                mended: BTreeMap::new(),
                unrepaired: Vec::new(),
                left: Vec::new(),
            });
        }
        let mut mended = BTreeMap::new();
        self.repair_small(&before.findings, &mut mended)?;
        let damaged = self.damaged_among(&options.paths)?;
        let lease = self.lease().map_err(AddError::from)?;
        self.protect(&lease, &damaged)?;
        let rest = self.repair_here(damaged, &lease, &mut mended, watch)?;
        if watch.is_cancelled() {
            return Err(RepairError::Interrupted);
        }
        let infos: Vec<PathInfo> = rest.into_iter().map(|object| object.info).collect();
        let reasons = if infos.is_empty() {
            Vec::new()
        } else {
            restorer.restore(&infos)
        };
        let mut reasons: BTreeMap<StorePath, R::Error> = reasons.into_iter().collect();
        for info in infos {
            if self.path_info(&info.path)?.is_some() {
                mended.insert(info.path, Mended::Restored);
            }
        }
        // What others have given may be what was missing here.
        let rest = self.damaged_among(&options.paths)?;
        let mut unrepaired = Vec::new();
        for object in self.repair_here(rest, &lease, &mut mended, watch)? {
            let reason = reasons.remove(&object.info.path);
            unrepaired.push(self.describe(object.info, reason, watch)?);
        }
        Ok(RepairReport {
            mended,
            unrepaired,
            left: self.verify(options, &Watch::nobody())?.findings,
        })
    }

    /// Puts right what is no damage of an object: records, modes, times, names elsewhere, what is not registered.
    fn repair_small(
        &self,
        findings: &[Finding],
        mended: &mut BTreeMap<StorePath, Mended>,
    ) -> Result<(), RepairError> {
        let mut by_object: BTreeMap<StorePath, Vec<Problem>> = BTreeMap::new();
        let mut are_roots_wrong = false;
        for finding in findings {
            if let Ok(path) = finding.entry.parse() {
                by_object
                    .entry(path)
                    .or_default()
                    .push(finding.problem.clone());
            } else if finding.entry.starts_with("var/meta/roots/") {
                are_roots_wrong = true;
            } else if let Some(path) = self.object_of_record(&finding.entry)? {
                by_object
                    .entry(path)
                    .or_default()
                    .push(finding.problem.clone());
            }
        }
        if are_roots_wrong {
            self.reconcile_roots()?;
        }
        let unregistered = by_object
            .iter()
            .filter(|(_, problems)| problems.contains(&Problem::Unregistered));
        let unregistered: BTreeSet<StorePath> =
            unregistered.map(|(path, _)| path.clone()).collect();
        mended.extend(
            unregistered
                .iter()
                .map(|path| (path.clone(), Mended::Settled)),
        );
        self.settle_unregistered(unregistered)?;
        for (path, problems) in by_object {
            let Some(object) = self.read(|database| database.find_stored(&path))? else {
                continue;
            };
            let has_metadata =
                |problem: &Problem| matches!(problem, Problem::Mode { .. } | Problem::Time { .. });
            if problems.iter().any(has_metadata) {
                self.set_metadata(&object, &problems)?;
                mended.insert(path.clone(), Mended::Metadata);
            }
            if problems.iter().any(Problem::is_of_record) && object.state == ObjectState::Valid {
                if self.write_records(&object.info)?.is_ok() {
                    mended.insert(path.clone(), Mended::Recorded);
                } else {
                    self.write(|write| write.mark_damaged(&path))?;
                }
            }
            if problems
                .iter()
                .any(|problem| matches!(problem, Problem::Links { .. }))
            {
                // Only files that nobody else has can take its place.
                self.write(|write| write.mark_damaged(&path))?;
            }
        }
        Ok(())
    }

    /// Returns the object that a record speaks of, by its place.
    fn object_of_record(&self, entry: &str) -> Result<Option<StorePath>, RepairError> {
        let digest = entry
            .strip_prefix("var/meta/")
            .and_then(|place| place.get(3..43));
        let found = match digest {
            Some(digest) => self.find_by_prefix(digest)?,
            None => Vec::new(),
        };
        Ok(found.into_iter().next())
    }

    /// Returns the damaged objects among `paths`, or all, what is referred to before what refers.
    fn damaged_among(&self, paths: &[StorePath]) -> Result<Vec<StoredObject>, RepairError> {
        let mut damaged = self.read(Database::list_damaged)?;
        damaged.retain(|path| paths.is_empty() || paths.contains(path));
        let mut waiting = Vec::new();
        for path in damaged {
            waiting.extend(self.read(|database| database.find_stored(&path))?);
        }
        let mut ordered: Vec<StoredObject> = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let names: BTreeSet<StorePath> = waiting
                .iter()
                .map(|object| object.info.path.clone())
                .collect();
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|object| {
                let mut references = object.info.references.iter();
                references.all(|reference| !names.contains(&reference.path))
            });
            if ready.is_empty() {
                // A circle, which the store never writes: the database itself is damaged.
                ordered.extend(later);
                break;
            }
            ordered.extend(ready);
            waiting = later;
        }
        Ok(ordered)
    }

    fn protect(&self, lease: &Lease, objects: &[StoredObject]) -> Result<(), RepairError> {
        let digests: Vec<_> = objects
            .iter()
            .flat_map(|object| {
                let references = object.info.references.iter();
                references
                    .map(|reference| *reference.path.digest())
                    .chain([*object.info.path.digest()])
            })
            .collect();
        let protected: Result<(), LeaseError> = lease.protect(&digests);
        Ok(protected.map_err(AddError::from)?)
    }

    /// Repairs what can be repaired from what is here, and returns the rest.
    fn repair_here(
        &self,
        damaged: Vec<StoredObject>,
        lease: &Lease,
        mended: &mut BTreeMap<StorePath, Mended>,
        watch: &Watch<'_>,
    ) -> Result<Vec<StoredObject>, RepairError> {
        if damaged.is_empty() {
            return Ok(Vec::new());
        }
        let copies = self.find_copies(&damaged, watch)?;
        let mut rest = Vec::new();
        for object in damaged {
            if watch.is_cancelled() {
                return Err(RepairError::Interrupted);
            }
            let info = &object.info;
            let Some(contents) = read_contents(self.meta_fd(), info) else {
                // Without a list of its files nothing can be known of them but that they are right together.
                if check_contents(self.store_fd(), info, None, &Watch::nobody()).is_empty() {
                    self.revive_whole_object(info)?;
                    mended.insert(info.path.clone(), Mended::Whole);
                } else {
                    self.unpool_whatever(&info.path);
                    rest.push(object);
                }
                continue;
            };
            let mut problems =
                check_contents(self.store_fd(), info, Some(&contents), &Watch::nobody());
            if !problems.is_empty() && problems.iter().all(is_metadata) {
                self.set_metadata(&object, &problems)?;
                problems = check_contents(self.store_fd(), info, Some(&contents), &Watch::nobody());
            }
            if problems.is_empty() {
                self.revive_whole_object(info)?;
                mended.entry(info.path.clone()).or_insert(Mended::Whole);
                continue;
            }
            self.unpool_whatever(&info.path);
            self.clear_pool(info, &contents)?;
            let suspects = problems.iter().filter_map(Problem::file).map(str::to_owned);
            if self.compose(info, contents, &suspects.collect(), &copies, lease)? {
                mended.insert(info.path.clone(), Mended::Copied);
            } else {
                rest.push(object);
            }
        }
        Ok(rest)
    }

    /// Makes an object valid again whose bytes and record are right.
    fn revive_whole_object(&self, info: &PathInfo) -> Result<(), RepairError> {
        Ok(self.write(|write| write.register(info))?)
    }

    fn describe<E>(
        &self,
        info: PathInfo,
        reason: Option<E>,
        watch: &Watch<'_>,
    ) -> Result<Unrepaired<E>, RepairError> {
        let contents = read_contents(self.meta_fd(), &info);
        let quiet = Watch {
            progress: &|_| {},
            cancel: watch.cancel,
        };
        Ok(Unrepaired {
            roots: self.read(|database| database.list_roots_above(info.path.digest()))?,
            referrers: self.read(|database| database.list_referrers(info.path.digest()))?,
            problems: check_contents(self.store_fd(), &info, contents.as_ref(), &quiet),
            component: info.component,
            path: info.path,
            reason,
        })
    }
}

fn is_metadata(problem: &Problem) -> bool {
    matches!(problem, Problem::Mode { .. } | Problem::Time { .. })
}
