//! From what is recorded of a closure to its notices.

use std::collections::{BTreeMap, BTreeSet};

use store::{
    LocalStore,
    facts::{Facts, LinkKind, SourceFacts, TextFacts, TextKind},
};

use super::{MissingText, Notice, NoticeComponent, NoticeError, NoticeText};
use crate::audit::{
    GatherError, Gathered, Part,
    inventory::Inventory,
    obligation::{Duty, duties_of},
    reviewed_conclusions,
};
use crate::vulns::Purl;

/// What is collected of a component, all outputs together.
#[derive(Default)]
struct Collected {
    license: Option<String>,
    homepage: Option<String>,
    copyrights: BTreeSet<String>,
    /// Digest and file of each text.
    texts: BTreeSet<(String, String)>,
    has_facts: bool,
}

/// Reads a text by its digest.
type Load<'l> = dyn Fn(&Part, &str) -> Result<Option<Vec<u8>>, GatherError> + 'l;

/// Name and version.
type Key = (String, Option<String>);

type Components = BTreeMap<Key, Collected>;

impl Notice {
    /// Puts together what is recorded of a closure, whose components are `inventory`, and reads the texts.
    pub fn collect(
        subject: &str,
        gathered: &Gathered,
        inventory: &Inventory,
        store: &LocalStore,
    ) -> Result<Self, NoticeError> {
        let load = |part: &Part, sha256: &str| part.load_text(store, sha256);
        Self::collect_with(subject, gathered, inventory, &load)
    }

    fn collect_with(
        subject: &str,
        gathered: &Gathered,
        inventory: &Inventory,
        load: &Load<'_>,
    ) -> Result<Self, NoticeError> {
        let mut components = Components::new();
        let mut bytes: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        // What is linked in is in the image as much as what lies beside it.
        for part in gathered.parts.iter().chain(&gathered.linked) {
            let texts = add(&mut components, part);
            for text in texts {
                if !bytes.contains_key(&text)
                    && let Some(found) = load(part, &text)?
                {
                    bytes.insert(text, found);
                }
            }
        }
        add_reviewed(&mut components, gathered, inventory);
        Ok(Self::of(subject, components, bytes))
    }

    fn of(subject: &str, components: Components, mut bytes: BTreeMap<String, Vec<u8>>) -> Self {
        let mut notice = Self {
            subject: subject.to_owned(),
            components: Vec::new(),
            texts: Vec::new(),
            missing: Vec::new(),
        };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for ((name, version), collected) in components {
            let duties = collected.license.as_deref().map(duties_of);
            // What declares no license may ask for anything.
            let needs_text = duties.as_ref().is_none_or(|all| all.contains(&Duty::Text));
            let found = collected.texts.iter();
            let has_text = found
                .clone()
                .any(|(text, _)| bytes.contains_key(text) || places.contains_key(text));
            if needs_text && !has_text {
                notice.missing.push(MissingText {
                    code: "N101",
                    component: name.clone(),
                    version: version.clone(),
                    license: collected.license.clone(),
                    reason: if collected.has_facts {
                        "no text was found in its sources"
                    } else {
                        "nothing was recorded of its sources"
                    },
                });
            }
            let component = notice.components.len();
            for (text, file) in found {
                let place = match places.get(text) {
                    Some(place) => *place,
                    None => {
                        let Some(bytes) = bytes.remove(text) else {
                            continue;
                        };
                        notice.texts.push(NoticeText {
                            sha256: text.clone(),
                            bytes,
                            of: Vec::new(),
                        });
                        places.insert(text.clone(), notice.texts.len() - 1);
                        notice.texts.len() - 1
                    }
                };
                if let Some(text) = notice.texts.get_mut(place) {
                    text.of.push((component, file.clone()));
                }
            }
            notice.components.push(NoticeComponent {
                name,
                version,
                license: collected.license,
                homepage: collected.homepage,
                duties: duties.unwrap_or_default(),
                copyrights: collected.copyrights.into_iter().collect(),
            });
        }
        notice
    }
}

/// Adds a store path and the software of others in it. Returns the digests of the texts.
fn add(components: &mut Components, part: &Part) -> Vec<String> {
    let Some(component) = &part.info.component else {
        let key = (part.info.path.name().to_string(), None);
        components.entry(key).or_default();
        return Vec::new();
    };
    let own = (component.name.clone(), component.version.clone());
    let mut purls: BTreeMap<&str, Key> = (component.contains.iter())
        .map(|one| (one.purl.as_str(), (one.name.clone(), one.version.clone())))
        .collect();
    for one in &component.contains {
        let key = (one.name.clone(), one.version.clone());
        let inner = components.entry(key).or_default();
        inner.license = inner.license.take().or_else(|| one.license.clone());
        inner.homepage = inner.homepage.take().or_else(|| one.homepage.clone());
        inner.has_facts |= part.facts.is_some();
    }
    let collected = components.entry(own.clone()).or_default();
    collected.license = collected
        .license
        .take()
        .or_else(|| component.license.clone());
    collected.homepage = collected
        .homepage
        .take()
        .or_else(|| component.homepage.clone());
    let Some(facts) = &part.facts else {
        return Vec::new();
    };
    collected.has_facts = true;
    for (purl, name, package) in copied_of_toolchain(facts) {
        let version = purl.parse().ok().and_then(|purl: Purl| purl.version);
        let key = purls.entry(purl).or_insert((name.to_owned(), version));
        let collected = components.entry(key.clone()).or_default();
        collected.license = collected.license.take().or_else(|| package.license.clone());
        collected.has_facts = true;
    }
    // Of a component in another one, its own sources tell.
    let of = |source: u32| {
        let source = facts
            .sources
            .get(usize::try_from(source).unwrap_or(usize::MAX));
        let purl = source.and_then(|source| source.purl.as_deref());
        purl.and_then(|purl| purls.get(purl))
            .unwrap_or(&own)
            .clone()
    };
    for one in &facts.copyrights {
        let collected = components.entry(of(one.source)).or_default();
        collected.copyrights.insert(one.statement.clone());
    }
    let mut loaded = Vec::new();
    for text in &facts.texts {
        if is_printed(text, facts) {
            let collected = components.entry(of(text.source)).or_default();
            collected
                .texts
                .insert((text.sha256.clone(), text.path.clone()));
            loaded.push(text.sha256.clone());
        }
    }
    loaded
}

/// Returns the packages of the toolchain of which the linker copied something in, such as a C library's: package URL, name, and what is recorded of them.
fn copied_of_toolchain(facts: &Facts) -> impl Iterator<Item = (&str, &str, &SourceFacts)> {
    let inputs = facts.links.iter().flat_map(|link| &link.inputs);
    let copied = inputs.filter(|input| input.kind == LinkKind::Static && input.object.is_none());
    copied.filter_map(|input| {
        let name = input.component.as_deref()?;
        let package = facts.find_toolchain(name)?;
        Some((package.purl.as_deref()?, name, package))
    })
}

/// Adds what this project has read in copyright files of Debian's packages, and to packages without such a file that of another one of their source.
fn add_reviewed(components: &mut Components, gathered: &Gathered, inventory: &Inventory) {
    let reviewed = reviewed_conclusions(inventory);
    let facts = gathered.parts.iter().filter_map(|part| part.facts.as_ref());
    let texts = facts.flat_map(|facts| &facts.texts);
    let by_words: BTreeMap<&str, &TextFacts> =
        texts.map(|text| (text.normal.as_str(), text)).collect();
    for unit in inventory.units.iter().filter(|unit| unit.is_debian()) {
        let key = (unit.name.clone(), unit.version.clone());
        let Some(collected) = components.get_mut(&key) else {
            continue;
        };
        if let Some(license) = reviewed.get(&unit.key) {
            collected.license = Some(license.to_string());
        }
        if !collected.texts.is_empty() {
            continue;
        }
        let words = unit.copyright_findings();
        let texts = words.filter_map(|finding| by_words.get(finding.notice.as_str()));
        let texts = texts.map(|text| (text.sha256.clone(), text.path.clone()));
        collected.texts.extend(texts);
    }
}

/// Whether a text goes into the notices: files are there for that, and the head of a source file where its source has no such file.
fn is_printed(text: &TextFacts, facts: &Facts) -> bool {
    let is_license = |one: &TextFacts| one.kind == TextKind::License && one.source == text.source;
    match text.kind {
        TextKind::License | TextKind::Notice | TextKind::Authors => true,
        TextKind::Header => !facts.texts.iter().any(is_license),
    }
}

#[cfg(test)]
mod tests {
    use store::{
        Component, ContainedComponent, MemoryNode, PathInfo,
        facts::{CopyrightFacts, LinkFacts, LinkInput, Linked, SourceRole},
        testing::TempStore,
    };

    use super::*;

    fn source(name: &str, purl: Option<&str>) -> SourceFacts {
        SourceFacts {
            name: name.to_owned(),
            role: if purl.is_some() {
                SourceRole::Vendored
            } else {
                SourceRole::Main
            },
            urls: Vec::new(),
            size: 1,
            sha256: None,
            sha512: None,
            object: String::new(),
            purl: purl.map(str::to_owned),
            license: None,
            files: 1,
            unread: None,
            stated: None,
        }
    }

    fn text(sha256: &str, kind: TextKind, source: u32, path: &str) -> TextFacts {
        TextFacts {
            sha256: sha256.to_owned(),
            normal: sha256.to_owned(),
            kind,
            source,
            path: path.to_owned(),
            size: 1,
        }
    }

    fn part(store: &TempStore, name: &str, license: Option<&str>, facts: Option<Facts>) -> Part {
        let tree = MemoryNode::file(name.to_owned());
        let info = store.add_tree(&format!("{name}-1"), tree, &[]).unwrap();
        let component = Component {
            name: name.to_owned(),
            version: Some("1".to_owned()),
            license: license.map(str::to_owned),
            ..Component::default()
        };
        let component = Some(component);
        Part {
            info: PathInfo { component, ..info },
            facts,
        }
    }

    fn collect(parts: Vec<Part>) -> Notice {
        let gathered = Gathered {
            parts,
            ..Gathered::default()
        };
        let load = |_: &Part, sha256: &str| Ok(Some(format!("text {sha256}").into_bytes()));
        let inventory = Inventory::of_closure(&gathered, &[]);
        Notice::collect_with("app", &gathered, &inventory, &load).unwrap()
    }

    #[test]
    fn equal_texts_are_there_once_with_all_that_they_are_of() {
        let store = TempStore::new();
        let facts = |path: &str| Facts {
            sources: vec![source("s", None)],
            texts: vec![
                text("aa", TextKind::License, 0, path),
                text("hh", TextKind::Header, 0, "x.c"),
            ],
            copyrights: vec![CopyrightFacts {
                source: 0,
                statement: "Copyright 2020 A".to_owned(),
                files: 2,
            }],
            ..Facts::default()
        };
        let notice = collect(vec![
            part(&store, "one", Some("MIT"), Some(facts("LICENSE"))),
            part(&store, "two", Some("MIT"), Some(facts("COPYING"))),
        ]);
        assert_eq!(notice.missing, []);
        let [text] = notice.texts.as_slice() else {
            panic!("{:?}", notice.texts);
        };
        assert_eq!(text.bytes, b"text aa");
        assert_eq!(
            text.of,
            [(0, "LICENSE".to_owned()), (1, "COPYING".to_owned())]
        );
        assert_eq!(notice.components[1].copyrights, ["Copyright 2020 A"]);
    }

    #[test]
    fn what_asks_for_its_text_and_has_none_is_n101_and_no_other() {
        let store = TempStore::new();
        let empty = || Some(Facts::default());
        let header = Facts {
            sources: vec![source("s", None)],
            texts: vec![text("hh", TextKind::Header, 0, "x.c")],
            ..Facts::default()
        };
        let notice = collect(vec![
            part(&store, "asks", Some("BSD-3-Clause"), empty()),
            part(&store, "free", Some("Zlib"), empty()),
            part(&store, "head", Some("ISC"), Some(header)),
            part(&store, "nothing", Some("MIT"), None),
            part(&store, "odd", None, empty()),
        ]);
        let missing: Vec<(&str, &str)> = (notice.missing.iter())
            .map(|one| (one.component.as_str(), one.reason))
            .collect();
        assert_eq!(
            missing,
            [
                ("asks", "no text was found in its sources"),
                ("nothing", "nothing was recorded of its sources"),
                ("odd", "no text was found in its sources"),
            ]
        );
    }

    #[test]
    fn a_c_library_that_was_copied_in_is_a_component_with_its_own_text() {
        let store = TempStore::new();
        let purl = "pkg:deb/debian/libc6-dev@2.36-9?arch=amd64";
        let libc = SourceFacts {
            role: SourceRole::Toolchain,
            license: Some("LGPL-2.1-or-later".to_owned()),
            ..source("libc6-dev.deb", Some(purl))
        };
        let linked = LinkInput {
            kind: LinkKind::Static,
            object: None,
            component: Some("libc6-dev".to_owned()),
            file: "libc.a".to_owned(),
            members: Vec::new(),
        };
        let facts = |kind| Facts {
            sources: vec![source("app", None), libc.clone()],
            texts: vec![
                text("aa", TextKind::License, 0, "LICENSE"),
                text("bb", TextKind::License, 1, "copyright"),
            ],
            links: vec![LinkFacts {
                file: "bin/app".to_owned(),
                linked: Linked::Recorded,
                inputs: vec![LinkInput {
                    kind,
                    ..linked.clone()
                }],
            }],
            ..Facts::default()
        };
        let app = |kind| collect(vec![part(&store, "app", Some("MIT"), Some(facts(kind)))]);
        let notice = app(LinkKind::Static);
        let components: Vec<_> = (notice.components.iter())
            .map(|one| {
                (
                    one.name.as_str(),
                    one.version.as_deref(),
                    one.license.as_deref(),
                )
            })
            .collect();
        let expected = [
            ("app", Some("1"), Some("MIT")),
            ("libc6-dev", Some("2.36-9"), Some("LGPL-2.1-or-later")),
        ];
        assert_eq!(components, expected);
        let of: Vec<_> = notice.texts.iter().map(|text| text.of.clone()).collect();
        let expected = [
            vec![(0, "LICENSE".to_owned())],
            vec![(1, "copyright".to_owned())],
        ];
        assert_eq!(of, expected);
        // Start files are in every program, under terms made for that.
        assert_eq!(app(LinkKind::Runtime).components.len(), 1);
    }

    #[test]
    fn the_text_of_a_vendored_component_is_its_own() {
        let store = TempStore::new();
        let facts = Facts {
            sources: vec![
                source("app", None),
                source("inner.crate", Some("pkg:cargo/inner@2")),
            ],
            texts: vec![text("bb", TextKind::License, 1, "LICENSE-MIT")],
            ..Facts::default()
        };
        let mut outer = part(&store, "outer", Some("Zlib"), Some(facts));
        let inner = ContainedComponent {
            name: "inner".to_owned(),
            version: Some("2".to_owned()),
            purl: "pkg:cargo/inner@2".to_owned(),
            license: Some("MIT".to_owned()),
            ..ContainedComponent::default()
        };
        outer.info.component.as_mut().unwrap().contains.push(inner);
        let notice = collect(vec![outer]);
        assert_eq!(notice.missing, []);
        assert_eq!(notice.components[0].name, "inner");
        assert_eq!(notice.texts[0].of, [(0, "LICENSE-MIT".to_owned())]);
    }
}
