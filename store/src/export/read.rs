//! A stream into a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use super::{
    ImportError,
    contents::{Content, contents_of},
    payload::{PART, PayloadReader},
};
use crate::{
    Lease, LocalStore, ObjectId, PathInfo, Realisation, StorePath, Watch,
    cache::format::{
        FormatError, MAX_HINT, MAX_MANIFEST, MAX_OBJECTS, MAX_RECORD, MAX_RECORDS, ObjectRecord,
        RealisationSet,
    },
    local::{Arrival, Arrivals, Expected, PlaceError, Progress, split_into_batches},
    tree::decode_bundle,
    trust::{Policy, Signatures, SignedComponent, SignedRealisation},
};

/// What is taken over of a stream beside the objects, whose bytes prove themselves.
#[derive(Debug, Clone, Copy)]
pub enum Believe<'a> {
    /// All of it: who wrote the stream is trusted.
    Everything,
    /// What is signed as a policy wants it.
    Signed {
        /// The policy.
        policy: &'a Policy,
        /// The time, in seconds since 1970.
        now: u64,
    },
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The objects of the stream that no other one needs.
    pub roots: Vec<StorePath>,
    /// Objects that have become valid, references first.
    pub objects: Vec<StorePath>,
    /// Objects that were valid already.
    pub known: usize,
    /// Objects whose component was not believed.
    pub without_component: Vec<StorePath>,
    /// Realisations that were not believed.
    pub unbelieved_realisations: usize,
}

/// Takes the objects of a stream into a store, and all of them under the lease.
///
/// Objects that are valid already are passed over. When the stream turns out to be damaged, what was complete before stays. Reads to the end of the stream, and fails if anything follows.
pub fn import(
    store: &LocalStore,
    input: &mut dyn Read,
    believe: Believe<'_>,
    lease: &Lease,
    watch: &Watch<'_>,
) -> Result<Imported, ImportError> {
    store.check_writable()?;
    let mut reader = PayloadReader::begin(input)?;
    let head = Head::read(&mut reader)?;
    let mut imported = Imported {
        roots: head.roots(),
        ..Imported::default()
    };
    let paths: Vec<StorePath> = head
        .records
        .iter()
        .map(|one| one.info().path.clone())
        .collect();
    let missing: BTreeSet<StorePath> = store.hold(lease, &paths)?.into_iter().collect();
    imported.known = paths.len() - missing.len();
    let expected = head.expected(&missing, believe, &mut imported);
    let infos: Vec<&PathInfo> = expected.iter().map(|one| &one.info).collect();
    (watch.progress)(Progress::Started {
        objects: paths.len() as u64,
        bytes: head.records.iter().map(|one| one.info().size_bytes).sum(),
    });
    let arrivals = store.expect(lease, &infos)?;
    Import {
        arrivals: &arrivals,
        reader: &mut reader,
        watch,
        imported: &mut imported,
    }
    .run(&head, expected)?;
    reader.finish()?;
    record(store, &head, believe, &mut imported)?;
    Ok(imported)
}

/// Everything before the contents.
struct Head {
    records: Vec<ObjectRecord>,
    realisations: Vec<Vec<SignedRealisation>>,
    trees: Vec<crate::tree::TreeBundle>,
    contents: Vec<Vec<Content>>,
}

impl Head {
    fn read(reader: &mut PayloadReader<'_>) -> Result<Self, ImportError> {
        let count = reader.take_number()? as usize;
        if count == 0 || count > MAX_OBJECTS {
            return Err(ImportError::Malformed {
                rule: "it has 1 to 65536 objects",
            });
        }
        let records = read_records(reader, count)?;
        let mut head = Self {
            records,
            realisations: Vec::new(),
            trees: Vec::new(),
            contents: Vec::new(),
        };
        for record in &head.records {
            let text = reader.take_text(MAX_HINT)?;
            head.realisations
                .push(read_realisations(&text, record.info())?);
        }
        for record in &head.records {
            let info = record.info();
            let bytes = reader.take_text(MAX_MANIFEST)?;
            let trees = decode_bundle(&info.root, &bytes, u64::MAX).map_err(|source| {
                ImportError::Trees {
                    path: info.path.clone(),
                    source: Box::new(source),
                }
            })?;
            let contents = contents_of(&info.root, &trees).ok_or(ImportError::Malformed {
                rule: "files of one content have one size",
            })?;
            head.trees.push(trees);
            head.contents.push(contents);
        }
        Ok(head)
    }

    /// Returns the objects that no other one refers to, ascending.
    fn roots(&self) -> Vec<StorePath> {
        let references = self.records.iter().flat_map(|one| &one.info().references);
        let needed: BTreeSet<&StorePath> = references.map(|one| &one.path).collect();
        let all = self.records.iter().map(|one| &one.info().path);
        let roots: BTreeSet<&StorePath> = all.filter(|path| !needed.contains(path)).collect();
        roots.into_iter().cloned().collect()
    }

    /// Returns the objects that are missing, with components as far as they are believed.
    fn expected(
        &self,
        missing: &BTreeSet<StorePath>,
        believe: Believe<'_>,
        imported: &mut Imported,
    ) -> Vec<Expected> {
        let mut expected = Vec::new();
        for (record, bundle) in self.records.iter().zip(&self.trees) {
            let mut info = record.info().clone();
            if !missing.contains(&info.path) {
                continue;
            }
            if !believes_component(record, believe) {
                info.component = None;
                imported.without_component.push(info.path.clone());
            }
            expected.push(Expected {
                info,
                bundle: bundle.clone(),
            });
        }
        expected
    }
}

fn believes_component(record: &ObjectRecord, believe: Believe<'_>) -> bool {
    let (Some(text), Believe::Signed { policy, now }) = (record.component_text(), believe) else {
        return true;
    };
    let signatures = &record.component_signatures;
    policy
        .judge_component(&record.info().id, text, signatures, now)
        .is_accepted()
}

fn read_records(
    reader: &mut PayloadReader<'_>,
    count: usize,
) -> Result<Vec<ObjectRecord>, ImportError> {
    let mut records = Vec::new();
    let mut seen: BTreeMap<StorePath, ObjectId> = BTreeMap::new();
    let mut bytes = 0;
    for _ in 0..count {
        let text = reader.take_text(MAX_RECORD)?;
        bytes += text.len();
        if bytes > MAX_RECORDS {
            return Err(ImportError::Malformed {
                rule: "its records have at most 128 MiB",
            });
        }
        let record = ObjectRecord::decode(&text)?;
        let info = record.info();
        let is_there = |one: &crate::Reference| seen.get(&one.path) == Some(&one.id);
        if !info.references.iter().all(is_there) {
            return Err(ImportError::Malformed {
                rule: "references come before what refers to them",
            });
        }
        if seen.insert(info.path.clone(), info.id).is_some() {
            return Err(ImportError::Malformed {
                rule: "it has each object once",
            });
        }
        records.push(record);
    }
    Ok(records)
}

/// Parses what an object is said to have been built from.
fn read_realisations(text: &[u8], info: &PathInfo) -> Result<Vec<SignedRealisation>, ImportError> {
    let all: Vec<SignedRealisation> =
        serde_json::from_slice(text).map_err(|source| FormatError::Json {
            what: "list of realisations",
            source,
        })?;
    for one in &all {
        let realisation = &one.realisation;
        if realisation.object != info.id || realisation.path != info.path {
            return Err(ImportError::Malformed {
                rule: "realisations are of their object",
            });
        }
        // The rules for a realisation are those of a cache.
        RealisationSet::new(realisation.resolved).insert(one.clone())?;
    }
    Ok(all)
}

/// The contents of a stream on their way into batches.
struct Import<'a, 'r, 's> {
    arrivals: &'a Arrivals<'s>,
    reader: &'a mut PayloadReader<'r>,
    watch: &'a Watch<'a>,
    imported: &'a mut Imported,
}

impl Import<'_, '_, '_> {
    fn run(&mut self, head: &Head, expected: Vec<Expected>) -> Result<(), ImportError> {
        let mut batches = split_into_batches(expected).into_iter();
        let mut batch: Option<(Arrival<'_>, StorePath)> = None;
        let mut next = batches.next();
        for (record, contents) in head.records.iter().zip(&head.contents) {
            let path = &record.info().path;
            if batch.is_none()
                && next
                    .as_ref()
                    .and_then(|batch| batch.first())
                    .is_some_and(|first| first.info.path == *path)
                && let Some(objects) = std::mem::replace(&mut next, batches.next())
                && let Some(last) = objects.last().map(|last| last.info.path.clone())
            {
                batch = Some((self.arrivals.begin(objects).map_err(|e| of(e, path))?, last));
            }
            for content in contents {
                if self.watch.is_cancelled() {
                    return Err(ImportError::Interrupted);
                }
                let arrival = batch.as_ref().map(|(arrival, _)| arrival);
                self.take(arrival, content).map_err(|error| match error {
                    Failed::Stream(error) => error,
                    Failed::Place(error) => of(error, path),
                })?;
            }
            if let Some((arrival, _)) = batch.take_if(|(_, last)| last == path) {
                let arrived = arrival.commit(Vec::new()).map_err(|e| of(e, path))?;
                let mut wrong = arrived.refused.into_iter().chain(arrived.incomplete);
                let valid = arrived.valid.into_iter().map(|info| info.path);
                self.imported.objects.extend(valid);
                if let Some(path) = wrong.next() {
                    return Err(ImportError::Object { path });
                }
            }
        }
        Ok(())
    }

    /// Reads a content, into the batch if it is wanted there.
    fn take(&mut self, arrival: Option<&Arrival<'_>>, content: &Content) -> Result<(), Failed> {
        let advanced = |bytes| (self.watch.progress)(Progress::Advanced { bytes });
        let Some(arrival) = arrival.filter(|arrival| arrival.needs(&content.blob)) else {
            self.reader.skip(content.size)?;
            advanced(content.size);
            return Ok(());
        };
        if content.size <= PART as u64 {
            let bytes = self.reader.take(content.size)?;
            arrival.write(&content.blob, &bytes)?;
            advanced(content.size);
            return Ok(());
        }
        let assembly = arrival.assemble(&content.blob)?;
        let mut at = 0;
        while at < content.size {
            let bytes = self.reader.next(content.size - at)?;
            arrival.write_at(&assembly, at, bytes)?;
            at += bytes.len() as u64;
            advanced(bytes.len() as u64);
        }
        Ok(arrival.complete(assembly)?)
    }
}

/// Which side failed.
enum Failed {
    Stream(ImportError),
    Place(PlaceError),
}

impl From<ImportError> for Failed {
    fn from(error: ImportError) -> Self {
        Self::Stream(error)
    }
}

impl From<PlaceError> for Failed {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

/// What an error of the store means for the object at `path`.
fn of(error: PlaceError, path: &StorePath) -> ImportError {
    match error {
        PlaceError::Add(error) => error.into(),
        PlaceError::Read { source, .. } => ImportError::Read(source),
        PlaceError::Identity { path } => ImportError::Object { path },
        PlaceError::Digest { .. } | PlaceError::TooLong { .. } => {
            ImportError::Object { path: path.clone() }
        }
    }
}

/// Records signatures, and what was built to the objects as far as it is believed.
fn record(
    store: &LocalStore,
    head: &Head,
    believe: Believe<'_>,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    let mut signed = Vec::new();
    let mut believed: Vec<Realisation> = Vec::new();
    for (record, realisations) in head.records.iter().zip(&head.realisations) {
        for one in realisations {
            let realisation = &one.realisation;
            let is_believed = match believe {
                Believe::Everything => true,
                Believe::Signed { policy, now } => {
                    let mut evidence = realisations.clone();
                    evidence.extend(store.find_realisation_signatures(&realisation.resolved)?);
                    let alone = policy.judge(realisation, std::slice::from_ref(one), now);
                    // Others may have signed other facts of the same outcome, but these must be somebody's whom the policy knows.
                    !alone.signers().is_empty()
                        && policy.judge(realisation, &evidence, now).is_accepted()
                }
            };
            if !is_believed {
                imported.unbelieved_realisations += 1;
            } else if !store
                .find_realisations(&realisation.resolved)?
                .contains(realisation)
            {
                believed.push(realisation.clone());
            }
        }
        let component = record.component_text().map(|text| SignedComponent {
            json: text.to_owned(),
            signatures: record.component_signatures.clone(),
        });
        let signatures = Signatures {
            object: record.signatures.clone(),
            component: component.filter(|one| !one.signatures.is_empty()),
            realisations: realisations
                .iter()
                .filter(|one| !one.signatures.is_empty())
                .cloned()
                .collect(),
        };
        if !signatures.is_empty() {
            let mut merged = Signatures::default();
            merged.merge(&signatures);
            signed.push((record.info().id, merged));
        }
    }
    if !believed.is_empty() {
        store.add_realisations(&believed)?;
    }
    if !signed.is_empty() {
        store.add_signatures(&signed)?;
    }
    Ok(())
}
