//! Which image a bill says that it is of.

use serde_json::Value;

/// Returns the SHA-256 digests by which a document of CycloneDX or SPDX names its subject; none where it names it by nothing.
pub(crate) fn bill_subjects(document: &Value) -> Vec<String> {
    let root = &document["metadata"]["component"]["hashes"];
    let of_cyclonedx = texts(root, "alg", "SHA-256", "content");
    if !of_cyclonedx.is_empty() {
        return of_cyclonedx;
    }
    if let Some(graph) = document["@graph"].as_array() {
        return spdx3(graph);
    }
    let described = &document["documentDescribes"][0];
    let packages = document["packages"].as_array().into_iter().flatten();
    let root = packages.into_iter().find(|one| one["SPDXID"] == *described);
    root.map(|root| texts(&root["checksums"], "algorithm", "SHA256", "checksumValue"))
        .unwrap_or_default()
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
        super::{DocumentFormat, bill::sample},
        *,
    };

    #[test]
    fn every_format_says_of_which_image_it_is() {
        for format in [
            DocumentFormat::CycloneDx17,
            DocumentFormat::CycloneDx16,
            DocumentFormat::Spdx3,
            DocumentFormat::Spdx2,
        ] {
            let bytes = sample::bill().write(format).expect("no fault");
            let document = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(bill_subjects(&document), ["6".repeat(64)], "{format:?}");
        }
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
