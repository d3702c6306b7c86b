//! Shows how far a pack or a copy of an image is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use pack::Event;

use super::{Printer, human_bytes, plural};

/// Shows the events of one pack or copy: a bar on a terminal, a line elsewhere.
#[derive(Debug)]
pub(crate) struct PackProgress<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
    /// Whether the bar shows what went to the target, rather than what was read of the store.
    counts_sent: AtomicBool,
    sent_bytes: AtomicU64,
}

impl<'a> PackProgress<'a> {
    /// Shows events through `printer`.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            bar: ProgressBar::hidden(),
            counts_sent: AtomicBool::new(false),
            sent_bytes: AtomicU64::new(0),
        }
    }

    /// Shows one event. Called from several threads.
    pub(crate) fn show(&self, event: &Event<'_>) {
        match event {
            Event::Started { layers, file_bytes } => {
                let text = format!("packing {}", plural(*layers, "layer"));
                self.begin(&text, *file_bytes, false);
            }
            Event::Sending {
                layers, file_bytes, ..
            } => {
                let text = format!("sending {}", plural(*layers, "layer"));
                self.begin(&text, *file_bytes, false);
            }
            Event::Copying { blobs, bytes, .. } => {
                let text = format!("copying {}", plural(*blobs, "blob"));
                self.begin(&text, *bytes, true);
            }
            Event::Encoded { tar_bytes } => self.bar.inc(*tar_bytes),
            Event::Present { bytes } => self.bar.inc(*bytes),
            Event::Sent { bytes } => self.count_sent(*bytes),
            Event::Written { .. } | Event::Pushed { .. } => self.bar.finish_and_clear(),
            Event::Unchanged { path } => {
                self.bar.finish_and_clear();
                self.printer
                    .detail(&format!("`{}` is this image already", path.display()));
            }
            _ => {}
        }
    }

    fn count_sent(&self, bytes: u64) {
        if self.counts_sent.load(Ordering::Relaxed) {
            self.bar.inc(bytes);
        } else {
            let sent = self.sent_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.bar.set_message(format!("{} sent", human_bytes(sent)));
        }
    }

    fn begin(&self, text: &str, file_bytes: u64, counts_sent: bool) {
        self.counts_sent.store(counts_sent, Ordering::Relaxed);
        self.sent_bytes.store(0, Ordering::Relaxed);
        let text = format!("{text}, {}", human_bytes(file_bytes));
        if !self.printer.is_interactive() {
            self.printer.note(&text);
            return;
        }
        let style = ProgressStyle::with_template(
            "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec:.dim} {msg:.dim}",
        );
        self.bar
            .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_prefix(text);
        self.bar.set_message("");
        self.bar.reset();
        self.bar.set_length(file_bytes);
        drop(self.printer.bars().add(self.bar.clone()));
    }
}
