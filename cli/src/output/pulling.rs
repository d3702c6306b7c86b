//! Shows what comes from caches.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use store::cache::pull::PullEvent;

use super::{Printer, human_bytes, plural};

/// Shows the events of all pulls of a command.
#[derive(Debug)]
pub(crate) struct PullProgress<'a> {
    printer: &'a Printer,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bar: Option<ProgressBar>,
    /// Caches that the user has been told of.
    failed: BTreeSet<String>,
}

impl<'a> PullProgress<'a> {
    /// Shows events through `printer`.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            state: Mutex::default(),
        }
    }

    /// Shows one event. Called from several threads.
    pub(crate) fn show(&self, event: &PullEvent) {
        // The state is only shown: what a panicking thread left in it does no harm.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            PullEvent::Planned {
                objects,
                bytes,
                fetch_bytes,
            } => {
                if let Some(bar) = &state.bar {
                    bar.set_length(*fetch_bytes);
                    return;
                }
                if *objects == 0 {
                    return;
                }
                self.printer.note(&format!(
                    "pulling {} ({}, {} to transfer)",
                    plural(*objects, "object"),
                    human_bytes(*bytes),
                    human_bytes(*fetch_bytes)
                ));
                state.bar = Some(self.bar(*fetch_bytes));
            }
            PullEvent::Fetched { bytes } => {
                if let Some(bar) = &state.bar {
                    bar.inc(*bytes);
                }
            }
            PullEvent::Complete { path } => self.printer.detail(&format!("pulled {path}")),
            PullEvent::CacheFailed(answer) => {
                let line = answer.to_string();
                if state.failed.insert(line.clone()) {
                    self.printer.note(&format!("cache {line}"));
                }
            }
            _ => {}
        }
    }

    fn bar(&self, bytes: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.printer.bars().add(ProgressBar::new(bytes));
        bar.set_style(style);
        bar.set_prefix("pulling");
        bar
    }
}

impl Drop for PullProgress<'_> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }
}
