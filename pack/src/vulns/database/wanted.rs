//! What is looked for in a database: all else is read and forgotten. Pure.

use std::collections::HashSet;

use crate::vulns::{Affected, Key, Subject};

/// The names of everything that is looked up.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    keys: HashSet<Key>,
    /// Names alone, of those that are in registers: cheaper to ask than the keys.
    names: HashSet<String>,
}

impl Wanted {
    /// What has to be known of some software.
    #[must_use]
    pub fn of(subjects: &[Subject]) -> Self {
        let mut wanted = Self::default();
        for known in subjects.iter().flat_map(Subject::known) {
            if let Key::Package { name, .. } = &known.key {
                wanted.names.insert(name.clone());
            }
            wanted.keys.insert(known.key);
        }
        wanted
    }

    /// Whether a package of some register may be called so.
    pub(super) fn may_have_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether something of that name is looked for.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Whether a part of a record is about something that is looked for.
    pub(super) fn wants(&self, affected: &Affected) -> bool {
        affected.keys.iter().any(|key| self.has(key))
    }
}
