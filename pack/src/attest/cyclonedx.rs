//! CycloneDX 1.7 and 1.6 as JSON.
//!
//! Sources: CycloneDX specification (ECMA-424), `bom-1.7.schema.json`; BSI TR-03183-2 v2.1.0, its mapping and the taxonomy `bsi:component:*`. What a component
//! contains stands inside it; everything that it depends on stands in the dependency graph, where each component has an entry.

use std::collections::BTreeSet;

use store::UseKind;

use super::{
    Bill, BillComponent, BillPatch, Checksum, ComponentKind, Party, RelationKind,
    bill::license_references,
    json::{Array, Json, Object},
};
use crate::layer::FORMAT_VERSION;

/// The version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spec {
    /// The first that can say "declared this, concluded that" of expressions.
    V1_7,
    V1_6,
}

impl Spec {
    const fn text(self) -> &'static str {
        match self {
            Self::V1_7 => "1.7",
            Self::V1_6 => "1.6",
        }
    }
}

/// A bill on its way to bytes.
struct Writer<'a> {
    bill: &'a Bill,
    spec: Spec,
    /// Licenses whose text stands in the document already.
    described: BTreeSet<&'a str>,
}

/// Returns the document.
pub(super) fn write(bill: &Bill, spec: Spec) -> Vec<u8> {
    let serial = bill.serial(&format!("cyclonedx-{}", spec.text()));
    let mut writer = Writer {
        bill,
        spec,
        described: BTreeSet::new(),
    };
    Json::object(|top| {
        top.value(
            "$schema",
            &format!(
                "http://cyclonedx.org/schema/bom-{}.schema.json",
                spec.text()
            ),
        );
        top.value("bomFormat", "CycloneDX");
        top.value("specVersion", spec.text());
        top.value("serialNumber", &format!("urn:uuid:{serial}"));
        top.value("version", &1);
        top.object("metadata", |metadata| writer.metadata(metadata));
        top.array("components", |list| writer.components(list));
        top.array("dependencies", |list| dependencies(bill, list));
        top.array("compositions", |list| compositions(bill, list));
    })
}

impl<'a> Writer<'a> {
    fn metadata(&mut self, metadata: &mut Object<'_>) {
        let bill = self.bill;
        metadata.value("timestamp", &bill.created.to_string());
        metadata.array("lifecycles", |list| {
            list.object(|one| one.value("phase", "build"));
        });
        metadata.object("tools", |tools| {
            tools.array("components", |list| {
                list.object(|tool| {
                    tool.value("type", "application");
                    tool.value("name", "pith");
                    tool.value("version", &FORMAT_VERSION.to_string());
                });
            });
        });
        if let Some(author) = &bill.author {
            metadata.object("manufacturer", |entity| party(entity, author));
        }
        if let Some(root) = bill.root() {
            metadata.object("component", |object| self.component(object, root));
        }
    }

    /// Writes everything but the root; what is contained in something stands there.
    fn components(&mut self, list: &mut Array<'_>) {
        for component in self.bill.components.iter().skip(1) {
            if component.kind != ComponentKind::Contained {
                list.object(|object| self.component(object, component));
            }
        }
    }

    fn component(&mut self, object: &mut Object<'_>, component: &'a BillComponent) {
        object.value("type", kind(component));
        object.value("bom-ref", &component.id);
        if let Some(supplier) = &component.supplier {
            object.object("supplier", |entity| party(entity, supplier));
        }
        // Whoever is named without an address cannot be asked.
        let can_be_asked = |party: &&Party| party.email.is_some() || party.url.is_some();
        let stated = component.makers.iter().find(can_be_asked).cloned();
        match (&component.homepage, stated.or_else(|| component.maker())) {
            (Some(homepage), _) => {
                object.object("manufacturer", |entity| entity.value("url", &[homepage]));
            }
            (None, Some(maker)) => object.object("manufacturer", |entity| party(entity, &maker)),
            (None, None) => {}
        }
        object.objects("authors", &component.makers, |object, maker| {
            object.value("name", &maker.name);
            object.maybe("email", maker.email.as_ref());
        });
        object.value("name", &component.name);
        object.maybe("version", component.any_version().as_ref());
        object.maybe("description", component.description.as_ref());
        if component.kind != ComponentKind::Image && component.kind != ComponentKind::Closure {
            object.value("scope", "required");
        }
        object.objects("hashes", &component.checksums, hash);
        self.licenses(object, component);
        let copyrights = component.copyrights.join("\n");
        object.maybe(
            "copyright",
            Some(&copyrights).filter(|text| !text.is_empty()),
        );
        object.maybe("cpe", component.cpe.as_ref());
        object.maybe("purl", component.any_purl().as_ref());
        external_references(object, component);
        self.nested(object, component);
        let ancestors: Vec<&BillComponent> = self.bill.bases_of(&component.id).collect();
        if !component.patches.is_empty() || !ancestors.is_empty() {
            object.object("pedigree", |pedigree| {
                pedigree.objects("ancestors", ancestors, ancestor);
                pedigree.objects("patches", &component.patches, patch);
            });
        }
        object.objects(
            "properties",
            self.properties(component),
            |object, (name, value)| {
                object.value("name", name);
                object.value("value", &value);
            },
        );
    }

    fn licenses(&mut self, object: &mut Object<'_>, component: &'a BillComponent) {
        let declared = component.declared.as_deref().map(|text| (text, "declared"));
        let concluded = component
            .concluded
            .as_deref()
            .map(|text| (text, "concluded"));
        let both = [declared, concluded].into_iter().flatten();
        let all: Vec<_> = match self.spec {
            Spec::V1_7 => both.collect(),
            // One expression is all that there may be, and what is passed on counts.
            Spec::V1_6 => both.rev().take(1).collect(),
        };
        object.objects("licenses", all, |object, (expression, acknowledgement)| {
            object.value("expression", expression);
            object.value("acknowledgement", acknowledgement);
            if self.spec == Spec::V1_7 {
                self.texts(object, expression);
            }
        });
    }

    /// Writes the text of each license without a name where it is met first.
    fn texts(&mut self, object: &mut Object<'_>, expression: &'a str) {
        let texts = &self.bill.texts;
        let described = &mut self.described;
        let new: Vec<(&str, &String)> = license_references(expression)
            .filter(|name| described.insert(name))
            .filter_map(|name| Some((name, texts.get(name)?)))
            .collect();
        object.objects("expressionDetails", new, |object, (name, text)| {
            object.value("licenseIdentifier", name);
            object.object("text", |attachment| {
                attachment.value("contentType", "text/plain");
                attachment.value("content", text);
            });
        });
    }

    /// Writes what a component contains, and its files.
    fn nested(&mut self, object: &mut Object<'_>, component: &'a BillComponent) {
        let bill = self.bill;
        // Contained software follows its container.
        let before = format!("{}-", component.id);
        let start = bill.components.partition_point(|one| {
            matches!(one.kind, ComponentKind::Image | ComponentKind::Closure) || one.id < before
        });
        let contained = bill.components[start..].iter();
        let contained: Vec<&BillComponent> = contained
            .take_while(|one| one.id.starts_with(&before))
            .filter(|one| one.kind == ComponentKind::Contained)
            .collect();
        let files = bill.files_of(&component.id);
        if contained.is_empty() && files.is_empty() {
            return;
        }
        object.array("components", |list| {
            for one in contained {
                list.object(|object| self.component(object, one));
            }
            for (number, file) in files.iter().enumerate() {
                list.object(|object| {
                    object.value("type", "file");
                    object.value("bom-ref", &format!("{}-file-{number}", component.id));
                    let name = if file.path.is_empty() {
                        "."
                    } else {
                        &file.path
                    };
                    object.value("name", name);
                    object.objects("hashes", &file.checksums, hash);
                    if file.is_executable {
                        object.objects("properties", [()], |object, ()| {
                            object.value("name", "bsi:component:executable");
                            object.value("value", "executable");
                        });
                    }
                });
            }
        });
    }

    fn properties(&self, component: &BillComponent) -> Vec<(&'static str, String)> {
        let mut properties = Vec::new();
        if let Some(name) = &component.filename {
            properties.push(("bsi:component:filename", name.clone()));
            let is_executable = match component.is_executable {
                true => "executable",
                false => "non-executable",
            };
            properties.push(("bsi:component:executable", is_executable.to_owned()));
            let is_archive = match component.checksum_of.is_some() || component.is_image() {
                true => "archive",
                false => "no archive",
            };
            properties.push(("bsi:component:archive", is_archive.to_owned()));
            properties.push(("bsi:component:structured", "structured".to_owned()));
        }
        if let Some(concluded) = &component.concluded {
            properties.push(("bsi:component:effectiveLicence", concluded.clone()));
        }
        if let Some((path, id)) = &component.object {
            properties.push(("pith:store-path", path.to_logical()));
            properties.push(("pith:object", id.to_string()));
        }
        if let Some(place) = &component.evidence {
            properties.push(("pith:license-read-in", place.clone()));
        }
        if let Some(place) = &component.makers_evidence {
            properties.push(("pith:makers-read-in", place.clone()));
        }
        for patch in &component.patches {
            properties.push((
                "pith:patch",
                format!("{} sha256:{}", patch.name, patch.sha256),
            ));
        }
        let relations = self.bill.relations_of(&component.id).iter();
        let links = relations.filter_map(|one| Some((link_property(one.kind)?, one)));
        properties.extend(links.map(|(name, one)| (name, format!("{} {}", one.to, one.evidence))));
        properties
    }
}

impl BillComponent {
    fn is_image(&self) -> bool {
        self.kind == ComponentKind::Image
    }
}

/// How one component hangs together with another; the format itself only says that it depends on it.
const fn link_property(kind: RelationKind) -> Option<&'static str> {
    match kind {
        RelationKind::StaticLink => Some("pith:static-link"),
        RelationKind::Uses(UseKind::Needed) => Some("pith:dynamic-link"),
        RelationKind::Uses(UseKind::Dlopen) => Some("pith:loads-on-demand"),
        RelationKind::Uses(UseKind::Interpreter) => Some("pith:is-run-by"),
        RelationKind::Contains | RelationKind::DependsOn | RelationKind::DescendantOf => None,
    }
}

fn kind(component: &BillComponent) -> &'static str {
    match component.kind {
        ComponentKind::Image | ComponentKind::Base => "container",
        ComponentKind::Closure => "application",
        ComponentKind::Object if component.is_executable => "application",
        _ => "library",
    }
}

fn party(object: &mut Object<'_>, party: &Party) {
    object.value("name", &party.name);
    object.maybe("url", party.url.as_ref().map(|url| [url]).as_ref());
    object.objects("contact", &party.email, |contact, email| {
        contact.value("email", email);
    });
}

fn hash(object: &mut Object<'_>, checksum: &Checksum) {
    object.value("alg", checksum.algorithm);
    object.value("content", &checksum.value);
}

/// What the image lies on, which is a component with more about it, too.
fn ancestor(object: &mut Object<'_>, base: &BillComponent) {
    object.value("type", kind(base));
    object.value("name", &base.name);
    object.maybe("version", base.version.as_ref());
    object.objects("hashes", &base.checksums, hash);
    object.maybe("purl", base.purl.as_ref());
}

/// A patch of somebody else's for an older version where it fixes something that has a number, else one's own.
fn patch(object: &mut Object<'_>, patch: &BillPatch) {
    let is_backport = !patch.fixes.is_empty();
    object.value(
        "type",
        if is_backport {
            "backport"
        } else {
            "unofficial"
        },
    );
    object.objects("resolves", &patch.fixes, |issue, fix| {
        issue.value("type", "security");
        issue.value("id", fix);
    });
}

fn external_references(object: &mut Object<'_>, component: &BillComponent) {
    struct External<'c> {
        kind: &'static str,
        url: String,
        comment: Option<&'c str>,
        checksums: &'c [Checksum],
    }
    let mut references = Vec::new();
    if let Some((path, _)) = &component.object
        && component.filename.is_some()
    {
        references.push(External {
            kind: "distribution",
            url: path.to_logical(),
            comment: component.checksum_of.as_deref(),
            checksums: &component.checksums,
        });
    } else if component.filename.is_some() && !component.checksums.is_empty() {
        references.push(External {
            kind: "distribution",
            url: component.filename.clone().unwrap_or_default(),
            comment: component.checksum_of.as_deref(),
            checksums: &component.checksums,
        });
    }
    for source in &component.sources {
        references.push(External {
            kind: "source-distribution",
            url: source.urls.first().unwrap_or(&source.name).clone(),
            comment: Some(&source.name),
            checksums: &source.checksums,
        });
    }
    if let Some(homepage) = &component.homepage {
        references.push(External {
            kind: "website",
            url: homepage.clone(),
            comment: None,
            checksums: &[],
        });
    }
    object.objects("externalReferences", references, |object, reference| {
        object.value("type", reference.kind);
        object.value("url", &reference.url);
        object.maybe("comment", reference.comment);
        object.objects("hashes", reference.checksums, hash);
    });
}

/// Writes an entry for each component, also those that need nothing.
fn dependencies(bill: &Bill, list: &mut Array<'_>) {
    for component in &bill.components {
        let is_root = matches!(
            component.kind,
            ComponentKind::Image | ComponentKind::Closure
        );
        let relations = bill.relations_of(&component.id).iter();
        // An image contains store paths, and depends on those that were asked for and on what is below it.
        let needed = relations.filter(|one| !is_root || one.kind != RelationKind::Contains);
        let needed: BTreeSet<&str> = needed.map(|one| one.to.as_str()).collect();
        list.object(|object| {
            object.value("ref", &component.id);
            object.value("dependsOn", &needed);
        });
    }
}

/// Says of which components everything is known that they depend on.
fn compositions(bill: &Bill, list: &mut Array<'_>) {
    for (aggregate, is_complete) in [("complete", true), ("unknown", false)] {
        let components = bill.components.iter();
        let those = components.filter(|component| component.is_complete == is_complete);
        let those: Vec<&str> = those.map(|component| component.id.as_str()).collect();
        if !those.is_empty() {
            list.object(|object| {
                object.value("aggregate", aggregate);
                object.value("dependencies", &those);
            });
        }
    }
}
