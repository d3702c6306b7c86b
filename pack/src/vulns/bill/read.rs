//! Telling the formats apart.

use serde::Deserialize;

use super::{BillError, cyclonedx, spdx, spdx3};
use crate::vulns::Subject;

/// A bill of materials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// What it is of: a package URL, or a name with a version.
    pub product: Option<String>,
    /// The software that it names, sorted and each once.
    pub subjects: Vec<Subject>,
    /// Other images that it names, such as the one below its own: what is in these, other bills say.
    pub images: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Format {
    bom_format: Option<String>,
    spdx_version: Option<String>,
    #[serde(rename = "@graph")]
    graph: Option<serde::de::IgnoredAny>,
}

/// Reads a bill of materials.
pub fn read_bill(bytes: &[u8]) -> Result<Bill, BillError> {
    let format: Format = serde_json::from_slice(bytes)?;
    let bill = if format.bom_format.as_deref() == Some("CycloneDX") {
        cyclonedx::read(bytes)?
    } else if format
        .spdx_version
        .is_some_and(|version| version.starts_with("SPDX-2"))
    {
        spdx::read(bytes)?
    } else if format.graph.is_some() {
        spdx3::read(bytes)?
    } else {
        return Err(BillError::Format);
    };
    if bill.subjects.is_empty() && bill.images.is_empty() {
        return Err(BillError::Empty);
    }
    Ok(bill)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulns::Relation;

    fn described(bytes: &[u8]) -> Vec<String> {
        let describe = |subject: &Subject| {
            let place = subject.places.first().map(|place| match place.relation {
                Relation::Itself => place.within.clone(),
                Relation::Vendored => format!("in {}", place.within),
                Relation::Static => format!("linked into {}", place.within),
            });
            let version = subject.version.as_deref().unwrap_or("?");
            let purl = subject.purl.as_ref().map(ToString::to_string);
            let name = purl.or_else(|| subject.cpe.clone()).unwrap_or_default();
            format!(
                "{} {version} {name} {}",
                subject.name,
                place.unwrap_or_default()
            )
        };
        read_bill(bytes)
            .unwrap()
            .subjects
            .iter()
            .map(describe)
            .collect()
    }

    #[test]
    fn all_formats_name_the_same_software() {
        let cyclonedx = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6",
            "metadata": {"component": {"type": "container", "name": "image", "purl": "pkg:oci/image@sha256:00"}},
            "components": [
                {"type": "library", "name": "curl", "version": "7.88.1", "bom-ref": "c",
                 "cpe": "cpe:2.3:a:haxx:curl:7.88.1:*:*:*:*:*:*:*",
                 "components": [{"type": "library", "name": "fast", "version": "1.0.0", "purl": "pkg:cargo/fast@1.0.0"}]}]}"#;
        let spdx = r#"{"spdxVersion": "SPDX-2.3", "packages": [
                {"SPDXID": "SPDXRef-i", "name": "image", "primaryPackagePurpose": "CONTAINER"},
                {"SPDXID": "SPDXRef-c", "name": "curl", "versionInfo": "7.88.1", "externalRefs": [
                    {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:haxx:curl:7.88.1:*:*:*:*:*:*:*"}]},
                {"SPDXID": "SPDXRef-f", "name": "fast", "versionInfo": "1.0.0", "externalRefs": [
                    {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:cargo/fast@1.0.0"}]}],
            "relationships": [
                {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-i"},
                {"spdxElementId": "SPDXRef-i", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-c"},
                {"spdxElementId": "SPDXRef-c", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-f"}]}"#;
        let spdx3 = r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
                {"type": "software_Package", "spdxId": "urn:i", "name": "image", "software_primaryPurpose": "container"},
                {"type": "software_Package", "spdxId": "urn:c", "name": "curl", "software_packageVersion": "7.88.1",
                 "externalIdentifier": [{"type": "ExternalIdentifier", "externalIdentifierType": "cpe23",
                    "identifier": "cpe:2.3:a:haxx:curl:7.88.1:*:*:*:*:*:*:*"}]},
                {"type": "software_Package", "spdxId": "urn:f", "name": "fast", "software_packageVersion": "1.0.0",
                 "software_packageUrl": "pkg:cargo/fast@1.0.0"},
                {"type": "Relationship", "from": "urn:i", "to": ["urn:c"], "relationshipType": "contains"},
                {"type": "Relationship", "from": "urn:c", "to": ["urn:f"], "relationshipType": "contains"}]}"#;
        let expected = [
            "curl 7.88.1 cpe:2.3:a:haxx:curl:7.88.1:*:*:*:*:*:*:* curl 7.88.1",
            "fast 1.0.0 pkg:cargo/fast@1.0.0 in curl 7.88.1",
        ];
        for text in [cyclonedx, spdx, spdx3] {
            assert_eq!(described(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_names_no_software_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"bomFormat": "CycloneDX"}"#,
            r#"{"bomFormat": "CycloneDX", "components": []}"#,
            r#"{"spdxVersion": "SPDX-2.3", "packages": []}"#,
            r#"{"@graph": []}"#,
            r#"{"bomFormat": "CycloneDX", "components": [{"name": 1}]}"#,
        ] {
            assert!(read_bill(text.as_bytes()).is_err(), "{text}");
        }
    }
}
