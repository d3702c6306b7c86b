//! A profile's directory: its generations and which of them is the current one.

use std::{
    ffi::{OsStr, OsString},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::errno::Errno;

use super::{
    Manifest, ProfileError, ProfileName,
    generation::{LAUNCHERS, PROGRAMS, add_generation, read_manifest},
};
use crate::{
    db::{Root, RootKind},
    id::{STORE_DIR, StorePath},
    local::LocalStore,
    sys::{
        change::{make_directories, rename_over, symlink_at, sync, unlink_at},
        files::{at, list, open_directory, read_link_at},
        lock::{Lock, lock_file_telling},
    },
};

/// The link to the current generation.
pub(super) const CURRENT: &str = "current";
/// The link to what a user's `PATH` has.
const BIN: &str = "bin";
/// The link to the program that launchers hand over to.
const STARTER: &str = "pith";
/// A link before it gets its name. One is enough: only the holder of the lock makes links.
const UNNAMED: &str = ".new";
/// What is locked by whoever changes the profile.
const LOCK: &str = ".lock";

/// A profile of a store; nothing is made on disk before it is changed.
#[derive(Debug)]
pub struct Profile<'a> {
    store: &'a LocalStore,
    directory: PathBuf,
}

/// One generation of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number; a newer generation has a higher one.
    pub number: u64,
    /// Its store object.
    pub path: StorePath,
}

impl<'a> Profile<'a> {
    /// The profile of that name that belongs to the store.
    #[must_use]
    pub fn named(store: &'a LocalStore, name: &ProfileName) -> Self {
        Self::at(store, store.profiles_dir().join(name.as_str()))
    }

    /// The profile in a directory of its own, which should be absolute: roots bear its name.
    #[must_use]
    pub const fn at(store: &'a LocalStore, directory: PathBuf) -> Self {
        Self { store, directory }
    }

    /// Returns the profile's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the directory that a user's `PATH` should have.
    #[must_use]
    pub fn programs_dir(&self) -> PathBuf {
        self.directory.join(BIN)
    }

    /// Returns all generations, the oldest first.
    pub fn generations(&self) -> Result<Vec<Generation>, ProfileError> {
        let Some(directory) = self.open()? else {
            return Ok(Vec::new());
        };
        let names = list(&directory).map_err(at("list", &self.directory))?;
        let mut generations = Vec::new();
        for (name, _) in names {
            let Some(number) = parse_number(&name) else {
                continue;
            };
            let target = self.read_link(&directory, &name)?;
            let path = Path::new(&target).file_name().and_then(OsStr::to_str);
            let path = path
                .and_then(|path| path.parse().ok())
                .ok_or_else(|| self.bad_link(&name, &target))?;
            generations.push(Generation { number, path });
        }
        generations.sort_by_key(|generation| generation.number);
        Ok(generations)
    }

    /// Returns the current generation; `None` for a profile that has never had one.
    pub fn current(&self) -> Result<Option<Generation>, ProfileError> {
        let Some(directory) = self.open()? else {
            return Ok(None);
        };
        let target = match read_link_at(&directory, OsStr::new(CURRENT)) {
            Ok(target) => target,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(at("read", self.directory.join(CURRENT))(errno).into()),
        };
        let number =
            parse_number(&target).ok_or_else(|| self.bad_link(OsStr::new(CURRENT), &target))?;
        self.generation(number).map(Some)
    }

    /// Returns the generation of that number.
    pub fn generation(&self, number: u64) -> Result<Generation, ProfileError> {
        let found = self
            .generations()?
            .into_iter()
            .find(|generation| generation.number == number);
        found.ok_or_else(|| ProfileError::NoGeneration {
            profile: self.directory.clone(),
            number,
        })
    }

    /// Returns what a generation was made of.
    pub fn manifest(&self, generation: &Generation) -> Result<Manifest, ProfileError> {
        read_manifest(self.store, &generation.path)
    }

    /// Returns what the current generation was made of; nothing for a profile without one.
    pub fn current_manifest(&self) -> Result<Manifest, ProfileError> {
        match self.current()? {
            Some(generation) => self.manifest(&generation),
            None => Ok(Manifest::default()),
        }
    }

    /// Returns the roots of the generations that have one, the oldest generation first.
    pub fn roots(&self) -> Result<Vec<(u64, Root)>, ProfileError> {
        let prefix = self.root_prefix();
        let mut roots: Vec<_> = self
            .store
            .list_roots()?
            .into_iter()
            .filter(|root| root.kind == RootKind::Profile)
            .filter_map(|root| {
                let number = parse_number(OsStr::new(root.name.strip_prefix(&prefix)?))?;
                Some((number, root))
            })
            .collect();
        roots.sort_by_key(|(number, _)| *number);
        Ok(roots)
    }

    /// Waits until nobody else changes the profile, and puts right what a process that died in the middle left; `on_wait` is called if it
    /// has to wait. Makes the profile's directory.
    pub fn lock(&self, on_wait: &dyn Fn()) -> Result<LockedProfile<'_>, ProfileError> {
        self.make()?;
        let lock = lock_file_telling(&self.directory.join(LOCK), on_wait)?;
        let locked = LockedProfile {
            profile: self,
            directory: open_directory(&self.directory)?,
            _lock: lock,
        };
        locked.put_right()?;
        Ok(locked)
    }

    /// Makes the profile's directory and those above it, and sees to it that they stay.
    fn make(&self) -> Result<(), ProfileError> {
        let missing: Vec<_> = self
            .directory
            .ancestors()
            .take_while(|directory| !directory.exists())
            .collect();
        make_directories(&self.directory, 0o755)?;
        for parent in missing.iter().filter_map(|directory| directory.parent()) {
            sync(open_directory(parent)?).map_err(at("sync", parent))?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Option<OwnedFd>, ProfileError> {
        match open_directory(&self.directory) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read_link(&self, directory: &OwnedFd, name: &OsStr) -> Result<OsString, ProfileError> {
        Ok(read_link_at(directory, name).map_err(at("read", self.directory.join(name)))?)
    }

    fn bad_link(&self, name: &OsStr, target: &OsStr) -> ProfileError {
        ProfileError::Link {
            link: self.directory.join(name),
            target: target.into(),
        }
    }

    /// What the names of this profile's roots begin with; the number follows.
    fn root_prefix(&self) -> String {
        let directory = self
            .directory
            .strip_prefix(self.store.root())
            .unwrap_or(&self.directory);
        format!("{}/", directory.display())
    }

    /// What the link to a generation says: relative where both lie in the store, so that the store can be moved.
    fn link_text(&self, path: &StorePath) -> PathBuf {
        if self.directory.parent() == Some(&self.store.profiles_dir()) {
            Path::new("../../../store").join(path.to_string())
        } else {
            self.store.real_path(path)
        }
    }
}

/// A profile that nobody else changes while this value lives.
#[derive(Debug)]
pub struct LockedProfile<'a> {
    profile: &'a Profile<'a>,
    directory: OwnedFd,
    _lock: Lock,
}

/// What became of a wish for another set of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The current generation has it already.
    Unchanged(Option<Generation>),
    /// It is the current generation now.
    Switched(Generation),
}

impl LockedProfile<'_> {
    /// Makes a generation of these packages and switches to it. Creates nothing if the current one is the same.
    ///
    /// The packages must be valid. Fails with [`ProfileError::Conflict`] when two of them have the same file; then nothing has happened.
    pub fn install(&self, manifest: &Manifest) -> Result<Outcome, ProfileError> {
        let current = self.profile.current()?;
        if current.is_none() && manifest.packages.is_empty() {
            return Ok(Outcome::Unchanged(None));
        }
        let lease = self.profile.store.lease()?;
        let path = add_generation(self.profile.store, manifest, &lease)?.path;
        if current.as_ref().is_some_and(|current| current.path == path) {
            return Ok(Outcome::Unchanged(current));
        }
        let newest = self.profile.generations()?.pop();
        let number = match &newest {
            // It was made before, and gone back from.
            Some(newest) if newest.path == path => newest.number,
            newest => newest.as_ref().map_or(1, |newest| newest.number + 1),
        };
        let generation = Generation { number, path };
        self.add_root(&generation)?;
        if newest.as_ref() != Some(&generation) {
            let text = self.profile.link_text(&generation.path);
            symlink_at(text.as_os_str(), &self.directory, &number_name(number))
                .map_err(at("create", self.link(number)))?;
            self.sync()?;
        }
        self.switch(number)?;
        Ok(Outcome::Switched(generation))
    }

    /// Makes an older or a newer generation the current one.
    pub fn switch_to(&self, number: u64) -> Result<Generation, ProfileError> {
        let generation = self.profile.generation(number)?;
        // What cannot be read any more is not switched to.
        self.profile.manifest(&generation)?;
        self.switch(number)?;
        Ok(generation)
    }

    /// Removes generations, so that the store need not keep them any more. The current one and those that do not exist are left alone;
    /// returns the others.
    pub fn remove_generations(&self, numbers: &[u64]) -> Result<Vec<Generation>, ProfileError> {
        let current = self.profile.current()?.map(|current| current.number);
        let mut doomed = self.profile.generations()?;
        doomed.retain(|generation| {
            Some(generation.number) != current && numbers.contains(&generation.number)
        });
        for generation in &doomed {
            unlink_at(&self.directory, &number_name(generation.number))
                .map_err(at("remove", self.link(generation.number)))?;
        }
        // The links must be gone for good before what they lead to may go.
        self.sync()?;
        for generation in &doomed {
            self.profile
                .store
                .remove_root(&self.root_name(generation.number))?;
        }
        Ok(doomed)
    }

    /// Records which program launchers hand over to.
    pub fn set_starter(&self, program: &Path) -> Result<(), ProfileError> {
        self.set_link(STARTER, program.as_os_str())
    }

    fn switch(&self, number: u64) -> Result<(), ProfileError> {
        // With the store at its logical place links lead where they say, and a program can be started without more ado.
        let is_logical = self.profile.store.store_directory() == Path::new(STORE_DIR);
        let programs = if is_logical { PROGRAMS } else { LAUNCHERS };
        self.set_link(BIN, Path::new(CURRENT).join(programs).as_os_str())?;
        self.set_link(CURRENT, &number_name(number))
    }

    /// Makes a link say something else, in one step.
    fn set_link(&self, name: &str, text: &OsStr) -> Result<(), ProfileError> {
        let name = OsStr::new(name);
        if read_link_at(&self.directory, name).as_deref() == Ok(text) {
            return Ok(());
        }
        let failed = |errno: Errno| at("create", self.profile.directory.join(name))(errno);
        symlink_at(text, &self.directory, OsStr::new(UNNAMED)).map_err(failed)?;
        let (old, new) = (self.directory.as_fd(), self.directory.as_fd());
        rename_over(old, OsStr::new(UNNAMED), new, name).map_err(failed)?;
        self.sync()
    }

    fn sync(&self) -> Result<(), ProfileError> {
        Ok(sync(&self.directory).map_err(at("sync", &self.profile.directory))?)
    }

    /// Finishes what a process that died in the middle began: at any point either a root is without a link, or a link without its name.
    fn put_right(&self) -> Result<(), ProfileError> {
        match unlink_at(&self.directory, OsStr::new(UNNAMED)) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => {
                return Err(at("remove", self.profile.directory.join(UNNAMED))(errno).into());
            }
        }
        let generations = self.profile.generations()?;
        let roots = self.profile.roots()?;
        for (number, root) in &roots {
            if !generations
                .iter()
                .any(|generation| generation.number == *number)
            {
                self.profile.store.remove_root(&root.name)?;
            }
        }
        // A store that was moved, or whose database was lost, may know nothing of a profile elsewhere.
        for generation in &generations {
            let is_kept = roots
                .iter()
                .any(|(number, root)| *number == generation.number && root.path == generation.path);
            if !is_kept && self.profile.store.path_info(&generation.path)?.is_some() {
                self.add_root(generation)?;
            }
        }
        Ok(())
    }

    fn add_root(&self, generation: &Generation) -> Result<(), ProfileError> {
        let name = self.root_name(generation.number);
        let store = self.profile.store;
        Ok(store.add_root(&name, &generation.path, RootKind::Profile)?)
    }

    fn root_name(&self, number: u64) -> String {
        format!("{}{number}", self.profile.root_prefix())
    }

    fn link(&self, number: u64) -> PathBuf {
        self.profile.directory.join(number_name(number))
    }
}

fn number_name(number: u64) -> OsString {
    number.to_string().into()
}

/// Parses what [`number_name`] writes; `None` for every other name.
pub(super) fn parse_number(name: &OsStr) -> Option<u64> {
    let text = name.to_str()?;
    let number = text.parse().ok()?;
    (number_name(number) == text).then_some(number)
}
