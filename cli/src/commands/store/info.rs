//! `pith store info`: where the store is and how much it holds.

use serde::Serialize;

use crate::context::Context;
use crate::error::CommandError;
use crate::output::human_bytes;

/// The report of `store info`; sizes count every object whole.
#[derive(Debug, Serialize)]
struct StoreReport {
    root: String,
    store_dir: &'static str,
    objects: u64,
    size_bytes: u64,
}

/// Runs the command.
pub(super) fn info(context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let (objects, size_bytes) = store.count_objects()?;
    let report = StoreReport {
        root: store.root().to_string_lossy().into_owned(),
        store_dir: store::STORE_DIR,
        objects,
        size_bytes,
    };
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        context.printer().result(&format!(
            "store    {}\nshown as {}\nobjects  {}\nsize     {}\n",
            report.root,
            report.store_dir,
            report.objects,
            human_bytes(report.size_bytes)
        ))?;
    }
    Ok(())
}
