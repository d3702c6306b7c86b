//! What is in a closure, by what somebody wants to look it up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::Serialize;

use super::{
    Audit,
    inventory::{Inventory, UnitKind},
};

/// By what a list is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListBy {
    /// Licenses, and what is under them.
    License,
    /// Components, and their licenses.
    #[default]
    Component,
    /// Archives of sources, and what is made of them.
    Source,
    /// Files, and the component that they are of.
    File,
}

/// The text names no kind of list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no list by `{0}`: it is `license`, `component`, `source` or `file`")]
pub struct UnknownList(pub String);

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Row {
    /// What is looked up.
    pub key: String,
    /// What belongs to it, ascending.
    pub values: Vec<String>,
}

impl ListBy {
    const NAMES: [(&'static str, Self); 4] = [
        ("license", Self::License),
        ("component", Self::Component),
        ("source", Self::Source),
        ("file", Self::File),
    ];
}

impl FromStr for ListBy {
    type Err = UnknownList;

    fn from_str(text: &str) -> Result<Self, UnknownList> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, by)| *by)
            .ok_or_else(|| UnknownList(text.to_owned()))
    }
}

impl fmt::Display for ListBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES
            .iter()
            .find(|(_, by)| by == self)
            .map_or("", |(name, _)| name);
        f.pad(name)
    }
}

/// Returns the rows of a list, ascending by key.
///
/// A license is one that is complied with: of alternatives the one that was taken. Files are those that were observed. What only builds is in none.
#[must_use]
pub fn list(inventory: &Inventory, audit: &Audit, by: ListBy) -> Vec<Row> {
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all = inventory.units.iter().zip(&audit.components);
    for (unit, judged) in all.filter(|(unit, _)| unit.kind != UnitKind::Tool) {
        let label = unit.label();
        let mut add = |key: String, value: String| {
            rows.entry(key).or_default().insert(value);
        };
        match by {
            ListBy::License if judged.chosen.is_empty() => add(judged.license_text(), label),
            ListBy::License => judged
                .chosen
                .iter()
                .for_each(|license| add(license.clone(), label.clone())),
            ListBy::Component => add(label, judged.license_text()),
            ListBy::Source => unit.sources.iter().for_each(|source| {
                add(format!("{} {}", source.name, source.digest), label.clone());
            }),
            ListBy::File => {
                for (path, sha256) in &unit.files {
                    let slash = if path.is_empty() { "" } else { "/" };
                    add(
                        format!("{}{slash}{path}", unit.key),
                        format!("sha256:{sha256} {}", judged.license_text()),
                    );
                }
            }
        }
    }
    rows.into_iter()
        .map(|(key, values)| Row {
            key,
            values: values.into_iter().collect(),
        })
        .collect()
}
