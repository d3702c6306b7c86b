//! What an audit judges: the components of a closure or an image, and how they use each other. Pure values.

mod based;
mod builds;
mod chains;
mod debian;
mod keyed;
mod observed;
mod of_bill;
mod of_closure;
mod recorded;
mod relation;
#[cfg(test)]
mod tests;
mod unit;

pub use builds::BuildTool;
pub use chains::{Chains, MAX_CHAINS};
pub use debian::copyright_owner;
pub(super) use debian::{copyright_place, is_copyright};
pub(crate) use of_closure::is_set;
pub use relation::{Relation, UnknownRelation};
pub use unit::{Edge, Inventory, Undescribed, Unit, UnitKind, UnitSource, UnitText};
