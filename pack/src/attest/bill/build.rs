//! From what is recorded and observed to a bill. Pure.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256, Sha512};
use store::{
    Component, ContainedComponent, PathInfo, StorePath,
    facts::{Facts, FileFacts, Finding, LinkKind, SourceFacts, SourceRole},
};

use super::{
    Bill, BillComponent, BillFile, BillOptions, BillPatch, BillSource, Checksum, ComponentKind,
    FileDetail, Relation, RelationKind, Subject, SubjectBase, SubjectKind,
    files::{facts_of, hex},
    license::{Stated, all_of, conclude, read_stated},
};
use crate::{
    audit::{Gathered, Part, inventory::is_set},
    oci::{Digest, ImageName},
    vulns::Purl,
};

/// What names the root in every bill.
const ROOT: &str = "root";
/// What names the image below the root.
const BASE: &str = "base";
/// Places that a relation names; of a program that is linked of hundreds of objects, the first ones are enough.
const MAX_EVIDENCE: usize = 8;
/// How the digest of a directory is made; whoever has it can make it, too.
const LISTING: &str = "the lines that `find . -type f | LC_ALL=C sort | xargs -r -d '\\n' sha512sum` (sha256sum) prints there";
/// The same for a closure.
const CLOSURE_LISTING: &str = "the lines that sha512sum (sha256sum) prints for every file of the store paths, in the order of their names";

/// What a bill is made of.
#[derive(Debug, Clone, Copy)]
pub struct BillInputs<'a> {
    /// What the bill is about.
    pub subject: &'a Subject,
    /// The store paths that were asked for.
    pub requested: &'a [StorePath],
    /// The closure; every part has its files.
    pub gathered: &'a Gathered,
    /// The store paths of which nothing but files is known: nobody observed how they were made.
    pub unobserved: &'a BTreeSet<StorePath>,
    /// The texts of licenses that SPDX has no name for.
    pub texts: &'a BTreeMap<String, String>,
}

impl Bill {
    /// Makes the bill. The same for the same inputs, whatever their order.
    #[must_use]
    pub fn new(inputs: &BillInputs<'_>, options: &BillOptions) -> Self {
        let mut builder = Builder {
            inputs,
            options,
            members: inputs
                .gathered
                .parts
                .iter()
                .map(|part| &part.info.path)
                .collect(),
            components: Vec::new(),
            linked: BTreeMap::new(),
            relations: BTreeMap::new(),
            files: Vec::new(),
            texts: inputs.texts.clone(),
        };
        for part in &inputs.gathered.parts {
            builder.add_part(part);
        }
        builder.finish()
    }
}

struct Builder<'a> {
    inputs: &'a BillInputs<'a>,
    options: &'a BillOptions,
    members: BTreeSet<&'a StorePath>,
    components: Vec<BillComponent>,
    /// What is linked in and lies elsewhere, by identifier.
    linked: BTreeMap<String, BillComponent>,
    /// The evidence of each relation.
    relations: BTreeMap<(String, RelationKind, String), BTreeSet<String>>,
    files: Vec<BillFile>,
    texts: BTreeMap<String, String>,
}

impl<'a> Builder<'a> {
    fn add_part(&mut self, part: &'a Part) {
        let info = &part.info;
        let id = object_id(&info.path);
        let nothing = Facts::default();
        let facts = part.facts.as_ref().unwrap_or(&nothing);
        self.relate(ROOT, RelationKind::Contains, &id, "");
        for reference in &info.references {
            let evidence = match reference.file.is_empty() && reference.offset == 0 {
                true => String::new(),
                false => format!("{} at {}", reference.file, reference.offset),
            };
            let to = object_id(&reference.path);
            self.relate(&id, RelationKind::DependsOn, &to, &evidence);
        }
        let mut component = self.object(info, facts);
        component.id.clone_from(&id);
        self.components.push(component);
        let contains = info.component.iter().flat_map(|of| &of.contains);
        for (number, contained) in contains.enumerate() {
            let own = format!("{id}-{number}");
            self.relate(&id, RelationKind::Contains, &own, "");
            let component = self.contained(own, contained, facts);
            self.components.push(component);
        }
        self.add_links(&id, facts);
        self.add_files(&id, facts);
    }

    fn object(&mut self, info: &PathInfo, facts: &Facts) -> BillComponent {
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
            files => (listing(files, "./"), Some(LISTING.to_owned())),
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
    fn contained(
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

    fn add_links(&mut self, id: &str, facts: &Facts) {
        for link in &facts.links {
            for input in &link.inputs {
                // Start files and helpers of the compiler are in every program and have exceptions for that; of the toolchain that they
                // came with neither version nor license is recorded, and the libraries beside them are components already.
                let is_start_file = input.kind == LinkKind::Runtime && input.object.is_none();
                if is_start_file || !matches!(input.kind, LinkKind::Static | LinkKind::Runtime) {
                    continue;
                }
                let object = input.object.as_deref();
                let path = object.and_then(|text| {
                    StorePath::from_logical(text)
                        .ok()
                        .or_else(|| text.parse().ok())
                });
                let to = match (path, &input.component) {
                    (Some(path), _) if self.members.contains(&path) => object_id(&path),
                    (Some(path), _) => self.linked_object(&path),
                    (None, Some(name)) => self.linked_toolchain(name, facts),
                    // The build's own objects.
                    (None, None) => continue,
                };
                if to == id {
                    continue;
                }
                let members = match input.members.as_slice() {
                    [] => String::new(),
                    [one] => format!("({one})"),
                    [first, rest @ ..] => format!("({first} and {} more)", rest.len()),
                };
                let evidence = format!("{}: {}{members}", link.file, input.file);
                self.relate(id, RelationKind::StaticLink, &to, &evidence);
            }
        }
    }

    /// Something was linked in of a store path that is not in the closure.
    fn linked_object(&mut self, path: &StorePath) -> String {
        let id = format!("linked-{}", path.digest());
        if !self.linked.contains_key(&id) {
            let mut linked = self.inputs.gathered.linked.iter();
            let mut component = match linked.find(|part| part.info.path == *path) {
                Some(part) => {
                    let nothing = Facts::default();
                    self.object(&part.info, part.facts.as_ref().unwrap_or(&nothing))
                }
                None => BillComponent {
                    name: path.name().to_string(),
                    ..empty()
                },
            };
            component.id.clone_from(&id);
            component.kind = ComponentKind::Linked;
            // Only something of it is in what is delivered.
            component.checksums.clear();
            (component.checksum_of, component.filename) = (None, None);
            component.is_complete = false;
            self.linked.insert(id.clone(), component);
        }
        id
    }

    /// Something was linked in that came with the toolchain.
    fn linked_toolchain(&mut self, name: &str, facts: &Facts) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let plain: String = name.chars().map(letter).collect();
        let id = format!("linked-toolchain-{plain}");
        self.linked
            .entry(id.clone())
            .or_insert_with(|| BillComponent {
                id: id.clone(),
                kind: ComponentKind::Linked,
                name: name.to_owned(),
                ..facts.find_toolchain(name).map_or_else(empty, of_toolchain)
            });
        id
    }

    fn add_files(&mut self, id: &str, facts: &Facts) {
        let linked: BTreeSet<&str> = facts.links.iter().map(|link| link.file.as_str()).collect();
        let listed = facts.files.iter().filter(|file| match self.options.files {
            FileDetail::None => false,
            FileDetail::Linked => linked.contains(file.path.as_str()),
            FileDetail::All => true,
        });
        let files = listed.map(|file| bill_file(id, file));
        self.files.extend(files);
    }

    fn relate(&mut self, from: &str, kind: RelationKind, to: &str, evidence: &str) {
        let key = (from.to_owned(), kind, to.to_owned());
        let known = self.relations.entry(key).or_default();
        if !evidence.is_empty() {
            known.insert(evidence.to_owned());
        }
    }

    fn finish(mut self) -> Bill {
        for path in self.inputs.requested {
            if self.members.contains(path) {
                self.relate(ROOT, RelationKind::DependsOn, &object_id(path), "");
            }
        }
        self.components
            .extend(std::mem::take(&mut self.linked).into_values());
        if let Some(base) = &self.inputs.subject.base {
            self.relate(ROOT, RelationKind::DescendantOf, BASE, "");
            self.components.push(base_image(base));
        }
        self.components.sort_by(|a, b| a.id.cmp(&b.id));
        self.conclude_sets();
        let root = self.root();
        self.components.insert(0, root);
        if self.options.files == FileDetail::All {
            let generated = self.inputs.subject.generated.iter();
            let generated = generated.map(|(path, bytes)| facts_of(path, bytes, false));
            self.files
                .extend(generated.map(|file| bill_file(ROOT, &file)));
        }
        self.files.sort_unstable();
        let relations = self.relations.into_iter();
        Bill {
            name: self.inputs.subject.name.clone(),
            created: self.options.created,
            author: self.options.author.clone(),
            components: self.components,
            relations: relations
                .map(|((from, kind, to), evidence)| Relation {
                    from,
                    kind,
                    to,
                    evidence: shorten(&evidence),
                })
                .collect(),
            files: self.files,
            files_are_complete: self.options.files == FileDetail::All,
            texts: self.texts,
        }
    }

    /// A list of others is under the licenses of all that it lists: of what it contains where it does, else of what it refers to.
    fn conclude_sets(&mut self) {
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

    fn root(&self) -> BillComponent {
        let subject = self.inputs.subject;
        let parts = || self.components.iter();
        let known: Option<Vec<&str>> = parts().map(|part| part.concluded.as_deref()).collect();
        let (checksums, checksum_of) = match subject.kind {
            SubjectKind::Image => (subject.checksums.clone(), None),
            SubjectKind::Closure => {
                let gathered = self.inputs.gathered.parts.iter();
                let mut hashers = (Sha256::new(), Sha512::new());
                for part in gathered {
                    let files = part.facts.iter().flat_map(|facts| &facts.files);
                    let before = part.info.path.to_logical();
                    hash_listing(&mut hashers, files, |file| match file.path.is_empty() {
                        true => before.clone(),
                        false => format!("{before}/{}", file.path),
                    });
                }
                (finish_listing(hashers), Some(CLOSURE_LISTING.to_owned()))
            }
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
fn base_image(base: &SubjectBase) -> BillComponent {
    let name = base.name.as_ref();
    BillComponent {
        id: BASE.to_owned(),
        kind: ComponentKind::Base,
        name: name.map_or_else(|| "the base image".to_owned(), ToString::to_string),
        version: Some(base.digest.to_string()),
        purl: name.map(|name| image_purl(name.base_name(), name, base.digest)),
        checksums: vec![Checksum::sha256(base.digest.to_hex())],
        ..empty()
    }
}

/// The package URL of the image with this digest, called `name`, that lies where `place` does. purl-spec, "oci".
pub(in super::super) fn image_purl(name: &str, place: &ImageName, digest: Digest) -> String {
    let place = format!("{}/{}", place.registry(), place.repository());
    let place = place.replace(':', "%3A");
    let hex = digest.to_hex();
    format!("pkg:oci/{name}@sha256%3A{hex}?repository_url={place}")
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

/// The digest part alone: letters and digits, and unique.
/// What is known of a package of the toolchain of which something was linked in. It is not delivered itself, so its digest is that of no file.
fn of_toolchain(package: &SourceFacts) -> BillComponent {
    let purl: Option<Purl> = package.purl.as_deref().and_then(|purl| purl.parse().ok());
    BillComponent {
        version: purl.and_then(|purl| purl.version),
        purl: package.purl.clone(),
        declared: package.license.clone(),
        concluded: package.license.clone(),
        sources: vec![source(package)],
        ..empty()
    }
}

fn object_id(path: &StorePath) -> String {
    path.digest().to_string()
}

fn bill_file(owner: &str, file: &FileFacts) -> BillFile {
    let [sha256, sha512] = checksums_of(file);
    BillFile {
        owner: owner.to_owned(),
        path: file.path.clone(),
        size_bytes: file.size,
        is_executable: file.executable,
        checksums: [
            Checksum {
                algorithm: "SHA-1",
                value: file.sha1.clone(),
            },
            sha256,
            sha512,
        ],
    }
}

fn checksums_of(file: &FileFacts) -> [Checksum; 2] {
    [
        Checksum::sha256(&file.sha256),
        Checksum::sha512(&file.sha512),
    ]
}

/// Returns the digests of the list of files.
fn listing(files: &[FileFacts], before: &str) -> Vec<Checksum> {
    let mut hashers = (Sha256::new(), Sha512::new());
    hash_listing(&mut hashers, files, |file| format!("{before}{}", file.path));
    finish_listing(hashers)
}

fn hash_listing<'f>(
    hashers: &mut (Sha256, Sha512),
    files: impl IntoIterator<Item = &'f FileFacts>,
    name: impl Fn(&FileFacts) -> String,
) {
    let mut files: Vec<(String, &FileFacts)> =
        files.into_iter().map(|file| (name(file), file)).collect();
    files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, file) in files {
        hashers.0.update(format!("{}  {name}\n", file.sha256));
        hashers.1.update(format!("{}  {name}\n", file.sha512));
    }
}

fn finish_listing((sha256, sha512): (Sha256, Sha512)) -> Vec<Checksum> {
    vec![
        Checksum::sha256(hex(&sha256.finalize())),
        Checksum::sha512(hex(&sha512.finalize())),
    ]
}

fn source(source: &SourceFacts) -> BillSource {
    let sha256 = source.sha256.as_ref().map(Checksum::sha256);
    let sha512 = source.sha512.as_ref().map(Checksum::sha512);
    BillSource {
        name: source.name.clone(),
        urls: source.urls.clone(),
        checksums: sha256.into_iter().chain(sha512).collect(),
    }
}

/// Reads `sha256:…`; other digests have no place in documents.
fn checksum(text: &str) -> Option<Checksum> {
    text.strip_prefix("sha256:").map(Checksum::sha256)
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn shorten(evidence: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = evidence
        .iter()
        .take(MAX_EVIDENCE)
        .map(String::as_str)
        .collect();
    let text = shown.join("; ");
    match evidence.len() - shown.len() {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}
