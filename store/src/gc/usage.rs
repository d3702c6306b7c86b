//! What uses the disk: sizes by the database's graph, blocks by a look at the files.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use super::{
    GcError, Keeper,
    disk::{Blocks, ObjectBlocks, SharedFile},
    graph::{Kept, number},
    keepers::Snapshot,
};
use crate::{id::StorePath, local::LocalStore};

/// What uses the disk of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many objects there are.
    pub objects: u64,
    /// The sum of the sizes of their files, each counted wherever it is.
    pub size_bytes: u64,
    /// What they take on disk.
    pub disk_bytes: u64,
    /// What more they would take if no file were shared.
    pub saved_bytes: u64,
    /// What nothing keeps: the sum of the sizes.
    pub unkept_bytes: u64,
    /// What a collection would free on disk.
    pub unkept_disk_bytes: u64,
    /// What keeps objects, by what would be free without it, most first, then in the order of roots, leases and processes.
    pub keepers: Vec<KeeperUsage>,
}

/// What one keeper keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperUsage {
    /// The keeper.
    pub keeper: Keeper,
    /// The sum of the sizes of all that it keeps.
    pub size_bytes: u64,
    /// The sum of the sizes of the objects that nothing else keeps.
    pub unique_bytes: u64,
    /// What would be free on disk without it, after a collection.
    pub freed_bytes: u64,
}

/// What an object and all that it needs use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUsage {
    /// The object.
    pub path: StorePath,
    /// How many objects it needs, itself included.
    pub objects: usize,
    /// The sum of their sizes.
    pub size_bytes: u64,
    /// The sum of the sizes of the objects that nothing needs or keeps but through this one.
    pub unique_bytes: u64,
    /// The sum of the sizes of the others.
    pub shared_bytes: u64,
    /// What all of them take on disk.
    pub disk_bytes: u64,
    /// What more they would take if they shared no file with each other.
    pub saved_bytes: u64,
    /// What would be free on disk if nothing needed or kept this object, after a collection.
    pub freed_bytes: u64,
}

impl LocalStore {
    /// Returns what uses the disk. Looks at every file of the store, on all cores.
    pub fn usage(&self) -> Result<Usage, GcError> {
        let snapshot = self.read(|database| self.take_snapshot(database))?;
        let paths: Vec<&StorePath> = snapshot.objects.iter().map(|object| &object.path).collect();
        let blocks = self.measure_objects(&paths)?;
        let starts: Vec<&[u32]> = snapshot
            .keepers
            .iter()
            .map(|(_, starts)| starts.as_slice())
            .collect();
        let kept = snapshot.graph.sole_keepers(starts.iter().copied());
        let freed = Freed::of(&blocks, &kept);
        let sizes: Vec<u64> = snapshot
            .objects
            .iter()
            .map(|object| object.size_bytes)
            .collect();
        let sums = snapshot.graph.sums(&starts, &sizes);
        let numbers = snapshot.sole_bytes().into_iter().zip(sums);
        let mut keepers: Vec<KeeperUsage> = snapshot
            .keepers
            .iter()
            .zip(numbers)
            .enumerate()
            .map(
                |(place, ((keeper, _), (unique_bytes, size_bytes)))| KeeperUsage {
                    keeper: keeper.clone(),
                    size_bytes,
                    unique_bytes,
                    freed_bytes: freed.without(Kept::By(number(place))),
                },
            )
            .collect();
        keepers.sort_by_key(|keeper| Reverse(keeper.freed_bytes));
        let all = Blocks::of(blocks.iter());
        let unkept: Vec<bool> = kept.iter().map(|kept| *kept == Kept::ByNone).collect();
        Ok(Usage {
            objects: snapshot.objects.len() as u64,
            size_bytes: snapshot.sum(&vec![true; snapshot.objects.len()]),
            disk_bytes: all.disk_bytes,
            saved_bytes: all.saved_bytes,
            unkept_bytes: snapshot.sum(&unkept),
            unkept_disk_bytes: freed.without(Kept::ByNone),
            keepers,
        })
    }

    /// Returns what each of these valid objects uses, in their order, each as if the others were not asked about.
    pub fn usage_of(&self, targets: &[StorePath]) -> Result<Vec<TargetUsage>, GcError> {
        let snapshot = self.read(|database| self.take_snapshot(database))?;
        let usage = |path: &StorePath| {
            let target = snapshot
                .find(path)
                .ok_or_else(|| GcError::NotValid { path: path.clone() })?;
            let closure = snapshot.graph.mark([target]);
            // What this process holds to ask about it is no reason for it to stay.
            let own = Keeper::Lease {
                process: std::process::id(),
            };
            let keepers = snapshot.keepers.iter().filter(|(keeper, _)| *keeper != own);
            let starts = keepers.flat_map(|(_, starts)| starts);
            let others = snapshot.graph.mark_around(starts.copied(), target);
            let unique: Vec<bool> = closure
                .iter()
                .zip(&others)
                .map(|(needed, kept)| *needed && !kept)
                .collect();
            let blocks = self.measure_objects(&snapshot.paths(&closure))?;
            let is_unique = unique.iter().zip(&closure).filter(|(_, needed)| **needed);
            let unique_blocks = blocks
                .iter()
                .zip(is_unique)
                .filter_map(|(blocks, (unique, _))| unique.then_some(blocks));
            let (all, alone) = (Blocks::of(blocks.iter()), Blocks::of(unique_blocks));
            let (size_bytes, unique_bytes) = (snapshot.sum(&closure), snapshot.sum(&unique));
            Ok(TargetUsage {
                path: path.clone(),
                objects: closure.iter().filter(|needed| **needed).count(),
                size_bytes,
                unique_bytes,
                shared_bytes: size_bytes.saturating_sub(unique_bytes),
                disk_bytes: all.disk_bytes,
                saved_bytes: all.saved_bytes,
                freed_bytes: alone.freed_bytes,
            })
        };
        targets.iter().map(usage).collect()
    }
}

impl Snapshot {
    /// Returns the sum of the sizes of the chosen objects.
    fn sum(&self, chosen: &[bool]) -> u64 {
        let objects = self.objects.iter().zip(chosen);
        objects
            .filter(|(_, chosen)| **chosen)
            .fold(0, |sum, (object, _)| sum.saturating_add(object.size_bytes))
    }

    fn paths(&self, chosen: &[bool]) -> Vec<&StorePath> {
        let objects = self.objects.iter().zip(chosen);
        objects
            .filter_map(|(object, chosen)| chosen.then_some(&object.path))
            .collect()
    }
}

/// What would be free without each of the keepers.
struct Freed(BTreeMap<Option<u32>, u64>);

impl Freed {
    /// Gives each inode to the one keeper of all objects that it has a name in, if there is one.
    fn of(blocks: &[ObjectBlocks], kept: &[Kept]) -> Self {
        let mut freed = Self(BTreeMap::new());
        let mut inodes: HashMap<u64, (SharedFile, u64, Kept)> = HashMap::new();
        for (object, kept) in blocks.iter().zip(kept) {
            freed.add(*kept, object.own_bytes);
            for file in &object.shared {
                let (_, seen, by) = inodes.entry(file.inode).or_insert((*file, 0, *kept));
                *seen += 1;
                if by != kept {
                    *by = Kept::BySeveral;
                }
            }
        }
        for (file, seen, by) in inodes.into_values() {
            if seen >= file.names {
                freed.add(by, file.bytes);
            }
        }
        freed
    }

    fn add(&mut self, kept: Kept, bytes: u64) {
        let sum = match kept {
            Kept::ByNone => self.0.entry(None).or_default(),
            Kept::By(keeper) => self.0.entry(Some(keeper)).or_default(),
            Kept::BySeveral => return,
        };
        *sum = sum.saturating_add(bytes);
    }

    fn without(&self, kept: Kept) -> u64 {
        let keeper = match kept {
            Kept::ByNone => None,
            Kept::By(keeper) => Some(keeper),
            Kept::BySeveral => return 0,
        };
        self.0.get(&keeper).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_two_keepers_is_freed_by_neither() {
        let file = |inode, names| SharedFile {
            inode,
            bytes: 1000,
            names,
        };
        let object = |own_bytes, shared: &[SharedFile]| ObjectBlocks {
            own_bytes,
            shared: shared.to_vec(),
        };
        // 1: of keepers 0 and 1; 2: twice of keeper 0; 3: of keeper 1 and of nothing; 4: of keeper 1, and elsewhere.
        let blocks = [
            object(1, &[file(1, 2), file(2, 2)]),
            object(10, &[file(2, 2)]),
            object(100, &[file(1, 2), file(3, 2), file(4, 2)]),
            object(5, &[file(3, 2)]),
            object(7, &[]),
        ];
        let kept = [
            Kept::By(0),
            Kept::By(0),
            Kept::By(1),
            Kept::ByNone,
            Kept::BySeveral,
        ];
        let freed = Freed::of(&blocks, &kept);
        assert_eq!(freed.without(Kept::By(0)), 1011);
        assert_eq!(freed.without(Kept::By(1)), 100);
        assert_eq!(freed.without(Kept::ByNone), 5);
    }
}
