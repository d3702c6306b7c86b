//! `json`: Starlark's, with a bound on how deep and how large a value may be that is written.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::dict::DictRef;
use starlark::values::structs::StructRef;

use crate::lang::error::{LangError, Limit, Problem};
use crate::lang::fields::list_elements;

/// How deep a value may be, as when it is read.
const MAX_DEPTH: usize = 128;

/// How many values may be in it; shared ones count each time, as they are written each time.
const MAX_VALUES: usize = 1_000_000;

/// Adds the functions as `json.encode` and `json.decode`.
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    builder.namespace("json", register_functions);
}

#[starlark_module]
fn register_functions(builder: &mut GlobalsBuilder) {
    /// The value as JSON: `None`, booleans, numbers, strings, lists, tuples, dicts and structs.
    fn encode<'v>(#[starlark(require = pos)] value: Value<'v>) -> starlark::Result<String> {
        count(value, 0, &mut 0)?;
        Ok(value.to_json()?)
    }

    /// The value of a JSON text, which messages call `name`.
    fn decode<'v>(
        #[starlark(require = pos)] text: &str,
        #[starlark(require = named, default = "")] name: &str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            let place = match name {
                "" => String::new(),
                name => format!("{name}:{}: ", error.line()),
            };
            LangError::new(Problem::Evaluation {
                message: format!("{place}this is no JSON: {error}"),
            })
        })?;
        Ok(eval.heap().alloc(value))
    }
}

/// Counts the values in `value`, itself included.
fn count(value: Value<'_>, depth: usize, seen: &mut usize) -> Result<(), LangError> {
    *seen += 1;
    if depth > MAX_DEPTH {
        return Err(LangError::new(Problem::Limit(Limit::ValueDepth(MAX_DEPTH))));
    }
    if *seen > MAX_VALUES {
        return Err(LangError::new(Problem::Limit(Limit::Values(MAX_VALUES))));
    }
    if let Some(elements) = list_elements(value) {
        return elements
            .into_iter()
            .try_for_each(|element| count(element, depth + 1, seen));
    }
    if let Some(dict) = DictRef::from_value(value) {
        return dict
            .iter()
            .try_for_each(|(_, value)| count(value, depth + 1, seen));
    }
    if let Some(fields) = StructRef::from_value(value) {
        return fields
            .iter()
            .try_for_each(|(_, value)| count(value, depth + 1, seen));
    }
    Ok(())
}
