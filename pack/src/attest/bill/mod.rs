//! What is in an image or a closure, before it is written in anybody's words.

mod build;
mod check;
mod component;
mod digests;
mod files;
mod identifier;
mod license;
mod linked;
mod load;
mod makers;
mod model;
mod options;
#[cfg(test)]
pub(crate) mod sample;
mod whole;

pub use build::BillInputs;
pub use check::BillFault;
pub(super) use license::license_references;
pub use model::{
    Bill, BillComponent, BillFile, BillPatch, BillSource, Checksum, ComponentKind, Party, Relation,
    RelationKind,
};
pub use options::{BillOptions, FileDetail, Subject, SubjectBase, SubjectKind, UnknownDetail};
pub(super) use whole::image_purl;
