//! What components were built with, which is nothing that is shipped.

use store::{Component, StorePath};

use super::{Inventory, Relation, Unit, UnitKind, keyed::Keyed, of_closure::unit_of};

/// Something that an object was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildTool {
    /// The object.
    pub object: StorePath,
    /// What it was built with.
    pub tool: StorePath,
    /// What is known of that.
    pub component: Component,
}

impl Inventory {
    /// Adds what its objects were built with. What an object has for another reason besides, such as a library that it is linked with, is no tool.
    #[must_use]
    pub fn with_builds(self, tools: Vec<BuildTool>) -> Self {
        let mut keyed = Keyed::from(self);
        let is_built = |unit: &Unit| matches!(unit.kind, UnitKind::Object | UnitKind::Linked);
        for one in tools {
            let (object, key) = (one.object.to_logical(), one.tool.to_logical());
            if object == key || !keyed.units.get(&object).is_some_and(is_built) {
                continue;
            }
            let evidence = "given to its builder".to_owned();
            let ends = (object, key.clone(), Relation::Build);
            keyed.edges.insert(ends, evidence);
            keyed.units.entry(key.clone()).or_insert_with(|| Unit {
                key,
                kind: UnitKind::Tool,
                ..unit_of(&one.component, None)
            });
        }
        keyed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::inventory::Edge;

    #[test]
    fn what_is_used_otherwise_or_by_nothing_in_it_is_no_tool() {
        let path =
            |name: &str| -> StorePath { format!("{}-{name}", "1".repeat(40)).parse().unwrap() };
        let unit = |name: &str| Unit {
            key: path(name).to_logical(),
            ..Unit::default()
        };
        let inventory = Inventory {
            roots: vec![0],
            units: vec![unit("app"), unit("library")],
            edges: vec![Edge {
                from: 0,
                to: 1,
                relation: Relation::Needed,
                evidence: String::new(),
            }],
            ..Inventory::default()
        };
        let tool = |object: &str, tool: &str| BuildTool {
            object: path(object),
            tool: path(tool),
            component: Component::default(),
        };
        let built = inventory.with_builds(vec![
            tool("app", "library"),
            tool("app", "maker"),
            tool("maker", "seed"),
        ]);
        let names: Vec<&str> = built.units.iter().map(|unit| &unit.key[53..]).collect();
        assert_eq!(names, ["app", "library", "maker"]);
        let edges = built.edges.iter();
        let edges: Vec<_> = edges
            .map(|edge| (edge.from, edge.to, edge.relation))
            .collect();
        let expected = [(0, 1, Relation::Needed), (0, 2, Relation::Build)];
        assert_eq!(edges, expected);
        assert_eq!(built.units[2].kind, UnitKind::Tool);
    }
}
