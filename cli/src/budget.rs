//! `--budget`: how large a closure may be.

use std::cmp::Reverse;

use store::{Closure, PathInfo};
use thiserror::Error;

use crate::error::{CommandError, ExitStatus};
use crate::output::{human_bytes, plural};
use crate::size::Size;

/// How many of the largest objects are named when the budget is exceeded.
const NAMED: usize = 3;

/// The closure is larger than it may be.
#[derive(Debug, Error)]
#[error("{} in {} is more than the budget of {}", human_bytes(*size_bytes), plural(*objects, "store object"), human_bytes(*budget_bytes))]
struct OverBudget {
    size_bytes: u64,
    objects: usize,
    budget_bytes: u64,
}

/// The objects of a closure, the largest first.
pub(crate) fn by_size(closure: &Closure) -> Vec<&PathInfo> {
    let mut infos: Vec<&PathInfo> = closure.infos().iter().collect();
    infos.sort_by_cached_key(|info| (Reverse(info.size_bytes), info.path.to_logical()));
    infos
}

/// Refuses a closure whose files are more than `budget`, and names the largest objects.
pub(crate) fn check_budget(closure: &Closure, budget: Size) -> Result<(), CommandError> {
    if closure.size_bytes() <= budget.bytes {
        return Ok(());
    }
    let infos = by_size(closure);
    let error = OverBudget {
        size_bytes: closure.size_bytes(),
        objects: infos.len(),
        budget_bytes: budget.bytes,
    };
    let largest: Vec<String> = infos
        .iter()
        .take(NAMED)
        .map(|info| {
            let size = human_bytes(info.size_bytes);
            format!("  {size:>10}  {}", info.path.to_logical())
        })
        .collect();
    Err(CommandError::new(ExitStatus::No, error)
        .note(format!("the largest:\n{}", largest.join("\n")))
        .hint("`pith why TARGET PATH` says what needs one of them, in which file"))
}
