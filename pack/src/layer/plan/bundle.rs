//! Paths that will be in one layer.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    cost::{Chance, LAYER_BYTES, Rate, layer_cost},
    graph::Graph,
    sources::Sources,
};

/// Some paths of a plan, and what it costs that they are one layer.
#[derive(Debug, Clone)]
pub(super) struct Bundle {
    /// By number, ascending; never empty.
    pub(super) members: Vec<usize>,
    pub(super) size_bytes: u64,
    /// With whose change it changes.
    sources: Sources,
    pub(super) rate: Rate,
    /// Of how many origins it has something.
    pub(super) origins: usize,
    /// Whether it has something that was asked for.
    pub(super) requested: bool,
    /// What it costs as it is.
    cost: u64,
}

impl Bundle {
    pub(super) fn of(graph: &Graph<'_>, mut members: Vec<usize>) -> Self {
        members.sort_unstable();
        let mut sources = Sources::default();
        let (mut size_bytes, mut requested) = (0_u64, false);
        for &member in &members {
            sources.insert_all(&graph.sources[member]);
            size_bytes = size_bytes.saturating_add(graph.paths[member].size_bytes);
            requested |= graph.paths[member].requested;
        }
        let origins: BTreeSet<usize> = members.iter().map(|&member| graph.origin[member]).collect();
        let (rate, origins) = (graph.rate(&sources), origins.len());
        Self {
            cost: layer_cost(size_bytes, Chance::of(rate), origins),
            rate,
            origins,
            members,
            size_bytes,
            sources,
            requested,
        }
    }

    /// Bundles what has the same origin; in the order of their first members.
    pub(super) fn by_origin(graph: &Graph<'_>, members: impl Iterator<Item = usize>) -> Vec<Self> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for member in members {
            groups.entry(graph.origin[member]).or_default().push(member);
        }
        let bundles = groups.into_values().map(|members| Self::of(graph, members));
        let mut bundles: Vec<Self> = bundles.collect();
        bundles.sort_unstable_by(|a, b| a.members.cmp(&b.members));
        bundles
    }

    /// Makes one of two that have nothing in common.
    pub(super) fn join(&mut self, other: Self, graph: &Graph<'_>) {
        self.rate = self.joined_rate(&other, graph);
        self.sources.insert_all(&other.sources);
        self.size_bytes = self.size_bytes.saturating_add(other.size_bytes);
        self.origins += other.origins;
        self.requested |= other.requested;
        self.members.extend(other.members);
        self.members.sort_unstable();
        self.cost = layer_cost(self.size_bytes, self.chance(), self.origins);
    }

    pub(super) fn chance(&self) -> Chance {
        Chance::of(self.rate)
    }

    /// Returns how many bytes a client is expected to fetch of it in a week.
    pub(super) fn weekly_bytes(&self) -> u64 {
        self.chance().of_bytes(self.size_bytes)
    }

    /// Returns what it costs a client that has this image only.
    pub(super) fn price(&self) -> u64 {
        self.weekly_bytes().saturating_add(LAYER_BYTES)
    }

    pub(super) const fn cost(&self) -> u64 {
        self.cost
    }

    /// Returns what it would cost more to have both in one layer; below zero where it is cheaper.
    pub(super) fn cost_of_joining(&self, other: &Self, graph: &Graph<'_>) -> i128 {
        let chance = Chance::of(self.joined_rate(other, graph));
        let size_bytes = self.size_bytes.saturating_add(other.size_bytes);
        let joined = layer_cost(size_bytes, chance, self.origins + other.origins);
        i128::from(joined) - i128::from(self.cost) - i128::from(other.cost)
    }

    fn joined_rate(&self, other: &Self, graph: &Graph<'_>) -> Rate {
        let mut common: Rate = 0;
        self.sources.for_each_common(&other.sources, |origin| {
            common = common.saturating_add(graph.rates[origin]);
        });
        (self.rate.saturating_add(other.rate)).saturating_sub(common)
    }
}
