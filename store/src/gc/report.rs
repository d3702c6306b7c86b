//! What a collection says of itself, and what is known about roots.

use super::{GcError, Keeper, RootState, Why};
use crate::{db::Root, id::StorePath, local::LocalStore};

/// An object that went, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedObject {
    /// Its path.
    pub path: StorePath,
    /// The sum of the sizes of its files.
    pub size_bytes: u64,
}

/// What a collection did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// How many objects something keeps.
    pub alive: u64,
    /// The sum of their sizes.
    pub alive_bytes: u64,
    /// How many objects nothing keeps, before anything was deleted.
    pub dead: u64,
    /// The sum of their sizes.
    pub dead_bytes: u64,
    /// What went, in the order in which it did.
    pub collected: Vec<CollectedObject>,
    /// The sum of the sizes of what went.
    pub freed_bytes: u64,
    /// Where less was freed than wanted: what keeps most of the rest, by how much nothing else keeps, most first.
    pub keepers: Vec<KeeperSize>,
}

/// What somebody keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperSize {
    /// Who.
    pub keeper: Keeper,
    /// The sum of the sizes of the objects that nothing else keeps.
    pub alone_bytes: u64,
}

/// What is known about a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootReport {
    /// The root.
    pub root: Root,
    /// Whether it keeps anything.
    pub state: RootState,
    /// The sum of the sizes of the objects that nothing else keeps; 0 for a stale root.
    pub alone_bytes: u64,
}

impl LocalStore {
    /// Returns what is known about all roots, by name.
    pub fn report_roots(&self) -> Result<Vec<RootReport>, GcError> {
        let snapshot = self.read(|database| self.take_snapshot(database))?;
        let bytes = snapshot.sole_bytes();
        let mut reports = Vec::new();
        for root in self.list_roots()? {
            let keeper = Keeper::Root {
                name: root.name.clone(),
                kind: root.kind,
            };
            let place = snapshot.keepers.iter().position(|(one, _)| *one == keeper);
            reports.push(RootReport {
                state: self.root_state(&root)?,
                alone_bytes: place
                    .and_then(|place| bytes.get(place).copied())
                    .unwrap_or(0),
                root,
            });
        }
        Ok(reports)
    }

    /// Returns why a valid path would survive a collection now; `None` if it would not.
    pub fn why_alive(&self, path: &StorePath) -> Result<Option<Why>, GcError> {
        self.read(|database| self.take_snapshot(database))?
            .why(path)
    }
}
