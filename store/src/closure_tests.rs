use proptest::prelude::*;

use super::*;
use crate::{
    id::{BlobId, ObjectId},
    tree::Node,
};

fn path(index: u8) -> StorePath {
    StorePath::new(
        ObjectId::from_bytes([index; 32]).path_digest(),
        format!("n{index}").parse().unwrap(),
    )
}

/// A graph in which edges lead to smaller numbers.
fn graph(edges: &[(u8, u8)], count: u8) -> BTreeMap<StorePath, PathInfo> {
    (0..count)
        .map(|index| {
            let targets: BTreeSet<u8> = edges
                .iter()
                .filter(|(from, to)| *from == index && to < from)
                .map(|(_, to)| *to)
                .collect();
            let references = targets.iter().map(|to| Reference {
                path: path(*to),
                id: ObjectId::from_bytes([*to; 32]),
                file: format!("file{index}"),
                offset: u64::from(*to),
            });
            let info = PathInfo {
                path: path(index),
                id: ObjectId::from_bytes([index; 32]),
                root: Node::File {
                    blob: BlobId::from_bytes([0; 32]),
                    size: 1 << index,
                    executable: false,
                },
                references: references.collect(),
                self_reference: false,
                size_bytes: 1 << index,
                nodes: 1,
                registered: 0,
                component: None,
            };
            (path(index), info)
        })
        .collect()
}

fn closure(graph: &BTreeMap<StorePath, PathInfo>, roots: &[u8]) -> Result<Closure, ClosureError> {
    let roots: Vec<_> = roots.iter().map(|root| path(*root)).collect();
    Closure::collect(&roots, |path| Ok(graph.get(path).cloned()))
}

fn edges() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..12u8, 0..12u8), 0..40)
}

proptest! {
    #[test]
    fn a_closure_is_complete_minimal_and_references_come_first(edges in edges(), roots in prop::collection::vec(0..12u8, 1..4)) {
        let graph = graph(&edges, 12);
        let closure = closure(&graph, &roots).unwrap();
        let mut seen = BTreeSet::new();
        for info in closure.infos() {
            prop_assert!(info.references.iter().all(|reference| seen.contains(&reference.path)));
            prop_assert!(seen.insert(info.path.clone()), "twice");
        }
        for root in &roots {
            prop_assert!(seen.contains(&path(*root)));
        }
        for member in closure.paths() {
            prop_assert!(roots.iter().any(|root| closure.why(&path(*root), member).is_some()), "not needed");
        }
        prop_assert_eq!(closure.size_bytes(), closure.infos().iter().map(|info| info.size_bytes).sum::<u64>());
    }

    #[test]
    fn the_order_of_roots_makes_no_difference(edges in edges(), mut roots in prop::collection::vec(0..12u8, 1..4)) {
        let graph = graph(&edges, 12);
        let forwards = closure(&graph, &roots).unwrap();
        roots.reverse();
        prop_assert_eq!(forwards, closure(&graph, &roots).unwrap());
    }

    #[test]
    fn why_gives_a_chain_and_no_shorter_one_exists(edges in edges(), from in 0..12u8, to in 0..12u8) {
        let graph = graph(&edges, 12);
        let closure = closure(&graph, &[from]).unwrap();
        let Some(chain) = closure.why(&path(from), &path(to)) else {
            prop_assert!(closure.find(&path(to)).is_none());
            return Ok(());
        };
        let mut place = path(from);
        for step in &chain {
            prop_assert!(graph[&place].references.contains(step));
            place = step.path.clone();
        }
        prop_assert_eq!(place, path(to));
        let mut reached = BTreeSet::from([path(from)]);
        for _ in 0..chain.len().saturating_sub(1) {
            reached.extend(reached.clone().iter().flat_map(|path| graph[path].references.iter().map(|reference| reference.path.clone())));
        }
        prop_assert!(chain.is_empty() || !reached.contains(&path(to)));
    }
}

#[test]
fn a_missing_root_and_a_dangling_reference_are_told_apart() {
    let mut graph = graph(&[(1, 0)], 2);
    assert!(
        matches!(closure(&graph, &[7]), Err(ClosureError::NotValid { path: missing }) if missing == path(7))
    );
    graph.remove(&path(0));
    assert!(
        matches!(closure(&graph, &[1]), Err(ClosureError::Dangling { reference, .. }) if reference == path(0))
    );
}

#[test]
fn a_circle_is_an_error_and_not_a_hang() {
    let mut graph = graph(&[(1, 0)], 2);
    let back = Reference {
        path: path(1),
        id: ObjectId::from_bytes([1; 32]),
        file: String::new(),
        offset: 0,
    };
    graph.get_mut(&path(0)).unwrap().references.push(back);
    assert!(matches!(
        closure(&graph, &[1]),
        Err(ClosureError::Cycle { .. })
    ));
}
