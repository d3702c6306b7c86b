//! Who made, supplies and answers for something.

use std::collections::BTreeMap;

use super::{
    super::{Bill, BillComponent, Party, json::Object},
    elements::{Elements, external_identifiers},
};

/// The agents of a document, by what is known of them.
pub(super) struct Agents {
    parties: BTreeMap<Party, String>,
    /// Those of whom nothing but a home page is known: that of the software they wrote.
    homepages: BTreeMap<String, String>,
    /// Those whom packages name: package managers call them people.
    people: BTreeMap<Party, String>,
    /// The program, where nobody answers for the document.
    pub(super) author: String,
    /// The tool that wrote it.
    pub(super) tool: String,
}

impl Agents {
    /// Writes everybody who is met in the bill.
    pub(super) fn add(elements: &mut Elements<'_, '_>, bill: &Bill) -> Self {
        let tool = elements.add("Tool", "tool", |object| {
            object.value("name", "pith");
        });
        let suppliers = bill
            .components
            .iter()
            .filter_map(|one| one.supplier.as_ref());
        let mut parties: BTreeMap<Party, String> = BTreeMap::new();
        let makers = bill.components.iter();
        let makers = makers.filter(|one| one.homepage.is_none() && one.makers.is_empty());
        let makers = makers.filter_map(BillComponent::maker);
        for party in suppliers.chain(&bill.author).cloned().chain(makers) {
            parties.entry(party).or_default();
        }
        for (number, (party, iri)) in parties.iter_mut().enumerate() {
            *iri = elements.add("Organization", &format!("party-{number}"), |object| {
                describe(object, party);
            });
        }
        let people = bill.components.iter().flat_map(|one| &one.makers);
        let mut people: BTreeMap<Party, String> =
            people.map(|party| (party.clone(), String::new())).collect();
        for (number, (party, iri)) in people.iter_mut().enumerate() {
            *iri = elements.add("Person", &format!("person-{number}"), |object| {
                describe(object, party);
            });
        }
        let homepages = bill.components.iter();
        let homepages = homepages.filter_map(|one| one.homepage.clone());
        let mut homepages: BTreeMap<String, String> =
            homepages.map(|url| (url, String::new())).collect();
        for (number, (url, iri)) in homepages.iter_mut().enumerate() {
            *iri = elements.add("Organization", &format!("makers-{number}"), |object| {
                object.value("name", &format!("the makers of what is at {url}"));
                external_identifiers(object, [("urlScheme", &*url)]);
            });
        }
        let author = match bill.author.as_ref().and_then(|party| parties.get(party)) {
            Some(iri) => iri.clone(),
            None => elements.add("SoftwareAgent", "author", |object| {
                object.value("name", "pith");
            }),
        };
        Self {
            parties,
            homepages,
            people,
            author,
            tool,
        }
    }

    /// Returns who wrote a component, as far as that is known.
    pub(super) fn originators(&self, component: &BillComponent) -> Vec<&String> {
        let homepage = component.homepage.iter();
        let homepage = homepage.filter_map(|url| self.homepages.get(url));
        let people = component.makers.iter();
        let people = people.filter_map(|party| self.people.get(party));
        let mut known: Vec<&String> = homepage.chain(people).collect();
        if known.is_empty() {
            let maker = component.maker();
            known.extend(maker.and_then(|party| self.parties.get(&party)));
        }
        known
    }

    /// Returns who passes a component on, where that is known.
    pub(super) fn supplier(&self, component: &BillComponent) -> Option<&String> {
        self.parties.get(component.supplier.as_ref()?)
    }
}

fn describe(object: &mut Object<'_>, party: &Party) {
    object.value("name", &party.name);
    let email = party.email.iter().map(|email| ("email", email));
    let url = party.url.iter().map(|url| ("urlScheme", url));
    external_identifiers(object, email.chain(url));
}
