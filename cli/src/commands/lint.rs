//! `pith lint`: the rules of the lint on recipes, and on what was built from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use nix::sys::utsname::uname;
use recipes::build::{Builder, Built};
use recipes::lang::{Evaluator, LangError, Package, Problem};
use recipes::lint::{Finding, RecipeText, Rule, Severity, check_files, check_recipe};
use recipes::model::{Location, OutputRef};
use serde::Serialize;
use store::LocalStore;
use thiserror::Error;

use crate::build_options::{RealiseOptions, build_options};
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::plural;
use crate::select::{Want, select_all};
use crate::selection::{SelectError, Selection};

/// Check recipes, and what was built from them
///
/// What is built is looked through and its smoke commands are run; nothing is built for that.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Packages; all of the project, or of the collection where there is no project, by default
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Look at recipes only
    #[arg(long)]
    recipes_only: bool,
    /// List the rules
    #[arg(long, conflicts_with_all = ["targets", "recipes_only"])]
    rules: bool,
}

#[derive(Debug, Error)]
enum LintError {
    #[error("{0} to put right")]
    Found(String),
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
}

#[derive(Debug, Serialize)]
struct ShownFinding {
    code: String,
    severity: String,
    package: String,
    file: String,
    line: u32,
    message: String,
    hint: String,
}

/// Findings are sorted by package, place and rule; `not_built` are the packages whose outputs were not looked at.
#[derive(Debug, Serialize)]
struct Report {
    packages: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<ShownFinding>,
    not_built: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ShownRule {
    code: &'static str,
    severity: String,
    hint: &'static str,
}

#[derive(Debug, Serialize)]
struct RuleReport {
    rules: Vec<ShownRule>,
}

/// Prints what was found; exit status 3 when something has to be put right.
pub(crate) fn lint(args: &LintArgs, context: &Context) -> Result<(), CommandError> {
    if args.rules {
        return list_rules(context);
    }
    let evaluator = context.evaluator();
    let (packages, mut findings) = packages(args, context, &evaluator)?;
    let outputs = if args.recipes_only {
        Outputs::default()
    } else {
        let store = context.open_store()?;
        check_outputs(context, &store, &packages)?
    };
    for package in &packages {
        let origin = package.derivation.origin();
        let text = evaluator.text_of(&origin.file).unwrap_or_default();
        let mut found = check_recipe(package, RecipeText(&text));
        let of_outputs = outputs.findings.get(&package.name);
        found.extend(of_outputs.into_iter().flatten().cloned());
        let accepted = &package.derivation.metadata().accepted;
        let is_whole = of_outputs.is_some();
        findings.extend(Finding::accept(
            found,
            &package.name,
            origin,
            accepted,
            is_whole,
        ));
    }
    findings.sort();
    findings.dedup();
    report(context, packages.len(), &findings, outputs.not_built)
}

fn list_rules(context: &Context) -> Result<(), CommandError> {
    if context.printer().is_json() {
        let rules = Rule::all().map(|rule| ShownRule {
            code: rule.code(),
            severity: rule.severity().to_string(),
            hint: rule.way_out(),
        });
        context.printer().json(&RuleReport {
            rules: rules.collect(),
        })?;
        return Ok(());
    }
    let lines: String = Rule::all()
        .map(|rule| {
            format!(
                "{:20} {:8} {}\n",
                rule.code(),
                rule.severity().to_string(),
                rule.way_out()
            )
        })
        .collect();
    context.printer().result(&lines)?;
    Ok(())
}

/// The packages to look at, and what is wrong with those that have no value.
fn packages(
    args: &LintArgs,
    context: &Context,
    evaluator: &Evaluator,
) -> Result<(Vec<Package>, Vec<Finding>), CommandError> {
    let mut packages = Vec::new();
    let mut findings = Vec::new();
    if !args.targets.is_empty() {
        for (selection, target) in select_all(context, evaluator, &args.targets, Want::Objects)?
            .into_iter()
            .zip(&args.targets)
        {
            let Selection::Output { package, .. } = selection else {
                return Err(SelectError::NoRecipe(target.clone()).into());
            };
            packages.push(package);
        }
    } else if let Some(directory) = &context.settings().project {
        packages = evaluator.evaluate_project(directory)?.packages;
    } else {
        for (name, package) in evaluator.evaluate_collection()? {
            match package {
                Ok(package) => packages.push(package),
                // A folder of the collection may hold only what others load.
                Err(error) if matches!(error.problem(), Problem::PackageNotDefined { .. }) => {}
                Err(error) => findings.push(not_evaluated(name, &error)),
            }
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages.dedup_by(|a, b| a.derivation == b.derivation);
    Ok((packages, findings))
}

fn not_evaluated(package: String, error: &LangError) -> Finding {
    let text = error.to_string();
    Finding {
        place: error.place().map_or_else(
            || Location {
                file: format!("//{package}/recipe.star"),
                line: 1,
                column: 1,
            },
            |place| place.location.clone(),
        ),
        package,
        rule: Rule::NotEvaluated,
        message: format!("has no value: {}", text.lines().next().unwrap_or_default()),
    }
}

/// What was found in outputs.
#[derive(Default)]
struct Outputs {
    /// What is wrong with the packages that are built, by name.
    findings: BTreeMap<String, Vec<Finding>>,
    /// The names of the others, sorted.
    not_built: Vec<String>,
}

/// Looks at the outputs of all packages that are built.
fn check_outputs(
    context: &Context,
    store: &LocalStore,
    packages: &[Package],
) -> Result<Outputs, CommandError> {
    let builder = Builder::new(store, build_options(context, &RealiseOptions::default())?);
    let derivations: Vec<_> = packages
        .iter()
        .map(|package| Arc::clone(&package.derivation))
        .collect();
    let built = builder.built(&derivations)?;
    let lease = store.lease()?;
    let mut outputs = Outputs::default();
    for (package, built) in packages.iter().zip(built) {
        let is_held = |built: &Built| {
            let paths: Vec<_> = built
                .outputs
                .iter()
                .map(|output| output.path.clone())
                .collect();
            store.hold(&lease, &paths).map(|missing| missing.is_empty())
        };
        match built {
            Some(built) if is_held(&built)? => {
                let findings = check_built(context, store, &builder, package, &built)?;
                outputs.findings.insert(package.name.clone(), findings);
            }
            _ => outputs.not_built.push(package.name.clone()),
        }
    }
    Ok(outputs)
}

/// Looks through the outputs of one package and runs its smoke commands.
fn check_built(
    context: &Context,
    store: &LocalStore,
    builder: &Builder<'_>,
    package: &Package,
    built: &Built,
) -> Result<Vec<Finding>, CommandError> {
    let mut findings = Vec::new();
    let mut found = |rule, message| {
        findings.push(Finding {
            package: package.name.clone(),
            place: package.derivation.origin().clone(),
            rule,
            message,
        });
    };
    let seed = package.derivation.seed().map(OutputRef::store_name);
    let kernel = uname().map_err(CommandError::failed)?;
    let kernel = kernel.release().to_string_lossy();
    for output in &built.outputs {
        let failed = |(path, source)| CommandError::failed(LintError::Read { path, source });
        let problems =
            check_files(&output.output, &store.real_path(&output.path), &kernel).map_err(failed)?;
        let mut rules = BTreeSet::new();
        for problem in &problems {
            // One line for each rule is enough to see what is to be done.
            if !rules.insert(problem.rule) {
                continue;
            }
            let more = problems
                .iter()
                .filter(|one| one.rule == problem.rule)
                .count()
                - 1;
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let text = problem
                .text
                .as_ref()
                .map_or(String::new(), |text| format!(", which has `{text}` in it"));
            let message = format!("has `{}` in `{}`{text}{more}", problem.file, output.output);
            found(problem.rule, message);
        }
        let info = store.path_info(&output.path)?;
        let references = info.iter().flat_map(|info| &info.references);
        for reference in references.filter(|one| Some(one.path.name()) == seed) {
            let message = format!(
                "refers to the seed in `{}` of `{}`, at byte {}",
                reference.file, output.output, reference.offset
            );
            found(Rule::SeedReference, message);
        }
    }
    for output in &built.conflicts {
        let message = format!("was built to different results of `{output}` from the same inputs");
        found(Rule::NotReproducible, message);
    }
    if let Some(first) = built.outputs.first()
        && !package.derivation.metadata().smoke.is_empty()
        && let Some(failure) = builder.smoke(&package.derivation, &first.path, context.cancel())?
    {
        found(Rule::SmokeFailed, format!("does not work: {failure}"));
    }
    Ok(findings)
}

fn report(
    context: &Context,
    packages: usize,
    findings: &[Finding],
    not_built: Vec<String>,
) -> Result<(), CommandError> {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.len() - errors;
    let file = |place: &Location| shown_file(context, place);
    if context.printer().is_json() {
        let shown = findings.iter().map(|finding| ShownFinding {
            code: finding.rule.code().to_owned(),
            severity: finding.rule.severity().to_string(),
            package: finding.package.clone(),
            file: file(&finding.place),
            line: finding.place.line,
            message: finding.message.clone(),
            hint: finding.rule.way_out().to_owned(),
        });
        context.printer().json(&Report {
            packages,
            errors,
            warnings,
            findings: shown.collect(),
            not_built,
        })?;
    } else {
        let mut text = String::new();
        for finding in findings {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{}:{}: {}: `{}` {} [{}]\n  hint: {}",
                file(&finding.place),
                finding.place.line,
                finding.rule.severity(),
                finding.package,
                finding.message,
                finding.rule.code(),
                finding.rule.way_out()
            );
        }
        if !text.is_empty() {
            context.printer().result(&text)?;
        }
        let looked = plural(packages, "package");
        let mut line = format!(
            "{looked}: {}, {}",
            plural(errors, "error"),
            plural(warnings, "warning")
        );
        if !not_built.is_empty() {
            let _ = write!(
                line,
                "; {} not built, so its outputs were not looked at",
                not_built.len()
            );
        }
        context.printer().note(&line);
        if !not_built.is_empty() {
            context
                .printer()
                .detail(&format!("not built: {}", not_built.join(", ")));
        }
    }
    if errors == 0 {
        return Ok(());
    }
    let error = LintError::Found(plural(errors, &Severity::Error.to_string()));
    Err(CommandError::new(ExitStatus::No, error))
}

/// The file of a place as a user of this machine finds it.
fn shown_file(context: &Context, place: &Location) -> String {
    match (
        place.file.strip_prefix("//"),
        &context.settings().collection,
    ) {
        (Some(below), Some(directory)) => directory.join(below).display().to_string(),
        _ => place.file.clone(),
    }
}
