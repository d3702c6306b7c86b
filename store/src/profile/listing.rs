//! The trees of packages as they lie in the store.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::PathBuf,
};

use nix::{dir::Type, errno::Errno};

use super::{
    ProfileError,
    union::{Kind, Listing, Member, Trees},
};
use crate::{
    local::LocalStore,
    sys::files::{at, list, open_directory_at, open_file_at, os, read_link_at, type_at},
    tree::{EntryName, SymlinkTarget},
};

/// Bytes that are compared at once.
const BLOCK: usize = 64 << 10;

/// The members' objects.
#[derive(Debug)]
pub(super) struct ObjectTrees<'a> {
    store: &'a LocalStore,
}

impl<'a> ObjectTrees<'a> {
    pub(super) const fn new(store: &'a LocalStore) -> Self {
        Self { store }
    }

    fn place(&self, member: &Member, path: &[u8]) -> PathBuf {
        self.store.real_path(&member.path).join(os(path))
    }

    /// Opens the directory `path` of a member, name by name, so that no symlink is followed.
    fn directory(&self, member: &Member, path: &[u8]) -> Result<OwnedFd, ProfileError> {
        let object = member.path.to_string();
        let mut directory = match open_directory_at(self.store.store_fd(), OsStr::new(&object)) {
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                return Err(ProfileError::NotADirectory {
                    package: member.name.clone(),
                    path: member.path.clone(),
                });
            }
            opened => opened.map_err(at("open", self.place(member, b"")))?,
        };
        for part in path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
        {
            directory = open_directory_at(&directory, os(part))
                .map_err(at("open", self.place(member, path)))?;
        }
        Ok(directory)
    }

    fn file(&self, member: &Member, path: &[u8]) -> Result<File, ProfileError> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        let directory = self.directory(member, parent)?;
        Ok(open_file_at(&directory, os(name)).map_err(at("open", self.place(member, path)))?)
    }
}

impl Trees for ObjectTrees<'_> {
    fn list(&self, member: &Member, path: &[u8]) -> Result<Listing, ProfileError> {
        let failed = |errno| at("list", self.place(member, path))(errno);
        let directory = self.directory(member, path)?;
        let mut listing = Listing::new();
        for (name, kind) in list(&directory).map_err(failed)? {
            let kind = match kind {
                Some(kind) => Some(kind),
                // Some file systems do not tell with the name.
                None => type_at(&directory, &name).map_err(failed)?,
            };
            let kind = match kind {
                Some(Type::Directory) => Kind::Directory,
                Some(Type::Symlink) => {
                    Kind::Symlink(read_target(&directory, &name).map_err(failed)?)
                }
                _ => Kind::File,
            };
            listing.push((EntryName::new(name.as_bytes())?, kind));
        }
        Ok(listing)
    }

    fn is_same_file(
        &self,
        one: &Member,
        other: &Member,
        path: &[u8],
    ) -> Result<bool, ProfileError> {
        let (a, b) = (self.file(one, path)?, self.file(other, path)?);
        Ok(same(a, b).map_err(at("read", self.place(one, path)))?)
    }
}

fn read_target(directory: impl AsFd, name: &OsStr) -> nix::Result<SymlinkTarget> {
    let target = read_link_at(directory, name)?;
    // The kernel has no other targets than those.
    SymlinkTarget::new(target.as_bytes()).map_err(|_| Errno::EINVAL)
}

fn same(mut one: File, mut other: File) -> io::Result<bool> {
    let (a, b) = (one.metadata()?, other.metadata()?);
    if a.len() != b.len() || a.permissions().mode() != b.permissions().mode() {
        return Ok(false);
    }
    let mut buffers = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut left = a.len();
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let (a, b) = (&mut buffers.0[..length], &mut buffers.1[..length]);
        one.read_exact(a)?;
        other.read_exact(b)?;
        if a != b {
            return Ok(false);
        }
        left -= length as u64;
    }
    Ok(true)
}
