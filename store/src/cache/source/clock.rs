//! Time and chance, which tests replace.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

/// What a [`Source`](super::Source) knows of time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the time since some fixed moment.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, pause: Duration);
    /// Returns a number in `0..=1000` that differs between processes and calls.
    fn jitter(&self) -> u32;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, pause: Duration) {
        thread::sleep(pause);
    }

    fn jitter(&self) -> u32 {
        crate::net::jitter()
    }
}
