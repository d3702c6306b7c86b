//! `lock`: what the lock files of other package managers pin, one function a format.

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::structs::AllocStruct;
use starlark::values::tuple::UnpackTuple;
use starlark::values::{Heap, Value};

use super::read::{ProjectFile, file_of, project_file};
use crate::lang::error::LangError;
use crate::lang::fields::Fields;
use crate::lang::locks::{CargoSource, LockError, cargo_lock, check_vendored, go_mod};

/// Adds the functions as `lock.cargo` and so on.
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    builder.namespace("lock", |builder| {
        register_functions(builder);
        super::lock_scripts::register(builder);
    });
}

#[starlark_module]
fn register_functions(builder: &mut GlobalsBuilder) {
    /// The crates that a `Cargo.lock` pins: structs of `name`, `version`, `sha256` (`None` for those of the project) and
    /// `line`, in the file's order.
    fn cargo<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let file = lock_file("lock.cargo", &args.items, kwargs)?;
        let lock = parsed(cargo_lock(&file.shown, &file.text))?;
        let heap = eval.heap();
        let crates = lock.crates.into_iter().map(|entry| {
            let digest = match entry.source {
                CargoSource::Project => None,
                CargoSource::Registry(digest) => Some(digest),
            };
            record(
                heap,
                [
                    ("name", heap.alloc(entry.name)),
                    ("version", heap.alloc(entry.version)),
                    ("sha256", hexadecimal(heap, digest.as_ref())),
                    ("line", alloc_line(heap, entry.line)),
                ],
            )
        });
        let crates: Vec<Value<'v>> = crates.collect();
        Ok(heap.alloc(crates))
    }

    /// What the `go.mod` of a source says: a struct of `path`, `go` (`None` without) and `requires`, a list of structs of `path`, `version`
    /// and `line`. All that it requires must lie in its folder `vendor`.
    fn go<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let fields = Fields::new("lock.go", &["src"], 1, &args.items, kwargs)?;
        let file = file_of(&fields, "go.mod")?.required(&fields)?;
        let modules = file_of(&fields, "vendor/modules.txt")?.text();
        let module = parsed(go_mod(&file.shown, &file.text))?;
        parsed(check_vendored(&file.shown, &module, modules.as_deref()))?;
        let heap = eval.heap();
        let requires: Vec<Value<'v>> = module
            .requires
            .into_iter()
            .map(|require| {
                record(
                    heap,
                    [
                        ("path", heap.alloc(require.path)),
                        ("version", heap.alloc(require.version)),
                        ("line", alloc_line(heap, require.line)),
                    ],
                )
            })
            .collect();
        let go = module.go.map_or_else(Value::new_none, |go| heap.alloc(go));
        Ok(record(
            heap,
            [
                ("path", heap.alloc(module.path)),
                ("go", go),
                ("requires", heap.alloc(requires)),
            ],
        ))
    }
}

/// Reads the lock file that the arguments of `function` name.
pub(super) fn lock_file<'v>(
    function: &'static str,
    args: &[Value<'v>],
    kwargs: SmallMap<&str, Value<'v>>,
) -> Result<ProjectFile, LangError> {
    let fields = Fields::new(function, &["src", "path"], 2, args, kwargs)?;
    project_file(&fields)?.required(&fields)
}

/// Turns the error of a parser into that of a call.
pub(super) fn parsed<T>(result: Result<T, LockError>) -> Result<T, LangError> {
    result.map_err(|error| {
        let hint = error.hint();
        LangError::new(error).with_hint(hint)
    })
}

pub(super) fn record<'v, const N: usize>(
    heap: Heap<'v>,
    fields: [(&'static str, Value<'v>); N],
) -> Value<'v> {
    heap.alloc(AllocStruct(fields))
}

/// The digits of a digest without its algorithm, or `None`.
pub(super) fn hexadecimal<'v>(
    heap: Heap<'v>,
    digest: Option<&crate::model::ContentDigest>,
) -> Value<'v> {
    digest.map_or_else(Value::new_none, |digest| {
        let text = digest.to_string();
        heap.alloc(text.split_once(':').map_or("", |(_, digits)| digits))
    })
}

pub(super) fn alloc_line(heap: Heap<'_>, line: usize) -> Value<'_> {
    heap.alloc(i32::try_from(line).unwrap_or(i32::MAX))
}
