//! One pull: what is missing, from one cache after another.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use rayon::prelude::*;

use super::{
    Answer, CacheError, Damage, PullError, PullEvent, Pulled, WithoutComponent,
    caches::Caches,
    fetch::Fetch,
    locate::{Located, Locator, Manifests, borrowed},
    older::Older,
    plan::{Job, choose},
    sink::{Sink, Told},
    spool::Spool,
};
use crate::{
    BlobId, Lease, LocalStore, ObjectId, PathDigest, PathInfo, StoreName, StorePath,
    cache::{
        format::{CacheName, ObjectRecord},
        source::Source,
    },
    local::{Expected, PlaceError, split_into_batches},
    sys::files::at,
    trust::{Policy, Signatures, SignedComponent},
};

/// With less to fetch, nobody looks for older versions.
const WORTH_LOOKING: u64 = 128 << 10;

/// What one call of [`Puller::pull`](super::Puller::pull) works with.
pub(super) struct Run<'a> {
    pub(super) store: &'a LocalStore,
    pub(super) caches: &'a Caches<'a>,
    pub(super) policy: &'a Policy,
    pub(super) now: u64,
    pub(super) keep_after: Duration,
    pub(super) lease: &'a Lease,
    pub(super) events: &'a (dyn Fn(PullEvent) + Sync),
    pub(super) cancel: &'a AtomicBool,
}

impl Run<'_> {
    /// Asks caches, the fastest first, until everything is valid.
    pub(super) fn run(&self, mut left: Vec<(StorePath, ObjectId)>) -> Result<Pulled, PullError> {
        self.store.check_writable()?;
        let subjects: BTreeSet<String> = left.iter().map(|(path, _)| path.to_string()).collect();
        let sources = self.caches.usable();
        let spool = Spool::open(self.store, self.now);
        let mut pulled = Pulled::default();
        for number in 0..sources.len() {
            let mut order = sources.clone();
            order.swap(0, number);
            // Whoever finds a pack absent asks for the manifests again: it may have been repacked.
            for manifests in [Manifests::Bundled, Manifests::Anew] {
                let is_gone = self.pass(&order, &left, manifests, &spool, &mut pulled)?;
                self.check_cancelled()?;
                let paths: Vec<StorePath> = left.iter().map(|(path, _)| path.clone()).collect();
                let missing = self.store.hold(self.lease, &paths)?;
                left.retain(|(path, _)| missing.contains(path));
                if left.is_empty() {
                    spool.clear();
                    pulled.failures = self.caches.failures(&subjects);
                    return Ok(pulled);
                }
                if !is_gone {
                    break;
                }
            }
        }
        Err(PullError::Missing {
            path: left.remove(0).0,
            answers: self.caches.failures(&subjects),
        })
    }

    /// Takes from the first cache what it has; packs that it cannot give, from the others. Tells whether a pack was absent.
    fn pass(
        &self,
        sources: &[&Arc<Source>],
        left: &[(StorePath, ObjectId)],
        manifests: Manifests,
        spool: &Spool,
        pulled: &mut Pulled,
    ) -> Result<bool, PullError> {
        let Some(source) = sources.first() else {
            return Ok(false);
        };
        let locator = Locator {
            store: self.store,
            lease: self.lease,
            caches: self.caches,
            source,
        };
        let located = locator.locate(left, manifests)?;
        self.check_cancelled()?;
        let subject = left.first().map(|(path, _)| path.to_string());
        let subject = subject.unwrap_or_default();
        let chosen = self.expect(&located, pulled);
        let is_gone = if chosen.is_empty() {
            false
        } else {
            self.transfer(sources, &located, chosen, spool, &subject, pulled)?
        };
        self.merge_signatures(&located.records)?;
        Ok(is_gone)
    }

    /// Returns the missing objects that can become valid by what the cache has, references first, with components as far as they are believed.
    fn expect(&self, located: &Located, pulled: &mut Pulled) -> Vec<Expected> {
        let mut chosen: BTreeSet<&PathDigest> = BTreeSet::new();
        let mut expected = Vec::new();
        for record in &located.records {
            let info = record.info();
            let digest = info.path.digest();
            let Some(manifest) = located.manifests.get(digest) else {
                continue;
            };
            let is_supported =
                |digest: &PathDigest| !located.missing.contains(digest) || chosen.contains(digest);
            if !info
                .references
                .iter()
                .all(|one| is_supported(one.path.digest()))
            {
                continue;
            }
            chosen.insert(digest);
            expected.push(Expected {
                info: self.judge_component(record, pulled),
                bundle: manifest.trees().clone(),
            });
        }
        expected
    }

    /// Returns the facts of a record, without the component unless that is believed.
    fn judge_component(&self, record: &ObjectRecord, pulled: &mut Pulled) -> PathInfo {
        let info = record.info().clone();
        let Some(text) = record.component_text() else {
            return info;
        };
        let signatures = &record.component_signatures;
        let verdict = self
            .policy
            .judge_component(&info.id, text, signatures, self.now);
        if verdict.is_accepted() {
            return info;
        }
        let path = info.path.clone();
        pulled.without_component.retain(|one| one.path != path);
        pulled.without_component.push(WithoutComponent {
            path,
            reasons: verdict.reasons().iter().cloned().collect(),
        });
        PathInfo {
            component: None,
            ..info
        }
    }

    /// Brings the bytes of these objects, and makes valid what is complete. Tells whether a pack was absent.
    fn transfer(
        &self,
        sources: &[&Arc<Source>],
        located: &Located,
        expected: Vec<Expected>,
        spool: &Spool,
        subject: &str,
        pulled: &mut Pulled,
    ) -> Result<bool, PullError> {
        let infos: Vec<&PathInfo> = expected.iter().map(|one| &one.info).collect();
        let objects = infos.len();
        let bytes = infos.iter().map(|info| info.size_bytes).sum();
        let names = infos
            .iter()
            .map(|info| info.path.name().clone())
            .collect::<BTreeSet<_>>();
        let arrivals = self.store.expect(self.lease, &infos)?;
        let mut batches = Vec::new();
        for batch in split_into_batches(expected) {
            batches.push(arrivals.begin(batch)?);
        }
        let (sender, told) = mpsc::channel();
        let sink = Sink::new(batches, sender);
        let before = sink.missing();
        before
            .par_iter()
            .try_for_each(|(blob, _)| sink.link(blob).map(drop))?;
        let jobs = self.plan(located, &names, &sink)?;
        let after = sink.missing();
        pulled.local_bytes += before.values().sum::<u64>() - after.values().sum::<u64>();
        (self.events)(PullEvent::Planned {
            objects,
            bytes,
            fetch_bytes: jobs
                .iter()
                .map(|job| u64::from(job.frame.compressed_length))
                .sum(),
        });
        let fetch = Fetch::new(
            (self.caches, &sink, spool),
            (self.events, self.cancel),
            self.keep_after,
            subject,
        );
        let sources = borrowed(sources);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                fetch.run(&sources, jobs);
                sink.close();
            });
            if let Err(error) = self.commit(&sink, &told, &sources, subject, pulled) {
                fetch.stop(error);
            }
        });
        let fetched = fetch.into_result();
        pulled.fetched_bytes += fetched.fetched_bytes;
        pulled.resumed_bytes += fetched.resumed_bytes;
        match fetched.fatal {
            Some(error) => Err(error),
            None => Ok(fetched.is_gone),
        }
    }

    /// Takes what older versions have, and returns the frames that are needed of the rest.
    fn plan(
        &self,
        located: &Located,
        names: &BTreeSet<StoreName>,
        sink: &Sink<'_>,
    ) -> Result<Vec<Job>, PullError> {
        let choose = |missing: &BTreeMap<BlobId, u64>| {
            let manifests = located
                .records
                .iter()
                .filter_map(|record| located.manifests.get(record.info().path.digest()));
            choose(manifests, &missing.keys().copied().collect())
        };
        let missing = sink.missing();
        let jobs = choose(&missing);
        let bytes: u64 = jobs
            .iter()
            .map(|job| u64::from(job.frame.compressed_length))
            .sum();
        if bytes < WORTH_LOOKING {
            return Ok(jobs);
        }
        let older = Older::find(self.store, names)?;
        if older.is_empty() {
            return Ok(jobs);
        }
        older.copy_small(&missing, sink)?;
        older.copy_chunks(choose(&sink.missing()), sink)
    }

    /// Makes batches valid in their order as they become complete, and in the end what is complete of the others. What is written meanwhile is brought to disk,
    /// so that a commit does not wait for all of it.
    fn commit(
        &self,
        sink: &Sink<'_>,
        told: &mpsc::Receiver<Told>,
        sources: &[&Source],
        subject: &str,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut ready = BTreeSet::new();
        let mut next = 0;
        while let Ok(first) = told.recv() {
            let news: Vec<Told> = iter::once(first).chain(told.try_iter()).collect();
            ready.extend(news.iter().filter_map(|told| match told {
                Told::Complete(number) => Some(*number),
                Told::Written => None,
            }));
            if news.contains(&Told::Written) && !ready.contains(&next) {
                self.store.write_back();
            }
            while ready.contains(&next) {
                self.commit_one(sink, next, sources, subject, pulled)?;
                next += 1;
            }
        }
        (next..sink.len())
            .try_for_each(|number| self.commit_one(sink, number, sources, subject, pulled))
    }

    fn commit_one(
        &self,
        sink: &Sink<'_>,
        number: usize,
        sources: &[&Source],
        subject: &str,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let Some(arrived) = sink.commit(number)? else {
            return Ok(());
        };
        for path in arrived.refused {
            // All files are what the manifest says, so the record or the manifest is wrong.
            if let Some(source) = sources.first() {
                let name = CacheName::Object(*path.digest());
                let error = CacheError::damaged(&name, Damage::Identity { path });
                self.caches.tell(source, subject, Answer::Failed(error));
            }
        }
        if !arrived.valid.is_empty() {
            (self.events)(PullEvent::Valid {
                objects: arrived.valid.len(),
            });
        }
        for info in arrived.valid {
            pulled.bytes += info.size_bytes;
            pulled.objects.push(info.path);
        }
        Ok(())
    }

    /// Remembers the signatures of everything that is valid, whoever it came from.
    fn merge_signatures(&self, records: &[ObjectRecord]) -> Result<(), PullError> {
        let signed: Vec<(ObjectId, Signatures)> = records
            .iter()
            .map(|record| {
                let component = record.component_text().map(|text| SignedComponent {
                    json: text.to_owned(),
                    signatures: record.component_signatures.clone(),
                });
                let signatures = Signatures {
                    object: record.signatures.clone(),
                    component: component.filter(|one| !one.signatures.is_empty()),
                    realisations: Vec::new(),
                };
                (record.info().id, signatures)
            })
            .filter(|(_, signatures)| !signatures.is_empty())
            .collect();
        if !signed.is_empty() {
            self.store.add_signatures(&signed)?;
        }
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), PullError> {
        if self.cancel.load(Ordering::Relaxed) {
            Err(PullError::Interrupted)
        } else {
            Ok(())
        }
    }
}

impl From<PlaceError> for PullError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Add(error) => Self::Add(error),
            PlaceError::Read { file, source } => Self::File(at("read", file)(source)),
            // What is wrong with bytes that came from outside is told of the cache before.
            error => Self::File(at("write", "an object")(std::io::Error::other(
                error.to_string(),
            ))),
        }
    }
}
