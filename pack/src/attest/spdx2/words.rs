//! What both forms of SPDX 2.3 say in the same words.

use sha1::{Digest as _, Sha1};

use super::super::{
    Bill, BillComponent, BillFile, BillSource, Checksum, ComponentKind, KIND, Party, Relation,
    RelationKind, SET,
    uses::{use_comment, use_relationship},
};
use crate::layer::FORMAT_VERSION;

pub(super) const NO_ASSERTION: &str = "NOASSERTION";
pub(super) const VERSION: &str = "SPDX-2.3";
pub(super) const DATA_LICENSE: &str = "CC0-1.0";
/// How the document itself is named in it.
pub(super) const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// Returns the name of an element.
pub(super) fn reference(id: &str) -> String {
    format!("SPDXRef-{id}")
}

/// Returns the name of a file of a component.
pub(super) fn file_reference(owner: &str, number: usize) -> String {
    format!("SPDXRef-{owner}-file-{number}")
}

pub(super) fn namespace(bill: &Bill, form: &str) -> String {
    let name: String = bill
        .name
        .chars()
        .map(|c| match c.is_ascii_alphanumeric() || "._-".contains(c) {
            true => c,
            false => '-',
        })
        .collect();
    format!("https://spdx.org/spdxdocs/{name}-{}", bill.serial(form))
}

/// Returns who made the document: the program, and whoever answers for it.
pub(super) fn creators(bill: &Bill) -> Vec<String> {
    let author = bill.author.iter().map(organization);
    let tool = format!("Tool: pith-pack-{FORMAT_VERSION}");
    author.chain([tool]).collect()
}

pub(super) fn organization(party: &Party) -> String {
    match &party.email {
        Some(email) => format!("Organization: {} ({email})", party.name),
        None => format!("Organization: {}", party.name),
    }
}

pub(super) fn supplier(component: &BillComponent) -> String {
    let known = component.supplier.as_ref().map(organization);
    known.unwrap_or_else(|| NO_ASSERTION.to_owned())
}

pub(super) fn algorithm(checksum: &Checksum) -> String {
    checksum.algorithm.replace('-', "")
}

pub(super) fn purpose(component: &BillComponent) -> &'static str {
    match component.kind {
        ComponentKind::Image | ComponentKind::Base => "CONTAINER",
        ComponentKind::Closure => "APPLICATION",
        ComponentKind::Object if component.is_executable => "APPLICATION",
        _ => "LIBRARY",
    }
}

pub(super) fn copyright(component: &BillComponent) -> String {
    match component.copyrights.is_empty() {
        true => NO_ASSERTION.to_owned(),
        false => component.copyrights.join("\n"),
    }
}

/// Returns where it can be fetched, if it is one archive from the web.
pub(super) fn download_location(component: &BillComponent) -> &str {
    let [source] = component.sources.as_slice() else {
        return NO_ASSERTION;
    };
    let is_web = |url: &&String| url.starts_with("https://") || url.starts_with("http://");
    source
        .urls
        .iter()
        .find(is_web)
        .map_or(NO_ASSERTION, String::as_str)
}

/// Describes what software was made from; none where that is not known.
pub(super) fn source_info(component: &BillComponent) -> Option<String> {
    let sources = component.sources.iter().map(describe);
    let patches = component.patches.iter().map(|patch| {
        let fixes = match patch.fixes.is_empty() {
            true => String::new(),
            false => format!(" (fixes {})", patch.fixes.join(", ")),
        };
        format!("patched with {} sha256:{}{fixes}", patch.name, patch.sha256)
    });
    let lines: Vec<String> = sources.chain(patches).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn describe(source: &BillSource) -> String {
    let digest = |one: &Checksum| format!("{}:{}", algorithm(one).to_lowercase(), one.value);
    let digests = source.checksums.iter().map(digest);
    let words = ["made from".to_owned(), source.name.clone()].into_iter();
    let words: Vec<String> = words
        .chain(digests)
        .chain(source.urls.iter().cloned())
        .collect();
    words.join(" ")
}

/// The names under which the outside world knows the software: category, type and locator.
pub(super) fn external_references(component: &BillComponent) -> Vec<[String; 3]> {
    let mut references = Vec::new();
    let mut add = |category: &str, kind: &str, locator: &str| {
        references.push([category.to_owned(), kind.to_owned(), locator.to_owned()]);
    };
    if let Some((_, id)) = &component.object {
        add("OTHER", "pith-object", &id.to_string());
    }
    if component.is_set {
        add("OTHER", KIND, SET);
    }
    if let Some(cpe) = &component.cpe {
        add("SECURITY", "cpe23Type", cpe);
    }
    if let Some(purl) = component.any_purl() {
        add("PACKAGE-MANAGER", "purl", &purl);
    }
    references
}

/// Returns the verification code of a package whose files are all listed; none where they are not.
pub(super) fn verification_code(files: &[BillFile]) -> Option<String> {
    if files.is_empty() {
        return None;
    }
    let mut digests: Vec<&str> = files
        .iter()
        .map(|file| file.checksums[0].value.as_str())
        .collect();
    digests.sort_unstable();
    let mut hasher = Sha1::new();
    digests.iter().for_each(|digest| hasher.update(digest));
    let bytes = hasher.finalize();
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a package has to do with a file of it that is listed, and the comment that says more. `CONTAINS` is for packages all of whose files are listed, the only
/// ones that were "analyzed" (SPDX 2.3, 7.8).
pub(super) const fn file_relation(bill: &Bill) -> (&'static str, &'static str) {
    match bill.files_are_complete {
        true => ("CONTAINS", ""),
        false => (
            "OTHER",
            "The package contains the file, and has others that are not listed.",
        ),
    }
}

/// Returns the files of a component, if all of them are listed.
pub(super) fn all_listed<'b>(bill: &'b Bill, component: &BillComponent) -> &'b [BillFile] {
    match bill.files_are_complete {
        true => bill.files_of(&component.id),
        false => &[],
    }
}

pub(super) const fn relationship(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Contains => "CONTAINS",
        RelationKind::DependsOn => "DEPENDS_ON",
        RelationKind::StaticLink => "STATIC_LINK",
        RelationKind::Uses(kind) => use_relationship(kind),
        RelationKind::DescendantOf => "DESCENDANT_OF",
    }
}

/// Returns the comment of a relationship; empty where there is nothing more to say.
pub(super) fn relationship_comment(relation: &Relation) -> String {
    match relation.kind {
        RelationKind::Uses(kind) => use_comment(kind, &relation.evidence),
        _ => relation.evidence.clone(),
    }
}

pub(super) fn file_name(file: &BillFile) -> String {
    match file.path.is_empty() {
        true => "./.".to_owned(),
        false => format!("./{}", file.path),
    }
}
