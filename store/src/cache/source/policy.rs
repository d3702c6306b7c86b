//! How much patience a cache gets. Pure.

use std::time::Duration;

use crate::{cache::backend::BackendError, net::back_off};

/// How often and how long a cache is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tries of one request, the first included.
    pub tries: u32,
    /// The longest pause before the second try; it doubles with every further one.
    pub base: Duration,
    /// Failures in a row, without a success between them, after which the cache is left alone for a while.
    pub failures: u32,
    /// How long it is left alone the first time; the time doubles whenever it fails again.
    pub rest: Duration,
    /// The longest such time.
    pub max_rest: Duration,
    /// How much time failures in a row may cost before the cache is left alone for good.
    pub budget: Duration,
}

impl Default for Policy {
    /// For caches that one can do without.
    fn default() -> Self {
        Self {
            tries: 4,
            base: Duration::from_millis(250),
            failures: 3,
            rest: Duration::from_secs(30),
            max_rest: Duration::from_secs(600),
            budget: Duration::from_secs(5),
        }
    }
}

impl Policy {
    /// For a cache that the user names, to push to it or to take everything from it: a server that is started again is waited for.
    #[must_use]
    pub fn patient() -> Self {
        Self {
            tries: 8,
            failures: 16,
            budget: Duration::from_secs(60),
            ..Self::default()
        }
    }

    /// Returns the pause before the next try after `tried` ones, of which this error was the last; `None` if another is pointless.
    pub(super) fn pause(&self, error: &BackendError, tried: u32, jitter: u32) -> Option<Duration> {
        if tried >= self.tries || !error.is_transient() {
            return None;
        }
        let pause = back_off(self.base, tried, jitter);
        match error {
            // All that were told the same time do not come back at once.
            BackendError::Busy {
                retry_after: Some(asked),
                ..
            } => Some(asked.saturating_add(pause)),
            _ => Some(pause),
        }
    }

    /// Returns for how long a cache is left alone for the `times`-th time, from 0.
    pub(super) fn rest(&self, times: u32) -> Duration {
        self.rest
            .saturating_mul(1 << times.min(16))
            .min(self.max_rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(retry_after: Option<u64>) -> BackendError {
        BackendError::Busy {
            file: String::new(),
            code: 503,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn pauses_are_anywhere_below_a_growing_limit() {
        let policy = Policy::default();
        for (tried, longest) in [(1, 250), (2, 500), (3, 1000)] {
            let pause = |jitter| policy.pause(&busy(None), tried, jitter);
            assert_eq!(pause(0), Some(Duration::ZERO));
            assert_eq!(pause(1000), Some(Duration::from_millis(longest)));
        }
        assert_eq!(policy.pause(&busy(None), 4, 0), None);
    }

    #[test]
    fn a_server_is_not_asked_before_the_time_that_it_names() {
        let pause = |jitter| Policy::default().pause(&busy(Some(7)), 1, jitter);
        assert_eq!(pause(0), Some(Duration::from_secs(7)));
        assert_eq!(pause(1000), Some(Duration::from_millis(7250)));
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let file = String::new;
        for error in [
            BackendError::Absent { file: file() },
            BackendError::Refused {
                file: file(),
                code: 400,
            },
            BackendError::Plaintext { cache: file() },
        ] {
            assert_eq!(Policy::default().pause(&error, 1, 0), None, "{error}");
        }
    }

    #[test]
    fn rests_double_up_to_a_limit() {
        let rests: Vec<_> = (0..7)
            .map(|times| Policy::default().rest(times).as_secs())
            .collect();
        assert_eq!(rests, [30, 60, 120, 240, 480, 600, 600]);
    }
}
