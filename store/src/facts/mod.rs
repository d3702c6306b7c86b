//! What was observed of an output when it was registered: the evidence that an audit stands on.
//!
//! A recipe *declares*; this is what was *seen*, at the only moment at which the sources, the linker's records and the output are all at hand. It lies
//! in a store object of its own, `NAME-facts`, which [`Component::facts`](crate::Component) of the output names: so it travels through caches, is signed with
//! the component, and is no part of the output's identity. In that object are
//! * `facts.json`: [`Facts`],
//! * `texts/SHA256`: the bytes of each [`TextFacts`], as they were found.
//!
//! Pure types: who observes is the `recipes` crate, who judges is `pack`.

mod detected;
mod document;
mod file;
mod link;
mod origin;
mod place;
mod stated;

pub use detected::{Class, CopyrightFacts, Finding, Matcher, TextFacts, TextKind};
pub use document::{FACTS_VERSION, Facts, FactsError};
pub use file::FileFacts;
pub use link::{LinkFacts, LinkInput, LinkKind, Linked};
pub use origin::{PatchFacts, RecipeFile, SourceFacts, SourceRole};
pub use place::{FACTS_SUFFIX, FactsObject, facts_name};
pub use stated::{Maker, Stated};
