//! What a policy concludes of licenses, for documents.

use std::collections::{BTreeMap, BTreeSet};

use super::session::assess_unit;
use crate::audit::{
    inventory::{Inventory, UnitKind},
    license::Expression,
    policy::Policy,
};

/// Returns under which licenses components are, by their keys, where that is more than what their recipes and packages declare: what somebody concluded in
/// `policy`, and what others' software says in its license file alone.
#[must_use]
pub fn conclusions(inventory: &Inventory, policy: &Policy) -> BTreeMap<String, Expression> {
    let mut used = BTreeSet::new();
    let mut found = BTreeMap::new();
    for unit in &inventory.units {
        let assessment = assess_unit(unit, &policy.clarifications, &mut used);
        let concluded = assessment.concluded.map(|concluded| concluded.expression);
        let is_read = unit.kind == UnitKind::Vendored && unit.license_evidence.is_some();
        let read = assessment.effective.filter(|_| is_read);
        if let Some(expression) = concluded.or(read) {
            found.insert(unit.key.clone(), expression);
        }
    }
    found
}

/// Returns under which licenses packages of Debian are, by their keys, whose copyright files this project has read: the same whatever a policy says.
#[must_use]
pub(crate) fn reviewed_conclusions(inventory: &Inventory) -> BTreeMap<String, Expression> {
    let packages = inventory.units.iter().filter(|unit| unit.is_debian());
    let concluded = packages.filter_map(|unit| {
        let assessment = assess_unit(unit, &[], &mut BTreeSet::new());
        Some((unit.key.clone(), assessment.concluded?.expression))
    });
    concluded.collect()
}
