//! The values behind `p.override`, `p.extend` and `p.rewrite`, and the stand-ins for functions in a recipe that is evaluated for them.

#![expect(
    unsafe_code,
    unused_qualifications,
    reason = "the derive `ProvidesStaticType` implements an unsafe trait, with whole paths"
)]

use std::fmt;
use std::sync::Arc;

use allocative::Allocative;
use starlark::collections::SmallMap;
use starlark::environment::{FrozenModule, Module};
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_simple_value;
use starlark::values::dict::DictRef;
use starlark::values::{
    NoSerialize, OwnedFrozenValue, ProvidesStaticType, StarlarkPagablePanic, StarlarkValue, Value,
    starlark_value,
};

use super::changes::{Change, Changes, Data};
use super::context::FileContext;
use super::error::{LangError, Problem};
use super::explain;
use super::values::PackageValue;
use crate::model::{Derivation, Replacement};

/// How a package is changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Override,
    Extend,
    Rewrite,
}

impl Kind {
    /// Returns the kind whose method is called `name`.
    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::Override, Self::Extend, Self::Rewrite]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Extend => "extend",
            Self::Rewrite => "rewrite",
        }
    }
}

/// A package's method.
#[derive(ProvidesStaticType, NoSerialize, Allocative, StarlarkPagablePanic)]
pub(super) struct Method {
    #[allocative(skip)]
    package: Arc<Derivation>,
    #[allocative(skip)]
    kind: Kind,
}

starlark_simple_value!(Method);

impl Method {
    pub(super) fn new(package: Arc<Derivation>, kind: Kind) -> Self {
        Self { package, kind }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())
    }
}

#[starlark_value(type = "function")]
impl<'v> StarlarkValue<'v> for Method {
    fn invoke(
        &self,
        _me: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let positional: Vec<Value<'v>> = args.positions(eval.heap())?.collect();
        let named = args.names_map()?;
        let context = FileContext::of(eval)?;
        let most = usize::from(matches!(self.kind, Kind::Rewrite));
        if positional.len() > most {
            return Err(LangError::new(Problem::TooManyArguments {
                function: self.kind.name().to_owned(),
                most,
                found: positional.len(),
            })
            .into());
        }
        let changed = if let Kind::Rewrite = self.kind {
            let replacements = replacements(&positional, context)?;
            context.session.rewrite(&self.package, &replacements)?
        } else {
            let mut changes = Changes::default();
            for (field, value) in named {
                let data = Data::of(self.kind.name(), field.as_str(), value)?;
                let change = match self.kind {
                    Kind::Extend => Change::Extend(data),
                    _ => Change::Replace(data),
                };
                changes.0.insert(field.as_str().to_owned(), change);
            }
            context.session.change(&self.package, changes)?
        };
        Ok(eval.heap().alloc(PackageValue::new(changed)))
    }
}

fn replacements(
    positional: &[Value<'_>],
    context: &FileContext<'_>,
) -> Result<Vec<Replacement>, LangError> {
    let wrong = |found: &str| {
        LangError::new(Problem::WrongType {
            function: "rewrite".to_owned(),
            field: "packages".to_owned(),
            expected: "a dict from names of packages to packages",
            found: found.to_owned(),
        })
    };
    let Some(dict) = positional.first().copied().and_then(DictRef::from_value) else {
        return Err(wrong("another value"));
    };
    let entries = dict.iter().map(|(name, value)| {
        match (name.unpack_str(), PackageValue::from_value(value)) {
            (Some(name), Some(package)) => Ok(Replacement {
                name: name.to_owned(),
                from: context.session.package(name)?.id(),
                to: Arc::clone(package.derivation()),
            }),
            _ => Err(wrong("a dict with something else in it")),
        }
    });
    entries.collect()
}

/// A function that a recipe has loaded, in an evaluation for changes: the call that makes the package gets them.
#[derive(ProvidesStaticType, NoSerialize, Allocative, StarlarkPagablePanic)]
struct StandIn {
    #[allocative(skip)]
    function: OwnedFrozenValue,
}

starlark_simple_value!(StandIn);

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.function.value(), f)
    }
}

#[starlark_value(type = "function")]
impl<'v> StarlarkValue<'v> for StandIn {
    fn invoke(
        &self,
        _me: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let function = eval.heap().access_owned_frozen_value(&self.function);
        let mut positional: Vec<Value<'v>> = args.positions(eval.heap())?.collect();
        let given = args.names_map()?;
        let mut named: SmallMap<&str, Value<'v>> = given
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let context = FileContext::of(eval)?;
        let applied = match &context.variant {
            Some(variant) => variant.apply(&mut positional, &mut named, eval.heap())?,
            None => false,
        };
        let named: Vec<(&str, Value<'v>)> = named.into_iter().collect();
        if let Some(variant) = context.variant.as_ref().filter(|_| applied) {
            variant.inside.set(true);
        }
        let result = eval.eval_function(function, &positional, &named);
        if let Some(variant) = context.variant.as_ref().filter(|_| applied) {
            variant.inside.set(false);
        }
        result
    }
}

/// Returns a module with the public values of `module`, and stand-ins for its functions.
pub(super) fn with_stand_ins(module: &FrozenModule) -> Result<FrozenModule, LangError> {
    Module::with_temp_heap(|copy| {
        for name in module.names() {
            let Ok(value) = module.get(name.as_str()) else {
                continue;
            };
            let is_function = value.value().get_type() == "function";
            let value = if is_function {
                copy.heap().alloc(StandIn { function: value })
            } else {
                copy.heap().access_owned_frozen_value(&value)
            };
            copy.set(name.as_str(), value);
        }
        copy.freeze().map_err(explain::freeze)
    })
}
