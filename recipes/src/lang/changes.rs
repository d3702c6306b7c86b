//! What a recipe is asked to do otherwise: arguments of the call that makes a package, as values that belong to no file.
//!
//! `p.override(version = "2")` evaluates p's recipe once more, with the changes put into the call that makes p. The values come from one
//! evaluation and are used in another, so they are copied in between.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use starlark::collections::SmallMap;
use starlark::values::dict::{AllocDict, DictRef};
use starlark::values::list::{AllocList, ListRef};
use starlark::values::tuple::{AllocTuple, TupleRef};
use starlark::values::{Heap, UnpackValue, Value};

use super::error::{LangError, Problem};
use super::values::PackageValue;
use crate::model::Derivation;

/// A value that can go from one evaluation to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    None,
    Bool(bool),
    Number(i32),
    Text(String),
    List(Vec<Self>),
    Tuple(Vec<Self>),
    Dict(Vec<(Self, Self)>),
    Package(Arc<Derivation>),
}

impl Data {
    /// Copies `value`, an argument of `function`. Depth is bounded by the evaluator's bound on values.
    pub(super) fn of(
        function: &'static str,
        field: &str,
        value: Value<'_>,
    ) -> Result<Self, LangError> {
        let all = |values: &[Value<'_>]| {
            let copies = values.iter().map(|value| Self::of(function, field, *value));
            copies.collect::<Result<Vec<_>, _>>()
        };
        if value.is_none() {
            return Ok(Self::None);
        }
        if let Some(value) = value.unpack_bool() {
            return Ok(Self::Bool(value));
        }
        if let Some(text) = value.unpack_str() {
            return Ok(Self::Text(text.to_owned()));
        }
        if let Some(number) = i32::unpack_value(value).ok().flatten() {
            return Ok(Self::Number(number));
        }
        if let Some(package) = PackageValue::from_value(value) {
            return Ok(Self::Package(Arc::clone(package.derivation())));
        }
        if let Some(list) = ListRef::from_value(value) {
            return Ok(Self::List(all(list.content())?));
        }
        if let Some(tuple) = TupleRef::from_value(value) {
            return Ok(Self::Tuple(all(tuple.content())?));
        }
        if let Some(dict) = DictRef::from_value(value) {
            let entries = dict.iter().map(|(key, value)| {
                let key = Self::of(function, field, key)?;
                Ok((key, Self::of(function, field, value)?))
            });
            return Ok(Self::Dict(entries.collect::<Result<_, LangError>>()?));
        }
        Err(LangError::new(Problem::WrongType {
            function: function.to_owned(),
            field: field.to_owned(),
            expected: "made of strings, numbers, lists, dicts and packages",
            found: format!("a value of type `{}`", value.get_type()),
        }))
    }

    fn alloc<'v>(&self, heap: Heap<'v>) -> Value<'v> {
        let all = |values: &[Self]| -> Vec<Value<'v>> {
            values.iter().map(|value| value.alloc(heap)).collect()
        };
        match self {
            Self::None => Value::new_none(),
            Self::Bool(value) => Value::new_bool(*value),
            Self::Number(number) => heap.alloc(*number),
            Self::Text(text) => heap.alloc(text.as_str()),
            Self::List(values) => heap.alloc(AllocList(all(values))),
            Self::Tuple(values) => heap.alloc(AllocTuple(all(values))),
            Self::Dict(entries) => {
                let entries = entries.iter();
                heap.alloc(AllocDict(
                    entries.map(|(key, value)| (key.alloc(heap), value.alloc(heap))),
                ))
            }
            Self::Package(package) => heap.alloc(PackageValue::new(Arc::clone(package))),
        }
    }
}

/// One argument: what takes the place of the recipe's value, or what is added at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Replace(Data),
    Extend(Data),
}

/// All that is asked of one call, by argument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes(pub(super) BTreeMap<String, Change>);

impl Changes {
    /// Adds later changes: each is made to what this one leaves.
    pub(super) fn then(mut self, later: Self) -> Self {
        for (field, change) in later.0 {
            let changed = match (self.0.remove(&field), change) {
                (Some(Change::Replace(old)), Change::Extend(more)) => {
                    Change::Replace(extended(old, more))
                }
                (Some(Change::Extend(old)), Change::Extend(more)) => {
                    Change::Extend(extended(old, more))
                }
                (_, change) => change,
            };
            self.0.insert(field, changed);
        }
        self
    }

    /// Returns the name that the package has afterwards, if that is changed.
    pub(super) fn new_name(&self) -> Option<&str> {
        match self.0.get("name") {
            Some(Change::Replace(Data::Text(name))) => Some(name),
            _ => None,
        }
    }
}

fn extended(old: Data, more: Data) -> Data {
    match (old, more) {
        (Data::List(mut old), Data::List(more)) => {
            old.extend(more);
            Data::List(old)
        }
        (Data::Dict(mut old), Data::Dict(more)) => {
            old.extend(more);
            Data::Dict(old)
        }
        (_, more) => more,
    }
}

/// The changes to one package while its recipe is evaluated for them.
#[derive(Debug)]
pub(super) struct Variant<'a> {
    pub(super) name: &'a str,
    pub(super) changes: &'a Changes,
    /// Whether a call was found that makes the package.
    pub(super) applied: Cell<bool>,
    /// Whether such a call is being evaluated; what it calls itself is not changed once more.
    pub(super) inside: Cell<bool>,
}

impl<'a> Variant<'a> {
    pub(super) fn new(name: &'a str, changes: &'a Changes) -> Self {
        Self {
            name,
            changes,
            applied: Cell::new(false),
            inside: Cell::new(false),
        }
    }

    /// Changes the named arguments of a call, if it is the one that makes the package. Tells whether it is.
    pub(super) fn apply<'v, 's>(
        &'s self,
        positional: &mut [Value<'v>],
        named: &mut SmallMap<&'s str, Value<'v>>,
        heap: Heap<'v>,
    ) -> Result<bool, LangError> {
        let first = named.get("name").or_else(|| positional.first());
        let is_it = first.and_then(|name| name.unpack_str()) == Some(self.name);
        if self.inside.get() || !is_it {
            return Ok(false);
        }
        self.applied.set(true);
        for (field, change) in &self.changes.0 {
            let value = match change {
                Change::Replace(data) => data.alloc(heap),
                Change::Extend(data) => {
                    let old = named.get(field.as_str()).copied();
                    let old = old.map_or(Ok(Data::None), |old| Data::of("extend", field, old))?;
                    check_extension(field, &old, data)?;
                    extended(old, data.clone()).alloc(heap)
                }
            };
            match positional.first_mut() {
                // The only argument that recipes give without saying which it is.
                Some(first) if field == "name" && !named.contains_key("name") => *first = value,
                _ => drop(named.insert(field.as_str(), value)),
            }
        }
        Ok(true)
    }
}

fn check_extension(field: &str, old: &Data, more: &Data) -> Result<(), LangError> {
    match (old, more) {
        (Data::None, Data::List(_) | Data::Dict(_))
        | (Data::List(_), Data::List(_))
        | (Data::Dict(_), Data::Dict(_)) => Ok(()),
        _ => Err(LangError::new(Problem::BadValue {
            function: "extend".to_owned(),
            field: field.to_owned(),
            problem: "must be a list, or a dict, as the recipe's own value is".to_owned(),
        })),
    }
}
