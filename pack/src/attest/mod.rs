//! Documents about an image: today its bill of materials.

mod spdx;

pub(crate) use spdx::{CREATED, SpdxSubject, to_spdx};
