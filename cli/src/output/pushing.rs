//! Shows what a push does: a bar on a terminal, a line for each object when more is asked for.

use indicatif::{ProgressBar, ProgressStyle};
use store::cache::push::PushEvent;

use super::{Printer, human_bytes, plural};

/// Shows the events of one push.
#[derive(Debug)]
pub(crate) struct PushProgress<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
}

impl<'a> PushProgress<'a> {
    /// Shows events through `printer`.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let style =
            ProgressStyle::with_template("↑ {bar:24} {bytes}/{total_bytes} {bytes_per_sec:.dim}");
        let bar = printer.bars().add(ProgressBar::no_length());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { printer, bar }
    }

    /// Shows one event. Called from several threads.
    pub(crate) fn show(&self, event: &PushEvent) {
        match event {
            PushEvent::Surveyed {
                objects,
                missing,
                missing_bytes,
                reused_bytes,
            } => {
                self.bar
                    .set_length(missing_bytes.saturating_sub(*reused_bytes));
                self.printer.detail(&format!(
                    "the cache lacks {missing} of {}: {}, of which it has {} in other objects",
                    plural(*objects, "object"),
                    human_bytes(*missing_bytes),
                    human_bytes(*reused_bytes)
                ));
            }
            PushEvent::Read { bytes } => self.bar.inc(*bytes),
            PushEvent::Pack { bytes, was_there } => self.printer.detail(&format!(
                "a pack of {} {}",
                human_bytes(*bytes),
                if *was_there { "was there" } else { "is sent" }
            )),
            PushEvent::Object { path } => self.printer.detail(&format!("{path} is in the cache")),
            _ => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
