//! The order of a push.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    PushError, PushEvent, PushReport, PushRequest,
    batch::{Places, batches},
    gate::{packs_of_blobs, packs_of_held, packs_of_manifests, relied_names},
    merge::Addition,
    session::Session,
    survey::Survey,
};
use crate::{
    Closure, Lease, LocalStore, PathDigest, PathInfo, Realisation, StorePath,
    cache::{
        backend::BackendError,
        format::{CacheInfo, CacheName, ObjectRecord},
        source::{Source, SourceError},
    },
    db::is_facts,
    trust::{SecretKey, Statement},
};

/// How a build is confined of which others need not be warned.
const FULL: &str = "full";

/// How often a push begins anew at most because somebody collects what it relies on.
const TRIES: u32 = 4;

/// Pushes objects into one cache.
#[derive(Debug, Clone)]
pub struct Pusher<'a> {
    store: &'a LocalStore,
    cache: &'a Source,
    key: Option<&'a SecretKey>,
    sandboxes: BTreeSet<String>,
}

/// The objects of a push, with all that is known of each.
pub(super) struct Cargo {
    pub(super) closure: Closure,
    /// Their records as this push would write them.
    pub(super) records: BTreeMap<PathDigest, ObjectRecord>,
    /// What was built to them.
    pub(super) realisations: Vec<Realisation>,
}

impl<'a> Pusher<'a> {
    /// Takes a store and a cache.
    #[must_use]
    pub fn new(store: &'a LocalStore, cache: &'a Source) -> Self {
        Self {
            store,
            cache,
            key: None,
            sandboxes: BTreeSet::from([FULL.to_owned()]),
        }
    }

    /// Signs objects, components and realisations. A cache that is made by this push offers the key.
    #[must_use]
    pub fn sign_with(mut self, key: &'a SecretKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Lets objects go along whose builds were confined in this way, which is less than `full`.
    #[must_use]
    pub fn allow_sandbox(mut self, level: impl Into<String>) -> Self {
        self.sandboxes.insert(level.into());
        self
    }

    /// Pushes closures, the realisations that ended in them, and hints. Blocks.
    ///
    /// `events` is called from several threads. When `cancel` is set, it ends with [`PushError::Interrupted`] after the file that is on its way.
    pub fn push(
        &self,
        request: &PushRequest,
        events: &(dyn Fn(PushEvent) + Sync),
        cancel: &AtomicBool,
    ) -> Result<PushReport, PushError> {
        let session = Session {
            store: self.store,
            cache: self.cache,
            key: self.key,
            events,
            cancel,
            sent_bytes: AtomicU64::new(0),
            packs: AtomicU64::new(0),
            gate: Mutex::default(),
            signed: Mutex::default(),
        };
        let lease = self.store.lease()?;
        let roots = roots(request);
        self.store.hold(&lease, &roots)?;
        let request = &self.with_facts(request, &self.store.closure(&roots)?, &lease)?;
        let roots = self::roots(request);
        self.check_hints(request)?;
        let mut tried = 0;
        let mut report = loop {
            let cargo = self.load(self.store.closure(&roots)?, &session)?;
            let is_new = session.meet_cache()?;
            session.watch()?;
            let survey = session.survey(&cargo.closure, request, &cargo.records, is_new)?;
            tried += 1;
            match session.send(request, cargo, survey) {
                // What was sent stays, and what is gone is missing now.
                Err(PushError::Collected { .. }) if tried < TRIES => {}
                result => break result?,
            }
        };
        report.sent_bytes = session.sent_bytes.load(Ordering::Relaxed);
        report.packs = session.packs.load(Ordering::Relaxed);
        drop(lease);
        Ok(report)
    }

    /// Adds the objects of facts of all that is pushed, as far as they are here: whoever takes the objects can then audit them.
    fn with_facts(
        &self,
        request: &PushRequest,
        closure: &Closure,
        lease: &Lease,
    ) -> Result<PushRequest, PushError> {
        let components = closure
            .infos()
            .iter()
            .filter_map(|info| info.component.as_ref());
        let facts = components.filter_map(|component| component.facts.as_ref());
        let facts: BTreeSet<&StorePath> = facts.map(|facts| &facts.path).collect();
        let facts: Vec<StorePath> = facts.into_iter().cloned().collect();
        let missing = self.store.hold(lease, &facts)?;
        let mut request = request.clone();
        let here = facts.into_iter().filter(|path| !missing.contains(path));
        request.others.extend(here);
        Ok(request)
    }

    /// Refuses to put the name of this store under builds that nobody should rely on, be their objects pushed or not.
    fn check_hints(&self, request: &PushRequest) -> Result<(), PushError> {
        let mut realisations = request.hints.iter().flat_map(|hint| &hint.realisations);
        match realisations.find(|one| !self.sandboxes.contains(&one.sandbox)) {
            Some(weak) => Err(PushError::WeakSandbox {
                path: weak.path.clone(),
                level: weak.sandbox.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Loads what is known of the objects, and refuses those that nobody should rely on.
    fn load(&self, closure: Closure, session: &Session<'_>) -> Result<Cargo, PushError> {
        let mut records = BTreeMap::new();
        let mut realisations = Vec::new();
        for info in closure.infos() {
            for realisation in self.store.find_realisations_of(&info.id)? {
                if !self.sandboxes.contains(&realisation.sandbox) {
                    return Err(PushError::WeakSandbox {
                        path: info.path.clone(),
                        level: realisation.sandbox,
                    });
                }
                realisations.push(realisation);
            }
            records.insert(*info.path.digest(), session.record(info)?);
        }
        Ok(Cargo {
            closure,
            records,
            realisations,
        })
    }
}

impl Session<'_> {
    /// Makes the record of an object, with all signatures that are known here and that of this push.
    fn record(&self, info: &PathInfo) -> Result<ObjectRecord, PushError> {
        let failed = |error| self.format_error(&CacheName::Object(*info.path.digest()), error);
        let mut record = ObjectRecord::from_path_info(info).map_err(failed)?;
        let known = self.store.find_signatures(&info.id)?;
        record.signatures.merge(&known.object);
        if let Some(component) = &known.component {
            // The text that others have signed says the same in other words.
            let is_other = record.component_text() != Some(component.json.as_str());
            if !is_other || record.set_component_text(&component.json).is_ok() {
                record.component_signatures.merge(&component.signatures);
            }
        }
        if let Some(key) = self.key {
            record.signatures.insert(key.sign(&Statement::object(info)));
            if let Some(text) = record.component_text() {
                let signature = key.sign(&Statement::component(&info.id, text));
                record.component_signatures.insert(signature);
            }
        }
        Ok(record)
    }

    /// Reads what the cache says of itself, or makes one of an empty place. Tells whether it did.
    fn meet_cache(&self) -> Result<bool, PushError> {
        let name = CacheName::Info;
        let found = match self.read(&name) {
            // Not even the directory is there, which is made by the first write.
            Err(PushError::Cache(SourceError::Backend(error))) if is_no_directory(&error) => None,
            found => found?,
        };
        if let Some(bytes) = found {
            CacheInfo::decode(&bytes).map_err(|error| self.format_error(&name, error))?;
            return Ok(false);
        }
        self.check_writable()?;
        let info = CacheInfo {
            keys: self.key.iter().map(|key| key.public()).collect(),
        };
        let made = self.settle(vec![vec![Addition::new(name, info)]])?;
        Ok(made.iter().all(|addition| addition.is_written))
    }

    /// Fails if it is known that nothing can be written, before anything is read and compressed for it.
    fn check_writable(&self) -> Result<(), PushError> {
        if self.cache.is_writable()? {
            return Ok(());
        }
        Err(PushError::NotWritable {
            cache: self.cache.url().to_string(),
        })
    }

    /// Sends what is missing, in the order in which a reader must find it.
    fn send(
        &self,
        request: &PushRequest,
        mut cargo: Cargo,
        mut survey: Survey,
    ) -> Result<PushReport, PushError> {
        let mut records = std::mem::take(&mut cargo.records);
        let closure = &cargo.closure;
        let mut missing = survey.missing_of(closure);
        if !missing.is_empty() {
            self.check_writable()?;
        }
        // They refer to nothing, and are there before what names them.
        missing.sort_by_key(|info| !is_facts(&info.path));
        let known = self.find_known(&missing, &survey.held)?;
        let relied = relied_names(request, &cargo);
        self.pass_gate(|| {
            let mut names = packs_of_held(&survey.held);
            names.extend(packs_of_blobs(&known.blobs));
            names.extend(
                known
                    .frames
                    .values()
                    .map(|frame| CacheName::Pack(frame.pack)),
            );
            names.extend(relied.iter().cloned());
            names
        })?;
        let mut report = PushReport {
            objects: closure.infos().len(),
            size_bytes: closure.size_bytes(),
            new_objects: missing.len(),
            new_bytes: missing.iter().map(|info| info.size_bytes).sum(),
            reused_bytes: known.reused_bytes,
            ..PushReport::default()
        };
        (self.events)(PushEvent::Surveyed {
            objects: report.objects,
            missing: report.new_objects,
            missing_bytes: report.new_bytes,
            reused_bytes: report.reused_bytes,
        });
        let levels = levels(closure);
        let mut places = Places::from(known);
        let mut manifests: BTreeMap<PathDigest, Vec<u8>> = survey
            .held
            .iter_mut()
            .filter_map(|(digest, held)| Some((*digest, held.manifest.take()?)))
            .collect();
        for batch in batches(&missing) {
            manifests.extend(self.send_batch(&batch, &mut places)?);
            self.write_records(&batch, &levels, &mut records)?;
            for info in batch {
                (self.events)(PushEvent::Object {
                    path: info.path.clone(),
                });
            }
        }
        drop(places);
        report.signed = self.sign_others(&survey, &levels, closure, &mut records)?;
        cargo.records = records;
        self.pass_gate(|| {
            let manifests = manifests.iter().filter_map(|(digest, manifest)| {
                Some((cargo.records.get(digest)?, manifest.as_slice()))
            });
            let mut names = packs_of_manifests(manifests);
            names.extend(relied);
            names
        })?;
        report.realisations = self.write_endings(request, &cargo, &survey, manifests)?;
        Ok(report)
    }

    /// Writes the records of objects whose manifests are there. What others wrote meanwhile is merged, and what the records say then is kept.
    fn write_records(
        &self,
        objects: &[&PathInfo],
        levels: &BTreeMap<PathDigest, usize>,
        records: &mut BTreeMap<PathDigest, ObjectRecord>,
    ) -> Result<usize, PushError> {
        let mut by_level: BTreeMap<usize, Vec<Addition<ObjectRecord>>> = BTreeMap::new();
        for info in objects {
            let digest = *info.path.digest();
            if let Some(record) = records.get(&digest) {
                let level = levels.get(&digest).copied().unwrap_or_default();
                let addition = Addition::new(CacheName::Object(digest), record.clone());
                by_level.entry(level).or_default().push(addition);
            }
        }
        let settled = self.settle(by_level.into_values().collect())?;
        let mut written = 0;
        for addition in settled {
            written += usize::from(addition.is_written);
            records.insert(*addition.value.info().path.digest(), addition.value);
        }
        Ok(written)
    }

    /// Adds signatures to the records of objects that are there. Returns to how many.
    fn sign_others(
        &self,
        survey: &Survey,
        levels: &BTreeMap<PathDigest, usize>,
        closure: &Closure,
        records: &mut BTreeMap<PathDigest, ObjectRecord>,
    ) -> Result<usize, PushError> {
        let has_something = |digest: &PathDigest| {
            records.get(digest).is_some_and(|own| {
                let mut held = match survey.held.get(digest) {
                    Some(held) => held.record.clone(),
                    None => {
                        return !own.signatures.is_empty() || !own.component_signatures.is_empty();
                    }
                };
                !matches!(held.merge(own), Ok(false))
            })
        };
        let others: Vec<&PathInfo> = closure
            .infos()
            .iter()
            .filter(|info| {
                let digest = info.path.digest();
                !survey.missing.contains(digest)
                    && !survey.covered.contains(digest)
                    && has_something(digest)
            })
            .collect();
        // What the cache says goes into new bundles, where nothing is added to it.
        for (digest, held) in &survey.held {
            if let Some(record) = records.get_mut(digest) {
                let mut merged = held.record.clone();
                if merged.merge(record).is_ok() {
                    *record = merged;
                }
            }
        }
        self.write_records(&others, levels, records)
    }
}

fn is_no_directory(error: &BackendError) -> bool {
    matches!(error, BackendError::File(error) if error.source.kind() == ErrorKind::NotFound)
}

/// Returns all paths whose closures are pushed.
fn roots(request: &PushRequest) -> Vec<StorePath> {
    let roots = request.targets.iter().chain(&request.others);
    roots.cloned().collect()
}

/// How many references lie at most between an object and one without any; those of facts lie below all others.
fn levels(closure: &Closure) -> BTreeMap<PathDigest, usize> {
    let mut levels: BTreeMap<PathDigest, usize> = BTreeMap::new();
    for info in closure.infos() {
        let below = info
            .references
            .iter()
            .filter_map(|reference| levels.get(reference.path.digest()))
            .max();
        let lowest = usize::from(!is_facts(&info.path));
        let level = below.map_or(lowest, |below| below + 1);
        levels.insert(*info.path.digest(), level);
    }
    levels
}
