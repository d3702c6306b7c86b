//! Rules that a recipe and what was built from it should keep: a table of codes, and pure checks.
//!
//! **Invariant.** A finding names a rule, a place in a recipe and a way out. What a rule means does not depend on the machine: the same
//! recipe and the same outputs have the same findings.
//!
//! * [`Rule`]: every rule with its code, severity and way out.
//! * [`check_recipe`]: what the recipe says. [`check_files`]: what was built. Both are given all they look at.
//!
//! Not responsible for: what a builder's outputs must never be (`build` refuses those), finding outputs, running smoke commands, printing.

mod finding;
mod license;
mod outputs;
mod recipe;
mod rule;

pub use finding::Finding;
pub use outputs::{FileProblem, check_files};
pub use recipe::{RecipeText, check_recipe};
pub use rule::{Rule, Severity};
