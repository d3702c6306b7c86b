//! The arguments of a built-in function, taken one by one, each with its type.
//!
//! Built-ins take `*args` and `**kwargs` and hand them here, so that every one of them says the same about a name it does
//! not know and a value it cannot use.

use std::collections::BTreeMap;

use starlark::collections::SmallMap;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{UnpackValue, Value, ValueLike};

use super::context::FileContext;
use super::error::{LangError, Problem};
use super::values::PackageValue;
use crate::model::{OutputRef, Piece, Text};

/// The arguments of one call.
pub(super) struct Fields<'v> {
    function: &'static str,
    values: BTreeMap<String, Value<'v>>,
}

/// One argument.
#[derive(Clone, Copy)]
pub(super) struct Field<'v> {
    function: &'static str,
    name: &'static str,
    pub(super) value: Value<'v>,
}

impl<'v> Fields<'v> {
    /// Takes the arguments of a call of `function`, which knows the names `known`; the first `positional` of them may be
    /// given without name.
    pub(super) fn new(
        function: &'static str,
        known: &[&'static str],
        positional: usize,
        args: &[Value<'v>],
        kwargs: SmallMap<&str, Value<'v>>,
    ) -> Result<Self, LangError> {
        if args.len() > positional {
            return Err(LangError::new(Problem::TooManyArguments {
                function: function.to_owned(),
                most: positional,
                found: args.len(),
            }));
        }
        let mut values: BTreeMap<String, Value<'v>> = known
            .iter()
            .zip(args)
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect();
        for (name, value) in kwargs {
            let problem = if !known.contains(&name) {
                Problem::UnknownField {
                    function: function.to_owned(),
                    field: name.to_owned(),
                    known: known.iter().map(|name| (*name).to_owned()).collect(),
                }
            } else if values.insert(name.to_owned(), value).is_some() {
                Problem::RepeatedField {
                    function: function.to_owned(),
                    field: name.to_owned(),
                }
            } else {
                continue;
            };
            return Err(LangError::new(problem));
        }
        Ok(Self { function, values })
    }

    /// Returns the argument, unless it is absent or `None`.
    pub(super) fn optional(&self, name: &'static str) -> Option<Field<'v>> {
        let value = *self.values.get(name)?;
        (!value.is_none()).then_some(Field {
            function: self.function,
            name,
            value,
        })
    }

    /// Returns the argument, which must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<Field<'v>, LangError> {
        self.optional(name).ok_or_else(|| {
            LangError::new(Problem::MissingField {
                function: self.function.to_owned(),
                field: name.to_owned(),
            })
        })
    }

    /// Returns the text of the argument, if there is one.
    pub(super) fn optional_string(&self, name: &'static str) -> Result<Option<String>, LangError> {
        self.optional(name)
            .map(|field| field.string().map(str::to_owned))
            .transpose()
    }

    /// Returns the strings of the argument, none if it is absent.
    pub(super) fn strings(&self, name: &'static str) -> Result<Vec<String>, LangError> {
        self.optional(name).map_or(Ok(Vec::new()), Field::strings)
    }

    /// Returns the outputs that the argument names, none if it is absent.
    pub(super) fn outputs(
        &self,
        name: &'static str,
        context: &FileContext<'_>,
    ) -> Result<Vec<OutputRef>, LangError> {
        self.optional(name)
            .map_or(Ok(Vec::new()), |field| field.outputs(context))
    }
}

impl<'v> Field<'v> {
    /// Returns the argument's name.
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// Returns a part of the value, which counts as the argument itself in errors.
    pub(super) fn with_value(self, value: Value<'v>) -> Self {
        Self { value, ..self }
    }

    /// Makes the error that the value has the wrong type.
    pub(super) fn wrong_type(self, expected: &'static str, found: Value<'v>) -> LangError {
        LangError::new(Problem::WrongType {
            function: self.function.to_owned(),
            field: self.name.to_owned(),
            expected,
            found: type_name(found).to_owned(),
        })
    }

    /// Makes the error that an element of the value has the wrong type.
    pub(super) fn wrong_element(self, expected: &'static str, found: Value<'v>) -> LangError {
        self.bad_value(format!(
            "must be {expected}, but has {} in it",
            type_name(found)
        ))
    }

    /// Makes the error that the value means nothing; `problem` is the rest of a sentence.
    pub(super) fn bad_value(self, problem: impl Into<String>) -> LangError {
        LangError::new(Problem::BadValue {
            function: self.function.to_owned(),
            field: self.name.to_owned(),
            problem: problem.into(),
        })
    }

    /// Returns the value, which must be a string.
    pub(super) fn string(self) -> Result<&'v str, LangError> {
        self.value
            .unpack_str()
            .ok_or_else(|| self.wrong_type("a string", self.value))
    }

    /// Returns the value, which must be `True` or `False`.
    pub(super) fn bool(self) -> Result<bool, LangError> {
        self.value
            .unpack_bool()
            .ok_or_else(|| self.wrong_type("`True` or `False`", self.value))
    }

    /// Returns the value, which must be a whole number above zero.
    pub(super) fn positive(self) -> Result<u32, LangError> {
        let number = i32::unpack_value(self.value).ok().flatten();
        let number = number.ok_or_else(|| self.wrong_type("a whole number", self.value))?;
        match u32::try_from(number) {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(self.bad_value(format!("must be above zero, not {number}"))),
        }
    }

    /// Returns the elements of the value, which must be a list or tuple.
    pub(super) fn list(self, expected: &'static str) -> Result<Vec<Value<'v>>, LangError> {
        list_elements(self.value).ok_or_else(|| self.wrong_type(expected, self.value))
    }

    /// Returns the elements of the value, which must be a list of strings.
    pub(super) fn strings(self) -> Result<Vec<String>, LangError> {
        const EXPECTED: &str = "a list of strings";
        let string = |value: Value<'v>| {
            let text = value
                .unpack_str()
                .ok_or_else(|| self.wrong_element(EXPECTED, value))?;
            Ok(text.to_owned())
        };
        self.list(EXPECTED)?.into_iter().map(string).collect()
    }

    /// Returns the entries of the value, which must be a dict with strings for keys; in the recipe's order.
    pub(super) fn dict(self) -> Result<Vec<(String, Value<'v>)>, LangError> {
        let dict =
            DictRef::from_value(self.value).ok_or_else(|| self.wrong_type("a dict", self.value))?;
        dict.iter()
            .map(|(key, value)| {
                let key = key
                    .unpack_str()
                    .ok_or_else(|| self.wrong_element("a dict with strings for keys", key))?;
                Ok((key.to_owned(), value))
            })
            .collect()
    }

    /// Returns the value as a dict from strings to strings.
    pub(super) fn string_dict(self) -> Result<BTreeMap<String, String>, LangError> {
        self.dict()?
            .into_iter()
            .map(|(key, value)| {
                let text = value
                    .unpack_str()
                    .ok_or_else(|| self.wrong_element("a dict of strings", value))?;
                Ok((key, text.to_owned()))
            })
            .collect()
    }

    /// Returns the value as a dict from strings to texts, in which packages stand for their paths.
    pub(super) fn text_dict(
        self,
        context: &FileContext<'_>,
    ) -> Result<BTreeMap<String, Text>, LangError> {
        self.dict()?
            .into_iter()
            .map(|(key, value)| {
                Ok((
                    key,
                    self.text_of(value, "a dict of strings and packages", context)?,
                ))
            })
            .collect()
    }

    /// Returns the value as a list of texts, in which packages stand for their paths.
    pub(super) fn texts(self, context: &FileContext<'_>) -> Result<Vec<Text>, LangError> {
        self.list("a list of strings and packages")?
            .into_iter()
            .map(|value| self.text_of(value, "a list of strings and packages", context))
            .collect()
    }

    /// Splits a text at its placeholders.
    pub(super) fn parse_text(
        self,
        text: &str,
        context: &FileContext<'_>,
    ) -> Result<Text, LangError> {
        context
            .session
            .parse_text(text)
            .map_err(|error| error.in_field(self.name))
    }

    /// Returns one element of the value as a text.
    pub(super) fn text_of(
        self,
        value: Value<'v>,
        expected: &'static str,
        context: &FileContext<'_>,
    ) -> Result<Text, LangError> {
        let text = text_value(value).ok_or_else(|| self.wrong_element(expected, value))?;
        self.parse_text(&text, context)
    }

    /// Returns the one output that the value names: a package, or the path of an output.
    pub(super) fn output(self, context: &FileContext<'_>) -> Result<OutputRef, LangError> {
        self.output_of(self.value, "a package or the path of an output", context)
    }

    /// Returns the outputs that the value names, which must be a list.
    pub(super) fn outputs(self, context: &FileContext<'_>) -> Result<Vec<OutputRef>, LangError> {
        self.list("a list of packages")?
            .into_iter()
            .map(|value| self.output_of(value, "a list of packages", context))
            .collect()
    }

    fn output_of(
        self,
        value: Value<'v>,
        expected: &'static str,
        context: &FileContext<'_>,
    ) -> Result<OutputRef, LangError> {
        if let Some(package) = value.downcast_ref::<PackageValue>() {
            return Ok(OutputRef::default_of(package.derivation().clone()));
        }
        let text = self.text_of(value, expected, context)?;
        match text.pieces() {
            [Piece::Output(output)] => Ok(output.clone()),
            _ => Err(self.bad_value(format!(
                "names `{text}`, which is not the path of an output"
            ))),
        }
    }
}

/// Returns the elements of a list or tuple.
pub(super) fn list_elements(value: Value<'_>) -> Option<Vec<Value<'_>>> {
    let list = ListRef::from_value(value).map(|list| list.content().to_vec());
    list.or_else(|| TupleRef::from_value(value).map(|tuple| tuple.content().to_vec()))
}

/// Returns what a string or package says as a text.
pub(super) fn text_value(value: Value<'_>) -> Option<String> {
    match value.unpack_str() {
        Some(text) => Some(text.to_owned()),
        None => value.downcast_ref::<PackageValue>().map(|_| value.to_str()),
    }
}

/// Returns the name of a value's type as people say it.
fn type_name(value: Value<'_>) -> &'static str {
    match value.get_type() {
        "NoneType" => "`None`",
        "int" => "a number",
        "float" => "a float",
        "string" => "a string",
        "bool" => "a truth value",
        "list" => "a list",
        "dict" => "a dict",
        "tuple" => "a tuple",
        "package" => "a package",
        "function" | "native_function" => "a function",
        "struct" => "a struct",
        _ => "a value of another type",
    }
}
