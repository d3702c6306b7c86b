//! What is in a cache, and what of it leads where.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use super::CollectError;
use crate::{
    Node, PackDigest, PathDigest, PathInfo, PlanDigest, ResolvedDigest,
    cache::{
        backend::{Before, ErrorClass, FileKind, ListedFile},
        format::{
            CacheName, Claim, ClosureIndex, FormatError, Frame, Manifest, NameHint, ObjectRecord,
            PlanHint, Prefix, RealisationSet,
        },
        parallel::in_parallel,
        source::{Source, SourceError},
    },
};

/// What the record of an object says that matters here.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) root: Node,
    /// What it refers to, and the object with what was observed of it.
    pub(super) references: Vec<PathDigest>,
}

/// All files, and what their records say.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) files: BTreeMap<CacheName, ListedFile>,
    pub(super) facts: BTreeMap<PathDigest, Facts>,
}

/// Which objects lists are about.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Those of all realisations.
    pub(super) realisations: BTreeMap<ResolvedDigest, Vec<PathDigest>>,
    /// Those of the derivation that the plan is for.
    pub(super) hints: BTreeMap<PlanDigest, Vec<PathDigest>>,
    /// By the name of the hint.
    pub(super) names: BTreeMap<CacheName, PathDigest>,
}

impl Lists {
    /// Returns the objects that lists of realisations and hints of names lead to, of those that are asked for.
    pub(super) fn objects_of(
        &self,
        is_asked: impl Fn(&CacheName) -> bool,
    ) -> impl Iterator<Item = PathDigest> {
        let realisations = self.realisations.iter();
        let realisations = realisations
            .filter(|(resolved, _)| is_asked(&CacheName::Realisations(**resolved)))
            .flat_map(|(_, objects)| objects);
        let names = self.names.iter().filter(|(name, _)| is_asked(name));
        let objects = realisations.chain(names.map(|(_, object)| object));
        objects.copied().collect::<Vec<_>>().into_iter()
    }
}

/// What manifests lead to.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) frames: BTreeMap<PackDigest, BTreeSet<Frame>>,
    /// The packs that each manifest or bundle leads to.
    pub(super) files: BTreeMap<CacheName, BTreeSet<PackDigest>>,
}

/// Reads files of one cache.
pub(super) struct Reader<'a> {
    pub(super) cache: &'a Source,
    pub(super) cancel: &'a AtomicBool,
}

impl Reader<'_> {
    pub(super) fn check_cancelled(&self) -> Result<(), CollectError> {
        if self.cancel.load(Ordering::Relaxed) {
            Err(CollectError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Calls `work` for each item, many at once, unless the caller wants no more.
    pub(super) fn for_each<I: Sync, T: Send>(
        &self,
        items: &[I],
        work: impl Fn(&I) -> Result<T, CollectError> + Sync,
    ) -> Result<Vec<T>, CollectError> {
        let is_local = self.cache.url().scheme() == "file";
        in_parallel(is_local, items, |item| {
            self.check_cancelled()?;
            work(item)
        })
    }

    pub(super) fn address(&self, name: &CacheName) -> String {
        format!("{}/{name}", self.cache.url())
    }

    fn read(&self, name: &CacheName) -> Result<Option<Vec<u8>>, CollectError> {
        read_file(self.cache, name)
    }

    /// Returns what a file says; `None` if it says nothing. Fails for one of another version, which others understand.
    pub(super) fn understood<T>(
        &self,
        name: &CacheName,
        decoded: Result<T, FormatError>,
    ) -> Result<Option<T>, CollectError> {
        match decoded {
            Ok(value) => Ok(Some(value)),
            Err(source @ (FormatError::Version { .. } | FormatError::StoreDir { .. })) => {
                Err(CollectError::Format {
                    file: self.address(name),
                    source,
                })
            }
            Err(_) => Ok(None),
        }
    }

    /// Lists all files.
    pub(super) fn list_files(&self) -> Result<BTreeMap<CacheName, ListedFile>, CollectError> {
        let mut files = BTreeMap::new();
        for kind in FileKind::ALL {
            self.check_cancelled()?;
            self.cache.list(kind, &mut |file| {
                files.insert(file.name.clone(), file);
            })?;
        }
        Ok(files)
    }

    /// Lists all files, and reads all records.
    pub(super) fn load_inventory(&self) -> Result<Inventory, CollectError> {
        let mut inventory = Inventory {
            files: self.list_files()?,
            facts: BTreeMap::new(),
        };
        let records: Vec<PathDigest> = inventory
            .files
            .keys()
            .filter_map(|name| match name {
                CacheName::Object(digest) => Some(*digest),
                _ => None,
            })
            .collect();
        let facts = self.for_each(&records, |digest| {
            let name = CacheName::Object(*digest);
            let Some(bytes) = self.read(&name)? else {
                return Ok(None);
            };
            let record = self.understood(&name, ObjectRecord::decode(&bytes))?;
            let record = record.filter(|record| record.info().path.digest() == digest);
            Ok(record.map(|record| Facts {
                root: record.info().root.clone(),
                references: leads_to(record.info()),
            }))
        })?;
        let known = records.into_iter().zip(facts);
        inventory.facts = known
            .filter_map(|(digest, facts)| Some((digest, facts?)))
            .collect();
        Ok(inventory)
    }

    /// Reads all claims; `is_wanted` decides by the file.
    pub(super) fn load_claims(
        &self,
        inventory: &Inventory,
        is_wanted: impl Fn(&ListedFile) -> bool,
    ) -> Result<BTreeSet<CacheName>, CollectError> {
        let files = inventory.files.values();
        let names: Vec<&CacheName> = files
            .filter(|file| matches!(file.name, CacheName::Claim(_)) && is_wanted(file))
            .map(|file| &file.name)
            .collect();
        let claims = self.for_each(&names, |name| match self.read(name)? {
            Some(bytes) => self.understood(name, Claim::decode(&bytes)),
            None => Ok(None),
        })?;
        let claims = claims.into_iter().flatten();
        Ok(claims.flat_map(|claim| claim.names().clone()).collect())
    }

    /// Reads the list of realisations of a derivation; `None` if there is none, or none that says anything.
    pub(super) fn load_realisations(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<(Option<RealisationSet>, Before), CollectError> {
        let name = CacheName::Realisations(*resolved);
        let (bytes, before) = read_marked(self.cache, &name)?;
        let set = match bytes {
            Some(bytes) => self.understood(&name, RealisationSet::decode(&bytes, resolved))?,
            None => None,
        };
        Ok((set, before))
    }

    /// Reads the object that a hint of a name leads to.
    pub(super) fn load_name(&self, name: &CacheName) -> Result<Option<PathDigest>, CollectError> {
        match self.read(name)? {
            Some(bytes) => Ok(self
                .understood(name, NameHint::decode(&bytes))?
                .map(|hint| hint.object)),
            None => Ok(None),
        }
    }

    /// Reads all lists of realisations, and all hints.
    pub(super) fn load_lists(&self, inventory: &Inventory) -> Result<Lists, CollectError> {
        let mut lists = Lists::default();
        let (mut resolved, mut plans, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for name in inventory.files.keys() {
            match name {
                CacheName::Realisations(digest) => resolved.push(*digest),
                CacheName::PlanHint(digest) => plans.push(*digest),
                CacheName::NameHint(_) => names.push(name.clone()),
                _ => {}
            }
        }
        let found = self.for_each(&resolved, |digest| {
            let (set, _) = self.load_realisations(digest)?;
            let entries = set.as_ref().map_or(&[][..], RealisationSet::entries);
            let objects = entries.iter().map(|one| *one.realisation.path.digest());
            Ok(objects.collect::<Vec<_>>())
        })?;
        lists.realisations = resolved.into_iter().zip(found).collect();
        let found = self.for_each(&plans, |digest| {
            let name = CacheName::PlanHint(*digest);
            let hint = match self.read(&name)? {
                Some(bytes) => self.understood(&name, PlanHint::decode(&bytes, digest))?,
                None => None,
            };
            let entries = hint.as_ref().map_or(&[][..], PlanHint::entries);
            let last = entries.last().map(|entry| entry.realisation.resolved);
            let entries = entries
                .iter()
                .filter(|entry| Some(entry.realisation.resolved) == last);
            let objects = entries.map(|entry| *entry.realisation.path.digest());
            Ok(objects.collect::<Vec<_>>())
        })?;
        lists.hints = plans.into_iter().zip(found).collect();
        let found = self.for_each(&names, |name| self.load_name(name))?;
        let found = names.into_iter().zip(found);
        lists.names = found
            .filter_map(|(name, object)| Some((name, object?)))
            .collect();
        Ok(lists)
    }

    /// Reads the manifests and bundles of objects. All of them have to be whole: what they lead to stays.
    pub(super) fn load_uses(
        &self,
        inventory: &Inventory,
        objects: &BTreeSet<PathDigest>,
    ) -> Result<Uses, CollectError> {
        let names: Vec<CacheName> = objects
            .iter()
            .flat_map(|digest| [CacheName::Manifest(*digest), CacheName::Closure(*digest)])
            .filter(|name| inventory.files.contains_key(name))
            .collect();
        let found = self.for_each(&names, |name| {
            let Some(bytes) = self.read(name)? else {
                // It is listed, and only its damage hides it.
                return match self.cache.exists(name)? {
                    true => Err(self.damaged(name)),
                    false => Ok(BTreeSet::new()),
                };
            };
            let frames = match name {
                CacheName::Manifest(digest) => match inventory.facts.get(digest) {
                    Some(facts) => frames_of(&bytes, &facts.root),
                    // Its push has not come to the record yet, or never did.
                    None => Ok(BTreeSet::new()),
                },
                CacheName::Closure(digest) => frames_of_bundle(&bytes, digest),
                _ => Ok(BTreeSet::new()),
            };
            self.understood(name, frames)?
                .ok_or_else(|| self.damaged(name))
        })?;
        let mut uses = Uses::default();
        for (name, frames) in names.into_iter().zip(found) {
            let packs = frames.iter().map(|frame| frame.pack).collect();
            uses.files.insert(name, packs);
            for frame in frames {
                uses.frames.entry(frame.pack).or_default().insert(frame);
            }
        }
        Ok(uses)
    }

    pub(super) fn damaged(&self, name: &CacheName) -> CollectError {
        CollectError::Damaged {
            file: self.address(name),
        }
    }
}

impl Inventory {
    /// Returns what some objects need, themselves included. Fails when the record of one cannot be read, so that nobody knows.
    pub(super) fn closure(
        &self,
        reader: &Reader<'_>,
        roots: impl IntoIterator<Item = PathDigest>,
    ) -> Result<BTreeSet<PathDigest>, CollectError> {
        let mut pending: Vec<PathDigest> = roots.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(digest) = pending.pop() {
            if !found.insert(digest) {
                continue;
            }
            let name = CacheName::Object(digest);
            match self.facts.get(&digest) {
                Some(facts) => pending.extend(&facts.references),
                None if self.files.contains_key(&name) => return Err(reader.damaged(&name)),
                None => {}
            }
        }
        Ok(found)
    }

    pub(super) fn size(&self, name: &CacheName) -> u64 {
        self.files.get(name).map_or(0, |file| file.size_bytes)
    }
}

/// Returns what stays with an object: what it refers to, and what was observed of it.
fn leads_to(info: &PathInfo) -> Vec<PathDigest> {
    let references = info.references.iter().map(|reference| &reference.path);
    let component = info.component.as_ref();
    let facts = component.and_then(|component| component.facts.as_ref());
    let paths = references.chain(facts.map(|facts| &facts.path));
    paths.map(|path| *path.digest()).collect()
}

/// Reads a whole file; `None` if it is not there or not whole.
pub(super) fn read_file(cache: &Source, name: &CacheName) -> Result<Option<Vec<u8>>, CollectError> {
    Ok(read_marked(cache, name)?.0)
}

/// Reads a whole file to write it again; `None` if it is not there or not whole.
pub(super) fn read_marked(
    cache: &Source,
    name: &CacheName,
) -> Result<(Option<Vec<u8>>, Before), CollectError> {
    let error = match cache.read_marked(name, name.max_bytes()) {
        Ok((bytes, before)) => return Ok((Some(bytes), before)),
        Err(error) => error,
    };
    match &error {
        SourceError::Quarantined { .. } => Ok((None, Before::Unknown)),
        SourceError::Backend(cause) => match cause.class() {
            ErrorClass::Absent => Ok((None, Before::Absent)),
            ErrorClass::Corrupt => Ok((None, Before::Unknown)),
            _ => Err(error.into()),
        },
        _ => Err(error.into()),
    }
}

fn frames_of(bytes: &[u8], root: &Node) -> Result<BTreeSet<Frame>, FormatError> {
    Ok(Manifest::decode(bytes, root)?
        .frames()
        .iter()
        .copied()
        .collect())
}

fn frames_of_bundle(bytes: &[u8], digest: &PathDigest) -> Result<BTreeSet<Frame>, FormatError> {
    let mut frames = BTreeSet::new();
    for (record, manifest) in manifests_of(bytes, digest)? {
        frames.extend(frames_of(manifest, &record.info().root)?);
    }
    Ok(frames)
}

/// Returns the records of a bundle, each with the bytes of its manifest.
pub(super) fn manifests_of<'a>(
    bytes: &'a [u8],
    digest: &PathDigest,
) -> Result<Vec<(ObjectRecord, &'a [u8])>, FormatError> {
    let short = || FormatError::Malformed {
        what: "closure bundle",
        rule: "it is as long as it says",
    };
    let Prefix::Whole(index) = ClosureIndex::parse(bytes, digest)? else {
        return Err(short());
    };
    let ranges = index.manifests().to_vec();
    let manifests = index.into_records().into_iter().zip(ranges);
    manifests
        .map(|(record, range)| {
            let start = usize::try_from(range.start).unwrap_or(usize::MAX);
            let end = usize::try_from(range.end).unwrap_or(usize::MAX);
            Ok((record, bytes.get(start..end).ok_or_else(short)?))
        })
        .collect()
}
