//! SPDX 2.3, as JSON and as tags and values: for tools that read nothing newer.
//!
//! Source: SPDX specification 2.3. Files are listed only where all of a package are, since a package then has a verification code over them (7.9).

mod json;
mod read;
mod tag_value;
mod words;

pub(super) use json::write_json;
pub(crate) use read::{SpdxDocument, SpdxFile, SpdxPackage, SpdxRelationship};
pub(super) use tag_value::write_tag_value;
