//! Of which software the linker copied something into an output, in the words of what is recorded with that.

use std::collections::{BTreeMap, BTreeSet};

use store::facts::{Facts, LinkInput, LinkKind};
use store::{DbError, LinkedComponent, LocalStore, StorePath};

/// Returns the software of which something was copied into `output`, by its facts: that of other store objects, with what is recorded of these today, and of the
/// toolchain. Sorted, no duplicates.
pub(crate) fn copied(
    store: &LocalStore,
    output: &StorePath,
    facts: &Facts,
) -> Result<Vec<LinkedComponent>, DbError> {
    let mut places: BTreeMap<Origin<'_>, BTreeSet<String>> = BTreeMap::new();
    for link in &facts.links {
        for input in &link.inputs {
            if let Some(origin) = Origin::of(input).filter(|origin| !origin.is(output)) {
                let place = format!("{}: {}", link.file, input.file);
                places.entry(origin).or_default().insert(place);
            }
        }
    }
    let mut linked = places
        .into_iter()
        .map(|(origin, places)| origin.describe(store, facts, places.into_iter().collect()))
        .collect::<Result<Vec<LinkedComponent>, DbError>>()?;
    linked.sort();
    Ok(linked)
}

/// What has something that was copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin<'a> {
    Object(StorePath),
    /// A package of the toolchain.
    Toolchain(&'a str),
}

impl<'a> Origin<'a> {
    fn of(input: &'a LinkInput) -> Option<Self> {
        if input.kind != LinkKind::Static {
            return None;
        }
        match (&input.object, &input.component) {
            (Some(object), _) => StorePath::from_logical(object)
                .or_else(|_| object.parse())
                .ok()
                .map(Self::Object),
            (None, Some(component)) => Some(Self::Toolchain(component)),
            // The build's own objects.
            (None, None) => None,
        }
    }

    fn is(&self, output: &StorePath) -> bool {
        matches!(self, Self::Object(path) if path == output)
    }

    fn describe(
        self,
        store: &LocalStore,
        facts: &Facts,
        places: Vec<String>,
    ) -> Result<LinkedComponent, DbError> {
        Ok(match self {
            Self::Object(path) => {
                let known = store.path_info(&path)?.and_then(|info| info.component);
                let name = path.name().to_string();
                let (name, version, purl, license) = match known {
                    Some(known) => (known.name, known.version, known.purl, known.license),
                    None => (name, None, None, None),
                };
                LinkedComponent {
                    object: Some(path),
                    name,
                    version,
                    purl,
                    license,
                    places,
                }
            }
            Self::Toolchain(name) => {
                let package = facts.find_toolchain(name);
                LinkedComponent {
                    object: None,
                    name: name.to_owned(),
                    version: None,
                    purl: package.and_then(|package| package.purl.clone()),
                    license: package.and_then(|package| package.license.clone()),
                    places,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use store::facts::{LinkFacts, Linked, SourceFacts, SourceRole};
    use store::testing::TempStore;
    use store::{Component, MemoryNode};

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn input(kind: LinkKind, object: Option<&StorePath>, component: Option<&str>) -> LinkInput {
        LinkInput {
            kind,
            object: object.map(StorePath::to_logical),
            component: component.map(str::to_owned),
            file: "lib/libz.a".to_owned(),
            members: vec!["adler32.o".to_owned()],
        }
    }

    #[test]
    fn what_was_copied_is_said_and_what_is_only_needed_is_not() -> TestResult {
        let store = TempStore::new();
        let tree = || MemoryNode::file("bytes");
        let library = store.add_tree("zlib-1.3", tree(), &[])?.path;
        let program = store.add_tree("app-1", tree(), &[])?.path;
        let component = Component {
            name: "zlib".to_owned(),
            version: Some("1.3".to_owned()),
            license: Some("Zlib".to_owned()),
            ..Component::default()
        };
        store.set_components(&[(library.clone(), component)])?;
        let purl = "pkg:deb/debian/libc6-dev@2.36-9?arch=amd64";
        let inputs = vec![
            input(LinkKind::Static, Some(&library), None),
            input(LinkKind::Static, Some(&program), None),
            input(LinkKind::Static, None, Some("libc6-dev")),
            input(LinkKind::Static, None, None),
            input(LinkKind::Runtime, None, Some("libgcc-12-dev")),
            input(LinkKind::Needed, Some(&library), None),
        ];
        let link = |file: &str| LinkFacts {
            file: file.to_owned(),
            linked: Linked::Recorded,
            inputs: inputs.clone(),
        };
        let facts = Facts {
            sources: vec![SourceFacts {
                name: "libc6-dev.deb".to_owned(),
                role: SourceRole::Toolchain,
                urls: Vec::new(),
                size: 1,
                sha256: None,
                sha512: None,
                object: String::new(),
                purl: Some(purl.to_owned()),
                license: Some("LGPL-2.1-or-later".to_owned()),
                files: 1,
                unread: None,
                stated: None,
            }],
            links: vec![link("bin/one"), link("bin/two")],
            ..Facts::default()
        };
        let places = vec![
            "bin/one: lib/libz.a".to_owned(),
            "bin/two: lib/libz.a".to_owned(),
        ];
        let expected = [
            LinkedComponent {
                object: None,
                name: "libc6-dev".to_owned(),
                version: None,
                purl: Some(purl.to_owned()),
                license: Some("LGPL-2.1-or-later".to_owned()),
                places: places.clone(),
            },
            LinkedComponent {
                object: Some(library),
                name: "zlib".to_owned(),
                version: Some("1.3".to_owned()),
                purl: None,
                license: Some("Zlib".to_owned()),
                places,
            },
        ];
        assert_eq!(copied(&store, &program, &facts)?, expected);
        Ok(())
    }
}
