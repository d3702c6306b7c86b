//! `source`: files that lie beside the recipe.

use std::sync::Arc;

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::tuple::UnpackTuple;

use crate::lang::collection::real_path_below;
use crate::lang::context::FileContext;
use crate::lang::error::LangError;
use crate::lang::fields::{Field, Fields};
use crate::lang::label::{FileId, PathProblem, Root, check_path, join};
use crate::lang::values::PackageValue;
use crate::model::{
    Builder, DEFAULT_OUTPUT, DerivationSpec, EmbeddedSource, Limits, LocalSource, Metadata, Source,
};
use store::StoreName;

const FIELDS: &[&str] = &["path", "exclude", "allow_secrets", "name"];

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// A file or directory beside the file in which this call stands, as it is.
    fn source<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let fields = Fields::new("source", FIELDS, 1, &args.items, kwargs)?;
        let context = FileContext::of(eval)?;
        let beside = context.calling_file(eval);
        let path = path(fields.required("path")?, &beside)?;
        let name = match fields.optional("name") {
            Some(field) => super::metadata::parse_name(field)?,
            None => name_of(&path),
        };
        let spec = DerivationSpec {
            metadata: Metadata {
                name: name.to_string(),
                ..Metadata::default()
            },
            name,
            outputs: vec![DEFAULT_OUTPUT.to_owned()],
            builder: Builder::Source(read(&fields, context, &beside, path)?),
            limits: Limits::default(),
            origin: context.origin(eval),
            recipe: Arc::clone(&context.recipe),
        };
        Ok(PackageValue::new(
            context.session.intern(spec).map_err(LangError::new)?,
        ))
    }
}

/// Returns the path below the file's root; `.` for the root itself.
fn path(field: Field<'_>, beside: &FileId) -> Result<String, LangError> {
    let written = field.string()?;
    let trimmed = written.trim_end_matches('/');
    let trimmed = trimmed.strip_prefix("./").unwrap_or(trimmed);
    let directory = beside.directory();
    if trimmed == "." {
        return Ok(if directory.is_empty() {
            ".".to_owned()
        } else {
            directory.to_owned()
        });
    }
    match check_path(trimmed) {
        Ok(()) => Ok(join(directory, trimmed)),
        Err(PathProblem::Escape) => Err(field.bad_value(format!(
            "is `{}`, which leads out of the directory of `{beside}`",
            written.escape_debug()
        ))),
        Err(PathProblem::Character(character)) => Err(field.bad_value(format!(
            "has the character {character:?}, which no file of a recipe may have"
        ))),
    }
}

fn name_of(path: &str) -> StoreName {
    let last = path.rsplit('/').next().unwrap_or_default();
    let plain: String = last.trim_start_matches('.').replace('@', "-");
    let fallback = || "source".parse().expect("`source` is a store name");
    plain.parse().unwrap_or_else(|_| fallback())
}

fn read(
    fields: &Fields<'_>,
    context: &FileContext<'_>,
    beside: &FileId,
    path: String,
) -> Result<Source, LangError> {
    let field = fields.required("path")?;
    let (exclude, allow_secrets) = (fields.strings("exclude")?, fields.strings("allow_secrets")?);
    let written = field.string()?.escape_debug();
    let absent = || {
        field.bad_value(format!(
            "is `{written}`, but nothing of that name lies beside `{beside}`"
        ))
    };
    match &beside.root {
        Root::Collection => {
            for (argument, patterns) in [("exclude", &exclude), ("allow_secrets", &allow_secrets)] {
                if !patterns.is_empty() {
                    return Err(field.bad_value(format!(
                        "lies in the collection, where `{argument}` has no use"
                    )));
                }
            }
            let files = context
                .session
                .collection
                .read_source(&path)
                .map_err(LangError::new)?;
            Ok(Source::Embedded(EmbeddedSource::new(
                files.ok_or_else(absent)?,
            )))
        }
        Root::Project(directory) => {
            real_path_below(directory, &path)
                .map_err(LangError::new)?
                .ok_or_else(absent)?;
            Ok(Source::Local(LocalSource {
                path,
                exclude,
                allow_secrets,
                project: directory.to_path_buf(),
            }))
        }
    }
}
