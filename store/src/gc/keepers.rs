//! What keeps objects, gathered and explained.

use std::collections::{BTreeSet, HashMap};

use super::{
    GcError, RootState,
    graph::{Graph, Kept, index, number},
    runtime::{PathFinder, find_processes},
};
use crate::{
    db::{Database, GraphObject, RootKind},
    id::{PathDigest, StorePath},
    local::LocalStore,
};

/// Where the kernel tells about processes.
const PROC: &str = "/proc";

/// A reason for objects to stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// A root.
    Root {
        /// Its name.
        name: String,
        /// Why it exists.
        kind: RootKind,
    },
    /// A process has said that it uses them.
    Lease {
        /// The process; 0 if that is not known.
        process: u32,
    },
    /// A process runs, maps, has open or names them.
    Process {
        /// The process.
        id: u32,
        /// The name of its program.
        name: String,
    },
}

/// Why an object stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What keeps it.
    pub keeper: Keeper,
    /// A shortest chain of references: what the keeper names first, the object last.
    pub chain: Vec<StorePath>,
}

/// All objects and their references as of one moment, and what keeps them.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) objects: Vec<GraphObject>,
    pub(super) graph: Graph,
    /// The keepers and the objects that they name, in the order roots, leases, processes; those that name none are left out.
    pub(super) keepers: Vec<(Keeper, Vec<u32>)>,
}

impl Snapshot {
    /// Tells of each object whether anything keeps it.
    pub(super) fn mark(&self) -> Vec<bool> {
        let starts = self.keepers.iter().flat_map(|(_, starts)| starts.iter());
        self.graph.mark(starts.copied())
    }

    /// Returns how many bytes each keeper alone keeps, in the order of the keepers.
    pub(super) fn sole_bytes(&self) -> Vec<u64> {
        let starts = self.keepers.iter().map(|(_, starts)| starts.as_slice());
        let mut bytes = vec![0u64; self.keepers.len()];
        for (object, kept) in self.objects.iter().zip(self.graph.sole_keepers(starts)) {
            if let Kept::By(keeper) = kept
                && let Some(bytes) = bytes.get_mut(index(keeper))
            {
                *bytes = bytes.saturating_add(object.size_bytes);
            }
        }
        bytes
    }

    /// Returns the number of an object.
    pub(super) fn find(&self, path: &StorePath) -> Option<u32> {
        let found = self.objects.iter().position(|object| object.path == *path);
        found.map(number)
    }

    /// Returns why an object stays; `None` if nothing keeps it. Of several reasons the first root, else the first lease, else the first process.
    pub(super) fn why(&self, path: &StorePath) -> Result<Option<Why>, GcError> {
        let goal = self
            .find(path)
            .ok_or_else(|| GcError::NotValid { path: path.clone() })?;
        let path_of = |number: u32| Some(self.objects.get(index(number))?.path.clone());
        Ok(self.keepers.iter().find_map(|(keeper, starts)| {
            let chain = self.graph.chain(starts, goal)?;
            Some(Why {
                keeper: keeper.clone(),
                chain: chain.into_iter().filter_map(path_of).collect(),
            })
        }))
    }
}

impl LocalStore {
    /// Reads the whole graph, and everything that keeps anything.
    pub(super) fn take_snapshot(&self, database: &Database) -> Result<Snapshot, GcError> {
        let (objects, references) = database.read_graph()?;
        let graph = Graph::new(objects.len(), &references);
        drop(references);
        let numbers: HashMap<PathDigest, u32> = objects
            .iter()
            .enumerate()
            .map(|(place, object)| (*object.path.digest(), number(place)))
            .collect();
        let keepers = self.find_keepers(database)?;
        let numbered = keepers.into_iter().map(|(keeper, digests)| {
            let starts: Vec<u32> = digests
                .iter()
                .filter_map(|digest| numbers.get(digest).copied())
                .collect();
            (keeper, starts)
        });
        Ok(Snapshot {
            keepers: numbered.filter(|(_, starts)| !starts.is_empty()).collect(),
            objects,
            graph,
        })
    }

    fn find_keepers(
        &self,
        database: &Database,
    ) -> Result<Vec<(Keeper, BTreeSet<PathDigest>)>, GcError> {
        let mut keepers = Vec::new();
        for root in database.list_roots()? {
            if self.root_state(&root)? == RootState::Live {
                let digests = BTreeSet::from([*root.path.digest()]);
                let (name, kind) = (root.name, root.kind);
                keepers.push((Keeper::Root { name, kind }, digests));
            }
        }
        for lease in self.read_leases()? {
            let process = lease.process;
            keepers.push((Keeper::Lease { process }, lease.digests));
        }
        let processes = find_processes(PROC.as_ref(), &self.path_finder())
            .map_err(|source| GcError::Processes { source })?;
        for process in processes {
            let (id, name) = (process.id, process.name);
            keepers.push((Keeper::Process { id, name }, process.digests));
        }
        Ok(keepers)
    }

    /// Finds this store's paths by every name that it is known by.
    fn path_finder(&self) -> PathFinder {
        let directory = self.store_directory();
        let canonical = directory.canonicalize().ok();
        PathFinder::new(&canonical.into_iter().chain([directory]).collect())
    }
}
