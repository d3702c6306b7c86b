//! The bill of materials that an image of this crate has in it, read again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::Error as _};
use store::{ObjectId, StorePath};

use super::{AnyManifest, AnyPlatform, Entry, ExistingError, ExistingImage, clean, join, split};
use crate::{
    attest::{BillFault, KIND, SET, SpdxDocument},
    layer::Compression,
    oci::{Digest, annotation},
    rootfs::is_bill,
};

/// Bytes of a bill that are read at most: one package has some 700.
const MAX_BILL_BYTES: u64 = 64 << 20;

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
    /// The store paths that it refers to, ascending.
    pub references: Vec<StorePath>,
    /// The software of others that is part of it, in the bill's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<BillPart>,
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

/// Reads a bill; ascending by store path. Software without a store path of its own is in what it is part of. A bill that refers to what is not in it is none.
pub(crate) fn parse_bill(bytes: &[u8]) -> Result<Vec<BillPackage>, serde_json::Error> {
    serde_json::from_slice(bytes).and_then(packages)
}

/// Reads a bill that was parsed already.
pub(crate) fn packages_of(bill: serde_json::Value) -> Result<Vec<BillPackage>, serde_json::Error> {
    serde_json::from_value(bill).and_then(packages)
}

/// Finds the first relation of which an end is not in the document. What is said to be nothing, unknown or in another document is none of these (SPDX 2.3, 11.1).
fn dangling(document: &SpdxDocument) -> Option<BillFault> {
    let packages = document.packages.iter().map(|one| &one.id);
    let others = document.files.iter().chain(&document.snippets);
    let known: BTreeSet<&str> = packages
        .chain(others.map(|one| &one.id))
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
    let mut packages = BTreeMap::new();
    let mut parts = BTreeMap::new();
    for package in document.packages {
        let place = package.package_file_name.as_deref();
        let path = place.and_then(|place| StorePath::from_logical(place).ok());
        let id = package
            .external("pith-object")
            .and_then(|id| id.parse().ok());
        let license = package.license().map(str::to_owned);
        if let (None, Some(purl)) = (&path, package.external("purl")) {
            let part = BillPart {
                name: package.name.clone(),
                version: package.version_info.clone(),
                license: license.clone(),
                purl: purl.to_owned(),
            };
            parts.insert(package.id.clone(), part);
        }
        if let (Some(path), Some(id)) = (path, id) {
            let known = BillPackage {
                path,
                id,
                purl: package.external("purl").map(str::to_owned),
                is_set: package.external(KIND) == Some(SET),
                name: package.name,
                version: package.version_info,
                license,
                references: Vec::new(),
                contains: Vec::new(),
            };
            packages.insert(package.id, known);
        }
    }
    for relationship in document.relationships {
        let target = packages.get(&relationship.to);
        let target = target.map(|package| package.path.clone());
        let part = parts.get(&relationship.to);
        match packages.get_mut(&relationship.from) {
            Some(package) if relationship.kind == "DEPENDS_ON" => {
                package.references.extend(target);
            }
            Some(package) if relationship.kind == "CONTAINS" => {
                package.contains.extend(part.cloned());
            }
            _ => {}
        }
    }
    let mut packages: Vec<BillPackage> = packages.into_values().collect();
    for package in &mut packages {
        package.references.sort_unstable();
    }
    packages.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(packages)
}

/// Whether an image says that this crate made it.
pub(crate) fn is_ours(manifest: &AnyManifest) -> bool {
    manifest
        .annotations
        .contains_key(annotation::FORMAT_VERSION)
}

/// Where an image says what it lies on: OCI image-spec 1.1, annotations.md.
const BASE: [&str; 2] = [
    "org.opencontainers.image.base.name",
    "org.opencontainers.image.base.digest",
];

/// The bill of one of the images that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBill {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The bill as it lies in the image; none where there is none.
    pub bytes: Option<Vec<u8>>,
    /// The image whose layers its own lie on, as it says itself; the bill says nothing of these.
    pub base: Option<String>,
}

impl ExistingImage<'_> {
    /// Reads the bills in the images of a name, for each platform or one, as their bytes.
    pub fn bills(&self, platform: Option<&AnyPlatform>) -> Result<Vec<ImageBill>, ExistingError> {
        let documents = self.documents(platform)?;
        let images = documents.manifests.iter().filter(|one| {
            let platform = one.entry.platform.as_ref();
            !platform.is_some_and(AnyPlatform::is_unknown) && one.manifest.is_image()
        });
        images
            .map(|one| {
                let found = self.read_bill_bytes(&one.manifest)?;
                let annotations = &one.manifest.annotations;
                let base = BASE.iter().find_map(|key| annotations.get(*key));
                Ok(ImageBill {
                    base: base.cloned(),
                    manifest: one.entry.digest,
                    bytes: found.map(|(_, bytes)| bytes),
                })
            })
            .collect()
    }

    /// Returns what the bills in images of this crate say, all platforms together, ascending by store path; empty where there is none.
    pub fn bill(&self) -> Result<Vec<BillPackage>, ExistingError> {
        let mut packages = Vec::new();
        for one in &self.documents(None)?.manifests {
            packages.extend(self.read_bill(&one.manifest)?.unwrap_or_default());
        }
        packages.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        packages.dedup_by(|next, first| next.path == first.path);
        Ok(packages)
    }

    /// Reads the bill in an image of this crate; `None` where there is none. Reads layers, the highest first, until it is found: it is in the highest one of its own.
    pub(crate) fn read_bill(
        &self,
        manifest: &AnyManifest,
    ) -> Result<Option<Vec<BillPackage>>, ExistingError> {
        let Some((document, bytes)) = self.read_bill_bytes(manifest)? else {
            return Ok(None);
        };
        parse_bill(&bytes)
            .map(Some)
            .map_err(|source| ExistingError::Document {
                image: self.name().to_owned(),
                document,
                source,
            })
    }

    /// Returns where the bill is, and its bytes.
    ///
    /// What is believed lies in the highest layer that this crate wrote. A layer of others above it may not have a bill, nor remove the one below.
    fn read_bill_bytes(
        &self,
        manifest: &AnyManifest,
    ) -> Result<Option<(String, Vec<u8>)>, ExistingError> {
        if !is_ours(manifest) {
            return Ok(None);
        }
        let own = self.read_config(manifest)?.own_layers();
        for (index, layer) in manifest.layers.iter().enumerate().rev() {
            if Compression::from_media_type(&layer.media_type).is_none() {
                continue;
            }
            if own.get(index) != Some(&true) {
                self.refuse_other_bill(layer)?;
            } else if let Some(found) = self.find_bill(layer)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_bill(&self, layer: &Entry) -> Result<Option<(String, Vec<u8>)>, ExistingError> {
        let mut reader = self.open_layer(layer)?;
        while let Some(member) = reader.next_member()? {
            if is_bill(&clean(&member.path)) {
                let bytes = reader.read_contents(member.size_bytes.min(MAX_BILL_BYTES))?;
                reader.finish()?;
                let path = String::from_utf8_lossy(&member.path);
                return Ok(Some((path.into_owned(), bytes)));
            }
        }
        Ok(None)
    }

    /// Fails where a layer that somebody else wrote has a bill or hides one.
    fn refuse_other_bill(&self, layer: &Entry) -> Result<(), ExistingError> {
        let mut reader = self.open_layer(layer)?;
        loop {
            let member = match reader.next_member() {
                Ok(Some(member)) => member,
                // What others write may be no whole tar, which is for whoever validates; its bytes are those that the manifest names.
                Ok(None) | Err(ExistingError::Layer { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let path = clean(&member.path);
            if is_bill(&path) || hides_bill(&path, member.flag) {
                return Err(ExistingError::ForeignBill {
                    image: self.name().to_owned(),
                    layer: layer.digest,
                    path: String::from_utf8_lossy(&path).into_owned(),
                });
            }
        }
    }
}

/// Whether an entry takes the place of the directory of bills or of one above it, or of what is in them. OCI image-spec 1.1, layer.md, "Whiteouts".
fn hides_bill(path: &[u8], flag: u8) -> bool {
    const DIRECTORIES: [&[u8]; 4] = [b"", b"usr", b"usr/share", b"usr/share/sbom"];
    let (directory, name) = split(path);
    match name.strip_prefix(b".wh.") {
        Some(b".wh..opq") => DIRECTORIES.contains(&directory),
        Some(hidden) => {
            let hidden = join(directory, hidden);
            DIRECTORIES.contains(&&hidden[..]) || is_bill(&hidden)
        }
        None => flag != b'5' && DIRECTORIES.contains(&path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bill_is_hidden_by_what_removes_or_replaces_it_or_a_directory_above_it() {
        for (path, flag) in [
            ("usr/share/sbom/.wh.hello.spdx.json", b'0'),
            ("usr/share/sbom/.wh..wh..opq", b'0'),
            ("usr/share/.wh.sbom", b'0'),
            (".wh.usr", b'0'),
            ("usr/.wh..wh..opq", b'0'),
            ("usr/share/sbom", b'2'),
            ("usr", b'0'),
        ] {
            assert!(hides_bill(path.as_bytes(), flag), "{path}");
        }
        for (path, flag) in [
            ("usr/share", b'5'),
            ("usr/share/sbom/.wh.notes", b'0'),
            ("usr/evil", b'0'),
            ("srv/.wh..wh..opq", b'0'),
        ] {
            assert!(!hides_bill(path.as_bytes(), flag), "{path}");
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
