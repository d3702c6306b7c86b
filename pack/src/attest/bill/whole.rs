//! The whole that a bill is about, what it lies on, and lists in it.

use std::collections::BTreeSet;

use super::{
    BillComponent, Checksum, ComponentKind, RelationKind, SubjectBase, SubjectKind,
    build::Builder,
    component::empty,
    digests::{CLOSURE_LISTING, of_closure},
    license::all_of,
};
use crate::oci::{Digest, ImageName};

/// What names the root in every bill.
pub(super) const ROOT: &str = "root";
/// What names the image below the root.
pub(super) const BASE: &str = "base";

impl Builder<'_> {
    /// A list of others is under the licenses of all that it lists: of what it contains where it does, else of what it refers to.
    pub(super) fn conclude_sets(&mut self) {
        let mut concluded = Vec::new();
        for (number, set) in self.components.iter().enumerate() {
            if !set.is_set || set.concluded.is_some() {
                continue;
            }
            let members = |kind: RelationKind| {
                let those = self.relations.keys();
                let those = those.filter(move |(from, of, _)| *from == set.id && *of == kind);
                those.map(|(_, _, to)| to.as_str())
            };
            let mut listed: BTreeSet<&str> = members(RelationKind::Contains).collect();
            if listed.is_empty() {
                listed.extend(members(RelationKind::DependsOn));
            }
            let those = self.components.iter();
            let those = those.filter(|one| listed.contains(one.id.as_str()));
            let licenses: Option<Vec<&str>> = those.map(|one| one.concluded.as_deref()).collect();
            concluded.push((number, licenses.and_then(all_of)));
        }
        for (number, license) in concluded {
            if let Some(set) = self.components.get_mut(number) {
                set.concluded = license;
            }
        }
    }

    /// The image or closure itself.
    pub(super) fn root(&self) -> BillComponent {
        let subject = self.inputs.subject;
        let parts = || self.components.iter();
        let known: Option<Vec<&str>> = parts().map(|part| part.concluded.as_deref()).collect();
        let (checksums, checksum_of) = match subject.kind {
            SubjectKind::Image => (subject.checksums.clone(), None),
            SubjectKind::Closure => (
                of_closure(&self.inputs.gathered.parts),
                Some(CLOSURE_LISTING.to_owned()),
            ),
        };
        BillComponent {
            id: ROOT.to_owned(),
            kind: match subject.kind {
                SubjectKind::Image => ComponentKind::Image,
                SubjectKind::Closure => ComponentKind::Closure,
            },
            name: subject.name.clone(),
            version: subject.version.clone(),
            concluded: known.and_then(all_of),
            purl: subject.purl.clone(),
            supplier: self.options.supplier.clone(),
            filename: Some(subject.name.clone()),
            checksums,
            checksum_of,
            is_executable: parts().any(|part| part.is_executable),
            is_complete: true,
            ..empty()
        }
    }
}

/// Of what is in a base nothing is known here: neither its licenses nor what it needs.
pub(super) fn base_image(base: &SubjectBase) -> BillComponent {
    let name = base.name.as_ref();
    BillComponent {
        id: BASE.to_owned(),
        kind: ComponentKind::Base,
        name: name.map_or_else(|| "the base image".to_owned(), ToString::to_string),
        version: Some(base.digest.to_string()),
        purl: name.map(|name| image_purl(name.base_name(), Some(name), base.digest)),
        checksums: vec![Checksum::sha256(base.digest.to_hex())],
        ..empty()
    }
}

/// The package URL of the image with this digest, called `name`, that lies where `place` does, if it is anywhere. purl-spec, "oci".
pub(in super::super) fn image_purl(
    name: &str,
    place: Option<&ImageName>,
    digest: Digest,
) -> String {
    let place = place.map(|place| format!("{}/{}", place.registry(), place.repository()));
    let place = place.map(|place| format!("?repository_url={}", place.replace(':', "%3A")));
    let hex = digest.to_hex();
    format!("pkg:oci/{name}@sha256%3A{hex}{}", place.unwrap_or_default())
}
