//! Shows how far an operation on whole objects is: verify, export, import, …

use indicatif::{ProgressBar, ProgressStyle};
use store::Progress;

use super::{Printer, human_bytes, plural};

/// Shows the progress of one operation: a bar on a terminal, a line elsewhere.
#[derive(Debug)]
pub(crate) struct ObjectProgress<'a> {
    printer: &'a Printer,
    /// What is being done, as in `verifying`.
    action: &'static str,
    bar: ProgressBar,
}

impl<'a> ObjectProgress<'a> {
    /// Shows progress through `printer`.
    pub(crate) fn new(printer: &'a Printer, action: &'static str) -> Self {
        Self {
            printer,
            action,
            bar: ProgressBar::hidden(),
        }
    }

    /// Shows one step. Called from several threads.
    pub(crate) fn show(&self, progress: Progress) {
        match progress {
            Progress::Started { objects, bytes } => {
                let objects = usize::try_from(objects).unwrap_or(usize::MAX);
                let text = format!(
                    "{} {}, {}",
                    self.action,
                    plural(objects, "object"),
                    human_bytes(bytes)
                );
                if self.printer.is_interactive() {
                    let style = ProgressStyle::with_template(
                        "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec:.dim}",
                    );
                    self.bar
                        .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                    self.bar.set_prefix(text);
                    self.bar.set_length(bytes);
                    drop(self.printer.bars().add(self.bar.clone()));
                } else {
                    self.printer.note(&text);
                }
            }
            Progress::Advanced { bytes } => self.bar.inc(bytes),
        }
    }
}

impl Drop for ObjectProgress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
