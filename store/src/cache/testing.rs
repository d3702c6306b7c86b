//! Holds a cache that is a directory to its promises, for tests.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    format::{
        BlobPart, CacheInfo, CacheName, Claim, ClosureIndex, Condemned, Frame, Manifest, NameHint,
        ObjectRecord, Pins, PlanHint, Prefix, RealisationSet,
    },
    pack::read_frame,
};
use crate::{BlobId, PackDigest, PathDigest};

/// Returns everything that is wrong with a cache at rest, in words; empty for a good one. Reads and hashes all of it.
///
/// Names that lead nowhere, files that are not what their names say, blobs that are not where manifests say. Files to which nothing leads are no fault:
/// whoever was killed while he pushed leaves them.
///
/// # Panics
/// When the directory cannot be read.
#[must_use]
pub fn find_cache_faults(directory: &Path) -> Vec<String> {
    let mut names = BTreeMap::new();
    let mut faults = Vec::new();
    collect(directory, directory, &mut names, &mut faults)
        .expect("a test can read its own directory");
    let mut check = Check {
        names,
        packs: BTreeMap::new(),
        faults,
    };
    let all: Vec<CacheName> = check.names.keys().cloned().collect();
    if !all.is_empty() && !check.names.contains_key(&CacheName::Info) {
        check.fault("there are files, but no cache.json");
    }
    for name in &all {
        check.file(name);
    }
    check.faults
}

fn collect(
    root: &Path,
    directory: &Path,
    names: &mut BTreeMap<CacheName, PathBuf>,
    faults: &mut Vec<String>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let relative = path.strip_prefix(root).unwrap_or(&path);
        if relative == Path::new(".staging") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, names, faults)?;
            continue;
        }
        match relative.to_string_lossy().parse() {
            Ok(name) => {
                names.insert(name, path);
            }
            Err(error) => faults.push(format!("{error}")),
        }
    }
    Ok(())
}

struct Check {
    names: BTreeMap<CacheName, PathBuf>,
    packs: BTreeMap<PackDigest, Option<Vec<u8>>>,
    faults: Vec<String>,
}

impl Check {
    fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    fn read(&self, name: &CacheName) -> Option<Vec<u8>> {
        fs::read(self.names.get(name)?).ok()
    }

    fn file(&mut self, name: &CacheName) {
        let bytes = self.read(name).unwrap_or_default();
        let result = match name {
            CacheName::Info => CacheInfo::decode(&bytes).map(drop).map_err(text),
            CacheName::Pack(digest) => self.pack(digest).map(drop),
            CacheName::Object(digest) => self.object(digest, &bytes),
            // Decoded with the record that leads to it.
            CacheName::Manifest(_) => Ok(()),
            CacheName::Closure(digest) => self.closure(digest, &bytes),
            CacheName::Realisations(resolved) => RealisationSet::decode(&bytes, resolved)
                .map_err(text)
                .and_then(|list| {
                    let entries = list.entries().iter();
                    entries
                        .map(|entry| &entry.realisation.path)
                        .try_for_each(|path| match self.record(path.digest())? {
                            record if record.info().path == *path => Ok(()),
                            _ => Err(format!("{path} has another name")),
                        })
                }),
            CacheName::PlanHint(plan) => PlanHint::decode(&bytes, plan).map(drop).map_err(text),
            CacheName::NameHint(_) => NameHint::decode(&bytes)
                .map_err(text)
                .and_then(|hint| self.record(&hint.object).map(drop)),
            CacheName::Log(_) if bytes.is_empty() => Err("it is empty".to_owned()),
            CacheName::Log(_) => Ok(()),
            CacheName::Pins => Pins::decode(&bytes).map(drop).map_err(text),
            CacheName::Condemned => Condemned::decode(&bytes).map(drop).map_err(text),
            CacheName::Claim(_) => Claim::decode(&bytes).map(drop).map_err(text),
            CacheName::Collector(_) => Ok(()),
        };
        if let Err(problem) = result {
            self.fault(format!("{name}: {problem}"));
        }
    }

    fn record(&self, digest: &PathDigest) -> Result<ObjectRecord, String> {
        let name = CacheName::Object(*digest);
        let bytes = self.read(&name).ok_or(format!("{name} is missing"))?;
        let record = ObjectRecord::decode(&bytes).map_err(text)?;
        if record.info().path.digest() == digest {
            Ok(record)
        } else {
            Err(format!("{name} is of another object"))
        }
    }

    fn object(&mut self, digest: &PathDigest, bytes: &[u8]) -> Result<(), String> {
        let record = ObjectRecord::decode(bytes).map_err(text)?;
        self.record(digest)?;
        for reference in &record.info().references {
            let found = self.record(reference.path.digest())?;
            if found.info().id != reference.id {
                return Err(format!("{} is another object", reference.path));
            }
        }
        let name = CacheName::Manifest(*digest);
        let manifest = self.read(&name).ok_or(format!("{name} is missing"))?;
        self.manifest(&record, &manifest)
    }

    fn manifest(&mut self, record: &ObjectRecord, bytes: &[u8]) -> Result<(), String> {
        let manifest = Manifest::decode(bytes, &record.info().root).map_err(text)?;
        for (blob, parts) in manifest.locations() {
            self.blob(&blob, &parts)?;
        }
        Ok(())
    }

    fn blob(&mut self, blob: &BlobId, parts: &[BlobPart]) -> Result<(), String> {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            let content = self.frame(&part.frame)?;
            let start = part.offset as usize;
            let bytes = content.get(start..start + part.length as usize);
            hasher.update(bytes.ok_or(format!("{blob} is not in its frame"))?);
        }
        if hasher.finalize().as_bytes() == blob.as_bytes() {
            Ok(())
        } else {
            Err(format!("{blob} is not where it should be"))
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<Vec<u8>, String> {
        let pack = self.pack(&frame.pack)?;
        let start = frame.offset as usize;
        let bytes = pack.get(start..start + frame.compressed_length as usize);
        read_frame(frame, bytes.ok_or("a frame is not in its pack")?).map_err(text)
    }

    fn pack(&mut self, digest: &PackDigest) -> Result<Vec<u8>, String> {
        let name = CacheName::Pack(*digest);
        if !self.packs.contains_key(digest) {
            let bytes = self.read(&name);
            let is_good = |bytes: &Vec<u8>| blake3::hash(bytes).as_bytes() == digest.as_bytes();
            self.packs.insert(*digest, bytes.filter(is_good));
        }
        let pack = self.packs.get(digest).cloned().flatten();
        pack.ok_or(format!("{name} is missing or wrong"))
    }

    fn closure(&mut self, digest: &PathDigest, bytes: &[u8]) -> Result<(), String> {
        let Prefix::Whole(index) = ClosureIndex::parse(bytes, digest).map_err(text)? else {
            return Err("it is too short".to_owned());
        };
        if index.length() != bytes.len() as u64 {
            return Err("it has another length".to_owned());
        }
        for (record, range) in index.records().iter().zip(index.manifests()) {
            let found = self.record(record.info().path.digest())?;
            if found.info() != record.info() && found.info().component == record.info().component {
                return Err(format!("{} is another object", record.info().path));
            }
            let range = usize::try_from(range.start)
                .ok()
                .zip(usize::try_from(range.end).ok());
            let manifest = range.and_then(|(start, end)| bytes.get(start..end));
            self.manifest(record, manifest.ok_or("a manifest is missing")?)?;
        }
        Ok(())
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
