//! A damaged object, put together again from its own good files and from files of the same bytes elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::File,
    io::Seek,
    os::fd::AsFd,
};

use rayon::prelude::*;

use super::RepairError;
use crate::{
    db::StoredObject,
    id::{BlobId, StorePath},
    info::PathInfo,
    local::{
        Lease, LocalStore,
        hash::hash_file,
        parents::Parents,
        place::{PlaceError, Placer},
        record::read_contents,
        share::Sharing,
        watch::Watch,
    },
    pool::PoolKey,
    scan::Needles,
    sys::files::{at, join, open_directory_at, open_file_at, os},
    tree::{Contents, Node, Tree, printable},
};

/// Places that are remembered of one content.
const PLACES: usize = 8;
/// Objects whose rows are in memory at once.
const PAGE: u32 = 1024;
/// The one object in staging.
const TARGET: &str = "object.0";

/// Where contents lie: in which objects, under which paths.
pub(super) type Copies = BTreeMap<BlobId, Vec<(StorePath, Vec<u8>)>>;

impl LocalStore {
    /// Finds other places for the bytes of these objects, from the records of all. Nothing is read of the files.
    pub(super) fn find_copies(
        &self,
        damaged: &[StoredObject],
        watch: &Watch<'_>,
    ) -> Result<Copies, RepairError> {
        let mut wanted = BTreeSet::new();
        for object in damaged {
            if let Some(contents) = read_contents(self.meta_fd(), &object.info) {
                let files = files(&object.info.root, &contents);
                wanted.extend(files.filter_map(|(_, node)| blob(node)));
            }
        }
        let mut copies = Copies::new();
        let mut after = None;
        loop {
            if watch.is_cancelled() {
                return Err(RepairError::Interrupted);
            }
            let page: Vec<StoredObject> =
                self.read(|database| database.list_stored(after.as_ref(), PAGE))?;
            let Some(last) = page.last() else {
                return Ok(copies);
            };
            after = Some(*last.info.path.digest());
            let found: Vec<(BlobId, StorePath, Vec<u8>)> = page
                .par_iter()
                .flat_map_iter(|object| {
                    let contents = read_contents(self.meta_fd(), &object.info).unwrap_or_default();
                    let files: Vec<_> = files(&object.info.root, &contents)
                        .filter_map(|(path, node)| Some((blob(node)?, path)))
                        .filter(|(blob, _)| wanted.contains(blob))
                        .map(|(blob, path)| (blob, object.info.path.clone(), path))
                        .collect();
                    files
                })
                .collect();
            for (blob, object, path) in found {
                let places: &mut Vec<_> = copies.entry(blob).or_default();
                if places.len() < PLACES {
                    places.push((object, path));
                }
            }
        }
    }

    /// Takes those contents of an object out of the pool whose bytes there are wrong or cannot be read.
    pub(super) fn clear_pool(
        &self,
        info: &PathInfo,
        contents: &Contents,
    ) -> Result<(), RepairError> {
        files(&info.root, contents)
            .collect::<Vec<_>>()
            .par_iter()
            .try_for_each(|&(_, node)| {
                let &Node::File {
                    blob,
                    size,
                    executable,
                } = node
                else {
                    return Ok(());
                };
                let Some(key) = PoolKey::of(blob, size, executable) else {
                    return Ok(());
                };
                let Some(mut file) = self.pool().open_entry(&key) else {
                    return Ok(());
                };
                if !is_blob(&mut file, node) {
                    self.pool().discard(blob, executable)?;
                }
                Ok(())
            })
    }

    /// Puts an object together, and makes it valid. Tells whether that was possible.
    pub(super) fn compose(
        &self,
        info: &PathInfo,
        contents: Contents,
        suspects: &BTreeSet<String>,
        copies: &Copies,
        lease: &Lease,
    ) -> Result<bool, RepairError> {
        let mut room = self.room_for(info.path.name().clone(), info.size_bytes, info.nodes);
        self.reserve(&mut room)?;
        let staging = self.create_staging()?;
        let sharing =
            Sharing::new(self.pool(), staging.as_fd()).map_err(at("open", staging.path()))?;
        let placer = Placer {
            staging: staging.as_fd(),
            sharing: &sharing,
            room: &room,
            parents: &Parents::default(),
        };
        let target = OsStr::new(TARGET);
        placer.prepare(target, &info.root, &contents.bundle)?;
        // What may be nowhere first, before the rest is written for nothing.
        let (doubtful, good): (Vec<_>, Vec<_>) =
            files(&info.root, &contents).partition(|(path, _)| suspects.contains(&printable(path)));
        for files in [doubtful, good] {
            let all = files
                .par_iter()
                .map(|(path, node)| self.find_bytes(&placer, info, path, node, copies))
                .try_reduce(|| true, |a, b| Ok(a && b))?;
            if !all {
                return Ok(false);
            }
        }
        let placed = match placer.finish(target.to_owned(), info.clone(), contents) {
            Ok(placed) => placed,
            Err(PlaceError::Add(error)) => return Err(error.into()),
            // The record itself is wrong.
            Err(_) => return Ok(false),
        };
        let written = sharing.into_new_contents();
        self.publish_placed(staging, lease, &[placed], Vec::new(), &written)
            .map_err(|error| self.explain(&room, error))?;
        Ok(true)
    }

    /// Writes a file from the first place where its bytes are. Tells whether there was one.
    fn find_bytes(
        &self,
        placer: &Placer<'_>,
        info: &PathInfo,
        path: &[u8],
        node: &Node,
        copies: &Copies,
    ) -> Result<bool, RepairError> {
        let own = (info.path.clone(), path.to_vec());
        let others = blob(node).and_then(|blob| copies.get(&blob));
        let others = others.into_iter().flatten().filter(|place| **place != own);
        for (object, file) in [&own].into_iter().chain(others) {
            let Some(mut source) = self.open_in(object, file) else {
                continue;
            };
            // Hashed before it is written: what is written is remembered as what it is, and others are linked to it.
            if !is_blob(&mut source, node) || source.rewind().is_err() {
                continue;
            }
            return match placer.write(OsStr::new(TARGET), path, node, &mut source) {
                Ok(_) => Ok(true),
                Err(PlaceError::Add(error)) => Err(error.into()),
                // It is changing, or the disk has changed its mind.
                Err(_) => Ok(false),
            };
        }
        Ok(false)
    }

    /// Opens a file in an object, if there is one.
    pub(crate) fn open_in(&self, object: &StorePath, path: &[u8]) -> Option<File> {
        let name = object.to_string();
        let names = [name.as_bytes()].into_iter();
        let mut names = names
            .chain(
                path.split(|byte| *byte == b'/')
                    .filter(|name| !name.is_empty()),
            )
            .collect::<Vec<_>>();
        let last = names.pop()?;
        let mut parent = self.store_fd().try_clone_to_owned().ok()?;
        for name in names {
            parent = open_directory_at(&parent, os(name)).ok()?;
        }
        let file = open_file_at(&parent, os(last)).ok()?;
        file.metadata().ok()?.is_file().then_some(file)
    }
}

/// The files of an object, by their paths.
fn files<'a>(root: &'a Node, contents: &'a Contents) -> impl Iterator<Item = (Vec<u8>, &'a Node)> {
    let below = contents.bundle.trees.iter().flat_map(|(path, tree)| {
        let entries = Tree::entries(tree).iter();
        entries.map(move |entry| (join(path, entry.name.as_bytes()), &entry.node))
    });
    let all = below.chain([(Vec::new(), root)]);
    all.filter(|(_, node)| matches!(node, Node::File { .. }))
}

/// Tells whether a file can be read and has the bytes of a node.
fn is_blob(file: &mut File, node: &Node) -> bool {
    let &Node::File {
        blob,
        size,
        executable,
    } = node
    else {
        return false;
    };
    let nothing = Needles::new(&[], &[]);
    hash_file(file, size, executable, &nothing, &|_| {})
        .is_ok_and(|found| found.digest.blob == blob && found.digest.size == size)
}

const fn blob(node: &Node) -> Option<BlobId> {
    match node {
        Node::File { blob, .. } => Some(*blob),
        _ => None,
    }
}
