//! `pith show`: what a recipe says about a package.

use std::fmt::Write as _;

use clap::Args;
use recipes::lang::Package;
use recipes::model::{Builder, OutputRef};
use serde::Serialize;

use crate::context::Context;
use crate::error::CommandError;
use crate::select::{Want, select};
use crate::selection::{SelectError, Selection};

/// Show what a recipe says about a package
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A package
    #[arg(value_name = "TARGET")]
    target: String,
}

/// A package as its recipe describes it; absent facts are null.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    version: Option<String>,
    license: Option<String>,
    description: Option<String>,
    homepage: Option<String>,
    cpe: Option<String>,
    purl: Option<String>,
    maintainers: Vec<String>,
    deprecated: Option<String>,
    outputs: Vec<String>,
    sources: Vec<ShownSource>,
    inputs: Vec<String>,
    recipe: String,
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    package: Shown,
}

/// A file from outside that a package is made of.
#[derive(Debug, Serialize)]
struct ShownSource {
    name: String,
    digest: String,
    urls: Vec<String>,
}

/// Prints the facts of one package.
pub(crate) fn show(args: &ShowArgs, context: &Context) -> Result<(), CommandError> {
    let selection = select(context, &context.evaluator(), &args.target, Want::Objects)?;
    let Selection::Output { package, .. } = selection else {
        return Err(
            CommandError::failed(SelectError::NoRecipe(args.target.clone()))
                .hint("`pith store path-info` tells what the store knows of a store path"),
        );
    };
    let shown = shown(&package);
    if context.printer().is_json() {
        context.printer().json(&Report { package: shown })?;
    } else {
        context.printer().result(&text(&shown))?;
    }
    Ok(())
}

fn shown(package: &Package) -> Shown {
    let derivation = &package.derivation;
    let facts = derivation.metadata().clone();
    Shown {
        name: package.name.clone(),
        version: facts.version,
        license: facts.license,
        description: facts.description,
        homepage: facts.homepage,
        cpe: facts.cpe,
        purl: facts.purl,
        maintainers: facts.maintainers,
        deprecated: facts.deprecated,
        outputs: derivation
            .outputs()
            .iter()
            .map(|output| output.name().to_owned())
            .collect(),
        sources: derivation
            .sources()
            .into_iter()
            .filter_map(shown_source)
            .collect(),
        inputs: derivation
            .inputs()
            .iter()
            .map(|input| input.store_name().to_string())
            .collect(),
        recipe: derivation.origin().to_string(),
    }
}

fn shown_source(source: &OutputRef) -> Option<ShownSource> {
    let Builder::Fetch(fetch) = source.derivation().builder() else {
        return None;
    };
    Some(ShownSource {
        name: source.store_name().to_string(),
        digest: fetch.digest.to_string(),
        urls: fetch.urls.clone(),
    })
}

fn text(shown: &Shown) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:12} {value}");
    };
    line("name", &shown.name);
    for (key, value) in [
        ("version", &shown.version),
        ("license", &shown.license),
        ("description", &shown.description),
        ("homepage", &shown.homepage),
        ("cpe", &shown.cpe),
        ("purl", &shown.purl),
        ("deprecated", &shown.deprecated),
    ] {
        if let Some(value) = value {
            line(key, value);
        }
    }
    for maintainer in &shown.maintainers {
        line("maintainer", maintainer);
    }
    line("outputs", &shown.outputs.join(" "));
    for source in &shown.sources {
        line("source", &format!("{} {}", source.name, source.digest));
        for url in &source.urls {
            line("", url);
        }
    }
    line("inputs", &shown.inputs.join(" "));
    line("recipe", &shown.recipe);
    text
}
