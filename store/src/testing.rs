//! Fixtures and property-test strategies for tests, of this crate and of others (feature `testing`).

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    db::{Database, DbError, Root},
    id::{BlobId, ObjectId, PathDigest, StoreName, StorePath, TreeId},
    info::PathInfo,
    local::{AddBatch, AddError, AddObject, AddSource, LocalStore, OpenError, StoreOptions},
    pool::PoolKey,
    profile::{Generation, Profile},
    tree::{EntryName, MemoryNode, Node, SymlinkTarget, Tree, TreeEntry},
};

pub use crate::cache::pull::write_cache;

/// The clock of [`TempStore`]: always the same second.
pub const TEST_TIME: u64 = 1_700_000_000;

/// A store in a directory of its own, which is removed with it.
#[derive(Debug)]
pub struct TempStore {
    store: LocalStore,
    directory: StoreDirectory,
}

impl TempStore {
    /// Makes an empty store.
    ///
    /// # Panics
    /// When the system's temporary directory cannot be used.
    #[must_use]
    pub fn new() -> Self {
        let directory = StoreDirectory::new();
        let store = open(directory.path()).expect("a new directory can become a store");
        Self { store, directory }
    }

    /// Closes the store and opens it again, as the next process would.
    pub fn reopen(self) -> Result<Self, OpenError> {
        let Self { store, directory } = self;
        drop(store);
        Ok(Self {
            store: open(directory.path())?,
            directory,
        })
    }

    /// Adds a tree that may refer to `candidates`.
    pub fn add_tree(
        &self,
        name: &str,
        tree: MemoryNode,
        candidates: &[&PathInfo],
    ) -> Result<PathInfo, AddError> {
        add_tree(&self.store, name, tree, candidates)
    }
}

/// Adds a tree that may refer to `candidates`.
///
/// # Panics
/// When the name is not legal.
pub fn add_tree(
    store: &LocalStore,
    name: &str,
    tree: MemoryNode,
    candidates: &[&PathInfo],
) -> Result<PathInfo, AddError> {
    let name = name.parse().expect("a test gives a legal name");
    let batch = AddBatch {
        objects: vec![AddObject::new(name, AddSource::Tree(tree))],
        candidates: candidates
            .iter()
            .map(|info| (info.path.clone(), info.id))
            .collect(),
        ..AddBatch::default()
    };
    let mut infos = store.add(batch)?;
    Ok(infos.pop().expect("one object was added"))
}

/// Bytes that do not compress, others for each seed.
#[must_use]
pub fn noise(seed: impl std::fmt::Display, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(seed.to_string().as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// A temporary directory for a store. Unlike [`TempDir`] alone it can be removed by an ordinary user although objects are read-only.
#[derive(Debug)]
pub struct StoreDirectory(TempDir);

impl StoreDirectory {
    /// Makes an empty directory.
    ///
    /// # Panics
    /// When the system's temporary directory cannot be used.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("the temporary directory can be written"))
    }

    /// Returns where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Default for StoreDirectory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for StoreDirectory {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory; no test depends on it.
        let _writable: std::io::Result<()> = make_writable(self.0.path());
    }
}

/// Lets the owner change everything below a directory again.
pub fn make_writable(directory: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

impl Default for TempStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Deref for TempStore {
    type Target = LocalStore;

    fn deref(&self) -> &LocalStore {
        &self.store
    }
}

/// Opens a store as tests do: at [`TEST_TIME`], with default limits.
pub fn open(root: &Path) -> Result<LocalStore, OpenError> {
    LocalStore::open(root, StoreOptions::new(|| TEST_TIME))
}

/// Enters objects into the database at `path`, which is made if it is not there, in one transaction as an add does: what registration alone costs.
pub fn register(path: &Path, objects: &[PathInfo]) -> Result<(), DbError> {
    let mut database = Database::open(path)?;
    let write = database.begin(&|| {})?;
    for info in objects {
        write.register(info)?;
    }
    write.commit()
}

/// Makes a tree in memory from paths and nodes.
///
/// # Panics
/// When a path is not one.
#[must_use]
pub fn memory_tree(nodes: &[(&str, MemoryNode)]) -> MemoryNode {
    let mut tree = MemoryNode::directory();
    for (path, node) in nodes {
        tree.insert(path, node.clone())
            .expect("a test gives legal paths");
    }
    tree
}

/// Returns everything about a store at rest that is not as it should be, in words; empty for a good store.
///
/// Hashes all objects. Objects without a row, rows without an object, wrong bytes, records that are not what the database says, and leftovers of unfinished
/// work.
///
/// # Panics
/// When the store cannot be read.
#[must_use]
pub fn find_faults(store: &LocalStore) -> Vec<String> {
    let mut faults = Vec::new();
    let names = |directory: &str| {
        let entries =
            std::fs::read_dir(store.root().join(directory)).expect("a store has this directory");
        entries
            .map(|entry| entry.expect("a store can be listed").file_name())
            .collect::<Vec<_>>()
    };
    for directory in ["store/.staging", "store/.trash", "var/leases"] {
        faults.extend(
            names(directory)
                .iter()
                .map(|name| format!("left over: {directory}/{}", name.display())),
        );
    }
    let mut present = Vec::new();
    for name in names("store") {
        match name
            .to_str()
            .and_then(|name| name.parse::<StorePath>().ok())
        {
            Some(path) => present.push(path),
            None if [".staging", ".trash", ".pool"]
                .iter()
                .any(|known| name == *known) => {}
            None => faults.push(format!("unknown: store/{}", name.display())),
        }
    }
    faults.extend(find_stray_records(store));
    faults.extend(find_pool_faults(store));
    faults.extend(find_profile_faults(store));
    let valid = store.find_by_prefix("").expect("a store answers");
    // What is known to be damaged stays until it is repaired, and so does what refers to it.
    let damaged = store.list_damaged().expect("a store answers");
    faults.extend(
        present
            .iter()
            .filter(|path| !valid.contains(path) && !damaged.contains(path))
            .map(|path| format!("not valid: {path}")),
    );
    for path in &valid {
        let info = store
            .path_info(path)
            .expect("a store answers")
            .expect("the path was listed");
        if let Err(mismatch) = crate::local::check(store, &info) {
            faults.push(format!("{mismatch:?}: {path}"));
        }
        if !crate::local::is_recorded(store, &info) {
            faults.push(format!("record differs: {path}"));
        }
        let metadata = std::fs::symlink_metadata(store.real_path(path));
        if metadata.is_ok_and(|metadata| metadata.is_dir() && metadata.mode() & 0o222 != 0) {
            faults.push(format!("writable: {path}"));
        }
        for reference in &info.references {
            if !valid.contains(&reference.path) && !damaged.contains(&reference.path) {
                faults.push(format!("dangling: {path} -> {}", reference.path));
            }
        }
    }
    let differences = store.compare_roots().expect("a store answers");
    faults.extend(
        differences
            .iter()
            .map(|difference| format!("root record differs: {}", difference.record)),
    );
    faults
}

/// Records of objects that are not known. Realisations outlive their objects.
fn find_stray_records(store: &LocalStore) -> Vec<String> {
    let mut faults = Vec::new();
    let read = |directory: &Path| {
        let entries = std::fs::read_dir(directory).expect("a store can be listed");
        entries.map(|entry| entry.expect("a store can be listed").path())
    };
    let shards = read(&store.root().join("var/meta"))
        .filter(|shard| shard.file_name().is_some_and(|name| name.len() == 2));
    for record in shards.flat_map(|shard| read(&shard)) {
        let name = record.file_name().expect("it was listed").to_string_lossy();
        let (digest, kind) = name.split_once('.').unwrap_or((&name, ""));
        let known = digest.parse().ok().is_some_and(|digest| {
            let state = store.read::<_, DbError>(|database| database.find_state(&digest));
            state.expect("a store answers").is_some()
        });
        if !known && ["", "signatures"].contains(&kind) {
            faults.push(format!("record of nothing: {name}"));
        }
    }
    faults
}

/// Everything in the pool that is not an entry, or not what its name says.
fn find_pool_faults(store: &LocalStore) -> Vec<String> {
    let mut faults = Vec::new();
    let pool = store.store_directory().join(".pool");
    let read = |directory: &Path| {
        std::fs::read_dir(directory)
            .expect("a store can be listed")
            .map(|entry| entry.expect("a store can be listed").path())
            .collect::<Vec<_>>()
    };
    for file in read(&pool).iter().flat_map(|shard| read(shard)) {
        let name = file.strip_prefix(&pool).expect("it was listed there");
        let metadata = file.metadata().expect("a store can be read");
        let bytes = std::fs::read(&file).expect("a store can be read");
        let mode = metadata.permissions().mode() & 0o7777;
        let blob = BlobId::from_bytes(*blake3::hash(&bytes).as_bytes());
        let key = PoolKey::of(blob, metadata.len(), mode == 0o555);
        let named = name.to_str().and_then(|name| name.parse().ok());
        if key.is_none() || key != named || !matches!(mode, 0o444 | 0o555) {
            faults.push(format!("wrong: .pool/{}", name.display()));
        }
    }
    faults
}

/// Links of the store's profiles that lead to nothing, and generations that nothing keeps. A root without a generation is no fault: the next
/// change of the profile removes it.
fn find_profile_faults(store: &LocalStore) -> Vec<String> {
    let mut faults = Vec::new();
    // A store that was made by an older program has no such directory.
    let Ok(directories) = std::fs::read_dir(store.profiles_dir()) else {
        return faults;
    };
    for directory in directories {
        let directory = directory.expect("a store can be listed").path();
        let profile = Profile::at(store, directory.clone());
        let mut fault = |what: String| faults.push(format!("{}: {what}", directory.display()));
        if let Err(error) = profile.current_manifest() {
            fault(error.to_string());
        }
        let roots = profile.roots().expect("a store answers");
        for Generation { number, path } in profile.generations().expect("a profile can be listed") {
            let is_kept = |(rooted, root): &(u64, Root)| *rooted == number && root.path == path;
            if !roots.iter().any(is_kept) {
                fault(format!("no root for generation {number}, {path}"));
            }
            if !directory.join(number.to_string()).exists() {
                fault(format!("generation {number}, {path}, is not there"));
            }
        }
    }
    faults
}

/// Makes names of entries, of letters that collide often and of any bytes.
pub fn arbitrary_entry_name() -> impl Strategy<Value = EntryName> {
    let bytes = prop_oneof![
        "[a-c]{1,2}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 1..20),
        prop::collection::vec(Just(b'n'), 200..=255),
    ];
    bytes.prop_filter_map("not a name", |bytes| EntryName::new(&bytes).ok())
}

/// Makes targets of symlinks.
pub fn arbitrary_target() -> impl Strategy<Value = SymlinkTarget> {
    prop::collection::vec(1..=255u8, 1..60)
        .prop_filter_map("not a target", |bytes| SymlinkTarget::new(&bytes).ok())
}

/// Makes nodes; their digests name nothing.
pub fn arbitrary_node() -> impl Strategy<Value = Node> {
    let bytes = prop::array::uniform32(any::<u8>());
    prop_oneof![
        (bytes, any::<u32>(), any::<bool>()).prop_map(|(blob, size, executable)| {
            Node::File {
                blob: BlobId::from_bytes(blob),
                size: u64::from(size),
                executable,
            }
        }),
        arbitrary_target().prop_map(|target| Node::Symlink { target }),
        (bytes, any::<u32>(), any::<u32>()).prop_map(|(tree, size_bytes, nodes)| Node::Directory {
            tree: TreeId::from_bytes(tree),
            size_bytes: u64::from(size_bytes),
            nodes: u64::from(nodes)
        }),
    ]
}

/// Makes trees; the digests of their entries name nothing.
pub fn arbitrary_tree() -> impl Strategy<Value = Tree> {
    prop::collection::btree_map(arbitrary_entry_name(), arbitrary_node(), 0..6).prop_filter_map(
        "too large",
        |entries| {
            Tree::from_sorted(
                entries
                    .into_iter()
                    .map(|(name, node)| TreeEntry { name, node })
                    .collect(),
            )
            .ok()
        },
    )
}

/// Makes small whole trees with their bytes.
pub fn arbitrary_memory_node() -> impl Strategy<Value = MemoryNode> {
    let leaf = prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..100), any::<bool>())
            .prop_map(|(bytes, executable)| MemoryNode::File { bytes, executable }),
        arbitrary_target().prop_map(|target| MemoryNode::Symlink { target }),
        Just(MemoryNode::directory()),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop::collection::btree_map(arbitrary_entry_name(), inner, 0..5)
            .prop_map(|entries: BTreeMap<_, _>| MemoryNode::Directory { entries })
    })
}

/// Makes names of store objects.
pub fn arbitrary_store_name() -> impl Strategy<Value = StoreName> {
    "[a-zA-Z0-9+_?=-][a-zA-Z0-9+._?=-]{0,20}"
        .prop_filter_map("not a name", |name| name.parse().ok())
}

/// Makes store paths that name nothing.
pub fn arbitrary_store_path() -> impl Strategy<Value = StorePath> {
    (prop::array::uniform25(any::<u8>()), arbitrary_store_name())
        .prop_map(|(digest, name)| StorePath::new(PathDigest::from_bytes(digest), name))
}

/// Makes object ids that name nothing.
pub fn arbitrary_object_id() -> impl Strategy<Value = ObjectId> {
    prop::array::uniform32(any::<u8>()).prop_map(ObjectId::from_bytes)
}
