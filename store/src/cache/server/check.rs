//! Whether a file that a client sends may lie where it wants to.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Refusal, Unsigned, shelf::Shelf};
use crate::{
    cache::format::{
        CacheInfo, CacheName, Claim, ClosureIndex, FormatError, FrameError, MAX_JSON, MAX_RECORD,
        Manifest, NameHint, ObjectRecord, PACK_MAGIC, PlanHint, Prefix, RealisationSet,
        content_size,
    },
    id::{PackDigest, PathDigest, ResolvedDigest},
    serve::Denied,
    tree::Node,
    trust::{KeyName, PublicKey, SignatureSet, Statement},
};

const MANIFEST_MAGIC: &[u8; 8] = b"PTHMAN01";
/// What a zstd frame begins with: RFC 8878, 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes of a manifest at most when it is decompressed: enough for half a million files, and little enough for several at once.
const MAX_MANIFEST_CONTENT: u64 = 128 << 20;

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// It is written so.
    Store(Bytes),
    /// Everything that it says is there.
    Known,
}

/// Checks files against their names, the keys that the server was told, and what is there.
#[derive(Debug)]
pub(super) struct Checker {
    keys: BTreeMap<KeyName, Vec<PublicKey>>,
    unsigned: Unsigned,
}

impl Checker {
    pub(super) fn new(keys: &[PublicKey], unsigned: Unsigned) -> Self {
        let mut by_name: BTreeMap<KeyName, Vec<PublicKey>> = BTreeMap::new();
        for key in keys {
            by_name
                .entry(key.name().clone())
                .or_default()
                .push(key.clone());
        }
        Self {
            keys: by_name,
            unsigned,
        }
    }

    /// Decides about a file. Nobody else may write one of the same digest meanwhile.
    pub(super) fn check(
        &self,
        name: &CacheName,
        bytes: Bytes,
        shelf: &Shelf,
    ) -> Result<Accepted, Refusal> {
        match name {
            CacheName::Info => {
                CacheInfo::decode(&bytes)?;
                return Ok(Accepted::Known);
            }
            CacheName::Pack(digest) => check_pack(digest, &bytes)?,
            CacheName::Manifest(digest) => check_manifest(digest, &bytes, shelf)?,
            CacheName::Object(digest) => return self.merge_record(digest, bytes, shelf),
            CacheName::Closure(digest) => self.check_closure(digest, &bytes, shelf)?,
            CacheName::Realisations(resolved) => {
                return self.merge_realisations(resolved, bytes, shelf);
            }
            CacheName::PlanHint(plan) => drop(PlanHint::decode(&bytes, plan)?),
            CacheName::NameHint(_) => drop(NameHint::decode(&bytes)?),
            // Without it what a client relies on may be collected.
            CacheName::Claim(_) => drop(Claim::decode(&bytes)?),
            // Whoever owns the directory decides what stays in it.
            CacheName::Pins | CacheName::Condemned | CacheName::Collector(_) => {
                return Err(Denied::Scope.into());
            }
            CacheName::Log(_) => {
                if !bytes.starts_with(&ZSTD_MAGIC) {
                    return Err(Refusal::Log);
                }
                if shelf.size(name)?.is_some() {
                    return Ok(Accepted::Known);
                }
            }
        }
        Ok(Accepted::Store(bytes))
    }

    fn merge_record(
        &self,
        digest: &PathDigest,
        bytes: Bytes,
        shelf: &Shelf,
    ) -> Result<Accepted, Refusal> {
        let record = self.check_record(&bytes)?;
        if record.info().path.digest() != digest {
            return Err(of_other("record", digest, record.info().path.digest()).into());
        }
        let name = CacheName::Object(*digest);
        let known = shelf.read(&name, MAX_RECORD as u64)?;
        // A record that is damaged on this disk is replaced.
        if let Some(mut known) = known.and_then(|known| ObjectRecord::decode(&known).ok()) {
            return match known.merge(&record) {
                Ok(false) => Ok(Accepted::Known),
                Ok(true) => Ok(Accepted::Store(known.encode()?.into())),
                Err(error) => Err(Refusal::Conflict(error)),
            };
        }
        let manifest = CacheName::Manifest(*digest);
        let found = shelf.read(&manifest, shelf.file_bytes)?;
        let found = found.ok_or_else(|| Refusal::Missing {
            file: manifest.to_string(),
        })?;
        check_blobs(&found, &record.info().root, shelf)?;
        Ok(Accepted::Store(bytes))
    }

    fn check_record(&self, bytes: &[u8]) -> Result<ObjectRecord, Refusal> {
        let record = ObjectRecord::decode(bytes)?;
        self.check_signatures(&record)?;
        Ok(record)
    }

    fn check_signatures(&self, record: &ObjectRecord) -> Result<(), Refusal> {
        let info = record.info();
        self.verify(&record.signatures, Need::One, || Statement::object(info))?;
        if let Some(text) = record.component_text() {
            self.verify(&record.component_signatures, Need::None, || {
                Statement::component(&info.id, text)
            })?;
        }
        Ok(())
    }

    fn check_closure(
        &self,
        digest: &PathDigest,
        bytes: &[u8],
        shelf: &Shelf,
    ) -> Result<(), Refusal> {
        let malformed = |rule| FormatError::Malformed {
            what: "closure bundle",
            rule,
        };
        let Prefix::Whole(index) = ClosureIndex::parse(bytes, digest)? else {
            return Err(malformed("its records are there").into());
        };
        if index.length() != bytes.len() as u64 {
            return Err(malformed("it has the length that it names").into());
        }
        for (record, range) in index.records().iter().zip(index.manifests()) {
            self.check_signatures(record)?;
            let start = usize::try_from(range.start).unwrap_or(usize::MAX);
            let end = usize::try_from(range.end).unwrap_or(usize::MAX);
            let manifest = bytes
                .get(start..end)
                .ok_or_else(|| malformed("its manifests are there"))?;
            check_blobs(manifest, &record.info().root, shelf)?;
        }
        Ok(())
    }

    fn merge_realisations(
        &self,
        resolved: &ResolvedDigest,
        bytes: Bytes,
        shelf: &Shelf,
    ) -> Result<Accepted, Refusal> {
        let set = RealisationSet::decode(&bytes, resolved)?;
        for entry in set.entries() {
            let realisation = &entry.realisation;
            self.verify(&entry.signatures, Need::One, || {
                Statement::realisation(realisation)
            })?;
            let record = CacheName::Object(*realisation.path.digest());
            let record = shelf.read(&record, MAX_RECORD as u64)?;
            let record = record.and_then(|record| ObjectRecord::decode(&record).ok());
            match record.map(|record| record.info().path.clone()) {
                Some(path) if path != realisation.path => return Err(Refusal::Path { path }),
                _ => {}
            }
        }
        let name = CacheName::Realisations(*resolved);
        let known = shelf.read(&name, MAX_JSON as u64)?;
        let known = known.and_then(|known| RealisationSet::decode(&known, resolved).ok());
        let Some(mut known) = known else {
            return Ok(Accepted::Store(bytes));
        };
        match known.merge(&set) {
            Ok(false) => Ok(Accepted::Known),
            Ok(true) => Ok(Accepted::Store(known.encode()?.into())),
            Err(error) => Err(Refusal::Conflict(error)),
        }
    }

    /// Verifies what keys of this server are said to have signed.
    fn verify(
        &self,
        signatures: &SignatureSet,
        need: Need,
        statement: impl FnOnce() -> Statement,
    ) -> Result<(), Refusal> {
        let is_strict = self.unsigned == Unsigned::Refused;
        if is_strict && need == Need::One && signatures.is_empty() {
            return Err(Refusal::Unsigned);
        }
        let mut known = signatures
            .iter()
            .map(|signature| (signature, self.keys.get(signature.name())));
        if is_strict && let Some((signature, _)) = known.find(|(_, keys)| keys.is_none()) {
            return Err(Refusal::UnknownKey {
                name: signature.name().clone(),
            });
        }
        if self.keys.is_empty() {
            return Ok(());
        }
        let statement = statement();
        for signature in signatures.iter() {
            let Some(keys) = self.keys.get(signature.name()) else {
                continue;
            };
            if !keys.iter().any(|key| key.verifies(&statement, signature)) {
                return Err(Refusal::Signature {
                    name: signature.name().clone(),
                });
            }
        }
        Ok(())
    }
}

/// How many signatures something needs where unsigned things are refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    None,
    One,
}

fn check_pack(digest: &PackDigest, bytes: &[u8]) -> Result<(), Refusal> {
    let is_right = bytes.starts_with(PACK_MAGIC)
        && PackDigest::from_bytes(*blake3::hash(bytes).as_bytes()) == *digest;
    is_right.then_some(()).ok_or(Refusal::Pack)
}

/// Checks a manifest as far as it can be: what it has to fit, the object's record says, which comes after it and is checked with it then.
fn check_manifest(digest: &PathDigest, bytes: &[u8], shelf: &Shelf) -> Result<(), Refusal> {
    let record = shelf.read(&CacheName::Object(*digest), MAX_RECORD as u64)?;
    match record.and_then(|record| ObjectRecord::decode(&record).ok()) {
        Some(record) => check_blobs(bytes, &record.info().root, shelf),
        None => check_manifest_frame(bytes),
    }
}

/// Checks that a manifest is one of an object with this root, and that the packs are there with all the frames that it names.
fn check_blobs(manifest: &[u8], root: &Node, shelf: &Shelf) -> Result<(), Refusal> {
    check_manifest_frame(manifest)?;
    let manifest = Manifest::decode(manifest, root)?;
    let mut pack = None;
    for frame in manifest.frames() {
        let size = match pack {
            Some((digest, size)) if digest == frame.pack => size,
            _ => {
                let name = CacheName::Pack(frame.pack);
                let size = shelf.size(&name)?.ok_or_else(|| Refusal::Missing {
                    file: name.to_string(),
                })?;
                pack = Some((frame.pack, size));
                size
            }
        };
        if u64::from(frame.offset) + u64::from(frame.compressed_length) > size {
            return Err(Refusal::Frame {
                pack: CacheName::Pack(frame.pack).to_string(),
                offset: frame.offset.into(),
            });
        }
    }
    Ok(())
}

/// Checks what a manifest costs before it is decompressed.
fn check_manifest_frame(bytes: &[u8]) -> Result<(), Refusal> {
    const WHAT: &str = "manifest";
    let Some(frame) = bytes.strip_prefix(MANIFEST_MAGIC) else {
        return Err(Refusal::Content(FormatError::Malformed {
            what: WHAT,
            rule: "it begins with `PTHMAN01`",
        }));
    };
    let failed = |source: FrameError| FormatError::Frame { what: WHAT, source };
    if content_size(frame).map_err(failed)? > MAX_MANIFEST_CONTENT {
        return Err(Denied::TooLarge {
            limit: MAX_MANIFEST_CONTENT,
        }
        .into());
    }
    Ok(())
}

fn of_other(what: &'static str, expected: &PathDigest, found: &PathDigest) -> FormatError {
    FormatError::Other {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}
