//! How SPDX 2.3 says that one package needs another when it runs. Pure.
//!
//! It has a word for shared libraries that are loaded at start, `DYNAMIC_LINK`, and none for what is loaded on demand and for what runs a program. Relationships
//! that it does not define are `OTHER`, with a description in the comment (SPDX 2.3, 11.1).

use store::UseKind;

use super::evidence::pieces;

const DYNAMIC_LINK: &str = "DYNAMIC_LINK";
const OTHER: &str = "OTHER";
/// What comments of [`OTHER`] begin with.
const DESCRIBED: [(UseKind, &str); 2] = [
    (UseKind::Dlopen, "loads on demand: "),
    (UseKind::Interpreter, "is run by: "),
];

/// Returns the type of the relationship.
pub(super) const fn use_relationship(kind: UseKind) -> &'static str {
    match kind {
        UseKind::Needed => DYNAMIC_LINK,
        UseKind::Dlopen | UseKind::Interpreter => OTHER,
    }
}

/// Returns the comment of the relationship, which ends with what shows it.
pub(super) fn use_comment(kind: UseKind, evidence: &str) -> String {
    let description = DESCRIBED.iter().find(|(described, _)| *described == kind);
    let description = description.map_or("", |(_, text)| text);
    format!("{description}{evidence}")
}

/// Reads a relationship: in which way one package needs the other, and the places that show it; none where it says something else.
pub(crate) fn read_use(relationship: &str, comment: &str) -> Option<(UseKind, Vec<String>)> {
    let (kind, evidence) = match relationship {
        DYNAMIC_LINK => (UseKind::Needed, comment),
        OTHER => DESCRIBED
            .iter()
            .find_map(|(kind, text)| Some((*kind, comment.strip_prefix(text)?)))?,
        _ => return None,
    };
    let places = pieces(evidence).filter(|place| !place.is_empty());
    Some((kind, places.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_read_as_it_is_written_and_nothing_else_is() {
        for kind in [UseKind::Needed, UseKind::Dlopen, UseKind::Interpreter] {
            let comment = use_comment(kind, "bin/app: lib/libz.so.1; and 3 more");
            let read = read_use(use_relationship(kind), &comment);
            assert_eq!(
                read,
                Some((kind, vec!["bin/app: lib/libz.so.1".to_owned()]))
            );
        }
        assert_eq!(read_use(DYNAMIC_LINK, ""), Some((UseKind::Needed, vec![])));
        let file = "The specification of the image asks for the file.";
        assert_eq!(read_use(OTHER, file), None);
        assert_eq!(read_use("STATIC_LINK", "bin/app: lib/libz.a"), None);
    }
}
