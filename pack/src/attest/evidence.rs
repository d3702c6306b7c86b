//! What shows that two pieces of software hang together, as one text.

/// Pieces that are named; of a program that is linked of hundreds of objects, the first ones are enough.
const MAX_PIECES: usize = 8;
/// What stands between two pieces.
const SEPARATOR: &str = "; ";

/// Joins pieces of evidence, and counts those that are too many.
pub(super) fn join<'a>(pieces: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = pieces.len();
    join_of(pieces, count)
}

/// Joins the first pieces of `count`, and counts those that are too many or not given.
pub(super) fn join_of<'a>(pieces: impl Iterator<Item = &'a String>, count: usize) -> String {
    let shown: Vec<&str> = pieces.take(MAX_PIECES).map(String::as_str).collect();
    let text = shown.join(SEPARATOR);
    match count.saturating_sub(shown.len()) {
        0 => text,
        more => format!("{text}{SEPARATOR}and {more} more"),
    }
}

/// Returns the pieces of a joined text again, without the number of those that were too many.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(SEPARATOR).filter(|piece| !is_count(piece))
}

fn is_count(piece: &str) -> bool {
    let middle = piece
        .strip_prefix("and ")
        .and_then(|rest| rest.strip_suffix(" more"));
    middle.is_some_and(|middle| middle.parse::<usize>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_as_far_as_they_are_named() {
        let all: Vec<String> = (0..10)
            .map(|number| format!("bin/{number}: libz.a"))
            .collect();
        let joined = join(all.iter());
        assert!(joined.ends_with("bin/7: libz.a; and 2 more"), "{joined}");
        assert!(pieces(&joined).eq(all.iter().take(8)));
        let joined = join_of(all.iter().take(2), 5);
        assert_eq!(joined, "bin/0: libz.a; bin/1: libz.a; and 3 more");
        assert!(pieces(&join(all.iter().take(1))).eq(all.iter().take(1)));
    }
}
