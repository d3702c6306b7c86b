//! License expressions, each once.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{Bill, bill::license_references},
    elements::Elements,
};

/// The license that documents are under.
const DATA_LICENSE: &str = "CC0-1.0";

/// The elements of the expressions of a document.
pub(super) struct Licenses(BTreeMap<String, String>);

impl Licenses {
    /// Writes every expression of the bill and the texts of licenses without a name.
    pub(super) fn add(elements: &mut Elements<'_, '_>, bill: &Bill) -> Self {
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        for (number, (name, text)) in bill.texts.iter().enumerate() {
            let id = format!("text-{number}");
            let iri = elements.add("simplelicensing_SimpleLicensingText", &id, |object| {
                object.value("name", name);
                object.value("simplelicensing_licenseText", text);
            });
            texts.insert(name, iri);
        }
        let components = bill.components.iter();
        let expressions = components.flat_map(|one| [&one.declared, &one.concluded]);
        let mut expressions: BTreeSet<&str> = expressions.flatten().map(String::as_str).collect();
        expressions.insert(DATA_LICENSE);
        let mut known = BTreeMap::new();
        for (number, expression) in expressions.into_iter().enumerate() {
            let id = format!("license-{number}");
            let iri = elements.add("simplelicensing_LicenseExpression", &id, |object| {
                object.value("simplelicensing_licenseExpression", expression);
                let names: BTreeSet<&str> = license_references(expression).collect();
                let named = names.into_iter();
                let named = named.filter_map(|name| Some((name, texts.get(name)?)));
                object.objects(
                    "simplelicensing_customIdToUri",
                    named,
                    |object, (name, iri)| {
                        object.value("type", "DictionaryEntry");
                        object.value("key", name);
                        object.value("value", iri);
                    },
                );
            });
            known.insert(expression.to_owned(), iri);
        }
        Self(known)
    }

    /// Returns the element of an expression of the bill.
    pub(super) fn find(&self, expression: &str) -> Option<&String> {
        self.0.get(expression)
    }

    /// Returns the element of the license of the document.
    pub(super) fn of_document(&self) -> Option<&String> {
        self.find(DATA_LICENSE)
    }
}
