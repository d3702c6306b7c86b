//! What the cache has, found out with few questions.
//!
//! A bundle says that its whole closure is there, and so does a record, since those of references are written first. So questions go from the targets
//! downwards, and end where something is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    sync::Arc,
};

use super::{
    PushError, PushRequest,
    session::{Session, replaceable},
};
use crate::{
    Closure, PathDigest, PathInfo, StorePath,
    cache::{
        backend::BackendError,
        format::{CacheName, ClosureIndex, ObjectRecord, Prefix},
        source::SourceError,
    },
};

/// Bytes of a bundle that say how many more its records take.
const HEAD: u64 = 24;

/// An object that the cache has.
#[derive(Debug)]
pub(super) struct Held {
    /// What the cache says of it; in a bundle, without the signatures that came later.
    pub(super) record: ObjectRecord,
    /// The bytes of its manifest, if they were needed.
    pub(super) manifest: Option<Vec<u8>>,
}

/// What the cache has of some closures.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The objects that it lacks.
    pub(super) missing: BTreeSet<PathDigest>,
    /// What was read of the others.
    pub(super) held: BTreeMap<PathDigest, Held>,
    /// The targets whose bundles are there and say all that is to be said.
    pub(super) bundled: BTreeSet<PathDigest>,
    /// All that those bundles say is there.
    pub(super) covered: BTreeSet<PathDigest>,
}

impl Survey {
    /// Returns the objects that the cache lacks, references first.
    pub(super) fn missing_of<'a>(&self, closure: &'a Closure) -> Vec<&'a PathInfo> {
        let infos = closure.infos().iter();
        infos
            .filter(|info| self.missing.contains(info.path.digest()))
            .collect()
    }
}

impl Session<'_> {
    /// Finds out what the cache has. `records` are those of the closure with the signatures that this push could add.
    pub(super) fn survey(
        &self,
        closure: &Closure,
        request: &PushRequest,
        records: &BTreeMap<PathDigest, ObjectRecord>,
        is_new: bool,
    ) -> Result<Survey, PushError> {
        let mut survey = Survey::default();
        if is_new {
            survey.missing = digests(closure.infos());
            return Ok(survey);
        }
        let is_signed = records
            .values()
            .any(|record| !record.signatures.is_empty() || !record.component_signatures.is_empty());
        let targets: BTreeSet<&StorePath> = request.targets.iter().collect();
        let targets: Vec<&StorePath> = targets.into_iter().collect();
        let found = self.for_each(&targets, |target| {
            self.find_bundle(target.digest(), is_signed)
        })?;
        let mut there = BTreeSet::new();
        for (target, found) in targets.iter().zip(found) {
            let Some(index) = found else { continue };
            let below = closure_of(closure, [*target]);
            let says_all = match &index {
                Some(index) => says_all(index, records),
                None => true,
            };
            if says_all {
                survey.bundled.insert(*target.digest());
                survey.covered.extend(&below);
            }
            there.extend(below);
        }
        there.extend(self.find_facts(closure, &targets, &there)?);
        let roots = targets.iter().copied().chain(&request.others);
        let top = self.ask_downwards(closure, roots, &mut there, &mut survey.missing)?;
        let unbundled = targets
            .iter()
            .filter(|target| !survey.bundled.contains(target.digest()));
        let needed = closure_of(closure, unbundled.copied());
        let needed: BTreeSet<PathDigest> = needed.difference(&survey.missing).copied().collect();
        let bundles: Vec<PathDigest> = top
            .into_iter()
            .chain(targets.iter().map(|target| *target.digest()))
            .filter(|digest| needed.contains(digest))
            .collect();
        self.load_bundles(&bundles, &needed, &mut survey)?;
        self.load_singly(&needed, &mut survey)?;
        Ok(survey)
    }

    /// Returns the objects of facts of what is there, as far as it is known that they are there too: a push writes those of a whole closure before its bundle,
    /// so those of the target answer for the others.
    fn find_facts(
        &self,
        closure: &Closure,
        targets: &[&StorePath],
        there: &BTreeSet<PathDigest>,
    ) -> Result<BTreeSet<PathDigest>, PushError> {
        let bundled = targets
            .iter()
            .filter(|target| there.contains(target.digest()));
        let asked: Vec<(&StorePath, PathDigest)> = bundled
            .filter_map(|target| Some((*target, facts_of(closure.find(target)?)?)))
            .collect();
        let found = self.for_each(&asked, |(_, facts)| {
            Ok(self.cache.exists(&CacheName::Object(*facts))?)
        })?;
        let known = asked.iter().zip(found).filter(|(_, found)| *found);
        let below = closure_of(closure, known.map(|((target, _), _)| *target));
        let infos = closure.infos().iter();
        Ok(infos
            .filter(|info| below.contains(info.path.digest()))
            .filter_map(facts_of)
            .collect())
    }

    /// Looks for the bundle of a target: `None` if there is none, and its records if they matter.
    #[expect(
        clippy::option_option,
        reason = "there may be a bundle, and its records may matter"
    )]
    fn find_bundle(
        &self,
        target: &PathDigest,
        with_records: bool,
    ) -> Result<Option<Option<ClosureIndex>>, PushError> {
        let name = CacheName::Closure(*target);
        if !with_records {
            return Ok(self.cache.exists(&name)?.then_some(None));
        }
        let mut needed = HEAD;
        loop {
            let Some(bytes) = self.read_start(&name, needed)? else {
                return Ok(None);
            };
            match self.understood(&name, ClosureIndex::parse(&bytes, target))? {
                None => return Ok(None),
                Some(Prefix::Whole(index)) => return Ok(Some(Some(index))),
                Some(Prefix::Short { needed: more }) => needed = more,
            }
        }
    }

    fn read_start(&self, name: &CacheName, length: u64) -> Result<Option<Vec<u8>>, PushError> {
        let read = || {
            let mut bytes = Vec::new();
            let mut reader = self.cache.open_range(name, 0..length)?;
            match reader.read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(error.downcast::<SourceError>().unwrap_or_else(|error| {
                    let error = BackendError::from_read(error, &name.to_string());
                    SourceError::Backend(Arc::new(error))
                })),
            }
        };
        replaceable(read())
    }

    /// Asks for the records of `roots`, and of what those refer to that are not there. Returns the objects that were asked for and are there.
    fn ask_downwards<'a>(
        &self,
        closure: &'a Closure,
        roots: impl Iterator<Item = &'a StorePath>,
        there: &mut BTreeSet<PathDigest>,
        missing: &mut BTreeSet<PathDigest>,
    ) -> Result<Vec<PathDigest>, PushError> {
        let mut top = Vec::new();
        let mut next: BTreeSet<&StorePath> = roots.collect();
        while !next.is_empty() {
            let asked: Vec<&StorePath> = next
                .into_iter()
                .filter(|path| !there.contains(path.digest()) && !missing.contains(path.digest()))
                .collect();
            let found = self.for_each(&asked, |path| {
                Ok(self.cache.exists(&CacheName::Object(*path.digest()))?)
            })?;
            next = BTreeSet::new();
            for (path, found) in asked.into_iter().zip(found) {
                if found {
                    top.push(*path.digest());
                    there.extend(closure_of(closure, [path]));
                } else if let Some(info) = closure.find(path) {
                    missing.insert(*path.digest());
                    next.extend(info.references.iter().map(|reference| &reference.path));
                }
            }
        }
        // Below one object something may have been asked for before another one said that it is there.
        missing.retain(|digest| !there.contains(digest));
        Ok(top)
    }

    /// Reads bundles for the records and manifests of the objects that are needed.
    fn load_bundles(
        &self,
        bundles: &[PathDigest],
        needed: &BTreeSet<PathDigest>,
        survey: &mut Survey,
    ) -> Result<(), PushError> {
        for digest in bundles {
            if survey.held.contains_key(digest) {
                continue;
            }
            let name = CacheName::Closure(*digest);
            let Some(bytes) = self.read_replaceable(&name)? else {
                continue;
            };
            let parsed = ClosureIndex::parse(&bytes, digest);
            let Some(Prefix::Whole(index)) = self.understood(&name, parsed)? else {
                continue;
            };
            let manifests = index.manifests().to_vec();
            for (record, range) in index.into_records().into_iter().zip(manifests) {
                let object = *record.info().path.digest();
                let range = usize::try_from(range.start)
                    .ok()
                    .zip(usize::try_from(range.end).ok());
                let manifest = range.and_then(|(start, end)| bytes.get(start..end));
                if let (Some(manifest), true) = (manifest, needed.contains(&object)) {
                    survey.held.entry(object).or_insert_with(|| Held {
                        record,
                        manifest: Some(manifest.to_vec()),
                    });
                }
            }
        }
        Ok(())
    }

    /// Reads the records and manifests that no bundle had. What is not there after all, or cannot be understood, is missing.
    fn load_singly(
        &self,
        needed: &BTreeSet<PathDigest>,
        survey: &mut Survey,
    ) -> Result<(), PushError> {
        let rest: Vec<PathDigest> = needed
            .iter()
            .filter(|digest| !survey.held.contains_key(digest))
            .copied()
            .collect();
        let loaded = self.for_each(&rest, |digest| {
            let name = CacheName::Object(*digest);
            let Some(bytes) = self.read(&name)? else {
                return Ok(None);
            };
            let Some(record) = self.understood(&name, ObjectRecord::decode(&bytes))? else {
                return Ok(None);
            };
            let manifest = self.read_replaceable(&CacheName::Manifest(*digest))?;
            Ok(manifest.map(|manifest| Held {
                record,
                manifest: Some(manifest),
            }))
        })?;
        for (digest, held) in rest.into_iter().zip(loaded) {
            match held {
                Some(held) => {
                    survey.held.insert(digest, held);
                }
                None => {
                    survey.missing.insert(digest);
                }
            }
        }
        Ok(())
    }
}

/// Returns the object with what was observed of another.
fn facts_of(info: &PathInfo) -> Option<PathDigest> {
    let facts = info.component.as_ref()?.facts.as_ref()?;
    Some(*facts.path.digest())
}

/// Whether a bundle has all signatures that could be added to its objects.
fn says_all(index: &ClosureIndex, records: &BTreeMap<PathDigest, ObjectRecord>) -> bool {
    index.records().iter().all(|record| {
        let Some(own) = records.get(record.info().path.digest()) else {
            return true;
        };
        let mut merged = record.clone();
        matches!(merged.merge(own), Ok(false))
    })
}

fn digests(infos: &[PathInfo]) -> BTreeSet<PathDigest> {
    infos.iter().map(|info| *info.path.digest()).collect()
}

/// Returns what some paths of a closure need, themselves included.
pub(super) fn closure_of<'a>(
    closure: &'a Closure,
    roots: impl IntoIterator<Item = &'a StorePath>,
) -> BTreeSet<PathDigest> {
    let mut pending: Vec<&StorePath> = roots.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(path) = pending.pop() {
        if found.insert(*path.digest())
            && let Some(info) = closure.find(path)
        {
            pending.extend(info.references.iter().map(|reference| &reference.path));
        }
    }
    found
}
