//! Which image a bill says that it is of.
//!
//! This crate's bills have the digest of the image among the checksums of what they are about. Those of scanners have it there, in a package URL of the type `oci`,
//! whose version is the digest (purl-spec, "oci"), or for the version.

use serde_json::Value;

use crate::vulns::Purl;

/// What stands before a digest where it is a version.
const SHA256: &str = "sha256:";

/// Returns the SHA-256 digests by which a document of CycloneDX or SPDX names its subject; none where it names it by nothing.
pub(crate) fn bill_subjects(document: &Value) -> Vec<String> {
    let root = &document["metadata"]["component"];
    if root.is_object() {
        let of_cyclonedx = texts(&root["hashes"], "alg", "SHA-256", "content");
        return or_versions(of_cyclonedx, [&root["purl"], &root["version"]]);
    }
    if let Some(graph) = document["@graph"].as_array() {
        return spdx3(graph);
    }
    let list = |name: &str| document[name].as_array().into_iter().flatten();
    let mut relations = list("relationships");
    let described = relations.find(|one| {
        one["relationshipType"] == "DESCRIBES" && one["spdxElementId"] == "SPDXRef-DOCUMENT"
    });
    let described = described.map_or(
        &document["documentDescribes"][0],
        |one| &one["relatedSpdxElement"],
    );
    let Some(root) = list("packages").find(|one| one["SPDXID"] == *described) else {
        return Vec::new();
    };
    let checksums = texts(&root["checksums"], "algorithm", "SHA256", "checksumValue");
    let references = root["externalRefs"].as_array().into_iter().flatten();
    let purls = references.filter(|one| one["referenceType"] == "purl");
    let purls = purls.map(|one| &one["referenceLocator"]);
    or_versions(checksums, purls.chain([&root["versionInfo"]]))
}

/// Returns the digests that are known, or else those that are versions or in package URLs.
fn or_versions<'a>(known: Vec<String>, names: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    if !known.is_empty() {
        return known;
    }
    let versions = names.into_iter().filter_map(|name| {
        let name = name.as_str()?;
        let purl = name.parse::<Purl>().ok();
        let purl = purl.filter(|purl| purl.kind == "oci");
        let version = purl.map_or_else(|| Some(name.to_owned()), |purl| purl.version)?;
        Some(version.strip_prefix(SHA256)?.to_owned())
    });
    let mut versions: Vec<String> = versions.collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// Returns the same of a document as it is written: JSON, or the tags and values of SPDX 2.3.
pub(crate) fn document_subjects(bytes: &[u8]) -> Vec<String> {
    match serde_json::from_slice(bytes) {
        Ok(document) => bill_subjects(&document),
        Err(_) => tag_value(&String::from_utf8_lossy(bytes)),
    }
}

/// Of tags and values, the digests are those of the package that the document describes, which follow its name.
fn tag_value(text: &str) -> Vec<String> {
    const DESCRIBES: &str = "Relationship: SPDXRef-DOCUMENT DESCRIBES ";
    let described = text.lines().find_map(|line| line.strip_prefix(DESCRIBES));
    let mut element = None;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("SPDXID: ") {
            element = Some(id.trim());
        } else if element == described.map(str::trim)
            && let Some(digest) = line.strip_prefix("PackageChecksum: SHA256: ")
        {
            found.push(digest.trim().to_owned());
        }
    }
    found
}

/// Of SPDX 3, the digests are those of what the root is delivered as.
fn spdx3(graph: &[Value]) -> Vec<String> {
    let find = |kind: &str| graph.iter().find(|one| one["type"] == kind);
    let root = find("software_Sbom").map(|sbom| &sbom["rootElement"][0]);
    let delivery = graph.iter().find(|one| {
        one["relationshipType"] == "hasDistributionArtifact" && root == Some(&one["from"])
    });
    let file = delivery.map(|one| &one["to"][0]);
    let file = graph.iter().find(|one| file == Some(&one["spdxId"]));
    file.map(|file| texts(&file["verifiedUsing"], "algorithm", "sha256", "hashValue"))
        .unwrap_or_default()
}

fn texts(list: &Value, kind: &str, wanted: &str, value: &str) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    let list = list.filter(|one| one[kind] == wanted);
    list.filter_map(|one| Some(one[value].as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{DocumentFormat, SubjectBase, bill::sample},
        *,
    };
    use crate::oci::Digest;

    #[test]
    fn every_format_says_on_which_image_it_lies() {
        let digest = Digest::of(b"base");
        let base = SubjectBase {
            name: Some("registry.example/team/base:1".parse().expect("a name")),
            digest,
        };
        let bill = sample::bill_on(Some(base));
        for format in [
            DocumentFormat::CycloneDx17,
            DocumentFormat::CycloneDx16,
            DocumentFormat::Spdx3,
            DocumentFormat::Spdx2,
        ] {
            let bytes = bill.write(format).expect("no fault");
            let document: Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(bill_subjects(&document), ["6".repeat(64)], "{format:?}");
            let text = document.to_string();
            assert!(text.contains(&digest.to_hex()), "{format:?}");
            // Whoever looks for vulnerabilities is told that there is more than the bill says.
            let read = crate::vulns::read_bill(&bytes).expect("a bill");
            assert_eq!(
                read.images,
                [format!("registry.example/team/base:1 {digest}")],
                "{format:?}"
            );
        }
        let cyclonedx = bill.write(DocumentFormat::CycloneDx17).expect("no fault");
        let cyclonedx: Value = serde_json::from_slice(&cyclonedx).expect("JSON");
        let root = &cyclonedx["metadata"]["component"];
        let ancestor = &root["pedigree"]["ancestors"][0];
        assert_eq!(ancestor["hashes"][0]["content"], digest.to_hex());
        assert_eq!(
            ancestor["purl"],
            format!(
                "pkg:oci/base@sha256%3A{}?repository_url=registry.example/team/base",
                digest.to_hex()
            )
        );
        let spdx = bill.write(DocumentFormat::Spdx2).expect("no fault");
        let spdx: Value = serde_json::from_slice(&spdx).expect("JSON");
        let relationships = spdx["relationships"].as_array().expect("a list");
        let mut kinds = relationships.iter().map(|one| &one["relationshipType"]);
        assert!(kinds.any(|kind| kind == "DESCENDANT_OF"));
        // Of a base nothing is known, so neither is the license of the whole.
        assert_eq!(bill.root().and_then(|root| root.concluded.as_ref()), None);
    }

    #[test]
    fn every_format_says_of_which_image_it_is() {
        for format in [
            DocumentFormat::CycloneDx17,
            DocumentFormat::CycloneDx16,
            DocumentFormat::Spdx3,
            DocumentFormat::Spdx2,
            DocumentFormat::Spdx2TagValue,
        ] {
            let bytes = sample::bill().write(format).expect("no fault");
            assert_eq!(document_subjects(&bytes), ["6".repeat(64)], "{format:?}");
        }
        assert_eq!(document_subjects(b"SPDXID: SPDXRef-a\n"), [""; 0]);
        // As scanners write it.
        let purl = format!("pkg:oci/app@sha256%3A{}?arch=amd64", "6".repeat(64));
        let version = format!("sha256:{}", "6".repeat(64));
        let package = |fields: Value| {
            let mut package = json!({"SPDXID": "SPDXRef-image", "name": "app"});
            let others = fields.as_object().cloned().unwrap_or_default();
            package.as_object_mut().expect("an object").extend(others);
            json!({
                "packages": [{"SPDXID": "SPDXRef-other"}, package],
                "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-image"}],
            })
        };
        for scanned in [
            json!({"metadata": {"component": {"purl": purl}}}),
            json!({"metadata": {"component": {"version": version}}}),
            package(json!({"versionInfo": version})),
            package(json!({"externalRefs": [{"referenceType": "purl", "referenceLocator": purl}]})),
        ] {
            assert_eq!(bill_subjects(&scanned), ["6".repeat(64)], "{scanned}");
        }
        let named = package(json!({"versionInfo": "1.0"}));
        assert_eq!(bill_subjects(&named), [""; 0]);
        for other in [
            json!({}),
            json!([]),
            json!({"@graph": []}),
            json!({"packages": [{}]}),
        ] {
            assert_eq!(bill_subjects(&other), [""; 0]);
        }
    }
}
