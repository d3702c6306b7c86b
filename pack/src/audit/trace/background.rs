//! What is recorded of a file and of the store path that it is of.

use serde::Serialize;
use store::{
    Component, StorePath,
    facts::{Class, Facts, LinkKind, Linked, PatchFacts, SourceRole},
};

use crate::{audit::Part, existing::BillPackage};

/// Where a file comes from. What is not recorded is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Background {
    /// The software.
    pub component: String,
    /// Its version.
    pub software_version: Option<String>,
    /// Where the recipe makes it: label and line.
    pub recipe: Option<String>,
    /// The files of the recipe, each with its SHA-256.
    pub recipe_files: Vec<(String, String)>,
    /// What it is made of.
    pub sources: Vec<TracedSource>,
    /// What was applied to that, in order, each with its SHA-256 and the vulnerabilities that it says it fixes.
    pub patches: Vec<(String, String, Vec<String>)>,
    /// What the file was linked of; empty where it is no program.
    pub linked: Vec<LinkedObject>,
    /// Whether the linker recorded that, rather than only the file itself.
    pub link_is_recorded: Option<bool>,
    /// Its license.
    pub license: License,
    /// How much is known: `facts`, `record`, or `bill` of an image alone.
    pub known_from: &'static str,
}

/// One archive that something is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedSource {
    /// Its file name.
    pub name: String,
    /// Its digest, with the algorithm before it.
    pub digest: Option<String>,
    /// Where it can be fetched.
    pub urls: Vec<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<SourceRole>,
}

/// One thing that a file was linked of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkedObject {
    /// In which way.
    pub kind: LinkKind,
    /// The store path, or the toolchain's package, that has it.
    pub of: Option<String>,
    /// The file.
    pub file: String,
    /// Of an archive, the members that were taken.
    pub members: Vec<String>,
}

/// A license with what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct License {
    /// What the recipe declares, or what is in its place.
    pub declared: Option<String>,
    /// Where that was read, if no recipe declares it.
    pub evidence: Option<String>,
    /// What sources say in the exact words of a license: the expression, and the file that says it.
    pub found: Vec<(String, String)>,
}

impl Background {
    /// Says where `file` of a store path comes from, by what the store has recorded.
    #[must_use]
    pub fn of(part: &Part, file: &str) -> Self {
        let component = part.info.component.as_ref();
        let mut background = Self {
            component: name(component, &part.info.path),
            known_from: "record",
            ..Self::default()
        };
        if let Some(component) = component {
            background.software_version.clone_from(&component.version);
            background.recipe.clone_from(&component.recipe);
            background.license.declared.clone_from(&component.license);
            background
                .license
                .evidence
                .clone_from(&component.license_evidence);
            let sources = component.sources.iter();
            background.sources = sources
                .map(|source| TracedSource {
                    name: source.name.clone(),
                    digest: Some(source.digest.clone()),
                    urls: source.urls.clone(),
                    role: None,
                })
                .collect();
        }
        if let Some(facts) = &part.facts {
            background.add(facts, file);
        }
        background
    }

    /// Says what the bill of an image says of a store path, and of what the linker copied into `file` of it.
    #[must_use]
    pub fn of_bill(package: &BillPackage, file: &str) -> Self {
        let linked: Vec<LinkedObject> = package
            .links
            .iter()
            .flat_map(|link| link.places.iter().map(move |place| (link, place)))
            .filter_map(|(link, place)| {
                let path = link.path.as_ref().map(StorePath::to_logical);
                Some(LinkedObject {
                    kind: LinkKind::Static,
                    of: Some(path.unwrap_or_else(|| link.name.clone())),
                    file: place.strip_prefix(file)?.strip_prefix(": ")?.to_owned(),
                    members: Vec::new(),
                })
            })
            .collect();
        Self {
            link_is_recorded: (!linked.is_empty()).then_some(true),
            linked,
            component: package.name.clone(),
            software_version: package.version.clone(),
            license: License {
                declared: package.license.clone(),
                ..License::default()
            },
            known_from: "bill",
            ..Self::default()
        }
    }

    fn add(&mut self, facts: &Facts, file: &str) {
        self.known_from = "facts";
        let files = facts.recipe.iter();
        self.recipe_files = files
            .map(|file| (file.label.clone(), file.sha256.clone()))
            .collect();
        if !facts.sources.is_empty() {
            let sources = facts.sources.iter();
            self.sources = sources
                .map(|source| TracedSource {
                    name: source.name.clone(),
                    digest: source.sha256.as_ref().map(|hex| format!("sha256:{hex}")),
                    urls: source.urls.clone(),
                    role: Some(source.role),
                })
                .collect();
        }
        let patch = |one: &PatchFacts| (one.name.clone(), one.sha256.clone(), one.fixes.clone());
        self.patches = facts.patches.iter().map(patch).collect();
        if let Some(links) = facts.links.iter().find(|links| links.file == file) {
            self.link_is_recorded = Some(links.linked == Linked::Recorded);
            let inputs = links.inputs.iter();
            self.linked = inputs
                .map(|input| LinkedObject {
                    kind: input.kind,
                    of: input.object.clone().or_else(|| input.component.clone()),
                    file: input.file.clone(),
                    members: input.members.clone(),
                })
                .collect();
        }
        let exact = facts
            .findings
            .iter()
            .filter(|one| one.class == Class::Exact);
        self.license.found = exact
            .filter_map(|one| Some((one.expression.clone()?, one.path.clone())))
            .collect();
        self.license.found.sort_unstable();
        self.license.found.dedup_by(|next, first| next.0 == first.0);
    }
}

fn name(component: Option<&Component>, path: &StorePath) -> String {
    component.map_or_else(
        || path.name().to_string(),
        |component| component.name.clone(),
    )
}
