//! What a bill of materials in SPDX 2.3 says of the store paths of an image. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::Error as _};
use store::{ObjectId, StorePath, UseKind};

use crate::attest::{
    BillFault, KIND, SET, SpdxDocument, SpdxFile, SpdxPackage, SpdxRelationship, pieces, read_use,
};

/// What the bill of an image says of one store path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillPackage {
    /// The store path.
    pub path: StorePath,
    /// The whole digest of the object.
    pub id: ObjectId,
    /// The name of the software.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// Its license, an SPDX expression, if it is known.
    pub license: Option<String>,
    /// Its package URL, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Whether it is a mere list of others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_set: bool,
    /// Whether an image of this crate below this one has it, so that it lies in the layers of the base.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_base: bool,
    /// The store paths that it refers to, ascending.
    pub references: Vec<StorePath>,
    /// The software of others that is part of it, in the bill's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<BillPart>,
    /// The software of which the linker copied something into it, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<BillLink>,
    /// The store paths of the image that its files need when they run, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<BillUse>,
}

/// What the bill of an image says of software without a store path of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillPart {
    /// Its name.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// Its license, an SPDX expression, if it is known.
    pub license: Option<String>,
    /// Its package URL.
    pub purl: String,
}

/// What the bill of an image says of software of which the linker copied something into a store path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BillLink {
    /// Its store path, in the image or not; none of what came with the toolchain.
    pub path: Option<StorePath>,
    /// Its name.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// Its license, an SPDX expression, if it is known.
    pub license: Option<String>,
    /// Its package URL, if it has one.
    pub purl: Option<String>,
    /// What was copied where: `bin/app: lib/libz.a`, as far as the bill names it.
    pub places: Vec<String>,
}

/// What the bill of an image says of another store path that files of one need when they run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BillUse {
    /// The other store path.
    pub path: StorePath,
    /// In which way.
    pub kind: UseKind,
    /// Which file needs which: `bin/app: lib/libz.so.1`, as far as the bill names it.
    pub places: Vec<String>,
}

/// Reads a bill; ascending by store path. Software without a store path of its own is in what it is part of. A bill that refers to what is not in it is none.
pub(crate) fn parse_bill(bytes: &[u8]) -> Result<Vec<BillPackage>, serde_json::Error> {
    serde_json::from_slice(bytes).and_then(packages)
}

/// Reads which files a bill lists: by where they lie, without a slash first, the SHA-256 of their contents in hexadecimal digits.
pub(crate) fn listed_files(bytes: &[u8]) -> Result<BTreeMap<Vec<u8>, String>, serde_json::Error> {
    let document: SpdxDocument = serde_json::from_slice(bytes)?;
    let files = document.files.iter().filter_map(SpdxFile::place);
    Ok(files
        .map(|(path, sha256)| (path.as_bytes().to_vec(), sha256.to_owned()))
        .collect())
}

/// Reads a bill that was parsed already.
pub(crate) fn packages_of(bill: serde_json::Value) -> Result<Vec<BillPackage>, serde_json::Error> {
    serde_json::from_value(bill).and_then(packages)
}

/// Finds the first relation of which an end is not in the document. What is said to be nothing, unknown or in another document is none of these (SPDX 2.3, 11.1).
fn dangling(document: &SpdxDocument) -> Option<BillFault> {
    let packages = document.packages.iter().map(|one| &one.id);
    let known: BTreeSet<&str> = packages
        .chain(document.files.iter().map(|one| &one.id))
        .chain(document.snippets.iter().map(|one| &one.id))
        .chain(&document.id)
        .map(String::as_str)
        .collect();
    let is_there = |id: &String| {
        let is_word = ["NONE", "NOASSERTION"].contains(&id.as_str());
        is_word || id.starts_with("DocumentRef-") || known.contains(id.as_str())
    };
    document.relationships.iter().find_map(|one| {
        let missing = [&one.from, &one.to].into_iter().find(|id| !is_there(id))?;
        Some(BillFault::Dangling {
            from: one.from.clone(),
            to: missing.clone(),
        })
    })
}

fn packages(document: SpdxDocument) -> Result<Vec<BillPackage>, serde_json::Error> {
    if let Some(fault) = dangling(&document) {
        let code = fault.code();
        return Err(serde_json::Error::custom(format!("{code}: {fault}")));
    }
    let elsewhere = only_linked(&document.relationships);
    let mut packages: BTreeMap<&str, BillPackage> = BTreeMap::new();
    for package in &document.packages {
        let id = package.external("pith-object");
        if let (Some(path), Some(id)) = (path_of(package), id.and_then(|id| id.parse().ok()))
            && !elsewhere.contains(package.id.as_str())
        {
            packages.insert(&package.id, known(package, path, id));
        }
    }
    let all = document.packages.iter();
    let all: BTreeMap<&str, &SpdxPackage> = all.map(|one| (one.id.as_str(), one)).collect();
    for relationship in &document.relationships {
        let target = packages.get(relationship.to.as_str());
        let reference = target.map(|package| package.path.clone());
        let other = all.get(relationship.to.as_str());
        let Some(package) = packages.get_mut(relationship.from.as_str()) else {
            continue;
        };
        match relationship.kind.as_str() {
            "DEPENDS_ON" => package.references.extend(reference),
            "CONTAINS" => package.contains.extend(other.and_then(|other| part(other))),
            "STATIC_LINK" => {
                let evidence = relationship.comment.as_deref().unwrap_or_default();
                package
                    .links
                    .extend(other.map(|other| link(other, evidence)));
            }
            other => {
                let comment = relationship.comment.as_deref().unwrap_or_default();
                let uses = reference.zip(read_use(other, comment));
                package
                    .uses
                    .extend(uses.map(|(path, (kind, places))| BillUse { path, kind, places }));
            }
        }
    }
    for id in in_bases(&document.relationships) {
        if let Some(package) = packages.get_mut(id) {
            package.in_base = true;
        }
    }
    let mut packages: Vec<BillPackage> = packages.into_values().collect();
    for package in &mut packages {
        package.references.sort_unstable();
        package.links.sort_unstable();
        package.uses.sort_unstable();
    }
    packages.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(packages)
}

/// Finds what was copied from, and is neither in the image nor in anything that is.
fn only_linked(relationships: &[SpdxRelationship]) -> BTreeSet<&str> {
    let of = |is_wanted: fn(&str) -> bool| {
        let relationships = relationships.iter();
        let wanted = relationships.filter(move |one| is_wanted(&one.kind));
        wanted
            .map(|one| one.to.as_str())
            .collect::<BTreeSet<&str>>()
    };
    let inside = of(|kind| matches!(kind, "CONTAINS" | "DEPENDS_ON" | "DESCRIBES"));
    let mut linked = of(|kind| kind == "STATIC_LINK");
    linked.retain(|id| !inside.contains(id));
    linked
}

/// Finds what an image contains from which another one descends.
fn in_bases(relationships: &[SpdxRelationship]) -> impl Iterator<Item = &str> {
    let of = |kind: &'static str| relationships.iter().filter(move |one| one.kind == kind);
    let bases: BTreeSet<&str> = of("DESCENDANT_OF").map(|one| one.to.as_str()).collect();
    let contained = of("CONTAINS").filter(move |one| bases.contains(one.from.as_str()));
    contained.map(|one| one.to.as_str())
}

fn path_of(package: &SpdxPackage) -> Option<StorePath> {
    StorePath::from_logical(package.package_file_name.as_deref()?).ok()
}

fn known(package: &SpdxPackage, path: StorePath, id: ObjectId) -> BillPackage {
    BillPackage {
        path,
        id,
        name: package.name.clone(),
        version: package.version_info.clone(),
        license: package.license().map(str::to_owned),
        purl: package.external("purl").map(str::to_owned),
        is_set: package.external(KIND) == Some(SET),
        in_base: false,
        references: Vec::new(),
        contains: Vec::new(),
        links: Vec::new(),
        uses: Vec::new(),
    }
}

/// Returns software that has a package URL and no store path.
fn part(package: &SpdxPackage) -> Option<BillPart> {
    if path_of(package).is_some() {
        return None;
    }
    Some(BillPart {
        name: package.name.clone(),
        version: package.version_info.clone(),
        license: package.license().map(str::to_owned),
        purl: package.external("purl")?.to_owned(),
    })
}

fn link(package: &SpdxPackage, evidence: &str) -> BillLink {
    BillLink {
        path: path_of(package),
        name: package.name.clone(),
        version: package.version_info.clone(),
        license: package.license().map(str::to_owned),
        purl: package.external("purl").map(str::to_owned),
        places: pieces(evidence).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::attest::{DocumentFormat, sample};

    #[test]
    fn what_is_linked_in_is_known_by_its_relation_and_is_in_the_image_only_if_that_is_said() {
        let package = |digit: &str, name: &str| {
            let digest = digit.repeat(40);
            json!({
                "SPDXID": format!("SPDXRef-{name}"),
                "name": name,
                "packageFileName": format!("/pith/store/{digest}-{name}"),
                "licenseDeclared": "MIT",
                "externalRefs": [{
                    "referenceCategory": "OTHER",
                    "referenceType": "pith-object",
                    "referenceLocator": ObjectId::from_bytes([1; 32]).to_string(),
                }],
            })
        };
        let relation = |from: &str, kind: &str, to: &str| {
            let [from, to] = [from, to].map(|name| format!("SPDXRef-{name}"));
            json!({
                "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to,
                "comment": "bin/app: lib/libz.a; bin/more: lib/libz.a; and 2 more",
            })
        };
        let purl = "pkg:deb/debian/libc6-dev@2.36";
        let packages = packages_of(json!({
            "SPDXID": "SPDXRef-DOCUMENT",
            "packages": [
                {"SPDXID": "SPDXRef-image", "name": "image"},
                package("a", "app"), package("b", "lib"), package("c", "zlib"),
                {"SPDXID": "SPDXRef-libc", "name": "libc6-dev", "versionInfo": "2.36", "externalRefs": [
                    {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]},
            ],
            "relationships": [
                relation("image", "CONTAINS", "app"), relation("image", "CONTAINS", "lib"),
                relation("app", "DEPENDS_ON", "lib"), relation("app", "STATIC_LINK", "lib"),
                relation("app", "STATIC_LINK", "zlib"), relation("app", "STATIC_LINK", "libc"),
            ],
        }));
        let packages = packages.expect("it is a bill");
        let names: Vec<&str> = packages.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["app", "lib"]);
        let links = packages[0].links.iter();
        let links: Vec<_> = links
            .map(|link| {
                (
                    link.name.as_str(),
                    link.path.is_some(),
                    link.purl.as_deref(),
                )
            })
            .collect();
        let expected = [
            ("libc6-dev", false, Some(purl)),
            ("lib", true, None),
            ("zlib", true, None),
        ];
        assert_eq!(links, expected);
        let places = &packages[0].links[0].places;
        assert_eq!(*places, ["bin/app: lib/libz.a", "bin/more: lib/libz.a"]);
        assert_eq!(packages[1].links, []);
    }

    #[test]
    fn links_and_what_is_needed_are_read_back_from_what_this_crate_writes_in_spdx() {
        let bill = sample::bill();
        let written = bill.write(DocumentFormat::Spdx2).expect("no fault");
        let inside = sample::inside();
        for document in [written, inside] {
            let packages = parse_bill(&document).expect("it is a bill");
            let names: Vec<&str> = packages
                .iter()
                .map(|one| one.path.name().as_str())
                .collect();
            assert_eq!(names.len(), 2, "{names:?}");
            let program = packages
                .iter()
                .find(|one| one.path.name().as_str() == "jq-1.7");
            let links = program.map(|one| one.links.as_slice()).unwrap_or_default();
            let [link] = links else {
                panic!("one was linked: {links:?}");
            };
            assert_eq!((link.name.as_str(), &link.path), ("gcc-12", &None));
            assert!(link.places[0].starts_with("bin/jq: libgcc.a"), "{link:?}");
            let uses = program.map(|one| one.uses.as_slice()).unwrap_or_default();
            let uses: Vec<_> = uses
                .iter()
                .map(|one| (one.path.name().as_str(), one.kind))
                .collect();
            let expected = [UseKind::Needed, UseKind::Dlopen, UseKind::Interpreter];
            let expected = expected.map(|kind| ("zlib-1.3", kind));
            assert_eq!(uses, expected);
            let mut places = program.iter().flat_map(|one| &one.uses);
            assert!(places.all(|one| one.places[0].starts_with("bin/jq")));
        }
    }

    #[test]
    fn a_relation_leads_to_what_is_in_the_bill_or_nowhere() {
        let read = |from: &str, to: &str| {
            packages_of(json!({
                "SPDXID": "SPDXRef-DOCUMENT",
                "packages": [{"SPDXID": "SPDXRef-a", "name": "a"}],
                "files": [{"SPDXID": "SPDXRef-a-file"}],
                "relationships": [{"spdxElementId": from, "relationshipType": "CONTAINS", "relatedSpdxElement": to}],
            }))
        };
        for to in [
            "SPDXRef-a-file",
            "NONE",
            "NOASSERTION",
            "DocumentRef-x:SPDXRef-y",
        ] {
            assert!(read("SPDXRef-DOCUMENT", to).is_ok(), "{to}");
        }
        for (from, to, missing) in [
            ("SPDXRef-a", "SPDXRef-b", "SPDXRef-b"),
            ("SPDXRef-c", "SPDXRef-a", "SPDXRef-c"),
        ] {
            let error = read(from, to).err().map(|error| error.to_string());
            let expected =
                format!("D102: `{from}` refers to `{missing}`, which is not in the bill");
            assert_eq!(error, Some(expected));
        }
    }
}
