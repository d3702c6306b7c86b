//! From what is recorded and observed to a bill. Pure.

use std::collections::{BTreeMap, BTreeSet};

use store::{
    StorePath,
    facts::{Facts, FileFacts},
};

use super::{
    Bill, BillComponent, BillFile, BillOptions, Checksum, FileDetail, Relation, RelationKind,
    Subject,
    digests::checksums_of,
    files::facts_of,
    whole::{BASE, ROOT, base_image},
};
use crate::attest::evidence::join;
use crate::audit::{Gathered, Part};

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

/// A bill in the making.
pub(super) struct Builder<'a> {
    pub(super) inputs: &'a BillInputs<'a>,
    pub(super) options: &'a BillOptions,
    pub(super) members: BTreeSet<&'a StorePath>,
    pub(super) components: Vec<BillComponent>,
    /// What is linked in and lies elsewhere, by identifier.
    pub(super) linked: BTreeMap<String, BillComponent>,
    /// The evidence of each relation.
    pub(super) relations: BTreeMap<(String, RelationKind, String), BTreeSet<String>>,
    files: Vec<BillFile>,
    pub(super) texts: BTreeMap<String, String>,
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

    pub(super) fn relate(&mut self, from: &str, kind: RelationKind, to: &str, evidence: &str) {
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
                    evidence: join(evidence.iter()),
                })
                .collect(),
            files: self.files,
            files_are_complete: self.options.files == FileDetail::All,
            texts: self.texts,
        }
    }
}

/// The digest part alone: letters and digits, and unique.
pub(super) fn object_id(path: &StorePath) -> String {
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
