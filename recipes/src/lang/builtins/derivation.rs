//! `derivation`: one build step, run as a program in the sandbox.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::tuple::UnpackTuple;

use super::metadata::{metadata, store_name};
use super::smoke::smoke;
use crate::lang::context::FileContext;
use crate::lang::error::LangError;
use crate::lang::fields::{Field, Fields, list_elements, text_value};
use crate::lang::values::{ATTRIBUTES, PackageValue};
use crate::model::{
    Builder, DEFAULT_OUTPUT, DerivationSpec, Limits, Metadata, Platform, Program, Text,
};

const FIELDS: &[&str] = &[
    "name",
    "version",
    "builder",
    "env",
    "outputs",
    "seed",
    "inputs",
    "forbid",
    "extra_references",
    "platform",
    "timeout",
    "silence",
    "license",
    "description",
    "homepage",
    "cpe",
    "purl",
    "maintainers",
    "deprecated",
    "sources",
    "source_packages",
    "unshipped",
    "smoke",
    "accept",
];

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// One build step: a program that runs in the sandbox and writes to the paths in `$out` (and `$dev`, …).
    fn derivation<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let context = FileContext::of(eval)?;
        let mut args = args;
        let mut kwargs: SmallMap<&str, Value<'v>> = kwargs.into_iter().collect();
        context.change(&mut args.items, &mut kwargs, eval.heap())?;
        let fields = Fields::new("derivation", FIELDS, 1, &args.items, kwargs)?;
        let spec = DerivationSpec {
            name: store_name(&fields)?,
            outputs: outputs(&fields)?,
            builder: Builder::Program(program(&fields, context)?),
            limits: Limits {
                timeout: seconds(&fields, "timeout")?,
                silence: seconds(&fields, "silence")?,
            },
            metadata: Metadata {
                smoke: smoke(&fields)?,
                ..metadata(&fields, context)?
            },
            origin: context.origin(eval),
            recipe: Arc::clone(&context.recipe),
        };
        Ok(PackageValue::new(
            context.session.intern(spec).map_err(LangError::new)?,
        ))
    }
}

fn program(fields: &Fields<'_>, context: &FileContext<'_>) -> Result<Program, LangError> {
    Ok(Program {
        argv: fields.required("builder")?.texts(context)?,
        env: fields
            .optional("env")
            .map_or_else(|| Ok(BTreeMap::new()), |field| environment(field, context))?,
        platform: fields
            .optional("platform")
            .map_or(Ok(context.session.platform.get()), platform)?,
        seed: fields
            .optional("seed")
            .map(|field| field.output(context))
            .transpose()?,
        inputs: fields.outputs("inputs", context)?,
        forbidden: fields.outputs("forbid", context)?,
        extra_references: fields.outputs("extra_references", context)?,
    })
}

fn outputs(fields: &Fields<'_>) -> Result<Vec<String>, LangError> {
    let Some(field) = fields.optional("outputs") else {
        return Ok(vec![DEFAULT_OUTPUT.to_owned()]);
    };
    let outputs = field.strings()?;
    match outputs
        .iter()
        .find(|output| ATTRIBUTES.contains(&output.as_str()))
    {
        Some(taken) => Err(field.bad_value(format!(
            "has `{taken}`, which is an attribute of every package"
        ))),
        None => Ok(outputs),
    }
}

fn environment<'v>(
    field: Field<'v>,
    context: &FileContext<'_>,
) -> Result<BTreeMap<String, Text>, LangError> {
    let mut env = BTreeMap::new();
    for (name, value) in field.dict()? {
        if let Some(text) = variable(field, value)? {
            env.insert(name, field.parse_text(&text, context)?);
        }
    }
    Ok(env)
}

/// Returns the value of an environment variable: a text, a number, or the elements of a list with spaces between.
fn variable<'v>(field: Field<'v>, value: Value<'v>) -> Result<Option<String>, LangError> {
    const EXPECTED: &str = "a dict of strings, packages, numbers and lists of these";
    let single = |value: Value<'v>| match text_value(value) {
        Some(text) => Ok(text),
        None if value.get_type() == "int" => Ok(value.to_str()),
        None => Err(field.wrong_element(EXPECTED, value)),
    };
    if value.is_none() {
        return Ok(None);
    }
    match list_elements(value) {
        None => single(value).map(Some),
        Some(elements) => {
            let texts = elements
                .into_iter()
                .map(single)
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Some(texts.join(" ")))
        }
    }
}

fn platform(field: Field<'_>) -> Result<Platform, LangError> {
    field
        .string()?
        .parse()
        .map_err(|error: crate::model::UnknownPlatform| LangError::new(error))
}

fn seconds(fields: &Fields<'_>, name: &'static str) -> Result<Option<Duration>, LangError> {
    let seconds = fields.optional(name).map(Field::positive).transpose()?;
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
}
