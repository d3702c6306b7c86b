//! The paths of one plan with numbers for names, and what each depends on.

use std::collections::{BTreeMap, BTreeSet};

use store::StorePath;

use super::{
    PlanOptions, PlanPath, Renames,
    cost::{DEFAULT_DAYS, REQUESTED_DAYS, Rate, rate_of_days},
    sources::Sources,
};

/// The paths of a plan. They are numbered in the order of their names, so that two closures of the same software have the same numbers although all
/// digests differ; that is what decides between equals.
pub(super) struct Graph<'a> {
    pub(super) paths: Vec<&'a PlanPath>,
    numbers: BTreeMap<&'a StorePath, usize>,
    /// What each refers to, by number.
    pub(super) references: Vec<Vec<usize>>,
    /// All numbers, each after what it refers to.
    pub(super) upwards: Vec<usize>,
    /// The names of the origins, ascending.
    pub(super) origins: Vec<&'a str>,
    /// The origin of each path.
    pub(super) origin: Vec<usize>,
    /// How often each origin changes.
    pub(super) rates: Vec<Rate>,
    /// The origins with whose change each path changes.
    pub(super) sources: Vec<Sources>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(paths: &'a [PlanPath], options: &PlanOptions) -> Self {
        let mut sorted: Vec<&PlanPath> = paths.iter().collect();
        sorted.sort_unstable_by_key(|path| (path.path.name().as_str(), &path.path));
        sorted.dedup_by(|a, b| a.path == b.path);
        let numbers: BTreeMap<&StorePath, usize> = sorted
            .iter()
            .enumerate()
            .map(|(number, path)| (&path.path, number))
            .collect();
        let references: Vec<Vec<usize>> = sorted
            .iter()
            .map(|path| {
                let known = path.references.iter().filter_map(|to| numbers.get(to));
                known.copied().collect()
            })
            .collect();
        let names: BTreeSet<&str> = sorted.iter().map(|path| path.origin.as_str()).collect();
        let origins: Vec<&str> = names.into_iter().collect();
        let number_of = |origin: &str| origins.partition_point(|known| *known < origin);
        let origin: Vec<usize> = sorted.iter().map(|path| number_of(&path.origin)).collect();
        let requested: BTreeSet<usize> = sorted
            .iter()
            .zip(&origin)
            .filter_map(|(path, origin)| path.requested.then_some(*origin))
            .collect();
        let rates = origins.iter().enumerate().map(|(number, name)| {
            let usual = if requested.contains(&number) {
                REQUESTED_DAYS
            } else {
                DEFAULT_DAYS
            };
            rate_of_days(options.history.days(name).unwrap_or(usual))
        });
        let rates = rates.collect();
        let upwards = upwards(&references);
        let sources = sources(&references, &upwards, &origin, options.renames);
        Self {
            paths: sorted,
            numbers,
            references,
            upwards,
            origins,
            origin,
            rates,
            sources,
        }
    }

    /// Returns the number of a path that is planned.
    pub(super) fn number(&self, path: &StorePath) -> Option<usize> {
        self.numbers.get(path).copied()
    }

    /// Returns the rate of what changes with any of `sources`.
    pub(super) fn rate(&self, sources: &Sources) -> Rate {
        let mut rate: Rate = 0;
        sources.for_each_common(sources, |origin| {
            rate = rate.saturating_add(self.rates[origin]);
        });
        rate
    }
}

/// Returns all numbers, each after what it refers to.
fn upwards(references: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(references.len());
    let mut entered = vec![false; references.len()];
    for start in 0..references.len() {
        // Each with how many of its references were looked at.
        let mut open = vec![(start, 0)];
        if std::mem::replace(&mut entered[start], true) {
            continue;
        }
        while let Some((number, looked_at)) = open.last_mut() {
            let Some(&next) = references[*number].get(*looked_at) else {
                order.push(*number);
                open.pop();
                continue;
            };
            *looked_at += 1;
            // A cycle cannot be in a store; if one is given all the same, its edge back counts for nothing.
            if !std::mem::replace(&mut entered[next], true) {
                open.push((next, 0));
            }
        }
    }
    order
}

fn sources(
    references: &[Vec<usize>],
    upwards: &[usize],
    origin: &[usize],
    renames: Renames,
) -> Vec<Sources> {
    let mut sources = vec![Sources::default(); references.len()];
    for &number in upwards {
        let mut own = Sources::default();
        own.insert(origin[number]);
        if renames == Renames::Cascade {
            for &below in references[number].iter().filter(|below| **below != number) {
                own.insert_all(&sources[below]);
            }
        }
        sources[number] = own;
    }
    sources
}
