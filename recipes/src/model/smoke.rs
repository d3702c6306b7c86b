//! A short proof that a package works where only its closure exists.

use std::fmt;

/// One command that a package must run well, in a place that holds what an image of it would.
///
/// Part of no digest: it tests the outputs and cannot change them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmokeCommand {
    /// The program, below the default output, and its arguments; never empty.
    pub words: Vec<String>,
    /// What its output must have in it.
    pub expected: Option<String>,
}

impl fmt::Display for SmokeCommand {
    /// Words with spaces, and empty ones, are quoted as a reader expects; nothing parses this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let is_plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace());
            if is_plain {
                write!(f, "{space}{word}")?;
            } else {
                write!(f, "{space}'{}'", word.escape_debug())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_apart() {
        let words = ["bin/awk", "BEGIN { print 1 }", "", "x"].map(str::to_owned);
        let command = SmokeCommand {
            words: words.to_vec(),
            expected: None,
        };
        assert_eq!(command.to_string(), "bin/awk 'BEGIN { print 1 }' '' x");
    }
}
