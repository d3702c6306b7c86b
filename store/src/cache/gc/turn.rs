//! One collector at a time.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::CollectError;
use crate::cache::{
    backend::{Collectors, Exclusion, FileKind},
    format::{CacheName, DrawnId},
    source::Source,
};

/// After this time a collector counts as dead of whom nothing else is known. Clocks of servers and their clients differ by less: S3 refuses those that differ by 15 minutes.
const GIVEN_UP: Duration = Duration::from_secs(45 * 60);
/// After this time it says again that it lives.
const RENEWED: Duration = Duration::from_secs(10 * 60);

/// Whether a collector that began something at a second since 1970 has certainly ended.
#[must_use]
pub fn is_given_up(begun: u64, now: SystemTime) -> bool {
    is_older(UNIX_EPOCH + Duration::from_secs(begun), GIVEN_UP, now)
}

/// Whether a moment is longer ago than a time.
pub(super) fn is_older(moment: SystemTime, time: Duration, now: SystemTime) -> bool {
    now.duration_since(moment).is_ok_and(|age| age > time)
}

/// The right to remove files. Ends when it is dropped.
pub(super) struct Turn<'a> {
    cache: &'a Source,
    ticket: Option<Ticket>,
    _lock: Option<Exclusion>,
}

struct Ticket {
    name: CacheName,
    written: Mutex<Instant>,
}

impl<'a> Turn<'a> {
    /// Becomes the only collector, or fails with [`CollectError::AtWork`].
    pub(super) fn take(cache: &'a Source, now: SystemTime) -> Result<Self, CollectError> {
        match cache.exclude_collectors()? {
            Collectors::Excluded(lock) => Ok(Self {
                cache,
                ticket: None,
                _lock: Some(lock),
            }),
            Collectors::AtWork => Err(at_work(cache)),
            Collectors::Unknown => Self::draw(cache, now),
        }
    }

    /// Writes a file of its own, and then looks for others'. Of two who do so at once at least one sees the other.
    fn draw(cache: &'a Source, now: SystemTime) -> Result<Self, CollectError> {
        let id = DrawnId::draw().map_err(CollectError::Draw)?;
        let turn = Self {
            cache,
            ticket: Some(Ticket {
                name: CacheName::Collector(id),
                written: Mutex::new(Instant::now()),
            }),
            _lock: None,
        };
        turn.write()?;
        let mut others = Vec::new();
        cache.list(FileKind::Collection, &mut |file| match file.name {
            CacheName::Collector(other) if other != id => others.push(file),
            _ => {}
        })?;
        for other in others {
            if !is_older(other.modified, GIVEN_UP, now) {
                return Err(at_work(cache));
            }
            cache.remove(&other.name)?;
        }
        Ok(turn)
    }

    fn write(&self) -> Result<(), CollectError> {
        if let Some(ticket) = &self.ticket {
            self.cache.write(&ticket.name, &Bytes::from_static(b"\n"))?;
            self.cache.flush()?;
        }
        Ok(())
    }

    /// Makes sure that nobody takes this collector for dead. Before anything that takes long, and before files go.
    pub(super) fn renew(&self) -> Result<(), CollectError> {
        let Some(ticket) = &self.ticket else {
            return Ok(());
        };
        let mut written = ticket
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if written.elapsed() < RENEWED {
            return Ok(());
        }
        if written.elapsed() >= GIVEN_UP || !self.cache.exists(&ticket.name)? {
            return Err(at_work(self.cache));
        }
        let now = Instant::now();
        self.write()?;
        *written = now;
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            // What cannot be removed now keeps the next collector waiting, no longer than a dead one.
            let _removed = self.cache.remove(&ticket.name);
        }
    }
}

fn at_work(cache: &Source) -> CollectError {
    CollectError::AtWork {
        cache: cache.url().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_given_up_after_a_while() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ago = |seconds: u64| is_given_up(1_000_000 - seconds, now);
        assert!(!ago(0));
        assert!(!ago(45 * 60));
        assert!(ago(45 * 60 + 1));
        // By the clock of another machine it has not begun yet.
        assert!(!is_given_up(2_000_000, now));
    }
}
