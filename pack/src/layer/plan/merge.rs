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
        if pairs.live <= slots && (price.mixed || price.cost >= 0) {
            break;
        }
        pairs.join(left, right);
    }
    pairs.bundles.into_iter().flatten().collect()
}

/// What merging two bundles costs; the cheaper one is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Price {
    /// Whether one was asked for and the other was not.
    mixed: bool,
    cost: i128,
}

struct Pairs<'a, 'p> {
    graph: &'a Graph<'p>,
    /// `None` where it has gone into another one.
    bundles: Vec<Option<Bundle>>,
    /// For each bundle the prices with those before it.
    prices: Vec<Vec<Price>>,
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
        Self {
            prices: prices.collect(),
            live: bundles.len(),
            bundles: bundles.into_iter().map(Some).collect(),
            graph,
        }
    }

    fn cheapest(&self) -> Option<(Price, usize, usize)> {
        let live = |index: &usize| self.bundles[*index].is_some();
        let pairs = (0..self.bundles.len()).filter(live).flat_map(|right| {
            let before = (0..right).filter(live);
            before.map(move |left| (self.prices[right][left], left, right))
        });
        pairs.min()
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
    }
}

fn price(graph: &Graph<'_>, left: &Bundle, right: &Bundle) -> Price {
    Price {
        mixed: left.requested != right.requested,
        cost: left.cost_of_joining(right, graph),
    }
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
