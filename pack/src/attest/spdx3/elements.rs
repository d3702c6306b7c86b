//! What all elements of a document have in common.

use super::super::{
    Checksum,
    json::{Array, Object},
};

/// The elements in the making. Each is named below the document's namespace.
pub(super) struct Elements<'a, 'b> {
    pub(super) list: &'a mut Array<'b>,
    /// The namespace, which ends with `#`.
    pub(super) namespace: &'a str,
}

/// What every element refers to for who made it and when.
pub(super) const CREATION: &str = "_:creation";

impl Elements<'_, '_> {
    /// Returns the whole name of an element.
    pub(super) fn iri(&self, id: &str) -> String {
        format!("{}{id}", self.namespace)
    }

    /// Writes an element and returns its whole name.
    pub(super) fn add(
        &mut self,
        kind: &str,
        id: &str,
        body: impl FnOnce(&mut Object<'_>),
    ) -> String {
        let iri = self.iri(id);
        self.list.object(|object| {
            object.value("type", kind);
            object.value("spdxId", &iri);
            object.value("creationInfo", CREATION);
            body(object);
        });
        iri
    }
}

/// Writes digests as a field.
pub(super) fn verified_using(object: &mut Object<'_>, checksums: &[Checksum]) {
    object.objects("verifiedUsing", checksums, |object, checksum| {
        object.value("type", "Hash");
        let algorithm = checksum.algorithm.replace('-', "").to_lowercase();
        object.value("algorithm", &algorithm);
        object.value("hashValue", &checksum.value);
    });
}

/// Writes names by which others know something: type and value.
pub(super) fn external_identifiers<'i>(
    object: &mut Object<'_>,
    identifiers: impl IntoIterator<Item = (&'static str, &'i String)>,
) {
    object.objects(
        "externalIdentifier",
        identifiers,
        |object, (kind, value)| {
            object.value("type", "ExternalIdentifier");
            object.value("externalIdentifierType", kind);
            object.value("identifier", value);
        },
    );
}

/// Writes where something is.
pub(super) fn external_reference(object: &mut Object<'_>, kind: &str, locators: &[String]) {
    if locators.is_empty() {
        return;
    }
    object.objects("externalRef", [()], |object, ()| {
        object.value("type", "ExternalRef");
        object.value("externalRefType", kind);
        object.value("locator", locators);
    });
}
