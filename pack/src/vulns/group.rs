//! The matches of one component, put together by vulnerability: databases have several names for one. Pure.

use std::collections::BTreeMap;

use super::{Advisory, Affected, judge::Verdict, subject::Known};

/// One part of a record that is about a component, and what it says of its version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit<'a> {
    pub(super) advisory: &'a Advisory,
    pub(super) affected: &'a Affected,
    pub(super) known: &'a Known<'a>,
    pub(super) verdict: Verdict,
}

/// Puts hits together whose records have a name in common; by the smallest of their names.
pub(super) fn by_vulnerability<'a>(hits: Vec<Hit<'a>>) -> Vec<Vec<Hit<'a>>> {
    let mut parents: Vec<usize> = (0..hits.len()).collect();
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, hit) in hits.iter().enumerate() {
        for name in names(hit.advisory) {
            match first.get(name) {
                Some(&other) => {
                    let (a, b) = (root(&parents, other), root(&parents, index));
                    if let Some(parent) = parents.get_mut(a.max(b)) {
                        *parent = a.min(b);
                    }
                }
                None => {
                    first.insert(name, index);
                }
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<Hit<'a>>> = BTreeMap::new();
    for (index, hit) in hits.into_iter().enumerate() {
        groups.entry(root(&parents, index)).or_default().push(hit);
    }
    groups.into_values().collect()
}

fn root(parents: &[usize], mut index: usize) -> usize {
    while let Some(&parent) = parents.get(index) {
        if parent == index {
            break;
        }
        index = parent;
    }
    index
}

/// All names of a record. Debian's and others' records of a CVE are called for it.
fn names(advisory: &Advisory) -> impl Iterator<Item = &str> {
    let aliases = advisory.aliases.iter().map(String::as_str);
    let own = advisory.id.as_str();
    let within = own
        .strip_prefix("DEBIAN-")
        .filter(|rest| rest.starts_with("CVE-"));
    [own].into_iter().chain(within).chain(aliases)
}

/// All names of a vulnerability, sorted; one of CVE first, if there is one.
pub(super) fn ids<'a>(group: &[Hit<'a>]) -> Vec<&'a str> {
    let mut found: Vec<&str> = group.iter().flat_map(|hit| names(hit.advisory)).collect();
    found.sort_unstable_by_key(|name| (!name.starts_with("CVE-"), *name));
    found.dedup();
    found
}
