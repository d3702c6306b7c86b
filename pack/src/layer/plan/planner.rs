//! All steps of planning, in their order.

use std::cmp::Reverse;

use super::{
    LayerMode, LayerReason, MAX_LAYERS, PlanError, PlanOptions, PlanPath, PlannedLayer,
    bundle::Bundle, graph::Graph, keep, merge::merge, options::is_meant, popularity::by_popularity,
    reuse::reuse,
};

/// The last plan is kept unless another one costs less than so many percent of it: a plan that changes makes clients fetch what they have.
const KEPT_PERCENT: u128 = 98;

/// A layer to be, and why.
type Reasoned = (Bundle, LayerReason);

/// Returns the layers, the lowest first.
pub(super) fn plan(
    paths: &[PlanPath],
    options: &PlanOptions,
) -> Result<Vec<PlannedLayer>, PlanError> {
    if !(1..=MAX_LAYERS).contains(&options.max_layers) {
        return Err(PlanError::LayerCount {
            asked: options.max_layers,
        });
    }
    let graph = Graph::new(paths, options);
    let mut left = vec![true; graph.paths.len()];
    let mut layers = if left.is_empty() {
        Vec::new()
    } else if options.is_single() {
        let all = Bundle::of(&graph, (0..left.len()).collect());
        vec![(all, LayerReason::Single)]
    } else {
        let mut layers = take_rules(&graph, &mut left, options)?;
        let slots = options.budget() - layers.len();
        if left.contains(&true) {
            layers.extend(match options.mode {
                LayerMode::PerPath => per_path(&graph, &left, slots),
                LayerMode::Auto | LayerMode::Single => by_cost(&graph, &left, slots, options),
            });
        }
        layers
    };
    layers.sort_by(|(a, _), (b, _)| {
        (a.requested, a.rate, &a.members).cmp(&(b.requested, b.rate, &b.members))
    });
    Ok(layers
        .into_iter()
        .map(|layer| planned(&graph, layer))
        .collect())
}

fn planned(graph: &Graph<'_>, (bundle, reason): Reasoned) -> PlannedLayer {
    let paths = bundle.members.iter();
    let mut paths: Vec<_> = paths
        .map(|&member| graph.paths[member].path.clone())
        .collect();
    paths.sort_unstable();
    PlannedLayer {
        paths,
        reason,
        chance: bundle.chance(),
    }
}

/// Takes from `left` what rules want, and returns their layers. Rules that match nothing make none: an image for another platform may lack what they name.
fn take_rules(
    graph: &Graph<'_>,
    left: &mut [bool],
    options: &PlanOptions,
) -> Result<Vec<Reasoned>, PlanError> {
    let mut layers = Vec::new();
    for rule in &options.rules {
        let is_meant = |number: &usize| {
            let path = graph.paths[*number];
            let (name, origin) = (path.path.name().as_str(), &path.origin);
            let mut patterns = rule.patterns.iter();
            left[*number] && patterns.any(|pattern| is_meant(pattern, name, origin))
        };
        let members: Vec<usize> = (0..left.len()).filter(is_meant).collect();
        if members.is_empty() {
            continue;
        }
        for &member in &members {
            left[member] = false;
        }
        let reason = LayerReason::Rule(rule.name.clone());
        layers.push((Bundle::of(graph, members), reason));
    }
    // One for what is left over, one for the generated files.
    let needed = layers.len() + 1 + usize::from(left.contains(&true));
    if !layers.is_empty() && needed > options.max_layers {
        return Err(PlanError::Rules {
            rules: layers.len(),
            needed,
            max: options.max_layers,
        });
    }
    Ok(layers)
}

/// The largest paths alone, and what is too much in one layer.
fn per_path(graph: &Graph<'_>, left: &[bool], slots: usize) -> Vec<Reasoned> {
    let mut numbers: Vec<usize> = (0..left.len()).filter(|&number| left[number]).collect();
    numbers.sort_by_key(|&number| (Reverse(graph.paths[number].size_bytes), number));
    let rest = if numbers.len() > slots {
        numbers.split_off(slots - 1)
    } else {
        Vec::new()
    };
    let alone = numbers.into_iter().map(|number| vec![number]);
    let layers = alone.chain((!rest.is_empty()).then_some(rest));
    layers
        .map(|members| (Bundle::of(graph, members), LayerReason::PerPath))
        .collect()
}

fn by_cost(graph: &Graph<'_>, left: &[bool], slots: usize, options: &PlanOptions) -> Vec<Reasoned> {
    let (repository, platform) = &options.image;
    let previous = options.history.layers_of(repository, platform);
    if let Some(layers) = keep::unchanged(graph, left, previous, slots) {
        let published = |bundle| (bundle, LayerReason::Published);
        return layers.into_iter().map(published).collect();
    }
    let fresh = fresh(graph, left, slots, options);
    let Some(kept) = keep::adapted(graph, left, previous, slots) else {
        return fresh;
    };
    let cost = |bundles: &mut dyn Iterator<Item = &Bundle>| -> u128 {
        bundles.map(|bundle| u128::from(bundle.cost())).sum()
    };
    let fresh_cost = cost(&mut fresh.iter().map(|(bundle, _)| bundle));
    if fresh_cost * 100 < cost(&mut kept.iter()) * KEPT_PERCENT {
        return fresh;
    }
    let reasoned = kept.into_iter().map(|bundle| {
        let same = |layer: &&Vec<store::StorePath>| {
            layer.len() == bundle.members.len()
                && (layer.iter()).all(|path| {
                    let number = graph.number(path);
                    number.is_some_and(|number| bundle.members.contains(&number))
                })
        };
        let reason = match previous.iter().find(same) {
            Some(_) => LayerReason::Published,
            None => LayerReason::Kept,
        };
        (bundle, reason)
    });
    reasoned.collect()
}

/// Published layers, and the rest by cost.
fn fresh(graph: &Graph<'_>, left: &[bool], slots: usize, options: &PlanOptions) -> Vec<Reasoned> {
    let mut rest = left.to_vec();
    let published = reuse(graph, &mut rest, options.history.all_layers(), slots);
    let numbers = (0..rest.len()).filter(|&number| rest[number]);
    let groups = Bundle::by_origin(graph, numbers);
    let mut merged = merge(graph, groups, slots - published.len());
    if published.is_empty() {
        // Merging step by step is not the best that there is, and on a few paths a simpler way may find more.
        let popular = by_popularity(graph, left, slots);
        let price = |bundles: &[Bundle]| -> u128 {
            let bytes = bundles.iter().map(Bundle::price);
            bytes.map(u128::from).sum()
        };
        if price(&popular) < price(&merged) {
            merged = popular;
        }
    }
    let published = published
        .into_iter()
        .map(|bundle| (bundle, LayerReason::Published));
    let merged = merged.into_iter().map(|bundle| {
        let reason = match (bundle.origins, bundle.members.first()) {
            (1, Some(&member)) => {
                LayerReason::Origin(graph.origins[graph.origin[member]].to_owned())
            }
            (origins, _) => LayerReason::Merged(origins),
        };
        (bundle, reason)
    });
    published.chain(merged).collect()
}
