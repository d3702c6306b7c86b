//! The bill of materials in an image: SPDX 2.3, JSON.
//!
//! One package for each store path, one for each component that a path contains or that the linker copied something of into it, and one for the image; the image
//! contains every path, a path its components, depends on what it refers to, links statically what was copied and dynamically the libraries that it needs. The files that the image's specification asks
//! for are listed with their digests, and no others. Everything comes from what is registered about the paths and from that specification: no time, no random
//! identifier, no version of this program.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use store::{Component, ContainedComponent, LinkedComponent, PathInfo, StorePath};

use super::{
    evidence::{join, join_of},
    uses::{use_comment, use_relationship},
};
use crate::{
    Base,
    audit::inventory::is_set,
    layer::FORMAT_VERSION,
    oci::{Digest, to_canonical_json},
    vulns::Purl,
};

/// The time in every document and image: one second after the epoch.
pub(crate) const CREATED: &str = "1970-01-01T00:00:01Z";
const NO_ASSERTION: &str = "NOASSERTION";
/// The type of an external reference that says what a package is.
pub(crate) const KIND: &str = "pith-kind";
/// It is a mere list of others, which has nothing of its own to be licensed.
pub(crate) const SET: &str = "set";

/// What a document is about.
pub(crate) struct SpdxSubject<'a> {
    /// The name of the image for people.
    pub(crate) name: &'a str,
    /// The closure.
    pub(crate) infos: &'a [PathInfo],
    /// What lies below, of whose contents nothing is known here.
    pub(crate) base: Option<&'a Base<'a>>,
    /// The files that its specification asks for, ascending by path.
    pub(crate) asked: &'a [AskedFile<'a>],
}

/// A file that the specification of an image asks for.
pub(crate) struct AskedFile<'a> {
    /// Where it lies, without a slash first; what a base has there may lead elsewhere.
    pub(crate) path: String,
    pub(crate) contents: &'a [u8],
}

/// Returns the document, in canonical JSON with a newline at the end.
pub(crate) fn to_spdx(subject: &SpdxSubject<'_>) -> Vec<u8> {
    let mut infos: Vec<&PathInfo> = subject.infos.iter().collect();
    infos.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let ids = infos.iter().map(|info| info.id.to_string());
    let files = subject.asked.iter();
    let files = files.map(|file| format!("{} {}", Digest::of(file.contents), file.path));
    let about: Vec<String> = ids.chain(files).collect();
    let namespace = Digest::of(about.join("\n").as_bytes());

    let mut packages = vec![image_package(subject.name)];
    packages.extend(infos.iter().map(|info| package(info)));
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE_ID)];
    if let Some(base) = subject.base {
        packages.push(base_package(base));
        relationships.push(relationship(IMAGE_ID, "DESCENDANT_OF", BASE_ID));
    }
    for info in &infos {
        let id = package_id(&info.path);
        relationships.push(relationship(IMAGE_ID, "CONTAINS", &id));
        for reference in &info.references {
            relationships.push(relationship(
                &id,
                "DEPENDS_ON",
                &package_id(&reference.path),
            ));
        }
        let contains = info.component.iter().flat_map(|of| &of.contains);
        for (number, component) in contains.enumerate() {
            let own = format!("{id}-{number}");
            packages.push(contained_package(&own, component));
            relationships.push(relationship(&id, "CONTAINS", &own));
        }
    }
    add_linked(&infos, &mut packages, &mut relationships);
    add_uses(&infos, &mut relationships);
    let files = asked_files(subject.asked, &mut relationships);
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{}", subject.name, namespace.to_hex()),
        "creationInfo": {"created": CREATED, "creators": [format!("Tool: pith-pack-{FORMAT_VERSION}")]},
        "documentDescribes": [IMAGE_ID],
        "packages": packages,
        "relationships": relationships,
    });
    let lists = [
        ("files", files),
        ("hasExtractedLicensingInfos", license_references(&infos)),
    ];
    if let Some(fields) = document.as_object_mut() {
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        fields.extend(lists.map(|(name, list)| (name.to_owned(), json!(list))));
    }
    let mut bytes = to_canonical_json(&document);
    bytes.push(b'\n');
    bytes
}

/// Lists the files that the specification asks for.
fn asked_files(asked: &[AskedFile<'_>], relationships: &mut Vec<Value>) -> Vec<Value> {
    let files = asked.iter().enumerate().map(|(number, file)| {
        let id = format!("SPDXRef-asked-{number}");
        // Not as what it contains: that is for packages all of whose files are listed (SPDX 2.3, 7.8).
        let mut relation = relationship(IMAGE_ID, "OTHER", &id);
        relation["comment"] = json!("The specification of the image asks for the file.");
        relationships.push(relation);
        let sha1: [u8; 20] = Sha1::digest(file.contents).into();
        let sha1: String = sha1.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "SPDXID": id,
            "fileName": format!("./{}", file.path),
            "checksums": [
                {"algorithm": "SHA1", "checksumValue": sha1},
                {"algorithm": "SHA256", "checksumValue": Digest::of(file.contents).to_hex()},
            ],
            "licenseConcluded": NO_ASSERTION,
            "licenseInfoInFiles": [NO_ASSERTION],
            "copyrightText": NO_ASSERTION,
        })
    });
    files.collect()
}

/// Adds what the linker copied into the store paths; what lies elsewhere is a package of its own.
fn add_linked(infos: &[&PathInfo], packages: &mut Vec<Value>, relationships: &mut Vec<Value>) {
    let members: BTreeSet<&StorePath> = infos.iter().map(|info| &info.path).collect();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for info in infos {
        for linked in linked_of(info) {
            let member = linked.object.as_ref().filter(|path| members.contains(path));
            let to = match member {
                Some(path) => package_id(path),
                None => {
                    let id = linked_id(linked);
                    if known.insert(id.clone()) {
                        packages.push(linked_package(&id, linked));
                    }
                    id
                }
            };
            let mut relation = relationship(&package_id(&info.path), "STATIC_LINK", &to);
            relation["comment"] = json!(join(linked.places.iter()));
            relationships.push(relation);
        }
    }
}

/// Adds which of the store paths need which others when they run.
fn add_uses(infos: &[&PathInfo], relationships: &mut Vec<Value>) {
    let members: BTreeSet<&StorePath> = infos.iter().map(|info| &info.path).collect();
    for info in infos {
        let uses = info.component.iter().flat_map(|of| &of.uses).flatten();
        for one in uses.filter(|one| members.contains(&one.object)) {
            let (from, to) = (package_id(&info.path), package_id(&one.object));
            let mut relation = relationship(&from, use_relationship(one.kind), &to);
            // Not what the needed file is called: facts of older versions name a link to it, so that images would differ by when a store was filled.
            let files = one.places.iter().map(|place| file_of(place).to_owned());
            let files: Vec<String> = files.collect();
            let evidence = join_of(files.iter(), one.count);
            relation["comment"] = json!(use_comment(one.kind, &evidence));
            relationships.push(relation);
        }
    }
}

/// The file that needs another, of a place that names both.
fn file_of(place: &str) -> &str {
    place.split_once(": ").map_or(place, |(file, _)| file)
}

fn linked_of(info: &PathInfo) -> impl Iterator<Item = &LinkedComponent> {
    let component = info.component.as_ref();
    component
        .and_then(|of| of.linked.as_ref())
        .into_iter()
        .flatten()
}

/// Describes the licenses that SPDX has no name for: the document is invalid without. Where the text is, the evidence says.
fn license_references(infos: &[&PathInfo]) -> Vec<Value> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |license: &Option<String>, place: Option<&str>| {
        let license = license.as_deref().unwrap_or_default();
        let separators = |c: char| c.is_whitespace() || c == '(' || c == ')';
        let references = license
            .split(separators)
            .filter(|name| name.starts_with("LicenseRef-"));
        for name in references {
            let place = place.unwrap_or("the package");
            texts
                .entry(name.to_owned())
                .or_insert_with(|| format!("The text is in {place}."));
        }
    };
    for info in infos {
        if let Some(component) = &info.component {
            add(&component.license, component.license_evidence.as_deref());
        }
        linked_of(info).for_each(|linked| add(&linked.license, None));
    }
    let describe =
        |(name, text): (String, String)| json!({"licenseId": name, "extractedText": text});
    texts.into_iter().map(describe).collect()
}

/// The name of the image in its bill.
pub(crate) const IMAGE_ID: &str = "SPDXRef-image";
/// The name of what it lies on.
pub(crate) const BASE_ID: &str = "SPDXRef-base";

fn image_package(name: &str) -> Value {
    json!({
        "SPDXID": IMAGE_ID,
        "name": name,
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": "CONTAINER",
    })
}

/// The image below: by name and digest. Which software is in it, its own bill says, if there is one.
fn base_package(base: &Base<'_>) -> Value {
    let digest = base.digest();
    json!({
        "SPDXID": BASE_ID,
        "name": base.name().unwrap_or("base image"),
        "versionInfo": digest.to_string(),
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest.to_hex()}],
        "comment": "The lowest layers of the image. What is in them is not in this document.",
    })
}

fn package(info: &PathInfo) -> Value {
    let component = info.component.as_ref();
    let mut package = BTreeMap::from([
        ("SPDXID", json!(package_id(&info.path))),
        ("packageFileName", json!(info.path.to_logical())),
        ("filesAnalyzed", json!(false)),
        ("licenseConcluded", json!(NO_ASSERTION)),
        ("copyrightText", json!(NO_ASSERTION)),
    ]);
    let name = component.map_or_else(|| info.path.name().to_string(), |c| c.name.clone());
    package.insert("name", json!(name));
    let license = component
        .and_then(|c| c.license.as_deref())
        .filter(|license| looks_like_an_expression(license));
    package.insert("licenseDeclared", json!(license.unwrap_or(NO_ASSERTION)));
    let download = component.and_then(single_download);
    let location = download.as_ref().map_or(NO_ASSERTION, |(url, _)| url);
    package.insert("downloadLocation", json!(location));
    if let Some((_, checksum)) = &download {
        package.insert("checksums", json!([checksum]));
    }
    if let Some(component) = component {
        let texts = [
            ("versionInfo", &component.version),
            ("summary", &component.description),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                package.insert(key, json!(text));
            }
        }
        if let Some(homepage) = component.homepage.as_deref().filter(|url| is_web(url)) {
            package.insert("homepage", json!(homepage));
        }
    }
    package.insert("externalRefs", json!(external_references(info)));
    json!(package)
}

/// Software without an object of its own.
fn contained_package(id: &str, component: &ContainedComponent) -> Value {
    let license = component
        .license
        .as_deref()
        .filter(|license| looks_like_an_expression(license));
    let mut package = BTreeMap::from([
        ("SPDXID", json!(id)),
        ("name", json!(component.name)),
        ("downloadLocation", json!(NO_ASSERTION)),
        ("filesAnalyzed", json!(false)),
        ("licenseConcluded", json!(NO_ASSERTION)),
        ("licenseDeclared", json!(license.unwrap_or(NO_ASSERTION))),
        ("copyrightText", json!(NO_ASSERTION)),
        (
            "externalRefs",
            json!([external_reference(
                "PACKAGE-MANAGER",
                "purl",
                &component.purl
            )]),
        ),
    ]);
    if let Some(version) = &component.version {
        package.insert("versionInfo", json!(version));
    }
    if let Some(homepage) = component.homepage.as_deref().filter(|url| is_web(url)) {
        package.insert("homepage", json!(homepage));
    }
    let digest = component.digest.as_deref();
    if let Some(value) = digest.and_then(|digest| digest.strip_prefix("sha256:")) {
        let checksum = json!({"algorithm": "SHA256", "checksumValue": value});
        package.insert("checksums", json!([checksum]));
    }
    json!(package)
}

/// Software of another store path or of the toolchain. Only something of it is in the image, so it has no object there and no checksum.
fn linked_package(id: &str, linked: &LinkedComponent) -> Value {
    let license = linked.license.as_deref();
    let license = license.filter(|license| looks_like_an_expression(license));
    let mut package = BTreeMap::from([
        ("SPDXID", json!(id)),
        ("name", json!(linked.name)),
        ("downloadLocation", json!(NO_ASSERTION)),
        ("filesAnalyzed", json!(false)),
        ("licenseConcluded", json!(NO_ASSERTION)),
        ("licenseDeclared", json!(license.unwrap_or(NO_ASSERTION))),
        ("copyrightText", json!(NO_ASSERTION)),
    ]);
    let purl: Option<Purl> = linked.purl.as_deref().and_then(|purl| purl.parse().ok());
    let version = linked.version.clone();
    if let Some(version) = version.or_else(|| purl.and_then(|purl| purl.version)) {
        package.insert("versionInfo", json!(version));
    }
    if let Some(path) = &linked.object {
        package.insert("packageFileName", json!(path.to_logical()));
    }
    if let Some(purl) = &linked.purl {
        let reference = external_reference("PACKAGE-MANAGER", "purl", purl);
        package.insert("externalRefs", json!([reference]));
    }
    json!(package)
}

/// Unique among what is linked in: the digest part of a store path, or the package of the toolchain.
fn linked_id(linked: &LinkedComponent) -> String {
    match &linked.object {
        Some(path) => format!("SPDXRef-linked-{}", path.digest()),
        None => {
            let name = linked.purl.as_deref().unwrap_or(&linked.name);
            let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            let plain: String = name.chars().map(letter).collect();
            format!("SPDXRef-linked-{plain}")
        }
    }
}

fn external_reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({"referenceCategory": category, "referenceType": kind, "referenceLocator": locator})
}

/// The object's digest, and the names under which the outside world knows the software.
fn external_references(info: &PathInfo) -> Vec<Value> {
    let mut references = vec![external_reference(
        "OTHER",
        "pith-object",
        &info.id.to_string(),
    )];
    let Some(component) = &info.component else {
        return references;
    };
    if is_set(component, None) {
        references.push(external_reference("OTHER", KIND, SET));
    }
    if let Some(cpe) = &component.cpe {
        references.push(external_reference("SECURITY", "cpe23Type", cpe));
    }
    if let Some(purl) = &component.purl {
        references.push(external_reference("PACKAGE-MANAGER", "purl", purl));
    }
    references
}

/// Returns where the software was downloaded and the checksum of that archive, if it is one archive from the web.
fn single_download(component: &Component) -> Option<(String, Value)> {
    let [source] = component.sources.as_slice() else {
        return None;
    };
    let url = source.urls.iter().find(|url| is_web(url))?;
    let value = source.digest.strip_prefix("sha256:")?;
    let checksum = json!({"algorithm": "SHA256", "checksumValue": value});
    Some((url.clone(), checksum))
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// A text with other characters would make the whole document invalid. Whether the identifiers exist is for the audit to say.
fn looks_like_an_expression(license: &str) -> bool {
    !license.trim().is_empty()
        && license
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b" .-+():".contains(&b))
}

/// The digest part alone: letters and digits, and unique.
fn package_id(path: &StorePath) -> String {
    format!("SPDXRef-{}", path.digest())
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}
