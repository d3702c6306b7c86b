//! Which store paths go into which layer.
//!
//! A pure function of the set of paths, their sizes and references, and the number of layers. What it aims at:
//!
//! * few layers, because every client spends 70 to 110 ms on each;
//! * large paths alone, so that an image that shares one does not carry another with it;
//! * the requested packages in layers of their own, because they change most often;
//! * what others depend on first. The order of two paths depends on the paths alone, never on the image, so that two images with the same
//!   dependencies have the same lowest layers.
//!
//! The layers do not overlap, so their order is never a matter of correctness.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use store::StorePath;

use super::LayerError;

/// Clients stop at 125 (docker) and 128 (podman) layers, and bases of later images count too.
pub(super) const MAX_LAYERS: usize = 100;
/// From this size on, a path deserves a layer of its own: less costs more in requests and mounts than it saves.
const LARGE_BYTES: u64 = 1 << 20;

/// What the planner needs to know of a store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPath {
    /// The store path.
    pub path: StorePath,
    /// The sum of the sizes of its files.
    pub size_bytes: u64,
    /// What it refers to. Paths that are not planned are ignored.
    pub references: Vec<StorePath>,
    /// Whether it was asked for by name.
    pub requested: bool,
}

/// A partition of store paths into layers, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerPlan {
    layers: Vec<Vec<StorePath>>,
}

impl LayerPlan {
    /// Plans at most `max_layers` layers. The last one is for the generated files of the root; it is not part of the plan unless there is no other.
    pub fn new(paths: &[PlanPath], max_layers: usize) -> Result<Self, LayerError> {
        if !(1..=MAX_LAYERS).contains(&max_layers) {
            return Err(LayerError::LayerCount { asked: max_layers });
        }
        let heights = heights(paths);
        let rank = |path: &'_ PlanPath| {
            let height = heights.get(&path.path).copied().unwrap_or_default();
            (height, path.path.name().to_string(), path.path.clone())
        };
        let mut ranked: Vec<_> = paths.iter().map(|path| (rank(path), path)).collect();
        ranked.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        ranked.dedup_by(|a, b| a.0 == b.0);
        let sorted: Vec<&PlanPath> = ranked.into_iter().map(|(_, path)| path).collect();

        // The generated files take one layer; with room for one only, everything is in it.
        let budget = (max_layers - 1).max(1);
        let (top, rest): (Vec<&PlanPath>, Vec<&PlanPath>) =
            if budget >= 2 && sorted.iter().any(|path| !path.requested) {
                sorted.iter().partition(|path| path.requested)
            } else {
                (Vec::new(), sorted)
            };
        // At least one layer remains for the dependencies, and most of them.
        let top = group(&top, (budget - 1).clamp(1, 1 + budget / 4));
        let mut layers = group(&rest, budget - top.len());
        layers.extend(top);
        Ok(Self { layers })
    }

    /// Returns the layers, the lowest first; in each, what others depend on first. None is empty.
    pub fn layers(&self) -> &[Vec<StorePath>] {
        &self.layers
    }
}

/// Returns the length of the longest chain of references below each path. References to itself and to paths outside `paths` count for nothing.
fn heights(paths: &[PlanPath]) -> BTreeMap<&StorePath, usize> {
    let by_path: BTreeMap<&StorePath, &PlanPath> =
        paths.iter().map(|path| (&path.path, path)).collect();
    let mut heights: BTreeMap<&StorePath, usize> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for start in by_path.keys().copied() {
        let mut stack = vec![start];
        while let Some(&path) = stack.last() {
            open.insert(path);
            let references = by_path.get(path).into_iter().flat_map(|p| &p.references);
            let known: Vec<&StorePath> = references
                .filter(|reference| *reference != path && by_path.contains_key(reference))
                .collect();
            // A cycle cannot be in a store; if one is given all the same, its edge back counts for nothing.
            let missing = known
                .iter()
                .find(|reference| !heights.contains_key(*reference) && !open.contains(*reference));
            if let Some(missing) = missing {
                stack.push(missing);
                continue;
            }
            let below = known.iter().filter_map(|reference| heights.get(*reference));
            let height = below.max().map_or(0, |height| height + 1);
            heights.insert(path, height);
            open.remove(path);
            stack.pop();
        }
    }
    heights
}

/// Groups paths that are in order into at most `budget` layers: large ones alone, the largest first where there are too many, and the small ones
/// together, a new layer whenever a megabyte is full.
fn group(sorted: &[&PlanPath], budget: usize) -> Vec<Vec<StorePath>> {
    let mut large: Vec<usize> = (0..sorted.len())
        .filter(|&index| sorted[index].size_bytes >= LARGE_BYTES)
        .collect();
    large.sort_by_key(|&index| (Reverse(sorted[index].size_bytes), index));
    let small_ones = large.len() < sorted.len();
    large.truncate(if small_ones || large.len() > budget {
        budget.saturating_sub(1)
    } else {
        budget
    });
    let alone: BTreeSet<usize> = large.into_iter().collect();

    let mut room = budget - alone.len();
    // Each layer with the index of its first path, by which the layers are ordered.
    let mut layers: Vec<(usize, Vec<StorePath>)> = alone
        .iter()
        .map(|&index| (index, vec![sorted[index].path.clone()]))
        .collect();
    let mut current: Vec<StorePath> = Vec::new();
    let (mut first, mut bytes) = (0, 0_u64);
    for (index, path) in sorted.iter().enumerate() {
        if alone.contains(&index) {
            continue;
        }
        if current.is_empty() {
            first = index;
        }
        current.push(path.path.clone());
        bytes = bytes.saturating_add(path.size_bytes);
        if bytes >= LARGE_BYTES && room > 1 {
            layers.push((first, std::mem::take(&mut current)));
            bytes = 0;
            room -= 1;
        }
    }
    if !current.is_empty() {
        layers.push((first, current));
    }
    layers.sort_unstable_by_key(|(first, _)| *first);
    layers.into_iter().map(|(_, paths)| paths).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::{PathDigest, StoreName};

    use super::*;

    fn path(seed: u8, name: &str) -> StorePath {
        let name: StoreName = name.parse().unwrap();
        StorePath::new(PathDigest::from_bytes([seed; 25]), name)
    }

    /// A graph of at most 30 paths, each referring only to earlier ones.
    fn graph() -> impl Strategy<Value = Vec<PlanPath>> {
        let node = (
            prop_oneof![0_u64..LARGE_BYTES, LARGE_BYTES..100 * LARGE_BYTES],
            proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
            prop::bool::weighted(0.1),
        );
        proptest::collection::vec(node, 1..30).prop_map(|nodes| {
            let names: Vec<_> = (0..nodes.len())
                .map(|i| path(u8::try_from(i).unwrap(), &format!("n{}", i % 7)))
                .collect();
            let paths =
                nodes
                    .into_iter()
                    .enumerate()
                    .map(|(i, (size_bytes, references, requested))| PlanPath {
                        path: names[i].clone(),
                        size_bytes,
                        references: references
                            .iter()
                            .filter(|_| i > 0)
                            .map(|index| names[index.index(i)].clone())
                            .collect(),
                        requested,
                    });
            paths.collect()
        })
    }

    proptest! {
        #[test]
        fn every_path_is_in_exactly_one_layer_and_the_budget_is_kept(paths in graph(), max in 1_usize..20) {
            let plan = LayerPlan::new(&paths, max).unwrap();
            let mut planned: Vec<_> = plan.layers().iter().flatten().cloned().collect();
            planned.sort();
            let mut given: Vec<_> = paths.iter().map(|p| p.path.clone()).collect();
            given.sort();
            prop_assert_eq!(planned, given);
            prop_assert!(plan.layers().len() <= (max - 1).max(1));
            prop_assert!(plan.layers().iter().all(|layer| !layer.is_empty()));
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(paths in graph().prop_flat_map(|paths| (Just(paths.clone()), Just(paths).prop_shuffle())), max in 1_usize..20) {
            let (paths, shuffled) = paths;
            prop_assert_eq!(LayerPlan::new(&paths, max).unwrap(), LayerPlan::new(&shuffled, max).unwrap());
        }

        #[test]
        fn within_a_layer_what_others_refer_to_comes_first(paths in graph(), max in 1_usize..20) {
            let plan = LayerPlan::new(&paths, max).unwrap();
            for layer in plan.layers() {
                for (index, path) in layer.iter().enumerate() {
                    let references = &paths.iter().find(|p| p.path == *path).unwrap().references;
                    prop_assert!(layer[index + 1..].iter().all(|later| !references.contains(later)));
                }
            }
        }
    }

    fn sized(seed: u8, name: &str, size_bytes: u64, references: &[&StorePath]) -> PlanPath {
        PlanPath {
            path: path(seed, name),
            size_bytes,
            references: references.iter().copied().cloned().collect(),
            requested: false,
        }
    }

    #[test]
    fn large_paths_are_alone_small_ones_together_and_the_app_is_last() {
        let libc = sized(9, "glibc", 10 << 20, &[]);
        let zlib = sized(1, "zlib", 100, &[&libc.path]);
        let data = sized(2, "data", 5, &[]);
        let mut app = sized(0, "app", 50, &[&zlib.path, &data.path]);
        app.requested = true;
        let expected = [
            vec![data.path.clone(), zlib.path.clone()],
            vec![libc.path.clone()],
            vec![app.path.clone()],
        ];
        let plan = LayerPlan::new(&[app, zlib, libc, data], 16).unwrap();
        assert_eq!(plan.layers(), expected);
    }

    #[test]
    fn a_cycle_and_a_reference_to_itself_do_not_hang() {
        let (a, b) = (path(1, "a"), path(2, "b"));
        let paths = [sized(1, "a", 1, &[&a, &b]), sized(2, "b", 1, &[&a])];
        assert_eq!(LayerPlan::new(&paths, 2).unwrap().layers().len(), 1);
    }

    #[test]
    fn a_number_of_layers_out_of_range_is_refused() {
        for asked in [0, 101] {
            assert!(matches!(
                LayerPlan::new(&[], asked),
                Err(LayerError::LayerCount { asked: found }) if found == asked
            ));
        }
        assert!(LayerPlan::new(&[], 1).unwrap().layers().is_empty());
    }
}
