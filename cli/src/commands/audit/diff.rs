//! `pith audit --diff`: what differs between two targets or images.

use pack::audit::{
    Drift, judge,
    policy::{Day, Policy},
};

use super::subject::Audited;

/// Judges both by the same policy on the same day, and compares.
pub(super) fn diff(old: &Audited, new: &Audited, policy: &Policy, today: Day) -> Drift {
    let (old, new) = (&old.inventory, &new.inventory);
    let (old_audit, new_audit) = (judge(old, policy, today), judge(new, policy, today));
    Drift::between((old, &old_audit), (new, &new_audit))
}
