//! Files for caches: such that nobody looks into, and such that obey the format.

use std::sync::Arc;

use store::{
    MemoryNode, Node, ObjectId, PackDigest, PathInfo, PlanDigest, Realisation, ResolvedDigest,
    StorePath,
    cache::{
        format::{
            CacheInfo, CacheName, Manifest, NameHint, ObjectRecord, PACK_MAGIC, PlanHint,
            RealisationSet, encode_closure,
        },
        pack::{BlobSource, PackWriter},
    },
    trust::{SecretKey, SignatureSet, SignedRealisation, Statement},
};

use crate::{TestResult, digits_of, name, noise, object, pack};

/// What a cache takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Anything.
    Any,
    /// What obeys the format.
    Checked,
}

type File = (CacheName, Vec<u8>);

impl Content {
    /// A `cache.json`.
    pub(crate) fn info(self) -> TestResult<Vec<u8>> {
        Ok(match self {
            Self::Any => b"{}".to_vec(),
            Self::Checked => CacheInfo::default().encode()?,
        })
    }

    /// A pack that is made up of a number.
    pub(crate) fn pack(self, number: u64, length: usize) -> File {
        match self {
            Self::Any => (pack(number), noise(number, length)),
            Self::Checked => {
                let mut bytes = noise(number, length);
                bytes[..8].copy_from_slice(PACK_MAGIC);
                let digest = PackDigest::from_bytes(*blake3::hash(&bytes).as_bytes());
                (CacheName::Pack(digest), bytes)
            }
        }
    }

    /// A small file that is made up of a number.
    pub(crate) fn small(self, number: u64, length: usize) -> File {
        match self {
            Self::Any => (object(number), noise(number, length)),
            Self::Checked => {
                let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd];
                bytes.extend(noise(number, length));
                (CacheName::Log(resolved(number)), bytes)
            }
        }
    }

    /// A file that may be replaced, and what by.
    pub(crate) fn rewritten(self) -> (CacheName, Vec<Vec<u8>>) {
        match self {
            Self::Any => {
                let versions = [(1, 100), (1, 100), (2, 300_000), (3, 5), (4, 9), (5, 9)];
                let versions = versions.map(|(number, length)| noise(number, length));
                (object(3), versions.into())
            }
            Self::Checked => (name("n/rewritten"), [1, 1, 2, 3, 4].map(hint).into()),
        }
    }

    /// A file that all write at once.
    pub(crate) fn shared(self) -> File {
        match self {
            Self::Any => (object(999), noise(999, 5000)),
            Self::Checked => (name("n/shared"), hint(999)),
        }
    }

    /// Files of every kind but packs, in the order in which they are written.
    pub(crate) fn every_kind(self) -> TestResult<Vec<File>> {
        let mut files = vec![
            (name("cache.json"), self.info()?),
            (name("n/g++?=._-x"), hint(2)),
        ];
        match self {
            Self::Any => {
                let (hex, digest) = ("ab".repeat(32), "0".repeat(40));
                files.extend([
                    (name(&format!("c/00/{digest}")), noise(3, 70_000)),
                    (name(&format!("t/00/{digest}")), noise(4, 3_000_000)),
                    (name(&format!("r/ab/{hex}")), b"\0\r\n\xff".to_vec()),
                    (name(&format!("b/ab/{hex}")), noise(6, (256 << 10) + 1)),
                    (name(&format!("log/ab/{hex}.zst")), Vec::new()),
                    (object(1), noise(1, 1)),
                    (object(2), noise(2, 256 << 10)),
                ]);
            }
            Self::Checked => {
                let sample = Sample::new(1, &noise(1, 50_000))?;
                files.extend(sample.files(&[])?);
                files.push(self.small(1, 70_000));
            }
        }
        Ok(files)
    }
}

fn hint(number: u64) -> Vec<u8> {
    let object = id(number).path_digest();
    NameHint { object }.encode()
}

/// An id that is made up of a number; that no object has it only its bytes would show.
fn id(number: u64) -> ObjectId {
    ObjectId::from_bytes(bytes_of(number))
}

pub(crate) fn resolved(number: u64) -> ResolvedDigest {
    ResolvedDigest::from_bytes(bytes_of(number))
}

fn bytes_of(number: u64) -> [u8; 32] {
    *blake3::hash(digits_of(number).as_bytes()).as_bytes()
}

/// An object that is one file, as it lies in a cache.
#[derive(Debug)]
pub(crate) struct Sample {
    number: u64,
    pub(crate) record: ObjectRecord,
    pub(crate) manifest: Manifest,
    pub(crate) packs: Vec<File>,
}

impl Sample {
    pub(crate) fn new(number: u64, content: &[u8]) -> TestResult<Self> {
        let (root, trees) = MemoryNode::file(content).to_bundle()?;
        let Node::File { blob, size, .. } = root else {
            return Err("a file is one".into());
        };
        let source = BlobSource {
            id: blob,
            size,
            reader: content,
        };
        let mut writer = PackWriter::new([Ok(source)].into_iter(), Arc::default());
        let mut packs = Vec::new();
        while let Some(pack) = writer.next_pack()? {
            packs.push((CacheName::Pack(pack.digest), pack.bytes));
        }
        let manifest = Manifest::new(&root, trees, &writer.finish()?)?;
        let totals = root.totals()?;
        let record = ObjectRecord::from_path_info(&PathInfo {
            path: path(number),
            id: id(number),
            root,
            references: Vec::new(),
            self_reference: false,
            size_bytes: totals.size_bytes,
            nodes: totals.nodes,
            registered: 0,
            component: None,
        })?;
        Ok(Self {
            number,
            record,
            manifest,
            packs,
        })
    }

    pub(crate) fn manifest_file(&self) -> TestResult<File> {
        let name = CacheName::Manifest(*self.record.info().path.digest());
        Ok((name, self.manifest.encode()?))
    }

    /// The record, signed by these keys.
    pub(crate) fn record_file(&self, keys: &[&SecretKey]) -> TestResult<File> {
        let mut record = self.record.clone();
        let statement = Statement::object(record.info());
        record.signatures = SignatureSet::new(keys.iter().map(|key| key.sign(&statement)))?;
        let name = CacheName::Object(*record.info().path.digest());
        Ok((name, record.encode()?))
    }

    pub(crate) fn closure_file(&self) -> TestResult<File> {
        let manifest = self.manifest.encode()?;
        let name = CacheName::Closure(*self.record.info().path.digest());
        Ok((name, encode_closure(&[(self.record.clone(), manifest)])?))
    }

    /// The list of the one realisation that ended at a second, signed by these keys.
    pub(crate) fn realisations_file(&self, built_at: u64, keys: &[&SecretKey]) -> TestResult<File> {
        let mut set = RealisationSet::new(resolved(self.number));
        set.insert(self.realisation(built_at, keys)?)?;
        Ok((CacheName::Realisations(*set.resolved()), set.encode()?))
    }

    pub(crate) fn realisation(
        &self,
        built_at: u64,
        keys: &[&SecretKey],
    ) -> TestResult<SignedRealisation> {
        let realisation = Realisation {
            resolved: resolved(self.number),
            output: "out".to_owned(),
            object: self.record.info().id,
            path: self.record.info().path.clone(),
            sandbox: "full".to_owned(),
            built_at,
            duration_ms: 1,
        };
        let statement = Statement::realisation(&realisation);
        Ok(SignedRealisation {
            signatures: SignatureSet::new(keys.iter().map(|key| key.sign(&statement)))?,
            realisation,
        })
    }

    /// Everything of it, in the order in which it is written.
    pub(crate) fn files(&self, keys: &[&SecretKey]) -> TestResult<Vec<File>> {
        let plan = PlanDigest::from_bytes(bytes_of(self.number));
        let hint = PlanHint::new(plan, vec![self.realisation(7, keys)?])?;
        let mut files = self.packs.clone();
        files.extend([
            self.manifest_file()?,
            self.record_file(keys)?,
            self.closure_file()?,
            self.realisations_file(7, keys)?,
            (CacheName::PlanHint(plan), hint.encode()?),
        ]);
        Ok(files)
    }
}

fn path(number: u64) -> StorePath {
    let name = format!("sample-{number}").parse().expect("it is a name");
    StorePath::new(id(number).path_digest(), name)
}
