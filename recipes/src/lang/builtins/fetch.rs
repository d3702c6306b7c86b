//! `fetch`: one file from outside, known by its digest.

use std::sync::Arc;

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::tuple::UnpackTuple;

use super::metadata::parse_name;
use crate::lang::context::FileContext;
use crate::lang::error::{LangError, Problem};
use crate::lang::fields::{Field, Fields};
use crate::lang::values::PackageValue;
use crate::model::{
    Builder, ContentDigest, DEFAULT_OUTPUT, DerivationSpec, DigestTextError, Fetch, Limits,
    Metadata,
};
use store::StoreName;

/// What a digest may be given as, each with its parser.
type Parse = fn(&str) -> Result<ContentDigest, DigestTextError>;
const DIGESTS: &[(&str, Parse)] = &[
    ("sha256", ContentDigest::sha256_from_hex),
    ("sha512", ContentDigest::sha512_from_hex),
    ("blake3", ContentDigest::blake3_from_hex),
    ("integrity", ContentDigest::from_integrity),
];

const FIELDS: &[&str] = &[
    "urls",
    "sha256",
    "sha512",
    "blake3",
    "integrity",
    "name",
    "executable",
];

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// One file from outside the store; the first of `urls` that has it is taken, and it must have the digest.
    fn fetch<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PackageValue> {
        let fields = Fields::new("fetch", FIELDS, 1, &args.items, kwargs)?;
        let context = FileContext::of(eval)?;
        let urls = urls(fields.required("urls")?)?;
        let name = match fields.optional("name") {
            Some(field) => parse_name(field)?,
            None => name_of(fields.required("urls")?, &urls)?,
        };
        let executable = fields
            .optional("executable")
            .map_or(Ok(false), Field::bool)?;
        let spec = DerivationSpec {
            metadata: Metadata {
                name: name.to_string(),
                ..Metadata::default()
            },
            name,
            outputs: vec![DEFAULT_OUTPUT.to_owned()],
            builder: Builder::Fetch(Fetch {
                urls,
                digest: digest(&fields)?,
                executable,
            }),
            limits: Limits::default(),
            origin: context.origin(eval),
            recipe: Arc::clone(&context.recipe),
        };
        Ok(PackageValue::new(
            context.session.intern(spec).map_err(LangError::new)?,
        ))
    }
}

fn urls(field: Field<'_>) -> Result<Vec<String>, LangError> {
    let urls = field.strings()?;
    let has_scheme = |url: &str| {
        url.split_once("://").is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        })
    };
    if let Some(url) = urls
        .iter()
        .find(|url| !has_scheme(url) || url.contains(|c: char| c.is_control() || c == ' '))
    {
        return Err(field.bad_value(format!(
            "has `{}`, which is no URL: write `https://…` or `mirror://NAME/…`",
            url.escape_debug()
        )));
    }
    Ok(urls)
}

/// Returns the file name of the first URL, with `-` for what no store object can be called.
fn name_of(field: Field<'_>, urls: &[String]) -> Result<StoreName, LangError> {
    let Some(url) = urls.first() else {
        return Err(LangError::new(crate::model::ModelError::NoUrls));
    };
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "+._=-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = file.chars().map(plain).collect();
    name.trim_start_matches('.').parse().map_err(|_| {
        field.bad_value(format!(
            "has `{url}`, which ends in no file name: say `name = …`"
        ))
    })
}

fn digest(fields: &Fields<'_>) -> Result<ContentDigest, LangError> {
    let given = |(name, parse): &(&'static str, Parse)| Some((fields.optional(name)?, *parse));
    let mut given = DIGESTS.iter().filter_map(given);
    let Some((field, parse)) = given.next() else {
        return Err(LangError::new(Problem::NoDigest));
    };
    match given.next() {
        None => parse(field.string()?).map_err(LangError::new),
        Some((second, _)) => Err(LangError::new(Problem::TwoDigests {
            first: field.name(),
            second: second.name(),
        })),
    }
}
