//! What a caller asks of caches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use super::{
    Answer, CacheAnswer, CacheError, PullError, PullEvent, Pulled, TrustedRealisation,
    caches::{Caches, lock},
    locate::in_parallel,
    misses,
    run::Run,
};
use crate::{
    Lease, LocalStore, ObjectId, PlanDigest, Realisation, ResolvedDigest, StorePath,
    cache::{
        format::{CacheName, PlanHint, RealisationSet},
        source::{Source, SourceError},
    },
    local::FileError,
    trust::{Policy, Signatures, SignedRealisation},
};

/// What a cache says, and which.
type Seen<'s> = (&'s Arc<Source>, SignedRealisation);

/// A pull that takes less long has nothing worth keeping when it is killed.
const KEEP_AFTER: Duration = Duration::from_secs(1);

/// Takes objects and realisations from caches. One for a whole command: it remembers what caches answered.
#[derive(Debug)]
pub struct Puller<'a> {
    store: &'a LocalStore,
    caches: Caches<'a>,
    policy: Policy,
    now: u64,
    keep_after: Duration,
    /// What was believed so far, with all that supports it, by what it was built to.
    believed: Mutex<BTreeMap<ObjectId, Vec<Believed>>>,
}

/// What was believed of one outcome.
#[derive(Debug)]
struct Believed {
    /// Facts that a trusted key has signed.
    facts: Realisation,
    /// All that was said for the outcome.
    supporting: Vec<SignedRealisation>,
}

impl<'a> Puller<'a> {
    /// Takes a store, the caches in the order in which the user named them, what is believed, and the time in seconds since 1970. Asks nobody yet.
    #[must_use]
    pub fn new(
        store: &'a LocalStore,
        sources: &'a [Arc<Source>],
        policy: Policy,
        now: u64,
    ) -> Self {
        Self {
            store,
            caches: Caches::new(store, sources, now),
            policy,
            now,
            keep_after: KEEP_AFTER,
            believed: Mutex::default(),
        }
    }

    /// Sets after which time frames are kept on disk, so that the next pull goes on where a killed one was; one second unless set.
    #[must_use]
    pub const fn keep_frames_after(mut self, time: Duration) -> Self {
        self.keep_after = time;
        self
    }

    /// Returns what a derivation was built to, as far as the policy believes it: by output, then by object.
    ///
    /// The signatures of all caches and of the local store count together. A cache that cannot be asked is no error; [`Puller::answers`] tells of it, and of what
    /// is not believed. What is returned is recorded in the local store by the [`Puller::pull`] that makes its object valid.
    pub fn find_realisations(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<Vec<TrustedRealisation>, PullError> {
        let name = CacheName::Realisations(*resolved);
        let subject = resolved.to_string();
        let sources = self.caches.usable();
        let found = in_parallel(&sources, |source| {
            let decode = |bytes: &[u8]| RealisationSet::decode(bytes, resolved);
            self.caches.read(source, &name, &subject, decode).ok()
        });
        let mut seen = Vec::new();
        for (source, set) in sources.iter().zip(found) {
            let entries = set.map(RealisationSet::into_entries).unwrap_or_default();
            seen.extend(entries.into_iter().map(|entry| (*source, entry)));
        }
        self.judge(seen)
    }

    /// Returns what the derivations below a plan were built to, dependencies first, as far as the policy believes it. One request to each cache; who has not answered when
    /// everything that another says is believed is not waited for.
    ///
    /// A hint: that these are the derivations of the plan is for the caller to check, by computing each resolved digest.
    pub fn find_plan(&self, plan: &PlanDigest) -> Result<Vec<TrustedRealisation>, PullError> {
        let name = CacheName::PlanHint(*plan);
        let subject = plan.to_string();
        let sources = self.caches.usable();
        let plan = *plan;
        let found = self.caches.read_until(
            &sources,
            (&name, &subject),
            move |bytes: &[u8]| PlanHint::decode(bytes, &plan),
            |hints| self.is_enough(hints),
        );
        let mut seen = Vec::new();
        for (source, hint) in sources.iter().zip(&found) {
            let entries = hint.iter().flat_map(PlanHint::entries);
            seen.extend(entries.map(|entry| (*source, entry.clone())));
        }
        self.judge(seen)
    }

    /// Whether everything that one of these hints says is believed. A hint is of the whole plan.
    fn is_enough(&self, hints: &[Option<PlanHint>]) -> bool {
        let mut evidence: BTreeMap<ResolvedDigest, Vec<SignedRealisation>> = BTreeMap::new();
        for entry in hints.iter().flatten().flat_map(PlanHint::entries) {
            let resolved = entry.realisation.resolved;
            evidence.entry(resolved).or_default().push(entry.clone());
        }
        for (resolved, known) in &mut evidence {
            match self.store.find_realisation_signatures(resolved) {
                Ok(here) => known.extend(here),
                // Whoever asks next is told.
                Err(_) => return false,
            }
        }
        let is_believed = |entry: &SignedRealisation| {
            let evidence = evidence.get(&entry.realisation.resolved);
            let evidence = evidence.map_or(&[][..], Vec::as_slice);
            let verdict = self.policy.judge(&entry.realisation, evidence, self.now);
            verdict.is_accepted()
        };
        let mut entries = hints.iter().flatten().map(PlanHint::entries);
        entries.any(|entries| !entries.is_empty() && entries.iter().all(is_believed))
    }

    /// Returns which of these objects a cache has with all that they need. Nothing is downloaded.
    pub fn find_available(&self, objects: &[StorePath]) -> Result<BTreeSet<StorePath>, PullError> {
        let sources = self.caches.usable();
        let found = in_parallel(objects, |path| {
            let bundle = CacheName::Closure(*path.digest());
            // What was pushed because something else needs it has no bundle; its record comes after those of its references.
            let name = CacheName::Object(*path.digest());
            sources.iter().any(|source| {
                let there = || -> Result<bool, SourceError> {
                    Ok(source.exists(&bundle)? || source.exists(&name)?)
                };
                let exists = || match there() {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(CacheError::Absent {
                        file: name.to_string(),
                    }),
                    Err(error) => Err(CacheError::of(&name, error)),
                };
                self.caches
                    .ask(source, &name, &path.to_string(), exists)
                    .is_ok()
            })
        });
        let available = objects.iter().zip(found).filter(|(_, is_there)| *is_there);
        Ok(available.map(|(path, _)| path.clone()).collect())
    }

    /// Makes objects valid, with all that they refer to, and returns what was done. What is valid already costs no request.
    ///
    /// Asked for by full id, so no signature is needed. All of them are leased, valid or not. When it fails, some of them may be valid. May be called by several threads.
    pub fn pull(
        &self,
        wanted: &[(StorePath, ObjectId)],
        lease: &Lease,
        events: &(dyn Fn(PullEvent) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Pulled, PullError> {
        for (path, id) in wanted {
            if id.path_digest() != *path.digest() {
                return Err(PullError::Name {
                    path: path.clone(),
                    id: *id,
                });
            }
        }
        let paths: Vec<StorePath> = wanted.iter().map(|(path, _)| path.clone()).collect();
        let missing: BTreeSet<StorePath> = self.store.hold(lease, &paths)?.into_iter().collect();
        let pulled = if missing.is_empty() {
            Pulled::default()
        } else {
            let unique: BTreeMap<&StorePath, &ObjectId> =
                wanted.iter().map(|(path, id)| (path, id)).collect();
            let left = unique
                .into_iter()
                .filter(|(path, _)| missing.contains(path));
            let run = Run {
                store: self.store,
                caches: &self.caches,
                policy: &self.policy,
                now: self.now,
                keep_after: self.keep_after,
                lease,
                events,
                cancel,
            };
            run.run(left.map(|(path, id)| (path.clone(), *id)).collect())?
        };
        self.record(wanted)?;
        Ok(pulled)
    }

    /// Returns what caches have answered so far, in no order that means anything; for whoever explains why something was not taken.
    #[must_use]
    pub fn answers(&self) -> Vec<CacheAnswer> {
        self.caches.answers()
    }

    /// Returns what is believed of what caches say, each output's objects once, in the order in which derivations are first spoken of.
    fn judge(&self, seen: Vec<Seen<'_>>) -> Result<Vec<TrustedRealisation>, PullError> {
        let mut order = Vec::new();
        let mut by_resolved: BTreeMap<ResolvedDigest, Vec<Seen<'_>>> = BTreeMap::new();
        for (source, entry) in seen {
            let resolved = entry.realisation.resolved;
            let entries = by_resolved.entry(resolved).or_insert_with(|| {
                order.push(resolved);
                Vec::new()
            });
            entries.push((source, entry));
        }
        let mut trusted = Vec::new();
        for resolved in order {
            let entries = by_resolved.remove(&resolved).unwrap_or_default();
            let mut evidence: Vec<SignedRealisation> =
                entries.iter().map(|(_, entry)| entry.clone()).collect();
            evidence.extend(self.store.find_realisation_signatures(&resolved)?);
            trusted.extend(self.judge_one(&resolved, &entries, &evidence));
        }
        Ok(trusted)
    }

    fn judge_one(
        &self,
        resolved: &ResolvedDigest,
        entries: &[Seen<'_>],
        evidence: &[SignedRealisation],
    ) -> Vec<TrustedRealisation> {
        let mut found: BTreeMap<(String, ObjectId), Realisation> = BTreeMap::new();
        for (source, entry) in entries {
            let realisation = &entry.realisation;
            let key = (realisation.output.clone(), realisation.object);
            if found.contains_key(&key) {
                continue;
            }
            let verdict = self.policy.judge(realisation, evidence, self.now);
            let supporting: Vec<SignedRealisation> = evidence
                .iter()
                .filter(|one| one.supports(realisation))
                .cloned()
                .collect();
            if verdict.is_accepted() {
                let facts = self.counting(&supporting).unwrap_or(realisation).clone();
                found.insert(key, facts.clone());
                let believed = Believed { facts, supporting };
                lock(&self.believed)
                    .entry(realisation.object)
                    .or_default()
                    .push(believed);
            } else {
                let error = CacheError::Untrusted {
                    subject: realisation.path.to_string(),
                    reasons: verdict.reasons().iter().cloned().collect(),
                };
                self.caches
                    .tell(source, &resolved.to_string(), Answer::Failed(error));
            }
        }
        found
            .into_values()
            .map(|realisation| TrustedRealisation {
                resolved: *resolved,
                realisation,
            })
            .collect()
    }

    /// Returns the facts of a build that a trusted key has signed. Others may have signed other facts of the same outcome, which nobody has to believe.
    fn counting<'e>(&self, supporting: &'e [SignedRealisation]) -> Option<&'e Realisation> {
        supporting
            .iter()
            .find(|one| {
                let alone = std::slice::from_ref(*one);
                let verdict = self.policy.judge(&one.realisation, alone, self.now);
                !verdict.signers().is_empty()
            })
            .map(|one| &one.realisation)
    }

    /// Records what was believed of objects that are valid now, with the signatures.
    fn record(&self, wanted: &[(StorePath, ObjectId)]) -> Result<(), PullError> {
        let mut believed = Vec::new();
        for (_, id) in wanted {
            believed.extend(
                lock(&self.believed)
                    .remove(id)
                    .map(|entries| (*id, entries)),
            );
        }
        if believed.is_empty() || self.store.is_read_only() {
            return Ok(());
        }
        let mut unknown = Vec::new();
        let mut signed = Vec::new();
        for (id, all) in believed {
            let mut signatures = Signatures::default();
            for Believed { facts, supporting } in all {
                let new = Signatures {
                    realisations: supporting,
                    ..Signatures::default()
                };
                signatures.merge(&new);
                let known = self.store.find_realisations(&facts.resolved)?;
                let is_known = known
                    .iter()
                    .any(|known| known.output == facts.output && known.object == id);
                if !is_known && !unknown.contains(&facts) {
                    unknown.push(facts);
                }
            }
            signed.push((id, signatures));
        }
        if !unknown.is_empty() {
            self.store.add_realisations(&unknown)?;
        }
        self.store.add_signatures(&signed)?;
        Ok(())
    }
}

/// Forgets what a cache was found not to have. Called after something was pushed to it, with its address as [`Source::url`] prints it.
pub fn forget_misses(store: &LocalStore, cache: &str) -> Result<(), FileError> {
    misses::forget(store.root(), cache)
}
