//! The plan that nixpkgs' `dockerTools` made famous, as the bar that a plan must not be below.

use std::cmp::Reverse;

use super::{bundle::Bundle, graph::Graph};

/// Puts the paths to which most ways lead into layers of their own, and the others into one (nixpkgs, `closure-graph.py`, "popularity contest").
pub(super) fn by_popularity(graph: &Graph<'_>, left: &[bool], slots: usize) -> Vec<Bundle> {
    let mut ways = vec![1_u64; graph.paths.len()];
    for &number in graph.upwards.iter().rev() {
        for &below in &graph.references[number] {
            if below != number {
                ways[below] = ways[below].saturating_add(ways[number]);
            }
        }
    }
    let mut numbers: Vec<usize> = (0..left.len()).filter(|&number| left[number]).collect();
    numbers.sort_by_key(|&number| (Reverse(ways[number]), number));
    let rest = if numbers.len() > slots {
        numbers.split_off(slots.saturating_sub(1))
    } else {
        Vec::new()
    };
    let alone = numbers.into_iter().map(|number| vec![number]);
    let layers = alone.chain((!rest.is_empty()).then_some(rest));
    layers.map(|members| Bundle::of(graph, members)).collect()
}
