//! `smoke`: the commands that a package must run well once it is built.

use starlark::values::Value;
use starlark::values::dict::DictRef;

use crate::lang::error::LangError;
use crate::lang::fields::{Field, Fields, list_elements};
use crate::model::SmokeCommand;
use store::STORE_DIR;

const EXPECTED: &str = "a list of commands, or a dict of commands and what they say";

/// Reads the commands; none when there is no such argument.
pub(super) fn smoke(fields: &Fields<'_>) -> Result<Vec<SmokeCommand>, LangError> {
    let Some(field) = fields.optional("smoke") else {
        return Ok(Vec::new());
    };
    if let Some(dict) = DictRef::from_value(field.value) {
        let entries: Vec<_> = dict.iter().collect();
        return entries
            .into_iter()
            .map(|(words, expected)| command(field, words, expected_text(field, expected)?))
            .collect();
    }
    field
        .list(EXPECTED)?
        .into_iter()
        .map(|words| command(field, words, None))
        .collect()
}

fn expected_text<'v>(field: Field<'v>, value: Value<'v>) -> Result<Option<String>, LangError> {
    if value.is_none() {
        return Ok(None);
    }
    let text = value
        .unpack_str()
        .ok_or_else(|| field.wrong_element("a dict of commands and strings or `None`", value))?;
    Ok(Some(text.to_owned()))
}

fn command<'v>(
    field: Field<'v>,
    value: Value<'v>,
    expected: Option<String>,
) -> Result<SmokeCommand, LangError> {
    const WORDS: &str = "a list of strings or of lists of words";
    let words: Vec<String> = match (value.unpack_str(), list_elements(value)) {
        (Some(text), _) => text.split_whitespace().map(str::to_owned).collect(),
        (None, Some(elements)) => {
            let word = |element: Value<'v>| match element.unpack_str() {
                Some(word) => Ok(word.to_owned()),
                None => Err(field.wrong_element(WORDS, element)),
            };
            elements.into_iter().map(word).collect::<Result<_, _>>()?
        }
        (None, None) => return Err(field.wrong_element(WORDS, value)),
    };
    let Some(program) = words.first() else {
        return Err(field.bad_value("has a command without words"));
    };
    let is_inside = !program.starts_with('/') && program.split('/').all(|part| part != "..");
    if !is_inside {
        return Err(field.bad_value(format!(
            "runs `{}`, which must be a path below the package, such as `bin/hello`",
            program.escape_debug()
        )));
    }
    if let Some(word) = words.iter().find(|word| word.contains('\0')) {
        return Err(field.bad_value(format!(
            "has `{}`, which holds a NUL character",
            word.escape_debug()
        )));
    }
    if words.iter().any(|word| word.contains(STORE_DIR)) {
        return Err(field.bad_value(
            "names a store path; commands run in the package's directory, so say `share/x` for a file of it",
        ));
    }
    Ok(SmokeCommand { words, expected })
}
