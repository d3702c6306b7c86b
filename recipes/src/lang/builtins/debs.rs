//! `debs`: Debian packages unpacked into one tree, by pith itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::tuple::UnpackTuple;

use super::metadata::{metadata, store_name};
use crate::lang::context::FileContext;
use crate::lang::error::LangError;
use crate::lang::fields::{Field, Fields};
use crate::lang::values::PackageValue;
use crate::model::{Builder, DEFAULT_OUTPUT, DebTree, DerivationSpec, Limits};

const FIELDS: &[&str] = &[
    "name",
    "debs",
    "version",
    "links",
    "drop",
    "include",
    "license",
    "description",
    "homepage",
    "cpe",
    "purl",
    "maintainers",
    "deprecated",
    "sources",
    "source_packages",
    "accept",
];

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// Debian packages, each a `fetch`, unpacked over each other into one tree with merged `/usr`.
    fn debs<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let context = FileContext::of(eval)?;
        let mut args = args;
        let mut kwargs: SmallMap<&str, Value<'v>> = kwargs.into_iter().collect();
        context.change(&mut args.items, &mut kwargs, eval.heap())?;
        let fields = Fields::new("debs", FIELDS, 2, &args.items, kwargs)?;
        let tree = DebTree {
            debs: fields.required("debs")?.outputs(context)?,
            links: fields
                .optional("links")
                .map_or_else(|| Ok(BTreeMap::new()), links)?,
            drop: fields.strings("drop")?,
            include: fields.strings("include")?,
        };
        let spec = DerivationSpec {
            name: store_name(&fields)?,
            outputs: vec![DEFAULT_OUTPUT.to_owned()],
            builder: Builder::DebTree(tree),
            limits: Limits::default(),
            metadata: metadata(&fields, context)?,
            origin: context.origin(eval),
            recipe: Arc::clone(&context.recipe),
        };
        Ok(PackageValue::new(
            context.session.intern(spec).map_err(LangError::new)?,
        ))
    }
}

fn links(field: Field<'_>) -> Result<BTreeMap<String, String>, LangError> {
    let links = field.string_dict()?;
    let escapes =
        |path: &str| path.split('/').any(|part| part == "..") || path.trim_matches('/').is_empty();
    match links.keys().find(|path| escapes(path)) {
        Some(path) => Err(field.bad_value(format!(
            "has `{}`, which is no place in the tree",
            path.escape_debug()
        ))),
        None => Ok(links),
    }
}
