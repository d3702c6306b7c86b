//! One object, compared with what its record says of it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::{Mutex, PoisonError},
};

use nix::{dir::Type, errno::Errno, fcntl::readlinkat, sys::stat::FileStat};
use rayon::prelude::*;

use super::Problem;
use crate::{
    id::ObjectId,
    info::PathInfo,
    local::{
        check::{Mismatch, check},
        hash::hash_file,
        watch::Watch,
    },
    object::{ModuloNode, ObjectSeal, root_modulo, seal, symlink_modulo},
    pool::MIN_BYTES,
    scan::{Needles, scan_bytes},
    sys::files::{
        DIRECTORY_MODE, file_mode, file_type, inspect_at, join, list, open_directory_at,
        open_file_at, os,
    },
    tree::{BlobDigest, Contents, Node, Tree, first_difference, printable},
};

/// Files of one directory that one job hashes.
const FILES_A_JOB: usize = 64;

/// Looks at the place of an object without reading it.
pub(super) fn check_place(store: BorrowedFd<'_>, info: &PathInfo) -> Vec<Problem> {
    let name = info.path.to_string();
    match inspect_at(store, os(name.as_bytes())) {
        Ok(stat) => {
            let mut problems = Vec::new();
            if check_kind(&info.root, &stat, b"", &mut problems) {
                check_metadata(&info.root, &stat, b"", &mut problems);
            }
            problems
        }
        Err(Errno::ENOENT) => vec![Problem::Absent],
        Err(error) => vec![Problem::unreadable(".", &error.into())],
    }
}

/// Reads an object whole, and returns all that is wrong with it, sorted.
///
/// Without `contents` a difference is found, but not where it is.
pub(in crate::local) fn check_contents(
    store: BorrowedFd<'_>,
    info: &PathInfo,
    contents: Option<&Contents>,
    watch: &Watch<'_>,
) -> Vec<Problem> {
    let mut problems = check_place(store, info);
    if problems.iter().any(Problem::is_damage) {
        watch.advanced(info.size_bytes);
        return problems;
    }
    let Some(contents) = contents else {
        problems.extend(check_blindly(store, info));
        watch.advanced(info.size_bytes);
        return problems;
    };
    let name = info.path.to_string();
    let mut found = ObjectCheck::run(store, os(name.as_bytes()), info, contents, watch);
    // Files that could not be read, or only in part, are done as well.
    watch.advanced(info.size_bytes.saturating_sub(found.read_bytes));
    problems.append(&mut found.problems);
    if problems.is_empty() && identity(info, contents, &found.modulos) != Some(info.id) {
        problems.push(Problem::Identity);
    }
    problems.sort();
    problems
}

/// Returns the id of what lies at a name in staging, whose files have the digests that `contents` says; `None` if anything is wrong with it.
///
/// Free unless the object is to have its own digits in it: then all of it is read.
pub(in crate::local) fn find_identity(
    staging: BorrowedFd<'_>,
    name: &OsStr,
    info: &PathInfo,
    contents: &Contents,
) -> Option<ObjectId> {
    if !info.self_reference {
        return identity(info, contents, &BTreeMap::new());
    }
    let found = ObjectCheck::run(staging, name, info, contents, &Watch::nobody());
    if !found.problems.is_empty() || found.modulos.is_empty() {
        return None;
    }
    identity(info, contents, &found.modulos)
}

fn check_blindly(store: BorrowedFd<'_>, info: &PathInfo) -> Option<Problem> {
    match check(store, info) {
        Ok(()) => None,
        Err(Mismatch::Absent) => Some(Problem::Absent),
        Err(Mismatch::Different) => Some(Problem::Contents),
        Err(Mismatch::Unreadable(error)) => Some(Problem::unreadable(".", &error)),
    }
}

/// Returns the id that follows from contents that are as the record says.
fn identity(
    info: &PathInfo,
    contents: &Contents,
    modulos: &BTreeMap<Vec<u8>, ModuloNode>,
) -> Option<ObjectId> {
    let references: Vec<ObjectId> = info
        .references
        .iter()
        .map(|reference| reference.id)
        .collect();
    let root = root_modulo(&info.root, &contents.bundle, modulos).ok()?;
    Some(seal(&ObjectSeal {
        name: info.path.name(),
        root: &root,
        references: &references,
    }))
}

struct ObjectCheck<'a> {
    /// Where the object lies.
    parent: BorrowedFd<'a>,
    name: &'a OsStr,
    info: &'a PathInfo,
    contents: &'a Contents,
    own: Needles,
    watch: &'a Watch<'a>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    /// Files and symlinks that have the object's own digits, by their path.
    modulos: BTreeMap<Vec<u8>, ModuloNode>,
    read_bytes: u64,
}

/// A directory and some of its entries, by their index.
struct Job<'a> {
    path: &'a [u8],
    tree: &'a Tree,
    from: usize,
}

impl<'a> ObjectCheck<'a> {
    /// Looks at everything in an object, but not at the mode and time of its root.
    fn run(
        parent: BorrowedFd<'a>,
        name: &'a OsStr,
        info: &'a PathInfo,
        contents: &'a Contents,
        watch: &'a Watch<'a>,
    ) -> Found {
        let own = if info.self_reference {
            Needles::new(&[], &[*info.path.digest()])
        } else {
            Needles::new(&[], &[])
        };
        let check = Self {
            parent,
            name,
            info,
            contents,
            own,
            watch,
            found: Mutex::default(),
        };
        check.all();
        let found = check.found.into_inner();
        found.unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) {
        if !matches!(self.info.root, Node::Directory { .. }) {
            self.leaf(self.parent, self.name, &self.info.root, b"");
            return;
        }
        let jobs: Vec<Job<'_>> = self
            .contents
            .bundle
            .trees
            .iter()
            .flat_map(|(path, tree)| {
                let starts = (0..tree.entries().len().max(1)).step_by(FILES_A_JOB);
                starts.map(move |from| Job { path, tree, from })
            })
            .collect();
        jobs.par_iter().for_each(|job| self.directory(job));
    }

    /// Checks the entries of a job; the first job of a directory also looks for what does not belong there.
    fn directory(&self, job: &Job<'_>) {
        if self.watch.is_cancelled() {
            return;
        }
        let directory = match self.open(job.path) {
            Ok(directory) => directory,
            // Its parent's job has told that it is not there, or is something else.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return,
            Err(error) => {
                if job.from == 0 {
                    self.tell(Problem::unreadable(printable(job.path), &error.into()));
                }
                return;
            }
        };
        if job.from == 0 {
            self.extras(&directory, job);
        }
        for entry in job.tree.entries().iter().skip(job.from).take(FILES_A_JOB) {
            if self.watch.is_cancelled() {
                return;
            }
            let below = join(job.path, entry.name.as_bytes());
            let name = os(entry.name.as_bytes());
            let mut problems = Vec::new();
            match inspect_at(directory.as_fd(), name) {
                Ok(stat) => {
                    if check_kind(&entry.node, &stat, &below, &mut problems) {
                        check_metadata(&entry.node, &stat, &below, &mut problems);
                        self.leaf(directory.as_fd(), name, &entry.node, &below);
                    }
                }
                Err(Errno::ENOENT) => problems.push(Problem::Missing {
                    file: printable(&below),
                }),
                Err(error) => {
                    problems.push(Problem::unreadable(printable(&below), &error.into()));
                }
            }
            problems.into_iter().for_each(|problem| self.tell(problem));
        }
    }

    /// Opens a directory of the object name by name: its path may be longer than a system call takes.
    fn open(&self, path: &[u8]) -> nix::Result<OwnedFd> {
        let mut directory = open_directory_at(self.parent, self.name)?;
        for name in path.split(|byte| *byte == b'/') {
            if !name.is_empty() {
                directory = open_directory_at(&directory, os(name))?;
            }
        }
        Ok(directory)
    }

    fn extras(&self, directory: &OwnedFd, job: &Job<'_>) {
        let entries = match list(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.tell(Problem::unreadable(printable(job.path), &error.into()));
                return;
            }
        };
        for (name, _) in entries {
            let known = job
                .tree
                .entries()
                .binary_search_by(|entry| entry.name.as_bytes().cmp(name.as_bytes()));
            if known.is_err() {
                self.tell(Problem::Extra {
                    file: printable(&join(job.path, name.as_bytes())),
                });
            }
        }
    }

    /// Checks the bytes of a file or the target of a symlink. Directories have jobs of their own.
    fn leaf(&self, parent: BorrowedFd<'_>, name: &OsStr, node: &Node, path: &[u8]) {
        match node {
            Node::File { executable, .. } => self.file(parent, name, node, *executable, path),
            Node::Symlink { target } => match readlinkat(parent, name) {
                Ok(found) if found.as_bytes() == target.as_bytes() => {
                    let offsets = scan_bytes(&self.own, target.as_bytes()).occurrences;
                    let offsets: Vec<u64> = offsets.iter().map(|own| own.offset).collect();
                    self.note_modulo(path, symlink_modulo(target, &offsets));
                }
                Ok(found) => self.tell(Problem::Target {
                    file: printable(path),
                    expected: printable(target.as_bytes()),
                    found: printable(found.as_bytes()),
                }),
                Err(error) => self.tell(Problem::unreadable(printable(path), &error.into())),
            },
            Node::Directory { .. } => {}
        }
    }

    fn file(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
        executable: bool,
        path: &[u8],
    ) {
        let Node::File { blob, size, .. } = node else {
            return;
        };
        let count = |bytes| {
            self.lock().read_bytes += bytes;
            self.watch.advanced(bytes);
        };
        let found = open_file_at(parent, name)
            .map_err(Into::into)
            .and_then(|mut file| hash_file(&mut file, *size, executable, &self.own, &count));
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.tell(Problem::unreadable(printable(path), &error));
                return;
            }
        };
        let expected = BlobDigest {
            blob: *blob,
            size: *size,
            blocks: self.contents.blocks.get(blob).cloned().unwrap_or_default(),
        };
        match first_difference(&expected, &found.digest) {
            Some(offset) => self.tell(Problem::Bytes {
                file: printable(path),
                offset,
                expected: *blob,
                found: found.digest.blob,
            }),
            None => {
                if let Some(modulo) = found.modulo {
                    self.note_modulo(path, modulo);
                }
            }
        }
    }

    fn tell(&self, problem: Problem) {
        self.lock().problems.push(problem);
    }

    fn note_modulo(&self, path: &[u8], modulo: ModuloNode) {
        if modulo.has_self_reference() {
            self.lock().modulos.insert(path.to_vec(), modulo);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether something is of the right kind at all.
fn check_kind(node: &Node, stat: &FileStat, path: &[u8], problems: &mut Vec<Problem>) -> bool {
    let (wanted, expected) = match node {
        Node::File { .. } => (Type::File, "file"),
        Node::Symlink { .. } => (Type::Symlink, "symlink"),
        Node::Directory { .. } => (Type::Directory, "directory"),
    };
    let kind = file_type(stat.st_mode);
    if kind == Some(wanted) {
        return true;
    }
    let found = match kind {
        Some(Type::File) => "file",
        Some(Type::Symlink) => "symlink",
        Some(Type::Directory) => "directory",
        Some(Type::Fifo) => "fifo",
        Some(Type::Socket) => "socket",
        Some(Type::CharacterDevice | Type::BlockDevice) => "device",
        None => "file of unknown kind",
    };
    problems.push(Problem::Kind {
        file: printable(path),
        expected,
        found,
    });
    false
}

fn check_metadata(node: &Node, stat: &FileStat, path: &[u8], problems: &mut Vec<Problem>) {
    let file = || printable(path);
    let mode = match node {
        Node::File { executable, .. } => Some(file_mode(*executable).bits()),
        Node::Directory { .. } => Some(DIRECTORY_MODE.bits()),
        // The kernel gives all symlinks the same.
        Node::Symlink { .. } => None,
    };
    let found = stat.st_mode & 0o7777;
    if let Some(expected) = mode
        && expected != found
    {
        problems.push(Problem::Mode {
            file: file(),
            expected,
            found,
        });
    }
    if (stat.st_mtime, stat.st_mtime_nsec) != (1, 0) {
        problems.push(Problem::Time { file: file() });
    }
    if let Node::File { size, .. } = node
        && *size < MIN_BYTES
        && stat.st_nlink > 1
    {
        problems.push(Problem::Links {
            file: file(),
            links: stat.st_nlink,
        });
    }
}
