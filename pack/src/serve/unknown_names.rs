//! Names that a source has just said it does not know.
//!
//! Whoever asks for one blob after another of a name that there is not waits for the source once, and not behind what it builds for others. A name may come to be
//! known at any time, so this is short, and who asks for a tag always asks the source.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::source::SourceError;

/// How long a name is taken to be unknown: longer than a client takes between two blobs, shorter than somebody to write a recipe.
const KEPT: Duration = Duration::from_secs(5);
/// Names that are remembered.
const REMEMBERED: usize = 256;

/// The names, the newest last.
#[derive(Debug, Default)]
pub(super) struct UnknownNames(VecDeque<Unknown>);

#[derive(Debug)]
struct Unknown {
    name: String,
    message: String,
    since: Instant,
}

impl UnknownNames {
    /// Remembers a name, and why there is nothing of it.
    pub(super) fn remember(&mut self, name: &str, message: &str, now: Instant) {
        self.0.retain(|one| one.name != name);
        self.0.push_back(Unknown {
            name: name.to_owned(),
            message: message.to_owned(),
            since: now,
        });
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// Returns what the source said, if that was just now.
    pub(super) fn find(&self, name: &str, now: Instant) -> Option<SourceError> {
        let known = self.0.iter().find(|one| one.name == name)?;
        let age = now.saturating_duration_since(known.since);
        (age < KEPT).then(|| SourceError::Unknown {
            message: known.message.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unknown_for_a_while_only() {
        let start = Instant::now();
        let mut names = UnknownNames::default();
        names.remember("a", "no `a`", start);
        let found = |names: &UnknownNames, name, after| {
            let found = names.find(name, start + after);
            found.map(|error| error.to_string())
        };
        let soon = Duration::from_secs(1);
        assert_eq!(found(&names, "a", soon).as_deref(), Some("no `a`"));
        assert_eq!(found(&names, "b", soon), None);
        assert_eq!(found(&names, "a", KEPT), None);
        names.remember("a", "still none", start + soon);
        assert_eq!(found(&names, "a", KEPT).as_deref(), Some("still none"));
        for number in 0..REMEMBERED {
            names.remember(&number.to_string(), "", start);
        }
        assert_eq!(found(&names, "a", soon), None);
        assert_eq!(names.0.len(), REMEMBERED);
    }
}
