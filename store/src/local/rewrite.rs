//! Puts final digits where scratch digits are, in staging.
//!
//! For each object, after all objects that it refers to: first the digits of the others are replaced; then the object is hashed with its own
//! digits taken out, which gives its id; then its own digits are replaced. Only files with occurrences are touched and hashed again.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::{AsFd, BorrowedFd},
};

use rayon::prelude::*;

use super::{
    AddError,
    draft::{Draft, FileDraft, SymlinkDraft},
    share::Sharing,
};
use crate::{
    id::PathDigest,
    object::{ModuloHasher, ModuloNode, ModuloTree, symlink_modulo},
    sys::{
        FileError,
        change::{symlink_at, unlink_at, write_all_at},
        files::{at, join, os, reopen_file_at, seal_directory, seal_file, seal_symlink},
    },
    tree::{
        BlobDigest, BlobHasher, Contents, EntryName, Node, SymlinkTarget, Tree, TreeEntry,
        TreeError,
    },
};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// The digits that scratch digests become, by their index.
pub(super) type Finals = BTreeMap<usize, PathDigest>;

/// An object in staging.
pub(super) struct Rewriter<'a> {
    pub(super) staging: BorrowedFd<'a>,
    /// The object's name in staging.
    pub(super) target: &'a OsStr,
    pub(super) sharing: &'a Sharing<'a>,
    /// The index of the object's own scratch digest.
    pub(super) own: Option<usize>,
}

impl Rewriter<'_> {
    /// Replaces the digits of other objects, and computes what is needed of files that have the object's own.
    pub(super) fn replace_others(
        &self,
        draft: &mut Draft,
        finals: &Finals,
    ) -> Result<(), AddError> {
        self.each(draft, &|leaf, path| match leaf {
            Leaf::File(file) => {
                let handle = self.open(path)?;
                patch(&handle, file, finals).map_err(at("write", path))?;
                let own = self.own_offsets(&file.findings.occurrences);
                if own.is_empty() {
                    self.finish(&handle, file, path)
                } else {
                    file.modulo =
                        Some(modulo(&handle, &own, file.executable).map_err(at("read", path))?);
                    Ok(())
                }
            }
            Leaf::Symlink(link) => {
                self.retarget(link, path, finals)?;
                let own = self.own_offsets(&link.findings.occurrences);
                link.modulo = (!own.is_empty()).then(|| symlink_modulo(&link.target, &own));
                Ok(())
            }
        })
    }

    /// Replaces the object's own digits.
    pub(super) fn replace_own(
        &self,
        draft: &mut Draft,
        digest: &PathDigest,
    ) -> Result<(), AddError> {
        let Some(own) = self.own else { return Ok(()) };
        let finals = Finals::from([(own, *digest)]);
        self.each(draft, &|leaf, path| match leaf {
            Leaf::File(file) if file.modulo.is_some() => {
                let handle = self.open(path)?;
                patch(&handle, file, &finals).map_err(at("write", path))?;
                self.finish(&handle, file, path)
            }
            Leaf::Symlink(link) if link.modulo.is_some() => self.retarget(link, path, &finals),
            _ => Ok(()),
        })
    }

    /// Hashes a file that has its final bytes, seals it, and links it to others of these bytes.
    fn finish(&self, handle: &File, file: &mut FileDraft, path: &OsStr) -> Result<(), FileError> {
        file.digest = hash(handle).map_err(at("read", path))?;
        seal_file(handle, file.executable).map_err(at("change", path))?;
        self.sharing.settle(file, path.as_encoded_bytes());
        Ok(())
    }

    /// Calls `change` for all files and symlinks that have occurrences, in parallel.
    fn each(
        &self,
        draft: &mut Draft,
        change: &(dyn Fn(&mut Leaf<'_>, &OsStr) -> Result<(), FileError> + Sync),
    ) -> Result<(), AddError> {
        let mut leaves = Vec::new();
        collect(draft, self.target.as_encoded_bytes(), &mut leaves);
        leaves
            .par_iter_mut()
            .try_for_each(|(leaf, path)| change(leaf, os(path)))?;
        Ok(())
    }

    fn own_offsets(&self, occurrences: &[crate::scan::Occurrence]) -> Vec<u64> {
        let own = occurrences
            .iter()
            .filter(|occurrence| Some(occurrence.scratch) == self.own);
        own.map(|occurrence| occurrence.offset).collect()
    }

    /// Staging is private, so a path in it is safe to open.
    fn open(&self, path: &OsStr) -> Result<File, FileError> {
        reopen_file_at(self.staging, path).map_err(at("open", path))
    }

    fn retarget(
        &self,
        link: &mut SymlinkDraft,
        path: &OsStr,
        finals: &Finals,
    ) -> Result<(), FileError> {
        let mut target = link.target.as_bytes().to_vec();
        for occurrence in &link.findings.occurrences {
            if let Some(digest) = finals.get(&occurrence.scratch)
                && let Ok(from) = usize::try_from(occurrence.offset)
                && let Some(place) = target.get_mut(from..from + 40)
            {
                place.copy_from_slice(&digest.to_digits());
            }
        }
        if target == link.target.as_bytes() {
            return Ok(());
        }
        unlink_at(self.staging, path).map_err(at("remove", path))?;
        symlink_at(os(&target), self.staging, path).map_err(at("create", path))?;
        seal_symlink(self.staging, path).map_err(at("change", path))?;
        link.target = SymlinkTarget::new(&target).expect("digits keep the length and have no NUL");
        Ok(())
    }
}

enum Leaf<'a> {
    File(&'a mut FileDraft),
    Symlink(&'a mut SymlinkDraft),
}

fn collect<'a>(draft: &'a mut Draft, path: &[u8], leaves: &mut Vec<(Leaf<'a>, Vec<u8>)>) {
    match draft {
        Draft::File(file) if !file.findings.occurrences.is_empty() => {
            leaves.push((Leaf::File(file), path.to_vec()));
        }
        Draft::Symlink(link) if !link.findings.occurrences.is_empty() => {
            leaves.push((Leaf::Symlink(link), path.to_vec()));
        }
        Draft::File(_) | Draft::Symlink(_) => {}
        Draft::Directory(entries) => {
            for (name, draft) in entries {
                collect(draft, &join(path, name.as_bytes()), leaves);
            }
        }
    }
}

fn patch(handle: &File, file: &FileDraft, finals: &Finals) -> io::Result<()> {
    for occurrence in &file.findings.occurrences {
        if let Some(digest) = finals.get(&occurrence.scratch) {
            write_all_at(handle, &digest.to_digits(), occurrence.offset)?;
        }
    }
    Ok(())
}

fn hash(handle: &File) -> io::Result<BlobDigest> {
    let mut hasher = BlobHasher::new();
    each_block(handle, |block| hasher.update(block))?;
    Ok(hasher.finish())
}

fn modulo(handle: &File, own: &[u64], executable: bool) -> io::Result<ModuloNode> {
    let mut hasher = ModuloHasher::new(own);
    each_block(handle, |block| hasher.update(block))?;
    Ok(hasher.finish(executable))
}

fn each_block(mut handle: &File, mut take: impl FnMut(&mut [u8])) -> io::Result<()> {
    handle.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; BLOCK];
    loop {
        match handle.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&mut buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns an object in staging as its id sees it.
pub(super) fn modulo_node(draft: &Draft) -> Result<ModuloNode, TreeError> {
    Ok(match draft {
        Draft::File(file) => file
            .modulo
            .clone()
            .unwrap_or_else(|| ModuloNode::Plain(file.node())),
        Draft::Symlink(link) => link
            .modulo
            .clone()
            .unwrap_or_else(|| ModuloNode::Plain(link.node())),
        Draft::Directory(entries) => {
            let nodes = entries
                .iter()
                .map(|(name, draft)| Ok((name.clone(), modulo_node(draft)?)));
            directory_modulo(nodes.collect::<Result<_, TreeError>>()?)?
        }
    })
}

/// Returns the node of a directory whose entries are given as the object's id sees them.
pub(super) fn directory_modulo(
    entries: Vec<(EntryName, ModuloNode)>,
) -> Result<ModuloNode, TreeError> {
    if entries.iter().any(|(_, node)| node.has_self_reference()) {
        return ModuloTree { entries }.to_node();
    }
    let plain = entries.into_iter().filter_map(|(name, node)| match node {
        ModuloNode::Plain(node) => Some(TreeEntry { name, node }),
        _ => None,
    });
    Ok(ModuloNode::Plain(
        Tree::from_sorted(plain.collect())?.to_node(),
    ))
}

/// Returns an object in staging with its final bytes, and what it is made of.
pub(super) fn final_contents(draft: Draft) -> Result<(Node, Contents), TreeError> {
    let mut contents = Contents::default();
    let root = final_node(draft, &[], &mut contents)?;
    Ok((root, contents))
}

fn final_node(draft: Draft, path: &[u8], contents: &mut Contents) -> Result<Node, TreeError> {
    Ok(match draft {
        Draft::File(file) => {
            let node = file.node();
            if !file.digest.blocks.is_empty() {
                contents.blocks.insert(file.digest.blob, file.digest.blocks);
            }
            node
        }
        Draft::Symlink(link) => link.node(),
        Draft::Directory(entries) => {
            let nodes = entries.into_iter().map(|(name, draft)| {
                let node = final_node(draft, &join(path, name.as_bytes()), contents)?;
                Ok(TreeEntry { name, node })
            });
            let tree = Tree::from_sorted(nodes.collect::<Result<_, TreeError>>()?)?;
            let node = tree.to_node();
            contents.bundle.trees.insert(path.to_vec(), tree);
            node
        }
    })
}

/// Gives all directories below the root their final mode and time. The root stays writable: an ordinary user may not rename a
/// read-only directory to another parent, because that changes its `..`.
pub(super) fn seal_directories(
    draft: &Draft,
    parent: BorrowedFd<'_>,
    name: &OsStr,
) -> Result<(), FileError> {
    let Draft::Directory(entries) = draft else {
        return Ok(());
    };
    let directory = crate::sys::files::open_directory_at(parent, name).map_err(at("open", name))?;
    for (name, draft) in entries {
        if matches!(draft, Draft::Directory(_)) {
            let name = os(name.as_bytes());
            seal_directories(draft, directory.as_fd(), name)?;
            let below =
                crate::sys::files::open_directory_at(&directory, name).map_err(at("open", name))?;
            seal_directory(below).map_err(at("change", name))?;
        }
    }
    Ok(())
}
