//! What stays and what goes. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use super::{
    inventory::{Facts, Inventory, Lists, Uses},
    turn::is_older,
};
use crate::{PathDigest, cache::format::CacheName};

/// Returns the object that a file is of, if it is of one.
pub(super) const fn object_of(name: &CacheName) -> Option<PathDigest> {
    match name {
        CacheName::Object(digest) | CacheName::Manifest(digest) | CacheName::Closure(digest) => {
            Some(*digest)
        }
        _ => None,
    }
}

/// Returns the objects that were pushed in a time.
pub(super) fn young_objects(
    inventory: &Inventory,
    time: Duration,
    now: SystemTime,
) -> BTreeSet<PathDigest> {
    let files = inventory.files.values();
    files
        .filter(|file| matches!(file.name, CacheName::Object(_) | CacheName::Closure(_)))
        .filter(|file| !is_older(file.modified, time, now))
        .filter_map(|file| object_of(&file.name))
        .collect()
}

/// Returns the files of at least a grace period to which nothing leads that stays, nor a claim.
pub(super) fn dead_files(
    inventory: &Inventory,
    live: &BTreeSet<PathDigest>,
    uses: &Uses,
    lists: &Lists,
    claims: &BTreeSet<CacheName>,
    is_old: impl Fn(&SystemTime) -> bool,
) -> BTreeSet<CacheName> {
    let all_dead = |objects: &[PathDigest]| !objects.iter().any(|object| live.contains(object));
    let is_dead = |name: &CacheName| match name {
        CacheName::Object(digest) | CacheName::Manifest(digest) | CacheName::Closure(digest) => {
            !live.contains(digest)
        }
        CacheName::Pack(digest) => !uses.frames.contains_key(digest),
        // One dead realisation suffices: the list is written again without it.
        CacheName::Realisations(resolved) => {
            lists.realisations.get(resolved).is_none_or(|objects| {
                objects.is_empty() || !objects.iter().all(|one| live.contains(one))
            })
        }
        CacheName::Log(resolved) => lists
            .realisations
            .get(resolved)
            .is_none_or(|objects| all_dead(objects)),
        CacheName::PlanHint(plan) => lists
            .hints
            .get(plan)
            .is_none_or(|objects| all_dead(objects)),
        CacheName::NameHint(_) => lists
            .names
            .get(name)
            .is_none_or(|object| !live.contains(object)),
        CacheName::Info
        | CacheName::Pins
        | CacheName::Condemned
        | CacheName::Claim(_)
        | CacheName::Collector(_) => false,
    };
    let files = inventory.files.values();
    files
        .filter(|file| {
            is_old(&file.modified) && is_dead(&file.name) && !claims.contains(&file.name)
        })
        .map(|file| file.name.clone())
        .collect()
}

/// Returns files in an order of which every beginning can be condemned by itself: what leads to others comes before them.
pub(super) fn leading_first(names: BTreeSet<CacheName>) -> Vec<CacheName> {
    let mut names: Vec<CacheName> = names.into_iter().collect();
    names.sort_by_key(|name| match name {
        CacheName::Object(_) => 1,
        CacheName::Manifest(_) => 2,
        CacheName::Pack(_) => 3,
        _ => 0,
    });
    names
}

/// Divides records so that each comes in an earlier part than what it refers to. Those that say nothing come first.
pub(super) fn referrers_first(
    objects: &BTreeSet<PathDigest>,
    facts: &BTreeMap<PathDigest, Facts>,
) -> Vec<Vec<PathDigest>> {
    let references = |digest: &PathDigest| {
        let facts = facts.get(digest);
        let references = facts.map_or(&[][..], |facts| &facts.references);
        references.iter().filter(|one| objects.contains(one))
    };
    let mut referrers: BTreeMap<PathDigest, usize> = BTreeMap::new();
    for digest in objects {
        for reference in references(digest) {
            *referrers.entry(*reference).or_default() += 1;
        }
    }
    let mut parts = Vec::new();
    let mut left = objects.clone();
    let mut part: Vec<PathDigest> = objects
        .iter()
        .filter(|digest| !referrers.contains_key(digest))
        .copied()
        .collect();
    while !part.is_empty() {
        let mut next = Vec::new();
        for digest in &part {
            left.remove(digest);
            for reference in references(digest) {
                if let Some(count) = referrers.get_mut(reference) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(*reference);
                    }
                }
            }
        }
        parts.push(std::mem::replace(&mut part, next));
    }
    // Records that refer to each other in a circle are nobody's: no object can have such an id.
    if !left.is_empty() {
        parts.push(left.into_iter().collect());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BlobId, Node, PackDigest, ResolvedDigest,
        cache::{backend::ListedFile, format::Frame},
    };
    use std::time::UNIX_EPOCH;

    fn digest(number: u8) -> PathDigest {
        PathDigest::from_bytes([number; 25])
    }

    fn refers_to(references: &[u8]) -> Facts {
        Facts {
            root: Node::File {
                blob: BlobId::from_bytes([0; 32]),
                size: 0,
                executable: false,
            },
            references: references.iter().map(|number| digest(*number)).collect(),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn inventory(files: &[(CacheName, u64)]) -> Inventory {
        let files = files.iter().map(|(name, modified)| {
            let file = ListedFile {
                name: name.clone(),
                size_bytes: 1,
                modified: at(*modified),
            };
            (name.clone(), file)
        });
        Inventory {
            files: files.collect(),
            facts: BTreeMap::new(),
        }
    }

    #[test]
    fn records_go_before_those_that_they_refer_to() {
        // 5 → 4 → 1, 5 → 1, 3 → 1; 2 alone; 9 stays.
        let graph = [(1, &[9][..]), (2, &[]), (3, &[1]), (4, &[1]), (5, &[4, 1])];
        let facts: BTreeMap<_, _> = graph
            .iter()
            .map(|(number, references)| (digest(*number), refers_to(references)))
            .collect();
        let objects: BTreeSet<_> = (1..=6).map(digest).collect();
        let parts = referrers_first(&objects, &facts);
        let expected = [vec![2, 3, 5, 6], vec![4], vec![1]];
        let expected: Vec<Vec<_>> = expected
            .iter()
            .map(|part| part.iter().map(|number| digest(*number)).collect())
            .collect();
        assert_eq!(parts, expected);
        let circle = BTreeMap::from([(digest(1), refers_to(&[2])), (digest(2), refers_to(&[1]))]);
        let objects = BTreeSet::from([digest(1), digest(2)]);
        assert_eq!(referrers_first(&objects, &circle).concat().len(), 2);
    }

    #[test]
    fn only_what_is_old_and_leads_from_nothing_that_stays_is_dead() {
        let resolved = |number| ResolvedDigest::from_bytes([number; 32]);
        let pack = |number| PackDigest::from_bytes([number; 32]);
        let (live, dead) = (digest(1), digest(2));
        let inventory = inventory(&[
            (CacheName::Info, 0),
            (CacheName::Pins, 0),
            (CacheName::Object(live), 0),
            (CacheName::Object(dead), 0),
            (CacheName::Manifest(digest(3)), 100),
            (CacheName::Closure(digest(3)), 0),
            (CacheName::Pack(pack(1)), 0),
            (CacheName::Pack(pack(2)), 0),
            (CacheName::Pack(pack(3)), 100),
            (CacheName::Realisations(resolved(1)), 0),
            (CacheName::Realisations(resolved(2)), 0),
            (CacheName::Realisations(resolved(3)), 0),
            (CacheName::Log(resolved(1)), 0),
            (CacheName::Log(resolved(2)), 0),
            (CacheName::Log(resolved(3)), 0),
        ]);
        let lists = Lists {
            realisations: BTreeMap::from([
                (resolved(1), vec![live]),
                (resolved(2), vec![live, dead]),
                (resolved(3), vec![dead]),
            ]),
            ..Lists::default()
        };
        let frame = Frame {
            pack: pack(1),
            offset: 8,
            compressed_length: 1,
            length: 1,
            content: BlobId::from_bytes([0; 32]),
        };
        let uses = Uses {
            frames: BTreeMap::from([(pack(1), BTreeSet::from([frame]))]),
            ..Uses::default()
        };
        let found = |claims: &[CacheName]| {
            let live = BTreeSet::from([live]);
            let claims = claims.iter().cloned().collect();
            dead_files(&inventory, &live, &uses, &lists, &claims, |modified| {
                is_older(*modified, Duration::from_secs(10), at(100))
            })
        };
        let all = BTreeSet::from([
            CacheName::Object(dead),
            CacheName::Closure(digest(3)),
            CacheName::Pack(pack(2)),
            CacheName::Realisations(resolved(2)),
            CacheName::Realisations(resolved(3)),
            CacheName::Log(resolved(3)),
        ]);
        assert_eq!(found(&[]), all);
        let rest = found(&[CacheName::Pack(pack(2))]);
        assert_eq!(rest.len(), all.len() - 1);
        assert!(!rest.contains(&CacheName::Pack(pack(2))));
    }

    #[test]
    fn what_was_written_in_the_time_is_young() {
        let inventory = inventory(&[
            (CacheName::Object(digest(1)), 95),
            (CacheName::Object(digest(2)), 5),
            (CacheName::Closure(digest(3)), 95),
            (CacheName::Manifest(digest(4)), 95),
            (CacheName::Object(digest(5)), 200),
        ]);
        let young = young_objects(&inventory, Duration::from_secs(10), at(100));
        assert_eq!(young, [1, 3, 5].map(digest).into());
    }
}
