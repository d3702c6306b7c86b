//! Documents about images and closures: bills of materials and how they were made.
//!
//! [`Bill`] is the one model. It is made of what is recorded and observed ([`Gathered`](crate::audit::Gathered)), a pure function of that; writers for
//! CycloneDX 1.7 and 1.6, SPDX 3.0.1 and SPDX 2.3 turn it into bytes, always the same. Before that it checks itself, because no public validator finds
//! a license that is none or a reference to nothing: a document with a fault is never written. What is not known is said to be unknown.
//!
//! Only what is in the closure is in a bill: what was used to build it is in the [`Provenance`].
//!
//! Not responsible for: whether the licenses are allowed, and vulnerabilities, which change while the bill does not (BSI TR-03183-2, 3.1).

mod bill;
mod cyclonedx;
mod document;
mod evidence;
mod image;
mod inside;
mod json;
mod provenance;
mod spdx2;
mod spdx3;
mod subject;
mod uses;
mod uuid;

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::audit::GatherError;

#[cfg(test)]
pub(crate) use bill::sample;
pub use bill::{
    Bill, BillComponent, BillFault, BillFile, BillInputs, BillOptions, BillPatch, BillSource,
    Checksum, ComponentKind, FileDetail, Party, Relation, RelationKind, Subject, SubjectBase,
    SubjectKind, UnknownDetail,
};
pub use document::{DocumentFormat, UnknownFormat};
pub(crate) use evidence::pieces;
pub(crate) use inside::{AskedFile, BASE_ID, CREATED, IMAGE_ID, KIND, SET, SpdxSubject, to_spdx};
pub(crate) use provenance::PREDICATE as PROVENANCE;
pub use provenance::{Material, Parameters, Provenance, SandboxLevels};
pub(crate) use spdx2::{SpdxDocument, SpdxFile, SpdxPackage, SpdxRelationship};
pub(crate) use subject::{bill_subjects, document_subjects};
pub(crate) use uses::read_use;

/// Why a document could not be made.
#[derive(Debug, Error)]
pub enum AttestError {
    /// What is recorded could not be read.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// A file of the closure could not be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The document would be wrong, and is not written.
    #[error("the bill of materials has a fault, {}", .0.code())]
    Fault(#[from] BillFault),
}
