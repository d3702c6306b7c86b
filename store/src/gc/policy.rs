//! Which of the objects that nothing keeps go, and in which order. Pure.
//!
//! An object can only go after all that refers to it. Without limits everything goes. With a number of bytes to free, what is worth least goes first: the
//! older its last use, the larger, and the quicker to get back, the sooner. An object counts as used whenever something that refers to it was.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::graph::{Graph, index, number};

/// What an object takes on disk beside the bytes of its files, about: directories, inodes, rows.
const OVERHEAD_BYTES: u128 = 4096;
/// The cost of getting back what was neither built nor fetched here: files of a project and imports, which somebody still has.
const UNKNOWN_COST_MS: u64 = 10_000;
/// Added to every cost, so that what takes no time to get back is still worth something.
const BASE_COST_MS: u128 = 1000;
const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// What the policy knows of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The sum of the sizes of its files.
    pub(crate) size_bytes: u64,
    /// When it was last used, in seconds since 1970.
    pub(crate) used: u64,
    /// How long it took to build or to fetch; `None` if it was neither.
    pub(crate) duration_ms: Option<u64>,
}

/// Which of the dead objects go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// All, in any order.
    All,
    /// Those that were last used before a time, what is worth least first.
    Worth {
        /// The present, in seconds since 1970.
        now: u64,
        /// What was used later stays.
        used_before: u64,
    },
}

/// Returns the objects that may go, in the order in which they should. Any beginning of it leaves no reference without its object.
///
/// `facts` has an entry for each object, or is empty where the policy needs none.
pub(crate) fn order(graph: &Graph, dead: &[bool], facts: &[Facts], policy: Policy) -> Vec<u32> {
    let Policy::Worth { now, used_before } = policy else {
        return graph.referrers_first(dead);
    };
    let mut facts = facts.to_vec();
    facts.resize(graph.len(), Facts::default());
    for object in graph.referrers_first(dead) {
        let used = facts[index(object)].used;
        for &next in graph.references(object) {
            let next = &mut facts[index(next)];
            next.used = next.used.max(used);
        }
    }
    let mut referrers = graph.count_referrers(dead);
    let entry = |object: u32| {
        (
            worth(&facts[index(object)], now),
            // Of equals the one with the smaller number.
            Reverse(object),
        )
    };
    let may_go = |object: u32| dead[index(object)] && facts[index(object)].used < used_before;
    let mut heap: BinaryHeap<_> = (0..graph.len())
        .map(number)
        .filter(|object| may_go(*object) && referrers[index(*object)] == 0)
        .map(entry)
        .collect();
    let mut order = Vec::new();
    while let Some((_, Reverse(object))) = heap.pop() {
        order.push(object);
        for &next in graph.references(object) {
            let left = &mut referrers[index(next)];
            *left = left.saturating_sub(1);
            if *left == 0 && may_go(next) {
                heap.push(entry(next));
            }
        }
    }
    order
}

/// How much is gained when an object goes: bytes and days without use for each second that it takes to get back.
fn worth(facts: &Facts, now: u64) -> u128 {
    let days = u128::from(now.saturating_sub(facts.used) / SECONDS_A_DAY) + 1;
    let bytes = u128::from(facts.size_bytes) + OVERHEAD_BYTES;
    let cost = u128::from(facts.duration_ms.unwrap_or(UNKNOWN_COST_MS)) + BASE_COST_MS;
    // Scaled, so that small objects with a high cost are still told apart.
    days.saturating_mul(bytes).saturating_mul(1 << 20) / cost
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 100 * SECONDS_A_DAY;

    fn facts(size_bytes: u64, days: u64, duration_ms: Option<u64>) -> Facts {
        Facts {
            size_bytes,
            used: NOW - days * SECONDS_A_DAY,
            duration_ms,
        }
    }

    fn by_worth(graph: &Graph, dead: &[bool], facts: &[Facts]) -> Vec<u32> {
        let policy = Policy::Worth {
            now: NOW,
            used_before: u64::MAX,
        };
        order(graph, dead, facts, policy)
    }

    #[test]
    fn large_old_and_cheap_objects_go_first() {
        for (first, second) in [
            (facts(2_000_000, 1, None), facts(1_000_000, 1, None)),
            (facts(1_000_000, 9, None), facts(1_000_000, 1, None)),
            (
                facts(1_000_000, 1, Some(500)),
                facts(1_000_000, 1, Some(60_000)),
            ),
            (
                facts(1_000_000, 1, Some(500)),
                facts(20_000_000, 1, Some(3_600_000)),
            ),
        ] {
            let graph = Graph::new(2, &[]);
            assert_eq!(by_worth(&graph, &[true, true], &[second, first]), [1, 0]);
        }
    }

    #[test]
    fn what_is_referred_to_was_used_when_its_referrer_was() {
        // 1 refers to 0 and was used yesterday; 2 was last used a week ago.
        let graph = Graph::new(3, &[(1, 0)]);
        let facts = [facts(10, 90, None), facts(10, 1, None), facts(10, 7, None)];
        assert_eq!(by_worth(&graph, &[true; 3], &facts), [2, 1, 0]);
        let policy = Policy::Worth {
            now: NOW,
            used_before: NOW - 5 * SECONDS_A_DAY,
        };
        assert_eq!(order(&graph, &[true; 3], &facts, policy), [2]);
    }

    proptest! {
        #[test]
        fn an_object_goes_after_its_referrers_and_only_if_it_is_dead(
            references in prop::collection::vec((0..12u32, 0..12u32), 0..40),
            sizes in prop::collection::vec((0..5u64, 1..9u64, prop::option::of(0..5u64)), 12),
            roots in prop::collection::vec(0..12u32, 0..3),
            days in 0..10u64,
        ) {
            let references: Vec<_> = references.into_iter().filter(|(from, to)| to < from).collect();
            let graph = Graph::new(12, &references);
            let dead: Vec<bool> = graph.mark(roots).iter().map(|alive| !alive).collect();
            let facts: Vec<_> = sizes.into_iter().map(|(size, days, cost)| facts(size, days, cost)).collect();
            for policy in [Policy::All, Policy::Worth { now: NOW, used_before: NOW - days * SECONDS_A_DAY }] {
                let order = order(&graph, &dead, &facts, policy);
                for (place, object) in order.iter().enumerate() {
                    prop_assert!(dead[index(*object)]);
                    let gone = &order[..place];
                    prop_assert!(!gone.contains(object), "twice");
                    for (from, to) in &references {
                        prop_assert!(to != object || gone.contains(from), "before a referrer");
                    }
                }
                if policy == Policy::All {
                    prop_assert_eq!(order.len(), dead.iter().filter(|dead| **dead).count());
                }
            }
        }
    }
}
