//! `overrides` of a project: packages of the collection that are exchanged in everything that the project builds.
//!
//! Recipes are evaluated as they are; what they made is rewritten afterwards, so that no evaluated file depends on who asked for it.

use std::sync::Arc;

use starlark::values::dict::DictRef;

use super::error::{LangError, Problem};
use super::label::FileId;
use super::place;
use super::session::Session;
use super::values::PackageValue;
use crate::model::{Derivation, ImageDeclaration, Replacement, Rewriter};

/// The variable of a `pith.star` that holds them.
const VARIABLE: &str = "overrides";

/// What a project exchanges.
pub(super) struct Overrides {
    file: FileId,
    replacements: Vec<Replacement>,
}

impl Overrides {
    /// Reads the overrides of a project's file, which has been evaluated; none when it defines none.
    pub(super) fn of(session: &Session<'_>, file: &FileId) -> Result<Self, LangError> {
        let evaluated = session.load(file)?;
        let replacements = match evaluated.module.get(VARIABLE) {
            Ok(value) => read(session, file, value.value()).map_err(|e| at(session, file, e))?,
            Err(_) => Vec::new(),
        };
        Ok(Self {
            file: file.clone(),
            replacements,
        })
    }

    /// Returns what `derivation` becomes.
    pub(super) fn derivation(
        &self,
        session: &Session<'_>,
        derivation: &Arc<Derivation>,
    ) -> Result<Arc<Derivation>, LangError> {
        session
            .rewrite(derivation, &self.replacements)
            .map_err(|error| at(session, &self.file, error))
    }

    /// Returns what `images` become.
    pub(super) fn images(
        &self,
        session: &Session<'_>,
        images: &[ImageDeclaration],
    ) -> Result<Vec<ImageDeclaration>, LangError> {
        let make = |spec| session.intern(spec);
        let mut rewriter = Rewriter::new(&self.replacements, &make);
        let changed = images.iter().map(|image| rewriter.image(image));
        changed
            .collect::<Result<_, _>>()
            .map_err(|error| at(session, &self.file, LangError::new(error)))
    }
}

fn read(
    session: &Session<'_>,
    file: &FileId,
    value: starlark::values::Value<'_>,
) -> Result<Vec<Replacement>, LangError> {
    let wrong = |found: &str| {
        LangError::new(Problem::WrongType {
            function: file.to_string(),
            field: VARIABLE.to_owned(),
            expected: "a dict from names of packages to packages",
            found: found.to_owned(),
        })
    };
    let dict = DictRef::from_value(value).ok_or_else(|| wrong("another value"))?;
    let entries = dict.iter().map(|(name, value)| {
        match (name.unpack_str(), PackageValue::from_value(value)) {
            (Some(name), Some(package)) => Ok(Replacement {
                name: name.to_owned(),
                from: session.package(name)?.id(),
                to: Arc::clone(package.derivation()),
            }),
            _ => Err(wrong("a dict with something else in it")),
        }
    });
    entries.collect()
}

/// Says that an error is in the line that defines the overrides.
fn at(session: &Session<'_>, file: &FileId, error: LangError) -> LangError {
    let text = session.read(file).ok().flatten().unwrap_or_default();
    let offset = text
        .match_indices(VARIABLE)
        .map(|(offset, _)| offset)
        .find(|offset| *offset == 0 || text.as_bytes().get(offset - 1) == Some(&b'\n'));
    match offset {
        Some(offset) => error.at(place::at_offset(file.to_string(), text, offset)),
        None => error,
    }
}
