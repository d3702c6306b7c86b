//! A bill of materials that somebody has beside an image.

use serde_json::Value;

use super::{BillPackage, ExistingError, ExistingImage, packages_of};
use crate::{attest::bill_subjects, oci::Digest};

impl ExistingImage<'_> {
    /// Reads which store paths are in the image with this manifest from a bill in SPDX 2.3 that is called `document`. It has to name the image by its digest:
    /// anything else says nothing of it.
    pub fn read_given_bill(
        &self,
        manifest: Digest,
        document: &str,
        bytes: &[u8],
    ) -> Result<Vec<BillPackage>, ExistingError> {
        let unread = |source| ExistingError::Document {
            image: self.name().to_owned(),
            document: document.to_owned(),
            source,
        };
        let bill: Value = serde_json::from_slice(bytes).map_err(unread)?;
        let found = bill_subjects(&bill);
        if !found.contains(&manifest.to_hex()) {
            return Err(ExistingError::OtherBill {
                image: self.name().to_owned(),
                document: document.to_owned(),
                expected: manifest,
                found,
            });
        }
        packages_of(bill).map_err(unread)
    }
}
