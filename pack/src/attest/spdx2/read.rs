//! What is read of a document of SPDX 2.2 or 2.3 in JSON, whoever wrote it. Pure.

use serde::Deserialize;

use crate::oci::or_default;

/// A document.
#[derive(Debug, Deserialize)]
pub(crate) struct SpdxDocument {
    #[serde(rename = "SPDXID")]
    pub(crate) id: Option<String>,
    pub(crate) packages: Vec<SpdxPackage>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) files: Vec<SpdxFile>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) snippets: Vec<SpdxElement>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) relationships: Vec<SpdxRelationship>,
}

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpdxFile {
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    file_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    checksums: Vec<SpdxChecksum>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxChecksum {
    algorithm: String,
    checksum_value: String,
}

impl SpdxFile {
    /// Returns where the file lies, without a slash first, and the SHA-256 of its contents in hexadecimal digits.
    pub(crate) fn place(&self) -> Option<(&str, &str)> {
        let path = self.file_name.as_deref()?.strip_prefix("./")?;
        let mut checksums = self.checksums.iter();
        let found = checksums.find(|one| one.algorithm == "SHA256")?;
        Some((path, &found.checksum_value))
    }
}

/// Something else that a relation may name.
#[derive(Debug, Deserialize)]
pub(crate) struct SpdxElement {
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
}

/// A package.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpdxPackage {
    #[serde(rename = "SPDXID")]
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) package_file_name: Option<String>,
    pub(crate) version_info: Option<String>,
    license_declared: Option<String>,
    license_concluded: Option<String>,
    pub(crate) download_location: Option<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) primary_package_purpose: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    external_refs: Vec<SpdxReference>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxReference {
    reference_type: String,
    reference_locator: String,
}

/// How two elements hang together.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpdxRelationship {
    #[serde(rename = "spdxElementId")]
    pub(crate) from: String,
    #[serde(rename = "relationshipType")]
    pub(crate) kind: String,
    #[serde(rename = "relatedSpdxElement")]
    pub(crate) to: String,
    /// What shows it.
    pub(crate) comment: Option<String>,
}

impl SpdxPackage {
    /// Returns the license that it declares or, where it declares none, the one that whoever wrote the document concluded.
    pub(crate) fn license(&self) -> Option<&str> {
        let mut stated = [&self.license_declared, &self.license_concluded].into_iter();
        stated.find_map(|license| {
            license
                .as_deref()
                .filter(|license| *license != "NOASSERTION")
        })
    }

    /// Returns the first name of the package whose type begins so.
    pub(crate) fn external(&self, kind: &str) -> Option<&str> {
        let mut all = self.external_refs.iter();
        let found = all.find(|one| one.reference_type.starts_with(kind));
        found.map(|one| one.reference_locator.as_str())
    }
}
