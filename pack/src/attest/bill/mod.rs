//! What is in an image or a closure, before it is written in anybody's words.

mod build;
mod check;
mod files;
mod license;
mod load;
mod makers;
mod model;
mod options;
#[cfg(test)]
pub(super) mod sample;

pub use build::BillInputs;
pub(super) use build::image_purl;
pub use check::BillFault;
pub(super) use license::license_references;
pub use model::{
    Bill, BillComponent, BillFile, BillPatch, BillSource, Checksum, ComponentKind, Party, Relation,
    RelationKind,
};
pub use options::{BillOptions, FileDetail, Subject, SubjectBase, SubjectKind, UnknownDetail};
