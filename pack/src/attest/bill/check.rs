//! Whether a bill hangs together: what public validators do not look for.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::{
    Bill,
    license::{expression_fault, license_references},
};

/// Why a bill is not written. Each has a code that does not change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BillFault {
    /// A license is none.
    #[error(
        "the license of `{component}` is `{expression}`, which is no SPDX expression: {reason}"
    )]
    Expression {
        /// The software.
        component: String,
        /// What is declared or concluded.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something refers to what is not there.
    #[error("`{from}` refers to `{to}`, which is not in the bill")]
    Dangling {
        /// What refers.
        from: String,
        /// What is not there.
        to: String,
    },
    /// There is not one thing that the bill is about.
    #[error("a bill is about one thing, and this one is about {}", if .found.is_empty() { "none".to_owned() } else { .found.join(", ") })]
    Roots {
        /// What nothing refers to.
        found: Vec<String>,
    },
    /// Something has nothing to do with the root.
    #[error("nothing leads from what the bill is about to `{component}`")]
    Unconnected {
        /// The software.
        component: String,
    },
    /// Two things have the same name.
    #[error("two things in the bill are called `{id}`")]
    Duplicate {
        /// Their identifier.
        id: String,
    },
    /// A license that SPDX has no name for is not described.
    #[error("the text of `{license}`, by which `{component}` is licensed, is not in the bill")]
    NoText {
        /// The license.
        license: String,
        /// The software.
        component: String,
    },
}

impl BillFault {
    /// Returns the code of the fault, `D101` to `D106`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Expression { .. } => "D101",
            Self::Dangling { .. } => "D102",
            Self::Roots { .. } => "D103",
            Self::Unconnected { .. } => "D104",
            Self::Duplicate { .. } => "D105",
            Self::NoText { .. } => "D106",
        }
    }
}

impl Bill {
    /// Finds the first thing that is wrong. Every writer does it before it writes.
    pub fn check(&self) -> Result<(), BillFault> {
        self.check_identifiers()?;
        self.check_licenses()?;
        self.check_graph()
    }

    fn check_identifiers(&self) -> Result<(), BillFault> {
        let mut seen = BTreeSet::new();
        for component in &self.components {
            if !seen.insert(component.id.as_str()) {
                let id = component.id.clone();
                return Err(BillFault::Duplicate { id });
            }
        }
        for relation in &self.relations {
            for end in [&relation.from, &relation.to] {
                if !seen.contains(end.as_str()) {
                    return Err(BillFault::Dangling {
                        from: relation.from.clone(),
                        to: end.clone(),
                    });
                }
            }
        }
        if let Some(file) = (self.files.iter()).find(|file| !seen.contains(file.owner.as_str())) {
            return Err(BillFault::Dangling {
                from: file.path.clone(),
                to: file.owner.clone(),
            });
        }
        let mut pairs = self.files.windows(2);
        match pairs.find(|pair| pair[0].owner == pair[1].owner && pair[0].path == pair[1].path) {
            Some(pair) => Err(BillFault::Duplicate {
                id: format!("{}/{}", pair[0].owner, pair[0].path),
            }),
            None => Ok(()),
        }
    }

    fn check_licenses(&self) -> Result<(), BillFault> {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for component in &self.components {
            let expressions = [&component.declared, &component.concluded];
            for expression in expressions.into_iter().flatten() {
                // Few expressions are those of thousands of packages.
                if !known.insert(expression) {
                    continue;
                }
                if let Some(reason) = expression_fault(expression) {
                    return Err(BillFault::Expression {
                        component: component.name.clone(),
                        expression: expression.clone(),
                        reason,
                    });
                }
                let has_text = |license: &&str| {
                    let text = self.texts.get(*license);
                    text.is_some_and(|text| !text.trim().is_empty())
                };
                if let Some(license) = license_references(expression).find(|one| !has_text(one)) {
                    return Err(BillFault::NoText {
                        license: license.to_owned(),
                        component: component.name.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn check_graph(&self) -> Result<(), BillFault> {
        let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut has_parent: BTreeSet<&str> = BTreeSet::new();
        for relation in &self.relations {
            next.entry(&relation.from).or_default().push(&relation.to);
            has_parent.insert(&relation.to);
        }
        let ids = || {
            self.components
                .iter()
                .map(|component| component.id.as_str())
        };
        let roots: Vec<&str> = ids().filter(|id| !has_parent.contains(id)).collect();
        let [root] = roots.as_slice() else {
            return Err(BillFault::Roots {
                found: roots.into_iter().map(str::to_owned).collect(),
            });
        };
        let mut reached = BTreeSet::from([*root]);
        let mut pending = vec![*root];
        while let Some(id) = pending.pop() {
            for to in next.get(id).into_iter().flatten() {
                if reached.insert(to) {
                    pending.push(to);
                }
            }
        }
        let mut components = self.components.iter();
        match components.find(|component| !reached.contains(component.id.as_str())) {
            Some(component) => Err(BillFault::Unconnected {
                component: component.name.clone(),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Relation, RelationKind, sample},
        *,
    };

    /// Makes one thing wrong.
    type Break = fn(&mut Bill);

    #[test]
    fn every_fault_is_found_and_has_its_code() {
        assert_eq!(sample::bill().check(), Ok(()));
        let faults: [(&str, Break); 10] = [
            ("D101", |bill| {
                bill.components[1].declared = Some("GPLv3+ nonsense".to_owned());
            }),
            ("D101", |bill| {
                bill.components[1].concluded = Some("MIT AND".to_owned());
            }),
            ("D102", |bill| bill.relations[0].to = "nothing".to_owned()),
            ("D102", |bill| bill.files[0].owner = "nothing".to_owned()),
            ("D103", |bill| {
                // Something else that nothing leads to.
                let mut second = bill.components[0].clone();
                second.id = "second".to_owned();
                bill.components.push(second);
            }),
            ("D103", |bill| {
                bill.relations.push(Relation {
                    from: bill.components[1].id.clone(),
                    kind: RelationKind::DependsOn,
                    to: bill.components[0].id.clone(),
                    evidence: String::new(),
                });
            }),
            ("D104", |bill| {
                // Two that lead to one another and to which nothing else does.
                for (id, other) in [("a", "b"), ("b", "a")] {
                    let mut lost = bill.components[1].clone();
                    lost.id = id.to_owned();
                    bill.components.push(lost);
                    bill.relations.push(Relation {
                        from: id.to_owned(),
                        kind: RelationKind::DependsOn,
                        to: other.to_owned(),
                        evidence: String::new(),
                    });
                }
            }),
            ("D105", |bill| {
                let twin = bill.components[1].clone();
                bill.components.push(twin);
            }),
            ("D105", |bill| {
                let twin = bill.files[0].clone();
                bill.files.insert(0, twin);
            }),
            ("D106", |bill| bill.texts.clear()),
        ];
        for (code, fault) in faults {
            let mut bill = sample::bill();
            fault(&mut bill);
            let found = bill.check().map_err(|fault| fault.code());
            assert_eq!(found, Err(code));
            let format = super::super::super::DocumentFormat::Spdx3;
            assert_eq!(bill.write(format).map_err(|fault| fault.code()), Err(code));
        }
    }
}
