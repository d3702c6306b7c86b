//! What a plan is made from.

use store::StorePath;

/// What the planner needs to know of a store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPath {
    /// The store path.
    pub path: StorePath,
    /// The sum of the sizes of its files.
    pub size_bytes: u64,
    /// What it refers to. Paths that are not planned are ignored.
    pub references: Vec<StorePath>,
    /// Whether it was asked for by name.
    pub requested: bool,
    /// What it changes together with ([`origin_of`](super::origin_of)).
    pub origin: String,
}
