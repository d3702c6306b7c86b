//! `image`: a container image of packages.

use std::collections::BTreeMap;

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::none::NoneType;
use starlark::values::tuple::UnpackTuple;
use starlark::values::{UnpackValue, Value};

use crate::lang::context::FileContext;
use crate::lang::error::LangError;
use crate::lang::fields::{Field, Fields, list_elements};
use crate::model::{HealthCheck, ImageDeclaration, Port, Protocol};

const FIELDS: &[&str] = &[
    "name",
    "packages",
    "entrypoint",
    "cmd",
    "env",
    "ports",
    "user",
    "workdir",
    "labels",
    "annotations",
    "links",
    "files",
    "executables",
    "volumes",
    "stop_signal",
    "health_check",
    "layers",
    "base",
];

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// Declares a container image that holds the closure of `packages` and nothing else.
    fn image<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<&str, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let fields = Fields::new("image", FIELDS, 2, &args.items, kwargs)?;
        let context = FileContext::of(eval)?;
        let name = fields.required("name")?;
        let image = ImageDeclaration {
            origin: context.origin(eval),
            ..declaration(&fields, context)?
        };
        if context
            .images
            .borrow()
            .iter()
            .any(|known| known.name == image.name)
        {
            return Err(name
                .bad_value(format!(
                    "is `{}`, as that of another image of this file",
                    image.name
                ))
                .into());
        }
        context.images.borrow_mut().push(image);
        Ok(NoneType)
    }
}

fn declaration(
    fields: &Fields<'_>,
    context: &FileContext<'_>,
) -> Result<ImageDeclaration, LangError> {
    let texts = |name| {
        fields
            .optional(name)
            .map(|field| field.texts(context))
            .transpose()
    };
    let text_dict = |name| {
        fields
            .optional(name)
            .map(|field| field.text_dict(context))
            .transpose()
    };
    let files = |name| match fields.optional(name) {
        Some(field) => with_absolute_keys(field, field.text_dict(context)?),
        None => Ok(BTreeMap::new()),
    };
    let string_dict = |name| {
        fields
            .optional(name)
            .map_or_else(|| Ok(BTreeMap::new()), Field::string_dict)
    };
    Ok(ImageDeclaration {
        name: image_name(fields.required("name")?)?,
        packages: fields.required("packages")?.outputs(context)?,
        entrypoint: texts("entrypoint")?,
        cmd: texts("cmd")?.unwrap_or_default(),
        env: text_dict("env")?.unwrap_or_default(),
        ports: fields.optional("ports").map_or(Ok(Vec::new()), ports)?,
        user: fields.optional("user").map(user).transpose()?,
        workdir: match fields.optional("workdir") {
            Some(field) => Some(field.parse_text(&absolute(field, field.string()?)?, context)?),
            None => None,
        },
        labels: string_dict("labels")?,
        annotations: string_dict("annotations")?,
        links: match fields.optional("links") {
            Some(field) => Some(with_absolute_keys(field, field.text_dict(context)?)?),
            None => None,
        },
        files: files("files")?,
        executables: files("executables")?,
        volumes: match fields.optional("volumes") {
            Some(field) => field
                .strings()?
                .iter()
                .map(|path| absolute(field, path))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        },
        stop_signal: fields
            .optional("stop_signal")
            .map(stop_signal)
            .transpose()?,
        health_check: fields
            .optional("health_check")
            .map(|field| health_check(field, context))
            .transpose()?,
        layers: fields.optional("layers").map_or(Ok(Vec::new()), layers)?,
        base: fields.optional("base").map(base).transpose()?,
        origin: crate::model::Location::default(),
    })
}

/// Returns a health check written as the command alone, or `{"command": […], "interval": 30}` with seconds.
fn health_check(field: Field<'_>, context: &FileContext<'_>) -> Result<HealthCheck, LangError> {
    let mut check = HealthCheck {
        command: Vec::new(),
        interval: None,
        timeout: None,
        start_period: None,
        retries: None,
    };
    let words = |field: Field<'_>| field.texts(context);
    if list_elements(field.value).is_some() {
        check.command = words(field)?;
    } else {
        for (key, value) in field.dict()? {
            let value = field.with_value(value);
            let number = match key.as_str() {
                "command" => {
                    check.command = words(value)?;
                    continue;
                }
                "interval" => &mut check.interval,
                "timeout" => &mut check.timeout,
                "start_period" => &mut check.start_period,
                "retries" => &mut check.retries,
                _ => {
                    return Err(field.bad_value(format!(
                        "has `{}`; it knows command, interval, timeout, start_period and retries",
                        key.escape_debug()
                    )));
                }
            };
            *number = Some(value.positive()?);
        }
    }
    if check.command.is_empty() {
        return Err(field.bad_value("has no command"));
    }
    Ok(check)
}

/// Returns layers written `{"base": ["glibc*"]}`.
fn layers(field: Field<'_>) -> Result<Vec<(String, Vec<String>)>, LangError> {
    let mut layers = Vec::new();
    for (name, value) in field.dict()? {
        let patterns = field.with_value(value).strings()?;
        if patterns.is_empty() || patterns.iter().any(String::is_empty) {
            return Err(field.bad_value(format!(
                "has `{}` without a name; write `[\"glibc*\"]`",
                name.escape_debug()
            )));
        }
        layers.push((name, patterns));
    }
    Ok(layers)
}

/// Returns the repository part of an image's name (OCI distribution-spec 1.1, "Pulling manifests": `<name>`).
fn image_name(field: Field<'_>) -> Result<String, LangError> {
    let name = field.string()?;
    let separators_inside = |part: &str| {
        let edge =
            |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(part.chars().next()) && edge(part.chars().last())
    };
    let letters = |part: &str| {
        part.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    };
    if name.len() <= 255
        && name
            .split('/')
            .all(|part| letters(part) && separators_inside(part))
    {
        return Ok(name.to_owned());
    }
    Err(field.bad_value(format!(
        "is `{}`, which cannot name an image: lower-case letters and digits, with `.`, `_`, `-` and `/` between",
        name.escape_debug()
    )))
}

fn ports(field: Field<'_>) -> Result<Vec<Port>, LangError> {
    field
        .list("a list of ports")?
        .into_iter()
        .map(|value| port(field, value))
        .collect()
}

/// Returns a port written `8080`, `"8080"`, `"53/udp"`.
fn port<'v>(field: Field<'v>, value: Value<'v>) -> Result<Port, LangError> {
    let number = i32::unpack_value(value).ok().flatten();
    let text = match (number, value.unpack_str()) {
        (Some(number), _) => number.to_string(),
        (None, Some(text)) => text.to_owned(),
        (None, None) => {
            return Err(field.wrong_type("a list of numbers and texts such as `\"53/udp\"`", value));
        }
    };
    let (number, protocol) = match text.split_once('/') {
        None => (text.as_str(), Some(Protocol::Tcp)),
        Some((number, "tcp")) => (number, Some(Protocol::Tcp)),
        Some((number, "udp")) => (number, Some(Protocol::Udp)),
        Some((number, _)) => (number, None),
    };
    match (number.parse(), protocol) {
        (Ok(number), Some(protocol)) if number > 0 => Ok(Port { number, protocol }),
        _ => Err(field.bad_value(format!("has `{}`, which is no port", text.escape_debug()))),
    }
}

/// Returns a user written `1000`, `"1000:100"`, `"nobody"`.
fn user(field: Field<'_>) -> Result<String, LangError> {
    if let Some(number) = i32::unpack_value(field.value).ok().flatten() {
        return match u32::try_from(number) {
            Ok(number) => Ok(number.to_string()),
            Err(_) => {
                Err(field.bad_value(format!("is {number}; a user's number is not below zero")))
            }
        };
    }
    let text = field
        .value
        .unpack_str()
        .ok_or_else(|| field.wrong_type("a number or a string", field.value))?;
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [user] if part(user) => Ok(text.to_owned()),
        [user, group] if part(user) && part(group) => Ok(text.to_owned()),
        _ => Err(field.bad_value(format!(
            "is `{}`; write `user`, `user:group` or numbers",
            text.escape_debug()
        ))),
    }
}

fn absolute(field: Field<'_>, path: &str) -> Result<String, LangError> {
    let plain = path.strip_prefix('/').is_some_and(|rest| {
        rest.is_empty()
            || rest
                .split('/')
                .all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
    });
    if plain {
        return Ok(path.to_owned());
    }
    Err(field.bad_value(format!(
        "has `{}`, which is no plain absolute path: write `/dir/file`, without `.`, `..` or a slash at the end",
        path.escape_debug()
    )))
}

fn with_absolute_keys<T>(
    field: Field<'_>,
    map: BTreeMap<String, T>,
) -> Result<BTreeMap<String, T>, LangError> {
    for path in map.keys() {
        if path == "/" {
            return Err(field.bad_value("has `/`, which is the root itself"));
        }
        absolute(field, path)?;
    }
    Ok(map)
}

/// Returns the name of a file or of an image in a registry; which of them it is, who packs finds out.
fn base(field: Field<'_>) -> Result<String, LangError> {
    let text = field.string()?;
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(field.bad_value(format!(
            "is `{}`, which names no image: write `registry.example/debian:13@sha256:…` or `./base.tar`",
            text.escape_debug()
        )));
    }
    Ok(text.to_owned())
}

fn stop_signal(field: Field<'_>) -> Result<String, LangError> {
    let text = field.string()?;
    let plain = text.strip_prefix("SIG").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'+')
    });
    if plain {
        return Ok(text.to_owned());
    }
    Err(field.bad_value(format!(
        "is `{}`, which is no signal: write it as `SIGTERM`",
        text.escape_debug()
    )))
}
