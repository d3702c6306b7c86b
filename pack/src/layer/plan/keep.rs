//! The plan that an image had before, for what it is now.

use std::collections::BTreeMap;

use store::StorePath;

use super::{bundle::Bundle, graph::Graph, merge::merge, reuse::numbers};

/// Returns the layers of `previous` if there are several and they hold exactly what is left: an image that did not change keeps its layers.
///
/// A single layer tells nothing: somebody may have asked for one.
pub(super) fn unchanged(
    graph: &Graph<'_>,
    left: &[bool],
    previous: &[Vec<StorePath>],
    slots: usize,
) -> Option<Vec<Bundle>> {
    let mut rest = left.to_vec();
    let mut layers = Vec::new();
    for members in previous.iter().filter_map(|layer| numbers(graph, layer)) {
        if members.iter().all(|&member| left[member]) {
            for &member in &members {
                rest[member] = false;
            }
            layers.push(Bundle::of(graph, members));
        }
    }
    let is_complete = layers.len() > 1 && !rest.contains(&true);
    (is_complete && layers.len() <= slots).then_some(layers)
}

/// Returns layers like those of `previous` of what is left: a path is where it was, or where another version of it was, or with its origin; what is new
/// beyond that goes where it costs least.
pub(super) fn adapted(
    graph: &Graph<'_>,
    left: &[bool],
    previous: &[Vec<StorePath>],
    slots: usize,
) -> Option<Vec<Bundle>> {
    // `None` where two layers had something of that name.
    let mut homes: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for (home, layer) in previous.iter().enumerate() {
        for path in layer {
            let place = homes.entry(stem(path)).or_insert(Some(home));
            *place = place.filter(|known| *known == home);
        }
    }
    let exact: BTreeMap<&StorePath, usize> = previous
        .iter()
        .enumerate()
        .flat_map(|(home, layer)| layer.iter().map(move |path| (path, home)))
        .collect();
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); previous.len()];
    let mut origins: BTreeMap<usize, usize> = BTreeMap::new();
    let mut new = Vec::new();
    for number in (0..left.len()).filter(|&number| left[number]) {
        let path = &graph.paths[number].path;
        let known = exact.get(path).copied();
        match known.or_else(|| homes.get(&stem(path)).copied().flatten()) {
            Some(home) => {
                layers[home].push(number);
                origins.entry(graph.origin[number]).or_insert(home);
            }
            None => new.push(number),
        }
    }
    let mut strangers = Vec::new();
    for number in new {
        match origins.get(&graph.origin[number]) {
            Some(&home) => layers[home].push(number),
            None => strangers.push(number),
        }
    }
    let layers = layers.into_iter().filter(|members| !members.is_empty());
    let mut bundles: Vec<Bundle> = layers.map(|members| Bundle::of(graph, members)).collect();
    if bundles.is_empty() || bundles.len() > slots {
        return None;
    }
    let strangers = Bundle::by_origin(graph, strangers.into_iter());
    for stranger in merge(graph, strangers, slots) {
        place(graph, &mut bundles, stranger, slots);
    }
    Some(bundles)
}

/// Puts something new into the layer where it costs least, or into one of its own if there is room and that is cheaper.
fn place(graph: &Graph<'_>, bundles: &mut Vec<Bundle>, stranger: Bundle, slots: usize) {
    let costs = bundles.iter().map(|bundle| {
        let mixed = bundle.requested != stranger.requested;
        (mixed, bundle.cost_of_joining(&stranger, graph))
    });
    let best = costs
        .enumerate()
        .min_by_key(|(index, cost)| (*cost, *index));
    match best {
        Some((index, (mixed, cost))) if bundles.len() >= slots || (!mixed && cost < 0) => {
            bundles[index].join(stranger, graph);
        }
        _ => bundles.push(stranger),
    }
}

/// Returns the name of a path without its version: all parts between `-` but the first that begin with a digit are left out.
fn stem(path: &StorePath) -> String {
    let mut parts = path.name().as_str().split('-');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.filter(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
    rest.fold(first, |stem, part| stem + "-" + part)
}

#[cfg(test)]
mod tests {
    use store::PathDigest;

    use super::*;

    #[test]
    fn the_version_does_not_belong_to_the_stem() {
        for (name, expected) in [
            ("glibc-2.36", "glibc"),
            ("glibc-source-2.36-dev", "glibc-source-dev"),
            ("nginx-1.22.1-9+deb12u11", "nginx"),
            ("python3.11-3.11.2-minimal", "python3.11-minimal"),
            ("7zip-22.01", "7zip"),
        ] {
            let path = StorePath::new(PathDigest::from_bytes([1; 25]), name.parse().unwrap());
            assert_eq!(stem(&path), expected);
        }
    }
}
