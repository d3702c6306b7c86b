//! SPDX 3.0.1 as JSON-LD.
//!
//! Sources: SPDX 3.0.1 with its JSON schema and SHACL model; BSI TR-03183-2 v2.1.0, whose mapping asks for a file that each package is delivered as, for a
//! dependency relation also of those that need nothing, and for a statement of completeness with each.

mod agents;
mod elements;
mod licenses;
mod relations;
mod write;

pub(super) use write::write;
