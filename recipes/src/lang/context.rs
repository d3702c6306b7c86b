//! What built-in functions know of the file that calls them: the typed value in the evaluator's `extra` slot.

#![expect(
    unsafe_code,
    unused_qualifications,
    reason = "the derive `ProvidesStaticType` implements an unsafe trait, with whole paths"
)]

use std::cell::RefCell;

use starlark::any::ProvidesStaticType;
use starlark::collections::SmallMap;
use starlark::eval::Evaluator;
use starlark::values::{Heap, Value};

use super::changes::Variant;
use super::error::{LangError, Problem};
use super::label::FileId;
use super::place;
use super::session::Session;
use crate::model::{ImageDeclaration, Location, RecipeTexts};

/// One file while it is evaluated.
#[derive(ProvidesStaticType)]
pub(super) struct FileContext<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) file: FileId,
    /// Its text and those of all that it loads.
    pub(super) recipe: RecipeTexts,
    /// The images that it has declared so far.
    pub(super) images: RefCell<Vec<ImageDeclaration>>,
    /// What is to be changed, when it is evaluated for that.
    pub(super) variant: Option<Variant<'a>>,
}

impl<'a> FileContext<'a> {
    /// Returns the context of the file that `eval` evaluates.
    pub(super) fn of<'e>(eval: &Evaluator<'_, 'a, 'e>) -> Result<&'a FileContext<'e>, LangError> {
        let context = eval
            .extra
            .and_then(|extra| extra.downcast_ref::<FileContext<'e>>());
        context.ok_or_else(|| {
            LangError::new(Problem::Internal {
                message: "a file without context".to_owned(),
            })
        })
    }

    /// Changes the arguments of a built-in function that makes a package, when the file is evaluated for that.
    pub(super) fn change<'v>(
        &'a self,
        args: &mut [Value<'v>],
        named: &mut SmallMap<&'a str, Value<'v>>,
        heap: Heap<'v>,
    ) -> Result<(), LangError> {
        if let Some(variant) = &self.variant {
            variant.apply(args, named, heap)?;
        }
        Ok(())
    }

    /// Returns the file in which the current call of a built-in function stands.
    pub(super) fn calling_file(&self, eval: &Evaluator<'_, '_, '_>) -> FileId {
        let name = eval
            .call_stack_top_location()
            .map(|span| span.filename().to_owned());
        let stands_in = |file: &FileId| name.as_ref().is_some_and(|name| *name == file.to_string());
        if stands_in(&self.file) {
            return self.file.clone();
        }
        self.session
            .find_file(stands_in)
            .unwrap_or_else(|| self.file.clone())
    }

    /// Returns the place in this file that the current call comes from: not inside of functions it has loaded.
    pub(super) fn origin(&self, eval: &Evaluator<'_, '_, '_>) -> Location {
        let name = self.file.to_string();
        let spans =
            (0..eval.call_stack_count()).filter_map(|depth| eval.call_stack_nth_location(depth));
        let mut nearest = None;
        for span in spans {
            if span.filename() == name {
                return place::location(&span);
            }
            nearest.get_or_insert(span);
        }
        nearest
            .map(|span| place::location(&span))
            .unwrap_or_default()
    }
}
