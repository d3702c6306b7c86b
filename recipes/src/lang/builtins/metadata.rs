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
        smoke: Vec::new(),
        accepted: fields
            .optional("accept")
            .map_or_else(|| Ok(BTreeMap::new()), Field::string_dict)?,
    })
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
