//! Why the store on this disk cannot do what is asked.

use std::{path::PathBuf, sync::Arc};

use super::RebuildError;
use crate::{
    db::DbError,
    id::{StoreName, StorePath},
    scan::ResidueForm,
    sys::FileError,
    tree::TreeError,
};

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A directory of the store cannot be made or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database cannot be opened.
    #[error(transparent)]
    Db(#[from] DbError),
    /// What is to be put right cannot be protected meanwhile.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database is gone and cannot be made again.
    #[error("the database is gone, and cannot be made again from the records")]
    Rebuild(#[from] Box<RebuildError>),
    /// The roots cannot be put right.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The store is on a file system of another kind than objects need.
    #[error("`{}` and `{}` must lie on one file system", store.display(), staging.display())]
    TwoFileSystems {
        /// Where objects lie.
        store: PathBuf,
        /// Where they are written.
        staging: PathBuf,
    },
}

/// Why a root cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Its record cannot be written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database did not accept it.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why a lease cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The lease's file cannot be made or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database does not tell what is valid.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why nothing of a batch was added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database did not accept the batch.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The transaction of this and other batches failed.
    #[error("cannot register a group of objects")]
    Group {
        /// What failed, for all of them.
        #[source]
        source: Arc<DbError>,
    },
    /// The lease that guards the batch cannot be taken.
    #[error("cannot protect the new objects from garbage collection")]
    Lease(#[from] LeaseError),
    /// The disk has no room.
    #[error(
        "`{name}` needs {needed} bytes, but the store's file system has {available} left for it"
    )]
    NoSpace {
        /// The first object of the batch.
        name: StoreName,
        /// How many bytes the batch takes on disk, as far as is known.
        needed: u64,
        /// How many the file system has for this user, without those that other processes are about to write and those that stay free for deleting.
        available: u64,
    },
    /// The disk has room for bytes, but not for names.
    #[error("`{name}` needs {needed} files, but the store's file system has {available} left")]
    NoFiles {
        /// The first object of the batch.
        name: StoreName,
        /// How many files, symlinks and directories the batch has, as far as is known.
        needed: u64,
        /// How many can be made.
        available: u64,
    },
    /// The user may not take more of the disk.
    #[error("`{name}` needs {needed} bytes, but the quota of the store's file system is used up")]
    Quota {
        /// The first object of the batch.
        name: StoreName,
        /// How many bytes the batch takes on disk, as far as is known.
        needed: u64,
    },
    /// Something lies in an object that is neither file, symlink nor directory.
    #[error(
        "`{name}` cannot hold the {kind} `{file}`; only files, symlinks and directories can be stored"
    )]
    Kind {
        /// The object.
        name: StoreName,
        /// The entry, relative to the object; `.` for the object itself.
        file: String,
        /// What it is.
        kind: &'static str,
    },
    /// A file has the set-user-id or set-group-id bit.
    #[error("`{name}` cannot hold `{file}`: its mode {mode:04o} gives its users another identity")]
    SetId {
        /// The object.
        name: StoreName,
        /// The file.
        file: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A file is a hard link to a file of someone else that lies elsewhere.
    #[error(
        "`{name}` cannot hold `{file}`: it is a hard link to a file of user {owner} outside the object"
    )]
    ForeignLink {
        /// The object.
        name: StoreName,
        /// The file.
        file: String,
        /// Who owns it.
        owner: u32,
    },
    /// An object exceeds the limit on its size.
    #[error("`{name}` has more than the allowed {limit} bytes")]
    TooLarge {
        /// The object.
        name: StoreName,
        /// The limit.
        limit: u64,
    },
    /// An object exceeds the limit on its number of nodes.
    #[error("`{name}` has more than the allowed {limit} files")]
    TooManyNodes {
        /// The object.
        name: StoreName,
        /// The limit.
        limit: u64,
    },
    /// An object cannot be said in the tree format.
    #[error("`{name}` cannot be stored")]
    Tree {
        /// The object.
        name: StoreName,
        /// Which rule it breaks.
        #[source]
        source: TreeError,
    },
    /// A part of a scratch path is left that cannot be replaced by the final path.
    #[error("`{file}` of `{name}` has {} the temporary path of `{scratch}` at offset {offset}, which cannot be replaced by the final one", residue(*form))]
    Residue {
        /// The object.
        name: StoreName,
        /// The file.
        file: String,
        /// Where; in a compressed file, the offset in the uncompressed bytes.
        offset: u64,
        /// The scratch path of this object, or of another of the batch.
        scratch: StorePath,
        /// In which form.
        form: ResidueForm,
    },
    /// The name of a file has a part of a scratch path.
    #[error(
        "the name of `{file}` of `{name}` has a part of the temporary path of `{scratch}`, which cannot be replaced by the final one"
    )]
    ResidueInName {
        /// The object.
        name: StoreName,
        /// The file.
        file: String,
        /// The scratch path of this object, or of another of the batch.
        scratch: StorePath,
    },
    /// Objects of a batch refer to one another in a circle.
    #[error("objects of one build refer to each other in a circle{}", chain(names))]
    Cycle {
        /// The circle, beginning and ending with the same object.
        names: Vec<StoreName>,
    },
    /// A reference occurs that the object must not have.
    #[error("`{name}` must not refer to `{reference}`, but `{file}` does at offset {offset}")]
    Forbidden {
        /// The object.
        name: StoreName,
        /// What it refers to.
        reference: StorePath,
        /// Where.
        file: String,
        /// At which offset.
        offset: u64,
    },
    /// A reference is to be added to something that is neither known nor part of the batch.
    #[error("`{name}` cannot refer to `{reference}`, which is not valid in this store")]
    UnknownReference {
        /// The object.
        name: StoreName,
        /// What it should refer to.
        reference: StorePath,
    },
    /// The caller's stream failed.
    #[error("cannot read the bytes of `{name}`")]
    Read {
        /// The object.
        name: StoreName,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn residue(form: ResidueForm) -> &'static str {
    match form {
        ResidueForm::Partial => "a part of",
        ResidueForm::Utf16 => "in UTF-16",
        ResidueForm::Compressed => "in compressed form",
    }
}

fn chain(names: &[StoreName]) -> String {
    names.iter().map(|name| format!("\n  {name}")).collect()
}
