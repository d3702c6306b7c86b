//! Objects and references as numbers: what is reachable from where. Pure.
//!
//! Objects are numbered from 0; references are stored in one array, those of each object together (compressed sparse rows), 4 bytes each.

use std::collections::VecDeque;

use rayon::prelude::*;

/// Which object refers to which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    /// Where the references of each object begin; one more than there are objects.
    starts: Vec<u32>,
    /// The objects that are referred to.
    targets: Vec<u32>,
}

impl Graph {
    /// Makes the graph of `count` objects from pairs of who refers and what is referred to. Pairs with other numbers are left out.
    pub(crate) fn new(count: usize, references: &[(u32, u32)]) -> Self {
        let inside = |&&(from, to): &&(u32, u32)| index(from) < count && index(to) < count;
        let mut starts = vec![0u32; count + 1];
        for (from, _) in references.iter().filter(inside) {
            starts[index(*from) + 1] += 1;
        }
        for object in 0..count {
            starts[object + 1] += starts[object];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; starts.last().copied().map_or(0, index)];
        for (from, to) in references.iter().filter(inside) {
            let place = &mut next[index(*from)];
            targets[index(*place)] = *to;
            *place += 1;
        }
        Self { starts, targets }
    }

    /// Returns the number of objects.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Returns what an object refers to.
    pub(crate) fn references(&self, object: u32) -> &[u32] {
        let bounds = (
            self.starts.get(index(object)),
            self.starts.get(index(object) + 1),
        );
        match bounds {
            (Some(start), Some(end)) => &self.targets[index(*start)..index(*end)],
            _ => &[],
        }
    }

    /// Tells of each object whether it is one of `starts` or one of them leads to it.
    pub(crate) fn mark(&self, starts: impl IntoIterator<Item = u32>) -> Vec<bool> {
        let mut marked = vec![false; self.len()];
        let mut pending: Vec<u32> = Vec::new();
        for start in starts {
            if let Some(mark) = marked.get_mut(index(start))
                && !std::mem::replace(mark, true)
            {
                pending.push(start);
            }
        }
        while let Some(object) = pending.pop() {
            for &next in self.references(object) {
                if !std::mem::replace(&mut marked[index(next)], true) {
                    pending.push(next);
                }
            }
        }
        marked
    }

    /// As [`Self::mark`], in a store that does not have the object `around`.
    pub(crate) fn mark_around(
        &self,
        starts: impl IntoIterator<Item = u32>,
        around: u32,
    ) -> Vec<bool> {
        let mut marked = vec![false; self.len()];
        let mut pending: Vec<u32> = starts.into_iter().collect();
        while let Some(object) = pending.pop() {
            if object != around
                && let Some(mark) = marked.get_mut(index(object))
                && !std::mem::replace(mark, true)
            {
                pending.extend_from_slice(self.references(object));
            }
        }
        marked
    }

    /// Returns the chosen objects, what refers before what is referred to. Objects on a circle are left out, with all that they lead to.
    pub(crate) fn referrers_first(&self, chosen: &[bool]) -> Vec<u32> {
        let mut referrers = self.count_referrers(chosen);
        let mut order: Vec<u32> = (0..self.len())
            .filter(|object| chosen[*object] && referrers[*object] == 0)
            .map(number)
            .collect();
        let mut done = 0;
        while let Some(&object) = order.get(done) {
            done += 1;
            for &next in self.references(object) {
                let left = &mut referrers[index(next)];
                if chosen[index(next)] {
                    *left -= 1;
                    if *left == 0 {
                        order.push(next);
                    }
                }
            }
        }
        order
    }

    /// Returns how many of the chosen objects refer to each object.
    pub(crate) fn count_referrers(&self, chosen: &[bool]) -> Vec<u32> {
        let mut referrers = vec![0; self.len()];
        for object in (0..self.len()).filter(|object| chosen[*object]) {
            for &next in self.references(number(object)) {
                referrers[index(next)] += 1;
            }
        }
        referrers
    }

    /// Returns for each object the only one of the `keepers` that leads to it; see [`Kept`]. A keeper is a list of objects.
    pub(crate) fn sole_keepers<'a>(&self, keepers: impl Iterator<Item = &'a [u32]>) -> Vec<Kept> {
        let mut kept = vec![Kept::ByNone; self.len()];
        for (keeper, starts) in keepers.enumerate() {
            for &start in starts {
                if let Some(kept) = kept.get_mut(index(start)) {
                    *kept = kept.and(Kept::By(number(keeper)));
                }
            }
        }
        for object in self.referrers_first(&vec![true; self.len()]) {
            let by = kept[index(object)];
            for &next in self.references(object) {
                kept[index(next)] = kept[index(next)].and(by);
            }
        }
        kept
    }

    /// Returns for each keeper the sum of the sizes of all objects that it leads to. A keeper is a list of objects.
    ///
    /// Goes through the graph once for each 64 keepers.
    pub(crate) fn sums(&self, keepers: &[&[u32]], sizes: &[u64]) -> Vec<u64> {
        let order = self.referrers_first(&vec![true; self.len()]);
        let sums = keepers.par_chunks(64).flat_map_iter(|keepers| {
            // A bit for each keeper that leads to the object.
            let mut masks = vec![0u64; self.len()];
            for (bit, starts) in keepers.iter().enumerate() {
                for start in *starts {
                    if let Some(mask) = masks.get_mut(index(*start)) {
                        *mask |= 1 << bit;
                    }
                }
            }
            let mut sums = vec![0u64; keepers.len()];
            for object in &order {
                let mask = masks[index(*object)];
                let size = sizes.get(index(*object)).copied().unwrap_or(0);
                for (bit, sum) in sums.iter_mut().enumerate() {
                    if mask >> bit & 1 == 1 {
                        *sum = sum.saturating_add(size);
                    }
                }
                if mask != 0 {
                    for next in self.references(*object) {
                        masks[index(*next)] |= mask;
                    }
                }
            }
            sums
        });
        sums.collect()
    }

    /// Returns a shortest way from any of `starts` to `goal`, both included; of several, the one from the first start. `None` if there is none.
    pub(crate) fn chain(&self, starts: &[u32], goal: u32) -> Option<Vec<u32>> {
        let mut before: Vec<Option<u32>> = vec![None; self.len()];
        let mut pending = VecDeque::new();
        for &start in starts {
            if let Some(place) = before.get_mut(index(start))
                && place.is_none()
            {
                *place = Some(start);
                pending.push_back(start);
            }
        }
        while let Some(object) = pending.pop_front() {
            if object == goal {
                break;
            }
            for &next in self.references(object) {
                if before[index(next)].is_none() {
                    before[index(next)] = Some(object);
                    pending.push_back(next);
                }
            }
        }
        let mut chain = vec![goal];
        let mut last = goal;
        loop {
            let object = (*before.get(index(last))?)?;
            if object == last {
                break;
            }
            chain.push(object);
            last = object;
        }
        chain.reverse();
        Some(chain)
    }
}

/// What keeps an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing.
    ByNone,
    /// One keeper, by its number, and no other.
    By(u32),
    /// Several.
    BySeveral,
}

impl Kept {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::ByNone, kept) | (kept, Self::ByNone) => kept,
            (Self::By(a), Self::By(b)) if a == b => self,
            _ => Self::BySeveral,
        }
    }
}

/// A number as an index.
pub(crate) const fn index(number: u32) -> usize {
    number as usize
}

/// An index as a number. There are never more than 2³² objects: that many rows would take longer to read than anybody waits.
pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const COUNT: u32 = 14;

    /// References lead to smaller numbers, as in a store.
    fn references() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let pairs = prop::collection::vec((0..COUNT, 0..COUNT), 0..50);
        pairs.prop_map(|pairs| {
            let down: BTreeSet<_> = pairs.into_iter().filter(|(from, to)| to < from).collect();
            down.into_iter().collect()
        })
    }

    fn graph(references: &[(u32, u32)]) -> Graph {
        Graph::new(index(COUNT), references)
    }

    /// Reachability by repeating until nothing changes.
    fn reachable(references: &[(u32, u32)], starts: &[u32]) -> BTreeSet<u32> {
        let mut reached: BTreeSet<u32> = starts.iter().copied().collect();
        loop {
            let before = reached.len();
            for (from, to) in references {
                if reached.contains(from) {
                    reached.insert(*to);
                }
            }
            if reached.len() == before {
                return reached;
            }
        }
    }

    fn set(marked: &[bool]) -> BTreeSet<u32> {
        (0..marked.len())
            .filter(|object| marked[*object])
            .map(number)
            .collect()
    }

    proptest! {
        #[test]
        fn the_sum_of_a_keeper_is_that_of_what_it_reaches(
            references in references(),
            keepers in prop::collection::vec(prop::collection::vec(0..COUNT, 0..4), 0..150),
        ) {
            // Of powers of two, a sum tells which objects are in it.
            let sizes: Vec<u64> = (0..COUNT).map(|object| 1 << object).collect();
            let starts: Vec<&[u32]> = keepers.iter().map(Vec::as_slice).collect();
            let sums = graph(&references).sums(&starts, &sizes);
            prop_assert_eq!(sums.len(), keepers.len());
            for (keeper, sum) in keepers.iter().zip(sums) {
                let expected: u64 = reachable(&references, keeper).iter().map(|object| 1 << object).sum();
                prop_assert_eq!(sum, expected);
            }
        }

        #[test]
        fn what_is_marked_around_an_object_is_what_is_reached_without_it(
            references in references(),
            starts in prop::collection::vec(0..COUNT, 0..5),
            around in 0..COUNT,
        ) {
            let marked = graph(&references).mark_around(starts.iter().copied(), around);
            let without: Vec<_> = references.iter().copied().filter(|(from, to)| *from != around && *to != around).collect();
            let starts: Vec<_> = starts.into_iter().filter(|start| *start != around).collect();
            let expected = reachable(&without, &starts);
            for object in 0..COUNT {
                prop_assert_eq!(marked[index(object)], expected.contains(&object));
            }
        }

        #[test]
        fn what_is_marked_is_what_can_be_reached(references in references(), starts in prop::collection::vec(0..COUNT, 0..4)) {
            let marked = graph(&references).mark(starts.iter().copied());
            prop_assert_eq!(set(&marked), reachable(&references, &starts));
        }

        #[test]
        fn references_are_those_of_the_pairs(references in references()) {
            let graph = graph(&references);
            for object in 0..COUNT {
                let expected: Vec<u32> = references.iter().filter(|(from, _)| *from == object).map(|(_, to)| *to).collect();
                prop_assert_eq!(graph.references(object), expected.as_slice());
            }
        }

        #[test]
        fn referrers_come_first_and_nothing_is_lost(references in references(), chosen in prop::collection::vec(any::<bool>(), index(COUNT))) {
            let order = graph(&references).referrers_first(&chosen);
            prop_assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), set(&chosen));
            prop_assert_eq!(order.len(), set(&chosen).len());
            let place = |object: u32| order.iter().position(|other| *other == object);
            for (from, to) in references {
                if let (Some(from), Some(to)) = (place(from), place(to)) {
                    prop_assert!(from < to);
                }
            }
        }

        #[test]
        fn a_sole_keeper_is_the_only_one_that_reaches(references in references(), keepers in prop::collection::vec(prop::collection::vec(0..COUNT, 0..3), 0..4)) {
            let kept = graph(&references).sole_keepers(keepers.iter().map(Vec::as_slice));
            for object in 0..COUNT {
                let by: Vec<usize> = (0..keepers.len()).filter(|keeper| reachable(&references, &keepers[*keeper]).contains(&object)).collect();
                let expected = match by.as_slice() {
                    [] => Kept::ByNone,
                    [only] => Kept::By(number(*only)),
                    _ => Kept::BySeveral,
                };
                prop_assert_eq!(kept[index(object)], expected);
            }
        }

        #[test]
        fn a_chain_leads_from_a_start_to_the_goal_by_references(references in references(), starts in prop::collection::vec(0..COUNT, 1..4), goal in 0..COUNT) {
            match graph(&references).chain(&starts, goal) {
                None => prop_assert!(!reachable(&references, &starts).contains(&goal)),
                Some(chain) => {
                    prop_assert!(starts.contains(&chain[0]));
                    prop_assert_eq!(chain[chain.len() - 1], goal);
                    for pair in chain.windows(2) {
                        prop_assert!(references.contains(&(pair[0], pair[1])));
                    }
                }
            }
        }
    }

    #[test]
    fn circles_and_foreign_numbers_do_no_harm() {
        let graph = Graph::new(3, &[(0, 1), (1, 0), (1, 2), (7, 0), (0, 7)]);
        assert_eq!(graph.mark([0, 9]), [true, true, true]);
        assert!(graph.referrers_first(&[true, true, true]).is_empty());
        assert!(graph.references(9).is_empty());
        assert_eq!(graph.chain(&[9], 0), None);
    }
}
