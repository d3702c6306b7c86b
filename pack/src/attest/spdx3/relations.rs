//! How the elements hang together.

use store::UseKind;

use super::{
    super::{Bill, BillComponent, Relation, RelationKind, uses::use_comment},
    elements::Elements,
};

/// What stands where a component needs nothing.
const NONE: &str = "https://spdx.org/rdf/3.0.1/terms/Core/NoneElement";

/// Relations in the making; each has a number.
pub(super) struct Relations {
    number: usize,
}

/// Whether there is nothing of the kind beside what is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    Complete,
    Incomplete,
    Unknown,
}

impl Completeness {
    const fn of(is_complete: bool) -> Self {
        if is_complete {
            Self::Complete
        } else {
            Self::Unknown
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Unknown => "noAssertion",
        }
    }
}

impl Relations {
    pub(super) const fn new() -> Self {
        Self { number: 0 }
    }

    /// Writes one relation from an element to others.
    pub(super) fn add(
        &mut self,
        elements: &mut Elements<'_, '_>,
        from: &str,
        kind: &str,
        to: &[String],
        completeness: Completeness,
    ) {
        self.add_with(elements, "Relationship", from, kind, to, completeness, "");
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a field of the relation that is written"
    )]
    fn add_with(
        &mut self,
        elements: &mut Elements<'_, '_>,
        class: &str,
        from: &str,
        kind: &str,
        to: &[String],
        completeness: Completeness,
        comment: &str,
    ) {
        let id = format!("relation-{}", self.number);
        self.number += 1;
        elements.add(class, &id, |object| {
            object.value("from", from);
            object.value("relationshipType", kind);
            object.value("to", to);
            object.value("completeness", completeness.text());
            if class == "LifecycleScopedRelationship" {
                object.value("scope", "runtime");
            }
            object.maybe("comment", Some(comment).filter(|text| !text.is_empty()));
        });
    }

    /// Writes how a component hangs together with others; that it needs none, too.
    pub(super) fn add_of(
        &mut self,
        elements: &mut Elements<'_, '_>,
        bill: &Bill,
        component: &BillComponent,
    ) {
        let from = elements.iri(&component.id);
        let completeness = Completeness::of(component.is_complete);
        let all = bill.relations_of(&component.id);
        let of = |kind| all.iter().filter(move |one| one.kind == kind);
        let iris = |kind, elements: &Elements<'_, '_>| -> Vec<String> {
            of(kind).map(|one| elements.iri(&one.to)).collect()
        };
        let contains = iris(RelationKind::Contains, elements);
        if !contains.is_empty() {
            self.add(elements, &from, "contains", &contains, completeness);
        }
        let bases = iris(RelationKind::DescendantOf, elements);
        if !bases.is_empty() {
            let complete = Completeness::Complete;
            self.add(elements, &from, "descendantOf", &bases, complete);
        }
        let mut needs = iris(RelationKind::DependsOn, elements);
        if needs.is_empty() {
            needs.push(NONE.to_owned());
        }
        self.add_with(
            elements,
            "LifecycleScopedRelationship",
            &from,
            "dependsOn",
            &needs,
            completeness,
            "",
        );
        for one in all {
            let Some((class, kind, comment)) = link(one) else {
                continue;
            };
            let to = [elements.iri(&one.to)];
            self.add_with(elements, class, &from, kind, &to, completeness, &comment);
        }
    }
}

/// Returns the class, the type and the comment of a link; none of what is no link. There is no type for what runs a program.
fn link(relation: &Relation) -> Option<(&'static str, &'static str, String)> {
    let use_kind = match relation.kind {
        RelationKind::StaticLink => {
            return Some(("Relationship", "hasStaticLink", relation.evidence.clone()));
        }
        RelationKind::Uses(kind) => kind,
        RelationKind::Contains | RelationKind::DependsOn | RelationKind::DescendantOf => {
            return None;
        }
    };
    let kind = match use_kind {
        UseKind::Needed | UseKind::Dlopen => "hasDynamicLink",
        UseKind::Interpreter => "other",
    };
    let comment = use_comment(use_kind, &relation.evidence);
    Some(("LifecycleScopedRelationship", kind, comment))
}
