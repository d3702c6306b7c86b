//! Shows how far a pack is.

use indicatif::{ProgressBar, ProgressStyle};
use pack::Event;

use super::{Printer, human_bytes, plural};

/// Shows the events of one pack: a bar on a terminal, a line elsewhere.
#[derive(Debug)]
pub(crate) struct PackProgress<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
}

impl<'a> PackProgress<'a> {
    /// Shows events through `printer`.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            bar: ProgressBar::hidden(),
        }
    }

    /// Shows one event. Called from several threads.
    pub(crate) fn show(&self, event: &Event<'_>) {
        match event {
            Event::Started { layers, file_bytes } => {
                self.begin(
                    &format!("packing {}", plural(*layers, "layer")),
                    *file_bytes,
                );
            }
            Event::Sending {
                layers, file_bytes, ..
            } => self.begin(
                &format!("sending {}", plural(*layers, "layer")),
                *file_bytes,
            ),
            Event::Encoded { tar_bytes } => self.bar.inc(*tar_bytes),
            Event::Written { .. } | Event::Pushed { .. } => self.bar.finish_and_clear(),
            Event::Unchanged { path } => {
                self.bar.finish_and_clear();
                self.printer
                    .detail(&format!("`{}` is this image already", path.display()));
            }
            _ => {}
        }
    }

    fn begin(&self, text: &str, file_bytes: u64) {
        let text = format!("{text}, {}", human_bytes(file_bytes));
        if !self.printer.is_interactive() {
            self.printer.note(&text);
            return;
        }
        let style = ProgressStyle::with_template(
            "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec:.dim}",
        );
        self.bar
            .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_prefix(text);
        self.bar.reset();
        self.bar.set_length(file_bytes);
        drop(self.printer.bars().add(self.bar.clone()));
    }
}
