//! `toml`: TOML texts to values, as `json` does for JSON.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::dict::AllocDict;
use starlark::values::{Heap, Value};

use crate::lang::error::{LangError, Problem};
use crate::lang::locks::line_at;

/// Adds the function as `toml.decode`.
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    builder.namespace("toml", register_functions);
}

#[starlark_module]
fn register_functions(builder: &mut GlobalsBuilder) {
    /// The value of a TOML text, which messages call `name`. Dates become strings; the language has no floats that are
    /// exact, so these become strings as well.
    fn decode<'v>(
        #[starlark(require = pos)] text: &str,
        #[starlark(require = named, default = "")] name: &str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            let place = if name.is_empty() { "line" } else { name };
            let message = format!("{place}:{line}: this is no TOML: {}", error.message());
            LangError::new(Problem::Evaluation { message })
        })?;
        Ok(alloc(eval.heap(), toml::Value::Table(table)))
    }
}

/// The parser bounds how deep a value may be.
fn alloc(heap: Heap<'_>, value: toml::Value) -> Value<'_> {
    match value {
        toml::Value::String(text) => heap.alloc(text),
        toml::Value::Integer(number) => heap.alloc(number),
        toml::Value::Float(number) => heap.alloc(number.to_string()),
        toml::Value::Boolean(value) => heap.alloc(value),
        toml::Value::Datetime(time) => heap.alloc(time.to_string()),
        toml::Value::Array(values) => {
            let values: Vec<_> = values.into_iter().map(|value| alloc(heap, value)).collect();
            heap.alloc(values)
        }
        toml::Value::Table(table) => {
            let entries: Vec<_> = table
                .into_iter()
                .map(|(key, value)| (key, alloc(heap, value)))
                .collect();
            heap.alloc(AllocDict(entries))
        }
    }
}
