//! When a failed transfer is tried again, and after which pause. Pure, but for the choice of the jitter by the caller.

use std::time::Duration;

use super::AttemptError;

/// Tries of one address, the first included.
pub(super) const TRIES: u32 = 4;

/// A server that asks for more patience than this is given up for the next address.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Statuses by which a server says "not now": request timeout, too early, too many requests, and its own failures.
const TRANSIENT: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// Returns the pause before the next try, or `None` when another try of the same address is pointless.
///
/// `tried` counts the tries so far, from 1. `jitter` in `0..=1000` spreads the pause over half of its length, so that many
/// clients of a restarted server do not come back in step.
pub(super) fn pause(
    error: &AttemptError,
    tried: u32,
    base: Duration,
    jitter: u32,
) -> Option<Duration> {
    if tried >= TRIES {
        return None;
    }
    let transient = match error {
        AttemptError::Status { code, retry_after } => {
            if let Some(asked) = retry_after
                && TRANSIENT.contains(code)
            {
                return (*asked <= MAX_PAUSE).then_some(*asked);
            }
            TRANSIENT.contains(code)
        }
        AttemptError::Unreachable { .. }
        | AttemptError::Connection { .. }
        | AttemptError::Stalled { .. } => true,
        AttemptError::Mirror(_)
        | AttemptError::NotListed { .. }
        | AttemptError::Certificate { .. }
        | AttemptError::TooLarge { .. }
        | AttemptError::WrongDigest { .. }
        | AttemptError::File { .. }
        | AttemptError::Offline => false,
    };
    let whole = base.saturating_mul(1 << tried.min(10)).min(MAX_PAUSE);
    transient.then(|| whole / 2 + whole / 2 * jitter.min(1000) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);

    fn status(code: u16, retry_after: Option<u64>) -> AttemptError {
        AttemptError::Status {
            code,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn pauses_grow_and_stay_within_their_jitter() {
        let error = status(503, None);
        for tried in 1..TRIES {
            let low = pause(&error, tried, BASE, 0).unwrap();
            let high = pause(&error, tried, BASE, 1000).unwrap();
            assert_eq!(low * 2, high);
            assert_eq!(high, BASE * (1 << tried));
        }
        assert_eq!(pause(&error, TRIES, BASE, 0), None);
    }

    #[test]
    fn a_server_may_ask_for_patience_but_not_for_too_much() {
        assert_eq!(
            pause(&status(429, Some(7)), 1, BASE, 0),
            Some(Duration::from_secs(7))
        );
        assert_eq!(pause(&status(503, Some(3600)), 1, BASE, 0), None);
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        for error in [
            status(404, None),
            status(404, Some(1)),
            status(403, None),
            AttemptError::TooLarge { limit_bytes: 1 },
        ] {
            assert_eq!(pause(&error, 1, BASE, 0), None, "{error}");
        }
    }
}
