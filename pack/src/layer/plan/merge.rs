//! Groups to layers, by merging.

use super::{bundle::Bundle, graph::Graph};

/// Pairs are looked at one by one, so there are at most so many groups; what is smallest is put together before, by how often it changes.
const MAX_GROUPS: usize = 256;

/// Merges two bundles at a time, always those whose merging costs least, until there are at most `slots` and no merging makes it cheaper.
///
/// What was asked for and what was not are merged only where there is no other way. Between equals the first in the order of `bundles` goes first.
pub(super) fn merge(graph: &Graph<'_>, bundles: Vec<Bundle>, slots: usize) -> Vec<Bundle> {
    let mut pairs = Pairs::new(graph, gather_small(graph, bundles));
    while let Some((price, left, right)) = pairs.cheapest() {
        if pairs.live <= slots && price >= Price::NOTHING {
            break;
        }
        pairs.join(left, right);
    }
    pairs.bundles.into_iter().flatten().collect()
}

/// What merging two bundles costs; the cheaper one is less. One number, since most of the time of planning goes into finding the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Price(i128);

impl Price {
    const NOTHING: Self = Self(0);
    /// More than all costs, which are sums of 64 bits: one was asked for and the other was not.
    const MIXED: i128 = 1 << 100;
    /// There is no such pair any more.
    const GONE: Self = Self(i128::MAX);
}

struct Pairs<'a, 'p> {
    graph: &'a Graph<'p>,
    /// `None` where it has gone into another one.
    bundles: Vec<Option<Bundle>>,
    /// For each bundle the prices with those before it; none for one that has gone into another.
    prices: Vec<Vec<Price>>,
    /// For each bundle the cheapest of those before it, the first of equals: to look at all pairs before each merging would take longer than all else.
    best: Vec<Option<(Price, usize)>>,
    live: usize,
}

impl<'a, 'p> Pairs<'a, 'p> {
    fn new(graph: &'a Graph<'p>, bundles: Vec<Bundle>) -> Self {
        let prices = (0..bundles.len()).map(|right| {
            let before = bundles[..right].iter();
            before
                .map(|left| price(graph, left, &bundles[right]))
                .collect()
        });
        let mut pairs = Self {
            prices: prices.collect(),
            best: Vec::new(),
            live: bundles.len(),
            bundles: bundles.into_iter().map(Some).collect(),
            graph,
        };
        let best = (0..pairs.bundles.len()).map(|right| pairs.find_best(right));
        pairs.best = best.collect();
        pairs
    }

    fn cheapest(&self) -> Option<(Price, usize, usize)> {
        let best = self.best.iter().enumerate();
        best.filter_map(|(right, best)| best.map(|(price, left)| (price, left, right)))
            .min()
    }

    /// Returns the cheapest of those before `right`, looking at all of them.
    fn find_best(&self, right: usize) -> Option<(Price, usize)> {
        let before = self.prices[right].iter().copied().zip(0..);
        before.min().filter(|(price, _)| *price < Price::GONE)
    }

    fn join(&mut self, left: usize, right: usize) {
        let Some(other) = self.bundles[right].take() else {
            return;
        };
        self.live -= 1;
        let Some(bundle) = &mut self.bundles[left] else {
            return;
        };
        bundle.join(other, self.graph);
        for index in 0..self.bundles.len() {
            if let (Some(joined), Some(another)) = (&self.bundles[left], &self.bundles[index])
                && index != left
            {
                let (low, high) = (left.min(index), left.max(index));
                self.prices[high][low] = price(self.graph, joined, another);
            }
        }
        self.prices[right].clear();
        for row in &mut self.prices[right + 1..] {
            if let Some(price) = row.get_mut(right) {
                *price = Price::GONE;
            }
        }
        self.best[right] = None;
        self.best[left] = self.find_best(left);
        for index in left + 1..self.bundles.len() {
            let Some(best) = self.best[index] else {
                continue;
            };
            let changed = (self.prices[index][left], left);
            if changed <= best {
                self.best[index] = Some(changed);
            } else if best.1 == left || best.1 == right {
                // What was the cheapest costs more now, or is gone.
                self.best[index] = self.find_best(index);
            }
        }
    }
}

fn price(graph: &Graph<'_>, left: &Bundle, right: &Bundle) -> Price {
    let is_mixed = left.requested != right.requested;
    let more = if is_mixed { Price::MIXED } else { 0 };
    Price(left.cost_of_joining(right, graph) + more)
}

/// Leaves the largest half of [`MAX_GROUPS`] alone and puts the others into as many lots, each of bundles that change about equally often.
fn gather_small(graph: &Graph<'_>, mut bundles: Vec<Bundle>) -> Vec<Bundle> {
    if bundles.len() <= MAX_GROUPS {
        return bundles;
    }
    bundles.sort_by(|a, b| (b.size_bytes, &a.members).cmp(&(a.size_bytes, &b.members)));
    let mut small = bundles.split_off(MAX_GROUPS / 2);
    small.sort_by(|a, b| (a.requested, a.rate, &a.members).cmp(&(b.requested, b.rate, &b.members)));
    let lot = small.len().div_ceil(MAX_GROUPS / 2 - 1);
    let (requested, others): (Vec<Bundle>, Vec<Bundle>) =
        small.into_iter().partition(|bundle| bundle.requested);
    for side in [others, requested] {
        let mut rest = side.into_iter().peekable();
        while rest.peek().is_some() {
            let members = rest.by_ref().take(lot).flat_map(|bundle| bundle.members);
            bundles.push(Bundle::of(graph, members.collect()));
        }
    }
    bundles.sort_unstable_by(|a, b| a.members.cmp(&b.members));
    bundles
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layer::{PlanOptions, PlanPath};

    proptest! {
        #[test]
        fn the_cheapest_pair_is_the_cheapest_of_all(
            nodes in proptest::collection::vec((0_u64..9, any::<bool>(), any::<prop::sample::Index>()), 2..30),
        ) {
            let name = |index: usize| format!("{index:0>40}-n").parse().unwrap();
            let paths: Vec<PlanPath> = nodes.iter().enumerate().map(|(index, (size, requested, below))| PlanPath {
                path: name(index),
                size_bytes: size << 20,
                references: (index > 0).then(|| name(below.index(index))).into_iter().collect(),
                requested: *requested,
                origin: index.to_string(),
            }).collect();
            let options = PlanOptions::new(5);
            let graph = Graph::new(&paths, &options);
            let bundles = Bundle::by_origin(&graph, 0..paths.len());
            let mut pairs = Pairs::new(&graph, bundles);
            while pairs.live > 1 {
                let live: Vec<(usize, &Bundle)> = pairs.bundles.iter().enumerate()
                    .filter_map(|(index, bundle)| Some((index, bundle.as_ref()?)))
                    .collect();
                let all = live.iter().enumerate().flat_map(|(count, (right, one))| {
                    let before = live[..count].iter();
                    before.map(|(left, other)| (price(&graph, other, one), *left, *right))
                });
                let expected = all.min();
                prop_assert_eq!(pairs.cheapest(), expected);
                if let Some((_, left, right)) = expected {
                    pairs.join(left, right);
                }
            }
            prop_assert_eq!(pairs.cheapest(), None);
        }
    }
}
