//! `pith audit --list`: what is inside.

use std::fmt::Write as _;

use pack::audit::{Audit, ListBy, Row, inventory::Inventory, list};
use serde::Serialize;

use crate::context::Context;
use crate::error::CommandError;

#[derive(Serialize)]
struct Report {
    by: ListBy,
    rows: Vec<Row>,
}

/// Prints the list. What others wrote does not reach the terminal as commands.
pub(super) fn show_list(
    inventory: &Inventory,
    audit: &Audit,
    by: ListBy,
    is_json: bool,
    context: &Context,
) -> Result<(), CommandError> {
    let rows = list(inventory, audit, by);
    let printer = context.printer();
    if is_json {
        printer.json(&Report { by, rows })?;
        return Ok(());
    }
    let mut text = String::new();
    for row in &rows {
        let values = row.values.join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}  {}",
            row.key.escape_debug(),
            values.escape_debug()
        );
    }
    printer.result(&text)?;
    Ok(())
}
