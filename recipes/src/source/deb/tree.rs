//! The directory into which several packages are unpacked at once, and who has what in it.
//!
//! Every place is claimed before it is written. A claim makes the directories above it, and fails when one of them is
//! something else; so a path that was claimed has only real directories above its last part, whatever links the packages
//! contain, and opening it by its name below the root cannot lead anywhere else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;

use super::DebError;

/// Who has a place: the number of a package, and what it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) owner: usize,
    pub(super) thing: Thing,
}

/// What lies at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Directory,
    File { executable: bool },
    Symlink { target: String },
}

/// The tree under construction; shared by the threads that unpack.
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    /// Names of the packages, for messages.
    names: &'a [String],
    claims: Mutex<BTreeMap<String, Claim>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, names: &'a [String]) -> Self {
        Self {
            root,
            names,
            claims: Mutex::default(),
        }
    }

    /// Claims a directory and makes it and those above it.
    pub(super) fn add_directory(&self, path: &str, owner: usize) -> Result<(), DebError> {
        if path.is_empty() {
            return Ok(());
        }
        let mut claims = self.lock();
        self.directories(&mut claims, path, owner)
    }

    /// Claims a place and returns the new, empty file there.
    pub(super) fn add_file(
        &self,
        path: &str,
        executable: bool,
        owner: usize,
    ) -> Result<File, DebError> {
        self.claim(
            path,
            Claim {
                owner,
                thing: Thing::File { executable },
            },
        )?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = if executable { 0o755 } else { 0o644 };
        openat(self.root, path, flags, Mode::from_bits_truncate(mode))
            .map(File::from)
            .map_err(write_error(path))
    }

    /// Claims a place and makes a symbolic link there.
    pub(super) fn add_symlink(
        &self,
        path: &str,
        target: &str,
        owner: usize,
    ) -> Result<(), DebError> {
        let thing = Thing::Symlink {
            target: target.to_owned(),
        };
        if self.claim(path, Claim { owner, thing })? == Claimed::New {
            symlinkat(target, self.root, path).map_err(write_error(path))?;
        }
        Ok(())
    }

    /// Opens a file that `owner` has claimed and written; `None` when there is none.
    pub(super) fn open_own_file(
        &self,
        path: &str,
        owner: usize,
    ) -> Result<Option<(File, bool)>, DebError> {
        let executable = match self.lock().get(path) {
            Some(Claim {
                owner: known,
                thing: Thing::File { executable },
            }) if *known == owner => *executable,
            _ => return Ok(None),
        };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(self.root, path, flags, Mode::empty()).map_err(write_error(path))?;
        Ok(Some((File::from(file), executable)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, path: &str, claim: Claim) -> Result<Claimed, DebError> {
        let mut claims = self.lock();
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directories(&mut claims, parent, claim.owner)?;
        }
        match claims.get(path) {
            None => {
                claims.insert(path.to_owned(), claim);
                Ok(Claimed::New)
            }
            // Packages of one source commonly carry the same links.
            Some(known)
                if known.thing == claim.thing && matches!(known.thing, Thing::Symlink { .. }) =>
            {
                Ok(Claimed::Same)
            }
            Some(known) => Err(self.conflict(path, known.owner, claim.owner)),
        }
    }

    fn directories(
        &self,
        claims: &mut BTreeMap<String, Claim>,
        path: &str,
        owner: usize,
    ) -> Result<(), DebError> {
        let ends = path
            .match_indices('/')
            .map(|(index, _)| index)
            .chain([path.len()]);
        for end in ends {
            let part = path.get(..end).unwrap_or(path);
            match claims.get(part) {
                Some(Claim {
                    thing: Thing::Directory,
                    ..
                }) => {}
                Some(known) => return Err(self.conflict(part, known.owner, owner)),
                None => {
                    mkdirat(self.root, part, Mode::from_bits_truncate(0o755))
                        .map_err(write_error(part))?;
                    claims.insert(
                        part.to_owned(),
                        Claim {
                            owner,
                            thing: Thing::Directory,
                        },
                    );
                }
            }
        }
        Ok(())
    }

    fn conflict(&self, path: &str, first: usize, second: usize) -> DebError {
        let name = |index: usize| {
            self.names
                .get(index)
                .map_or("the recipe's links", String::as_str)
                .to_owned()
        };
        // Named in the order of the recipe, not in that of the threads.
        let (first, second) = (first.min(second), first.max(second));
        DebError::Conflict {
            path: path.to_owned(),
            first: name(first),
            second: name(second),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Claimed {
    New,
    Same,
}

pub(super) fn write_error<E: Into<io::Error>>(path: &str) -> impl FnOnce(E) -> DebError {
    move |error| DebError::Write {
        path: path.to_owned(),
        source: error.into(),
    }
}
