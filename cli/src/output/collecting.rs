//! Shows how far a garbage collection is.

use indicatif::{ProgressBar, ProgressStyle};
use store::GcEvent;

use super::{Printer, human_bytes, plural};

/// Shows the events of one collection: a bar on a terminal, a line elsewhere.
#[derive(Debug)]
pub(crate) struct GcProgress<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
}

impl<'a> GcProgress<'a> {
    /// Shows events through `printer`.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            bar: ProgressBar::hidden(),
        }
    }

    /// Shows one event. Called from several threads.
    pub(crate) fn show(&self, event: &GcEvent) {
        match event {
            GcEvent::WaitingForCollector => self
                .printer
                .note("waiting for another pith that collects garbage"),
            GcEvent::Marked { objects, bytes } => {
                let text = format!(
                    "deleting {}, {}",
                    plural(usize::try_from(*objects).unwrap_or(usize::MAX), "object"),
                    human_bytes(*bytes)
                );
                if self.printer.is_interactive() {
                    let style =
                        ProgressStyle::with_template("{prefix} {bar:24} {bytes}/{total_bytes}");
                    self.bar
                        .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                    self.bar.set_prefix(text);
                    self.bar.set_length(*bytes);
                    drop(self.printer.bars().add(self.bar.clone()));
                } else if *objects > 0 {
                    self.printer.note(&text);
                }
            }
            GcEvent::Removed { bytes, .. } => self.bar.inc(*bytes),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
