//! SPDX 2.3 as JSON.

use super::{
    super::{
        Bill, BillComponent, Checksum,
        json::{Array, Json, Object},
    },
    words::{
        DATA_LICENSE, DOCUMENT, NO_ASSERTION, VERSION, algorithm, all_listed, copyright, creators,
        download_location, external_references, file_name, file_reference, file_relation,
        namespace, purpose, reference, relationship, relationship_comment, source_info, supplier,
        verification_code,
    },
};

/// Returns the document.
pub(in super::super) fn write_json(bill: &Bill) -> Vec<u8> {
    let root = bill.root().map(|root| reference(&root.id));
    Json::object(|top| {
        top.value("spdxVersion", VERSION);
        top.value("dataLicense", DATA_LICENSE);
        top.value("SPDXID", DOCUMENT);
        top.value("name", &bill.name);
        top.value("documentNamespace", &namespace(bill, "spdx-2.3-json"));
        top.object("creationInfo", |info| {
            info.value("created", &bill.created.to_string());
            info.value("creators", &creators(bill));
        });
        top.value("documentDescribes", &root.iter().collect::<Vec<_>>());
        top.objects(
            "hasExtractedLicensingInfos",
            &bill.texts,
            |object, (name, text)| {
                object.value("licenseId", name);
                object.value("extractedText", text);
            },
        );
        top.objects("packages", &bill.components, |object, component| {
            package(object, bill, component);
        });
        top.array("files", |list| {
            bill.components
                .iter()
                .for_each(|component| files(list, bill, component));
        });
        top.array("relationships", |list| {
            let mut relate = |from: &str, kind: &str, to: &str, comment: &str| {
                list.object(|object| {
                    object.value("spdxElementId", from);
                    object.value("relationshipType", kind);
                    object.value("relatedSpdxElement", to);
                    object.maybe("comment", Some(comment).filter(|text| !text.is_empty()));
                });
            };
            if let Some(root) = &root {
                relate(DOCUMENT, "DESCRIBES", root, "");
            }
            for one in &bill.relations {
                let (from, to) = (reference(&one.from), reference(&one.to));
                relate(
                    &from,
                    relationship(one.kind),
                    &to,
                    &relationship_comment(one),
                );
            }
            for component in &bill.components {
                let (kind, comment) = file_relation(bill);
                for number in 0..bill.files_of(&component.id).len() {
                    let file = file_reference(&component.id, number);
                    relate(&reference(&component.id), kind, &file, comment);
                }
            }
        });
    })
}

fn package(object: &mut Object<'_>, bill: &Bill, component: &BillComponent) {
    object.value("SPDXID", &reference(&component.id));
    object.value("name", &component.name);
    object.maybe("versionInfo", component.any_version().as_ref());
    let path = component.object.as_ref().map(|(path, _)| path.to_logical());
    object.maybe("packageFileName", path.as_ref());
    object.maybe("summary", component.description.as_ref());
    object.maybe("homepage", component.homepage.as_ref());
    object.value("supplier", &supplier(component));
    object.value("downloadLocation", download_location(component));
    object.maybe("sourceInfo", source_info(component).as_ref());
    let code = verification_code(all_listed(bill, component));
    object.value("filesAnalyzed", &code.is_some());
    if let Some(code) = code {
        object.object("packageVerificationCode", |object| {
            object.value("packageVerificationCodeValue", &code);
        });
        object.value("licenseInfoFromFiles", &[NO_ASSERTION]);
    }
    object.objects("checksums", &component.checksums, checksum);
    let stated = |license: &Option<String>| license.clone().unwrap_or_else(|| NO_ASSERTION.into());
    object.value("licenseConcluded", &stated(&component.concluded));
    object.value("licenseDeclared", &stated(&component.declared));
    object.value("copyrightText", &copyright(component));
    object.value("primaryPackagePurpose", purpose(component));
    let comment = component.checksum_of.as_ref();
    let comment = comment.map(|made| format!("The checksums are those of {made}."));
    object.maybe("comment", comment.as_ref());
    object.objects(
        "externalRefs",
        external_references(component),
        |object, [category, kind, locator]| {
            object.value("referenceCategory", &category);
            object.value("referenceType", &kind);
            object.value("referenceLocator", &locator);
        },
    );
}

fn files(list: &mut Array<'_>, bill: &Bill, component: &BillComponent) {
    for (number, file) in bill.files_of(&component.id).iter().enumerate() {
        list.object(|object| {
            object.value("SPDXID", &file_reference(&component.id, number));
            object.value("fileName", &file_name(file));
            object.objects("checksums", &file.checksums, checksum);
            object.value("licenseConcluded", NO_ASSERTION);
            object.value("licenseInfoInFiles", &[NO_ASSERTION]);
            object.value("copyrightText", NO_ASSERTION);
        });
    }
}

fn checksum(object: &mut Object<'_>, checksum: &Checksum) {
    object.value("algorithm", &algorithm(checksum));
    object.value("checksumValue", &checksum.value);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::attest::bill::sample;

    #[test]
    fn some_files_of_packages_are_listed_and_not_said_to_be_all() {
        let mut bill = sample::bill();
        bill.files_are_complete = false;
        let document: Value = serde_json::from_slice(&write_json(&bill)).unwrap();
        let list = |name: &str| document[name].as_array().unwrap().clone();
        let files = list("files");
        assert_eq!(files.len(), bill.files.len());
        assert!(!files.is_empty());
        for package in list("packages") {
            assert_eq!(package["filesAnalyzed"], false);
        }
        for file in files {
            let relations = list("relationships").into_iter();
            let mut kinds = relations.filter(|one| one["relatedSpdxElement"] == file["SPDXID"]);
            let only = kinds.next().unwrap();
            assert_eq!(only["relationshipType"], "OTHER");
            assert!(only["comment"].is_string());
            assert_eq!(kinds.next(), None);
        }
    }
}
