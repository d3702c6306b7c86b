//! `pith why TARGET license:…`: every way by which a license comes in.

use std::fmt::Write as _;

use pack::audit::Step;
use pack::audit::inventory::{Inventory, UnitKind};
use pack::audit::license::{Expression, Term};
use pack::audit::policy::{LicensePattern, PatternError};
use serde::Serialize;
use thiserror::Error;

use super::audit::load_inventory;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::registry::RegistryArgs;

/// Nothing is under the license.
#[derive(Debug, Error)]
#[error("nothing that `{target}` needs declares `{license}`")]
struct NotThere {
    target: String,
    license: String,
}

#[derive(Serialize)]
struct Report {
    chains: Vec<Vec<Step>>,
    /// Whether there are more chains than are shown.
    more: bool,
}

fn unknown_license(error: PatternError) -> CommandError {
    let meant = match &error {
        PatternError::NoLicense(_, meant) => meant.clone(),
        PatternError::Category(_) => None,
    };
    let error = CommandError::new(ExitStatus::Usage, error);
    match meant {
        Some(meant) => error.hint(format!("did you mean `license:{meant}`?")),
        None => error,
    }
}

/// Prints every chain to a component that declares the license, the shortest first, each step with its evidence; exit status 3 when there is none.
pub(super) fn why_license(
    target: &str,
    license: &str,
    registry: &RegistryArgs,
    context: &Context,
) -> Result<(), CommandError> {
    let pattern = LicensePattern::parse(license).map_err(unknown_license)?;
    let inventory = load_inventory(target, registry, context)?;
    let wanted = |unit: usize| declares(&inventory, unit, &pattern);
    let chains = inventory.chains(&wanted);
    if chains.chains.is_empty() {
        let error = NotThere {
            target: target.to_owned(),
            license: license.to_owned(),
        };
        return Err(CommandError::new(ExitStatus::No, error).hint(format!(
            "`pith audit {target} --list --by license` shows what is there"
        )));
    }
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            chains: chains.chains,
            more: chains.more,
        })?;
        return Ok(());
    }
    let mut text = String::new();
    for chain in &chains.chains {
        for (depth, step) in chain.iter().enumerate() {
            let indent = "  ".repeat(depth);
            let relation = step
                .relation
                .map(|relation| format!("{relation} "))
                .unwrap_or_default();
            let evidence = step
                .evidence
                .as_deref()
                .map(|evidence| format!("  ({})", evidence.escape_debug()))
                .unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{indent}{relation}{}{evidence}",
                step.component.escape_debug()
            );
        }
        text.push('\n');
    }
    if chains.more {
        text.push_str("and more\n");
    }
    printer.result(&text)?;
    Ok(())
}

/// Whether a component declares a license that the pattern means. One that is only a clue in its sources does not count.
fn declares(inventory: &Inventory, unit: usize, pattern: &LicensePattern) -> bool {
    let unit = inventory
        .units
        .get(unit)
        .filter(|unit| unit.kind != UnitKind::Toolchain);
    let declared = unit.and_then(|unit| Expression::parse(unit.declared.as_deref()?).ok());
    declared.is_some_and(|expression| {
        expression
            .terms()
            .into_iter()
            .any(|term: &Term| pattern.fits(term))
    })
}
