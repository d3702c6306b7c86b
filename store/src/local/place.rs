//! Objects whose contents are known before their bytes: into staging, and from there to validity.
//!
//! The trees say what there is, so directories and symlinks come first and files in any order, each from any source of its bytes. Nothing is believed: every file
//! is hashed as it is written, and the whole has to have the id that it is to be registered with.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, LazyLock},
};

use super::{
    AddError, Lease, LocalStore,
    commit::{Item, Publish},
    copy::{Copier, CopyError, Target},
    draft::FileDraft,
    parents::Parents,
    record::{stage_info, stage_realisation},
    room::Room,
    share::{NewContents, Sharing},
    staging::Staging,
    verify::find_identity,
};
use crate::{
    db::ObjectState,
    id::{BlobId, StorePath},
    info::{PathInfo, Realisation},
    pool::Found,
    scan::Needles,
    sys::{
        FileError,
        change::{rename_new, symlink_at},
        files::{at, create_directory_at, os, seal_directory, seal_symlink},
    },
    tree::{BlobDigest, Contents, Node, Tree, TreeBundle, printable},
};

/// Nothing is looked for in bytes that are final.
static NOTHING: LazyLock<Needles> = LazyLock::new(|| Needles::new(&[], &[]));

/// Why an object cannot be put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// It cannot be written.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The source of a file's bytes failed.
    #[error("cannot read the bytes of `{file}`")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
    /// The source has other bytes.
    #[error("`{file}` has the wrong digest\n  expected: {expected}\n  found:    {found}")]
    Digest {
        file: String,
        expected: BlobId,
        found: BlobId,
    },
    /// The source has more bytes than the file.
    #[error("there are more bytes than `{file}` has")]
    TooLong { file: String },
    /// All bytes are right, and they are not the object that they are said to be.
    #[error("`{path}` is not the store path of its contents, name and references")]
    Identity { path: StorePath },
}

impl From<FileError> for PlaceError {
    fn from(error: FileError) -> Self {
        Self::Add(error.into())
    }
}

/// An object that lies in staging, whole.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) info: PathInfo,
    pub(super) contents: Contents,
    /// Its name in staging.
    pub(super) target: OsString,
}

/// Writes objects into one staging directory. Used by several threads at once.
#[derive(Debug)]
pub(super) struct Placer<'a> {
    pub(super) staging: BorrowedFd<'a>,
    pub(super) sharing: &'a Sharing<'a>,
    pub(super) room: &'a Room,
    pub(super) parents: &'a Parents,
}

impl Placer<'_> {
    /// Makes everything of an object but its files.
    pub(super) fn prepare(
        &self,
        target: &OsStr,
        root: &Node,
        bundle: &TreeBundle,
    ) -> Result<(), FileError> {
        match root {
            Node::File { .. } => Ok(()),
            Node::Symlink { target: to } => link(self.staging, target, to.as_bytes()),
            Node::Directory { .. } => {
                let directory =
                    create_directory_at(self.staging, target).map_err(at("create", target))?;
                self.fill(&directory, &[], bundle)
            }
        }
    }

    /// The depth of a bundle is bounded, and so is the recursion.
    fn fill(&self, directory: &OwnedFd, path: &[u8], bundle: &TreeBundle) -> Result<(), FileError> {
        let entries = bundle.trees.get(path).map_or(&[][..], Tree::entries);
        for entry in entries {
            let name = os(entry.name.as_bytes());
            match &entry.node {
                Node::File { .. } => {}
                Node::Symlink { target } => link(directory.as_fd(), name, target.as_bytes())?,
                Node::Directory { .. } => {
                    let below = create_directory_at(directory, name).map_err(at("create", name))?;
                    let path = crate::sys::files::join(path, entry.name.as_bytes());
                    self.fill(&below, &path, bundle)?;
                }
            }
        }
        Ok(())
    }

    /// Writes a file of an object from its bytes, or links to a file of the same bytes, and returns what it is. After an error the staging directory is of no use
    /// any more.
    pub(super) fn write(
        &self,
        target: &OsStr,
        path: &[u8],
        node: &Node,
        source: &mut dyn Read,
    ) -> Result<Option<BlobDigest>, PlaceError> {
        let &Node::File {
            blob,
            size,
            executable,
        } = node
        else {
            return Ok(None);
        };
        self.room.take(size)?;
        let (parent, name) = self.parent(target, path)?;
        let copier = self.copier(size);
        let place = Target {
            parent: parent.as_deref().map_or(self.staging, AsFd::as_fd),
            name: os(name),
            staged: staged(target, path),
            executable,
        };
        let file = || printable(path);
        let draft = copier
            .copy(source, size, &place)
            .map_err(|error| match error {
                CopyError::Read(source) => PlaceError::Read {
                    file: file(),
                    source,
                },
                CopyError::Write(source) => at("write", os(path))(source).into(),
                CopyError::TooLarge => PlaceError::TooLong { file: file() },
            })?;
        if draft.digest.blob == blob && draft.digest.size == size {
            Ok(Some(draft.digest))
        } else {
            Err(PlaceError::Digest {
                file: file(),
                expected: blob,
                found: draft.digest.blob,
            })
        }
    }

    /// Writes a file of an object from bytes that are hashed already, or links to a file of the same bytes.
    pub(super) fn put(
        &self,
        target: &OsStr,
        path: &[u8],
        draft: &FileDraft,
        bytes: &[u8],
    ) -> Result<(), PlaceError> {
        let size = draft.digest.size;
        self.room.take(size)?;
        let (parent, name) = self.parent(target, path)?;
        let place = Target {
            parent: parent.as_deref().map_or(self.staging, AsFd::as_fd),
            name: os(name),
            staged: staged(target, path),
            executable: draft.executable,
        };
        match self.copier(size).put(bytes, draft, &place) {
            Ok(()) => Ok(()),
            Err(CopyError::Write(source)) => Err(at("write", os(path))(source).into()),
            Err(CopyError::Read(source)) => Err(PlaceError::Read {
                file: printable(path),
                source,
            }),
            Err(CopyError::TooLarge) => Err(PlaceError::TooLong {
                file: printable(path),
            }),
        }
    }

    /// Makes a file of an object a link to a file of the same bytes. Tells whether one is known and can be linked to.
    pub(super) fn link(
        &self,
        target: &OsStr,
        path: &[u8],
        draft: &FileDraft,
    ) -> Result<bool, PlaceError> {
        let (parent, name) = self.parent(target, path)?;
        let parent = parent.as_deref().map_or(self.staging, AsFd::as_fd);
        Ok(self.sharing.link(draft, parent, os(name)) == Found::Linked)
    }

    /// Gives a sealed file of the staging directory its place in an object.
    pub(super) fn take(
        &self,
        staged_name: &OsStr,
        target: &OsStr,
        path: &[u8],
        draft: &FileDraft,
    ) -> Result<(), PlaceError> {
        let (parent, name) = self.parent(target, path)?;
        let parent = parent.as_deref().map_or(self.staging, AsFd::as_fd);
        rename_new(self.staging, staged_name, parent, os(name)).map_err(at("create", os(path)))?;
        self.sharing.settle(draft, &staged(target, path));
        Ok(())
    }

    fn copier(&self, limit_bytes: u64) -> Copier<'_> {
        Copier {
            needles: &NOTHING,
            sharing: self.sharing,
            limit_bytes,
        }
    }

    /// Completes an object all of whose files are written.
    pub(super) fn finish(
        &self,
        target: OsString,
        info: PathInfo,
        contents: Contents,
    ) -> Result<Placed, PlaceError> {
        // What lies in a directory first. The root stays writable until it has its name.
        for path in contents.bundle.trees.keys().rev() {
            if !path.is_empty() {
                let directory = self.open(&target, path)?;
                seal_directory(&directory).map_err(at("change", os(path)))?;
            }
        }
        if find_identity(self.staging, &target, &info, &contents) != Some(info.id) {
            return Err(PlaceError::Identity { path: info.path });
        }
        Ok(Placed {
            info,
            contents,
            target,
        })
    }

    /// Returns the directory of a file, `None` for the staging directory itself, and the file's name in it.
    fn parent<'p>(
        &self,
        target: &'p OsStr,
        path: &'p [u8],
    ) -> Result<(Option<Arc<OwnedFd>>, &'p [u8]), FileError> {
        if path.is_empty() {
            return Ok((None, target.as_encoded_bytes()));
        }
        let split = path.iter().rposition(|byte| *byte == b'/');
        let (directory, name) = match split {
            Some(split) => (&path[..split], &path[split + 1..]),
            None => (&[][..], path),
        };
        Ok((Some(self.open(target, directory)?), name))
    }

    fn open(&self, target: &OsStr, path: &[u8]) -> Result<Arc<OwnedFd>, FileError> {
        self.parents
            .open(self.staging, &staged(target, path))
            .map_err(at("open", os(path)))
    }
}

impl LocalStore {
    /// Makes objects valid that lie in staging, references first. What has become valid meanwhile stays as it is.
    pub(super) fn publish_placed(
        &self,
        staging: Staging<'_>,
        lease: &Lease,
        placed: &[Placed],
        realisations: Vec<Realisation>,
        written: &NewContents,
    ) -> Result<(), AddError> {
        // Leased first and asked for second: see `lease`.
        let digests: Vec<_> = placed.iter().map(|one| *one.info.path.digest()).collect();
        lease.protect(&digests)?;
        let mut publish = Publish::new(staging.as_fd()).map_err(at("open", staging.path()))?;
        for (number, one) in placed.iter().enumerate() {
            if self.claim::<AddError>(one.info.path.digest())? == Some(ObjectState::Valid) {
                continue;
            }
            publish.records.push(stage_info(
                &staging,
                number,
                &one.info,
                &one.contents,
                staging.path(),
            )?);
            publish.new.push(Item {
                target: one.target.clone(),
                info: one.info.clone(),
            });
        }
        for (number, realisation) in realisations.iter().enumerate() {
            publish.records.push(stage_realisation(
                &staging,
                number,
                realisation,
                staging.path(),
            )?);
        }
        publish.realisations = realisations;
        self.publish_staged(staging, publish, written)
    }
}

/// The place of a file, from the staging directory.
fn staged(target: &OsStr, path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        target.as_encoded_bytes().to_vec()
    } else {
        [target.as_encoded_bytes(), b"/", path].concat()
    }
}

fn link(parent: BorrowedFd<'_>, name: &OsStr, to: &[u8]) -> Result<(), FileError> {
    symlink_at(os(to), parent, name).map_err(at("create", name))?;
    seal_symlink(parent, name).map_err(at("change", name))
}
