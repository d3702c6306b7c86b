//! Whether a cache is asked at all: a circuit breaker. Pure, but for the times it is told.

use std::{sync::Arc, time::Duration};

use super::Policy;
use crate::cache::backend::BackendError;

/// Leave to ask once; brought back with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    asked: Duration,
    is_probe: bool,
}

impl Permit {
    pub(super) const fn new(asked: Duration) -> Self {
        Self {
            asked,
            is_probe: false,
        }
    }

    /// Returns when it was given.
    pub(super) const fn asked(self) -> Duration {
        self.asked
    }
}

#[derive(Debug)]
pub(super) struct Breaker {
    policy: Policy,
    state: State,
    /// Failures since the last success, as far as they are of different moments.
    failures: u32,
    counted: Duration,
    last_success: Duration,
    /// Time that was lost since the last success, and up to when it is counted.
    lost: Duration,
    lost_until: Duration,
    /// How often it was opened since the last success.
    opened: u32,
    last_error: Option<Arc<BackendError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Duration,
    },
    /// One request finds out whether it is better now.
    Probing,
    /// For good.
    Spent,
}

impl Breaker {
    pub(super) const fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Closed,
            failures: 0,
            counted: Duration::ZERO,
            last_success: Duration::ZERO,
            lost: Duration::ZERO,
            lost_until: Duration::ZERO,
            opened: 0,
            last_error: None,
        }
    }

    /// Gives leave to ask, or says for how long not: `None` for good.
    pub(super) fn admit(&mut self, now: Duration) -> Result<Permit, Option<Duration>> {
        let permit = |is_probe| Permit {
            asked: now,
            is_probe,
        };
        match self.state {
            State::Closed => Ok(permit(false)),
            State::Open { until } if until <= now => {
                self.state = State::Probing;
                Ok(permit(true))
            }
            State::Open { until } => Err(Some(until - now)),
            State::Probing => Err(Some(self.policy.rest(self.opened))),
            State::Spent => Err(None),
        }
    }

    /// The server answered, be it that it does not have the file.
    pub(super) fn succeed(&mut self, now: Duration) {
        // Answers to what was asked before it was given up count too.
        self.state = State::Closed;
        self.failures = 0;
        self.opened = 0;
        self.lost = Duration::ZERO;
        self.last_success = now;
        self.last_error = None;
    }

    /// There was no answer, or none that says anything.
    pub(super) fn fail(&mut self, permit: Permit, now: Duration, error: Arc<BackendError>) {
        self.last_error = Some(error);
        self.lose(permit.asked, now);
        // Many threads that fail because of one thing that happened have failed once.
        if self.failures == 0 || self.counted <= permit.asked {
            self.failures += 1;
            self.counted = now;
        }
        if self.state == State::Spent {
            return;
        }
        if self.lost >= self.policy.budget {
            self.state = State::Spent;
        } else if permit.is_probe || self.failures >= self.policy.failures {
            self.open(now, self.policy.rest(self.opened));
        }
    }

    /// The server said when to come back, and that is too late to wait for.
    pub(super) fn open(&mut self, now: Duration, rest: Duration) {
        let until = now.saturating_add(rest);
        self.state = match self.state {
            State::Spent => State::Spent,
            State::Open { until: before } if until <= before => State::Open { until: before },
            _ => {
                self.opened += 1;
                State::Open { until }
            }
        };
    }

    /// Counts a time in which nothing was gained, once for all threads.
    pub(super) fn lose(&mut self, from: Duration, to: Duration) {
        let from = from.max(self.lost_until).max(self.last_success);
        self.lost += to.saturating_sub(from);
        self.lost_until = self.lost_until.max(to);
    }

    /// How much time may be lost yet.
    pub(super) fn left(&self) -> Duration {
        self.policy.budget.saturating_sub(self.lost)
    }

    pub(super) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    pub(super) fn last_error(&self) -> Option<Arc<BackendError>> {
        self.last_error.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn error() -> Arc<BackendError> {
        Arc::new(BackendError::Absent {
            file: String::new(),
        })
    }

    /// A request that fails at once.
    fn fail_at(breaker: &mut Breaker, now: Duration) {
        let permit = breaker.admit(now).unwrap();
        breaker.fail(permit, now, error());
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_a_success_closes_it() {
        let mut breaker = Breaker::new(Policy::default());
        fail_at(&mut breaker, seconds(1));
        fail_at(&mut breaker, seconds(2));
        breaker.succeed(seconds(2));
        for now in [3, 4, 5] {
            fail_at(&mut breaker, seconds(now));
        }
        assert_eq!(breaker.admit(seconds(6)), Err(Some(seconds(29))));
        let probe = breaker.admit(seconds(35)).unwrap();
        assert_eq!(breaker.admit(seconds(35)), Err(Some(seconds(60))));
        breaker.fail(probe, seconds(35), error());
        assert_eq!(breaker.admit(seconds(36)), Err(Some(seconds(59))));
        breaker.admit(seconds(95)).unwrap();
        breaker.succeed(seconds(95));
        assert!(!breaker.is_open());
    }

    #[test]
    fn many_threads_that_fail_at_once_have_failed_once() {
        let mut breaker = Breaker::new(Policy::default());
        for round in 0..3 {
            assert!(!breaker.is_open());
            let start = Duration::from_millis(10 * round);
            let permits: Vec<_> = (0..16).map(|_| breaker.admit(start).unwrap()).collect();
            for permit in permits {
                breaker.fail(permit, start + Duration::from_millis(1), error());
            }
        }
        assert!(breaker.is_open());
    }

    #[test]
    fn time_is_lost_once_and_only_so_much_of_it() {
        let mut breaker = Breaker::new(Policy::default());
        let permits: Vec<_> = (0..16)
            .map(|_| breaker.admit(seconds(1)).unwrap())
            .collect();
        for permit in permits {
            breaker.fail(permit, seconds(5), error());
        }
        assert_eq!(breaker.left(), seconds(1));
        let permit = breaker.admit(seconds(9)).unwrap();
        breaker.fail(permit, seconds(10), error());
        assert_eq!(breaker.admit(seconds(10)), Err(None));
        assert_eq!(breaker.admit(seconds(10_000)), Err(None));
    }

    #[test]
    fn time_before_a_success_is_not_lost() {
        let mut breaker = Breaker::new(Policy::default());
        let slow = breaker.admit(seconds(1)).unwrap();
        breaker.succeed(seconds(9));
        breaker.fail(slow, seconds(10), error());
        assert_eq!(breaker.left(), seconds(4));
    }
}
