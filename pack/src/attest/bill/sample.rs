//! A small bill for tests: an image with two store paths, a crate and something linked in.

use std::collections::{BTreeMap, BTreeSet};

use store::{
    Component, ContainedComponent, LinkedComponent, MemoryNode, PathInfo, UseKind, UsedObject,
    facts::{
        Facts, FileFacts, LinkFacts, LinkInput, LinkKind, Linked, PatchFacts, SourceFacts,
        SourceRole,
    },
    testing::TempStore,
};

use super::{
    Bill, BillInputs, BillOptions, Checksum, FileDetail, Party, Subject, SubjectBase, SubjectKind,
};
use crate::{
    attest::{SpdxSubject, to_spdx},
    audit::{Gathered, Part},
};

/// What the program needs of the library.
const USES: [(LinkKind, &str); 3] = [
    (LinkKind::Needed, "lib/libz.so.1"),
    (LinkKind::Dlopen, "lib/libzip.so"),
    (LinkKind::Interpreter, "bin/run"),
];

/// Records of a library and a program that needs it.
pub(in super::super) fn gathered() -> Gathered {
    let store = TempStore::new();
    let tree = |path: &str| {
        let mut root = MemoryNode::directory();
        let added = root.insert(path, MemoryNode::file(path));
        added.expect("a legal name");
        root
    };
    let library = store.add_tree("zlib-1.3", tree("lib/libz.so"), &[]);
    let library = library.expect("a new store");
    let program = store.add_tree("jq-1.7", tree("bin/jq"), &[&library]);
    let mut program = program.expect("a new store");
    program.component = Some(Component {
        name: "jq".to_owned(),
        version: Some("1.7".to_owned()),
        license: Some("MIT AND LicenseRef-jq".to_owned()),
        description: Some("Looks into JSON".to_owned()),
        homepage: Some("https://jq.example".to_owned()),
        contains: vec![ContainedComponent {
            name: "serde".to_owned(),
            version: Some("1.0".to_owned()),
            purl: "pkg:cargo/serde@1.0".to_owned(),
            license: Some("MIT/Apache-2.0".to_owned()),
            ..ContainedComponent::default()
        }],
        ..Component::default()
    });
    let uses = USES.map(|(kind, file)| LinkInput {
        kind,
        object: Some(library.path.to_string()),
        component: None,
        file: file.to_owned(),
        members: Vec::new(),
    });
    let mut program = part(program, "bin/jq");
    let links = program.facts.iter_mut().flat_map(|facts| &mut facts.links);
    links.for_each(|link| link.inputs.extend(uses.clone()));
    let mut parts = vec![part(library, "lib/libz.so"), program];
    parts.sort_unstable_by(|a, b| a.info.path.cmp(&b.info.path));
    Gathered {
        parts,
        ..Gathered::default()
    }
}

fn part(info: PathInfo, file: &str) -> Part {
    let digest = |length: usize| "5".repeat(length);
    let facts = Facts {
        sources: vec![SourceFacts {
            name: "source.tar.gz".to_owned(),
            role: SourceRole::Main,
            urls: vec!["https://jq.example/source.tar.gz".to_owned()],
            size: 1,
            sha256: Some(digest(64)),
            sha512: Some(digest(128)),
            object: "none".to_owned(),
            purl: None,
            license: None,
            files: 1,
            unread: None,
            stated: None,
        }],
        patches: vec![PatchFacts {
            name: "fix.patch".to_owned(),
            sha256: digest(64),
            source: None,
            header: String::new(),
            fixes: vec!["CVE-2023-50246".to_owned()],
        }],
        links: vec![LinkFacts {
            file: file.to_owned(),
            linked: Linked::Recorded,
            inputs: vec![LinkInput {
                kind: LinkKind::Static,
                object: None,
                component: Some("gcc-12".to_owned()),
                file: "libgcc.a".to_owned(),
                members: vec!["_muldi3.o".to_owned()],
            }],
        }],
        files: vec![FileFacts {
            path: file.to_owned(),
            size: 1,
            executable: true,
            sha256: digest(64),
            sha1: digest(40),
            sha512: digest(128),
        }],
        ..Facts::default()
    };
    Part {
        info,
        facts: Some(facts),
    }
}

/// The bill that lies in an image of [`gathered`], with what the linker copied recorded as registration does it.
pub(crate) fn inside() -> Vec<u8> {
    let mut infos: Vec<PathInfo> = gathered().parts.into_iter().map(|part| part.info).collect();
    let library = infos
        .iter()
        .find(|info| info.path.name().as_str() == "zlib-1.3");
    let library = library.map(|info| info.path.clone());
    let uses = USES.iter().filter_map(|(kind, file)| {
        Some(UsedObject {
            object: library.clone()?,
            kind: UseKind::of(*kind)?,
            places: vec![format!("bin/jq: {file}")],
            count: 1,
        })
    });
    let mut uses: Vec<UsedObject> = uses.collect();
    for info in &mut infos {
        let linked = LinkedComponent {
            object: None,
            name: "gcc-12".to_owned(),
            version: None,
            purl: None,
            license: Some("LicenseRef-gcc".to_owned()),
            places: vec![format!(
                "bin/{}: libgcc.a",
                info.path
                    .name()
                    .as_str()
                    .split('-')
                    .next()
                    .unwrap_or_default()
            )],
        };
        let component = info.component.get_or_insert_default();
        component.linked = Some(vec![linked]);
        if info.path.name().as_str() == "jq-1.7" {
            component.uses = Some(std::mem::take(&mut uses));
        }
    }
    let subject = SpdxSubject {
        name: "jq",
        infos: &infos,
        base: None,
        asked: &[],
    };
    to_spdx(&subject)
}

/// The bill of an image of [`gathered`], with everything that a bill can say of one without a base.
pub(crate) fn bill() -> Bill {
    bill_on(None)
}

/// The same of an image on a base.
pub(in super::super) fn bill_on(base: Option<SubjectBase>) -> Bill {
    let gathered = gathered();
    let requested: Vec<_> = gathered
        .parts
        .iter()
        .map(|part| part.info.path.clone())
        .filter(|path| path.name().as_str() == "jq-1.7")
        .collect();
    let subject = Subject {
        kind: SubjectKind::Image,
        name: "jq".to_owned(),
        version: Some("1.7".to_owned()),
        purl: None,
        checksums: vec![Checksum::sha256("6".repeat(64))],
        base,
        generated: vec![("etc/passwd".to_owned(), b"root".to_vec())],
    };
    let party = Party {
        name: "Example".to_owned(),
        email: Some("sbom@example.org".to_owned()),
        url: Some("https://example.org".to_owned()),
    };
    let options = BillOptions {
        author: Some(party.clone()),
        supplier: Some(party),
        files: FileDetail::All,
        ..BillOptions::default()
    };
    let texts = BTreeMap::from([("LicenseRef-jq".to_owned(), "Do what you like.".to_owned())]);
    let inputs = BillInputs {
        subject: &subject,
        requested: &requested,
        gathered: &gathered,
        unobserved: &BTreeSet::new(),
        texts: &texts,
    };
    Bill::new(&inputs, &options)
}
