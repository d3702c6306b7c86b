//! One component, from what is recorded and observed of it.

use std::collections::BTreeSet;

use store::{
    Component, ContainedComponent, PathInfo,
    facts::{Facts, Finding, SourceFacts, SourceRole},
};

use super::{
    BillComponent, BillPatch, BillSource, Checksum, ComponentKind,
    build::Builder,
    digests::{LISTING, checksum, checksums_of, of_files},
    license::{Stated, conclude, read_stated},
};
use crate::audit::inventory::is_set;

impl Builder<'_> {
    pub(super) fn object(&mut self, info: &PathInfo, facts: &Facts) -> BillComponent {
        let nothing = Component::default();
        let recorded = info.component.as_ref().unwrap_or(&nothing);
        let named = |text: &str| !text.is_empty();
        let declared = recorded.license.clone().filter(|text| named(text));
        let conclusion = self.options.concluded.get(&info.path).cloned();
        let concluded = conclusion.or_else(|| {
            let findings = findings_of_main_sources(facts);
            conclude(declared.as_deref()?, &findings, &recorded.unshipped)
        });
        let (checksums, checksum_of) = match facts.files.as_slice() {
            [only] if only.path.is_empty() => (checksums_of(only).to_vec(), None),
            files => (of_files(files), Some(LISTING.to_owned())),
        };
        let main = facts
            .sources
            .iter()
            .filter(|source| !matches!(source.role, SourceRole::Vendored | SourceRole::Toolchain));
        let mut sources: Vec<BillSource> = main.map(source).collect();
        if sources.is_empty() {
            let recorded = recorded.sources.iter();
            sources = recorded
                .map(|source| BillSource {
                    name: source.name.clone(),
                    urls: source.urls.clone(),
                    checksums: checksum(&source.digest).into_iter().collect(),
                })
                .collect();
        }
        let patches = facts.patches.iter().map(|patch| BillPatch {
            name: patch.name.clone(),
            sha256: patch.sha256.clone(),
            fixes: patch.fixes.clone(),
        });
        let statements = facts.copyrights.iter();
        let copyrights: BTreeSet<String> = statements.map(|one| one.statement.clone()).collect();
        BillComponent {
            kind: ComponentKind::Object,
            name: match recorded.name.is_empty() {
                true => info.path.name().to_string(),
                false => recorded.name.clone(),
            },
            version: recorded.version.clone(),
            description: recorded.description.clone(),
            homepage: recorded.homepage.clone().filter(|url| is_web(url)),
            object: Some((info.path.clone(), info.id)),
            declared,
            concluded,
            evidence: recorded.license_evidence.clone(),
            is_set: info.component.is_some() && is_set(recorded, Some(facts)),
            purl: recorded.purl.clone(),
            cpe: recorded.cpe.clone(),
            supplier: self.options.supplier.clone(),
            filename: Some(info.path.to_string()),
            checksums,
            checksum_of,
            is_executable: facts.files.iter().any(|file| file.executable),
            sources,
            patches: patches.collect(),
            copyrights: copyrights.into_iter().collect(),
            is_complete: !self.inputs.unobserved.contains(&info.path),
            ..empty()
        }
    }

    /// Software without an object of its own. Its license is what its own package says, which may be no expression.
    pub(super) fn contained(
        &mut self,
        id: String,
        contained: &ContainedComponent,
        facts: &Facts,
    ) -> BillComponent {
        let declared = contained.license.as_deref().map(read_stated);
        let declared = declared.map(|stated| match stated {
            Stated::Expression(expression) => expression,
            Stated::Words(name, words) => {
                self.texts.entry(name.clone()).or_insert(words);
                name
            }
        });
        let mut vendored = facts.sources.iter();
        let archive =
            vendored.find(|source| source.purl.as_deref() == Some(contained.purl.as_str()));
        let known = contained.digest.as_deref().and_then(checksum);
        let mut component = BillComponent {
            id,
            kind: ComponentKind::Contained,
            name: contained.name.clone(),
            version: contained.version.clone(),
            homepage: contained.homepage.clone().filter(|url| is_web(url)),
            concluded: (self.options.concluded_parts.get(&contained.purl).cloned())
                .or_else(|| declared.clone()),
            declared,
            purl: Some(contained.purl.clone()),
            filename: archive.map(|source| source.name.clone()),
            checksums: match archive.map(source) {
                Some(source) => source.checksums,
                None => known.into_iter().collect(),
            },
            ..empty()
        };
        if let Some(stated) = facts.find_stated(&contained.purl) {
            component.add_stated(stated);
        }
        component.add_module_page();
        component
    }
}

/// Software of which nothing is known.
pub(super) fn empty() -> BillComponent {
    BillComponent {
        id: String::new(),
        kind: ComponentKind::Linked,
        name: String::new(),
        version: None,
        description: None,
        homepage: None,
        object: None,
        declared: None,
        concluded: None,
        evidence: None,
        makers: Vec::new(),
        makers_evidence: None,
        is_set: false,
        purl: None,
        cpe: None,
        supplier: None,
        filename: None,
        checksums: Vec::new(),
        checksum_of: None,
        is_executable: false,
        sources: Vec::new(),
        patches: Vec::new(),
        copyrights: Vec::new(),
        is_complete: false,
    }
}

/// What is packaged with a source, and what of others came in it, says nothing of the source's own license.
fn findings_of_main_sources(facts: &Facts) -> Vec<Finding> {
    let is_main = |finding: &&Finding| {
        let source = usize::try_from(finding.source).ok();
        let source = source.and_then(|at| facts.sources.get(at));
        source.is_none_or(|source| source.role == SourceRole::Main)
    };
    facts.findings.iter().filter(is_main).cloned().collect()
}

pub(super) fn source(source: &SourceFacts) -> BillSource {
    let sha256 = source.sha256.as_ref().map(Checksum::sha256);
    let sha512 = source.sha512.as_ref().map(Checksum::sha512);
    BillSource {
        name: source.name.clone(),
        urls: source.urls.clone(),
        checksums: sha256.into_iter().chain(sha512).collect(),
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
