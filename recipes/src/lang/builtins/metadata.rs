//! The arguments that `derivation` and `debs` share: who and what a package is.

use std::collections::BTreeMap;

use crate::lang::context::FileContext;
use crate::lang::error::LangError;
use crate::lang::fields::{Field, Fields};
use crate::model::Metadata;
use store::StoreName;

/// Reads the metadata; `name` must be there.
pub(super) fn metadata(
    fields: &Fields<'_>,
    context: &FileContext<'_>,
) -> Result<Metadata, LangError> {
    Ok(Metadata {
        name: fields.required("name")?.string()?.to_owned(),
        version: fields.optional_string("version")?,
        license: fields.optional_string("license")?,
        description: fields.optional_string("description")?,
        homepage: fields.optional_string("homepage")?,
        cpe: fields.optional_string("cpe")?,
        purl: fields.optional_string("purl")?,
        maintainers: fields.strings("maintainers")?,
        deprecated: fields.optional_string("deprecated")?,
        sources: fields.outputs("sources", context)?,
        source_packages: fields.outputs("source_packages", context)?,
        unshipped: fields
            .optional("unshipped")
            .map_or_else(|| Ok(BTreeMap::new()), unshipped)?,
        smoke: Vec::new(),
        accepted: fields
            .optional("accept")
            .map_or_else(|| Ok(BTreeMap::new()), Field::string_dict)?,
    })
}

/// Reads what of the sources is in nothing that is shipped: no place stands for all of them, and none goes without a reason.
fn unshipped(field: Field<'_>) -> Result<BTreeMap<String, String>, LangError> {
    let places = field.string_dict()?;
    if places
        .iter()
        .any(|(place, reason)| place.is_empty() || reason.is_empty())
    {
        return Err(field.bad_value("has a place without a name or without a reason"));
    }
    Ok(places)
}

/// Returns the store name of the default output, `<name>-<version>`.
pub(super) fn store_name(fields: &Fields<'_>) -> Result<StoreName, LangError> {
    let name = fields.required("name")?;
    let checked = parse_name(name)?;
    match fields.optional("version") {
        None => Ok(checked),
        Some(version) => {
            parse_name(version)?;
            format!("{checked}-{}", version.string()?)
                .parse()
                .map_err(|_| name.bad_value("is too long with its version"))
        }
    }
}

/// Returns the value as (a part of) the name of a store object.
pub(super) fn parse_name(field: Field<'_>) -> Result<StoreName, LangError> {
    let text = field.string()?;
    text.parse().map_err(|_| {
        field.bad_value(format!(
            "is `{}`, which cannot name a store object: letters, digits and `+._?=-`, at most 200, no dot first",
            text.escape_debug()
        ))
    })
}
