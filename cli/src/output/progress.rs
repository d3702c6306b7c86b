//! Shows what a build does: bars on a terminal, a line a step elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use recipes::event::{Event, StepId, Work};

use super::{Printer, Verbosity, human_bytes, human_duration};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Shows the events of one plan and remembers what was done.
#[derive(Debug)]
pub(crate) struct BuildProgress<'a> {
    printer: &'a Printer,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bars: BTreeMap<StepId, ProgressBar>,
    done: Done,
}

/// What the steps of a plan came to, by derivation name, sorted.
#[derive(Debug, Default, Clone)]
pub(crate) struct Done {
    /// Files that were transferred.
    pub(crate) fetched: BTreeSet<String>,
    /// Derivations that were built.
    pub(crate) built: BTreeSet<String>,
    /// Derivations that another process built meanwhile.
    pub(crate) shared: BTreeSet<String>,
    /// Derivations whose outputs came from a cache.
    pub(crate) substituted: BTreeSet<String>,
}

impl<'a> BuildProgress<'a> {
    /// Shows events through `printer`.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            state: Mutex::default(),
        }
    }

    /// What was done so far.
    pub(crate) fn done(&self) -> Done {
        self.lock().done.clone()
    }

    /// Shows one event. Called from several threads.
    pub(crate) fn show(&self, event: &Event) {
        match event {
            Event::Waiting { step, name } => {
                self.printer
                    .note(&format!("waiting for another pith that builds {name}"));
                self.spin(*step, &format!("waiting for {name}"));
            }
            Event::FetchStarted { .. }
            | Event::FetchProgress { .. }
            | Event::FetchRetry { .. }
            | Event::FetchGaveUp { .. } => self.show_transfer(event),
            Event::BuildStarted { step, name, round } => {
                let round = if *round > 1 {
                    format!(", round {round}")
                } else {
                    String::new()
                };
                if !self.printer.is_interactive() {
                    self.printer.note(&format!("building {name}{round}"));
                }
                self.spin(*step, &format!("{name}{round}"));
            }
            Event::Phase { step, phase } => {
                if let Some(bar) = self.lock().bars.get(step) {
                    bar.set_message(phase.clone());
                }
            }
            Event::LogLine { line, .. } if self.printer.verbosity() >= Verbosity::Debug => {
                self.printer.always(line);
            }
            Event::Finished {
                step,
                name,
                work,
                duration,
                ..
            } => {
                self.finish(*step);
                self.record(name, *work);
                if *work == Work::Built {
                    self.printer
                        .note(&format!("built {name} in {}", human_duration(*duration)));
                }
            }
            Event::Failed { step, .. } | Event::Cancelled { step, .. } => self.finish(*step),
            Event::Substituted { name, .. } => self.record(name, Work::Substituted),
            Event::Valid { name, .. } => self.printer.detail(&format!("{name} is valid")),
            _ => {}
        }
    }

    fn show_transfer(&self, event: &Event) {
        match event {
            Event::FetchStarted {
                step,
                name,
                url,
                resumed_bytes,
            } => {
                let resumed = match resumed_bytes {
                    0 => String::new(),
                    bytes => format!(", going on at {}", human_bytes(*bytes)),
                };
                self.printer
                    .detail(&format!("fetching {name} from {url}{resumed}"));
                if self.printer.verbosity() == Verbosity::Normal && !self.printer.is_interactive() {
                    self.printer.note(&format!("fetching {name}"));
                }
                self.transfer(*step, name);
            }
            Event::FetchProgress {
                step,
                received_bytes,
                total_bytes,
            } => {
                if let Some(bar) = self.lock().bars.get(step) {
                    if let Some(total) = total_bytes {
                        bar.set_length(*total);
                    }
                    bar.set_position(*received_bytes);
                }
            }
            Event::FetchRetry {
                url, reason, pause, ..
            } => self.printer.note(&format!(
                "{url}: {reason}; trying again in {}",
                human_duration(*pause)
            )),
            Event::FetchGaveUp { url, reason, .. } => {
                self.printer.note(&format!("{url}: {reason}"));
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is only shown: what a panicking thread left in it does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, name: &str, work: Work) {
        let mut state = self.lock();
        let list = match work {
            Work::Fetched => &mut state.done.fetched,
            Work::Built => &mut state.done.built,
            Work::Shared => &mut state.done.shared,
            Work::Substituted => &mut state.done.substituted,
            Work::Added => return,
        };
        list.insert(name.to_owned());
    }

    fn spin(&self, step: StepId, prefix: &str) {
        self.bar(step, "{spinner} {prefix} {msg:.dim} {elapsed:.dim}", prefix)
            .enable_steady_tick(TICK);
    }

    fn transfer(&self, step: StepId, prefix: &str) {
        self.bar(
            step,
            "↓ {prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec:.dim}",
            prefix,
        );
    }

    fn bar(&self, step: StepId, template: &str, prefix: &str) -> ProgressBar {
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.printer.bars().add(ProgressBar::no_length());
        bar.set_style(style);
        bar.set_prefix(prefix.to_owned());
        if let Some(before) = self.lock().bars.insert(step, bar.clone()) {
            before.finish_and_clear();
        }
        bar
    }

    fn finish(&self, step: StepId) {
        if let Some(bar) = self.lock().bars.remove(&step) {
            bar.finish_and_clear();
        }
    }
}
