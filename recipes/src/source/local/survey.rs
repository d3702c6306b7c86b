//! The list of what belongs to a source, and copies of it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use rayon::prelude::*;
use store::TreeError;
use store::tree::MAX_DEPTH;

use super::LocalError;
use super::rules::{IgnoreStack, LocalRules};
use super::stat::Stat;

/// The files of a source, with what tells whether they have changed.
#[derive(Debug)]
pub struct Survey {
    pub(super) from: PathBuf,
    /// By name; directories come before what is in them. The first is the source itself.
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// Below the source; empty for the source itself.
    pub(super) path: PathBuf,
    pub(super) kind: EntryKind,
}

#[derive(Debug)]
pub(super) enum EntryKind {
    Directory,
    File { stat: Stat, executable: bool },
    Symlink { target: PathBuf },
}

impl Survey {
    /// Lists the file or directory `from`.
    ///
    /// Of a directory is left out what an ignore file at or below the project names, what version control keeps for itself,
    /// what Pith itself reads at its top, links into the store, and directories of which all this leaves nothing.
    pub fn new(from: &Path, rules: &LocalRules<'_>) -> Result<Self, LocalError> {
        // The top itself may be a link to the project's directory.
        let metadata = fs::metadata(from).map_err(failed(from))?;
        let mut walk = Walk {
            from,
            rules,
            ignored: IgnoreStack::above(from, rules.project)?,
            entries: Vec::new(),
            left_out: 0,
        };
        let path = PathBuf::new();
        let kind = kind_of(from, &metadata)?;
        walk.entries.push(Entry { path, kind });
        if metadata.is_dir() {
            walk.directory(Path::new(""), 1)?;
            if walk.entries.len() == 1 && walk.left_out > 0 {
                let directory = from.to_owned();
                return Err(LocalError::Empty { directory });
            }
        }
        Ok(Self {
            from: from.to_owned(),
            entries: walk.entries,
        })
    }

    /// Returns whether it is of one file, which somebody named by itself.
    pub(super) fn is_single(&self) -> bool {
        let first = self.entries.first();
        first.is_some_and(|entry| !matches!(entry.kind, EntryKind::Directory))
    }

    /// Copies everything to `to`, which must not be there. Links are copied as links; owners and times are not copied, and of
    /// modes only whether the owner may execute.
    pub fn copy(&self, to: &Path) -> Result<(), LocalError> {
        for entry in &self.entries {
            let to = below(to, &entry.path);
            match &entry.kind {
                EntryKind::Directory => fs::DirBuilder::new().mode(0o700).create(&to),
                EntryKind::Symlink { target } => symlink(target, &to),
                EntryKind::File { .. } => continue,
            }
            .map_err(failed(&to))?;
        }
        self.entries.par_iter().try_for_each(|entry| {
            let EntryKind::File { stat, executable } = &entry.kind else {
                return Ok(());
            };
            let from = below(&self.from, &entry.path);
            let to = below(to, &entry.path);
            let mut file = open(&from)?;
            let mode = if *executable { 0o700 } else { 0o600 };
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&to)
                .and_then(|mut copy| io::copy(&mut file, &mut copy))
                .map_err(failed(&from))?;
            check_unchanged(&from, &file, stat)
        })
    }
}

/// Returns `path` in `directory`; an empty one is the directory itself, to which `join` would add a slash.
pub(super) fn below(directory: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        directory.to_owned()
    } else {
        directory.join(path)
    }
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> LocalError + use<> {
    let path = path.to_owned();
    move |source| LocalError::Io { path, source }
}

/// What was listed and is not there any more was changed.
fn failed_listed(path: &Path) -> impl FnOnce(io::Error) -> LocalError + use<> {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => LocalError::Changed { path },
        _ => LocalError::Io { path, source },
    }
}

/// Opens a file that was listed. A link or fifo that has taken its place is neither followed nor waited for.
pub(super) fn open(path: &Path) -> Result<File, LocalError> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .map_err(failed_listed(path))
}

/// Refuses a file that is not what was listed; asked after it was read, so that it was that all the time.
pub(super) fn check_unchanged(path: &Path, file: &File, listed: &Stat) -> Result<(), LocalError> {
    let metadata = file.metadata().map_err(failed(path))?;
    if metadata.is_file() && Stat::of(&metadata) == *listed {
        return Ok(());
    }
    let path = path.to_owned();
    Err(LocalError::Changed { path })
}

fn kind_of(path: &Path, metadata: &Metadata) -> Result<EntryKind, LocalError> {
    if metadata.is_dir() {
        Ok(EntryKind::Directory)
    } else if metadata.is_file() {
        Ok(EntryKind::File {
            stat: Stat::of(metadata),
            executable: metadata.permissions().mode() & 0o100 != 0,
        })
    } else if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(failed_listed(path))?;
        Ok(EntryKind::Symlink { target })
    } else {
        let path = path.to_owned();
        Err(LocalError::Special { path })
    }
}

struct Walk<'a> {
    from: &'a Path,
    rules: &'a LocalRules<'a>,
    ignored: IgnoreStack,
    entries: Vec<Entry>,
    /// How many things were left out so far.
    left_out: usize,
}

impl Walk<'_> {
    /// Adds what lies in the directory at `path`. The depth is bounded, and so is the recursion.
    fn directory(&mut self, path: &Path, depth: usize) -> Result<(), LocalError> {
        let directory = below(self.from, path);
        if depth > MAX_DEPTH {
            let source = TreeError::Depth {
                path: path.display().to_string(),
            };
            let path = directory;
            return Err(LocalError::Tree { path, source });
        }
        self.ignored.enter(&directory)?;
        let mut listed: Vec<(OsString, fs::DirEntry)> = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed_listed(&directory))? {
            let entry = entry.map_err(failed(&directory))?;
            listed.push((entry.file_name(), entry));
        }
        listed.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, entry) in listed {
            self.entry(path.join(name), &entry, depth)?;
        }
        self.ignored.leave();
        Ok(())
    }

    fn entry(
        &mut self,
        path: PathBuf,
        entry: &fs::DirEntry,
        depth: usize,
    ) -> Result<(), LocalError> {
        let real = entry.path();
        let is_directory = entry.file_type().map_err(failed(&real))?.is_dir();
        let excluded = self.rules.is_excluded(
            &path.to_string_lossy(),
            &entry.file_name().to_string_lossy(),
        );
        if excluded || self.ignored.is_ignored(&real, is_directory) {
            self.left_out += 1;
            return Ok(());
        }
        let metadata = entry.metadata().map_err(failed_listed(&real))?;
        let kind = kind_of(&real, &metadata)?;
        if let EntryKind::Symlink { target } = &kind
            && self.rules.is_store_link(target)
        {
            self.left_out += 1;
            return Ok(());
        }
        let (before, left_out) = (self.entries.len(), self.left_out);
        let descend = matches!(kind, EntryKind::Directory).then(|| path.clone());
        self.entries.push(Entry { path, kind });
        if let Some(path) = descend {
            self.directory(&path, depth + 1)?;
            // A fresh checkout does not have it either.
            if self.entries.len() == before + 1 && self.left_out > left_out {
                self.entries.pop();
            }
        }
        Ok(())
    }
}
