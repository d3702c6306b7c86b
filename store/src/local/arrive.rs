//! Objects that come from outside the store, from a cache or a stream.
//!
//! What they are is declared first: id, name, references and trees. Then the bytes of their files come, in any order and from several threads, and each is hashed before it counts.
//! What is complete in the end, hashes to its id, and refers to nothing that is missing becomes valid in one batch. The rest goes with the staging directory, so
//! an object that is not what it was said to be never gets a name in the store.
//!
//! Not responsible for where bytes come from, nor for what is believed of an object beyond its id.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::File,
    io::{Seek, SeekFrom},
    os::fd::AsFd,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    AddError, Lease, LocalStore,
    draft::FileDraft,
    hash::hash_file,
    parents::Parents,
    place::{PlaceError, Placed, Placer},
    room::Room,
    share::Sharing,
    staging::Staging,
};
use crate::{
    id::{BlobId, PathDigest, StorePath},
    info::{PathInfo, Realisation},
    pool::PoolKey,
    scan::{Findings, Needles},
    sys::{
        change::{unlink_at, write_all_at},
        files::{at, create_file_at, join, os, seal_file},
    },
    tree::{
        BlobDigest, BlobHasher, BlockDigest, Contents, Node, Tree, TreeBundle, block_count,
        printable,
    },
};

/// Bytes of a batch: enough that syncing costs little beside writing, and little enough to lose.
const BATCH_BYTES: u64 = 128 << 20;
/// Batches at most: each has a directory that is open.
const MAX_BATCHES: u64 = 64;

/// An object whose everything is known but the bytes of its files.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// What it is said to be.
    pub(crate) info: PathInfo,
    /// Its trees, as they were decoded for its root.
    pub(crate) bundle: TreeBundle,
}

/// Room and protection for objects that come in one or more batches.
#[derive(Debug)]
pub(crate) struct Arrivals<'s> {
    store: &'s LocalStore,
    lease: &'s Lease,
    room: Room,
}

/// One batch. Used by several threads at once.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    arrivals: &'a Arrivals<'a>,
    staging: Staging<'a>,
    sharing: Sharing<'a>,
    parents: Parents,
    objects: Vec<Expected>,
    wanted: BTreeMap<BlobId, Wanted>,
    /// The blobs that are in all their places, with the digests of their blocks.
    done: Mutex<BTreeMap<BlobId, Vec<BlockDigest>>>,
    numbers: AtomicU64,
}

/// A content that the batch needs.
#[derive(Debug)]
struct Wanted {
    size: u64,
    places: Vec<Place>,
}

/// A file of an object of the batch.
#[derive(Debug)]
struct Place {
    object: usize,
    path: Vec<u8>,
    executable: bool,
}

/// A content that comes in pieces.
#[derive(Debug)]
pub(crate) struct Assembly {
    blob: BlobId,
    name: OsString,
    file: File,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Objects that are valid now, references first.
    pub(crate) valid: Vec<PathInfo>,
    /// Objects of which something is missing, or something that they refer to.
    pub(crate) incomplete: Vec<StorePath>,
    /// Objects whose bytes are there and are not theirs.
    pub(crate) refused: Vec<StorePath>,
}

impl LocalStore {
    /// Reserves room for objects that are not here. `lease` protects them from now on.
    pub(crate) fn expect<'s>(
        &'s self,
        lease: &'s Lease,
        objects: &[&PathInfo],
    ) -> Result<Arrivals<'s>, AddError> {
        self.check_writable()?;
        let limits = self.options().limits;
        for info in objects {
            let name = || info.path.name().clone();
            if info.size_bytes > limits.object_bytes {
                return Err(AddError::TooLarge {
                    name: name(),
                    limit: limits.object_bytes,
                });
            }
            if info.nodes > limits.object_nodes {
                return Err(AddError::TooManyNodes {
                    name: name(),
                    limit: limits.object_nodes,
                });
            }
        }
        let sum = |size: fn(&PathInfo) -> u64| {
            let sizes = objects.iter().map(|info| size(info));
            sizes.fold(0, u64::saturating_add)
        };
        let digests: Vec<PathDigest> = objects.iter().map(|info| *info.path.digest()).collect();
        lease.protect(&digests)?;
        self.mark_unclean()?;
        let Some(first) = objects.first() else {
            return Ok(Arrivals {
                store: self,
                lease,
                room: self.room_for(nothing(), 0, 0),
            });
        };
        let (bytes, nodes) = (sum(|info| info.size_bytes), sum(|info| info.nodes));
        let mut room = self.room_for(first.path.name().clone(), bytes, nodes);
        self.reserve(&mut room)
            .map_err(|error| self.explain(&room, error))?;
        Ok(Arrivals {
            store: self,
            lease,
            room,
        })
    }
}

/// By which an empty batch would be called.
fn nothing() -> crate::StoreName {
    "nothing"
        .parse()
        .expect("letters are a name of a store path")
}

impl Arrivals<'_> {
    /// Begins a batch of objects, references first: makes their directories and symlinks. What they refer to must be valid, or in this batch, or in one that is
    /// committed before.
    pub(crate) fn begin(&self, objects: Vec<Expected>) -> Result<Arrival<'_>, PlaceError> {
        let staging = self.store.create_staging()?;
        let sharing =
            Sharing::new(self.store.pool(), staging.as_fd()).map_err(at("open", staging.path()))?;
        let mut arrival = Arrival {
            arrivals: self,
            wanted: wanted_by(&objects)?,
            staging,
            sharing,
            parents: Parents::default(),
            objects,
            done: Mutex::default(),
            numbers: AtomicU64::new(0),
        };
        arrival.prepare().map_err(|error| self.explain(error))?;
        Ok(arrival)
    }

    /// Says how much room was missing, if that is why something failed.
    fn explain(&self, error: PlaceError) -> PlaceError {
        match error {
            PlaceError::Add(error) => PlaceError::Add(self.store.explain(&self.room, error)),
            error => error,
        }
    }
}

impl Arrival<'_> {
    fn prepare(&mut self) -> Result<(), PlaceError> {
        for (index, object) in self.objects.iter().enumerate() {
            self.placer()
                .prepare(&target_name(index), &object.info.root, &object.bundle)?;
        }
        let empty: Vec<BlobId> = self
            .missing()
            .filter(|(_, size)| *size == 0)
            .map(|(blob, _)| blob)
            .collect();
        empty
            .iter()
            .try_for_each(|blob| self.write(blob, &[]).map(drop))
    }

    /// Returns the contents that are not there yet, with their sizes, ascending.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (BlobId, u64)> {
        let done = self.done().clone();
        self.wanted
            .iter()
            .filter(move |(blob, _)| !done.contains_key(blob))
            .map(|(blob, wanted)| (*blob, wanted.size))
    }

    /// Tells whether a content is wanted and not there yet.
    pub(crate) fn needs(&self, blob: &BlobId) -> bool {
        self.wanted.contains_key(blob) && !self.done().contains_key(blob)
    }

    /// Tells whether all files are there.
    pub(crate) fn is_complete(&self) -> bool {
        self.done().len() == self.wanted.len()
    }

    /// Takes a content from the pool if it is there. Its bytes are hashed. Tells whether it was.
    pub(crate) fn link(&self, blob: &BlobId) -> Result<bool, PlaceError> {
        let Some(wanted) = self.wanted.get(blob) else {
            return Ok(false);
        };
        if self.done().contains_key(blob) {
            return Ok(true);
        }
        let preferred = wanted.places.iter().any(|place| place.executable);
        for executable in [preferred, !preferred] {
            let Some(key) = PoolKey::of(*blob, wanted.size, executable) else {
                return Ok(false);
            };
            let Some(mut file) = self.arrivals.store.pool().open_entry(&key) else {
                continue;
            };
            let Some(digest) = hash_of(&mut file, wanted.size) else {
                continue;
            };
            if digest.blob == *blob {
                self.distribute(blob, wanted, &digest, 0, &mut file)?;
                return Ok(true);
            }
            // Who finds wrong bytes in the pool takes them out.
            self.arrivals
                .store
                .pool()
                .discard(key.blob, key.executable)?;
        }
        Ok(false)
    }

    /// Writes a content into all its places. Bytes that are another content are refused and written nowhere.
    pub(crate) fn write(&self, blob: &BlobId, bytes: &[u8]) -> Result<(), PlaceError> {
        let Some(wanted) = self.wanted.get(blob) else {
            return Ok(());
        };
        if self.done().contains_key(blob) {
            return Ok(());
        }
        let mut hasher = BlobHasher::new();
        hasher.update(bytes);
        let digest = hasher.finish();
        check(blob, wanted, &digest)?;
        for place in &wanted.places {
            let draft = draft(&digest, place.executable);
            self.placer()
                .put(&target_name(place.object), &place.path, &draft, bytes)
                .map_err(|error| self.arrivals.explain(error))?;
        }
        self.finish(*blob, digest);
        Ok(())
    }

    /// Begins a content that comes in pieces; [`Arrival::complete`] ends it.
    pub(crate) fn assemble(&self, blob: &BlobId) -> Result<Assembly, PlaceError> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(format!("part.{number}"));
        let file = create_file_at(&self.staging, &name, false).map_err(at("create", &name))?;
        Ok(Assembly {
            blob: *blob,
            name,
            file,
        })
    }

    /// Writes a piece.
    pub(crate) fn write_at(
        &self,
        assembly: &Assembly,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), PlaceError> {
        self.arrivals
            .room
            .take(bytes.len() as u64)
            .map_err(PlaceError::Add)?;
        write_all_at(&assembly.file, bytes, offset)
            .map_err(at("write", &assembly.name))
            .map_err(|error| self.arrivals.explain(error.into()))
    }

    /// Puts a content whose pieces are all written into its places. Bytes that are another content are refused.
    pub(crate) fn complete(&self, assembly: Assembly) -> Result<(), PlaceError> {
        let Assembly {
            blob,
            name,
            mut file,
        } = assembly;
        let remove = || unlink_at(&self.staging, &name).map_err(at("remove", &name));
        let Some((wanted, first)) = self
            .wanted
            .get(&blob)
            .filter(|_| !self.done().contains_key(&blob))
            .and_then(|wanted| Some((wanted, wanted.places.first()?)))
        else {
            return Ok(remove()?);
        };
        let Some(digest) = hash_of(&mut file, wanted.size) else {
            return Err(at("read", &name)(std::io::ErrorKind::InvalidData).into());
        };
        if let Err(error) = check(&blob, wanted, &digest) {
            remove()?;
            return Err(error);
        }
        seal_file(&file, first.executable).map_err(at("change", &name))?;
        let target = target_name(first.object);
        let one = draft(&digest, first.executable);
        self.placer().take(&name, &target, &first.path, &one)?;
        self.distribute(&blob, wanted, &digest, 1, &mut file)
    }

    /// Makes valid what is complete and hashes to its id, references first.
    pub(crate) fn commit(self, realisations: Vec<Realisation>) -> Result<Arrived, PlaceError> {
        let mut arrived = Arrived::default();
        let mut placed: Vec<Placed> = Vec::with_capacity(self.objects.len());
        let mut names = BTreeSet::new();
        let registered = (self.arrivals.store.options().clock)();
        for (index, object) in self.objects.iter().enumerate() {
            let path = &object.info.path;
            if !self.is_whole(object) || !self.is_supported(object, &names)? {
                arrived.incomplete.push(path.clone());
                continue;
            }
            let info = PathInfo {
                registered,
                ..object.info.clone()
            };
            match self
                .placer()
                .finish(target_name(index), info, self.contents(object))
            {
                Ok(one) => {
                    names.insert(path.clone());
                    placed.push(one);
                }
                Err(PlaceError::Identity { path }) => arrived.refused.push(path),
                Err(error) => return Err(self.arrivals.explain(error)),
            }
        }
        let Self {
            arrivals,
            staging,
            sharing,
            ..
        } = self;
        let written = sharing.into_new_contents();
        if !placed.is_empty() || !realisations.is_empty() {
            arrivals
                .store
                .publish_placed(staging, arrivals.lease, &placed, realisations, &written)
                .map_err(|error| arrivals.explain(error.into()))?;
        }
        arrived.valid = placed.into_iter().map(|one| one.info).collect();
        Ok(arrived)
    }

    /// Puts a content into its places but the first `done`, from a file that has it.
    fn distribute(
        &self,
        blob: &BlobId,
        wanted: &Wanted,
        digest: &BlobDigest,
        done: usize,
        file: &mut File,
    ) -> Result<(), PlaceError> {
        for place in wanted.places.iter().skip(done) {
            let target = target_name(place.object);
            let one = draft(digest, place.executable);
            if self.placer().link(&target, &place.path, &one)? {
                continue;
            }
            file.seek(SeekFrom::Start(0))
                .map_err(at("read", os(&place.path)))?;
            let node = one.node();
            self.placer()
                .write(&target, &place.path, &node, file)
                .map_err(|error| self.arrivals.explain(error))?;
        }
        self.finish(*blob, digest.clone());
        Ok(())
    }

    fn finish(&self, blob: BlobId, digest: BlobDigest) {
        self.done().insert(blob, digest.blocks);
    }

    /// Tells whether all files of an object are there.
    fn is_whole(&self, object: &Expected) -> bool {
        let done = self.done();
        files(object).all(|(_, blob, _, _)| done.contains_key(&blob))
    }

    /// Tells whether all that an object refers to is valid or in the batch before it.
    fn is_supported(
        &self,
        object: &Expected,
        names: &BTreeSet<StorePath>,
    ) -> Result<bool, PlaceError> {
        for reference in &object.info.references {
            if names.contains(&reference.path) {
                continue;
            }
            let known = self.arrivals.store.path_info(&reference.path);
            let known = known.map_err(AddError::from)?;
            if known.is_none_or(|known| known.id != reference.id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn contents(&self, object: &Expected) -> Contents {
        let done = self.done();
        let large = files(object).filter(|(_, _, size, _)| block_count(*size) > 0);
        Contents {
            bundle: object.bundle.clone(),
            blocks: large
                .filter_map(|(_, blob, _, _)| Some((blob, done.get(&blob)?.clone())))
                .collect(),
        }
    }

    fn placer(&self) -> Placer<'_> {
        Placer {
            staging: self.staging.as_fd(),
            sharing: &self.sharing,
            room: &self.arrivals.room,
            parents: &self.parents,
        }
    }

    fn done(&self) -> MutexGuard<'_, BTreeMap<BlobId, Vec<BlockDigest>>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts objects, in their order, into batches.
pub(crate) fn split_into_batches(objects: Vec<Expected>) -> Vec<Vec<Expected>> {
    let all: u64 = objects.iter().map(|one| one.info.size_bytes).sum();
    let limit = BATCH_BYTES.max(all / MAX_BATCHES);
    let mut batches: Vec<Vec<Expected>> = Vec::new();
    let mut bytes = limit;
    for one in objects {
        if bytes >= limit {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(one.info.size_bytes);
        if let Some(batch) = batches.last_mut() {
            batch.push(one);
        }
    }
    batches
}

/// The contents of objects, and where they go.
fn wanted_by(objects: &[Expected]) -> Result<BTreeMap<BlobId, Wanted>, PlaceError> {
    let mut all: BTreeMap<BlobId, Wanted> = BTreeMap::new();
    for (index, object) in objects.iter().enumerate() {
        for (path, blob, size, executable) in files(object) {
            let wanted = all.entry(blob).or_insert_with(|| Wanted {
                size,
                places: Vec::new(),
            });
            // Of two sizes of one content, one is a lie.
            if wanted.size != size {
                return Err(PlaceError::Identity {
                    path: object.info.path.clone(),
                });
            }
            wanted.places.push(Place {
                object: index,
                path,
                executable,
            });
        }
    }
    Ok(all)
}

/// The files of an object: path, content, size, and whether it is executable.
fn files(object: &Expected) -> impl Iterator<Item = (Vec<u8>, BlobId, u64, bool)> {
    let below = object.bundle.trees.iter().flat_map(|(path, tree)| {
        let entries = Tree::entries(tree).iter();
        entries.map(move |entry| (join(path, entry.name.as_bytes()), &entry.node))
    });
    let all = below.chain([(Vec::new(), &object.info.root)]);
    all.filter_map(|(path, node)| match node {
        Node::File {
            blob,
            size,
            executable,
        } => Some((path, *blob, *size, *executable)),
        _ => None,
    })
}

fn check(blob: &BlobId, wanted: &Wanted, digest: &BlobDigest) -> Result<(), PlaceError> {
    if digest.blob == *blob && digest.size == wanted.size {
        return Ok(());
    }
    let file = wanted.places.first().map_or(&b""[..], |place| &place.path);
    Err(PlaceError::Digest {
        file: printable(file),
        expected: *blob,
        found: digest.blob,
    })
}

/// What the bytes of a file are, from its beginning; `None` if it cannot be read.
fn hash_of(file: &mut File, size: u64) -> Option<BlobDigest> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let nothing = Needles::new(&[], &[]);
    let hashed = hash_file(file, size, false, &nothing, &|_| {}).ok()?;
    Some(hashed.digest)
}

fn draft(digest: &BlobDigest, executable: bool) -> FileDraft {
    FileDraft {
        digest: digest.clone(),
        executable,
        findings: Findings::default(),
        modulo: None,
    }
}

fn target_name(index: usize) -> OsString {
    format!("object.{index}").into()
}
