//! A source into staging: one thread walks, all threads copy.
//!
//! Written for hostile sources. Every name is opened relative to a descriptor of the directory it was listed in, never following a symlink;
//! what a file is, is asked of the open file; what is hashed is what was written. A builder that still runs could at most change what it
//! is about to have stored.
//!
//! At most [`OPEN_DIRECTORIES`] directories and those on the way to the walker are open at once, however large the tree.

use std::{
    ffi::{OsStr, OsString},
    io::Read,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    vec,
};

use nix::{
    dir::Type,
    fcntl::{AtFlags, readlinkat},
    sys::stat::fstatat,
};

use super::{
    AddError, Limits,
    budget::Budget,
    copy::{Copier, CopyError, Target},
    draft::{Draft, FileDraft, SymlinkDraft},
    links::Links,
    room::Room,
    share::Sharing,
};
use crate::{
    id::StoreName,
    scan::{Needles, scan_bytes},
    sys::{
        change::symlink_at,
        files::{
            at, create_directory_at, file_type, join, list, open_directory_at, open_file_at, os,
            seal_symlink,
        },
    },
    tree::{EntryName, MAX_DEPTH, MemoryNode, SymlinkTarget, TreeError, printable},
};

/// Directories whose files wait to be copied.
const OPEN_DIRECTORIES: usize = 64;
/// Files of one directory that one job copies.
const FILES_A_JOB: usize = 16;

/// What is common to all files of one object that is being written.
#[derive(Debug)]
pub(super) struct Ingest<'a> {
    name: &'a StoreName,
    /// Where the object is in staging.
    target: &'a OsStr,
    copier: Copier<'a>,
    budget: Budget<'a>,
    files: Mutex<Vec<Option<FileDraft>>>,
    links: Links,
    failed: AtomicBool,
    failure: Mutex<Option<(usize, AddError)>>,
    waiting_directories: AtomicUsize,
}

/// The shape of a source, with files by number.
enum Shape {
    File(usize),
    Symlink(SymlinkDraft),
    Directory(Vec<(EntryName, Self)>),
}

/// The same directory in the source and in staging.
struct Pair {
    source: OwnedFd,
    target: OwnedFd,
}

/// A directory that the walker is in.
struct Frame {
    pair: Arc<Pair>,
    path: Vec<u8>,
    name: Option<EntryName>,
    directories: vec::IntoIter<EntryName>,
    done: Vec<(EntryName, Shape)>,
}

impl<'a> Ingest<'a> {
    pub(super) fn new(
        name: &'a StoreName,
        target: &'a OsStr,
        needles: &'a Needles,
        sharing: &'a Sharing<'a>,
        limits: Limits,
        room: &'a Room,
    ) -> Self {
        Self {
            name,
            target,
            copier: Copier {
                needles,
                sharing,
                limit_bytes: limits.object_bytes,
            },
            budget: Budget::new(name, limits, room),
            files: Mutex::default(),
            links: Links::default(),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
            waiting_directories: AtomicUsize::new(0),
        }
    }

    /// Copies the entry `source` of `parent` to the entry `target` of `staging`.
    pub(super) fn entry(
        &self,
        parent: BorrowedFd<'_>,
        source: &OsStr,
        staging: BorrowedFd<'_>,
        target: &OsStr,
    ) -> Result<Draft, AddError> {
        self.budget.count_nodes(1)?;
        let stat =
            fstatat(parent, source, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(at("inspect", source))?;
        let shape = match file_type(stat.st_mode) {
            Some(Type::Directory) => {
                let pair = Pair {
                    source: open_directory_at(parent, source).map_err(at("open", source))?,
                    target: create_directory_at(staging, target).map_err(at("create", target))?,
                };
                let root_owner = stat.st_uid;
                let shape = rayon::scope(|scope| self.walk(scope, pair));
                let shape = self.outcome(shape)?;
                self.refuse_foreign_links(root_owner)?;
                shape
            }
            Some(Type::Symlink) => Shape::Symlink(self.link(parent, source, staging, target, b"")?),
            Some(Type::File) => {
                let number = self.reserve(1);
                let draft = self.file(parent, source, staging, target, b"")?;
                self.put(number, draft);
                self.refuse_foreign_links(stat.st_uid)?;
                Shape::File(number)
            }
            kind => return Err(self.refuse_kind(b".", kind)),
        };
        Ok(self.draft(shape))
    }

    /// Writes a tree from memory to the entry `target` of `staging`.
    pub(super) fn memory(
        &self,
        node: &MemoryNode,
        staging: BorrowedFd<'_>,
        target: &OsStr,
    ) -> Result<Draft, AddError> {
        self.memory_node(node, staging, target, &[], 1)
    }

    /// Writes a file from memory to the entry `target` of `staging`.
    pub(super) fn bytes(
        &self,
        bytes: &[u8],
        executable: bool,
        staging: BorrowedFd<'_>,
        target: &OsStr,
    ) -> Result<Draft, AddError> {
        let expected = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.budget.count_nodes(1)?;
        self.budget.count_bytes(expected)?;
        self.write(&mut &bytes[..], expected, executable, staging, target, b"")
            .map(Draft::File)
    }

    /// Writes a stream to the entry `target` of `staging`.
    pub(super) fn stream(
        &self,
        source: &mut dyn Read,
        executable: bool,
        staging: BorrowedFd<'_>,
        target: &OsStr,
    ) -> Result<Draft, AddError> {
        self.budget.count_nodes(1)?;
        self.write(source, 0, executable, staging, target, b"")
            .map(Draft::File)
    }

    fn memory_node(
        &self,
        node: &MemoryNode,
        parent: BorrowedFd<'_>,
        target: &OsStr,
        path: &[u8],
        depth: usize,
    ) -> Result<Draft, AddError> {
        self.budget.count_nodes(1)?;
        Ok(match node {
            MemoryNode::File { bytes, executable } => {
                let expected = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.budget.count_bytes(expected)?;
                Draft::File(self.write(
                    &mut &bytes[..],
                    expected,
                    *executable,
                    parent,
                    target,
                    path,
                )?)
            }
            MemoryNode::Symlink { target: to } => {
                Draft::Symlink(self.write_link(to.clone(), parent, target)?)
            }
            MemoryNode::Directory { entries } => {
                self.check_depth(depth, path)?;
                let directory =
                    create_directory_at(parent, target).map_err(at("create", target))?;
                let mut drafts = Vec::with_capacity(entries.len());
                for (name, node) in entries {
                    let below = join(path, name.as_bytes());
                    let draft = self.memory_node(
                        node,
                        directory.as_fd(),
                        os(name.as_bytes()),
                        &below,
                        depth + 1,
                    )?;
                    drafts.push((name.clone(), draft));
                }
                Draft::Directory(drafts)
            }
        })
    }

    /// Walks depth first, and leaves the files of each directory to jobs.
    fn walk<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        root: Pair,
    ) -> Result<Shape, AddError> {
        let mut stack = vec![self.enter(scope, root, Vec::new(), None)?];
        loop {
            let Some(frame) = stack.last_mut() else {
                return Ok(Shape::Directory(Vec::new()));
            };
            if self.failed.load(Ordering::Relaxed) {
                return Ok(Shape::Directory(Vec::new()));
            }
            if let Some(name) = frame.directories.next() {
                let path = join(&frame.path, name.as_bytes());
                let pair = Pair {
                    source: open_directory_at(&frame.pair.source, os(name.as_bytes()))
                        .map_err(at("open", os(&path)))?,
                    target: create_directory_at(&frame.pair.target, os(name.as_bytes()))
                        .map_err(at("create", os(&path)))?,
                };
                self.check_depth(stack.len() + 1, &path)?;
                stack.push(self.enter(scope, pair, path, Some(name))?);
                continue;
            }
            let Some(mut frame) = stack.pop() else {
                return Ok(Shape::Directory(Vec::new()));
            };
            frame.done.sort_by(|a, b| a.0.cmp(&b.0));
            let shape = Shape::Directory(frame.done);
            match (stack.last_mut(), frame.name) {
                (Some(parent), Some(name)) => parent.done.push((name, shape)),
                _ => return Ok(shape),
            }
        }
    }

    fn enter<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        pair: Pair,
        path: Vec<u8>,
        name: Option<EntryName>,
    ) -> Result<Frame, AddError> {
        let pair = Arc::new(pair);
        let entries = list(&pair.source).map_err(at("list", os(&path)))?;
        self.budget
            .count_nodes(u64::try_from(entries.len()).unwrap_or(u64::MAX))?;
        let (mut files, mut directories, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, kind) in entries {
            let name =
                EntryName::new(entry.as_bytes()).map_err(|source| self.tree_error(source))?;
            let below = || join(&path, name.as_bytes());
            let kind = match kind {
                Some(kind) => Some(kind),
                // Some file systems do not say it in the listing.
                None => file_type(
                    fstatat(
                        &pair.source,
                        entry.as_os_str(),
                        AtFlags::AT_SYMLINK_NOFOLLOW,
                    )
                    .map_err(at("inspect", os(&below())))?
                    .st_mode,
                ),
            };
            match kind {
                Some(Type::Directory) => directories.push(name),
                Some(Type::Symlink) => {
                    let link = self.link(
                        pair.source.as_fd(),
                        &entry,
                        pair.target.as_fd(),
                        &entry,
                        &below(),
                    )?;
                    done.push((name, Shape::Symlink(link)));
                }
                Some(Type::File) => files.push((name, entry)),
                kind => return Err(self.refuse_kind(&below(), kind)),
            }
        }
        directories.sort();
        files.sort();
        let first = self.reserve(files.len());
        let mut jobs = Vec::new();
        for (index, (name, entry)) in files.into_iter().enumerate() {
            done.push((name, Shape::File(first + index)));
            if index % FILES_A_JOB == 0 {
                jobs.push(Vec::with_capacity(FILES_A_JOB));
            }
            if let Some(job) = jobs.last_mut() {
                job.push((first + index, entry));
            }
        }
        self.spawn(scope, &pair, &path, jobs);
        Ok(Frame {
            pair,
            path,
            name,
            directories: directories.into_iter(),
            done,
        })
    }

    fn spawn<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        pair: &Arc<Pair>,
        path: &[u8],
        jobs: Vec<Vec<(usize, OsString)>>,
    ) {
        // The walker helps instead of opening more: it runs in a thread of the pool.
        while self.waiting_directories.load(Ordering::Acquire) > OPEN_DIRECTORIES {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                std::thread::yield_now();
            }
        }
        for job in jobs {
            let (pair, path) = (Arc::clone(pair), path.to_vec());
            self.waiting_directories.fetch_add(1, Ordering::AcqRel);
            scope.spawn(move |_| {
                for (number, entry) in job {
                    if self.failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let below = join(&path, entry.as_bytes());
                    match self.file(
                        pair.source.as_fd(),
                        &entry,
                        pair.target.as_fd(),
                        &entry,
                        &below,
                    ) {
                        Ok(draft) => self.put(number, draft),
                        Err(error) => self.fail(number, error),
                    }
                }
                drop(pair);
                self.waiting_directories.fetch_sub(1, Ordering::AcqRel);
            });
        }
    }

    fn file(
        &self,
        parent: BorrowedFd<'_>,
        source: &OsStr,
        target_parent: BorrowedFd<'_>,
        target: &OsStr,
        path: &[u8],
    ) -> Result<FileDraft, AddError> {
        let mut file = open_file_at(parent, source).map_err(at("open", os(path)))?;
        let metadata = file.metadata().map_err(at("inspect", os(path)))?;
        if !metadata.is_file() {
            return Err(self.refuse_kind(path, file_type(metadata.mode())));
        }
        if metadata.mode() & 0o6000 != 0 {
            return Err(AddError::SetId {
                name: self.name.clone(),
                file: printable(path),
                mode: metadata.mode() & 0o7777,
            });
        }
        if metadata.nlink() > 1 {
            self.links.note(&metadata, path);
        }
        self.budget.count_bytes(metadata.len())?;
        self.write(
            &mut file,
            metadata.len(),
            metadata.mode() & 0o100 != 0,
            target_parent,
            target,
            path,
        )
    }

    fn write(
        &self,
        source: &mut dyn Read,
        expected_bytes: u64,
        executable: bool,
        parent: BorrowedFd<'_>,
        target: &OsStr,
        path: &[u8],
    ) -> Result<FileDraft, AddError> {
        let staged = if path.is_empty() {
            self.target.as_bytes().to_vec()
        } else {
            join(self.target.as_bytes(), path)
        };
        let place = Target {
            parent,
            name: target,
            staged,
            executable,
        };
        let copied = self.copier.copy(source, expected_bytes, &place);
        copied.map_err(|error| match error {
            CopyError::Read(source) if path.is_empty() => AddError::Read {
                name: self.name.clone(),
                source,
            },
            CopyError::Read(source) => at("read", os(path))(source).into(),
            CopyError::Write(source) => {
                let path = if path.is_empty() { b"." } else { path };
                at("write", os(path))(source).into()
            }
            CopyError::TooLarge => AddError::TooLarge {
                name: self.name.clone(),
                limit: self.budget.object_bytes(),
            },
        })
    }

    fn link(
        &self,
        parent: BorrowedFd<'_>,
        source: &OsStr,
        target_parent: BorrowedFd<'_>,
        target: &OsStr,
        path: &[u8],
    ) -> Result<SymlinkDraft, AddError> {
        let to = readlinkat(parent, source).map_err(at("read", os(path)))?;
        let to = SymlinkTarget::new(to.as_bytes()).map_err(|source| self.tree_error(source))?;
        self.write_link(to, target_parent, target)
    }

    fn write_link(
        &self,
        to: SymlinkTarget,
        parent: BorrowedFd<'_>,
        target: &OsStr,
    ) -> Result<SymlinkDraft, AddError> {
        symlink_at(os(to.as_bytes()), parent, target).map_err(at("create", target))?;
        seal_symlink(parent, target).map_err(at("change", target))?;
        let findings = scan_bytes(self.copier.needles, to.as_bytes());
        Ok(SymlinkDraft {
            target: to,
            findings,
            modulo: None,
        })
    }

    fn draft(&self, shape: Shape) -> Draft {
        match shape {
            Shape::File(number) => {
                let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
                Draft::File(
                    files[number]
                        .take()
                        .expect("without a failure each numbered file was written"),
                )
            }
            Shape::Symlink(link) => Draft::Symlink(link),
            Shape::Directory(entries) => Draft::Directory(
                entries
                    .into_iter()
                    .map(|(name, shape)| (name, self.draft(shape)))
                    .collect(),
            ),
        }
    }

    fn reserve(&self, count: usize) -> usize {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let first = files.len();
        files.resize_with(first + count, || None);
        first
    }

    fn put(&self, number: usize, draft: FileDraft) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(draft);
    }

    /// Keeps the failure of the first file in the order of the walk, so that the message depends less on threads.
    fn fail(&self, number: usize, error: AddError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.as_ref().is_none_or(|(known, _)| number < *known) {
            *failure = Some((number, error));
        }
        self.failed.store(true, Ordering::Relaxed);
    }

    fn outcome(&self, shape: Result<Shape, AddError>) -> Result<Shape, AddError> {
        match self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            Some((_, error)) => Err(error),
            None => shape,
        }
    }

    fn check_depth(&self, depth: usize, path: &[u8]) -> Result<(), AddError> {
        if depth > MAX_DEPTH {
            Err(self.tree_error(TreeError::Depth {
                path: printable(path),
            }))
        } else {
            Ok(())
        }
    }

    fn tree_error(&self, source: TreeError) -> AddError {
        AddError::Tree {
            name: self.name.clone(),
            source,
        }
    }

    fn refuse_kind(&self, path: &[u8], kind: Option<Type>) -> AddError {
        let kind = match kind {
            Some(Type::Fifo) => "fifo",
            Some(Type::Socket) => "socket",
            Some(Type::CharacterDevice) => "character device",
            Some(Type::BlockDevice) => "block device",
            Some(Type::Directory) => "directory in place of a file",
            Some(Type::Symlink) => "symlink in place of a file",
            Some(Type::File) | None => "file of unknown kind",
        };
        AddError::Kind {
            name: self.name.clone(),
            file: printable(path),
            kind,
        }
    }

    fn refuse_foreign_links(&self, root_owner: u32) -> Result<(), AddError> {
        match self.links.find_foreign(root_owner) {
            Some(link) => Err(AddError::ForeignLink {
                name: self.name.clone(),
                file: printable(&link.file),
                owner: link.owner,
            }),
            None => Ok(()),
        }
    }
}
