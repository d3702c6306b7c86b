//! `pith search`: packages of the collection by name and description.

use clap::Args;
use recipes::lang::Package;
use serde::Serialize;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

/// Search the collection
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words that must all occur in a package's name or description; an empty QUERY lists every package
    #[arg(value_name = "QUERY")]
    query: String,
}

/// Nothing was found.
#[derive(Debug, Error)]
#[error("no package of the collection matches `{0}`")]
struct NothingFound(String);

/// What is told of each package; absent facts are null.
#[derive(Debug, Serialize)]
struct Found {
    name: String,
    version: Option<String>,
    license: Option<String>,
    description: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    packages: Vec<Found>,
}

/// Lists what matches, sorted by name; exit status 3 when nothing does.
pub(crate) fn search(args: &SearchArgs, context: &Context) -> Result<(), CommandError> {
    let query = args.query.to_lowercase();
    let words: Vec<_> = query.split_whitespace().collect();
    let mut packages = Vec::new();
    for (name, package) in context.evaluator().evaluate_collection()? {
        match package {
            Ok(package) => packages.extend(matching(&package, &words)),
            // A folder of the collection may hold only what others load.
            Err(error) => context.printer().detail(&format!("{name}: {error}")),
        }
    }
    if packages.is_empty() {
        return Err(CommandError::new(
            ExitStatus::No,
            NothingFound(args.query.clone()),
        ));
    }
    if context.printer().is_json() {
        context.printer().json(&Report { packages })?;
        return Ok(());
    }
    let width = packages
        .iter()
        .map(|found| found.name.len())
        .max()
        .unwrap_or_default();
    let lines: String = packages
        .iter()
        .map(|found| {
            let version = found.version.as_deref().unwrap_or("-");
            let description = found.description.as_deref().unwrap_or_default();
            format!("{:width$}  {version:10}  {description}\n", found.name)
        })
        .collect();
    context.printer().result(&lines)?;
    Ok(())
}

/// `package` when every one of `words`, which are in lower case, is in its name or description.
fn matching(package: &Package, words: &[&str]) -> Option<Found> {
    let facts = package.derivation.metadata();
    let text = format!(
        "{} {}",
        package.name,
        facts.description.as_deref().unwrap_or_default()
    )
    .to_lowercase();
    words.iter().all(|word| text.contains(word)).then(|| Found {
        name: package.name.clone(),
        version: facts.version.clone(),
        license: facts.license.clone(),
        description: facts.description.clone(),
    })
}
