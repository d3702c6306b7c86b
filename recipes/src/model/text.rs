//! A text of a derivation, in which outputs of other derivations are named by placeholders.
//!
//! Starlark sees plain strings. A placeholder, `/pith/store/<40 characters>-<store name>`, stands in them for a path
//! that is not known before its derivation is realised. Parsing finds every one of them, so that a derivation's inputs
//! are what it names, and refuses a store path that stands for nothing: an input nobody declared.

use std::fmt;

use super::OutputRef;
use store::{PathDigest, STORE_DIR};

/// The number of characters of a store path's digest part.
const DIGEST_CHARACTERS: usize = 40;

/// A text as a sequence of pieces; two literal pieces never follow each other and none is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text {
    pieces: Vec<Piece>,
}

/// A part of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    /// Characters that mean themselves.
    Literal(String),
    /// The path of an output, without what may follow it.
    Output(OutputRef),
}

/// A text names a store path that is no placeholder of a known derivation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}` is no input of this derivation: it is a literal store path, not the value of a package"
)]
pub struct UndeclaredInput {
    /// The path as far as it looks like one.
    pub path: String,
    /// Where it starts in the text, in bytes.
    pub offset: usize,
}

impl Text {
    /// Splits `text` at its placeholders, of which `find` knows the outputs.
    pub fn parse(
        text: &str,
        find: impl Fn(&PathDigest) -> Option<OutputRef>,
    ) -> Result<Self, UndeclaredInput> {
        let mut pieces = Vec::new();
        let mut literal_start = 0;
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find(STORE_DIR)) {
            let start = from + found;
            from = start + STORE_DIR.len();
            let Some(digest) = digest_at(text, from) else {
                continue;
            };
            let named = find(&digest).filter(|output| {
                let name = output.store_name();
                text.get(from + 2 + DIGEST_CHARACTERS..)
                    .is_some_and(|rest| rest.starts_with(name.as_str()))
            });
            let Some(output) = named else {
                return Err(UndeclaredInput {
                    path: path_at(text, start).to_owned(),
                    offset: start,
                });
            };
            let end = from + 2 + DIGEST_CHARACTERS + output.store_name().as_str().len();
            push_literal(
                &mut pieces,
                text.get(literal_start..start).unwrap_or_default(),
            );
            pieces.push(Piece::Output(output));
            literal_start = end;
            from = end;
        }
        push_literal(&mut pieces, text.get(literal_start..).unwrap_or_default());
        Ok(Self { pieces })
    }

    /// Returns the pieces in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Returns the text with every output that it names exchanged for what `change` returns.
    pub(super) fn try_map<E>(
        &self,
        mut change: impl FnMut(&OutputRef) -> Result<OutputRef, E>,
    ) -> Result<Self, E> {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(literal) => Ok(Piece::Literal(literal.clone())),
            Piece::Output(output) => change(output).map(Piece::Output),
        });
        Ok(Self {
            pieces: pieces.collect::<Result<_, E>>()?,
        })
    }

    /// Returns the outputs that the text names, in its order, with duplicates.
    pub fn outputs(&self) -> impl Iterator<Item = &OutputRef> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Output(output) => Some(output),
            Piece::Literal(_) => None,
        })
    }
}

/// Prints the text as Starlark sees it, with placeholders.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Literal(literal) => f.write_str(literal),
            Piece::Output(output) => fmt::Display::fmt(&output.placeholder(), f),
        })
    }
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &str) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.to_owned()));
    }
}

/// Returns the digest in `/<40 characters>-` at `at`, if that is what stands there.
fn digest_at(text: &str, at: usize) -> Option<PathDigest> {
    let rest = text.get(at..)?.strip_prefix('/')?;
    let digits = rest.get(..DIGEST_CHARACTERS)?;
    rest.get(DIGEST_CHARACTERS..)?
        .starts_with('-')
        .then(|| digits.parse().ok())?
}

/// Returns the store path that starts at `start`, up to the first character that no store name has.
fn path_at(text: &str, start: usize) -> &str {
    let rest = text.get(start..).unwrap_or_default();
    let tail = rest.get(STORE_DIR.len() + 1..).unwrap_or_default();
    let length = tail
        .find(|c: char| !(c.is_ascii_alphanumeric() || "+._?=-".contains(c)))
        .unwrap_or(tail.len());
    rest.get(..STORE_DIR.len() + 1 + length).unwrap_or(rest)
}
