//! When a request is sent again.

use std::{thread, time::Duration};

use super::{RegistryError, Repository};
use crate::net::{back_off, jitter};

/// Tries of one request, the first included.
const TRIES: u32 = 5;
/// A registry that asks for more patience than this is given up.
const MAX_PAUSE: Duration = Duration::from_secs(60);

impl Repository {
    /// Asks until there is an answer or no hope for one.
    pub(super) fn retried<T>(
        &self,
        mut ask: impl FnMut() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut tried = 0;
        loop {
            let error = match ask() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            tried += 1;
            self.wait(error, tried)?;
        }
    }

    /// Waits until it makes sense to try again after `tried` tries, the last of which failed with `error`; returns the error if it does not.
    pub(super) fn wait(&self, error: RegistryError, tried: u32) -> Result<(), RegistryError> {
        match pause(&error, tried, self.retry_base(), jitter()) {
            Some(pause) => {
                thread::sleep(pause);
                Ok(())
            }
            None => Err(error),
        }
    }
}

fn pause(error: &RegistryError, tried: u32, base: Duration, jitter: u32) -> Option<Duration> {
    if tried >= TRIES || !error.is_transient() {
        return None;
    }
    let pause = back_off(base, tried, jitter);
    match error {
        // All that were told the same time do not come back at once.
        RegistryError::Busy {
            retry_after: Some(asked),
            ..
        } => (*asked <= MAX_PAUSE).then(|| asked.saturating_add(pause)),
        _ => Some(pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);

    fn busy(seconds: u64) -> RegistryError {
        RegistryError::Busy {
            what: String::new(),
            code: 429,
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn a_registry_is_asked_again_when_it_says_and_given_up_when_that_is_late() {
        assert_eq!(pause(&busy(7), 1, BASE, 0), Some(Duration::from_secs(7)));
        assert_eq!(
            pause(&busy(7), 2, BASE, 1000),
            Some(Duration::from_millis(7200))
        );
        assert_eq!(pause(&busy(61), 1, BASE, 0), None);
        assert_eq!(pause(&busy(7), TRIES, BASE, 0), None);
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let what = String::new;
        let refused = |code| RegistryError::Refused {
            what: what(),
            code,
            message: None,
        };
        assert_eq!(pause(&refused(500), 2, BASE, 1000), Some(BASE * 2));
        for error in [
            refused(400),
            RegistryError::Absent { what: what() },
            RegistryError::TooLarge { what: what() },
            RegistryError::Lost { what: what() },
        ] {
            assert_eq!(pause(&error, 1, BASE, 0), None, "{error}");
        }
    }
}
