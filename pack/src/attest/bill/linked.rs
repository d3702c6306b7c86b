//! What the linker copied into the closure, and what the files of the closure need of each other.

use store::{
    StorePath, UseKind,
    facts::{Facts, LinkKind, SourceFacts},
};

use super::{
    BillComponent, ComponentKind, RelationKind,
    build::{Builder, object_id},
    component::{empty, source},
};
use crate::vulns::Purl;

impl Builder<'_> {
    /// Adds what was linked into an object and what it needs, and what shows it.
    pub(super) fn add_links(&mut self, id: &str, facts: &Facts) {
        for link in &facts.links {
            for input in &link.inputs {
                let object = input.object.as_deref();
                let path = object.and_then(|text| {
                    StorePath::from_logical(text)
                        .ok()
                        .or_else(|| text.parse().ok())
                });
                if let Some(kind) = UseKind::of(input.kind) {
                    self.add_use(id, kind, path.as_ref(), (&link.file, &input.file));
                }
                // Start files and helpers of the compiler are in every program and have exceptions for that: no rule is about them.
                if input.kind != LinkKind::Static {
                    continue;
                }
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

    /// A file needs one of another object of the closure when it runs.
    fn add_use(
        &mut self,
        id: &str,
        kind: UseKind,
        path: Option<&StorePath>,
        (file, other): (&str, &str),
    ) {
        let Some(path) = path.filter(|path| self.members.contains(path)) else {
            return;
        };
        let to = object_id(path);
        if to != id {
            let evidence = format!("{file}: {other}");
            self.relate(id, RelationKind::Uses(kind), &to, &evidence);
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
}

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
