//! Sets of store paths that are complete under references.
//!
//! Invariant: whatever a path of a [`Closure`] refers to is in it, and stands before it. The graph is read once; everything here
//! is then pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use crate::{
    db::DbError,
    id::StorePath,
    info::{PathInfo, Reference},
};

/// Why there is no closure.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// A root is not in the store.
    #[error("`{path}` is not valid in this store")]
    NotValid {
        /// The root.
        path: StorePath,
    },
    /// An object of the closure is damaged or being deleted.
    #[error("`{reference}`, which `{path}` refers to, is not valid")]
    Dangling {
        /// Who refers.
        path: StorePath,
        /// To what.
        reference: StorePath,
    },
    /// References form a circle, which the store never writes.
    #[error("the database is damaged: `{path}` refers to itself through others")]
    Cycle {
        /// A path on the circle.
        path: StorePath,
    },
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A set of valid paths that is complete under references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    infos: Vec<PathInfo>,
    places: BTreeMap<StorePath, usize>,
}

impl Closure {
    /// Collects the closure of `roots`, asking `find` once for each path.
    ///
    /// The order depends on the roots as a set and on nothing else.
    pub fn collect(
        roots: &[StorePath],
        mut find: impl FnMut(&StorePath) -> Result<Option<PathInfo>, DbError>,
    ) -> Result<Self, ClosureError> {
        let mut closure = Self {
            infos: Vec::new(),
            places: BTreeMap::new(),
        };
        let mut roots = roots.to_vec();
        roots.sort();
        // Depth first, by an explicit stack of objects and how many of their references are done.
        let mut stack: Vec<(PathInfo, usize)> = Vec::new();
        let mut open = BTreeSet::new();
        for root in &roots {
            if closure.places.contains_key(root) {
                continue;
            }
            let info = find(root)?.ok_or_else(|| ClosureError::NotValid { path: root.clone() })?;
            open.insert(root.clone());
            stack.push((info, 0));
            while let Some((info, done)) = stack.last_mut() {
                let Some(reference) = info.references.get(*done) else {
                    closure.push_last(&mut stack, &mut open);
                    continue;
                };
                *done += 1;
                let path = reference.path.clone();
                if closure.places.contains_key(&path) {
                    continue;
                }
                if !open.insert(path.clone()) {
                    return Err(ClosureError::Cycle { path });
                }
                let from = info.path.clone();
                let next = find(&path)?.ok_or(ClosureError::Dangling {
                    path: from,
                    reference: path,
                })?;
                stack.push((next, 0));
            }
        }
        Ok(closure)
    }

    fn push_last(&mut self, stack: &mut Vec<(PathInfo, usize)>, open: &mut BTreeSet<StorePath>) {
        if let Some((info, _)) = stack.pop() {
            open.remove(&info.path);
            self.places.insert(info.path.clone(), self.infos.len());
            self.infos.push(info);
        }
    }

    /// Returns the objects, what is referred to before what refers.
    #[must_use]
    pub fn infos(&self) -> &[PathInfo] {
        &self.infos
    }

    /// Returns the paths, what is referred to before what refers.
    pub fn paths(&self) -> impl Iterator<Item = &StorePath> {
        self.infos.iter().map(|info| &info.path)
    }

    /// Returns the object at a path.
    #[must_use]
    pub fn find(&self, path: &StorePath) -> Option<&PathInfo> {
        self.places
            .get(path)
            .and_then(|place| self.infos.get(*place))
    }

    /// Returns the sum of the sizes of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.infos
            .iter()
            .fold(0, |sum, info| sum.saturating_add(info.size_bytes))
    }

    /// Returns the sum of the sizes of all files of the closure of one of its paths; 0 for other paths. Linear in the closure.
    #[must_use]
    pub fn closure_size_bytes(&self, path: &StorePath) -> u64 {
        let mut seen = vec![false; self.infos.len()];
        let mut stack: Vec<usize> = self.places.get(path).copied().into_iter().collect();
        let mut sum = 0u64;
        while let Some(place) = stack.pop() {
            let Some(info) = self.infos.get(place) else {
                continue;
            };
            if std::mem::replace(&mut seen[place], true) {
                continue;
            }
            sum = sum.saturating_add(info.size_bytes);
            stack.extend(
                info.references
                    .iter()
                    .filter_map(|reference| self.places.get(&reference.path)),
            );
        }
        sum
    }

    /// Returns the paths of the closure that refer to a path, in the order of the closure.
    pub fn referrers<'a>(&'a self, path: &'a StorePath) -> impl Iterator<Item = &'a PathInfo> {
        self.infos.iter().filter(move |info| {
            info.references
                .iter()
                .any(|reference| reference.path == *path)
        })
    }

    /// Returns a shortest chain of references from one path to another: each step's evidence, the last one being `to`.
    ///
    /// Of several the first by the order of paths. Empty if the two are the same; `None` if there is no chain.
    #[must_use]
    pub fn why(&self, from: &StorePath, to: &StorePath) -> Option<Vec<&Reference>> {
        let start = *self.places.get(from)?;
        let goal = *self.places.get(to)?;
        let mut reached: BTreeMap<usize, Option<(usize, &Reference)>> =
            BTreeMap::from([(start, None)]);
        let mut queue = VecDeque::from([start]);
        while let Some(place) = queue.pop_front() {
            if place == goal {
                break;
            }
            for reference in &self.infos.get(place)?.references {
                let next = *self.places.get(&reference.path)?;
                if let Entry::Vacant(entry) = reached.entry(next) {
                    entry.insert(Some((place, reference)));
                    queue.push_back(next);
                }
            }
        }
        let mut chain = Vec::new();
        let mut step = reached.get(&goal)?;
        while let Some((place, reference)) = step {
            chain.push(*reference);
            step = reached.get(place)?;
        }
        chain.reverse();
        Some(chain)
    }
}

#[cfg(test)]
#[path = "closure_tests.rs"]
mod tests;
