//! Layers that were published before.

use std::cmp::Reverse;

use store::StorePath;

use super::{bundle::Bundle, graph::Graph};

/// Of the layers that there may be, so many parts in [`OF`] may be those of other images: the rest is for what only this image has.
const REUSED: usize = 4;
const OF: usize = 5;
/// A published layer is used unless a client is expected to fetch more than so many percent of what it would fetch if each origin were apart.
const MAX_PERCENT: u64 = 110;

/// Takes from `left` what published layers have, and returns these layers: the largest first, each of which all is left, as long as there is room.
pub(super) fn reuse<'l>(
    graph: &Graph<'_>,
    left: &mut [bool],
    published: impl Iterator<Item = &'l [StorePath]>,
    slots: usize,
) -> Vec<Bundle> {
    let mut candidates: Vec<Bundle> = published
        .filter_map(|layer| numbers(graph, layer))
        .filter(|members| !members.is_empty())
        .map(|members| Bundle::of(graph, members))
        .collect();
    candidates.sort_by(|a, b| {
        (Reverse(a.size_bytes), &a.members).cmp(&(Reverse(b.size_bytes), &b.members))
    });
    candidates.dedup_by(|a, b| a.members == b.members);
    let mut layers = Vec::new();
    for candidate in candidates {
        if layers.len() >= slots * REUSED / OF {
            break;
        }
        if candidate.members.iter().all(|&member| left[member]) && is_worth_it(graph, &candidate) {
            for &member in &candidate.members {
                left[member] = false;
            }
            layers.push(candidate);
        }
    }
    layers
}

/// Returns the numbers of the paths of a layer, if all of them are planned; ascending.
pub(super) fn numbers(graph: &Graph<'_>, layer: &[StorePath]) -> Option<Vec<usize>> {
    let numbers: Option<Vec<usize>> = layer.iter().map(|path| graph.number(path)).collect();
    let mut numbers = numbers?;
    numbers.sort_unstable();
    Some(numbers)
}

fn is_worth_it(graph: &Graph<'_>, layer: &Bundle) -> bool {
    let apart = Bundle::by_origin(graph, layer.members.iter().copied());
    let apart: u64 = apart.iter().map(Bundle::weekly_bytes).sum();
    layer.weekly_bytes().saturating_mul(100) <= apart.saturating_mul(MAX_PERCENT)
}
