//! What is written when all objects are there: bundles, realisations, hints, logs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    sync::PoisonError,
};

use super::{
    PlannedHint, PushError, PushRequest,
    merge::Addition,
    pusher::Cargo,
    session::Session,
    survey::{Survey, closure_of},
};
use crate::{
    PathDigest, PathInfo, PlanDigest, Realisation, ResolvedDigest,
    cache::format::{CacheName, NameHint, ObjectRecord, PlanHint, RealisationSet, encode_closure},
    trust::{SignedRealisation, Statement},
};

/// Bytes of a compressed log at most that goes along; it is held in memory.
const MAX_LOG: u64 = 16 << 20;

/// The hints that are there.
type Hints = BTreeMap<PlanDigest, PlanHint>;

impl Session<'_> {
    /// Writes bundles, realisations, hints and logs. Returns how many lists of realisations were written.
    pub(super) fn write_endings(
        &self,
        request: &PushRequest,
        cargo: &Cargo,
        survey: &Survey,
        manifests: BTreeMap<PathDigest, Vec<u8>>,
    ) -> Result<usize, PushError> {
        let bundles = self.write_bundles(request, cargo, survey, &manifests)?;
        drop(manifests);
        let hints = self.read_hints(&request.hints)?;
        let lists = self.lists(cargo, survey, &hints)?;
        let settled = self.settle(vec![lists])?;
        let written: BTreeSet<ResolvedDigest> = settled
            .iter()
            .filter(|addition| addition.is_written)
            .map(|addition| *addition.value.resolved())
            .collect();
        let mut others = bundles;
        others += self.write_hints(&request.hints, &hints)?;
        others += self.write_names(&survey.missing_of(&cargo.closure))?;
        others += self.write_logs(request, &written)?;
        if others > 0 {
            self.flush()?;
        }
        Ok(written.len())
    }

    fn write_bundles(
        &self,
        request: &PushRequest,
        cargo: &Cargo,
        survey: &Survey,
        manifests: &BTreeMap<PathDigest, Vec<u8>>,
    ) -> Result<usize, PushError> {
        let targets: BTreeSet<_> = request.targets.iter().collect();
        let mut written = 0;
        for target in targets {
            if survey.bundled.contains(target.digest()) {
                continue;
            }
            self.check_cancelled()?;
            let below = closure_of(&cargo.closure, [target]);
            let objects: Option<Vec<(ObjectRecord, Vec<u8>)>> = cargo
                .closure
                .infos()
                .iter()
                .map(|info| info.path.digest())
                .filter(|digest| below.contains(digest))
                .map(|digest| {
                    let record = cargo.records.get(digest)?;
                    Some((record.clone(), manifests.get(digest)?.clone()))
                })
                .collect();
            // The closure of a target without a bundle was loaded or sent.
            let Some(objects) = objects else { continue };
            let name = CacheName::Closure(*target.digest());
            let bundle =
                encode_closure(&objects).map_err(|error| self.format_error(&name, error))?;
            drop(objects);
            self.write(&name, bundle)?;
            written += 1;
        }
        Ok(written)
    }

    fn read_hints(&self, hints: &[PlannedHint]) -> Result<Hints, PushError> {
        let found = self.for_each(hints, |hint| {
            let name = CacheName::PlanHint(hint.plan);
            match self.read(&name)? {
                Some(bytes) => self.understood(&name, PlanHint::decode(&bytes, &hint.plan)),
                None => Ok(None),
            }
        })?;
        let found = found.into_iter().flatten();
        Ok(found.map(|hint| (*hint.plan(), hint)).collect())
    }

    /// Returns the lists to which something may have to be added.
    ///
    /// A hint is written after the lists of the same push: what it says of an object below a bundle that was there is in its list.
    fn lists(
        &self,
        cargo: &Cargo,
        survey: &Survey,
        hints: &Hints,
    ) -> Result<Vec<Addition<RealisationSet>>, PushError> {
        let mut lists: BTreeMap<ResolvedDigest, RealisationSet> = BTreeMap::new();
        for realisation in &cargo.realisations {
            let signed = self.signed(realisation)?;
            let is_there = survey.covered.contains(realisation.path.digest())
                && hints.values().any(|hint| is_in(hint, &signed));
            if is_there {
                continue;
            }
            let resolved = realisation.resolved;
            let list = lists
                .entry(resolved)
                .or_insert_with(|| RealisationSet::new(resolved));
            let name = CacheName::Realisations(resolved);
            list.insert(signed)
                .map_err(|error| self.format_error(&name, error))?;
        }
        let additions = lists.into_iter();
        Ok(additions
            .map(|(resolved, list)| Addition::new(CacheName::Realisations(resolved), list))
            .collect())
    }

    /// Returns a realisation with the signatures that are known here and that of this push.
    fn signed(&self, realisation: &Realisation) -> Result<SignedRealisation, PushError> {
        let signed = || self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = signed().get(realisation) {
            return Ok(known.clone());
        }
        let new = self.sign(realisation)?;
        signed().insert(realisation.clone(), new.clone());
        Ok(new)
    }

    fn sign(&self, realisation: &Realisation) -> Result<SignedRealisation, PushError> {
        let known = self
            .store
            .find_realisation_signatures(&realisation.resolved)?;
        let known = known
            .into_iter()
            .find(|known| known.realisation == *realisation);
        let mut signed = known.unwrap_or_else(|| SignedRealisation {
            realisation: realisation.clone(),
            signatures: Default::default(),
        });
        if let Some(key) = self.key {
            let statement = Statement::realisation(realisation);
            signed.signatures.insert(key.sign(&statement));
        }
        Ok(signed)
    }

    fn write_hints(&self, planned: &[PlannedHint], there: &Hints) -> Result<usize, PushError> {
        let written = self.for_each(planned, |hint| {
            let name = CacheName::PlanHint(hint.plan);
            let mut entries = Vec::with_capacity(hint.realisations.len());
            let mut seen = BTreeSet::new();
            for realisation in &hint.realisations {
                let key = (
                    realisation.resolved,
                    realisation.output.clone(),
                    realisation.object,
                );
                if seen.insert(key) {
                    entries.push(self.signed(realisation)?);
                }
            }
            let known = there.get(&hint.plan);
            if known.is_some_and(|known| entries.iter().all(|entry| is_in(known, entry))) {
                return Ok(false);
            }
            // Whose signatures were there stay.
            for entry in &mut entries {
                let same = known.and_then(|known| {
                    let mut others = known.entries().iter();
                    others.find(|other| other.realisation == entry.realisation)
                });
                if let Some(same) = same {
                    entry.signatures.merge(&same.signatures);
                }
            }
            let bytes = PlanHint::new(hint.plan, entries)
                .and_then(|hint| hint.encode())
                .map_err(|error| self.format_error(&name, error))?;
            self.write(&name, bytes)?;
            Ok(true)
        })?;
        Ok(written.into_iter().filter(|written| *written).count())
    }

    /// Says of each new object that it was the last of its name.
    fn write_names(&self, new: &[&PathInfo]) -> Result<usize, PushError> {
        let hints: BTreeMap<CacheName, PathDigest> = new
            .iter()
            .map(|info| (CacheName::name_hint(info.path.name()), *info.path.digest()))
            .collect();
        let hints: Vec<_> = hints.into_iter().collect();
        self.for_each(&hints, |(name, object)| {
            self.write(name, NameHint { object: *object }.encode())
        })?;
        Ok(hints.len())
    }

    /// Writes the logs of realisations that were new. The first log of a derivation stays.
    fn write_logs(
        &self,
        request: &PushRequest,
        new: &BTreeSet<ResolvedDigest>,
    ) -> Result<usize, PushError> {
        let logs: Vec<_> = request
            .logs
            .iter()
            .filter(|log| new.contains(&log.resolved))
            .collect();
        let written = self.for_each(&logs, |log| {
            let name = CacheName::Log(log.resolved);
            let failed = |source| PushError::Log {
                path: log.path.clone(),
                source,
            };
            match fs::metadata(&log.path) {
                Ok(metadata) if metadata.len() <= MAX_LOG => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(failed(error)),
            }
            if self.cache.exists(&name)? {
                return Ok(false);
            }
            let bytes = fs::read(&log.path).map_err(failed)?;
            self.write(&name, bytes)?;
            Ok(true)
        })?;
        Ok(written.into_iter().filter(|written| *written).count())
    }
}

/// Whether a hint has a realisation with all of these signatures.
fn is_in(hint: &PlanHint, signed: &SignedRealisation) -> bool {
    let mut entries = hint.entries().iter();
    entries.any(|entry| {
        entry.realisation == signed.realisation
            && signed
                .signatures
                .iter()
                .all(|signature| entry.signatures.contains(signature))
    })
}
