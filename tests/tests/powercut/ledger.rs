//! What the store has promised so far, and so what must be there after a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use store::StorePath;

/// Something that a store can promise to keep.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// The object is valid.
    Object(StorePath),
    /// The root of this name keeps the object.
    Root(String, StorePath),
    /// The object is the current generation of the default profile.
    Current(StorePath),
}

/// A change of what is promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A call has returned: from now on the fact holds.
    Promise(Fact),
    /// A call that replaces or removes the root of this name is about to begin: from now on it may be there or not.
    WithdrawRoot(String),
    /// A call that switches the default profile is about to begin: from now on the old or the new generation may be the current one.
    WithdrawCurrent,
    /// A call that may delete the object is about to begin.
    WithdrawObject(StorePath),
}

/// All facts that hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    objects: BTreeSet<StorePath>,
    roots: BTreeMap<String, StorePath>,
    current: Option<StorePath>,
}

impl Ledger {
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Promise(fact) => self.extend([fact.clone()]),
            Event::WithdrawRoot(name) => {
                self.roots.remove(name);
            }
            Event::WithdrawCurrent => self.current = None,
            Event::WithdrawObject(path) => {
                self.objects.remove(path);
            }
        }
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> {
        let objects = self.objects.iter().cloned().map(Fact::Object);
        let roots = self.roots.iter();
        let roots = roots.map(|(name, path)| Fact::Root(name.clone(), path.clone()));
        let current = self.current.iter().cloned().map(Fact::Current);
        objects.chain(roots).chain(current)
    }
}

impl Extend<Fact> for Ledger {
    fn extend<T: IntoIterator<Item = Fact>>(&mut self, facts: T) {
        for fact in facts {
            match fact {
                Fact::Object(path) => {
                    self.objects.insert(path);
                }
                Fact::Root(name, path) => {
                    self.roots.insert(name, path);
                }
                Fact::Current(path) => self.current = Some(path),
            }
        }
    }
}

impl FromIterator<Fact> for Ledger {
    fn from_iter<T: IntoIterator<Item = Fact>>(facts: T) -> Self {
        let mut ledger = Self::default();
        ledger.extend(facts);
        ledger
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(path) => write!(f, "object {path}"),
            Self::Root(name, path) => write!(f, "root {name} {path}"),
            Self::Current(path) => write!(f, "current {path}"),
        }
    }
}

impl FromStr for Fact {
    type Err = Box<dyn Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["object", path] => Ok(Self::Object(path.parse()?)),
            ["root", name, path] => Ok(Self::Root((*name).to_owned(), path.parse()?)),
            ["current", path] => Ok(Self::Current(path.parse()?)),
            _ => Err(format!("no fact: {text}").into()),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promise(fact) => write!(f, "promise {fact}"),
            Self::WithdrawRoot(name) => write!(f, "withdraw-root {name}"),
            Self::WithdrawCurrent => write!(f, "withdraw-current"),
            Self::WithdrawObject(path) => write!(f, "withdraw-object {path}"),
        }
    }
}

impl FromStr for Event {
    type Err = Box<dyn Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(' ') {
            Some(("promise", fact)) => Ok(Self::Promise(fact.parse()?)),
            Some(("withdraw-root", name)) => Ok(Self::WithdrawRoot(name.to_owned())),
            Some(("withdraw-object", path)) => Ok(Self::WithdrawObject(path.parse()?)),
            None if text == "withdraw-current" => Ok(Self::WithdrawCurrent),
            _ => Err(format!("no event: {text}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestResult;

    #[test]
    fn a_ledger_has_what_was_promised_last() -> TestResult {
        let path = |digit: &str| -> Result<StorePath, Box<dyn Error>> {
            Ok(format!("{}-x", digit.repeat(40)).parse()?)
        };
        let root = |name: &str, digit: &str| -> Result<Fact, Box<dyn Error>> {
            Ok(Fact::Root(name.into(), path(digit)?))
        };
        let events = [
            Event::Promise(Fact::Object(path("0")?)),
            Event::Promise(root("a", "0")?),
            Event::Promise(root("b", "0")?),
            Event::Promise(root("a", "1")?),
            Event::WithdrawRoot("b".into()),
            Event::Promise(Fact::Current(path("0")?)),
            Event::WithdrawCurrent,
            Event::Promise(Fact::Current(path("1")?)),
            Event::Promise(Fact::Object(path("1")?)),
            Event::WithdrawObject(path("0")?),
        ];
        let mut ledger = Ledger::default();
        for event in events {
            ledger.apply(&event.to_string().parse()?);
        }
        let facts: Vec<Fact> = ledger.facts().collect();
        let expected = [
            Fact::Object(path("1")?),
            root("a", "1")?,
            Fact::Current(path("1")?),
        ];
        assert_eq!(facts, expected);
        Ok(())
    }
}
