//! One bill of materials from that in an image and those of the images below it. Pure.
//!
//! SPDX 2.3 in JSON, as this crate writes it into images: the image descends from the one below, which contains its own packages. A package that both have is
//! there once, as the upper bill says it. What of a base no bill speaks of is said to be unknown.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde_json::{Value, json};

use super::BaseLayer;
use crate::{
    attest::{BASE_ID, IMAGE_ID},
    oci::{Digest, to_canonical_json},
};

/// The lists of a document, and what its entries are known by.
const LISTS: [(&str, &str); 3] = [
    ("packages", "SPDXID"),
    ("files", "SPDXID"),
    ("hasExtractedLicensingInfos", "licenseId"),
];
const RELATIONSHIPS: &str = "relationships";
const DOCUMENT_ID: &str = "SPDXRef-DOCUMENT";
/// What the names of files begin with that a specification asks for: each document counts its own.
const ASKED: &str = "SPDXRef-asked-";

/// Joins the bill in an image with those of the images below it, the highest first; `base` is whether they speak of all that is below.
pub(super) fn merge(
    bill: &[u8],
    below: &[&[u8]],
    base: BaseLayer,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut all = parse(bill)?;
    let mut namespaces = vec![namespace(&all).to_owned()];
    for (depth, bytes) in below.iter().enumerate() {
        let lower = parse(bytes)?;
        namespaces.push(namespace(&lower).to_owned());
        add(&mut all, lower, depth);
    }
    if base == BaseLayer::Undescribed {
        let unknown = json!({
            "spdxElementId": BASE_ID, "relationshipType": "CONTAINS", "relatedSpdxElement": "NOASSERTION",
        });
        list(&mut all, RELATIONSHIPS).push(unknown);
    }
    let described: Vec<String> = (0..below.len()).map(base_id).collect();
    for package in list(&mut all, "packages") {
        let is_described = described.iter().any(|id| package["SPDXID"] == id.as_str());
        if let Some(fields) = package.as_object_mut().filter(|_| is_described) {
            // It says that nothing in the document is about that image.
            fields.remove("comment");
        }
    }
    // Another document than any of these.
    let digest = Digest::of(namespaces.join("\n").as_bytes());
    all["documentNamespace"] = json!(format!("{}-{}", namespaces[0], digest.to_hex()));
    let mut bytes = to_canonical_json(&all);
    bytes.push(b'\n');
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let document: Value = serde_json::from_slice(bytes)?;
    match document.is_object() {
        true => Ok(document),
        false => Err(serde_json::Error::custom("it is no object")),
    }
}

fn namespace(document: &Value) -> &str {
    document["documentNamespace"].as_str().unwrap_or_default()
}

/// Returns a list of a document, which has none that is something else.
fn list<'d>(document: &'d mut Value, name: &str) -> &'d mut Vec<Value> {
    let value = &mut document[name];
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was made one")
}

/// Adds what the bill of the image at a depth says: 0 is directly below.
fn add(all: &mut Value, mut lower: Value, depth: usize) {
    for (name, key) in LISTS {
        let added = std::mem::take(list(&mut lower, name));
        let own = list(all, name);
        let mut known: BTreeSet<String> = own.iter().filter_map(|one| text(one, key)).collect();
        for mut entry in added {
            rename(&mut entry, key, depth);
            if text(&entry, key).is_some_and(|id| known.insert(id)) {
                own.push(entry);
            }
        }
        if own.is_empty() {
            all.as_object_mut().map(|fields| fields.remove(name));
        }
    }
    const ENDS: [&str; 2] = ["spdxElementId", "relatedSpdxElement"];
    let added = std::mem::take(list(&mut lower, RELATIONSHIPS));
    let own = list(all, RELATIONSHIPS);
    let key = |one: &Value| {
        let parts = [ENDS[0], "relationshipType", ENDS[1], "comment"];
        parts.map(|part| text(one, part).unwrap_or_default())
    };
    let mut known: BTreeSet<[String; 4]> = own.iter().map(key).collect();
    for mut relationship in added {
        if relationship[ENDS[0]] == DOCUMENT_ID {
            continue;
        }
        for end in ENDS {
            rename(&mut relationship, end, depth);
        }
        if known.insert(key(&relationship)) {
            own.push(relationship);
        }
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

/// The name of the image at a depth: 0 is directly below.
fn base_id(depth: usize) -> String {
    match depth {
        0 => BASE_ID.to_owned(),
        depth => format!("{BASE_ID}-{depth}"),
    }
}

/// Gives what has the same name in every document another one.
fn rename(entry: &mut Value, key: &str, depth: usize) {
    let renamed = match entry[key].as_str() {
        Some(IMAGE_ID) => base_id(depth),
        Some(BASE_ID) => base_id(depth + 1),
        Some(id) => match id.strip_prefix(ASKED) {
            Some(number) => format!("{}-asked-{number}", base_id(depth)),
            None => return,
        },
        None => return,
    };
    entry[key] = json!(renamed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::existing::parse_bill;

    const PATHS: [&str; 3] = [
        "/pith/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app",
        "/pith/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-lib",
        "/pith/store/cccccccccccccccccccccccccccccccccccccccc-old",
    ];

    /// The bill of an image with these packages, each of which needs the next one.
    fn bill(name: &str, paths: &[&str], has_base: bool) -> Vec<u8> {
        let relation = |from: &str, kind: &str, to: &str| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
        let id = |path: &str| format!("SPDXRef-{}", &path[path.len() - 3..]);
        let mut packages = vec![json!({"SPDXID": IMAGE_ID, "name": name})];
        let mut relations = vec![
            relation(DOCUMENT_ID, "DESCRIBES", IMAGE_ID),
            relation(IMAGE_ID, "OTHER", "SPDXRef-asked-0"),
        ];
        if has_base {
            packages.push(json!({"SPDXID": BASE_ID, "name": "base", "comment": "Unknown."}));
            relations.push(relation(IMAGE_ID, "DESCENDANT_OF", BASE_ID));
        }
        for path in paths {
            packages.push(json!({
                "SPDXID": id(path), "name": format!("{} says {name}", &path[path.len() - 3..]), "packageFileName": path,
                "externalRefs": [{"referenceCategory": "OTHER", "referenceType": "pith-object",
                    "referenceLocator": store::ObjectId::from_bytes([1; 32]).to_string()}],
            }));
            relations.push(relation(IMAGE_ID, "CONTAINS", &id(path)));
        }
        for pair in paths.windows(2) {
            relations.push(relation(&id(pair[0]), "DEPENDS_ON", &id(pair[1])));
        }
        let files = json!([{"SPDXID": "SPDXRef-asked-0", "fileName": format!("./{name}")}]);
        let document = json!({
            "spdxVersion": "SPDX-2.3", "SPDXID": DOCUMENT_ID, "documentNamespace": format!("https://example.org/{name}"),
            "packages": packages, "files": files, "relationships": relations,
        });
        to_canonical_json(&document)
    }

    #[test]
    fn what_the_images_below_have_is_in_it_once_and_said_to_be_theirs() {
        let top = bill("top", &[PATHS[0], PATHS[1]], true);
        let middle = bill("middle", &[PATHS[1], PATHS[2]], true);
        let lowest = bill("lowest", &[PATHS[2]], false);
        let merged = merge(&top, &[&middle, &lowest], BaseLayer::Described).unwrap();
        let packages = parse_bill(&merged).unwrap();
        let found: Vec<_> = packages
            .iter()
            .map(|one| (one.name.as_str(), one.in_base, one.references.len()))
            .collect();
        let expected = [
            ("app says top", false, 1),
            ("lib says top", true, 1),
            ("old says middle", true, 0),
        ];
        assert_eq!(found, expected);
        let document: Value = serde_json::from_slice(&merged).unwrap();
        let ids = |list: &str| -> Vec<String> {
            let all = document[list].as_array().unwrap().iter();
            all.filter_map(|one| text(one, "SPDXID")).collect()
        };
        let files = [
            "SPDXRef-asked-0",
            "SPDXRef-base-asked-0",
            "SPDXRef-base-1-asked-0",
        ];
        assert_eq!(ids("files"), files);
        let all = ids("packages");
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (6, 6), "{all:?}");
        assert!(!String::from_utf8_lossy(&merged).contains("Unknown."));
        let described = document[RELATIONSHIPS].as_array().unwrap().iter();
        let described = described.filter(|one| one["relationshipType"] == "DESCRIBES");
        assert_eq!(described.count(), 1);
    }

    #[test]
    fn a_base_that_is_not_all_described_is_said_to_have_something_else() {
        let top = bill("top", &[PATHS[0]], true);
        let unknown = |base| {
            let merged = merge(&top, &[&bill("below", &[PATHS[1]], false)], base).unwrap();
            assert!(parse_bill(&merged).is_ok());
            String::from_utf8_lossy(&merged).contains("NOASSERTION")
        };
        assert!(unknown(BaseLayer::Undescribed) && !unknown(BaseLayer::Described));
        assert!(merge(b"[]", &[], BaseLayer::Described).is_err());
        assert!(merge(&top, &[b"3"], BaseLayer::Described).is_err());
    }
}
