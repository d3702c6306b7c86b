//! `debian`: packages of Debian, pinned by a lock file.

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::tuple::UnpackTuple;

use crate::debian::{LockFile, SetError, SetOptions, set_of};
use crate::lang::context::FileContext;
use crate::lang::error::LangError;
use crate::lang::fields::{Field, Fields};
use crate::lang::label::{FileId, Root, check_path, join};
use crate::lang::values::PackageValue;

const FIELDS: &[&str] = &["names", "lock", "tree"];

/// The largest lock file; one of all 60 000 packages would have 20 MB.
const MAX_BYTES: u64 = 32 << 20;

/// The lock file, unless another one is named.
const LOCK_FILE: &str = "debian.lock";

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// Packages of Debian with all that they need, as a lock file beside this file pins them.
    fn debian<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let fields = Fields::new("debian", FIELDS, 1, &args.items, kwargs)?;
        let context = FileContext::of(eval)?;
        let field = fields.required("names")?;
        let names = field.strings()?;
        if names.is_empty() {
            return Err(field
                .bad_value("is empty; it needs at least one package")
                .into());
        }
        let options = SetOptions {
            names,
            tree: fields.optional("tree").map_or(Ok(false), Field::bool)?,
            origin: context.origin(eval),
        };
        let (file, lock) = read_lock(&fields, field, context, &context.calling_file(eval))?;
        let architecture = context.session.platform.get().arch();
        let lock = lock.find(architecture).ok_or_else(|| {
            field.bad_value(format!(
                "cannot be had: `{file}` locks nothing for {architecture}; `pith debian lock --platform` locks it"
            ))
        })?;
        let mut make = |spec| context.session.intern(spec);
        let set = set_of(lock, &file, &options, &mut make).map_err(|error| match error {
            SetError::Model(error) => LangError::new(error),
            error => field.bad_value(format!(
                "cannot be had: {error}; `pith debian lock` locks it"
            )),
        })?;
        Ok(PackageValue::new(set))
    }
}

/// Reads the lock file beside the recipe. What is wrong is said at the argument that names it, else at the packages.
fn read_lock<'v>(
    fields: &Fields<'v>,
    names: Field<'v>,
    context: &FileContext<'_>,
    beside: &FileId,
) -> Result<(String, LockFile), LangError> {
    let named = fields.optional("lock");
    let written = named.map_or(Ok(LOCK_FILE), Field::string)?;
    let field = named.unwrap_or(names);
    if check_path(written).is_err() {
        return Err(field.bad_value(format!(
            "is `{}`, which is no path below the recipe's directory",
            written.escape_debug()
        )));
    }
    let path = join(beside.directory(), written);
    let text = match &beside.root {
        Root::Project(directory) => context.session.read_project(directory, &path, MAX_BYTES)?,
        Root::Collection => {
            let files = context
                .session
                .collection
                .read_source(&path)
                .map_err(LangError::new)?;
            let file = files.and_then(|files| files.into_iter().find(|file| file.path.is_empty()));
            file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
        }
    };
    let text = text.ok_or_else(|| {
        field.bad_value(format!(
            "needs the lock file `{path}`, which is not there; `pith debian lock` makes it"
        ))
    })?;
    let lock = LockFile::parse(&path, &text)
        .map_err(|error| field.bad_value(format!("cannot be had: {error}")))?;
    Ok((path, lock))
}
