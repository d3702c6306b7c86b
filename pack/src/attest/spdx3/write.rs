//! The document, element by element.

use super::{
    super::{
        Bill, BillComponent, BillFile, ComponentKind,
        json::{Json, Object},
    },
    agents::Agents,
    elements::{CREATION, Elements, external_identifiers, external_reference, verified_using},
    licenses::Licenses,
    relations::{Completeness, Relations},
};
use crate::layer::FORMAT_VERSION;

const CONTEXT: &str = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld";
/// Why files have purposes that they do not have in the words of SPDX.
const PURPOSES: &str =
    "software_additionalPurpose field is used to indicate the properties of BSI TR-03183-2";

/// Returns the document.
pub(in super::super) fn write(bill: &Bill) -> Vec<u8> {
    let namespace = format!("urn:uuid:{}#", bill.serial("spdx-3.0.1"));
    Json::object(|top| {
        top.value("@context", CONTEXT);
        top.array("@graph", |list| {
            let mut elements = Elements {
                list,
                namespace: &namespace,
            };
            let agents = Agents::add(&mut elements, bill);
            let licenses = Licenses::add(&mut elements, bill);
            let mut document = Document {
                bill,
                agents,
                licenses,
                relations: Relations::new(),
            };
            document.head(&mut elements);
            for component in &bill.components {
                document.component(&mut elements, component);
            }
        });
    })
}

/// What is known while the elements are written.
struct Document<'a> {
    bill: &'a Bill,
    agents: Agents,
    licenses: Licenses,
    relations: Relations,
}

impl Document<'_> {
    /// Writes the document itself, the bill that it holds, and who made them.
    fn head(&self, elements: &mut Elements<'_, '_>) {
        elements.list.object(|object| {
            object.value("type", "CreationInfo");
            object.value("@id", CREATION);
            object.value("specVersion", "3.0.1");
            object.value("created", &self.bill.created.to_string());
            object.value("createdBy", &[&self.agents.author]);
            object.value("createdUsing", &[&self.agents.tool]);
            object.value(
                "comment",
                &format!("written by pith, format {FORMAT_VERSION}"),
            );
        });
        let root = self.bill.root().map(|root| elements.iri(&root.id));
        let components = self.bill.components.iter();
        let members: Vec<String> = components.map(|one| elements.iri(&one.id)).collect();
        let sbom = elements.add("software_Sbom", "sbom", |object| {
            object.value("software_sbomType", &["build"]);
            object.value("rootElement", &root.iter().collect::<Vec<_>>());
            object.value("element", &members);
        });
        elements.add("SpdxDocument", "document", |object| {
            object.value("name", &self.bill.name);
            object.value(
                "profileConformance",
                &["core", "software", "simpleLicensing"],
            );
            object.maybe("dataLicense", self.licenses.of_document());
            object.value("rootElement", &[sbom]);
        });
    }

    fn component(&mut self, elements: &mut Elements<'_, '_>, component: &BillComponent) {
        let iri = elements.add("software_Package", &component.id, |object| {
            self.package(object, component);
        });
        self.delivered(elements, &iri, component);
        self.sources(elements, &iri, component);
        self.patches(elements, &iri, component);
        for (kind, license) in [
            ("hasDeclaredLicense", &component.declared),
            ("hasConcludedLicense", &component.concluded),
        ] {
            let license = license.as_ref();
            if let Some(license) = license.and_then(|text| self.licenses.find(text)) {
                let to = [license.clone()];
                self.relations
                    .add(elements, &iri, kind, &to, Completeness::Complete);
            }
        }
        self.relations.add_of(elements, self.bill, component);
        let files = self.bill.files_of(&component.id);
        let files: Vec<String> = (files.iter().enumerate())
            .map(|(number, of)| file(elements, &component.id, number, of))
            .collect();
        if !files.is_empty() {
            let completeness = match self.bill.files_are_complete {
                true => Completeness::Complete,
                false => Completeness::Incomplete,
            };
            self.relations
                .add(elements, &iri, "contains", &files, completeness);
        }
    }

    fn package(&self, object: &mut Object<'_>, component: &BillComponent) {
        object.value("name", &component.name);
        object.maybe("summary", component.description.as_ref());
        object.maybe("software_packageVersion", component.any_version().as_ref());
        object.maybe("software_homePage", component.homepage.as_ref());
        let purl = component.any_purl();
        object.maybe("software_packageUrl", purl.as_ref());
        let copyrights = match component.copyrights.is_empty() {
            true => "NOASSERTION".to_owned(),
            false => component.copyrights.join("\n"),
        };
        object.value("software_copyrightText", &copyrights);
        object.value("software_primaryPurpose", purpose(component));
        let originators = self.agents.originators(component);
        object.maybe(
            "originatedBy",
            Some(&originators).filter(|known| !known.is_empty()),
        );
        object.maybe("suppliedBy", self.agents.supplier(component));
        let id = component.object.as_ref().map(|(_, id)| id.to_string());
        let purl = purl.iter().map(|purl| ("packageUrl", purl));
        let cpe = component.cpe.iter().map(|cpe| ("cpe23", cpe));
        let object_id = id.iter().map(|id| ("other", id));
        external_identifiers(object, purl.chain(cpe).chain(object_id));
    }

    /// Writes the file or directory that a package is delivered as.
    fn delivered(&mut self, elements: &mut Elements<'_, '_>, iri: &str, component: &BillComponent) {
        let Some(name) = &component.filename else {
            return;
        };
        let id = format!("{}-delivered", component.id);
        let file = elements.add("software_File", &id, |object| {
            object.value("name", name);
            let is_archive =
                component.checksum_of.is_some() || component.kind == ComponentKind::Image;
            let purposes: Vec<&str> = [
                (component.is_executable, "executable"),
                (is_archive, "archive"),
                (true, "container"),
            ]
            .into_iter()
            .filter_map(|(is_so, purpose)| is_so.then_some(purpose))
            .collect();
            object.value("software_additionalPurpose", &purposes);
            let comment = match &component.checksum_of {
                Some(made) => format!("{PURPOSES}; its digests are those of {made}"),
                None => PURPOSES.to_owned(),
            };
            object.value("comment", &comment);
            verified_using(object, &component.checksums);
        });
        let kind = "hasDistributionArtifact";
        self.relations
            .add(elements, iri, kind, &[file], Completeness::Complete);
    }

    fn sources(&mut self, elements: &mut Elements<'_, '_>, iri: &str, component: &BillComponent) {
        for (number, source) in component.sources.iter().enumerate() {
            let id = format!("{}-source-{number}", component.id);
            let file = elements.add("software_File", &id, |object| {
                object.value("name", &source.name);
                object.value("software_primaryPurpose", "source");
                external_reference(object, "sourceArtifact", &source.urls);
                verified_using(object, &source.checksums);
            });
            let to = [iri.to_owned()];
            self.relations
                .add(elements, &file, "generates", &to, Completeness::Complete);
        }
    }

    fn patches(&mut self, elements: &mut Elements<'_, '_>, iri: &str, component: &BillComponent) {
        let mut patches = Vec::new();
        for (number, patch) in component.patches.iter().enumerate() {
            let id = format!("{}-patch-{number}", component.id);
            patches.push(elements.add("software_File", &id, |object| {
                object.value("name", &patch.name);
                object.value("software_primaryPurpose", "patch");
                external_identifiers(
                    object,
                    patch.fixes.iter().map(|fix| (vulnerability(fix), fix)),
                );
                object.objects("verifiedUsing", [&patch.sha256], |object, value| {
                    object.value("type", "Hash");
                    object.value("algorithm", "sha256");
                    object.value("hashValue", value);
                });
            }));
        }
        if !patches.is_empty() {
            let completeness = match component.is_complete {
                true => Completeness::Complete,
                false => Completeness::Unknown,
            };
            self.relations
                .add(elements, iri, "patchedBy", &patches, completeness);
        }
    }
}

fn vulnerability(name: &str) -> &'static str {
    if name.starts_with("CVE-") {
        "cve"
    } else {
        "securityOther"
    }
}

fn file(elements: &mut Elements<'_, '_>, owner: &str, number: usize, file: &BillFile) -> String {
    elements.add(
        "software_File",
        &format!("{owner}-file-{number}"),
        |object| {
            let name = if file.path.is_empty() {
                "."
            } else {
                &file.path
            };
            object.value("name", name);
            object.value("software_fileKind", "file");
            if file.is_executable {
                object.value("software_primaryPurpose", "executable");
            }
            verified_using(object, &file.checksums);
        },
    )
}

fn purpose(component: &BillComponent) -> &'static str {
    match component.kind {
        ComponentKind::Image | ComponentKind::Base => "container",
        ComponentKind::Closure => "application",
        ComponentKind::Object if component.is_executable => "application",
        _ => "library",
    }
}
