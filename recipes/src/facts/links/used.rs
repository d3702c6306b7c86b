//! Which other objects an output needs when it runs, in the words of what is recorded with that. Pure.

use std::collections::BTreeMap;

use store::facts::{Facts, LinkInput};
use store::{StorePath, UseKind, UsedObject};

/// Returns which other store objects the files of `output` need when they run, by its facts. Sorted, no duplicates; a file that needs several of one object is
/// one place, by the first of them.
pub(crate) fn used(output: &StorePath, facts: &Facts) -> Vec<UsedObject> {
    let mut places: BTreeMap<(StorePath, UseKind), BTreeMap<&str, &str>> = BTreeMap::new();
    for link in &facts.links {
        for input in &link.inputs {
            if let Some(used) = used_by(input).filter(|(object, _)| object != output) {
                let files = places.entry(used).or_default();
                let other = files.entry(&link.file).or_insert(&input.file);
                *other = (*other).min(&input.file);
            }
        }
    }
    let used = places.into_iter().map(|((object, kind), places)| {
        let count = places.len();
        UsedObject {
            object,
            kind,
            places: places
                .into_iter()
                .take(UsedObject::MAX_PLACES)
                .map(|(file, other)| format!("{file}: {other}"))
                .collect(),
            count,
        }
    });
    used.collect()
}

fn used_by(input: &LinkInput) -> Option<(StorePath, UseKind)> {
    let kind = UseKind::of(input.kind)?;
    let object = input.object.as_deref()?;
    let object = StorePath::from_logical(object).or_else(|_| object.parse());
    Some((object.ok()?, kind))
}

#[cfg(test)]
mod tests {
    use store::facts::{LinkFacts, LinkKind, Linked};

    use super::*;

    #[test]
    fn what_runs_or_is_loaded_is_said_of_other_objects_and_what_was_copied_is_not() {
        let path = |digit: &str, name: &str| -> StorePath {
            let path = format!("{}-{name}", digit.repeat(40));
            path.parse().expect("a store path")
        };
        let (own, libc, zlib) = (path("a", "app"), path("b", "libc"), path("c", "zlib"));
        let input = |kind: LinkKind, object: Option<&StorePath>, file: &str| LinkInput {
            kind,
            object: object.map(StorePath::to_string),
            component: None,
            file: file.to_owned(),
            members: Vec::new(),
        };
        let inputs = vec![
            input(LinkKind::Needed, Some(&libc), "lib/libc.so.6"),
            input(LinkKind::Interpreter, Some(&libc), "lib/ld.so"),
            input(LinkKind::Dlopen, Some(&zlib), "lib/libz.so.1"),
            input(LinkKind::Static, Some(&zlib), "lib/libz.a"),
            input(LinkKind::Runtime, Some(&libc), "lib/crt1.o"),
            input(LinkKind::Needed, Some(&own), "lib/own.so"),
            input(LinkKind::Needed, None, "libelsewhere.so"),
        ];
        let links = (0..6).map(|number| LinkFacts {
            file: format!("bin/{number}"),
            linked: Linked::Recorded,
            inputs: inputs.clone(),
        });
        let facts = Facts {
            links: links.collect(),
            ..Facts::default()
        };
        let used = used(&own, &facts);
        let short: Vec<_> = used
            .iter()
            .map(|one| (one.object.name().as_str(), one.kind, one.count))
            .collect();
        let expected = [
            ("libc", UseKind::Needed, 6),
            ("libc", UseKind::Interpreter, 6),
            ("zlib", UseKind::Dlopen, 6),
        ];
        assert_eq!(short, expected);
        assert_eq!(used[0].places.len(), UsedObject::MAX_PLACES);
        assert_eq!(used[2].places[0], "bin/0: lib/libz.so.1");
    }
}
