//! Records and manifests of what is missing, out of one cache.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Answer, PullError,
    bundle::Bundle,
    caches::{Caches, lock, read_whole, refuse_other},
};
use crate::{
    Lease, LocalStore, ObjectId, PathDigest, StorePath,
    cache::{
        format::{CacheName, MAX_OBJECTS, Manifest, ObjectRecord},
        source::Source,
    },
};

/// Small files that are asked for at once.
const CONNECTIONS: usize = 16;

/// What one cache says of a closure.
pub(super) struct Located {
    /// All objects, references first.
    pub(super) records: Vec<ObjectRecord>,
    /// Those that are not valid here.
    pub(super) missing: BTreeSet<PathDigest>,
    /// What the cache knows of where the contents of missing ones lie.
    pub(super) manifests: BTreeMap<PathDigest, Manifest>,
}

/// Asks one cache.
pub(super) struct Locator<'a> {
    pub(super) store: &'a LocalStore,
    pub(super) lease: &'a Lease,
    pub(super) caches: &'a Caches<'a>,
    pub(super) source: &'a Source,
}

/// Whether the manifests in closure bundles can be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manifests {
    /// They are most probably.
    Bundled,
    /// Packs have moved since.
    Anew,
}

impl<'a> Locator<'a> {
    /// Returns what the cache says of the closures of these objects. What it does not have is noted, and missing in the result.
    pub(super) fn locate(
        &self,
        wanted: &[(StorePath, ObjectId)],
        manifests: Manifests,
    ) -> Result<Located, PullError> {
        let opened = in_parallel(wanted, |(path, id)| self.open(path, id));
        let mut bundles = Vec::new();
        let mut walked = Vec::new();
        for (bundle, target) in opened.into_iter().zip(wanted) {
            match bundle {
                Some(bundle) => bundles.push(bundle),
                None => walked.extend(self.walk(target)?),
            }
        }
        let mut seen = BTreeSet::new();
        let mut records: Vec<ObjectRecord> = Vec::new();
        let bundled = bundles.iter().flat_map(Bundle::records);
        for record in bundled.chain(&walked) {
            if seen.insert(*record.info().path.digest()) {
                records.push(record.clone());
            }
        }
        let paths: Vec<StorePath> = records.iter().map(|one| one.info().path.clone()).collect();
        let missing = self.store.hold(self.lease, &paths)?;
        let missing: BTreeSet<PathDigest> = missing.iter().map(|path| *path.digest()).collect();
        let manifests = self.read_manifests(&records, bundles, &missing, manifests);
        Ok(Located {
            records,
            missing,
            manifests,
        })
    }

    /// Opens the bundle of an object, if the cache has it.
    fn open(&self, path: &StorePath, id: &ObjectId) -> Option<Bundle<'a>> {
        let name = CacheName::Closure(*path.digest());
        let open = || {
            let bundle = Bundle::open(self.source, path.digest())?;
            match bundle.records().last() {
                Some(last) if last.info().id == *id && last.info().path == *path => Ok(bundle),
                _ => Err(refuse_other(self.source, &name, path)),
            }
        };
        self.caches
            .ask(self.source, &name, &path.to_string(), open)
            .ok()
    }

    /// Reads the records of an object, and of what it needs and is not here, one by one: for what nobody has pushed a bundle of. None unless all are there.
    fn walk(&self, wanted: &(StorePath, ObjectId)) -> Result<Vec<ObjectRecord>, PullError> {
        let mut found: BTreeMap<PathDigest, ObjectRecord> = BTreeMap::new();
        let mut frontier = vec![wanted.clone()];
        let mut seen: BTreeSet<PathDigest> = BTreeSet::from([*wanted.0.digest()]);
        while !frontier.is_empty() {
            let records = in_parallel(&frontier, |(path, id)| self.read_record(path, id));
            let mut next = Vec::new();
            for record in records {
                let Some(record) = record else {
                    return Ok(Vec::new());
                };
                for reference in &record.info().references {
                    if seen.insert(*reference.path.digest()) {
                        next.push((reference.path.clone(), reference.id));
                    }
                }
                found.insert(*record.info().path.digest(), record);
            }
            if seen.len() > MAX_OBJECTS {
                return Ok(Vec::new());
            }
            let paths: Vec<StorePath> = next.iter().map(|(path, _)| path.clone()).collect();
            let missing = self.store.hold(self.lease, &paths)?;
            next.retain(|(path, _)| missing.contains(path));
            frontier = next;
        }
        Ok(sort(found))
    }

    fn read_record(&self, path: &StorePath, id: &ObjectId) -> Option<ObjectRecord> {
        let name = CacheName::Object(*path.digest());
        let read = || {
            let record = read_whole(self.source, &name, ObjectRecord::decode)?;
            if record.info().id == *id && record.info().path == *path {
                Ok(record)
            } else {
                Err(refuse_other(self.source, &name, path))
            }
        };
        self.caches
            .ask(self.source, &name, &path.to_string(), read)
            .ok()
    }

    /// Reads the manifests of missing objects: out of the bundles, else one by one.
    fn read_manifests(
        &self,
        records: &[ObjectRecord],
        bundles: Vec<Bundle<'_>>,
        missing: &BTreeSet<PathDigest>,
        manifests: Manifests,
    ) -> BTreeMap<PathDigest, Manifest> {
        let roots: BTreeMap<PathDigest, &ObjectRecord> = records
            .iter()
            .map(|record| (*record.info().path.digest(), record))
            .collect();
        let mut found = BTreeMap::new();
        for mut bundle in bundles {
            if manifests == Manifests::Anew {
                break;
            }
            let read = bundle
                .read_manifests(|digest| missing.contains(digest) && !found.contains_key(digest));
            match read {
                Ok(read) => {
                    for (digest, bytes) in read {
                        let record = roots.get(&digest);
                        let decoded =
                            record.and_then(|one| Manifest::decode(&bytes, &one.info().root).ok());
                        found.extend(decoded.map(|manifest| (digest, manifest)));
                    }
                }
                Err(error) => {
                    if let Some(last) = bundle.records().last() {
                        let subject = last.info().path.to_string();
                        self.caches
                            .tell(self.source, &subject, Answer::Failed(error));
                    }
                }
            }
        }
        let single: Vec<&ObjectRecord> = missing
            .iter()
            .filter(|digest| !found.contains_key(digest))
            .filter_map(|digest| roots.get(digest).copied())
            .collect();
        let read = in_parallel(&single, |record| {
            let info = record.info();
            let name = CacheName::Manifest(*info.path.digest());
            let decode = |bytes: &[u8]| Manifest::decode(bytes, &info.root);
            match read_whole(self.source, &name, decode) {
                Ok(manifest) => Some((*info.path.digest(), manifest)),
                Err(error) => {
                    let subject = info.path.to_string();
                    self.caches
                        .tell(self.source, &subject, Answer::Failed(error));
                    None
                }
            }
        });
        found.extend(read.into_iter().flatten());
        found
    }
}

/// Sorts records so that references come first. What refers to each other in a circle, which no true records do, is left out.
fn sort(mut records: BTreeMap<PathDigest, ObjectRecord>) -> Vec<ObjectRecord> {
    let mut sorted = Vec::with_capacity(records.len());
    loop {
        let ready: Vec<PathDigest> = records
            .iter()
            .filter(|(_, record)| {
                let mut references = record.info().references.iter();
                references.all(|one| !records.contains_key(one.path.digest()))
            })
            .map(|(digest, _)| *digest)
            .collect();
        if ready.is_empty() {
            return sorted;
        }
        sorted.extend(ready.iter().filter_map(|digest| records.remove(digest)));
    }
}

/// Does something with each of many things, several at a time; results in the order of the things.
pub(super) fn in_parallel<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if let [one] = things {
        return vec![work(one)];
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, R>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS.min(things.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(thing) = things.get(number) else {
                        return;
                    };
                    let result = work(thing);
                    lock(&results).insert(number, result);
                }
            });
        }
    });
    let results = std::mem::take(&mut *lock(&results));
    results.into_values().collect()
}

/// What a cache is borrowed as.
pub(super) fn borrowed<'a>(sources: &[&'a Arc<Source>]) -> Vec<&'a Source> {
    sources.iter().map(|source| &***source).collect()
}
