//! Hashes an object on disk again.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, readlinkat},
    sys::stat::{SFlag, fstatat},
};

use super::{hash::hash_file, rewrite::directory_modulo};
use crate::{
    id::ObjectId,
    info::PathInfo,
    object::{ModuloNode, ObjectSeal, seal, symlink_modulo},
    scan::{Needles, scan_bytes},
    sys::files::{join, list, open_directory_at, open_file_at, os},
    tree::{Contents, EntryName, MAX_DEPTH, Node, SymlinkTarget, Tree, TreeEntry, TreeError},
};

/// Why an object on disk is not what its record says. Only told apart from "cannot be read" by those who decide.
#[derive(Debug)]
pub(crate) enum Mismatch {
    /// Nothing lies there.
    Absent,
    /// Something cannot be read.
    Unreadable(io::Error),
    /// It was read, and is something else.
    Different,
}

impl From<Errno> for Mismatch {
    fn from(errno: Errno) -> Self {
        if errno == Errno::ENOENT {
            Self::Absent
        } else {
            Self::Unreadable(errno.into())
        }
    }
}

impl From<io::Error> for Mismatch {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<TreeError> for Mismatch {
    fn from(_: TreeError) -> Self {
        Self::Different
    }
}

/// Reads an object on disk whole, and compares its bytes, its references and its id with its record.
pub(super) fn check(store: BorrowedFd<'_>, info: &PathInfo) -> Result<(), Mismatch> {
    read_object(store, info).map(drop)
}

/// [`check`], and returns what the object is made of.
pub(super) fn read_object(store: BorrowedFd<'_>, info: &PathInfo) -> Result<Contents, Mismatch> {
    let digests = if info.self_reference {
        vec![*info.path.digest()]
    } else {
        Vec::new()
    };
    let mut reader = Reader {
        own: Needles::new(&[], &digests),
        contents: Contents::default(),
    };
    let (root, modulo) = reader.node(store, os(info.path.to_string().as_bytes()), &[], 0)?;
    let references: Vec<ObjectId> = info
        .references
        .iter()
        .map(|reference| reference.id)
        .collect();
    let id = seal(&ObjectSeal {
        name: info.path.name(),
        root: &modulo,
        references: &references,
    });
    if root == info.root && id == info.id {
        Ok(reader.contents)
    } else {
        Err(Mismatch::Different)
    }
}

/// [`check`] for the fixtures.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn check_in(store: &super::LocalStore, info: &PathInfo) -> Result<(), Mismatch> {
    check(store.store_fd(), info)
}

/// Tells whether the record of a valid object says what the database says.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn is_recorded(store: &super::LocalStore, info: &PathInfo) -> bool {
    matches!(
        super::record::compare(store.meta_fd(), info),
        super::record::RecordState::Same
    )
}

struct Reader {
    /// The object's own digits, if they are to be taken out.
    own: Needles,
    contents: Contents,
}

impl Reader {
    fn node(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: &[u8],
        depth: usize,
    ) -> Result<(Node, ModuloNode), Mismatch> {
        let stat = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind == SFlag::S_IFLNK {
            let target = SymlinkTarget::new(readlinkat(parent, name)?.as_bytes())?;
            let found = scan_bytes(&self.own, target.as_bytes());
            let offsets: Vec<u64> = found
                .occurrences
                .iter()
                .map(|occurrence| occurrence.offset)
                .collect();
            let modulo = symlink_modulo(&target, &offsets);
            return Ok((Node::Symlink { target }, modulo));
        }
        if kind == SFlag::S_IFREG {
            return self.file(parent, name, stat.st_mode & 0o100 != 0);
        }
        if kind != SFlag::S_IFDIR || depth >= MAX_DEPTH {
            return Err(Mismatch::Different);
        }
        let directory = open_directory_at(parent, name)?;
        let mut names: Vec<EntryName> = list(&directory)?
            .iter()
            .map(|(name, _)| EntryName::new(name.as_bytes()))
            .collect::<Result<_, _>>()?;
        names.sort();
        let (mut entries, mut modulos) = (Vec::new(), Vec::new());
        for name in names {
            let below = join(path, name.as_bytes());
            let (plain, modulo) =
                self.node(directory.as_fd(), os(name.as_bytes()), &below, depth + 1)?;
            modulos.push((name.clone(), modulo));
            entries.push(TreeEntry { name, node: plain });
        }
        let tree = Tree::from_sorted(entries)?;
        let node = tree.to_node();
        self.contents.bundle.trees.insert(path.to_vec(), tree);
        Ok((node, directory_modulo(modulos)?))
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        executable: bool,
    ) -> Result<(Node, ModuloNode), Mismatch> {
        let mut file = open_file_at(parent, name)?;
        let size = file.metadata()?.len();
        let found = hash_file(&mut file, size, executable, &self.own, &|_| {})?;
        let plain = Node::File {
            blob: found.digest.blob,
            size: found.digest.size,
            executable,
        };
        if !found.digest.blocks.is_empty() {
            let blocks = &mut self.contents.blocks;
            blocks.insert(found.digest.blob, found.digest.blocks);
        }
        let modulo = found
            .modulo
            .unwrap_or_else(|| ModuloNode::Plain(plain.clone()));
        Ok((plain, modulo))
    }
}
