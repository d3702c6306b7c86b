//! The sets of packages among what is packed: which objects lie at the root, and what the first set wants to run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use store::StorePath;

use super::ImageError;
use crate::{
    layer::{ObjectPlace, StoredObject},
    rootfs::{ROOT_DIRECTORY, RootPath, RootSet},
};

/// The requested objects that are sets, and their members.
pub(super) struct RootSets {
    /// In the order of the request.
    sets: Vec<(StorePath, RootSet)>,
    /// The objects at the root, each with its directories.
    at_root: BTreeMap<StorePath, Vec<String>>,
}

impl RootSets {
    /// Looks at the requested objects only: a set that something else refers to is data like any other.
    pub(super) fn load(
        requested: &[StorePath],
        real_path: &dyn Fn(&StorePath) -> PathBuf,
    ) -> Result<Self, ImageError> {
        let mut found = Self {
            sets: Vec::new(),
            at_root: BTreeMap::new(),
        };
        for path in requested {
            if let Some(set) = RootSet::load(&real_path(path))? {
                let members = set.members()?.into_iter();
                let members = members.map(|(path, directories)| (path, directories.to_vec()));
                found.at_root.extend(members);
                found.at_root.insert(path.clone(), set.directories.clone());
                found.sets.push((path.clone(), set));
            }
        }
        Ok(found)
    }

    /// Returns where an object lies.
    pub(super) fn place(&self, path: &StorePath) -> ObjectPlace {
        match self.at_root.get(path) {
            Some(directories) => ObjectPlace::Root {
                directories: directories.clone(),
            },
            None => ObjectPlace::Store,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &RootSet> {
        self.sets.iter().map(|(_, set)| set)
    }

    /// Returns the set that was requested under this path.
    pub(super) fn find(&self, path: &StorePath) -> Option<&RootSet> {
        let mut sets = self.sets.iter();
        sets.find(|(known, _)| known == path).map(|(_, set)| set)
    }
}

/// Returns the object at the root that has something at `path`.
pub(super) fn occupant<'o>(
    objects: &[&'o StoredObject],
    path: &RootPath,
) -> Option<&'o StoredObject> {
    use std::os::unix::ffi::OsStrExt as _;
    let inner = Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
    let at_root = objects
        .iter()
        .filter(|object| object.place != ObjectPlace::Store);
    at_root.copied().find(|object| {
        let real = object.real.join(ROOT_DIRECTORY).join(inner);
        fs::symlink_metadata(real).is_ok()
    })
}
