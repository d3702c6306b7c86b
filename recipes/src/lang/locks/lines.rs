//! From places in a text to lines.

/// Returns the line, counted from one, in which byte `offset` of `text` lies.
pub(in crate::lang) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + memchr::memchr_iter(b'\n', before).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_after_its_line_feed() {
        let text = "a\nb\n";
        assert_eq!(
            [0, 1, 2, 3, 4, 99].map(|offset| line_at(text, offset)),
            [1, 1, 2, 2, 3, 3]
        );
    }
}
