//! The components of a closure or an image, and how they use each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;
use store::facts::Finding;

use super::Relation;
use crate::audit::Step;

/// What is judged: components, and how they use each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// What was asked for, by its place in `units`.
    pub roots: Vec<usize>,
    /// The components, ascending by key.
    pub units: Vec<Unit>,
    /// How they use each other, ascending, without duplicates.
    pub edges: Vec<Edge>,
    /// Bytes that no component describes.
    pub undescribed: Vec<Undescribed>,
    /// Whether all this is from a bill of materials, which has neither sources nor anything that was observed.
    pub is_bill: bool,
}

/// One component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// What distinguishes it from all others: its store path, its package URL, or its name in the toolchain.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// What it is.
    pub kind: UnitKind,
    /// Its package URL.
    pub purl: Option<String>,
    /// The license that it declares, as it is written.
    pub declared: Option<String>,
    /// Where that was read, if no recipe declares it.
    pub license_evidence: Option<String>,
    /// The line of the recipe: label and line.
    pub recipe: Option<String>,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    /// What of its sources is in nothing that is shipped, as its recipe says: what paths begin with, and why.
    pub unshipped: BTreeMap<String, String>,
    /// How tightly its builds were confined, each level once.
    pub sandboxes: Vec<String>,
    /// The archives that it is made of.
    pub sources: Vec<UnitSource>,
    /// What its sources say of licenses; none where nobody has looked.
    pub findings: Option<Vec<Finding>>,
    /// The license texts of its sources.
    pub texts: Vec<UnitText>,
    /// Its regular files, relative to the store path, and their SHA-256.
    pub files: Vec<(String, String)>,
}

/// What a component is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    /// A store object of what is shipped.
    #[default]
    Object,
    /// A store object that is linked into others and is not shipped itself.
    Linked,
    /// Software of others in the source of one, such as a crate.
    Vendored,
    /// A part of the toolchain that is linked into what it makes.
    Toolchain,
    /// A list of others, such as packages of Debian that are put together: it has nothing of its own to be licensed.
    Set,
    /// What others were built with. Nothing of it is shipped.
    Tool,
}

/// One archive of sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnitSource {
    /// Its file name.
    pub name: String,
    /// Its digest, with the algorithm before it.
    pub digest: String,
    /// Where it can be fetched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

/// One license text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnitText {
    /// The file in the source.
    pub path: String,
    /// SHA-256 of its words.
    pub normal: String,
}

/// How one component uses another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who uses.
    pub from: usize,
    /// What is used.
    pub to: usize,
    /// In which way.
    pub relation: Relation,
    /// Where that was seen.
    pub evidence: String,
}

/// Bytes that no component describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undescribed {
    /// What they are in, for instance the digest of a layer.
    pub place: String,
    /// Their number, as they are stored there.
    pub size_bytes: u64,
    /// What made them, as the image says.
    pub made_by: Option<String>,
    /// What shows that it was not pith.
    pub foreign: Option<String>,
}

impl Unit {
    /// Returns its name and version, as people say it.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.version {
            Some(version) => format!("{}-{version}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Inventory {
    /// Puts the edges in order: each once, a mere reference only where nothing says more about the same two, and that one built the other only where nothing else
    /// is said of them.
    pub(super) fn settle(&mut self) {
        self.edges.sort();
        self.edges
            .dedup_by(|b, a| (a.from, a.to, a.relation) == (b.from, b.to, b.relation));
        let explains = |edge: &Edge| {
            matches!(
                edge.relation,
                Relation::Needed | Relation::Dlopen | Relation::Interpreter
            )
        };
        let explained: BTreeSet<(usize, usize)> = self
            .edges
            .iter()
            .filter(|edge| explains(edge))
            .map(|edge| (edge.from, edge.to))
            .collect();
        let mut last = None;
        self.edges.retain(|edge| {
            // The relations of two components stand together, what joins them least last.
            let is_first = last.replace((edge.from, edge.to)) != Some((edge.from, edge.to));
            match edge.relation {
                Relation::Reference => !explained.contains(&(edge.from, edge.to)),
                Relation::Build => is_first,
                _ => true,
            }
        });
    }

    /// Returns how `unit` is used: one edge for each user and way.
    pub fn uses_of(&self, unit: usize) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == unit)
    }

    /// Returns the edges by who uses.
    #[must_use]
    pub fn outgoing(&self) -> Vec<Vec<&Edge>> {
        let mut outgoing = vec![Vec::new(); self.units.len()];
        for edge in &self.edges {
            if let Some(list) = outgoing.get_mut(edge.from) {
                list.push(edge);
            }
        }
        outgoing
    }

    /// Returns for each component the edge by which it is reached first from what was asked for; none for that itself and for what is not reached.
    #[must_use]
    pub fn shortest_tree(&self) -> Vec<Option<&Edge>> {
        let outgoing = self.outgoing();
        let mut reached: Vec<Option<&Edge>> = vec![None; self.units.len()];
        let mut seen: BTreeSet<usize> = self.roots.iter().copied().collect();
        let mut pending: VecDeque<usize> = self.roots.iter().copied().collect();
        while let Some(unit) = pending.pop_front() {
            for edge in outgoing.get(unit).into_iter().flatten() {
                if seen.insert(edge.to) {
                    if let Some(slot) = reached.get_mut(edge.to) {
                        *slot = Some(edge);
                    }
                    pending.push_back(edge.to);
                }
            }
        }
        reached
    }

    /// Returns the chain that leads to `unit` along `tree`, and ends with `last` where that is given.
    #[must_use]
    pub fn chain(&self, tree: &[Option<&Edge>], unit: usize, last: Option<&Edge>) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut next = last.or_else(|| tree.get(unit).copied().flatten());
        let mut at = unit;
        while let Some(edge) = next {
            steps.push(self.step(at, Some(edge)));
            at = edge.from;
            next = tree.get(at).copied().flatten();
            // An edge given by the caller may close a circle.
            if steps.len() > self.units.len() {
                break;
            }
        }
        steps.push(self.step(at, None));
        steps.reverse();
        steps
    }

    /// Returns one step of a chain: a component, and the edge that leads to it.
    pub(super) fn step(&self, unit: usize, edge: Option<&Edge>) -> Step {
        Step {
            component: self.units.get(unit).map(Unit::label).unwrap_or_default(),
            relation: edge.map(|edge| edge.relation.verb()),
            evidence: edge
                .map(|edge| edge.evidence.clone())
                .filter(|evidence| !evidence.is_empty()),
        }
    }
}
