//! `pith audit --explain`: what a code means.

use pack::audit::Code;
use serde::Serialize;

use crate::context::Context;
use crate::error::CommandError;

#[derive(Serialize)]
struct Report {
    code: Code,
    title: &'static str,
    explanation: &'static str,
    way_out: &'static str,
}

/// Prints what is known of `code`.
pub(super) fn explain(code: Code, is_json: bool, context: &Context) -> Result<(), CommandError> {
    let report = Report {
        code,
        title: code.title(),
        explanation: code.explanation(),
        way_out: code.way_out(),
    };
    let printer = context.printer();
    if is_json {
        printer.json(&report)?;
    } else {
        let Report {
            title,
            explanation,
            way_out,
            ..
        } = report;
        printer.result(&format!(
            "{code}: {title}\n\n{explanation}\n\nWay out: {way_out}\n"
        ))?;
    }
    Ok(())
}
