//! What `--explain` prints: the layers of an image, and why.

use std::fmt::Write as _;

use pack::{ImageReport, LayerReport};

use crate::output::human_bytes;

/// The layers, the lowest first, each with its store paths.
pub(crate) fn explain_layers(image: &ImageReport) -> String {
    let mut text = String::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let compressed = layer.size_bytes.map_or_else(String::new, |size| {
            format!(", {} compressed", human_bytes(size))
        });
        let plan = layer.reason.as_deref().map_or_else(String::new, |reason| {
            let weekly = human_bytes(weekly_bytes(layer));
            format!(": {reason}; about {weekly} a week")
        });
        let _ = writeln!(
            text,
            "layer {} ({}{compressed}){plan}",
            number + 1,
            human_bytes(layer.file_size_bytes)
        );
        for path in &layer.paths {
            let mark = if path.requested { " [requested]" } else { "" };
            let _ = writeln!(
                text,
                "  {:>10}  {}{mark}",
                human_bytes(path.size_bytes),
                path.path
            );
        }
        if layer.generated {
            text += "              generated: links, /etc, SBOM\n";
        }
    }
    text
}

/// How much of a layer a client is expected to fetch in a week.
fn weekly_bytes(layer: &LayerReport) -> u64 {
    let size_bytes = layer.size_bytes.unwrap_or(layer.file_size_bytes);
    let weekly = u128::from(size_bytes)
        * u128::from(layer.weekly_change_per_million.unwrap_or_default())
        / 1_000_000;
    // The chance is at most one.
    u64::try_from(weekly).unwrap_or(size_bytes)
}
