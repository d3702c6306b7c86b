//! What a push relies on while somebody collects the cache.
//!
//! Invariant: when [`Session::pass_gate`] returns, none of the files that it was told of goes, unless the next name that leads to one is written a grace period later: either nobody has
//! condemned it, or it is claimed since before anybody began to remove it. The argument is in [`gc`](crate::cache::gc).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{PushError, PushRequest, pusher::Cargo, session::Session, survey::Held};
use crate::{
    BlobId, PackDigest, PathDigest,
    cache::{
        backend::Collectors,
        format::{BlobPart, CacheName, Claim, Condemned, DrawnId, Manifest, ObjectRecord},
        gc::is_given_up,
    },
};

/// How long a push waits between two looks at whether a collection is over.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it looks. A collection removes files for a quarter of an hour at most, mostly for seconds.
const LOOKS: u32 = 600;

/// For how long it is enough to have seen that nothing is condemned: what is condemned since then stays for a grace period, which is longer.
const GOOD: Duration = Duration::from_secs(10 * 60);

/// What is known of the collections of this cache.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The list that was there last, and when that was.
    seen: Option<Condemned>,
    looked: Option<Instant>,
    /// What was claimed of that.
    claimed: BTreeSet<CacheName>,
}

impl Session<'_> {
    /// Waits until nobody removes files, and begins to watch. Before anything is asked for that the push may rely on.
    pub(super) fn watch(&self) -> Result<(), PushError> {
        for _ in 0..LOOKS {
            self.check_cancelled()?;
            let looked = Instant::now();
            let found = self.read_condemned()?;
            let is_swept = match &found {
                Some(list) => self.is_being_swept(list)?,
                None => false,
            };
            if !is_swept {
                *self.gate() = Gate {
                    seen: found,
                    looked: Some(looked),
                    claimed: BTreeSet::new(),
                };
                return Ok(());
            }
            self.cache.pause(PAUSE);
        }
        Err(self.collected())
    }

    /// Makes sure that nobody collects what the push relies on. Fails with [`PushError::Collected`] where somebody may have done so already.
    pub(super) fn pass_gate(
        &self,
        relied: impl FnOnce() -> BTreeSet<CacheName>,
    ) -> Result<(), PushError> {
        let mut gate = self.gate();
        let is_recent = gate.looked.is_some_and(|looked| looked.elapsed() < GOOD);
        if gate.seen.is_none() && is_recent {
            return Ok(());
        }
        gate.looked = Some(Instant::now());
        let found = self.read_condemned()?;
        if gate.seen.is_none() && found.is_none() {
            return Ok(());
        }
        let relied = relied();
        let at_risk = |list: &Condemned, claimed: &BTreeSet<CacheName>| -> BTreeSet<CacheName> {
            let condemned = list.names().intersection(&relied);
            condemned
                .filter(|name| !claimed.contains(name))
                .cloned()
                .collect()
        };
        if let Some(seen) = &gate.seen
            && !is_same(Some(seen), found.as_ref())
            && !at_risk(seen, &gate.claimed).is_empty()
        {
            return Err(self.collected());
        }
        // A claim is good for the list for which it was written: later ones may forget it.
        if gate.seen.as_ref().map(|list| list.id) != found.as_ref().map(|list| list.id) {
            gate.claimed.clear();
        }
        if let Some(list) = &found {
            let wanted = at_risk(list, &gate.claimed);
            if !wanted.is_empty() {
                if self.is_being_swept(list)? {
                    return Err(self.collected());
                }
                self.claim(&wanted)?;
                // Whoever begins to remove files from now on reads the claim first.
                if !is_same(Some(list), self.read_condemned()?.as_ref()) {
                    return Err(self.collected());
                }
                gate.claimed.extend(wanted);
            }
        }
        gate.seen = found;
        Ok(())
    }

    fn claim(&self, names: &BTreeSet<CacheName>) -> Result<(), PushError> {
        let name = CacheName::Claim(DrawnId::draw().map_err(PushError::Draw)?);
        let bytes = Claim::new(names.iter().cloned())
            .encode()
            .map_err(|error| self.format_error(&name, error))?;
        self.write(&name, bytes)?;
        self.flush()
    }

    /// Returns the list of what goes. Registries have none, as they cannot be collected.
    fn read_condemned(&self) -> Result<Option<Condemned>, PushError> {
        if self.cache.url().scheme() == "oci" {
            return Ok(None);
        }
        let name = CacheName::Condemned;
        match self.read_replaceable(&name)? {
            // By a list that is none nobody removes anything.
            Some(bytes) => self.understood(&name, Condemned::decode(&bytes)),
            None => Ok(None),
        }
    }

    /// Whether somebody removes files now, as far as can be known.
    fn is_being_swept(&self, list: &Condemned) -> Result<bool, PushError> {
        let Some(begun) = list.sweep_begun else {
            return Ok(false);
        };
        Ok(match self.cache.exclude_collectors()? {
            Collectors::Excluded(_) => false,
            Collectors::AtWork => true,
            Collectors::Unknown => !is_given_up(begun, SystemTime::now()),
        })
    }

    fn collected(&self) -> PushError {
        PushError::Collected {
            cache: self.cache.url().to_string(),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a list is there as it was, and nobody has begun to remove files by it.
fn is_same(before: Option<&Condemned>, now: Option<&Condemned>) -> bool {
    let key = |list: &Condemned| (list.id, list.sweep_begun);
    before.map(key) == now.map(key)
}

/// Returns the names of all files but packs that a push relies on or writes.
pub(super) fn relied_names(request: &PushRequest, cargo: &Cargo) -> BTreeSet<CacheName> {
    let mut names = BTreeSet::new();
    for info in cargo.closure.infos() {
        let digest = *info.path.digest();
        names.extend([
            CacheName::Object(digest),
            CacheName::Manifest(digest),
            CacheName::Closure(digest),
            CacheName::name_hint(info.path.name()),
        ]);
    }
    for realisation in &cargo.realisations {
        names.extend([
            CacheName::Realisations(realisation.resolved),
            CacheName::Log(realisation.resolved),
        ]);
    }
    let plans = request.hints.iter().map(|hint| hint.plan);
    names.extend(plans.map(CacheName::PlanHint));
    names
}

/// Returns the packs that blobs lie in.
pub(super) fn packs_of_blobs(
    blobs: &BTreeMap<BlobId, Vec<BlobPart>>,
) -> impl Iterator<Item = CacheName> {
    let packs = blobs.values().flatten().map(|part| part.frame.pack);
    let packs: BTreeSet<PackDigest> = packs.collect();
    packs.into_iter().map(CacheName::Pack)
}

/// Returns the packs that manifests lead to.
pub(super) fn packs_of_manifests<'a>(
    manifests: impl Iterator<Item = (&'a ObjectRecord, &'a [u8])>,
) -> BTreeSet<CacheName> {
    let mut packs = BTreeSet::new();
    for (record, manifest) in manifests {
        // What cannot be understood is written to no bundle that anybody could use.
        if let Ok(manifest) = Manifest::decode(manifest, &record.info().root) {
            packs.extend(manifest.frames().iter().map(|frame| frame.pack));
        }
    }
    packs.into_iter().map(CacheName::Pack).collect()
}

/// Returns the packs that what was read of a cache leads to.
pub(super) fn packs_of_held(held: &BTreeMap<PathDigest, Held>) -> BTreeSet<CacheName> {
    packs_of_manifests(
        held.values()
            .filter_map(|held| Some((&held.record, held.manifest.as_deref()?))),
    )
}
