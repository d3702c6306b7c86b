//! `read`: the text of a file of a project, while the recipe is evaluated.

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::tuple::UnpackTuple;
use starlark::values::{Value, ValueLike};

use crate::lang::collection::read_text_below;
use crate::lang::error::{LangError, Problem};
use crate::lang::fields::{Field, Fields};
use crate::lang::label::{check_path, join};
use crate::lang::values::PackageValue;
use crate::model::{Builder, Source};

/// The largest file that is read: the lock file of a large project has a tenth of it.
const MAX_BYTES: u64 = 16 << 20;

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// The text of a file of a source: `read(source("."), "Cargo.toml")`.
    fn read<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let fields = Fields::new("read", &["src", "path", "optional"], 2, &args.items, kwargs)?;
        let optional = fields.optional("optional").map_or(Ok(false), Field::bool)?;
        let found = project_file(&fields)?;
        if optional && found.file.is_none() {
            return Ok(Value::new_none());
        }
        Ok(eval.heap().alloc(found.required(&fields)?.text))
    }
}

/// A file that a recipe reads.
pub(super) struct ProjectFile {
    /// How messages call it.
    pub(super) shown: String,
    pub(super) text: String,
}

/// What was found at a path.
pub(super) struct Found {
    shown: String,
    file: Option<ProjectFile>,
}

impl Found {
    /// Returns the file, which must be there.
    pub(super) fn required(self, fields: &Fields<'_>) -> Result<ProjectFile, LangError> {
        let shown = self.shown;
        match (self.file, fields.optional("path")) {
            (Some(file), _) => Ok(file),
            (None, Some(path)) => {
                Err(path.bad_value(format!("is `{shown}`, but there is no such file")))
            }
            (None, None) => Err(fields
                .required("src")?
                .bad_value(format!("has no file `{shown}`"))),
        }
    }

    /// Returns the file, if there is one.
    pub(super) fn file(self) -> Option<ProjectFile> {
        self.file
    }

    /// Returns the file's text, if there is one.
    pub(super) fn text(self) -> Option<String> {
        self.file.map(|file| file.text)
    }
}

/// Reads what the arguments `src`, a source, and `path`, a place in it, name.
///
/// Nothing outside the source's directory is ever read, not even through a symbolic link.
pub(super) fn project_file(fields: &Fields<'_>) -> Result<Found, LangError> {
    let path = fields.required("path")?;
    let below = path.string()?;
    if check_path(below).is_err() {
        return Err(path.bad_value(format!(
            "is `{}`, which is no plain path below the source",
            below.escape_debug()
        )));
    }
    file_of(fields, below)
}

/// Reads what lies at `below`, a plain path, in the argument `src`, a source.
pub(super) fn file_of(fields: &Fields<'_>, below: &str) -> Result<Found, LangError> {
    let src = fields.required("src")?;
    let not_a_source = || src.wrong_type("what `source(…)` returns", src.value);
    let package = src
        .value
        .downcast_ref::<PackageValue>()
        .ok_or_else(not_a_source)?;
    let (shown, text) = match package.derivation().builder() {
        Builder::Source(Source::Local(local)) => {
            let place = match local.path.as_str() {
                "." => below.to_owned(),
                directory => join(directory, below),
            };
            let shown = local.project.join(&place);
            let shown = shown.strip_prefix(".").unwrap_or(&shown);
            let text =
                read_text_below(&local.project, &place, MAX_BYTES).map_err(LangError::new)?;
            (shown.display().to_string(), text)
        }
        Builder::Source(Source::Embedded(source)) => {
            let file = source.files().iter().find(|file| file.path == below);
            let text = file.map(|file| String::from_utf8(file.bytes.to_vec()));
            let text = text.transpose().map_err(|_| {
                LangError::new(Problem::Read(crate::lang::ReadError::NotUtf8 {
                    path: below.to_owned(),
                }))
            })?;
            (below.to_owned(), text)
        }
        _ => return Err(not_a_source()),
    };
    Ok(Found {
        file: text.map(|text| ProjectFile {
            shown: shown.clone(),
            text,
        }),
        shown,
    })
}
