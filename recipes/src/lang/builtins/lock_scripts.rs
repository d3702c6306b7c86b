//! The functions of `lock` for languages whose dependencies are not compiled: npm's and Python's.

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::dict::AllocDict;
use starlark::values::tuple::UnpackTuple;
use starlark::values::{Heap, Value};

use super::lock::{alloc_line, hexadecimal, lock_file, parsed, record};
use super::read::project_file;
use crate::lang::context::FileContext;
use crate::lang::fields::Fields;
use crate::lang::locks::{
    NpmPackage, PythonPackage, Target, npm_lock, python_lock, python_version,
};
use crate::model::Platform;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The packages that a `package-lock.json` pins: a struct of `version`, the project's own, and `packages`, structs of
    /// `path`, `name`, `version`, `url`, `integrity`, `license`, `dev`, `optional`, `fits`, `bin` and `line`, sorted by path.
    fn npm<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let file = lock_file("lock.npm", &args.items, kwargs)?;
        let cpu = match FileContext::of(eval)?.session.platform.get() {
            Platform::X86_64Linux => "x64",
            Platform::Aarch64Linux => "arm64",
        };
        let lock = parsed(npm_lock(&file.shown, &file.text, cpu))?;
        let heap = eval.heap();
        let packages = lock.packages.into_iter();
        let packages: Vec<Value<'v>> = packages.map(|entry| npm_record(heap, entry)).collect();
        let fields = [
            ("version", optional(heap, lock.version)),
            ("packages", heap.alloc(packages)),
        ];
        Ok(record(heap, fields))
    }

    /// The wheels that a lock file of Python pins for `python`: structs of `name`, `version`, `file` (`None` where the
    /// lock file has digests only), `url`, `sha256` and `line`, sorted by name.
    fn python<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        const FIELDS: &[&str] = &["src", "path", "python"];
        let fields = Fields::new("lock.python", FIELDS, 2, &args.items, kwargs)?;
        let file = project_file(&fields)?.required(&fields)?;
        let target = Target {
            python: fields.required("python")?.string()?.to_owned(),
            machine: match FileContext::of(eval)?.session.platform.get() {
                Platform::X86_64Linux => "x86_64",
                Platform::Aarch64Linux => "aarch64",
            },
        };
        let packages = parsed(python_lock(&file.shown, &file.text, &target))?.into_iter();
        let heap = eval.heap();
        let packages: Vec<Value<'v>> = packages.map(|entry| python_record(heap, entry)).collect();
        Ok(heap.alloc(packages))
    }

    /// The first of `versions` that a manifest or lock file of Python allows; `None` where it does not say, or is not there.
    fn python_version<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        const FIELDS: &[&str] = &["src", "path", "versions"];
        let fields = Fields::new("lock.python_version", FIELDS, 2, &args.items, kwargs)?;
        let versions = fields.required("versions")?.strings()?;
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        let Some(file) = project_file(&fields)?.file() else {
            return Ok(Value::new_none());
        };
        let version = parsed(python_version(&file.shown, &file.text, &versions))?;
        Ok(optional(eval.heap(), version.map(str::to_owned)))
    }
}

fn npm_record<'v>(heap: Heap<'v>, entry: NpmPackage) -> Value<'v> {
    let fields = [
        ("path", heap.alloc(entry.path)),
        ("name", heap.alloc(entry.name)),
        ("version", heap.alloc(entry.version)),
        ("url", optional(heap, entry.url)),
        ("integrity", heap.alloc(entry.integrity)),
        ("license", optional(heap, entry.license)),
        ("dev", Value::new_bool(entry.dev)),
        ("optional", Value::new_bool(entry.optional)),
        ("fits", Value::new_bool(entry.fits)),
        ("bin", heap.alloc(AllocDict(entry.bin))),
        ("line", alloc_line(heap, entry.line)),
    ];
    record(heap, fields)
}

fn python_record<'v>(heap: Heap<'v>, entry: PythonPackage) -> Value<'v> {
    let fields = [
        ("name", heap.alloc(entry.name)),
        ("version", heap.alloc(entry.version)),
        ("file", optional(heap, entry.file)),
        ("url", optional(heap, entry.url)),
        ("sha256", hexadecimal(heap, Some(&entry.digest))),
        ("line", alloc_line(heap, entry.line)),
    ];
    record(heap, fields)
}

fn optional(heap: Heap<'_>, text: Option<String>) -> Value<'_> {
    text.map_or_else(Value::new_none, |text| heap.alloc(text))
}
