//! What objects really take on disk: their blocks, each inode once.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsStr,
    os::fd::{AsFd, BorrowedFd},
};

use nix::{dir::Type, errno::Errno};
use rayon::prelude::*;

use crate::{
    id::StorePath,
    local::LocalStore,
    pool::{MIN_BYTES, Pool},
    sys::{
        FileError,
        files::{at, file_type, inspect_at, list, open_directory_at, os},
    },
};

/// Bytes of a block as `stat` counts them, whatever the file system's are.
const STAT_BLOCK: u64 = 512;

/// What one object takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ObjectBlocks {
    /// Bytes of what has no other name: directories, symlinks, files that are not shared.
    pub(super) own_bytes: u64,
    /// Files with several names, once for each name in the object.
    pub(super) shared: Vec<SharedFile>,
}

/// A name of a file that has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedFile {
    pub(super) inode: u64,
    pub(super) bytes: u64,
    /// How many names the file has in objects, here or elsewhere.
    pub(super) names: u64,
}

/// Which inodes have a name in the pool.
struct Pooled(Option<BTreeSet<u64>>);

impl Pooled {
    /// A pool that cannot be listed, as that of somebody else, is taken to hold all that is large enough.
    fn of(pool: &Pool) -> Self {
        let entries = pool.entries().ok();
        Self(entries.map(|entries| entries.iter().map(|entry| entry.inode).collect()))
    }

    fn has(&self, inode: u64, size: u64) -> bool {
        match &self.0 {
            Some(inodes) => inodes.contains(&inode),
            None => size >= MIN_BYTES,
        }
    }
}

impl LocalStore {
    /// Looks at all files of objects, on all cores; the result is in their order. What is deleted meanwhile takes nothing.
    pub(super) fn measure_objects(
        &self,
        objects: &[&StorePath],
    ) -> Result<Vec<ObjectBlocks>, FileError> {
        let pooled = Pooled::of(self.pool());
        objects
            .par_iter()
            .map(|path| {
                let mut blocks = ObjectBlocks::default();
                let name = path.to_string();
                blocks
                    .add(self.store_fd(), os(name.as_bytes()), &pooled)
                    .map_err(at("inspect", self.real_path(path)))?;
                Ok(blocks)
            })
            .collect()
    }
}

impl ObjectBlocks {
    fn add(&mut self, parent: BorrowedFd<'_>, name: &OsStr, pooled: &Pooled) -> nix::Result<()> {
        let stat = match inspect_at(parent, name) {
            Err(Errno::ENOENT) => return Ok(()),
            stat => stat?,
        };
        let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * STAT_BLOCK;
        let kind = file_type(stat.st_mode);
        if kind == Some(Type::File) && stat.st_nlink > 1 {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            self.shared.push(SharedFile {
                inode: stat.st_ino,
                bytes,
                names: stat.st_nlink - u64::from(pooled.has(stat.st_ino, size)),
            });
            return Ok(());
        }
        self.own_bytes = self.own_bytes.saturating_add(bytes);
        if kind == Some(Type::Directory) {
            let directory = match open_directory_at(parent, name) {
                Err(Errno::ENOENT) => return Ok(()),
                directory => directory?,
            };
            for (entry, _) in list(&directory)? {
                self.add(directory.as_fd(), &entry, pooled)?;
            }
        }
        Ok(())
    }
}

/// What a set of objects takes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Each inode once.
    pub(super) disk_bytes: u64,
    /// What more it would be without sharing.
    pub(super) saved_bytes: u64,
    /// What would be free without the set: inodes all of whose names in objects lie in it.
    pub(super) freed_bytes: u64,
}

impl Blocks {
    /// Adds up objects, each given once.
    pub(super) fn of<'a>(objects: impl Iterator<Item = &'a ObjectBlocks>) -> Self {
        let mut sum = Self::default();
        let mut inodes: HashMap<u64, (SharedFile, u64)> = HashMap::new();
        for object in objects {
            sum.disk_bytes = sum.disk_bytes.saturating_add(object.own_bytes);
            sum.freed_bytes = sum.freed_bytes.saturating_add(object.own_bytes);
            for file in &object.shared {
                inodes.entry(file.inode).or_insert((*file, 0)).1 += 1;
            }
        }
        for (file, seen) in inodes.into_values() {
            sum.disk_bytes = sum.disk_bytes.saturating_add(file.bytes);
            sum.saved_bytes = sum
                .saved_bytes
                .saturating_add(file.bytes.saturating_mul(seen - 1));
            if seen >= file.names {
                sum.freed_bytes = sum.freed_bytes.saturating_add(file.bytes);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(own_bytes: u64, shared: &[(u64, u64, u64)]) -> ObjectBlocks {
        let shared = shared.iter().map(|&(inode, bytes, names)| SharedFile {
            inode,
            bytes,
            names,
        });
        ObjectBlocks {
            own_bytes,
            shared: shared.collect(),
        }
    }

    #[test]
    fn an_inode_counts_once_and_is_freed_with_its_last_name() {
        let one = object(1, &[(7, 100, 3), (7, 100, 3), (8, 1000, 2)]);
        let two = object(2, &[(7, 100, 3)]);
        let both = Blocks::of([&one, &two].into_iter());
        let expected = |disk_bytes, saved_bytes, freed_bytes| Blocks {
            disk_bytes,
            saved_bytes,
            freed_bytes,
        };
        // 8 has another name elsewhere.
        assert_eq!(both, expected(1103, 200, 103));
        assert_eq!(Blocks::of([&one].into_iter()), expected(1101, 100, 1));
        assert_eq!(Blocks::of([&two].into_iter()), expected(102, 0, 2));
        assert_eq!(Blocks::of([].into_iter()), Blocks::default());
    }
}
