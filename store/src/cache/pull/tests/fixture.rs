//! Caches that are directories, written file by file from a store.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use tempfile::TempDir;

use crate::{
    LocalStore, MemoryNode, ObjectId, PathInfo, Realisation, ResolvedDigest, StorePath,
    cache::{
        backend::{BackendOptions, open_backend},
        format::{CacheInfo, CacheName, RealisationSet},
        pull::{PullError, PullEvent, Pulled, Puller},
        source::{Policy as Patience, Source},
    },
    testing::{TEST_TIME, TempStore, memory_tree, noise, write_cache},
    trust::{Policy, PolicyRules, SecretKey, SignedRealisation, Statement, TrustedKey},
};

pub(super) type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A cache in a directory.
pub(super) struct Cache {
    directory: TempDir,
}

impl Cache {
    /// Makes a cache without objects.
    pub(super) fn new() -> TestResult<Self> {
        let cache = Self {
            directory: tempfile::tempdir()?,
        };
        cache.write(&CacheName::Info, &CacheInfo::default().encode()?)?;
        Ok(cache)
    }

    /// Makes a cache of the closures of objects.
    pub(super) fn of(store: &LocalStore, roots: &[&PathInfo]) -> TestResult<Self> {
        let cache = Self::new()?;
        cache.publish(store, roots, None)?;
        Ok(cache)
    }

    pub(super) fn file(&self, name: &CacheName) -> PathBuf {
        self.directory.path().join(name.to_string())
    }

    pub(super) fn write(&self, name: &CacheName, bytes: &[u8]) -> TestResult {
        let path = self.file(name);
        fs::create_dir_all(path.parent().ok_or("a name has a folder")?)?;
        Ok(fs::write(path, bytes)?)
    }

    pub(super) fn read(&self, name: &CacheName) -> TestResult<Vec<u8>> {
        Ok(fs::read(self.file(name))?)
    }

    /// Returns the packs, ascending by name.
    pub(super) fn packs(&self) -> TestResult<Vec<CacheName>> {
        let mut packs = Vec::new();
        for shard in fs::read_dir(self.directory.path().join("p"))? {
            for pack in fs::read_dir(shard?.path())? {
                let path = pack?.path();
                let name = path.strip_prefix(self.directory.path())?;
                packs.push(name.to_str().ok_or("names are text")?.parse()?);
            }
        }
        packs.sort();
        Ok(packs)
    }

    /// Adds the closures of objects; their components are signed if there is a key.
    pub(super) fn publish(
        &self,
        store: &LocalStore,
        roots: &[&PathInfo],
        key: Option<&SecretKey>,
    ) -> TestResult {
        write_cache(self.directory.path(), store, roots, key)
    }

    /// Adds what was built to an object, signed by these keys.
    pub(super) fn realise(&self, info: &PathInfo, keys: &[&SecretKey]) -> TestResult {
        let realisation = realisation(info);
        let mut signed = SignedRealisation {
            realisation: realisation.clone(),
            signatures: Default::default(),
        };
        for key in keys {
            signed
                .signatures
                .insert(key.sign(&Statement::realisation(&realisation)));
        }
        let mut set = RealisationSet::new(realisation.resolved);
        set.insert(signed)?;
        self.write(
            &CacheName::Realisations(realisation.resolved),
            &set.encode()?,
        )
    }

    /// Opens the cache.
    pub(super) fn source(&self) -> TestResult<Arc<Source>> {
        open(self.directory.path())
    }
}

pub(super) fn open(directory: &Path) -> TestResult<Arc<Source>> {
    let url = directory.to_str().ok_or("a path of text")?.parse()?;
    let backend = open_backend(&url, &BackendOptions::default())?;
    Ok(Arc::new(Source::new(backend, Patience::default())))
}

pub(super) fn realisation(info: &PathInfo) -> Realisation {
    Realisation {
        resolved: RESOLVED,
        output: "out".to_owned(),
        object: info.id,
        path: info.path.clone(),
        sandbox: "full".to_owned(),
        built_at: 1,
        duration_ms: 2,
    }
}

pub(super) const RESOLVED: ResolvedDigest = ResolvedDigest::from_bytes([7; 32]);

pub(super) fn key(seed: u8) -> SecretKey {
    let name = format!("key-{seed}").parse().expect("a legal name");
    SecretKey::from_seed(name, &[seed; 32])
}

pub(super) fn trusting(keys: &[&SecretKey], need: usize) -> Policy {
    Policy::new(PolicyRules {
        keys: keys
            .iter()
            .map(|key| TrustedKey {
                key: key.public(),
                until: None,
            })
            .collect(),
        need: need.try_into().expect("not zero"),
        ..PolicyRules::default()
    })
}

/// A library, and a program that refers to it and to itself, with files of all kinds and sizes.
pub(super) struct Example {
    pub(super) store: TempStore,
    pub(super) library: PathInfo,
    pub(super) program: PathInfo,
}

pub(super) fn example() -> TestResult<Example> {
    let store = TempStore::new();
    let library = store.add_tree("library-1", library_tree("1")?, &[])?;
    let program = add_program(&store, "program-1", &library)?;
    Ok(Example {
        store,
        library,
        program,
    })
}

/// A tree with a large file, of which most is the same for all versions, and smaller ones.
pub(super) fn library_tree(version: &str) -> TestResult<MemoryNode> {
    let mut large = noise("large", 6 << 20);
    let changed = noise(version, 1000);
    large[3_000_000..3_001_000].copy_from_slice(&changed);
    Ok(memory_tree(&[
        ("lib/large.so", MemoryNode::file(large)),
        ("lib/middle.so", MemoryNode::file(noise("middle", 300_000))),
        ("lib/one", MemoryNode::file("one")),
        ("lib/empty", MemoryNode::file("")),
        ("lib/twin", MemoryNode::file(noise("twin", 9000))),
        ("lib/copy", MemoryNode::file(noise("twin", 9000))),
        ("lib/link", MemoryNode::symlink("large.so")?),
        ("empty", MemoryNode::directory()),
    ]))
}

fn add_program(store: &TempStore, name: &str, library: &PathInfo) -> TestResult<PathInfo> {
    let scratch = crate::scratch_path(&name.parse()?, "out");
    let text = format!(
        "#!/bin/sh\nexec {} {}/share\n",
        library.path.to_logical(),
        scratch.to_logical()
    );
    let tree = memory_tree(&[
        ("bin/program", MemoryNode::program(text)),
        ("bin/twin", MemoryNode::program(noise("twin", 9000))),
        ("share", MemoryNode::symlink(scratch.to_logical())?),
    ]);
    let mut object = crate::AddObject::new(name.parse()?, crate::AddSource::Tree(tree));
    object.scratch = Some(scratch);
    object.component = Some(crate::Component {
        name: "program".to_owned(),
        ..crate::Component::default()
    });
    let added = store.add(crate::AddBatch {
        objects: vec![object],
        candidates: vec![(library.path.clone(), library.id)],
        ..crate::AddBatch::default()
    })?;
    Ok(added.into_iter().next().ok_or("one object was added")?)
}

/// Pulls one object with what it needs.
pub(super) fn pull(
    store: &LocalStore,
    sources: &[Arc<Source>],
    info: &PathInfo,
) -> Result<Pulled, PullError> {
    pull_by(
        &Puller::new(store, sources, trusting(&[], 1), TEST_TIME),
        store,
        &[(info.path.clone(), info.id)],
    )
}

pub(super) fn pull_by(
    puller: &Puller<'_>,
    store: &LocalStore,
    wanted: &[(StorePath, ObjectId)],
) -> Result<Pulled, PullError> {
    let lease = store.lease()?;
    let ignore: &(dyn Fn(PullEvent) + Sync) = &|_| {};
    puller.pull(wanted, &lease, ignore, &AtomicBool::new(false))
}
