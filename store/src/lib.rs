//! Content-addressed store objects: their names, their bytes on disk, their database and their closures.
//!
//! The folders, each using only those before it:
//!
//! * `sys`: files below directory descriptors, locks, fault points
//! * `space`: room on disk
//! * [`id`]: digests and store paths
//! * [`tree`]: files, symlinks and directories by content
//! * [`object`]: the identity of a store object
//! * [`scan`]: references in bytes
//! * [`elf`]: what programs ask of their surroundings
//! * `deb_version`: the order of Debian's versions
//! * [`facts`]: what was observed of an output
//! * [`info`]: what is recorded of store paths
//! * [`trust`]: keys, signatures, and what is believed because of them
//! * [`db`]: which objects are valid
//! * [`closure`]: sets of store paths that are complete under references
//! * [`pool`]: one inode for each file content
//! * [`local`]: the store on this disk
//! * [`gc`]: which objects nothing keeps, and how they go
//! * [`profile`]: sets of installed packages, with generations
//! * [`net`]: clients for HTTP
//! * [`registry`]: OCI registries
//! * [`serve`]: what servers have in common
//! * [`cache`]: objects shared between machines
//! * [`export`]: a closure as one stream

pub mod cache;
pub mod closure;
pub mod db;
mod deb_version;
pub mod elf;
pub mod export;
pub mod facts;
#[cfg(feature = "faults")]
pub mod faults;
pub mod gc;
pub mod id;
pub mod info;
pub mod local;
pub mod net;
pub mod object;
pub mod pool;
pub mod profile;
pub mod registry;
pub mod scan;
pub mod serve;
mod space;
mod sys;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tree;
pub mod trust;

pub use self::{
    closure::{Closure, ClosureError},
    db::{DbError, ObjectState, ReadOnlyReason, Root, RootKind},
    deb_version::{DebVersion, VersionError},
    gc::{
        CollectedObject, GcError, GcEvent, GcMode, GcOptions, GcReport, Keeper, KeeperSize,
        KeeperUsage, RootReport, RootState, TargetUsage, Usage, Why,
    },
    id::{
        BlobId, IdError, ObjectId, PackDigest, PathDigest, PlanDigest, ResolvedDigest, STORE_DIR,
        StoreName, StorePath, TreeId, scratch_path,
    },
    info::{
        Component, ComponentSource, ContainedComponent, LinkedComponent, PathInfo, Realisation,
        RecordedOutput, Reference, UseKind, UsedObject,
    },
    local::{
        AddBatch, AddError, AddObject, AddSource, FileError, Finding, KnownComponents, Lease,
        LeaseError, Limits, LocalStore, Mended, NewRealisation, NoRestorer, OpenError, Problem,
        Progress, RebuildError, RebuildReport, RepairError, RepairReport, Restorer, RootError,
        StoreEvent, StoreOptions, Unrepaired, VerifyDepth, VerifyError, VerifyOptions,
        VerifyReport, Watch,
    },
    pool::{Collected, Pool, PoolEntry, PoolKey},
    tree::{EntryName, MemoryNode, Node, SymlinkTarget, Totals, Tree, TreeEntry, TreeError},
};
